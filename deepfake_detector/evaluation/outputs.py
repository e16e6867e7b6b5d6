"""What evaluate.py leaves: files in the report folder, and tables in the terminal."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector.console import print_table
from deepfake_detector.evaluation import charts, report
from deepfake_detector.evaluation.report import interval_words, signed_change, uncertain_rows
from deepfake_detector.evaluation.timelines import Point
from deepfake_detector.evaluation.videos import ScoredVideo, summarise_manifest
from deepfake_detector.files import check_output, text_cell, write_text, written_whole

METRICS_NAME = "metrics.json"
COLUMNS = ["filename", "label", "score", "face", "data"]
NEEDS_BOTH = "needs real and fake videos"
GROUP_TITLES = {
    "method": "method of manipulation",
    "location": "source folder",
    "faces": "number of faces in the video",
    "data": "folder of faces",
}
MOST_GROUPS = 40  # rows of a printed table; metrics.json has all


def check_folder(out: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise UserError if the report cannot be written into `out`, or `out` holds something else
    than a report."""
    check_output(
        "--out",
        out,
        inputs,
        lambda folder: (folder / METRICS_NAME).is_file(),
        is_folder=True,
        overwrite=overwrite,
    )


def write(
    out: Path,
    videos: Sequence[ScoredVideo],
    timelines: Mapping[ScoredVideo, Sequence[Point]],
    result: Mapping,
    model: Path,
) -> list[Path]:
    """Write all files and return their paths; metrics.json, the mark of a report, comes first.

    `timelines` are of the videos that the report shows with faces, and `result` is what goes into
    metrics.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    metrics_path, predictions_path = out / METRICS_NAME, out / "predictions.csv"
    write_text(metrics_path, json.dumps(result, indent=1) + "\n")
    write_predictions(predictions_path, videos)
    drawn = charts.draw_all(out / "charts", videos, result)
    # The report has strips of faces of its own.
    pngs = {title: p.read_bytes() for title, p in drawn.items() if title != charts.FACES_CHART}
    folders = [summarise_manifest(Path(data)) for data in dict.fromkeys(v.data for v in videos)]
    page = report.page(model, result, videos, timelines, pngs, folders)
    write_text(out / "report.html", page)
    return [out / "report.html", metrics_path, predictions_path, *drawn.values()]


def write_predictions(path: Path, videos: Sequence[ScoredVideo]) -> None:
    """Write a row per video; names are escaped as `files.text_cell` says."""
    with (
        written_whole(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for video in videos:
            name, face, data = map(text_cell, (video.name, video.track.name, video.data))
            table.writerow([name, video.label, f"{video.score:.6f}", face, data])


def print_metrics(result: Mapping, written: Sequence[Path]) -> None:
    """Print the metrics of all videos, of groups, and of altered faces, and the files written."""
    intervals = result["intervals"]

    def shown(name: str) -> str:
        interval = f" ({words})" if (words := interval_words(intervals.get(name))) else ""
        return NEEDS_BOTH if result[name] is None else f"{result[name]:.4f}{interval}"

    ece = shown("ece")
    if result["ece"] is not None:
        ece += f" ({result['ece_before_calibration']:.4f} before calibration)"
    threshold = f"{result['threshold']:.3g} ({result['operating_point']})"
    bootstrapped = f"bootstrap over {intervals['originals']} originals"
    rows = [
        ("videos", f"{result['videos']} ({result['real']} real, {result['fake']} fake)"),
        ("log loss", shown("log_loss")),
        ("ROC AUC", shown("roc_auc")),
        ("average precision", shown("average_precision")),
        ("equal error rate", shown("eer")),
        (f"accuracy at {threshold}", shown("accuracy")),
        (f"ECE ({result['ece_bins']} bins)", ece),
        ("95 % intervals", intervals.get("reason") or bootstrapped),
    ]
    for label in ("real", "fake"):
        for predicted in ("real", "fake"):
            count = result[f"{label}_predicted_{predicted}"]
            rows.append((f"{label}, predicted {predicted}", str(count)))
    rows += uncertain_rows(result)
    rows += [("written", str(path)) for path in written]
    print_table("evaluation, one score per video", rows)
    if result.get("leak_warning"):
        print(f"note: {result['leak_warning']}")
    for name, groups in result["groups"].items():
        print_groups(f"by {GROUP_TITLES[name]}", groups)
    print_robustness(result.get("robustness", []))


def print_groups(title: str, groups: Sequence[Mapping]) -> None:
    """Print a line per group; nothing where there is none."""
    if not groups:
        return
    rows = []
    for group in groups[:MOST_GROUPS]:
        auc = "AUC -" if group["roc_auc"] is None else f"AUC {group['roc_auc']:.3f}"
        if group["roc_auc_interval"]:
            auc += f" ({interval_words(group['roc_auc_interval'])})"
        if group["compared_with"]:
            auc += f" against {group['compared_with']}"
        text = f"{group['real']} real, {group['fake']} fake, {auc}, "
        text += f"log loss {group['log_loss']:.3f}, accuracy {group['accuracy']:.3f}"
        rows.append((group["name"], text))
    if len(groups) > MOST_GROUPS:
        rows.append((f"and {len(groups) - MOST_GROUPS} more", "see metrics.json"))
    print_table(title, rows)


def print_robustness(rows: Sequence[Mapping]) -> None:
    """Print AUC and log loss of altered faces, compared with the clean ones; nothing of none."""
    if not rows:
        return
    lines = []
    for row in rows:
        auc = "AUC -"
        if row["roc_auc"] is not None:
            change = signed_change(row["roc_auc"], rows[0]["roc_auc"])
            auc = f"AUC {row['roc_auc']:.3f} ({change})"
        lines.append((row["name"], f"{auc}, log loss {row['log_loss']:.3f}"))
    print_table("altered faces", lines)
