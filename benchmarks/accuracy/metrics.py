"""The metrics of an experiment: by fold, by source and by method.

Every fold and seed has a network of its own. An AUC is therefore the share of pairs of a real and a
fake video *that one network scored* in the right order, and the mean over the seeds. Only `pooled`
compares the scores of different networks of one seed, as if they were one detector. `within` counts
only pairs of one source: their people, cameras and encoders are alike, and the forgery is what is
left to recognise.
"""

import functools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.folds import About
from deepfake_detector.evaluation.bootstrap import LEVEL, RESAMPLES, weighted_aucs
from deepfake_detector.scoring import metrics

# Of people, in the rarer class: intervals of 5 hold the true AUC in 87 of 100 data sets, not in 95.
MIN_GROUPS = 5
Choice = Callable[[About], bool]
Regroup = Callable[[Sequence["Cell"]], Sequence["Cell"]]


@dataclass(frozen=True)
class FoldScores:
    """The scores of one network: P(fake), or any other number that rises with it."""

    seed: int
    name: str  # of the fold
    tested: list[About]
    scores: Mapping[str, np.ndarray]  # by alteration of the faces, (num_tested,); the first is none
    threshold: float | None  # of a detector whose scores are probabilities


@dataclass(frozen=True)
class Cell:
    """Videos whose scores are comparable; arrays are `(num_videos,)`."""

    seed: int
    labels: np.ndarray
    scores: np.ndarray
    groups: np.ndarray  # names of groups of people
    sources: np.ndarray  # names of sources; "" is none


def of_detector(results: Sequence[FoldScores]) -> dict:
    """Return all metrics of a detector, ready for JSON.

    `folds`, `sources` and `methods` hold a `row` for each: that of a source is an AUC within it,
    that of a method, or of a family of methods, compares its fakes with all real videos of their
    folds. `pooled` is one row of all videos, `within` that of the pairs of one source, and `mean`
    the mean of the folds' AUCs with `by_seed`.
    """
    names = dict.fromkeys(result.name for result in results)
    videos = [video for result in results for video in result.tested]
    folds = {name: row([r for r in results if r.name == name]) for name in names}
    sources = sorted({video.source for video in videos if video.source})
    methods = sorted({video.method for video in videos if video.method})
    families = sorted({video.family for video in videos if video.family and video.label})
    return {
        "mean": mean_of_folds(folds),
        "pooled": row(results, regroup=pooled),
        "within": row(results, regroup=split_by_source),
        "folds": folds,
        "sources": {name: row(results, functools.partial(is_of, name)) for name in sources},
        "families": {name: row_of_fakes(results, "family", name) for name in families},
        "methods": {name: row_of_fakes(results, "method", name) for name in methods},
    }


def is_of(source: str, video: About) -> bool:
    return video.source == source


def row_of_fakes(results: Sequence[FoldScores], field: str, name: str) -> dict:
    """Return the metrics of the fakes whose `field` is `name`, and of all real videos of the folds
    that test them."""
    tested = [r for r in results if any(getattr(video, field) == name for video in r.tested)]
    return row(tested, lambda video: not video.label or getattr(video, field) == name)


def row(
    results: Sequence[FoldScores],
    choice: Choice = lambda video: True,
    regroup: Regroup = lambda cells: cells,
) -> dict:
    """Return the metrics of the chosen test videos; AUCs are of the pairs in a cell of `regroup`.

    The counts are of one seed. `log_loss`, `false_positive_rate` and `true_positive_rate` are None
    for a detector without a threshold, and the AUC without both classes.
    """
    first = [result for result in results if result.seed == results[0].seed]
    labels = [v.label for result in first for v in result.tested if choice(v)]
    clean, *altered = results[0].scores
    cells = regroup(cells_of(results, clean, choice))
    return {
        "real": labels.count(0),
        "fake": labels.count(1),
        "roc_auc": auc(cells),
        "by_seed": [
            auc([cell for cell in cells if cell.seed == seed])
            for seed in dict.fromkeys(cell.seed for cell in cells)
        ],
        "interval": interval(cells),
        "altered": {name: auc(regroup(cells_of(results, name, choice))) for name in altered},
        **at_threshold(results, clean, choice),
    }


def at_threshold(results: Sequence[FoldScores], alteration: str, choice: Choice) -> dict:
    """Return log loss and error rates of the chosen videos, over all seeds."""
    labels, scores, predicted = [], [], []
    for result in results:
        if result.threshold is not None:
            chosen = np.array([choice(video) for video in result.tested], bool)
            labels += [v.label for v in result.tested if choice(v)]
            scores.append(result.scores[alteration][chosen])
            predicted.append(scores[-1] >= result.threshold)
    found = dict.fromkeys(("log_loss", "false_positive_rate", "true_positive_rate"))
    if not labels:
        return found
    every_label, fake = np.array(labels), np.concatenate(predicted)
    found["log_loss"] = metrics.log_loss(every_label, np.concatenate(scores))
    for name, label in (("false_positive_rate", 0), ("true_positive_rate", 1)):
        if (every_label == label).any():
            found[name] = float(fake[every_label == label].mean())
    return found


def mean_of_folds(rows: Mapping[str, Mapping]) -> dict:
    """Return the mean of the folds' AUCs, also for each seed and alteration."""
    by_seed = zip(*(found["by_seed"] for found in rows.values()), strict=False)
    altered = [found["altered"] for found in rows.values()]
    return {
        "roc_auc": mean(found["roc_auc"] for found in rows.values()),
        "by_seed": [mean(aucs) for aucs in by_seed],
        "altered": {name: mean(of_fold[name] for of_fold in altered) for name in altered[0]},
    }


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean without the missing values; None if all are missing."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


# AUCs of pairs


def cells_of(results: Sequence[FoldScores], alteration: str, choice: Choice) -> list[Cell]:
    """Return the chosen test videos, those of one network together."""
    cells = []
    for result in results:
        kept = [video for video in result.tested if choice(video)]
        chosen = np.array([choice(video) for video in result.tested], bool)
        labels = np.array([video.label for video in kept], int)
        groups = np.array([video.group for video in kept], str)
        sources = np.array([video.source or "" for video in kept], str)
        cells.append(Cell(result.seed, labels, result.scores[alteration][chosen], groups, sources))
    return cells


def pooled(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells of each seed as one."""
    joined = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        same = [cell for cell in cells if cell.seed == seed]
        columns = ("labels", "scores", "groups", "sources")
        arrays = (np.concatenate([getattr(cell, of) for cell in same]) for of in columns)
        joined.append(Cell(seed, *arrays))
    return joined


def split_by_source(cells: Sequence[Cell]) -> list[Cell]:
    """Return each cell's sources as cells of their own; videos of no named source are left out."""
    parts = []
    for cell in cells:
        for source in np.unique(cell.sources[cell.sources != ""]):
            of_source = cell.sources == source
            columns = (cell.labels, cell.scores, cell.groups, cell.sources)
            parts.append(Cell(cell.seed, *(column[of_source] for column in columns)))
    return parts


def auc(cells: Sequence[Cell]) -> float | None:
    """Return the share of pairs within cells that are in the right order, the mean over seeds; None
    if there is no pair."""
    if not cells:
        return None
    names = _groups(cells)
    (value,) = pair_aucs(cells, names, np.ones((1, len(names))))
    return None if np.isnan(value) else float(value)


def interval(cells: Sequence[Cell], seed: int = 0) -> list[float] | None:
    """Return the 95 % bootstrap interval of `auc` over groups of people, `[low, high]`.

    A resample has the same groups in all cells. None if the real or the fake videos are of fewer
    than MIN_GROUPS groups.
    """
    if not cells:
        return None
    names = _groups(cells)
    of_class = (np.concatenate([c.groups[c.labels == label] for c in cells]) for label in (0, 1))
    if min(len(set(groups.tolist())) for groups in of_class) < MIN_GROUPS:
        return None
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    tail = (1 - LEVEL) / 2
    found = np.nanquantile(pair_aucs(cells, names, counts), [tail, 1 - tail])
    return [float(value) for value in found]


def _groups(cells: Sequence[Cell]) -> np.ndarray:
    return np.unique(np.concatenate([cell.groups for cell in cells]))


def pair_aucs(cells: Sequence[Cell], names: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return `auc` for each resample, `(resamples,)`; NaN if it has no pair.

    `counts`, `(resamples, num_groups)`, says how often a resample contains a group of `names`.
    """
    right: dict[int, np.ndarray] = {}
    pairs: dict[int, np.ndarray] = {}
    for cell in cells:
        groups = np.searchsorted(names, cell.groups)
        real, fake = (counts[:, groups[cell.labels == label]].sum(axis=1) for label in (0, 1))
        aucs = np.nan_to_num(weighted_aucs(cell.labels, cell.scores, counts, groups))
        right[cell.seed] = right.get(cell.seed, 0.0) + aucs * real * fake
        pairs[cell.seed] = pairs.get(cell.seed, 0.0) + real * fake
    with np.errstate(invalid="ignore"):
        return np.mean([right[seed] / pairs[seed] for seed in pairs], axis=0)
