"""Charts of an evaluation as PNG files: ROC curve, reliability, scores.

    paths = charts.draw_all(Path("report/charts"), videos, result)

On matplotlib figures without pyplot: no display and no global state. scikit-learn's displays do
not open one either when they are given axes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import RocCurveDisplay

from deepfake_detector.console import counted
from deepfake_detector.evaluation.videos import ScoredVideo, labels_and_scores
from deepfake_detector.pages import save_figure
from deepfake_detector.scoring import metrics
from deepfake_detector.videos.metadata import FAKE, REAL

LABELS = (REAL, FAKE)


def draw_all(folder: Path, videos: Sequence[ScoredVideo], result: Mapping) -> dict[str, Path]:
    """Draw all charts and return their paths by title.

    `result` is that of `evaluate.all_metrics`. The curve and the reliability are left out if a
    class is missing.
    """
    labels, scores = labels_and_scores(videos)
    figures: dict[str, Figure] = {}

    def axes_of(name: str) -> Axes:
        figures[name] = Figure(figsize=(5, 5))
        axes = figures[name].add_subplot()
        axes.grid(alpha=0.3)
        return axes

    if metrics.has_both(labels):
        draw_curve(axes_of("roc"), labels, scores)
        draw_reliability(axes_of("reliability"), labels, scores)
    draw_histogram(axes_of("scores"), labels, scores, result)
    return {
        figure.axes[0].get_title(): save_figure(figure, folder / f"{name}.png")
        for name, figure in figures.items()
    }


def draw_curve(axes: Axes, labels: np.ndarray, scores: np.ndarray) -> None:
    """Draw the ROC curve, with that of chance."""
    name = counted(len(labels), "video")
    RocCurveDisplay.from_predictions(labels, scores, ax=axes, name=name, plot_chance_level=True)
    axes.set(title="ROC curve", xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="best")


def draw_reliability(axes: Axes, labels: np.ndarray, scores: np.ndarray) -> None:
    """Draw how often videos of a score are fake.

    The size of a point is its share of the videos. scikit-learn's CalibrationDisplay is not used
    because it does not give both classes the same weight.
    """
    found = metrics.reliability(labels, scores)
    x, y, counts = (
        np.array([b[key] for b in found["bins"]]) for key in ("score", "fake", "videos")
    )
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", label="perfectly calibrated")
    (line,) = axes.plot(x, y, alpha=0.6, label=f"scores (ECE = {found['ece']:.3f})")
    axes.scatter(x, y, s=20 + 180 * counts / counts.sum(), color=line.get_color(), alpha=0.8)
    axes.set(
        title="Reliability, both classes with equal weight",
        xlabel="mean score of the videos in a bin",
        ylabel="fraction of fake videos",
        aspect="equal",
    )
    axes.legend(loc="upper left")


def draw_histogram(axes: Axes, labels: np.ndarray, scores: np.ndarray, result: Mapping) -> None:
    """Draw how many videos of each class have which score, and where the verdicts change."""
    edges = np.linspace(0, 1, 21).tolist()
    for label, name in enumerate(LABELS):
        own = scores[labels == label]
        axes.hist(own, edges, alpha=0.55, label=f"{len(own)} {name}")
    for limit, style in (("real_below", ":"), ("fake_from", "--")):
        words = f"{limit.replace('_', ' ').upper()} {result[limit]:.3g}"
        axes.axvline(result[limit], color="black", linestyle=style, label=words)
    axes.set(title="Scores", xlabel="score, P(fake)", ylabel="videos", xlim=(0, 1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.3)  # room for the legend
    axes.legend(loc="upper center")
