"""The metrics of an experiment: by fold, by source, by method, and by what is known of the files.

Every fold and seed has a network of its own. An AUC is therefore the share of pairs of a real and a
fake video *that one network scored* in the right order, and the mean over the seeds. Only `pooled`
compares the scores of different networks of one seed, as if they were one detector.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.folds import LEAST_OF_CLASS, About
from benchmarks.accuracy.sources import Key
from deepfake_detector.evaluation.bootstrap import LEVEL, RESAMPLES, weighted_aucs
from deepfake_detector.face_dataset.boxes import BOXES_NAME, read_boxes
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.scoring import metrics

# Of people, in the rarer class: intervals of 5 hold the true AUC in 87 of 100 data sets, not in 95
# (python -m benchmarks.interval_coverage).
LEAST_GROUPS = 5
Choice = Callable[[About], bool]


@dataclass(frozen=True)
class FoldScores:
    """The scores of one network: P(fake), or any other number that rises with it."""

    seed: int
    name: str  # of the fold
    tested: list[About]
    scores: Mapping[str, np.ndarray]  # by alteration of the faces, (num_tested,); the first is none
    trained: list[About]
    train_scores: np.ndarray  # (num_trained,)
    threshold: float | None  # of a detector whose scores are probabilities
    seconds: float  # of training


@dataclass(frozen=True)
class Cell:
    """Videos whose scores are comparable; arrays are `(num_videos,)`."""

    seed: int
    labels: np.ndarray
    scores: np.ndarray
    groups: np.ndarray  # names of groups of people


def of_detector(results: Sequence[FoldScores]) -> dict:
    """Return all metrics of a detector, ready for JSON.

    `folds`, `sources` and `methods` hold a `row` for each; that of a method compares its fakes with
    all real videos of their folds. `pooled` is one row of all videos, `mean` the mean of the folds'
    AUCs with `by_seed`, and `training` the AUC in training.
    """
    names = dict.fromkeys(result.name for result in results)
    videos = [video for result in results for video in result.tested]
    folds = {name: row([r for r in results if r.name == name]) for name in names}
    return {
        "mean": mean_of_folds(folds),
        "pooled": row(results, pooled=True),
        "folds": folds,
        "sources": {
            source: row(results, of_source(source))
            for source in sorted({video.source for video in videos if video.source})
        },
        "methods": {
            method: row_of_method(results, method)
            for method in sorted({video.method for video in videos if video.method})
        },
        "training": auc_in_training(results),
        "predicts": predicts(results),
        "minutes": [result.seconds / 60 for result in results],
    }


def of_source(source: str) -> Choice:
    return lambda video: video.source == source


def row_of_method(results: Sequence[FoldScores], method: str) -> dict:
    """Return the metrics of the fakes of a method and all real videos of the folds that test it."""
    tested = [r for r in results if any(video.method == method for video in r.tested)]
    return row(tested, lambda video: video.method in (None, method))


def row(
    results: Sequence[FoldScores], choice: Choice = lambda video: True, pooled: bool = False
) -> dict:
    """Return the metrics of the chosen test videos.

    The counts are of one seed. `log_loss`, `false_positive_rate` and `true_positive_rate` are None
    for a detector without a threshold, and the AUC without both classes.
    """
    first = [result for result in results if result.seed == results[0].seed]
    labels = [v.label for result in first for v in result.tested if choice(v)]
    clean, *altered = results[0].scores
    cells = test_cells(results, clean, choice, pooled)
    return {
        "real": labels.count(0),
        "fake": labels.count(1),
        "roc_auc": auc(cells),
        "by_seed": [
            auc([cell for cell in cells if cell.seed == seed])
            for seed in dict.fromkeys(cell.seed for cell in cells)
        ],
        "interval": interval(cells),
        "altered": {name: auc(test_cells(results, name, choice, pooled)) for name in altered},
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
    """Return the mean without the missing values; None where all are missing."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


# AUCs of pairs


def test_cells(
    results: Sequence[FoldScores], alteration: str, choice: Choice, pooled: bool = False
) -> list[Cell]:
    """Return the chosen test videos, those of one network together, or `pooled` those of a seed."""
    cells = [
        _cell(result.seed, result.tested, result.scores[alteration], choice) for result in results
    ]
    return _joined(cells) if pooled else cells


def _cell(
    seed: int,
    videos: Sequence[About],
    scores: np.ndarray,
    choice: Choice,
    mark: Choice = lambda video: bool(video.label),
) -> Cell:
    """Return the chosen videos; `mark` says which are to have the higher scores."""
    chosen = np.array([choice(video) for video in videos], bool)
    kept = [video for video in videos if choice(video)]
    marks = np.array([mark(video) for video in kept], int)
    return Cell(seed, marks, scores[chosen], np.array([video.group for video in kept], str))


def _joined(cells: Sequence[Cell]) -> list[Cell]:
    joined = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        same = [cell for cell in cells if cell.seed == seed]
        columns = (
            [getattr(cell, name) for cell in same] for name in ("labels", "scores", "groups")
        )
        joined.append(Cell(seed, *map(np.concatenate, columns)))
    return joined


def auc(cells: Sequence[Cell]) -> float | None:
    """Return the share of pairs within cells that are in the right order, the mean over seeds; None
    where there is no pair."""
    names = _groups(cells)
    (value,) = pair_aucs(cells, names, np.ones((1, len(names))))
    return None if np.isnan(value) else float(value)


def interval(cells: Sequence[Cell], seed: int = 0) -> list[float] | None:
    """Return the 95 % bootstrap interval of `auc` over groups of people, `[low, high]`.

    A resample has the same groups in all cells. None where the real or the fake videos are of fewer
    than LEAST_GROUPS groups.
    """
    names = _groups(cells)
    of_class = (np.concatenate([c.groups[c.labels == label] for c in cells]) for label in (0, 1))
    if min(len(set(groups.tolist())) for groups in of_class) < LEAST_GROUPS:
        return None
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    tail = (1 - LEVEL) / 2
    found = np.nanquantile(pair_aucs(cells, names, counts), [tail, 1 - tail])
    return [float(value) for value in found]


def _groups(cells: Sequence[Cell]) -> np.ndarray:
    return np.unique(np.concatenate([cell.groups for cell in cells]))


def pair_aucs(cells: Sequence[Cell], names: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return `auc` for each resample, `(resamples,)`; NaN where it has no pair.

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


# Whether a network has learned where videos come from


def predicts(results: Sequence[FoldScores]) -> dict[str, float | None]:
    """Return how well the score predicts where a video is from, by name; 0.5 is right.

    An AUC of pairs of videos of one label that one network scored, one of them of the source, for
    sources of LEAST_OF_CLASS such videos. The last is of real training videos: of those that are
    tested, against the extra ones.
    """
    first = next(iter(results[0].scores))
    found: dict[str, float | None] = {}
    for label, word in ((0, "real"), (1, "fake")):
        same = {v for r in results for v in r.tested if v.label == label}
        counts = Counter(video.source for video in same if video.source)
        for source in sorted(name for name, count in counts.items() if count >= LEAST_OF_CLASS):
            cells = [
                _cell(r.seed, r.tested, r.scores[first], same.__contains__, of_source(source))
                for r in results
            ]
            found[f"{word}, {source}"] = auc(cells)
    found["real, not extra"] = auc(
        [
            _cell(r.seed, r.trained, r.train_scores, lambda v: not v.label, lambda v: not v.extra)
            for r in results
        ]
    )
    return {name: value for name, value in found.items() if value is not None}


def auc_in_training(results: Sequence[FoldScores]) -> float | None:
    """Return the AUC of the training videos without the extra ones."""
    return auc([_cell(r.seed, r.trained, r.train_scores, lambda v: not v.extra) for r in results])


# What is known of the files without their pixels

FILE_PROPERTIES = ("width", "height", "fps", "face width")


def file_properties(faces: Sequence[FaceTrack]) -> dict[Key, dict[str, float]]:
    """Return frame size and rate of each video and the median width of its face box, as far as
    manifest.csv and boxes.csv say."""
    manifests: dict[Path, dict] = {}
    found: dict[Key, dict[str, float]] = {}
    for face in faces:
        folder = Path(face.folder)
        if folder.parent not in manifests:
            manifests[folder.parent] = read_manifest(folder.parent)
        saved = manifests[folder.parent].get(face.video, {})
        texts = {name: saved.get(name) or "" for name in FILE_PROPERTIES}
        known = {name: float(text) for name, text in texts.items() if text}
        if (folder / BOXES_NAME).exists():
            widths = [float(crop.box_xywh[2]) for crop in read_boxes(folder)]
            if widths:
                known["face width"] = statistics.median(widths)
        found[face.video_key] = known
    return found


def aucs_of_files(
    faces: Sequence[FaceTrack], about: Mapping[Key, About]
) -> dict[str, tuple[float | None, float | None]]:
    """Return the AUC of the label by each of FILE_PROPERTIES, without and with the extra videos.

    Over all videos at once. Where it is far from 0.5, a network can learn that property instead of
    the forgery.
    """
    known = file_properties(faces)
    result = {}
    for name in FILE_PROPERTIES:
        named = [key for key, of_file in known.items() if name in of_file]
        values = np.array([known[key][name] for key in named])
        own = np.array([not about[key].extra for key in named], bool)
        labels = np.array([about[key].label for key in named], int)
        result[name] = (
            metrics.roc_auc(labels[own], values[own]),
            metrics.roc_auc(labels, values),
        )
    return result
