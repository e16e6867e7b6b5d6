"""How a model's figures hold when the faces have been through what happens to videos on the way.

Recompressed, shrunk, blurred, noisy, dark: detectors that do well on the data they were made for
fall there. In the DFDC challenge (Dolhansky et al., arXiv:2006.07397) the best entry had 82.6 % of
the public test videos right, and the best one on the hidden videos 65.2 % of those (announcement
of the results by Facebook AI, June 2020).

Changes are made to the crops, not to the videos: that no face would be found any more in a dark
video is not in these figures, so they are on the bright side.

    rows = robustness.table(network, faces, lambda raw: scoring.highest_scoring_faces(faces, raw))
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring import metrics
from deepfake_detector.scoring.clip_scorer import ClipScorer

BLUR_SIGMA = 2.0  # pixels of a crop
NOISE_SIGMA = 12.0  # grey levels
DARK_FACTOR = 0.35
SEED = 0


def jpeg(crops: np.ndarray, quality: int) -> np.ndarray:
    """Return crops after JPEG of this quality, `(num_frames, height, width, 3) uint8` RGB."""
    return np.stack([images.compress(crop, quality) for crop in crops])


def smaller(crops: np.ndarray, divisor: int) -> np.ndarray:
    """Return crops shrunk by `divisor` and enlarged to their size again."""
    height, width = crops.shape[1:3]
    low = (max(1, width // divisor), max(1, height // divisor))
    shrunk = (cv2.resize(crop, low, interpolation=cv2.INTER_AREA) for crop in crops)
    return np.stack([cv2.resize(crop, (width, height)) for crop in shrunk])


def blurred(crops: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(crop, (0, 0), BLUR_SIGMA) for crop in crops])


def noisy(crops: np.ndarray) -> np.ndarray:
    """Return crops under Gaussian noise, another one in each frame and the same for all videos."""
    return np.clip(crops + _noise(crops.shape), 0, 255).astype(np.uint8)


def dark(crops: np.ndarray) -> np.ndarray:
    return np.rint(crops * np.float32(DARK_FACTOR)).astype(np.uint8)


@functools.lru_cache(maxsize=2)
def _noise(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    return np.rint(rng.standard_normal(shape, np.float32) * NOISE_SIGMA).astype(np.int16)


# Crops in and out, `(num_frames, height, width, 3) uint8` RGB.
CHANGES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "clean": lambda crops: crops,
    "JPEG quality 75": functools.partial(jpeg, quality=75),
    "JPEG quality 50": functools.partial(jpeg, quality=50),
    "JPEG quality 30": functools.partial(jpeg, quality=30),
    "half resolution": functools.partial(smaller, divisor=2),
    "quarter resolution": functools.partial(smaller, divisor=4),
    "blur": blurred,
    "noise": noisy,
    "dark": dark,
}


def change(crops: np.ndarray) -> np.ndarray:
    """Return the crops under every one of CHANGES, `(num_changes, *crops.shape) uint8`."""
    return np.stack([changed(crops) for changed in CHANGES.values()])


def table(
    scorer: ClipScorer,
    faces: Sequence[FaceTrack],
    decide: Callable[[np.ndarray], Sequence[int]],
) -> list[dict]:
    """Return a row for each of CHANGES, `name`, `roc_auc` and `log_loss` of the videos.

    `faces` are all faces of the videos, and `decide` says for raw scores of them which faces speak
    for the videos.
    """
    paths = whole_video_paths(faces, scorer.num_frames)
    raw = scorer.score_paths(
        paths, faces, change, len(CHANGES), description="scoring altered faces"
    )
    rows = []
    for name, of_faces in zip(CHANGES, raw.T, strict=True):
        decisive = decide(of_faces)
        labels = np.array([faces[index].label for index in decisive])
        scores = scorer.calibrated(of_faces[decisive])
        auc, loss = metrics.roc_auc(labels, scores), metrics.log_loss(labels, scores)
        rows.append({"name": name, "roc_auc": auc, "log_loss": loss})
    return rows
