"""The metrics of an evaluation as text: what the terminal prints and report.html shows alike.

    for name, value, note in tables.headline(result): ...
    for table in tables.of_groups(result): ...             # by method, by source folder, ...
    for sentence in tables.notes(result): ...

`result` is what goes into metrics.json.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepfake_detector.console import counted
from deepfake_detector.scoring.calibration import UNCERTAIN
from deepfake_detector.videos.vocabulary import FAKE, REAL

BOTH = ("real", "fake")
GROUP_TITLES = {
    "data": "folder of faces",
    "method": "method of manipulation",
    "collection": "collection",
}


class Table(NamedTuple):
    """A table of text; the first column names the rows."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def headline(result: Mapping) -> list[tuple[str, str, str]]:
    """Return the metrics of all videos: name, value and a note, which may be empty."""
    intervals = result["intervals"]

    def metric(name: str, key: str) -> tuple[str, str, str]:
        missing = "" if result[key] is not None else "needs real and fake videos"
        return name, number(result[key]), interval(intervals.get(key)) or missing

    rows = [
        metric("ROC AUC", "roc_auc"),
        metric("log loss", "log_loss"),
        metric("average precision", "average_precision"),
        metric("equal error rate", "eer"),
        ("accuracy", number(result["accuracy"]), "a score of 0.5 or more is fake"),
        ("ECE", number(result["ece"]), f"{result['ece_bins']} bins"),
    ]
    ranges = {
        FAKE: f"a score of {result['fake_from']:.3g} or more",
        UNCERTAIN: "a score in between",
        REAL: f"a score below {result['real_below']:.3g}",
    }
    for verdict, scores in ranges.items():
        found = (f"{result['verdicts'][of][verdict]} of {result[of]} {of}" for of in BOTH)
        rows.append((verdict, ", ".join(found), scores))
    return rows


def notes(result: Mapping) -> list[str]:
    """Return what to know about the metrics, a sentence each without a full stop."""
    intervals = result["intervals"]
    bootstrapped = f"95 % intervals by bootstrap over {intervals['originals']} originals"
    sentences = []
    if result["synthetic"]:
        count = f"{result['synthetic']} of {counted(result['videos'], 'video')}"
        sentences.append(f"{count} show synthetic people, which say nothing about real ones")
    sentences.append(intervals.get("reason") or bootstrapped)
    if result["leak_warning"]:
        sentences.append(result["leak_warning"])
    if any(group["compared_with"] for groups in result["groups"].values() for group in groups):
        sentences.append("* a group of one class, compared with all videos of the other class")
    return sentences


def of_groups(result: Mapping) -> list[Table]:
    """Return a table for each kind of group that there is."""
    heads = ("real", "fake", "ROC AUC", "95 %", "log loss", "accuracy")
    found = []
    for kind, title in GROUP_TITLES.items():
        rows = [
            (
                group["name"],
                str(group["real"]),
                str(group["fake"]),
                number(group["roc_auc"]) + ("*" if group["compared_with"] else ""),
                interval(group["roc_auc_interval"]),
                number(group["log_loss"]),
                number(group["accuracy"]),
            )
            for group in result["groups"][kind]
        ]
        found += [Table(f"by {title}", (title, *heads), rows)] if rows else []
    return found


def of_robustness(result: Mapping) -> list[Table]:
    """Return the table of altered faces, if it was asked for."""
    rows = []
    for row in result.get("robustness", []):
        change = "–"
        if row["roc_auc"] is not None:  # what rounds to zero is +0.000
            clean_auc = result["robustness"][0]["roc_auc"]
            change = f"{round(row['roc_auc'] - clean_auc, 3) + 0.0:+.3f}"
        rows.append((row["name"], number(row["roc_auc"]), change, number(row["log_loss"])))
    heads = ("faces", "ROC AUC", "change", "log loss")
    return [Table("the same faces, altered before they are scored", heads, rows)] if rows else []


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def interval(low_high: Sequence[float] | None) -> str:
    return "" if low_high is None else f"{low_high[0]:.3f} to {low_high[1]:.3f}"
