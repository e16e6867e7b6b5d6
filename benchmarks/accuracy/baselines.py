"""What the accuracy benchmark compares: train.py, the predecessor, and two without a network.

Each of them prepares a fold and returns a `Prepared`, whose `score` takes face tracks and names of
robustness.ALTERATIONS and returns raw scores, `(num_tracks,)` for each name.

The baseline is the predecessor (microcoder-py/deepfake-detector, 2021) with its own network,
optimizer, learning rate and epochs: one convolution and an LSTM with relu on 60 frames of 100x100,
batches of 4, Adam at 1e-3, ten epochs of plain cross-entropy, no augmentation, no validation. It
reads clips as we do, so that only the recipe is compared: it sees the same crops, evenly spread
over the video, and trains on all that the others train and validate on.

The blur baseline measures how blurred the middle of a face is: a network that finds fakes no better
measures no more than sharpness. The source, without a pixel, is the score of a network that has
learned to recognise sources instead of forgeries.
"""

import contextlib
import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import keras
import numpy as np

from deepfake_detector.clips import loading, read_errors
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError, quiet_tensorflow
from deepfake_detector.evaluation import robustness
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.face_dataset.splits import split_tracks
from deepfake_detector.files import write_text, written_whole
from deepfake_detector.networks import folding
from deepfake_detector.scoring import model_file, trained_model
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.training import run_folder
from deepfake_detector.training.arguments import read_arguments

with quiet_tensorflow():
    import tensorflow as tf

    import model as networks
    import train


from benchmarks.accuracy.folds import About, Fold

CLEAN = "clean"
ALTERED = ("JPEG quality 50", "half resolution")
Score = Callable[[Sequence[FaceTrack], Sequence[str]], dict[str, np.ndarray]]
BATCH_SIZE = 16  # of scoring

BLUR_FRAMES = 8
INNER_FACE = (0.5, 0.54, 0.225, 0.27)  # centre x, y and half axes, in sides of the crop


class CannotTrain(UserError):
    """The training videos of a fold are too few, or of too few people."""


@dataclass(frozen=True)
class Prepared:
    """A detector that has seen the training videos of a fold."""

    score: Score
    trained_on: list[FaceTrack]
    seconds: float  # of training


@dataclass(frozen=True)
class BaselineRecipe:
    """The predecessor's sizes and training, see its train.py."""

    num_frames: int = 60
    img_size: int = 100
    batch_size: int = 4
    epochs: int = 10
    learning_rate: float = 1e-3
    seed: int = 0  # it had none


# train.py as a user runs it


def read_options(
    words: Sequence[str], seed: int
) -> tuple["train.TrainSettings", "train.RunOptions"]:
    """Return the settings and the options of train.py for the words of a command line.

    `seed` is that of the benchmark; a --seed among the words overrides it.
    """
    where = ["--data", "-", "--out", "-"]  # the last one counts, and these two are not used
    args = read_arguments("train.py", ["--seed", str(seed), *words, *where])
    return args.settings, args.options


def prepare_ours(
    fold: Fold,
    out: Path,
    face_settings: Mapping,
    settings: "train.TrainSettings",
    options: "train.RunOptions",
) -> Prepared:
    """Train on a fold into the run folder `out` as train.py does, or take the finished run there.

    The validation split is taken from the fold's training videos as train.py does; the test videos
    are not used.
    """
    try:
        parts = split_tracks(fold.rest, settings.validation_share, 0, settings.seed)
        train.count_steps(parts["train"], settings)  # says what is missing
    except UserError as error:
        raise CannotTrain(f"fold {fold.number}: {error}") from error
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.backend.clear_session()
    strategy = tf.distribute.MirroredStrategy()
    train.train_splits(parts, out, face_settings, settings, options, strategy)
    model_file.calibrate(out / trained_model.MODEL_NAME, parts["validation"])
    score = scorer_of(out / trained_model.MODEL_NAME, strategy)
    return Prepared(score, parts["train"], seconds_of(out) + seconds_of(out / "frames"))


def seconds_of(run: Path) -> float:
    """Return how long all epochs of a run took; 0 where there is none."""
    if not (run / run_folder.HISTORY_NAME).exists():
        return 0.0
    with (run / run_folder.HISTORY_NAME).open(newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def scorer_of(model_path: Path, strategy: "tf.distribute.Strategy") -> Score:
    """Return what scores faces with a model as evaluate.py does, calibrated where it is."""
    settings = trained_model.read_model_settings(model_path)
    with strategy.scope():
        model = model_file.load(model_path, settings)
    scorer = ClipScorer(model, settings, strategy, BATCH_SIZE)

    def score(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> dict[str, np.ndarray]:
        if not alterations:
            return {}
        paths = whole_video_paths(tracks, scorer.num_frames)
        alter = None if tuple(alterations) == (CLEAN,) else alter_as(alterations)
        raw_scores = scorer.score_paths(paths, tracks, alter, len(alterations))
        scores = (calibrated(scorer, raw) for raw in raw_scores.T)
        return dict(zip(alterations, scores, strict=True))

    return score


def alter_as(names: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what stacks these alterations of crops, `(num_frames, side, side, 3) uint8`."""
    return lambda crops: np.stack([robustness.ALTERATIONS[name](crops) for name in names])


def calibrated(scorer: ClipScorer, raw_scores: np.ndarray) -> np.ndarray:
    """Return calibrated scores; NaN, of a training that diverged, counts as 0.5."""
    missing = np.isnan(raw_scores)
    if missing.any():
        print(f"{int(missing.sum())} of {len(raw_scores)} scores are NaN and count as 0.5")
    return scorer.calibrated(np.where(missing, 0.5, raw_scores))


# Baseline: the predecessor


def prepare_baseline(
    fold: Fold, out: Path, face_settings: Mapping, recipe: BaselineRecipe
) -> Prepared:
    """Train the predecessor's network on a fold, or take the finished one in `out`.

    Raises UserError where `out` holds one of another recipe or of other videos.
    """
    run_settings = {
        "faces": dict(face_settings),
        "num_frames": recipe.num_frames,
        "img_size": [recipe.img_size] * 2,
        "training": {"architecture": "baseline", **asdict(recipe)},
        "videos": [face.name for face in fold.rest],
    }
    model_path = out / trained_model.MODEL_NAME
    strategy = tf.distribute.get_strategy()  # one device: its ten epochs are short
    with run_folder.only_run(out):
        if model_path.exists():
            seconds = _seconds_of_same(model_path, run_settings)
        else:
            started = time.perf_counter()
            network = train_baseline(fold.rest, recipe)
            seconds = time.perf_counter() - started
            saved = run_settings | {"seconds": seconds}
            write_text(out / SETTINGS_NAME, json.dumps(saved, indent=1) + "\n")
            with written_whole(model_path) as partial:
                network.save(partial)
    return Prepared(scorer_of(model_path, strategy), list(fold.rest), seconds)


def _seconds_of_same(model_path: Path, run_settings: Mapping) -> float:
    """Return how long a finished training took; raises UserError where it was another one."""
    found = trained_model.read_model_settings(model_path)
    different = sorted(name for name, value in run_settings.items() if found.get(name) != value)
    if different:
        raise UserError(
            f"{model_path.parent} holds a training that differs in {', '.join(different)}; give "
            "another --out"
        )
    return found["seconds"]


def train_baseline(faces: Sequence[FaceTrack], recipe: BaselineRecipe) -> "keras.Model":
    """Return the predecessor's network after its ten epochs on these faces, each once an epoch."""
    side = (recipe.img_size, recipe.img_size)
    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    network = networks.build_model(recipe.num_frames, side, "baseline")
    folded = folding.fold_time(network)
    folded.compile(keras.optimizers.Adam(recipe.learning_rate), "binary_crossentropy")
    paths = whole_video_paths(faces, recipe.num_frames)
    labels = np.array([[face.label] for face in faces], np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((paths, labels))
    dataset = dataset.shuffle(len(faces), recipe.seed, reshuffle_each_iteration=True)
    dataset = dataset.map(
        lambda names, label: (loading.load_clip(names, side), label),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    with _explained(faces):
        batches = dataset.batch(recipe.batch_size).prefetch(1)
        folded.fit(batches, epochs=recipe.epochs, shuffle=False, verbose=2)
    return network


@contextlib.contextmanager
def _explained(faces: Sequence[FaceTrack]) -> Iterator[None]:
    """Raise UserError naming the crop that cannot be read."""
    try:
        yield
    except tf.errors.OpError as error:
        raise UserError(read_errors.explain(error, faces)) from error


# Blur baseline: no network


def prepare_blur(fold: Fold) -> Prepared:
    """Return the blur baseline; it learns nothing."""
    return Prepared(score_blur, list(fold.rest), 0.0)


def score_blur(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the blur of each face, as `blur_of` measures it."""
    scores = {name: np.zeros(len(tracks)) for name in alterations}
    for index, crop_paths in enumerate(whole_video_paths(tracks, BLUR_FRAMES)):
        crops = np.stack([_read(Path(os.fsdecode(path))) for path in crop_paths])
        for name in alterations:
            scores[name][index] = blur_of(robustness.ALTERATIONS[name](crops))
    return scores


def _read(path: Path) -> np.ndarray:
    crop_bgr = cv2.imread(str(path))
    if crop_bgr is None:
        raise UserError(f"{path} cannot be read; run processing.py to make the faces again")
    return cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2RGB)


def blur_of(crops: np.ndarray) -> float:
    """Return minus the median of the high-pass of the inner face, averaged over the frames.

    `crops` are `(num_frames, side, side, 3) uint8` RGB. The high-pass is the absolute difference
    from the crop after a Gaussian blur of one pixel, in grey levels.
    """
    x, y, half_width, half_height = INNER_FACE
    side = crops.shape[1]
    place = np.mgrid[0:side, 0:side] / (side - 1)
    inside = np.hypot((place[1] - x) / half_width, (place[0] - y) / half_height) < 1
    details = []
    for crop in crops:
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
        high_pass = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
        details.append(np.median(high_pass[inside]))
    return -float(np.mean(details))


# Source: not even a pixel


def prepare_source(fold: Fold, about: Mapping[str, About]) -> Prepared:
    """Return what scores a video by the share of fakes among the training videos of its source."""
    labels: dict[str | None, list[int]] = {}
    for face in fold.rest:
        labels.setdefault(about[face.video].source, []).append(face.label)
    shares = {source: float(np.mean(of_source)) for source, of_source in labels.items()}
    otherwise = float(np.mean([face.label for face in fold.rest]))

    def score(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> dict[str, np.ndarray]:
        scores = np.array([shares.get(about[track.video].source, otherwise) for track in tracks])
        return {name: scores for name in alterations}

    return Prepared(score, list(fold.rest), 0.0)
