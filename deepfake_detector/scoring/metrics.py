"""Metrics of labels and scores: ROC AUC, log loss, equal error rate, ECE, counts of verdicts.

Arrays in, plain numbers out. Labels are 1 = fake, 0 = real; scores are P(fake) in 0..1; all are
`(num_videos,)`. What needs both classes is None if one is missing.
"""

import numpy as np
from sklearn import metrics as sklearn_metrics

from deepfake_detector.scoring.calibration import UNCERTAIN, OperatingPoint
from deepfake_detector.videos.vocabulary import FAKE, REAL

LOG_LOSS_CLIP = 1e-7  # a score of exactly 0 or 1 on the wrong side would cost infinitely much
MAX_BINS, VIDEOS_A_BIN = 15, 10
VERDICTS = (REAL, UNCERTAIN, FAKE)  # of a video with a score


def video_metrics(labels: np.ndarray, scores: np.ndarray) -> dict:
    """Return the metrics of `labels` (0 or 1) and `scores` (0..1), both `(num_videos,)`.

    ROC AUC, average precision and equal error rate are None where only one class is there. For the
    accuracy a score of 0.5 or more is fake. Log loss is of scores clipped to 1e-7 .. 1 - 1e-7.
    """
    both = has_both(labels)
    return {
        "level": "video",
        "videos": len(labels),
        "real": int((labels == 0).sum()),
        "fake": int((labels == 1).sum()),
        "log_loss": log_loss(labels, scores),
        "roc_auc": roc_auc(labels, scores),
        "average_precision": (
            float(sklearn_metrics.average_precision_score(labels, scores)) if both else None
        ),
        "eer": equal_error_rate(labels, scores) if both else None,
        "accuracy": accuracy(labels, scores),
    }


def verdict_metrics(labels: np.ndarray, scores: np.ndarray, point: OperatingPoint) -> dict:
    """Return how many videos of each class get which verdict, and both error rates: the share of
    real videos that are FAKE, and of fakes that are REAL; None without a video of that class."""
    verdicts = np.array([point.verdict(score) for score in scores], object)
    counts = {
        name: {verdict: int((verdicts[labels == label] == verdict).sum()) for verdict in VERDICTS}
        for label, name in enumerate(("real", "fake"))
    }
    real, fake = (sum(of_class.values()) for of_class in counts.values())
    return {
        "fake_from": point.fake_from,
        "real_below": point.real_below,
        "verdicts": counts,
        "false_positive_rate": counts["real"][FAKE] / real if real else None,
        "false_negative_rate": counts["fake"][REAL] / fake if fake else None,
    }


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of videos with the right label; a score of 0.5 or more is fake."""
    return float(((scores >= 0.5) == (labels == 1)).mean())


def has_both(labels: np.ndarray) -> bool:
    """Return whether there are real and fake videos."""
    return len(set(labels.tolist())) == 2


def roc_auc(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> float | None:
    """Return the share of pairs of a real and a fake video in the right order; ties are a half."""
    if not has_both(labels):
        return None
    return float(sklearn_metrics.roc_auc_score(labels, scores, sample_weight=weights))


def log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return minus the log of the probability given to the right label, `(num_videos,) float64`."""
    clipped = np.clip(np.asarray(scores, np.float64), LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return -np.log(np.where(labels == 1, clipped, 1 - clipped))


def log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    return float(log_losses(labels, scores).mean())


def equal_error_rate(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the rate at which the false positive rate equals the false negative rate.

    Between two thresholds the ROC curve is taken as a straight line.
    """
    false_positives, true_positives, _ = sklearn_metrics.roc_curve(
        labels, scores, drop_intermediate=False
    )
    # The difference of both error rates rises from -1 to 1; the rate wanted is where it is 0.
    return float(np.interp(0, false_positives - (1 - true_positives), false_positives))


def reliability(labels: np.ndarray, scores: np.ndarray, num_bins: int | None = None) -> dict:
    """Return the expected calibration error (ECE), and each bin as a reliability chart shows it.

    The bins have equal width over 0..1. There are fifteen, as in Guo et al. (ICML 2017,
    arXiv:1706.04599), or one for every ten videos if those are fewer, and at least two. Theirs
    are of the confidence in the predicted class; ours are of P(fake), so that the chart shows
    whether scores are too high or too low. Both classes have equal weight, as in the
    calibration.

    Returns `ece`, None without both classes, `num_bins`, and `bins`: a dict for each that has
    videos, with how many `videos`, the mean `score` and the share `fake`.
    """
    if num_bins is None:
        num_bins = int(np.clip(len(labels) // VIDEOS_A_BIN, 2, MAX_BINS))
    counts = np.bincount(labels, minlength=2)
    weights = (1 / np.maximum(counts, 1))[labels] / 2  # (num_videos,)
    places = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    bins, ece = [], 0.0
    for inside in (places == place for place in np.unique(places)):
        score, fake = (np.average(v[inside], weights=weights[inside]) for v in (scores, labels))
        bins.append({"videos": int(inside.sum()), "score": float(score), "fake": float(fake)})
        ece += weights[inside].sum() * abs(score - fake)
    return {"ece": float(ece) if counts.all() else None, "num_bins": num_bins, "bins": bins}
