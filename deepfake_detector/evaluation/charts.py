"""Charts as PNG files: the curves of a training, and what a model's scores are worth.

Of a model: ROC, precision and recall, reliability, histogram of scores, confusion matrix, faces.

Drawn on matplotlib figures of their own, without pyplot: no display and no global state.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake_detector.charts import save_figure

UNIT_SQUARE = {"xlim": (-0.05, 1.05), "ylim": (-0.05, 1.05), "aspect": "equal"}


def roc_chart(
    path: Path, false_alarm_rates: Sequence[float], hit_rates: Sequence[float], auc: float, n: int
) -> Path:
    """Draw hit rate over false alarm rate, both 0..1, and return the path written."""
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    axes.plot(false_alarm_rates, hit_rates, label=f"AUC {auc:.3f}, {n} videos")
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="chance")
    axes.set(
        title="ROC, one score per video",
        xlabel="real videos called fake",
        ylabel="fake videos called fake",
        **UNIT_SQUARE,
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return save_figure(figure, path)


def precision_recall_chart(
    path: Path,
    precisions: Sequence[float],
    recalls: Sequence[float],
    average_precision: float,
    fake_share: float,
) -> Path:
    """Draw precision over recall, both 0..1, and return the path written.

    By chance the precision is `fake_share`, the share of fakes among the videos.
    """
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    label = f"average precision {average_precision:.3f}"
    # Between two thresholds there is nothing: a straight line would be too kind.
    axes.plot(recalls, precisions, drawstyle="steps-post", label=label)
    axes.axhline(fake_share, color="grey", linestyle="--", label=f"chance {fake_share:.3f}")
    axes.set(
        title="Precision and recall, one score per video",
        xlabel="fake videos called fake (recall)",
        ylabel="of those called fake, fake (precision)",
        **UNIT_SQUARE,
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return save_figure(figure, path)


def reliability_chart(path: Path, curves: Mapping[str, Mapping]) -> Path:
    """Draw how often videos of a score are fake, and return the path written.

    `curves` are results of `figures.reliability` by name. The size of a point is its share of the
    videos.
    """
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="as often as it says")
    for name, curve in curves.items():
        bins = [found for found in curve["bins"] if found["videos"]]
        counts = np.array([found["videos"] for found in bins])
        error = "" if curve["ece"] is None else f", error {curve['ece']:.3f}"
        x, y = ([found[key] for found in bins] for key in ("score", "fake"))
        (line,) = axes.plot(x, y, alpha=0.6, label=f"{name}{error}")
        axes.scatter(x, y, s=20 + 180 * counts / counts.sum(), color=line.get_color(), alpha=0.8)
    axes.set(
        title="Reliability, both classes counting the same",
        xlabel="mean score of the videos in a bin",
        ylabel="share of them that is fake",
        **UNIT_SQUARE,
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return save_figure(figure, path)


def histogram_chart(
    path: Path, real_scores: np.ndarray, fake_scores: np.ndarray, threshold: float
) -> Path:
    """Draw how many videos of each class have which score, and return the path written."""
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    edges = np.linspace(0, 1, 21)
    for name, scores in (("real", real_scores), ("fake", fake_scores)):
        axes.hist(scores, edges, alpha=0.55, label=f"{len(scores)} {name}")
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    axes.set(title="Scores", xlabel="score, P(fake)", ylabel="videos", xlim=(0, 1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return save_figure(figure, path)


def confusion_chart(path: Path, counts: np.ndarray, threshold: float) -> Path:
    """Draw the `(2, 2)` counts of label (row) by verdict (column), and return the path written."""
    figure = Figure(figsize=(4.5, 4))
    axes = figure.add_subplot()
    axes.imshow(counts, cmap="Blues", vmin=0)
    for row in range(2):
        for column in range(2):
            dark = counts[row, column] > counts.max() / 2
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=16,
                color="white" if dark else "black",
            )
    names = ["REAL", "FAKE"]
    axes.set(
        title=f"Verdict at threshold {threshold:.3g}",
        xlabel="verdict",
        ylabel="label",
        xticks=[0, 1],
        yticks=[0, 1],
        xticklabels=names,
        yticklabels=names,
    )
    return save_figure(figure, path)


def faces_chart(path: Path, rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Path:
    """Draw a strip of faces per row under its title, and return the path written.

    `rows` are titles and images, `(height, width, 3) uint8` RGB, all of one size.
    """
    figure = Figure(figsize=(10, 1.6 * len(rows)), layout="constrained")
    lines = figure.subplots(len(rows), squeeze=False)[:, 0]
    for axes, (title, images) in zip(lines, rows, strict=True):
        axes.imshow(np.hstack(images))
        axes.set_axis_off()
        axes.set_title(title, loc="left", fontsize=10)
    return save_figure(figure, path)
