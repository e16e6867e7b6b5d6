"""Charts as PNG files: curves of a training; ROC, confusion matrix and face strips of a model.

Drawn on matplotlib figures of their own, without pyplot: no display and no global state.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def curves_chart(
    path: Path, title: str, y_label: str, curves: Mapping[str, Sequence[float]]
) -> Path:
    """Draw one line per curve over the epochs, from 1 on, and return the path written."""
    figure = Figure(figsize=(7, 4.5))
    axes = figure.add_subplot()
    for name, values in curves.items():
        # Markers keep a training of a single epoch from being an empty chart.
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel="epoch", ylabel=y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return _save(figure, path)


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
        aspect="equal",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return _save(figure, path)


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
        title=f"Verdict at threshold {threshold:g}",
        xlabel="verdict",
        ylabel="label",
        xticks=[0, 1],
        yticks=[0, 1],
        xticklabels=names,
        yticklabels=names,
    )
    return _save(figure, path)


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
    return _save(figure, path)
