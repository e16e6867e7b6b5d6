"""How far a figure would move with other videos: intervals by bootstrap, over originals.

    interval = bootstrap.intervals(labels, scores, families)
    interval["roc_auc"]        # [0.71, 0.90]

The percentile bootstrap of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter
13. What is drawn anew, with replacement, are originals, each with all that was made from it: its
videos succeed and fail together, and drawn one by one they would pass for independent. That one
person may be in several originals is not reckoned with.

An interval knows only the videos there are: where every pair is in order, that of AUC is 1 to 1.
"""

from collections.abc import Sequence

import numpy as np

import figures

LEVEL, RESAMPLES = 0.95, 2000
# Of each class. The intervals of AUC held the true value in 86 of 100 drawn data sets of 5
# originals, in 90 of 10, in 93 to 95 of 20 and more; by video, in 98 (benchmarks/bootstrap.py).
LEAST_ORIGINALS = 10
MOST_WEIGHTS = 4_000_000  # held at a time: 32 MB of float64


def intervals(
    labels: np.ndarray,
    scores: np.ndarray,
    families: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict:
    """Return 95 % intervals of ROC AUC and log loss, `[low, high]` each, and how they were made.

    `labels`, 1 = fake, and `scores`, 0..1, are `(num_videos,)`, and `families` name the original of
    each. Both intervals are None, with the `reason`, where real or fake videos are of fewer than
    `LEAST_ORIGINALS` originals, and that of AUC where one class is missing.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    names, members = np.unique(np.asarray(families, str), return_inverse=True)
    result = {"level": LEVEL, "resampled": "originals", "originals": len(names)}
    result |= {"resamples": resamples, "seed": seed, "roc_auc": None, "log_loss": None}
    least = min((len(set(members[labels == label])) for label in set(labels.tolist())), default=0)
    if least < LEAST_ORIGINALS:
        reason = f"too few for an interval: videos of {least} originals in the rarer class, and "
        return result | {"reason": f"{reason}it takes {LEAST_ORIGINALS}"}
    losses = figures.log_losses(labels, scores)
    rng = np.random.default_rng(seed)
    aucs, means = [], []
    at_once = max(1, MOST_WEIGHTS // max(len(labels), len(names)))
    for start in range(0, resamples, at_once):
        size = (min(at_once, resamples - start), len(names))
        # How often each original is drawn: (resamples, num_videos) once given to its videos.
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size[0])
        weights = draws[:, members].astype(np.float64)
        means.append(weights @ losses / weights.sum(axis=1))
        aucs.append(weighted_aucs(labels, scores, weights))
    result["log_loss"] = _percentiles(np.concatenate(means))
    if figures.has_both(labels):
        result["roc_auc"] = _percentiles(np.concatenate(aucs))
    return result


def weighted_aucs(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the ROC AUC under each row of `weights`, `(rows, num_videos)`, as `(rows,) float64`.

    Not a number where the weights of a class are all 0. One sort serves all rows, where
    scikit-learn sorts for each.
    """
    values, ranks = np.unique(scores, return_inverse=True)
    order = np.argsort(ranks, kind="stable")
    starts = np.searchsorted(ranks[order], np.arange(len(values)))
    weights = weights[:, order]
    # Weight of real and fake videos at each distinct score, (rows, num_values).
    real = np.add.reduceat(weights * (labels[order] == 0), starts, axis=1)
    fake = np.add.reduceat(weights * (labels[order] == 1), starts, axis=1)
    below = np.cumsum(real, axis=1) - real / 2
    with np.errstate(invalid="ignore"):
        return (fake * below).sum(axis=1) / (fake.sum(axis=1) * real.sum(axis=1))


def _percentiles(values: np.ndarray) -> list[float]:
    tail = (1 - LEVEL) / 2
    return [float(value) for value in np.nanquantile(values, [tail, 1 - tail])]
