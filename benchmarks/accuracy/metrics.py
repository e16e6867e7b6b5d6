"""The figures of a cross-validation: fold by fold, over all folds, by method, by source, by file.

A score is comparable with others of its own fold only, because every fold has a network of its own.
So figures are either means of the folds' AUCs, or of ranks within a fold, pooled over the folds, or
of those pairs of videos that are in one fold. Each function says which.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.folds import About
from deepfake_detector.evaluation import bootstrap
from deepfake_detector.face_dataset.boxes import BOXES_NAME, read_boxes
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.scoring import metrics


@dataclass(frozen=True)
class FoldScores:
    """What a detector says of a fold's videos, P(fake) or any other figure that rises with it."""

    number: int
    tested: list[str]  # names of videos
    test_scores: Mapping[str, np.ndarray]  # by what was done to the faces, (num_tested,)
    trained: list[str]
    train_scores: np.ndarray  # (num_trained,)
    seconds: float  # of training


@dataclass(frozen=True)
class Pooled:
    """The test videos of all folds; arrays are `(num_videos,)`."""

    videos: list[About]
    labels: np.ndarray
    ranks: np.ndarray  # within the fold, 0..1
    scores: np.ndarray
    folds: np.ndarray  # number of the fold


def balanced_ranks(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the ranks of scores, 0..1, `(num_videos,) float64`, as if classes were of equal size.

    A rank is the mean of the shares of the real and of the fake videos below; ties are a half. So
    a fold of few reals ranks them no lower than one of many. With one class, it is that one's.
    """
    shares = []
    for label in sorted(set(labels.tolist())):
        own = np.sort(scores[labels == label])
        below, up_to = (np.searchsorted(own, scores, side) for side in ("left", "right"))
        shares.append((below + up_to) / (2 * len(own)))
    return np.mean(shares, axis=0)


def pool(results: Sequence[FoldScores], about: Mapping[str, About], change: str) -> Pooled:
    """Return the test videos of all folds with scores of faces under `change`."""
    videos, ranks, scores, folds = [], [], [], []
    for result in results:
        known = [about[name] for name in result.tested]
        labels = np.array([video.label for video in known])
        videos += known
        scores.append(result.test_scores[change])
        ranks.append(balanced_ranks(labels, result.test_scores[change]))
        folds.append(np.full(len(known), result.number))
    labels = np.array([video.label for video in videos])
    return Pooled(videos, labels, *map(np.concatenate, (ranks, scores, folds)))


def auc_of(names: Sequence[str], scores: np.ndarray, about: Mapping[str, About]) -> float | None:
    """Return the AUC of one fold's videos; None without both classes."""
    return metrics.roc_auc(np.array([about[name].label for name in names]), scores)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are there; None of none."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def pair_auc(marked: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> float | None:
    """Return the share of pairs, of a marked and another video of the same fold, in which the
    marked one scores higher; None where no fold has a pair."""
    right = pairs = 0.0
    for fold in np.unique(folds):
        inside = folds == fold
        auc = metrics.roc_auc(marked[inside], scores[inside])
        if auc is not None:
            count = float(marked[inside].sum() * (1 - marked[inside]).sum())
            right, pairs = right + auc * count, pairs + count
    return right / pairs if pairs else None


def of_detector(
    results: Sequence[FoldScores], about: Mapping[str, About], changes: Sequence[str]
) -> dict:
    """Return all figures of a detector, that can stand in JSON.

    `test` and `training` are AUCs per fold, `training_of_data` is that without the extra videos,
    `altered` is `test` by what was done to the faces. `pooled` is of ranks, with a 95 % interval
    over groups of people, `methods` of ranks too: the fakes of a method against all real videos.
    `sources` and `extras` are of pairs within a fold.
    """
    pooled = pool(results, about, changes[0])
    groups = [video.group for video in pooled.videos]
    interval = bootstrap.intervals(pooled.labels, pooled.ranks, groups)
    return {
        "test": [auc_of(r.tested, r.test_scores[changes[0]], about) for r in results],
        "training": [auc_of(r.trained, r.train_scores, about) for r in results],
        "training_of_data": [_training_of_data(r, about) for r in results],
        "altered": {
            name: [auc_of(r.tested, r.test_scores[name], about) for r in results]
            for name in changes[1:]
        },
        "pooled": {
            "roc_auc": metrics.roc_auc(pooled.labels, pooled.ranks),
            "interval": interval["roc_auc"],
            "reason": interval.get("reason"),
        },
        "methods": by_method(pooled),
        "sources": by_source(pooled),
        "extras": extras_told(results, about),
        "minutes": [result.seconds / 60 for result in results],
    }


def _training_of_data(result: FoldScores, about: Mapping[str, About]) -> float | None:
    own = [index for index, name in enumerate(result.trained) if not about[name].extra]
    return auc_of([result.trained[i] for i in own], result.train_scores[own], about)


def by_method(pooled: Pooled) -> dict[str, dict]:
    """Return for each method its number of fakes and the AUC of their pooled ranks against those of
    all real test videos."""
    methods = np.array([video.method or "" for video in pooled.videos])
    found = {}
    for method in sorted(set(methods.tolist()) - {""}):
        used = (methods == method) | (pooled.labels == 0)
        auc = metrics.roc_auc(pooled.labels[used], pooled.ranks[used])
        found[method] = {"fakes": int((methods == method).sum()), "roc_auc": auc}
    return found


def by_source(pooled: Pooled) -> dict[str, dict[str, float | None]]:
    """Return how well the score tells a source from the others, among real and among fake videos.

    Of pairs within a fold: 0.5 says nothing about the source. Of two sources one is enough, for
    the other has the rest. Empty where the metadata name less than two.
    """
    sources = np.array([video.source or "" for video in pooled.videos])
    found: dict[str, dict[str, float | None]] = {}
    for label, word in ((0, "real"), (1, "fake")):
        used = (sources != "") & (pooled.labels == label)
        names = sorted(set(sources[used].tolist()))
        told = names[:1] if len(names) == 2 else names
        for name in told if len(names) > 1 else []:
            marked = (sources[used] == name).astype(int)
            auc = pair_auc(marked, pooled.scores[used], pooled.folds[used])
            found.setdefault(word, {})[name] = auc
    return found


def extras_told(results: Sequence[FoldScores], about: Mapping[str, About]) -> float | None:
    """Return how much higher real training videos score than the extra ones, which are real too.

    Of pairs within a fold: above 0.5, extra videos pass for real because of where they come from.
    """
    own, scores, folds = [], [], []
    for result in results:
        for name, score in zip(result.trained, result.train_scores, strict=True):
            if about[name].label == 0:
                own.append(int(not about[name].extra))
                scores.append(score)
                folds.append(result.number)
    return pair_auc(np.array(own), np.array(scores), np.array(folds))


# What is known of the files without looking at a pixel

FILE_FIGURES = ("width", "height", "fps", "face width")


def file_figures(faces: Sequence[FaceTrack]) -> dict[str, dict[str, float]]:
    """Return frame size and rate of each video, and the median width of its face box, as far as
    manifest.csv and the boxes tell."""
    manifests: dict[Path, dict] = {}
    found: dict[str, dict[str, float]] = {}
    for face in faces:
        folder = Path(face.folder)
        if folder.parent not in manifests:
            manifests[folder.parent] = read_manifest(folder.parent)
        row = manifests[folder.parent].get(face.video, {})
        texts = {name: row.get(name) or "" for name in FILE_FIGURES}
        found[face.video] = {name: float(text) for name, text in texts.items() if text}
        if (folder / BOXES_NAME).exists():
            widths = [float(crop.box_xywh[2]) for crop in read_boxes(folder)]
            if widths:
                found[face.video]["face width"] = statistics.median(widths)
    return found


def aucs_of_files(
    faces: Sequence[FaceTrack], about: Mapping[str, About]
) -> dict[str, tuple[float | None, float | None]]:
    """Return the AUC of the label by each of FILE_FIGURES: without, and with the extra videos.

    Over all videos at once. Far from 0.5 either way, a network could learn it instead of the
    forgery.
    """
    known = file_figures(faces)
    result = {}
    for name in FILE_FIGURES:
        named = [video for video, of_file in known.items() if name in of_file]
        values = np.array([known[video][name] for video in named])
        own = np.array([not about[video].extra for video in named], bool)
        labels = np.array([about[video].label for video in named], int)
        result[name] = (
            metrics.roc_auc(labels[own], values[own]),
            metrics.roc_auc(labels, values),
        )
    return result
