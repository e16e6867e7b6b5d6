"""Writes charts, for the reports of training and of evaluation.

They are plain matplotlib figures, made without pyplot, so without a display or global state.
"""

import warnings
from pathlib import Path

from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a chart as a picture, make its folder if needed, and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=120, bbox_inches="tight")
    return path
