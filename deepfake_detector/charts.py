"""Writes charts, for the reports of training and of evaluation.

They are plain matplotlib figures, made without pyplot, so without a display or global state.
"""

from pathlib import Path

from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a chart as a picture, make its folder if needed, and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return path
