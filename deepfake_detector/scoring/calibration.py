"""Turns scores into probabilities, and probabilities into verdicts: calibration and thresholds.

Both are found on the validation videos at the end of a training, and are saved in the settings.json
next to the model:

    "calibration": {"slope": 0.81, "offset": -0.2, "real": 40, "fake": 40}
    "operating_points": {"equal-error": {"threshold": 0.47, "uncertain": [0.39, 0.55],
        "false_positive_rate": 0.1, "false_positive_rate_interval": [0.03, 0.24], ...}, ...}

Scores are calibrated for as many fake as real videos; where fakes are rarer, a score is too high.
If there are too few validation videos for a threshold, it is null, and a `reason` says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any

import numpy as np

from deepfake_detector.console import UserError, counted

# Prior of the logarithm of the slope and of the offset: Student's t with three degrees of freedom
# around doing nothing. With this scale, scores that are right already lose 0.003 of log loss where
# there are ten videos of a class, and wrong ones are corrected from twenty on, because the tails of
# t are wide (python -m benchmarks.calibration; Gelman et al., doi:10.1214/08-AOAS191, also take t).
PRIOR_SCALE, PRIOR_FREEDOM = 0.3, 3
PRIOR_VARIANCE = PRIOR_SCALE**2 * PRIOR_FREEDOM / (PRIOR_FREEDOM - 2)
LEAST_VIDEOS = 5  # of each class, for a calibration and for the point of equal errors
EPSILON = 1e-6  # scores are kept this far from 0 and 1, whose logits are infinite
CONFIDENCE = 0.9  # that a score outside of the band is on its side of the threshold
LEAST_BAND = 0.1  # of a logit on each side: JPEG quality 75 moves those of the demo by 0.11
LEAST_SPREAD = 0.1  # of the logits of a class, which may all be the same
EQUAL_ERROR, HALF = "equal-error", "half"
FALSE_POSITIVE_RATES = {"fpr-5": 0.05, "fpr-1": 0.01}  # the highest that the point allows
OPERATING_POINTS = (EQUAL_ERROR, *FALSE_POSITIVE_RATES, HALF)
Interval = Sequence[float]  # low, high


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold for calibrated scores, and what is known of it; None is not known.

    Rates are shares of the validation videos, and their intervals are of 95 %.
    """

    name: str
    threshold: float  # a score at or above it is fake
    uncertain: Interval | None = None  # scores between these leave the verdict open
    false_positive_rate: float | None = None
    false_positive_rate_interval: Interval | None = None
    false_negative_rate: float | None = None
    false_negative_rate_interval: Interval | None = None
    validation_videos: Mapping[str, int] | None = None  # numbers of "real" and "fake" ones


def calibrate(labels: np.ndarray, scores: np.ndarray) -> dict[str, dict]:
    """Return the `calibration` and the `operating_points` of a model, for its settings.json.

    `labels`, 1 = fake, and raw `scores`, 0..1, are those of validation videos, `(num_videos,)`.
    """
    counts = _counts(labels)
    enough = min(counts.values()) >= LEAST_VIDEOS
    slope, offset = fit(labels, scores) if enough else (1.0, 0.0)
    calibration: dict[str, Any] = {"slope": slope, "offset": offset, **counts}
    if not enough:
        calibration["reason"] = _too_few(counts)
    calibrated = apply(scores, calibration)
    thresholds: dict[str, float | str] = {
        EQUAL_ERROR: _equal_error_threshold(labels, calibrated) if enough else _too_few(counts),
        **{
            name: _false_positive_threshold(labels, calibrated, highest_rate)
            for name, highest_rate in FALSE_POSITIVE_RATES.items()
        },
        HALF: 0.5,
    }
    points: dict[str, dict] = {}
    for name, threshold in thresholds.items():
        if isinstance(threshold, str):
            points[name] = {"threshold": None, "reason": threshold}
        else:
            band = uncertain_band(threshold, labels, calibrated, offset)
            points[name] = {
                "threshold": threshold,
                "uncertain": band,
                **_error_rates(labels, calibrated, threshold),
                "validation_videos": counts,
            }
    return {"calibration": calibration, "operating_points": points}


def apply(scores: np.ndarray, calibration: Mapping | None) -> np.ndarray:
    """Return calibrated scores, `(num_videos,) float64`; unchanged without a calibration."""
    scores = np.asarray(scores, np.float64)
    found = calibration or {}
    slope, offset = found.get("slope", 1.0), found.get("offset", 0.0)
    if (slope, offset) == (1.0, 0.0):
        return scores
    return _probabilities(slope * logits(scores) + offset)


def operating_point(settings: Mapping, name: str | None = None) -> OperatingPoint:
    """Return an operating point of a model.

    Without a `name`: that of equal errors, or one half for a model that has none. Raises UserError
    where the model does not have the one asked for.
    """
    points: dict[str, dict] = {HALF: {"threshold": 0.5}, **(settings.get("operating_points") or {})}
    if name is None:
        has_one = points.get(EQUAL_ERROR, {}).get("threshold") is not None
        name = EQUAL_ERROR if has_one else HALF
    point = points.get(name) or {"reason": "its settings.json has none of this name"}
    if point.get("threshold") is None:
        raise UserError(
            f"the model has no operating point {name}: {point['reason']}; give "
            f"--operating-point {HALF}, or calibrate the model on more videos by evaluate.py "
            "--calibrate"
        )
    known = {field.name for field in fields(OperatingPoint)}
    return OperatingPoint(name, **{key: value for key, value in point.items() if key in known})


def is_uncertain(scores: np.ndarray | float, band: Interval | None) -> np.ndarray:
    """Say of which calibrated scores the verdict is open: those between the ends of the band, or
    none without one. The result has the shape of `scores`, bool."""
    low, high = band or (1.0, 0.0)
    return (np.asarray(scores) > low) & (np.asarray(scores) < high)


def fit(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of the logits that make scores probabilities, for equal classes.

    It is Platt's logistic regression ("Probabilistic outputs for support vector machines", 1999) on
    the logits, shrunk towards a slope of 1 and an offset of 0 by a prior, which weighs the more the
    fewer videos there are. The slope is positive: the order of the videos, and so the AUC, stay.
    `labels`, 1 = fake, and raw `scores`, 0..1, are `(num_videos,)`, with both classes.
    """
    # Here, because the command line only needs the names above, and SciPy takes a second.
    from scipy.optimize import minimize

    raw_logits, weights = logits(scores), _weights(labels)
    signs = np.where(labels == 1, 1, -1)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = math.exp(parameters[0]) * raw_logits
        margins = signs * (scaled + parameters[1])
        spread = PRIOR_FREEDOM * PRIOR_SCALE**2 + parameters**2
        prior = (PRIOR_FREEDOM + 1) / 2 * np.log(spread).sum()
        slopes = -weights * signs * _probabilities(-margins)  # of the loss, by the logits
        gradient = np.array([slopes @ scaled, slopes.sum()])
        gradient += (PRIOR_FREEDOM + 1) * parameters / spread
        return float(weights @ np.logaddexp(0, -margins) + prior), gradient

    # Within bounds nothing overflows; a slope of 20 or an offset of 10 is of a broken model.
    bounds = [(-math.log(20), math.log(20)), (-10, 10)]
    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds)
    log_slope, offset = found.x
    return math.exp(log_slope), float(offset)


def uncertain_band(
    threshold: float, labels: np.ndarray, calibrated: np.ndarray, offset: float
) -> list[float]:
    """Return between which calibrated scores it is open on which side of the threshold they are.

    A few validation videos leave open what the calibration is. The variance of a calibrated logit
    follows from that of slope and offset (Laplace approximation and delta method), in which the
    prior counts with its variance: its peak is narrow, and its tails are what a doubt is about.
    """
    log_odds = logits(calibrated)
    gradients = np.stack([log_odds - offset, np.ones(len(log_odds))])  # by log slope and offset
    information = _weights(labels) * calibrated * (1 - calibrated)
    covariance = np.linalg.inv((information * gradients) @ gradients.T + np.eye(2) / PRIOR_VARIANCE)
    middle = float(logits(threshold))
    gradient = np.array([middle - offset, 1.0])
    reach = NormalDist().inv_cdf(CONFIDENCE) * math.sqrt(gradient @ covariance @ gradient)
    reach = max(reach, LEAST_BAND)
    return _probabilities(np.array([middle - reach, middle + reach])).tolist()


def logits(scores: np.ndarray | float) -> np.ndarray:
    """Return the logits of scores, `float64`, finite also for scores of exactly 0 and 1."""
    scores = np.clip(np.asarray(scores, np.float64), EPSILON, 1 - EPSILON)
    return np.log(scores) - np.log1p(-scores)


def _probabilities(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def _weights(labels: np.ndarray) -> np.ndarray:
    """Return weights that give both classes the same, and together what the rarer one is worth.

    The variance of a difference of two means is that of two classes of the harmonic mean.
    """
    real, fake = _counts(labels).values()
    each = 2 * real * fake / max(1, real + fake)
    return np.where(labels == 1, each / max(1, fake), each / max(1, real))


def _equal_error_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return where both error rates are equal, smoothed, and shrunk towards one half.

    Each logit is a normal distribution of Silverman's width (Density Estimation for Statistics and
    Data Analysis, 1986, equation 3.31): otherwise a single video moves the threshold from one gap
    to the next. The flatter the rates are where they cross, the less is known of the place (delta
    method), and the more counts the prior of the calibration.
    """
    from scipy.optimize import brentq
    from scipy.special import log_ndtr, logsumexp, ndtr

    real, fake = (logits(scores[labels == label]) for label in (0, 1))
    widths = _kernel_width(real), _kernel_width(fake)

    def difference(threshold: float) -> float:
        # Logarithms still differ where both rates are 0 to the last digit.
        false_positives = logsumexp(log_ndtr((real - threshold) / widths[0])) - math.log(len(real))
        false_negatives = logsumexp(log_ndtr((threshold - fake) / widths[1])) - math.log(len(fake))
        return float(false_positives - false_negatives)

    every, margin = np.concatenate([real, fake]), 10 * max(widths)
    crossing = brentq(difference, every.min() - margin, every.max() + margin)
    rate_variance, steepness = 0.0, 0.0
    for values, width in zip((real, fake), widths, strict=True):
        distances = (crossing - values) / width
        # No error of twelve is no rate of 0 (rule of succession).
        rate = (ndtr(distances).sum() + 1) / (len(values) + 2)
        rate_variance += rate * (1 - rate) / len(values)
        steepness += np.exp(-(distances**2) / 2).mean() / (width * math.sqrt(2 * math.pi))
    shrinkage = PRIOR_VARIANCE / (PRIOR_VARIANCE + rate_variance / max(steepness, EPSILON) ** 2)
    return float(_probabilities(np.array(shrinkage * crossing)))


def _kernel_width(values: np.ndarray) -> float:
    quartiles = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.34
    spread = min(max(float(values.std()), LEAST_SPREAD), max(quartiles, LEAST_SPREAD))
    return 0.9 * spread * len(values) ** -0.2


def _false_positive_threshold(
    labels: np.ndarray, scores: np.ndarray, highest_rate: float
) -> float | str:
    """Return the lowest threshold whose false positive rate is at most `highest_rate`, or why there
    is none.

    It lies half-way between neighbouring scores, 0 and 1 among them.
    """
    real = np.sort(scores[labels == 0])
    if len(real) < 1 / highest_rate:
        found = counted(len(real), "real validation video")
        return f"{found}, and it takes {round(1 / highest_rate)} to see {highest_rate:.0%} of them"
    edges = np.unique(np.concatenate([[0.0], scores, [1.0]]))
    thresholds = (edges[1:] + edges[:-1]) / 2
    rates = 1 - np.searchsorted(real, thresholds) / len(real)
    return float(thresholds[np.argmax(rates <= highest_rate)])


def _error_rates(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return both error rates and their 95 % intervals; None where a class has no video."""
    rates: dict[str, Any] = {}
    for name, wrong in (
        ("false_positive_rate", scores[labels == 0] >= threshold),
        ("false_negative_rate", scores[labels == 1] < threshold),
    ):
        rates[name] = float(wrong.mean()) if len(wrong) else None
        interval = share_interval(int(wrong.sum()), len(wrong)) if len(wrong) else None
        rates[f"{name}_interval"] = interval
    return rates


def share_interval(count: int, total: int) -> list[float]:
    """Return the 95 % interval of a share, by Clopper and Pearson (Biometrika 1934).

    It holds the true share at least 95 times in 100, of however few videos.
    """
    from scipy.stats import binomtest

    interval = binomtest(count, total).proportion_ci()
    return [float(interval.low), float(interval.high)]


def _counts(labels: np.ndarray) -> dict[str, int]:
    return {"real": int((labels == 0).sum()), "fake": int((labels == 1).sum())}


def _too_few(counts: Mapping[str, int]) -> str:
    return (
        f"validation videos: {counts['real']} real and {counts['fake']} fake, and it takes "
        f"{LEAST_VIDEOS} of each"
    )
