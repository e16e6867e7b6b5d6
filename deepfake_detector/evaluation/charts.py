"""Charts of an evaluation as PNG files: curves, reliability, scores, confusion matrix, faces.

    paths = charts.draw_all(Path("report/charts"), videos, metrics_of_all)

On matplotlib figures without pyplot: no display and no global state. scikit-learn's displays do
not open one either when they are given axes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay

from deepfake_detector.clips.strips import spread_faces
from deepfake_detector.console import counted
from deepfake_detector.evaluation.videos import ScoredVideo, labels_and_scores, largest_errors_first
from deepfake_detector.pages import save_figure
from deepfake_detector.scoring import metrics
from deepfake_detector.videos.metadata import FAKE, REAL

NAMES = ("roc", "precision_recall", "reliability", "scores", "confusion", "faces")
FACES_CHART = "Most confident correct and most wrong predictions"
LABELS = (REAL, FAKE)


def draw_all(folder: Path, videos: Sequence[ScoredVideo], result: Mapping) -> dict[str, Path]:
    """Draw all charts and return their paths by title.

    `result` is that of `evaluate.all_metrics`. Curves and reliability are left out where a class is
    missing.
    """
    labels, scores = labels_and_scores(videos)
    paths = {}
    if metrics.has_both(labels):
        curves = {"scores": scores}
        raw_scores = np.array([video.raw_score for video in videos])
        if not np.array_equal(raw_scores, scores):
            curves["before calibration"] = raw_scores
        paths["ROC curve"] = roc_chart(folder / "roc.png", labels, scores)
        paths["Precision-recall curve"] = precision_recall_chart(
            folder / "precision_recall.png", labels, scores
        )
        paths["Reliability"] = reliability_chart(folder / "reliability.png", labels, curves)
    threshold = result["threshold"]
    paths["Histogram of scores"] = histogram_chart(folder / "scores.png", labels, scores, threshold)
    paths["Confusion matrix"] = confusion_chart(folder / "confusion.png", result)
    rows = [(_title(video), spread_faces(video.track)) for video in best_and_worst(videos)]
    paths[FACES_CHART] = faces_chart(folder / "faces.png", rows)
    return paths


def roc_chart(path: Path, labels: np.ndarray, scores: np.ndarray) -> Path:
    """Draw the ROC curve and return the path written."""
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    RocCurveDisplay.from_predictions(
        labels, scores, ax=axes, name=counted(len(labels), "video"), plot_chance_level=True
    )
    axes.set(
        title="ROC curve, one score per video",
        xlabel="false positive rate",
        ylabel="true positive rate",
    )
    axes.grid(alpha=0.3)
    return save_figure(figure, path)


def precision_recall_chart(path: Path, labels: np.ndarray, scores: np.ndarray) -> Path:
    """Draw precision over recall and return the path written."""
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    PrecisionRecallDisplay.from_predictions(
        labels, scores, ax=axes, name=counted(len(labels), "video"), plot_chance_level=True
    )
    axes.set(title="Precision and recall, one score per video", xlabel="recall", ylabel="precision")
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    return save_figure(figure, path)


def reliability_chart(path: Path, labels: np.ndarray, curves: Mapping[str, np.ndarray]) -> Path:
    """Draw how often videos of a score are fake, for scores by name; return the path written.

    The size of a point is its share of the videos. scikit-learn's CalibrationDisplay is not used
    because it does not give both classes the same weight.
    """
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", label="perfectly calibrated")
    for name, scores in curves.items():
        found = metrics.reliability(labels, scores)
        bins = [filled for filled in found["bins"] if filled["videos"]]
        counts = np.array([filled["videos"] for filled in bins])
        x, y = ([filled[key] for filled in bins] for key in ("score", "fake"))
        (line,) = axes.plot(x, y, alpha=0.6, label=f"{name} (ECE = {found['ece']:.3f})")
        axes.scatter(x, y, s=20 + 180 * counts / counts.sum(), color=line.get_color(), alpha=0.8)
    axes.set(
        title="Reliability, both classes with equal weight",
        xlabel="mean score of the videos in a bin",
        ylabel="fraction of fake videos",
        xlim=(-0.05, 1.05),
        ylim=(-0.05, 1.05),
        aspect="equal",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return save_figure(figure, path)


def histogram_chart(path: Path, labels: np.ndarray, scores: np.ndarray, threshold: float) -> Path:
    """Draw how many videos of each class have which score, and return the path written."""
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    edges = np.linspace(0, 1, 21).tolist()
    for label, name in enumerate(LABELS):
        own = scores[labels == label]
        axes.hist(own, edges, alpha=0.55, label=f"{len(own)} {name}")
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    axes.set(title="Scores", xlabel="score, P(fake)", ylabel="videos", xlim=(0, 1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return save_figure(figure, path)


def confusion_chart(path: Path, result: Mapping) -> Path:
    """Draw the counts of label (row) by predicted label (column), and return the path written."""
    counts = [[result[f"{a}_predicted_{b}"] for b in ("real", "fake")] for a in ("real", "fake")]
    figure = Figure(figsize=(4.5, 4))
    axes = figure.add_subplot()
    display = ConfusionMatrixDisplay(np.array(counts), display_labels=LABELS)
    display.plot(ax=axes, cmap="Blues", colorbar=False, text_kw={"fontsize": 16})
    axes.set(
        title=f"Confusion matrix at threshold {result['threshold']:.3g}",
        xlabel="predicted",
        ylabel="label",
    )
    return save_figure(figure, path)


def faces_chart(path: Path, rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Path:
    """Draw a strip of faces per row under its title, and return the path written.

    `rows` are titles and images, `(height, width, 3) uint8` RGB, all of one size.
    """
    figure = Figure(figsize=(10, 1.6 * len(rows)), layout="constrained")
    all_axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axes, (title, strip) in zip(all_axes, rows, strict=True):
        axes.imshow(np.hstack(strip))
        axes.set_axis_off()
        axes.set_title(title, loc="left", fontsize=10)
    return save_figure(figure, path)


def best_and_worst(videos: Sequence[ScoredVideo], each: int = 2) -> list[ScoredVideo]:
    """Return the fake and the real videos with the smallest errors, then the videos with the
    largest errors; fewer where there are fewer videos, none twice."""
    by_error = largest_errors_first(videos)[::-1]
    best = [video for label in (1, 0) for video in [v for v in by_error if v.label == label][:each]]
    return best + [video for video in by_error if video not in best][-each:]


def _title(video: ScoredVideo) -> str:
    return f"{video.track.name}   label {LABELS[video.label]}   P(fake) {video.score:.3f}"
