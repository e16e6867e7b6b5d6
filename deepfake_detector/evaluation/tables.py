"""To be written."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector.console import print_table
from deepfake_detector.evaluation import report

MOST_GROUPS = 40  # rows of a printed table; metrics.json has all


def print_figures(result: Mapping, written: Sequence[Path]) -> None:
    intervals, errors = result["intervals"], result["calibration_error"]

    def shown(name: str) -> str:
        if result[name] is None:
            return "needs real and fake videos"
        return f"{result[name]:.4f}{interval_words(intervals.get(name))}"

    ece = "needs real and fake videos"
    if errors["ece"] is not None:
        ece = f"{errors['ece']:.4f} ({errors['before_temperature']:.4f} before the temperature)"
    reason = intervals.get("reason")
    rows = [
        ("videos", f"{result['videos']} ({result['real']} real, {result['fake']} fake)"),
        ("log loss", shown("log_loss")),
        ("ROC AUC", shown("roc_auc")),
        ("average precision", shown("average_precision")),
        ("equal error rate", shown("eer")),
        (
            f"accuracy at {result['threshold']:.3g} ({result['operating_point']})",
            shown("accuracy"),
        ),
        (f"calibration error ({errors['num_bins']} bins)", ece),
        ("95 % intervals", reason or f"bootstrap over {intervals['originals']} originals"),
        ("real called real", str(result["real_called_real"])),
        ("real called fake", str(result["real_called_fake"])),
        ("fake called real", str(result["fake_called_real"])),
        ("fake called fake", str(result["fake_called_fake"])),
    ]
    rows += [("written", str(path)) for path in written]
    print_table("evaluation, one score per video", rows)
    for name, groups in result["groups"].items():
        print_groups(f"by {GROUP_WORDS[name]}", groups)
    print_robustness(result.get("robustness", []))


def interval_words(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3f} to {interval[1]:.3f})"


GROUP_WORDS = {
    "method": "method of manipulation",
    "location": "source folder",
    "faces": "number of faces in the video",
    "data": "folder of faces",
}


def print_groups(title: str, groups: Sequence[Mapping]) -> None:
    """Print a line per group; nothing where there is none."""
    if not groups:
        return
    rows = []
    for group in groups[:MOST_GROUPS]:
        auc = "  -  " if group["roc_auc"] is None else f"{group['roc_auc']:.3f}"
        against = f" against {group['compared_with']}" if group["compared_with"] else ""
        rows.append(
            (
                group["name"],
                f"{group['real']} real, {group['fake']} fake, "
                f"AUC {auc}{interval_words(group['roc_auc_interval'])}{against}, "
                f"log loss {group['log_loss']:.3f}, accuracy {group['accuracy']:.3f}",
            )
        )
    if len(groups) > MOST_GROUPS:
        rows.append((f"and {len(groups) - MOST_GROUPS} more", "see metrics.json"))
    print_table(title, rows)


def print_robustness(rows: Sequence[Mapping]) -> None:
    """Print AUC and log loss of altered faces beside the clean ones; nothing without rows."""
    if not rows:
        return
    lines = []
    for row in rows:
        auc = "AUC -"
        if row["roc_auc"] is not None:
            change = report.change(row["roc_auc"], rows[0]["roc_auc"])
            auc = f"AUC {row['roc_auc']:.3f} ({change})"
        lines.append((row["name"], f"{auc}, log loss {row['log_loss']:.3f}"))
    print_table("altered faces", lines)
