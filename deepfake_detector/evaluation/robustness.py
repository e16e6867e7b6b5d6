"""Metrics of a model on altered faces: compressed, downscaled, blurred, noisy, dark.

    rows = robustness_table(scorer, tracks)      # [{"name": "clean", "roc_auc": 0.97, ...}, ...]

Detectors that do well on the data they were made for fail on such videos. In the DFDC challenge
(Dolhansky et al., arXiv:2006.07397) the best entry had an accuracy of 82.6 % on the public test
videos, and the winner 65.2 % on the hidden ones (announcement of the results by Facebook AI, June
2020).

Crops are altered, not videos. In a dark video a face may not be found at all; these metrics do not
contain that, so they are optimistic.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring import metrics
from deepfake_detector.scoring.clip_scorer import ClipScorer, highest_scoring_tracks

BLUR_SIGMA = 2.0  # pixels of a crop
NOISE_SIGMA = 12.0  # grey levels
DARK_FACTOR = 0.35
H264_CRF = 35  # of 0..51; 23 is the encoder's default, video sites use up to 30
SEED = 0


def robustness_table(scorer: ClipScorer, tracks: Sequence[FaceTrack]) -> list[dict]:
    """Return a row for each of ALTERATIONS: `name`, `roc_auc` and `log_loss` of the videos.

    Each alteration has its own highest-scoring faces. Raises UserError if a crop cannot be read.
    """
    rows = []
    for name, alter in ALTERATIONS.items():
        raw = scorer.score_tracks(tracks, alter, f"scoring: {name}")
        highest = highest_scoring_tracks(tracks, raw)
        labels = np.array([tracks[index].label for index in highest])
        scores = scorer.calibrated(raw[highest])
        auc, loss = metrics.roc_auc(labels, scores), metrics.log_loss(labels, scores)
        rows.append({"name": name, "roc_auc": auc, "log_loss": loss})
    return rows


def noisy(crops: np.ndarray) -> np.ndarray:
    """Return crops with Gaussian noise, different in each frame and the same for all videos."""
    grain = np.random.default_rng(SEED).standard_normal(crops.shape, np.float32) * NOISE_SIGMA
    return np.clip(crops + np.rint(grain), 0, 255).astype(np.uint8)


def each_frame(
    alter: Callable[..., np.ndarray], *arguments: object, **options: object
) -> images.Change:
    """Return what applies `alter(crop, *arguments, **options)` to each crop of a clip."""
    return lambda crops: np.stack([alter(crop, *arguments, **options) for crop in crops])


# Crops in and out, `(num_frames, height, width, 3) uint8` RGB.
ALTERATIONS: Mapping[str, images.Change] = {
    "clean": lambda crops: crops,
    "JPEG quality 75": each_frame(images.compress, 75),
    "JPEG quality 50": each_frame(images.compress, 50),
    "JPEG quality 30": each_frame(images.compress, 30),
    "half resolution": each_frame(images.resampled, 2),
    "quarter resolution": each_frame(images.resampled, 4),
    "blur": each_frame(cv2.GaussianBlur, (0, 0), BLUR_SIGMA),
    "noise": noisy,
    "dark": each_frame(images.colour(DARK_FACTOR, 0.0)),
} | (
    # The frames of a clip lie further apart than those of a video, so prediction from one to the
    # next helps the encoder less.
    {f"H.264 CRF {H264_CRF}": functools.partial(images.h264, crf=H264_CRF)}
    if images.CAN_ENCODE_H264
    else {}
)
