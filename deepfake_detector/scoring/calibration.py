"""Turns scores into probabilities, and probabilities into verdicts: calibration, operating points.

Both rest on the validation videos of a training, and settings.json next to the model says what was
found:

    "calibration": {"slope": 0.81, "offset": -0.2,
        "real_scores": [0.02, 0.05, ...], "fake_scores": [0.11, ...]}

These scores are calibrated and sorted. They are calibrated for as many fake as real videos; if
fakes are rarer, a score is too high.

An operating point is two scores. From one on a video is FAKE, because few real videos score that
high; below the other it is REAL, because few fakes score that low; between them it is UNCERTAIN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepfake_detector.console import ArgumentError, counted, setting
from deepfake_detector.videos.vocabulary import FAKE, REAL

UNCERTAIN = "UNCERTAIN"  # next to FAKE and REAL
MIN_VIDEOS = 5  # of each class, for a calibration and limits
MIN_SLOPE = 0.05  # scores keep their order, also if the validation videos say otherwise
EPSILON = 1e-6  # scores are kept this far from 0 and 1, whose logits are infinite
MIN_BAND = 0.1  # of a logit, half of it: JPEG quality 75 moves the logits of the demo by 0.11
UNKNOWN_LIMIT = 2 / 3  # of P(fake) for FAKE, and of P(real) for REAL, if nothing was measured


@dataclass(frozen=True)
class PointOptions:
    """Which scores are FAKE and which REAL. Raises UserError for a value out of range."""

    max_false_positive_rate: float = setting(
        0.1, "share of real videos that may be called FAKE (%(default)s)", metavar="RATE"
    )
    max_false_negative_rate: float = setting(
        0.2, "share of fakes that may be called REAL (%(default)s)", metavar="RATE"
    )
    threshold: float | None = setting(
        None,
        "one score instead of these two rates: FAKE from it on, REAL below it",
        metavar="SCORE",
    )

    def __post_init__(self) -> None:
        for name in ("max_false_positive_rate", "max_false_negative_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ArgumentError(name, getattr(self, name), "above 0 and below 1")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ArgumentError("threshold", self.threshold, "from 0 to 1")


@dataclass(frozen=True)
class ErrorRate:
    """How many validation videos of a class get the wrong verdict."""

    errors: int
    videos: int
    low: float  # of the 95 % interval of the rate
    high: float

    @property
    def rate(self) -> float:
        return self.errors / self.videos


@dataclass(frozen=True)
class OperatingPoint:
    """The calibrated scores that separate FAKE, UNCERTAIN and REAL, and how often that is wrong."""

    fake_from: float  # a score at or above it is FAKE
    real_below: float  # a score below it is REAL; not above `fake_from`
    false_positives: ErrorRate | None = None  # of real videos; None if there were none
    false_negatives: ErrorRate | None = None  # of fakes

    def verdict(self, score: float) -> str:
        """Return FAKE, REAL or UNCERTAIN."""
        if score >= self.fake_from:
            return FAKE
        return REAL if score < self.real_below else UNCERTAIN


def operating_point(
    settings: Mapping,
    options: PointOptions = PointOptions(),  # noqa: B008  it is frozen
) -> OperatingPoint:
    """Return the operating point of a model, by its settings.json.

    A class with fewer than `MIN_VIDEOS` says nothing: then FAKE is from 2/3 on, or REAL below 1/3.
    """
    found = settings.get("calibration") or {}
    real, fake = (np.array(found.get(f"{name}_scores") or [], float) for name in ("real", "fake"))
    fake_from = _few_above(real, options.max_false_positive_rate)
    not_real_from = _few_above(1 - fake, options.max_false_negative_rate)
    if options.threshold is not None:
        high = low = options.threshold
    else:
        ends = logits(np.array([fake_from, 1 - not_real_from]))
        # Limits that overlap keep both rates with any score between them.
        middle, half = ends.mean(), max((ends[0] - ends[1]) / 2, MIN_BAND)
        high, low = sigmoid(middle + half * np.array([1, -1])).tolist()
    return OperatingPoint(high, low, _error_rate(real >= high), _error_rate(fake < low))


def _few_above(scores: np.ndarray, rate: float) -> float:
    """Return the lowest limit with at most this share of the scores above it, half-way between
    neighbouring scores; UNKNOWN_LIMIT for too few scores."""
    if len(scores) < MIN_VIDEOS:
        return UNKNOWN_LIMIT
    highest = np.sort(scores)[-int(rate * len(scores)) - 1]  # of those below the limit
    return float(highest + scores[scores > highest].min(initial=1.0)) / 2


def _error_rate(is_wrong: np.ndarray) -> ErrorRate | None:
    if not len(is_wrong):
        return None
    errors = int(is_wrong.sum())
    return ErrorRate(errors, len(is_wrong), *share_interval(errors, len(is_wrong)))


def apply(scores: np.ndarray, calibration: Mapping | None) -> np.ndarray:
    """Return calibrated scores, `(num_videos,) float64`; unchanged without a calibration."""
    scores = np.asarray(scores, np.float64)
    found = calibration or {}
    slope, offset = found.get("slope", 1.0), found.get("offset", 0.0)
    return scores if (slope, offset) == (1, 0) else sigmoid(slope * logits(scores) + offset)


def logits(scores: np.ndarray | float) -> np.ndarray:
    """Return the logits of scores, `float64`, finite also for scores of exactly 0 and 1."""
    scores = np.clip(np.asarray(scores, np.float64), EPSILON, 1 - EPSILON)
    return np.log(scores) - np.log1p(-scores)


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


# Found on validation videos: `labels`, 1 = fake, and raw `scores`, 0..1, are `(num_videos,)`. SciPy
# and scikit-learn are imported where they are used: others only need the names above.


def calibrate(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Return the `calibration` of a model for its settings.json."""
    real, fake = (int((labels == label).sum()) for label in (0, 1))
    found: dict[str, Any] = {"slope": 1.0, "offset": 0.0}
    if min(real, fake) < MIN_VIDEOS:
        found["reason"] = (
            f"{counted(real, 'real validation video')} and {fake} fake, and it takes {MIN_VIDEOS} "
            "of each"
        )
    else:
        found["slope"], found["offset"] = fit(labels, scores)
    calibrated = apply(scores, found)
    for label, name in enumerate(("real_scores", "fake_scores")):
        found[name] = np.sort(calibrated[labels == label]).round(6).tolist()
    return found


def fit(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of the logits that make scores probabilities, for equal classes:
    Platt's logistic regression on them ("Probabilistic outputs for support vector machines", 1999).

    Its penalty keeps a few videos that are separated without an error from making all scores 0 or
    1. In the median of 20 simulated sets of 5 to 100 videos, log loss and ECE were as good as with
    a prior around doing nothing, and on the demo and on 155 real clips they were better.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0)
    model.fit(logits(scores)[:, None], labels, sample_weight=_weights(labels))
    return max(float(model.coef_[0, 0]), MIN_SLOPE), float(model.intercept_[0])


def _weights(labels: np.ndarray) -> np.ndarray:
    """Return weights that give both classes the same, and together what the rarer one is worth.

    The variance of a difference of two means is that of two classes of the harmonic mean.
    """
    real, fake = np.maximum(np.bincount(labels, minlength=2), 1)
    return 2 / (real + fake) * np.where(labels == 1, real, fake)


def share_interval(count: int, total: int) -> list[float]:
    """Return the 95 % interval of a share, by Clopper and Pearson (Biometrika 1934), which holds
    the true share at least 95 times in 100, of however few videos."""
    from scipy.stats import binomtest

    return list(map(float, binomtest(count, total).proportion_ci()))
