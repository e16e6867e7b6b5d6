"""What the accuracy benchmark compares: train.py, trained models, and one without a network.

Each of them prepares a fold and returns a `Prepared`, whose `score` takes face tracks and names of
robustness.ALTERATIONS and returns scores, `(num_tracks,)` for each name.

The blur baseline measures how blurred the middle of a face is: a network that finds fakes no better
measures no more than sharpness.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import evaluate
import train
from benchmarks.accuracy.folds import Fold
from benchmarks.accuracy.sources import Key
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError
from deepfake_detector.evaluation import robustness
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.face_dataset.splits import split_tracks
from deepfake_detector.scoring import calibration, model_file, trained_model
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.videos.metadata import FAKE, METADATA_NAME, REAL

CLEAN = "clean"
ALTERED = tuple(
    name
    for name in ("JPEG quality 50", "half resolution", "H.264 CRF 35")
    if name in robustness.ALTERATIONS
)
Scores = dict[str, np.ndarray]  # by alteration
Score = Callable[[Sequence[FaceTrack], Sequence[str]], Scores]

BLUR_FRAMES = 8  # of each track
INNER_FACE = (0.5, 0.54, 0.225, 0.27)  # centre x, y and half axes, in sides of the crop


class CannotTrain(UserError):
    """The training videos of a fold are too few, or of too few people."""


@dataclass(frozen=True)
class Prepared:
    """A detector that has seen the training videos of a fold."""

    score: Score
    threshold: float | None = None  # None for scores that are not probabilities
    seen: frozenset[Key] = frozenset()  # videos that it must not be tested on


Prepare = Callable[[Fold, Path, int], Prepared]  # of a fold, a folder for its training, a seed


# train.py as a user runs it


def prepare_ours(
    fold: Fold, out: Path, seed: int, validation_share: float, words: Sequence[str]
) -> Prepared:
    """Train on a fold as train.py does, or take the finished run, in `out`.

    `words` are arguments of train.py; a --seed among them overrides `seed`. Raises CannotTrain if
    it ends with a message.
    """
    try:
        faces = write_faces(split_videos(fold.rest, validation_share, seed), out / "faces")
    except UserError as error:
        raise CannotTrain(f"{fold.name}: {error}") from error
    run = out / "run"
    where = ["--data", str(faces), "--out", str(run), "--test-share", "0"]
    if train.main(["--seed", str(seed), *words, *where]):
        raise CannotTrain(f"{fold.name}: train.py said why")
    return prepare_model(run, [])


def split_videos(
    tracks: Sequence[FaceTrack], validation_share: float, seed: int
) -> dict[str, list[FaceTrack]]:
    """Return the splits for a training, as train.py chooses them from videos.

    Photographs are all trained on, without people of the validation videos: thousands of them would
    make the validation slow, and its threshold one for photographs.
    """
    splits = split_tracks([t for t in tracks if not t.is_photograph], validation_share, 0, seed)
    held_out = set().union(*(track.group_keys for track in splits["validation"]))
    photographs = [t for t in tracks if t.is_photograph and held_out.isdisjoint(t.group_keys)]
    return {"train": splits["train"] + photographs, "validation": splits["validation"]}


def write_faces(splits: dict[str, list[FaceTrack]], folder: Path) -> Path:
    """Write a folder of faces with these as its official splits: links to the folders of crops.

    Names and source groups are those of the tracks, which may come from several folders.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sources = sorted({Path(track.folder).parent for tracks in splits.values() for track in tracks})
    shutil.copy(sources[0] / SETTINGS_NAME, folder)
    metadata = {}
    for split, tracks in splits.items():
        for track in tracks:
            number = sources.index(Path(track.folder).parent)
            name, video = (f"{number}-{of}" for of in (track.name, track.video))
            (folder / name).symlink_to(Path(track.folder).resolve())
            metadata[name] = {
                "label": FAKE if track.label else REAL,
                "split": split,
                "original": f"original of {track.source_group}",  # of all that were made from it
                "video": video,
                "people": list(track.people),
                "content": track.content,
                "method": track.method,
                "source": track.collection,
                "synthetic": track.is_synthetic,
            }
    (folder / METADATA_NAME).write_text(json.dumps(metadata, indent=1), encoding="utf-8")
    return folder


# Detectors that do not train here


def prepare_model(model_path: Path, tracks: Sequence[FaceTrack]) -> Prepared:
    """Return a trained model, which is tested only on videos that evaluate.py takes for unseen.

    If its split.json is next to it, other videos of `tracks` are left out. Raises UserError if it
    is missing or was trained on other faces.
    """
    model_path = trained_model.find_model(model_path)
    settings = trained_model.read_model_settings(model_path)
    for folder in sorted({Path(track.folder).parent for track in tracks}):
        trained_model.check_faces(folder, settings)
    seen: frozenset[Key] = frozenset()
    if tracks and (model_path.parent / trained_model.SPLIT_NAME).exists():
        unseen = evaluate.choose_split(tracks, model_path, evaluate.UNSEEN)
        seen = frozenset(t.video_key for t in tracks) - {t.video_key for t in unseen}
    scorer = ClipScorer(model_file.load(model_path, settings), settings)

    def score(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> Scores:
        scores = {}
        for name in alterations:
            raw = scorer.score_tracks(tracks, robustness.ALTERATIONS[name])
            # NaN, of a training that diverged, counts as 0.5.
            scores[name] = scorer.calibrated(np.nan_to_num(raw, nan=0.5))
        return scores

    return Prepared(score, calibration.operating_point(settings).fake_from, seen)


def score_blur(tracks: Sequence[FaceTrack], alterations: Sequence[str]) -> Scores:
    """Return how blurred each track is, see `blur_of`."""
    scores = {name: np.zeros(len(tracks)) for name in alterations}
    for index, crop_paths in enumerate(whole_video_paths(tracks, BLUR_FRAMES)):
        crops = np.stack([_read(os.fsdecode(path)) for path in crop_paths])
        for name in alterations:
            scores[name][index] = blur_of(robustness.ALTERATIONS[name](crops))
    return scores


def _read(path: str) -> np.ndarray:
    crop_bgr = cv2.imread(path)
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
        details.append(np.median(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))[inside]))
    return -float(np.mean(details))
