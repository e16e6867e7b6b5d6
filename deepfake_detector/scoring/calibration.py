"""Scores that mean something: a temperature for them, and thresholds for what a user can bear.

Both come from the validation videos at the end of a training, and stand in the settings.json beside
the model:

    "calibration": {"temperature": 1.31, "real": 40, "fake": 40}
    "operating_points": {"equal-error": {"threshold": 0.47, ...}, "false-alarms-5": {...}, ...}

Scores are calibrated for as many fakes as real videos; where fakes are rarer, a score is too high.
What the validation videos are too few for is not made up: it is null, with the reason.
"""

import math
from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize_scalar

from deepfake_detector.console import UserError

LEAST_VIDEOS = 10  # of each class, for a temperature and for the point of equal errors
COLDEST, HOTTEST = 0.05, 20.0
EPSILON = 1e-6  # scores are kept this far from 0 and 1, whose logits are infinite
EQUAL_ERROR, HALF = "equal-error", "half"
FALSE_ALARMS = {"false-alarms-5": 0.05, "false-alarms-1": 0.01}
OPERATING_POINTS = (EQUAL_ERROR, *FALSE_ALARMS, HALF)


def calibrate(labels: np.ndarray, scores: np.ndarray) -> dict:
    """Return what goes into settings.json, for the scores of validation videos.

    `labels`, 1 = fake, and raw `scores`, 0..1, are `(num_videos,)`.
    """
    real, fake = int((labels == 0).sum()), int((labels == 1).sum())
    counts = {"real": real, "fake": fake}
    if min(real, fake) < LEAST_VIDEOS:
        temperature = None
        counts["reason"] = _too_few(LEAST_VIDEOS, counts)
    else:
        temperature = fit_temperature(labels, scores)
    calibration = {"temperature": temperature, **counts}
    calibrated = apply(scores, calibration)
    points = {EQUAL_ERROR: _equal_error_point(labels, calibrated)}
    for name, share in FALSE_ALARMS.items():
        points[name] = _false_alarm_point(labels, calibrated, share)
    return {"calibration": calibration, "operating_points": points}


def apply(scores: np.ndarray, calibration: Mapping | None) -> np.ndarray:
    """Return calibrated scores, `(num_videos,) float64`; unchanged without a temperature."""
    scores = np.asarray(scores, np.float64)
    temperature = (calibration or {}).get("temperature")
    return scores if temperature is None else 1 / (1 + np.exp(-logits(scores) / temperature))


def fit_temperature(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature that minimises the log loss, both classes counting the same.

    A score is divided by it as a logit: above 1 the model was too sure of itself, below 1 not sure
    enough. The order of videos, and so the AUC, stay as they are (Guo et al., ICML 2017,
    arXiv:1706.04599). Labels are taken as 1 - 1 / (n + 2) instead of 1, and 1 / (n + 2) instead of
    0, with n videos of the class: else a few videos that happen to be told apart without a mistake
    would make all scores 0 or 1 (Platt, "Probabilistic outputs for support vector machines", 1999).
    """
    of_scores, fake = logits(scores), labels == 1
    counts = np.where(fake, fake.sum(), (~fake).sum())
    doubts = 1 / (counts + 2)
    margins = np.where(fake, of_scores, -of_scores)

    def loss(log_temperature: float) -> float:
        scaled = margins / math.exp(log_temperature)
        right, wrong = np.logaddexp(0, -scaled), np.logaddexp(0, scaled)
        return float(np.sum(((1 - doubts) * right + doubts * wrong) / counts))

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def threshold_of(settings: Mapping, name: str | None = None) -> tuple[str, float]:
    """Return the operating point and its threshold for calibrated scores.

    Without a name: that of equal errors, or one half where there is none. Raises UserError where
    the model has not the one asked for.
    """
    points = {HALF: {"threshold": 0.5}} | dict(settings.get("operating_points") or {})
    if name is None:
        known = points.get(EQUAL_ERROR) or {}
        name = HALF if known.get("threshold") is None else EQUAL_ERROR
    point = points.get(name) or {"reason": "it was trained before there were any"}
    if point.get("threshold") is None:
        raise UserError(
            f"the model has no operating point {name}: {point['reason']}; train with more "
            "validation videos, or choose another --operating-point"
        )
    return name, float(point["threshold"])


def _equal_error_point(labels: np.ndarray, scores: np.ndarray) -> dict:
    counts = {"real": int((labels == 0).sum()), "fake": int((labels == 1).sum())}
    if min(counts.values()) < LEAST_VIDEOS:
        return {"threshold": None, "reason": _too_few(LEAST_VIDEOS, counts)}
    thresholds, alarms, misses = _rates(labels, scores)
    best = int(np.argmin(np.abs(alarms - misses)))
    return _point(thresholds[best], alarms[best], misses[best])


def _false_alarm_point(labels: np.ndarray, scores: np.ndarray, share: float) -> dict:
    """Return the lowest threshold at which at most this share of real videos is called fake."""
    real = int((labels == 0).sum())
    if real < 1 / share:
        reason = f"{real} real validation videos, and {share:.0%} of them must be at least one"
        return {"threshold": None, "reason": reason}
    thresholds, alarms, misses = _rates(labels, scores)
    lowest = int(np.argmax(alarms <= share))
    return _point(thresholds[lowest], alarms[lowest], misses[lowest])


def _rates(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return thresholds half-way between neighbouring scores, 0 and 1 among them, ascending, and
    the share of real videos called fake and of fake ones called real at each."""
    edges = np.unique(np.concatenate([[0.0], scores, [1.0]]))
    thresholds = (edges[1:] + edges[:-1]) / 2
    real, fake = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    alarms = 1 - np.searchsorted(real, thresholds) / len(real)
    misses = np.searchsorted(fake, thresholds) / max(1, len(fake))
    return thresholds, alarms, misses


def _point(threshold: float, alarms: float, misses: float) -> dict:
    return {
        "threshold": float(threshold),
        "real_called_fake": float(alarms),
        "fake_called_real": float(misses),
    }


def _too_few(least: int, counts: Mapping) -> str:
    return (
        f"{counts['real']} real and {counts['fake']} fake validation videos, fewer than {least} "
        "of each"
    )


def logits(scores: np.ndarray) -> np.ndarray:
    """Return the logits of scores, `float64`, finite also for scores of exactly 0 and 1."""
    scores = np.clip(np.asarray(scores, np.float64), EPSILON, 1 - EPSILON)
    return np.log(scores) - np.log1p(-scores)
