"""Confidence intervals of metrics, by bootstrap over originals.

    found = bootstrap.intervals(labels, scores, source_groups)
    found["roc_auc"]        # [0.71, 0.90]

The percentile bootstrap of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter
13. It resamples originals, each with all videos made from it, with replacement: these succeed and
fail together and are not independent. It does not consider that one person may be in several
originals.

An interval knows only these videos: if all of them are ordered correctly, that of the AUC is 1 to
1.
"""

from collections.abc import Sequence

import numpy as np

from deepfake_detector.console import counted
from deepfake_detector.scoring import metrics

LEVEL, RESAMPLES, SEED = 0.95, 2000, 0
# Of each class. The intervals of the AUC contained the true value in 87 of 100 synthetic data sets
# of 5 originals, in 90 of 10, in 93 to 96 of 20 and more (docs/accuracy.md).
MIN_ORIGINALS = 10
MAX_COUNTS = 4_000_000  # in memory at a time: 32 MB of float64


def intervals(
    labels: np.ndarray, scores: np.ndarray, source_groups: Sequence[str] | np.ndarray
) -> dict:
    """Return 95 % intervals of ROC AUC and log loss, `[low, high]`, and how they were made.

    `labels`, 1 = fake, and `scores`, 0..1, are `(num_videos,)`, and `source_groups` name the
    original of each video. Both intervals are None, with a `reason`, if the real or the fake
    videos are of fewer than `MIN_ORIGINALS` originals; that of the AUC is None with one class.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    names, groups = np.unique(np.asarray(source_groups, str), return_inverse=True)
    result = {"level": LEVEL, "resampled": "originals", "originals": len(names)}
    result |= {"resamples": RESAMPLES, "seed": SEED, "roc_auc": None, "log_loss": None}
    least = min((len(set(groups[labels == label])) for label in set(labels.tolist())), default=0)
    if least < MIN_ORIGINALS:
        found = counted(least, "original")
        reason = f"too few for an interval: videos of {found} in the rarer class, and it takes "
        return result | {"reason": f"{reason}{MIN_ORIGINALS}"}
    loss_sums = np.bincount(groups, metrics.log_losses(labels, scores))  # (num_groups,)
    sizes = np.bincount(groups)
    rng = np.random.default_rng(SEED)
    aucs, losses = [], []
    at_once = max(1, MAX_COUNTS // len(labels))
    for start in range(0, RESAMPLES, at_once):
        # How often each original is in each resample, (resamples, num_groups). Several times as
        # fast as NumPy's multinomial.
        counts = np.stack([
            np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
            for _ in range(min(at_once, RESAMPLES - start))
        ]).astype(float)  # fmt: skip
        losses.append(counts @ loss_sums / (counts @ sizes))
        aucs.append(weighted_aucs(labels, scores, counts, groups))
    result["log_loss"] = _percentiles(np.concatenate(losses))
    if metrics.has_both(labels):
        result["roc_auc"] = _percentiles(np.concatenate(aucs))
    return result


def weighted_aucs(
    labels: np.ndarray, scores: np.ndarray, counts: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Return the ROC AUC of each resample, `(resamples,) float64`; NaN where it lacks a class.

    `counts`, `(resamples, num_groups)`, says how often a resample contains a source group, and
    `groups`, `(num_videos,)`, is the index of the source group of each video. One sort serves all
    resamples, whereas scikit-learn sorts for each.
    """
    real, fake = (np.flatnonzero(labels == label) for label in (0, 1))
    real, fake = (index[np.argsort(scores[index], kind="stable")] for index in (real, fake))
    real_counts, fake_counts = counts[:, groups[real]], counts[:, groups[fake]]
    # Number of real videos among the first n by score, (resamples, num_real + 1).
    real_sums = np.cumsum(np.pad(real_counts, ((0, 0), (1, 0))), axis=1)
    first, last = (np.searchsorted(scores[real], scores[fake], side) for side in ("left", "right"))
    below = (real_sums[:, first] + real_sums[:, last]) / 2  # (resamples, num_fake); ties are 1/2
    with np.errstate(invalid="ignore"):
        return (fake_counts * below).sum(axis=1) / (fake_counts.sum(axis=1) * real_sums[:, -1])


def _percentiles(values: np.ndarray) -> list[float]:
    tail = (1 - LEVEL) / 2
    return [float(value) for value in np.nanquantile(values, [tail, 1 - tail])]
