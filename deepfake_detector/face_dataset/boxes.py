"""boxes.csv: for each crop of a face track, its frame, its time and the box it was cut along.

    frame,time_sec,x,y,w,h,source
    0,0.000,61.3,40.1,80.2,80.2,detected
    1,0.040,61.5,40.1,80.2,80.2,averaged

`frame` counts the frames of the video from 0. The box is in pixels of that frame, without the
margin; `source` says whether the face was detected there, or the box averaged from its neighbours,
or the central square of the frame taken as-is.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BOXES_NAME = "boxes.csv"
BOXES_FIELDS = ["frame", "time_sec", "x", "y", "w", "h", "source"]


@dataclass(frozen=True)
class Crop:
    """One line of boxes.csv and the JPEG that belongs to it."""

    path: Path
    index: int  # of the frame in the video
    time_sec: float
    box_xywh: Sequence[float]
    source: str  # detected, averaged or as-is


def write_boxes(crops: Sequence[Crop], folder: Path) -> None:
    """Write the boxes.csv of the crops in a folder; raises OSError if that fails."""
    with (folder / BOXES_NAME).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(BOXES_FIELDS)
        for crop in crops:
            box = (f"{value:.1f}" for value in crop.box_xywh)
            table.writerow([crop.index, f"{crop.time_sec:.3f}", *box, crop.source])


def read_boxes(folder: Path) -> list[Crop]:
    """Return the crops of a face track in order, as its boxes.csv lists them.

    Raises OSError if boxes.csv cannot be read, and ValueError if it is damaged.
    """
    path = folder / BOXES_NAME
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [
            Crop(
                folder / name,
                int(row["frame"]),
                float(row["time_sec"]),
                [float(row[side]) for side in "xywh"],
                row["source"],
            )
            for row, name in zip(rows, crop_names(len(rows)), strict=True)
        ]
    except (KeyError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def crop_names(count: int) -> list[str]:
    """Return 000.jpeg, 001.jpeg, ... with as many digits as the last one needs, at least three."""
    digits = max(3, len(str(count - 1)))
    return [f"{order:0{digits}d}.jpeg" for order in range(count)]
