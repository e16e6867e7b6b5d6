"""Metrics of groups of videos: by method, by collection, by folder of faces.

found = groups.group_metrics(videos)
found["method"][0]     # {"name": "Deepfakes", "real": 0, "fake": 40, "roc_auc": 0.81, ...}
"""

from collections.abc import Sequence

import numpy as np

from deepfake_detector.console import printable
from deepfake_detector.evaluation import bootstrap
from deepfake_detector.evaluation.videos import ScoredVideo, labels_and_scores
from deepfake_detector.scoring import metrics

NOT_NAMED = "not named"


def group_metrics(videos: Sequence[ScoredVideo]) -> dict[str, list[dict]]:
    """Return a list of rows each for "method", "collection" and "data", sorted by name.

    Real videos have no method. A table without information is empty: one without a name, or with a
    single group.
    """
    columns: dict[str, list[str | None]] = {
        "method": [_one_line(v.track.method) if v.label else None for v in videos],
        "collection": [_one_line(v.track.collection) for v in videos],
        "data": [v.data for v in videos],
    }
    result = {}
    for column, groups in columns.items():
        names = {name for name in groups if name is not None}
        # Each row costs a bootstrap, so a table without information is not computed at all.
        informative = bool(names - {NOT_NAMED}) if column == "method" else len(names) > 1
        result[column] = [
            _row(name, videos, [group == name for group in groups])
            for name in sorted(names)
            if informative
        ]
    return result


def _one_line(name: str) -> str:
    """Return a name of the metadata on one line, without control characters."""
    return printable(" ".join(name.split())) or NOT_NAMED


def _row(name: str, videos: Sequence[ScoredVideo], is_member: Sequence[bool]) -> dict:
    """Return counts, log loss, accuracy and ROC AUC of the members of a group.

    For the AUC a group of one class is compared with all videos of the other class, the fakes of a
    method with all real videos, as `compared_with` says.
    """
    labels, scores = labels_and_scores(videos)
    members = np.array(is_member, bool)
    own, compared_with, used = labels[members], None, members
    if not metrics.has_both(own) and metrics.has_both(labels):
        other = 1 - int(own[0])
        compared_with, used = ("all real", "all fake")[other], members | (labels == other)
    source_groups = np.array([video.track.source_group for video in videos])
    intervals = bootstrap.intervals(labels[used], scores[used], source_groups[used])
    return {
        "name": name,
        "real": int((own == 0).sum()),
        "fake": int((own == 1).sum()),
        "roc_auc": metrics.roc_auc(labels[used], scores[used]),
        "roc_auc_interval": intervals["roc_auc"],
        "compared_with": compared_with,
        "log_loss": metrics.log_loss(own, scores[members]),
        "accuracy": metrics.accuracy(own, scores[members]),
    }
