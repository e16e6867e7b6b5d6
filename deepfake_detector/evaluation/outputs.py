"""What evaluate.py leaves: files in the report folder, and tables in the terminal."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector.console import counted, print_table, say
from deepfake_detector.evaluation import charts, report, tables
from deepfake_detector.evaluation.videos import ScoredVideo
from deepfake_detector.files import text_cell, write_text, written_whole

METRICS_NAME = "metrics.json"
COLUMNS = ["filename", "label", "score", "face", "data"]


def write(out: Path, videos: Sequence[ScoredVideo], result: Mapping, model: Path) -> list[Path]:
    """Write all files and return their paths; metrics.json, the mark of a report, comes first.

    `result` is what goes into metrics.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    metrics_path, predictions_path = out / METRICS_NAME, out / "predictions.csv"
    write_text(metrics_path, json.dumps(result, indent=1) + "\n")
    with (
        written_whole(predictions_path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for video in videos:
            name, face, data = map(text_cell, (video.name, video.track.name, video.data))
            table.writerow([name, video.label, f"{video.score:.6f}", face, data])
    drawn = charts.draw_all(out / "charts", videos, result)
    pngs = {title: path.read_bytes() for title, path in drawn.items()}
    page = report.as_html(model, result, videos, pngs)
    write_text(out / "report.html", page)
    return [out / "report.html", metrics_path, predictions_path, *drawn.values()]


def print_metrics(result: Mapping, written: Sequence[Path]) -> None:
    """Print the metrics of all videos, of groups, and of altered faces, and the files written."""
    count = f"{counted(result['videos'], 'video')}: {result['real']} real, {result['fake']} fake"
    metrics = [
        (name, f"{value} ({note})" if note else value)
        for name, value, note in tables.headline(result)
    ]
    print_table(f"evaluation, one score per video; {count}", metrics)
    for table in (*tables.of_groups(result), *tables.of_robustness(result)):
        print_table(table.title, table.rows, table.heads)
    for sentence in tables.notes(result):
        say(f"note: {sentence}")
    for path in written:
        say(f"written: {path}")
