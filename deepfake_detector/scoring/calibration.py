"""Turns scores into probabilities, and probabilities into verdicts: temperature and thresholds.

Both are found on the validation videos at the end of a training, and are saved in the settings.json
next to the model:

    "calibration": {"temperature": 1.31, "real": 40, "fake": 40}
    "operating_points": {"equal-error": {"threshold": 0.47, ...}, "fpr-5": {...}, "fpr-1": {...}}

Scores are calibrated for as many fake as real videos; where fakes are rarer, a score is too high.
Where there are too few validation videos for a value, it is null, and a reason says so.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from deepfake_detector.console import UserError

LEAST_VIDEOS = 10  # of each class, for a temperature and for the point of equal errors
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
EPSILON = 1e-6  # scores are kept this far from 0 and 1, whose logits are infinite
EQUAL_ERROR, HALF = "equal-error", "half"
FALSE_POSITIVE_RATES = {"fpr-5": 0.05, "fpr-1": 0.01}  # the highest that the point allows
OPERATING_POINTS = (EQUAL_ERROR, *FALSE_POSITIVE_RATES, HALF)
# Names in the settings.json of older models, and in scripts that users may have.
FORMER_NAMES = {
    "false-alarms-5": "fpr-5",
    "false-alarms-1": "fpr-1",
    "real_called_fake": "false_positive_rate",
    "fake_called_real": "false_negative_rate",
}


def calibrate(labels: np.ndarray, scores: np.ndarray) -> dict[str, dict]:
    """Return the `calibration` and the `operating_points` of a model, for its settings.json.

    `labels`, 1 = fake, and raw `scores`, 0..1, are those of validation videos, `(num_videos,)`.
    """
    counts = _counts(labels)
    calibration: dict[str, Any] = {"temperature": None, **counts}
    if min(counts.values()) < LEAST_VIDEOS:
        calibration["reason"] = _too_few(counts)
    else:
        calibration["temperature"] = fit_temperature(labels, scores)
    calibrated = apply(scores, calibration)
    points = {EQUAL_ERROR: _equal_error_point(labels, calibrated)}
    for name, highest_rate in FALSE_POSITIVE_RATES.items():
        points[name] = _false_positive_point(labels, calibrated, highest_rate)
    return {"calibration": calibration, "operating_points": points}


def apply(scores: np.ndarray, calibration: Mapping | None) -> np.ndarray:
    """Return calibrated scores, `(num_videos,) float64`; unchanged without a temperature."""
    scores = np.asarray(scores, np.float64)
    temperature = (calibration or {}).get("temperature")
    return scores if temperature is None else 1 / (1 + np.exp(-logits(scores) / temperature))


def current_name(name: str) -> str:
    """Return the name that an operating point or one of its values has today."""
    return FORMER_NAMES.get(name, name)


def operating_points(settings: Mapping) -> dict[str, dict]:
    """Return the operating points of a model by their names of today; empty for an old model."""
    return {
        current_name(name): {current_name(key): value for key, value in point.items()}
        for name, point in (settings.get("operating_points") or {}).items()
    }


def threshold_of(settings: Mapping, name: str | None = None) -> tuple[str, float]:
    """Return the name of an operating point and its threshold for calibrated scores.

    Without a `name`: that of equal errors, or one half for a model that has none. Raises UserError
    where the model does not have the one asked for.
    """
    points: dict[str, dict] = {HALF: {"threshold": 0.5}, **operating_points(settings)}
    if name is None:
        has_one = points.get(EQUAL_ERROR, {}).get("threshold") is not None
        name = EQUAL_ERROR if has_one else HALF
    name = current_name(name)
    point = points.get(name) or {"reason": "it was trained before there were any"}
    if point.get("threshold") is None:
        raise UserError(
            f"the model has no operating point {name}: {point['reason']}; train with more "
            "validation videos, or choose another --operating-point"
        )
    return name, float(point["threshold"])


def fit_temperature(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature that minimises the log loss, with equal weight for both classes.

    Logits of scores are divided by it: above 1 the model was too confident, below 1 not confident
    enough. The order of the videos, and so the AUC, stay the same (Guo et al., ICML 2017,
    arXiv:1706.04599). Labels are smoothed to 1 - 1 / (n + 2) and 1 / (n + 2), with n videos of the
    class: otherwise a few videos that happen to be separated without an error would make all scores
    0 or 1 (Platt, "Probabilistic outputs for support vector machines", 1999).
    """
    # Here, because the command line only needs the names above, and SciPy takes a second.
    from scipy.optimize import minimize_scalar

    score_logits, fake = logits(scores), labels == 1
    counts = np.where(fake, fake.sum(), (~fake).sum())
    smoothing = 1 / (counts + 2)
    margins = np.where(fake, score_logits, -score_logits)

    def loss(log_temperature: float) -> float:
        scaled = margins / math.exp(log_temperature)
        right, wrong = np.logaddexp(0, -scaled), np.logaddexp(0, scaled)
        return float(np.sum(((1 - smoothing) * right + smoothing * wrong) / counts))

    bounds = (math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def logits(scores: np.ndarray) -> np.ndarray:
    """Return the logits of scores, `float64`, finite also for scores of exactly 0 and 1."""
    scores = np.clip(np.asarray(scores, np.float64), EPSILON, 1 - EPSILON)
    return np.log(scores) - np.log1p(-scores)


def _equal_error_point(labels: np.ndarray, scores: np.ndarray) -> dict:
    """Return the threshold where both error rates are as close as they come."""
    counts = _counts(labels)
    if min(counts.values()) < LEAST_VIDEOS:
        return {"threshold": None, "reason": _too_few(counts)}
    thresholds, false_positives, false_negatives = _error_rates(labels, scores)
    best = int(np.argmin(np.abs(false_positives - false_negatives)))
    return _point(thresholds[best], false_positives[best], false_negatives[best])


def _false_positive_point(labels: np.ndarray, scores: np.ndarray, highest_rate: float) -> dict:
    """Return the lowest threshold whose false positive rate is at most `highest_rate`."""
    real = _counts(labels)["real"]
    if real < 1 / highest_rate:
        reason = f"{real} real validation videos, and {highest_rate:.0%} of them must be at least 1"
        return {"threshold": None, "reason": reason}
    thresholds, false_positives, false_negatives = _error_rates(labels, scores)
    lowest = int(np.argmax(false_positives <= highest_rate))
    return _point(thresholds[lowest], false_positives[lowest], false_negatives[lowest])


def _error_rates(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return thresholds, ascending, and the false positive and false negative rate at each.

    A threshold lies half-way between neighbouring scores, 0 and 1 among them.
    """
    edges = np.unique(np.concatenate([[0.0], scores, [1.0]]))
    thresholds = (edges[1:] + edges[:-1]) / 2
    real, fake = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    false_positives = 1 - np.searchsorted(real, thresholds) / len(real)
    false_negatives = np.searchsorted(fake, thresholds) / max(1, len(fake))
    return thresholds, false_positives, false_negatives


def _point(threshold: float, false_positive_rate: float, false_negative_rate: float) -> dict:
    return {
        "threshold": float(threshold),
        "false_positive_rate": float(false_positive_rate),
        "false_negative_rate": float(false_negative_rate),
    }


def _counts(labels: np.ndarray) -> dict[str, int]:
    return {"real": int((labels == 0).sum()), "fake": int((labels == 1).sum())}


def _too_few(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['real']} real and {counts['fake']} fake validation videos, fewer than "
        f"{LEAST_VIDEOS} of each"
    )
