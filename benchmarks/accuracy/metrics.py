"""The metrics of a cross-validation: by fold, by method, by source, by file.

A score is only comparable with others of its own fold, because every fold has a network of its own.
So metrics are means of the folds' AUCs, or of ranks within a fold, or of pairs of videos in one
fold. Each function says which.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.folds import About
from deepfake_detector.face_dataset.boxes import BOXES_NAME, read_boxes
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.scoring import metrics


@dataclass(frozen=True)
class FoldScores:
    """The scores of a fold's videos: P(fake), or any other number that rises with it."""

    number: int
    tested: list[str]  # names of videos
    test_scores: Mapping[str, np.ndarray]  # by alteration of the faces, (num_tested,)
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


def of_detector(
    results: Sequence[FoldScores], about: Mapping[str, About], alterations: Sequence[str]
) -> dict:
    """Return all metrics of a detector, ready for JSON; the first of `alterations` is none.

    `test` and `training` are AUCs by fold, `altered` is `test` by alteration. `methods` are of
    ranks: the fakes of a method against all real videos. `sources` and `extras` are of pairs within
    a fold.
    """
    pooled = pool(results, about, alterations[0])
    return {
        "test": [auc_of(r.tested, r.test_scores[alterations[0]], about) for r in results],
        "training": [auc_of(r.trained, r.train_scores, about) for r in results],
        "altered": {
            name: [auc_of(r.tested, r.test_scores[name], about) for r in results]
            for name in alterations[1:]
        },
        "methods": by_method(pooled),
        "sources": by_source(pooled),
        "extras": by_extra(results, about),
        "minutes": [result.seconds / 60 for result in results],
    }


def balanced_ranks(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the ranks of scores, 0..1, `(num_videos,) float64`, as if classes were of equal size.

    A rank is the mean of two shares: of the real and of the fake videos with a lower score; ties
    count half. So ranks do not depend on how many real videos a fold has. With one class it is the
    share of that class.
    """
    shares = []
    for label in sorted(set(labels.tolist())):
        own = np.sort(scores[labels == label])
        below, up_to = (np.searchsorted(own, scores, side) for side in ("left", "right"))
        shares.append((below + up_to) / (2 * len(own)))
    return np.mean(shares, axis=0)


def pool(results: Sequence[FoldScores], about: Mapping[str, About], alteration: str) -> Pooled:
    """Return the test videos of all folds with the scores of faces under `alteration`."""
    videos, ranks, scores, folds = [], [], [], []
    for result in results:
        known = [about[name] for name in result.tested]
        labels = np.array([video.label for video in known])
        videos += known
        scores.append(result.test_scores[alteration])
        ranks.append(balanced_ranks(labels, result.test_scores[alteration]))
        folds.append(np.full(len(known), result.number))
    labels = np.array([video.label for video in videos])
    return Pooled(videos, labels, *map(np.concatenate, (ranks, scores, folds)))


def auc_of(names: Sequence[str], scores: np.ndarray, about: Mapping[str, About]) -> float | None:
    """Return the AUC of one fold's videos; None without both classes."""
    return metrics.roc_auc(np.array([about[name].label for name in names]), scores)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean without the missing values; None where all are missing."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def pair_auc(marked: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> float | None:
    """Return the share of pairs of a marked and another video of the same fold in which the marked
    one has the higher score; None where no fold has a pair."""
    right = pairs = 0.0
    for fold in np.unique(folds):
        inside = folds == fold
        auc = metrics.roc_auc(marked[inside], scores[inside])
        if auc is not None:
            count = float(marked[inside].sum() * (1 - marked[inside]).sum())
            right, pairs = right + auc * count, pairs + count
    return right / pairs if pairs else None


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
    """Return how well the score predicts the source, among real and among fake videos.

    An AUC of pairs within a fold: at 0.5 the score does not depend on the source. Of two sources
    only one is given, because the other is its complement. Empty where the metadata name less than
    two.
    """
    sources = np.array([video.source or "" for video in pooled.videos])
    found: dict[str, dict[str, float | None]] = {}
    for label, word in ((0, "real"), (1, "fake")):
        used = (sources != "") & (pooled.labels == label)
        names = sorted(set(sources[used].tolist()))
        shown = names[:1] if len(names) == 2 else names
        for name in shown if len(names) > 1 else []:
            marked = (sources[used] == name).astype(int)
            auc = pair_auc(marked, pooled.scores[used], pooled.folds[used])
            found.setdefault(word, {})[name] = auc
    return found


def by_extra(results: Sequence[FoldScores], about: Mapping[str, About]) -> float | None:
    """Return how well the score predicts, among real training videos, which are not extra ones.

    An AUC of pairs within a fold: above 0.5 extra videos look more real, because of their source.
    """
    own, scores, folds = [], [], []
    for result in results:
        for name, score in zip(result.trained, result.train_scores, strict=True):
            if about[name].label == 0:
                own.append(int(not about[name].extra))
                scores.append(score)
                folds.append(result.number)
    return pair_auc(np.array(own), np.array(scores), np.array(folds))


# What is known of the files without their pixels

FILE_PROPERTIES = ("width", "height", "fps", "face width")


def file_properties(faces: Sequence[FaceTrack]) -> dict[str, dict[str, float]]:
    """Return frame size and rate of each video and the median width of its face box, as far as
    manifest.csv and boxes.csv say."""
    manifests: dict[Path, dict] = {}
    found: dict[str, dict[str, float]] = {}
    for face in faces:
        folder = Path(face.folder)
        if folder.parent not in manifests:
            manifests[folder.parent] = read_manifest(folder.parent)
        row = manifests[folder.parent].get(face.video, {})
        texts = {name: row.get(name) or "" for name in FILE_PROPERTIES}
        found[face.video] = {name: float(text) for name, text in texts.items() if text}
        if (folder / BOXES_NAME).exists():
            widths = [float(crop.box_xywh[2]) for crop in read_boxes(folder)]
            if widths:
                found[face.video]["face width"] = statistics.median(widths)
    return found


def aucs_of_files(
    faces: Sequence[FaceTrack], about: Mapping[str, About]
) -> dict[str, tuple[float | None, float | None]]:
    """Return the AUC of the label by each of FILE_PROPERTIES, without and with the extra videos.

    Over all videos at once. Where it is far from 0.5, a network can learn that property instead of
    the forgery.
    """
    known = file_properties(faces)
    result = {}
    for name in FILE_PROPERTIES:
        named = [video for video, of_file in known.items() if name in of_file]
        values = np.array([known[video][name] for video in named])
        own = np.array([not about[video].extra for video in named], bool)
        labels = np.array([about[video].label for video in named], int)
        result[name] = (
            metrics.roc_auc(labels[own], values[own]),
            metrics.roc_auc(labels, values),
        )
    return result
