"""What the accuracy benchmark compares: train.py, trained models, and two without a network.

Each of them prepares a fold and returns a `Prepared`, whose `score` takes face tracks and names of
robustness.ALTERATIONS and returns scores, `(num_tracks,)` for each name. The predecessor is in
predecessor.py.

The blur baseline measures how blurred the middle of a face is: a network that finds fakes no better
measures no more than sharpness. The source, without a pixel, is the score of a network that has
learned to recognise sources instead of forgeries.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np

import evaluate
from benchmarks.accuracy import mesonet
from benchmarks.accuracy.folds import About, Fold
from benchmarks.accuracy.sources import Key
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError, quiet_tensorflow
from deepfake_detector.evaluation import robustness
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.splits import split_tracks
from deepfake_detector.scoring import calibration, model_file, trained_model
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.training import report
from deepfake_detector.training.arguments import Arguments, read_arguments

with quiet_tensorflow():
    import tensorflow as tf

    import train

CLEAN = "clean"
ALTERED = tuple(
    name
    for name in ("JPEG quality 50", "half resolution", "H.264 CRF 35")
    if name in robustness.ALTERATIONS
)
Scores = dict[str, np.ndarray]  # by alteration
Score = Callable[[Sequence[FaceTrack], Sequence[str]], Scores]
ScoreCrops = Callable[[np.ndarray], float]
BATCH_SIZE = 16  # of scoring

NUM_FRAMES = 8  # of detectors that are no model of ours
INNER_FACE = (0.5, 0.54, 0.225, 0.27)  # centre x, y and half axes, in sides of the crop


class CannotTrain(UserError):
    """The training videos of a fold are too few, or of too few people."""


@dataclass(frozen=True)
class Prepared:
    """A detector that has seen the training videos of a fold."""

    score: Score
    trained_on: Sequence[FaceTrack] = ()
    seconds: float = 0.0  # of training
    threshold: float | None = None  # None for scores that are no probabilities
    seen: frozenset[Key] = frozenset()  # videos that it must not be tested on


Prepare = Callable[[Fold, Path, int], Prepared]  # of a fold, a folder for its training, a seed


# train.py as a user runs it


def read_options(words: Sequence[str], seed: int) -> Arguments:
    """Return what these words ask of train.py; `seed` is used where they name none. Ends with a
    message where they are wrong."""
    where = ["--data", "-", "--out", "-"]  # the last one counts, and these two are not used
    return read_arguments("train.py", ["--seed", str(seed), *words, *where])


def prepare_ours(
    fold: Fold, out: Path, seed: int, face_settings: Mapping, words: Sequence[str]
) -> Prepared:
    """Train on a fold into the run folder `out` as train.py does, or take the finished run there.

    `words` are arguments of train.py; a --seed among them overrides `seed`. The test videos are not
    used.
    """
    args = read_options(words, seed)
    settings, options = args.settings, args.options
    try:
        splits = split_videos(fold.rest, settings.validation_share, settings.seed)
        train.count_steps(splits["train"], settings)  # says what is missing
    except UserError as error:
        raise CannotTrain(f"{fold.name}: {error}") from error
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.backend.clear_session()
    strategy = tf.distribute.MirroredStrategy()
    history = train.train_splits(splits, out, face_settings, settings, options, strategy)
    model_path = out / trained_model.MODEL_NAME
    model_file.calibrate(model_path, splits["validation"])
    score, threshold = scorer_of(model_path, strategy)
    of_frames = report.history_of_frames(out, {"training": vars(settings)}, history)
    return Prepared(score, splits["train"], report.seconds_of([*of_frames, *history]), threshold)


def split_videos(
    faces: Sequence[FaceTrack], validation_share: float, seed: int
) -> dict[str, list[FaceTrack]]:
    """Return the splits for a training, as train.py chooses them from videos.

    Photographs are all trained on, without people of the validation videos: thousands of them would
    make the validation slow, and its threshold one for photographs.
    """
    splits = split_tracks([f for f in faces if f.num_frames > 1], validation_share, 0, seed)
    held_out = set().union(*(face.group_keys for face in splits["validation"]))
    photographs = [f for f in faces if f.num_frames == 1 and held_out.isdisjoint(f.group_keys)]
    return splits | {"train": splits["train"] + photographs}


def scorer_of(model_path: Path, strategy: "tf.distribute.Strategy") -> tuple[Score, float]:
    """Return what scores faces with a model as evaluate.py does, calibrated where it is, and the
    threshold that its training chose."""
    settings = trained_model.read_model_settings(model_path)
    with strategy.scope():
        model = model_file.load(model_path, settings)
    scorer = ClipScorer(model, settings, strategy, BATCH_SIZE)

    def score(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> Scores:
        if not alterations:
            return {}
        paths = whole_video_paths(tracks, scorer.num_frames)
        alter = None if tuple(alterations) == (CLEAN,) else alter_as(alterations)
        raw_scores = scorer.score_paths(paths, tracks, alter, len(alterations))
        scores = (calibrated(scorer, raw) for raw in raw_scores.T)
        return dict(zip(alterations, scores, strict=True))

    return score, calibration.operating_point(settings).threshold


def alter_as(names: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what stacks these alterations of crops, `(num_frames, side, side, 3) uint8`."""
    return lambda crops: np.stack([robustness.ALTERATIONS[name](crops) for name in names])


def calibrated(scorer: ClipScorer, raw_scores: np.ndarray) -> np.ndarray:
    """Return calibrated scores; NaN, of a training that diverged, counts as 0.5."""
    missing = np.isnan(raw_scores)
    if missing.any():
        print(f"{int(missing.sum())} of {len(raw_scores)} scores are NaN and count as 0.5")
    return scorer.calibrated(np.where(missing, 0.5, raw_scores))


# Detectors that do not train here


def prepare_model(model_path: Path, faces: Sequence[FaceTrack]) -> Prepared:
    """Return a trained model, which is tested only on videos that evaluate.py takes for unseen:
    where its split.json is next to it, others are left out.

    Raises UserError where there is no such model, or it was trained on other faces.
    """
    model_path = trained_model.find_model(model_path)
    settings = trained_model.read_model_settings(model_path)
    for folder in sorted({Path(face.folder).parent for face in faces}):
        trained_model.check_faces(folder, settings)
    seen: frozenset[Key] = frozenset()
    if (model_path.parent / trained_model.SPLIT_NAME).exists():
        unseen = evaluate.choose_split(faces, model_path, evaluate.UNSEEN)
        seen = frozenset(f.video_key for f in faces) - {f.video_key for f in unseen}
    score, threshold = scorer_of(model_path, tf.distribute.get_strategy())
    return Prepared(remembered(score, faces), threshold=threshold, seen=seen)


def prepare_mesonet(weights_path: Path, faces: Sequence[FaceTrack]) -> Prepared:
    """Return MesoNet with these weights; the score of a video is the mean over its frames."""
    score_frames = mesonet.load(weights_path)

    def score_crops(crops: np.ndarray) -> float:
        return float(score_frames(crops).mean())

    score = remembered(each_track(score_crops, NUM_FRAMES), faces)
    return Prepared(score, threshold=mesonet.THRESHOLD)


def prepare_blur(faces: Sequence[FaceTrack]) -> Prepared:
    """Return the blur baseline."""
    return Prepared(remembered(each_track(blur_of, NUM_FRAMES), faces))


def remembered(score: Score, faces: Sequence[FaceTrack]) -> Score:
    """Return a score that is computed once for all faces: no fold changes it."""
    known: dict[str, dict[str, float]] = {}  # by alteration and folder of the face

    def look_up(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> Scores:
        missing = [name for name in alterations if name not in known]
        for name, scores in score(faces, missing).items():
            folders = (face.folder for face in faces)
            known[name] = dict(zip(folders, scores.tolist(), strict=True))
        return {
            name: np.array([known[name][track.folder] for track in tracks]) for name in alterations
        }

    return look_up


def each_track(score_crops: ScoreCrops, num_frames: int) -> Score:
    """Return what scores face tracks by `num_frames` crops of each, which are read once for all
    alterations."""

    def score(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> Scores:
        scores = {name: np.zeros(len(tracks)) for name in alterations}
        for index, crop_paths in enumerate(whole_video_paths(tracks, num_frames)):
            if alterations:
                crops = np.stack([_read(Path(os.fsdecode(path))) for path in crop_paths])
            for name in alterations:
                scores[name][index] = score_crops(robustness.ALTERATIONS[name](crops))
        return scores

    return score


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


def prepare_source(fold: Fold, about: Mapping[Key, About]) -> Prepared:
    """Return what scores a video by the share of fakes among the training videos of its source."""
    labels: dict[str | None, list[int]] = {}
    for face in fold.rest:
        labels.setdefault(about[face.video_key].source, []).append(face.label)
    shares = {source: float(np.mean(of_source)) for source, of_source in labels.items()}
    otherwise = float(np.mean([face.label for face in fold.rest]))

    def score(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> Scores:
        scores = np.array(
            [shares.get(about[track.video_key].source, otherwise) for track in tracks]
        )
        return {name: scores for name in alterations}

    return Prepared(score, fold.rest)
