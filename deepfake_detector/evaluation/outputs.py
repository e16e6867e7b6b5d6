"""What evaluate.py leaves behind: metrics.json, predictions.csv, charts/ and report.html."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn import metrics as sklearn_metrics

from deepfake_detector.clips.strips import spread_faces, strip_jpeg
from deepfake_detector.console import UserError
from deepfake_detector.evaluation import charts, report
from deepfake_detector.evaluation.timelines import Point
from deepfake_detector.evaluation.videos import EvaluatedVideo, summarise
from deepfake_detector.files import text_cell, write_text
from deepfake_detector.scoring import metrics
from deepfake_detector.videos.metadata import FAKE, REAL

COLUMNS = ["filename", "label", "score", "face", "data"]
STRIP_FACES, STRIP_SIDE = 6, 56  # pixels
FACES_CHART = "Surest right and most mistaken verdicts"  # the report has its own strips


def write(
    out: Path,
    videos: Sequence[EvaluatedVideo],
    raw_scores: np.ndarray,
    scores: np.ndarray,
    result: Mapping,
    timelines: Mapping[int, Sequence[Point]],
    model: Path,
) -> list[Path]:
    """Write all files and return their paths.

    `raw_scores` and the calibrated `scores` of the `videos` are `(num_videos,)`, `result` is what
    goes into metrics.json, and `timelines` are by the index of a video: those that the report shows
    with faces. Raises UserError where the folder cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "metrics.json", json.dumps(dict(result), indent=1) + "\n")
        write_predictions(out / "predictions.csv", videos, scores)
        drawn = draw_charts(out / "charts", videos, raw_scores, scores, result)
        content = report.Content(
            str(model),
            result,
            report_rows(videos, scores, timelines),
            {name: path.read_bytes() for name, path in drawn.items() if name != FACES_CHART},
            [summarise(Path(data)) for data in dict.fromkeys(v.data for v in videos)],
        )
        write_text(out / "report.html", report.page(content))
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error}; give another --out") from error
    return [
        out / "report.html",
        out / "metrics.json",
        out / "predictions.csv",
        *drawn.values(),
    ]


def write_predictions(path: Path, videos: Sequence[EvaluatedVideo], scores: np.ndarray) -> None:
    """Write a row per video; names are guarded as `spreadsheet.text_cell` says."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for video, score in zip(videos, scores, strict=True):
            name, face, data = map(text_cell, (video.name, video.face.name, video.data))
            table.writerow([name, video.label, f"{score:.6f}", face, data])


def worst_first(labels: np.ndarray, scores: np.ndarray) -> list[int]:
    """Return the indices of videos from the most mistaken score to the best one."""
    return np.argsort(-np.abs(scores - labels), kind="stable").tolist()


def report_rows(
    videos: Sequence[EvaluatedVideo], scores: np.ndarray, timelines: Mapping[int, Sequence[Point]]
) -> list[report.Row]:
    labels = np.array([video.label for video in videos])
    return [
        report.Row(
            videos[index],
            float(scores[index]),
            strip_jpeg(videos[index].face, STRIP_FACES, STRIP_SIDE) if index in timelines else b"",
            timelines.get(index, ()),
        )
        for index in worst_first(labels, scores)
    ]


def draw_charts(
    folder: Path,
    videos: Sequence[EvaluatedVideo],
    raw_scores: np.ndarray,
    scores: np.ndarray,
    result: Mapping,
) -> dict[str, Path]:
    """Draw the charts and return their paths by what they show.

    ROC, precision and recall, and reliability are left out where a class is missing.
    """
    labels = np.array([video.label for video in videos])
    drawn = {}
    if metrics.has_both(labels):
        drawn = draw_curves(folder, labels, raw_scores, scores, result)
    drawn["Histogram of scores"] = charts.histogram_chart(
        folder / "scores.png", scores[labels == 0], scores[labels == 1], result["threshold"]
    )
    counts = [
        [result[f"{label}_called_{verdict}"] for verdict in ("real", "fake")]
        for label in ("real", "fake")
    ]
    drawn["Verdicts by label"] = charts.confusion_chart(
        folder / "confusion.png", np.array(counts), result["threshold"]
    )
    shown = surest_and_worst(labels, scores)
    rows = [(strip_title(videos[i], scores[i]), spread_faces(videos[i].face)) for i in shown]
    drawn[FACES_CHART] = charts.faces_chart(folder / "faces.png", rows)
    return drawn


def draw_curves(
    folder: Path,
    labels: np.ndarray,
    raw_scores: np.ndarray,
    scores: np.ndarray,
    result: Mapping,
) -> dict[str, Path]:
    """Draw what needs both classes and return the paths by what they show."""
    false_alarms, hits, _ = sklearn_metrics.roc_curve(labels, scores)
    precisions, recalls, _ = sklearn_metrics.precision_recall_curve(labels, scores)
    curves = {"scores": metrics.reliability(labels, scores)}
    if not np.array_equal(raw_scores, scores):
        curves["before the temperature"] = metrics.reliability(labels, raw_scores)
    return {
        "ROC curve": charts.roc_chart(
            folder / "roc.png", false_alarms, hits, result["roc_auc"], len(labels)
        ),
        "Precision and recall": charts.precision_recall_chart(
            folder / "precision_recall.png",
            precisions,
            recalls,
            result["average_precision"],
            float(labels.mean()),
        ),
        "Reliability": charts.reliability_chart(folder / "reliability.png", curves),
    }


def surest_and_worst(labels: np.ndarray, scores: np.ndarray, each: int = 2) -> list[int]:
    """Return the indices of the surest right verdicts on fake and on real videos, then of the most
    mistaken ones of both; fewer where there are fewer videos, none twice."""
    by_error = worst_first(labels, scores)[::-1]
    fakes, reals = ([i for i in by_error if labels[i] == label][:each] for label in (1, 0))
    worst = [i for i in by_error if i not in {*fakes, *reals}][-each:]
    return [*fakes, *reals, *worst]


def strip_title(video: EvaluatedVideo, score: float) -> str:
    label = FAKE if video.label else REAL
    return f"{video.face.name}   label {label}   P(fake) {score:.3f}"
