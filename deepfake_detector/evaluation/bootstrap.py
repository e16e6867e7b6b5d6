"""How far a figure would move with other videos: intervals by bootstrap, over originals.

    interval = bootstrap.intervals(labels, scores, source groups)
    interval["roc_auc"]        # [0.71, 0.90]

The percentile bootstrap of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter
13. What is drawn anew, with replacement, are originals, each with all that was made from it: its
videos succeed and fail together, and drawn one by one they would pass for independent. That one
person may be in several originals is not reckoned with.

An interval knows only the videos there are: where every pair is in order, that of AUC is 1 to 1.
"""

from collections.abc import Sequence

import numpy as np

from deepfake_detector.scoring import metrics

LEVEL, RESAMPLES = 0.95, 2000
# Of each class. The intervals of AUC held the true value in 87 of 100 drawn data sets of 5
# originals, in 90 of 10, in 93 to 96 of 20 and more; by video, in 98
# (python -m benchmarks.interval_coverage).
LEAST_ORIGINALS = 10
MOST_WEIGHTS = 4_000_000  # held at a time: 32 MB of float64


def intervals(
    labels: np.ndarray,
    scores: np.ndarray,
    source_groups: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict:
    """Return 95 % intervals of ROC AUC and log loss, `[low, high]` each, and how they were made.

    `labels`, 1 = fake, and `scores`, 0..1, are `(num_videos,)`, and `source_groups` name the
    original of each. Both intervals are None, with the `reason`, where real or fake videos are of
    fewer than `LEAST_ORIGINALS` originals, and that of AUC where one class is missing.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    names, members = np.unique(np.asarray(source_groups, str), return_inverse=True)
    result = {"level": LEVEL, "resampled": "originals", "originals": len(names)}
    result |= {"resamples": resamples, "seed": seed, "roc_auc": None, "log_loss": None}
    least = min((len(set(members[labels == label])) for label in set(labels.tolist())), default=0)
    if least < LEAST_ORIGINALS:
        reason = f"too few for an interval: videos of {least} originals in the rarer class, and "
        return result | {"reason": f"{reason}it takes {LEAST_ORIGINALS}"}
    loss_sums = np.bincount(members, metrics.log_losses(labels, scores))  # (num_families,)
    sizes = np.bincount(members)
    rng = np.random.default_rng(seed)
    aucs, means = [], []
    at_once = max(1, MOST_WEIGHTS // len(labels))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        # Several times as fast as asking for a multinomial.
        draws = np.stack([_draw(rng, len(names)) for _ in range(count)])
        means.append(draws @ loss_sums / (draws @ sizes))
        aucs.append(weighted_aucs(labels, scores, draws, members))
    result["log_loss"] = _percentiles(np.concatenate(means))
    if metrics.has_both(labels):
        result["roc_auc"] = _percentiles(np.concatenate(aucs))
    return result


def _draw(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return how often each of `count` things is drawn in as many draws, `(count,) float64`."""
    drawn = rng.integers(count, size=count)
    return np.bincount(drawn, minlength=count).astype(np.float64)


def weighted_aucs(
    labels: np.ndarray, scores: np.ndarray, draws: np.ndarray, members: np.ndarray
) -> np.ndarray:
    """Return the ROC AUC of each resample, `(resamples,) float64`.

    `draws`, `(resamples, num_groups)`, say how often a source group is in it, and `members`,
    `(num_videos,)`, of which source group a video is. Not a number where a class is in none. One
    sort serves all resamples, where scikit-learn sorts for each.
    """
    real, fake = (np.flatnonzero(labels == label) for label in (0, 1))
    real, fake = (index[np.argsort(scores[index], kind="stable")] for index in (real, fake))
    real_weights, fake_weights = draws[:, members[real]], draws[:, members[fake]]
    # Weight of the first n real videos by score, (resamples, num_real + 1).
    weight = np.cumsum(np.pad(real_weights, ((0, 0), (1, 0))), axis=1)
    first, last = (np.searchsorted(scores[real], scores[fake], side) for side in ("left", "right"))
    below = (weight[:, first] + weight[:, last]) / 2  # (resamples, num_fake); ties are a half
    with np.errstate(invalid="ignore"):
        return (fake_weights * below).sum(axis=1) / (fake_weights.sum(axis=1) * weight[:, -1])


def _percentiles(values: np.ndarray) -> list[float]:
    tail = (1 - LEVEL) / 2
    return [float(value) for value in np.nanquantile(values, [tail, 1 - tail])]
