"""To be written."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.face_dataset.face_tracks import FaceTrack

BOXES_FIELDS = ["frame", "time_sec", "x", "y", "w", "h", "source"]


@dataclass(frozen=True)
class Crop:
    """One line of boxes.csv and the file that belongs to it."""

    path: Path
    index: int  # of the frame in the video
    time_sec: float
    box_xywh: Sequence[float]
    source: str  # detected or averaged


def write_face(crops: Sequence[Crop], folder: Path, place: Callable[[Path, Path], object]) -> None:
    """Place the crops as 000.jpeg, 001.jpeg, ... in their own folder and write boxes.csv there."""
    folder.mkdir()
    digits = max(3, len(str(len(crops) - 1)))
    with (folder / BOXES_NAME).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(BOXES_FIELDS)
        for order, crop in enumerate(crops):
            place(crop.path, folder / f"{order:0{digits}d}.jpeg")
            position = (f"{value:.1f}" for value in crop.box_xywh)
            table.writerow([crop.index, f"{crop.time_sec:.3f}", *position, crop.source])


def read_boxes(folder: Path) -> dict[int, Crop]:
    """Return the lines of a boxes.csv by the index of their frame."""
    with (folder / BOXES_NAME).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        int(row["frame"]): Crop(
            folder,
            int(row["frame"]),
            float(row["time_sec"]),
            [float(row[side]) for side in "xywh"],
            row["source"],
        )
        for row in rows
    }


BOXES_NAME = "boxes.csv"


def frame_times(face: FaceTrack) -> np.ndarray:
    """Return when each crop was in the video in seconds, `(num_frames,)`, as boxes.csv says.

    Where that is missing or damaged, as if there had been 25 crops a second.
    """
    try:
        path = Path(face.folder) / BOXES_NAME
        with path.open(newline="", encoding="utf-8") as file:
            times = np.array([float(row["time_sec"]) for row in csv.DictReader(file)])
        if len(times) == face.num_frames and np.isfinite(times).all():
            return times
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return np.arange(face.num_frames) / 25
