"""Figures of parts of the videos: per method, source folder, number of faces, folder of faces.

tables = group_figures.tables(videos, scores, threshold)
tables["method"][0]     # {"name": "Deepfakes", "real": 0, "fake": 40, "roc_auc": 0.81, ...}
"""

from collections.abc import Sequence

import numpy as np

from deepfake_detector.evaluation import bootstrap
from deepfake_detector.evaluation.videos import NOT_NAMED, EvaluatedVideo, short_locations
from deepfake_detector.scoring import metrics

RESAMPLES = 500  # a table may have hundreds of rows


def tables(videos: Sequence[EvaluatedVideo], scores: np.ndarray, threshold: float) -> dict:
    """Return a list of rows each for "method", "location", "faces" and "data".

    One that would say nothing is empty: without a named method, or with one group only. That of
    "data", the folders of faces, ends with a row for all of them.
    """
    labels = np.array([video.label for video in videos])
    source_groups = [video.face.source_group for video in videos]
    columns = {
        "method": [video.method for video in videos],
        "location": short_locations(videos),
        "faces": [str(video.num_faces) for video in videos],
        "data": [video.data for video in videos],
    }
    result = {}
    for name, groups in columns.items():
        known = {group for group in groups if group is not None}
        # Every row takes a bootstrap, so a table that would say nothing is not made at all.
        told = known - {NOT_NAMED} if name == "method" else len(known) > 1
        result[name] = rows(labels, scores, source_groups, groups, threshold) if told else []
    result["faces"].sort(key=lambda row: int(row["name"]))
    if result["data"]:
        everything = np.ones(len(labels), bool)
        # With as many resamples as the headline has, so that both say the same.
        row = _row("all", everything, labels, scores, source_groups, threshold, bootstrap.RESAMPLES)
        result["data"].append(row)
    return result


def rows(
    labels: np.ndarray,
    scores: np.ndarray,
    source_groups: Sequence[str],
    groups: Sequence[str | None],
    threshold: float,
) -> list[dict]:
    """Return the figures of every group, sorted by name; a video whose group is None is in none."""
    names = np.array(groups, object)
    return [
        _row(name, names == name, labels, scores, source_groups, threshold)
        for name in sorted({name for name in groups if name is not None})
    ]


def _row(
    name: str,
    inside: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    source_groups: Sequence[str],
    threshold: float,
    resamples: int = RESAMPLES,
) -> dict:
    """Return counts, log loss and accuracy of the group, and its ROC AUC.

    For AUC a group of one class stands against all videos of the other class: the fakes of a method
    against all real ones. `compared_with` says so.
    """
    own, compared, used = labels[inside], None, inside
    if not metrics.has_both(own) and metrics.has_both(labels):
        other = 1 - int(own[0])
        compared, used = ("all real", "all fake")[other], inside | (labels == other)
    interval = bootstrap.intervals(
        labels[used], scores[used], np.asarray(source_groups, str)[used], resamples
    )
    right = (scores[inside] >= threshold) == (own == 1)
    return {
        "name": name,
        "real": int((own == 0).sum()),
        "fake": int((own == 1).sum()),
        "roc_auc": metrics.roc_auc(labels[used], scores[used]),
        "roc_auc_interval": interval["roc_auc"],
        "compared_with": compared,
        "log_loss": metrics.log_loss(own, scores[inside]),
        "accuracy": float(right.mean()),
    }
