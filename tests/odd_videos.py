"""Runs of processing.py on odd videos, and what is looked at afterwards."""

import csv
from pathlib import Path

import numpy as np
from conftest import read_rgb, write_metadata

import processing

NUM_FRAMES, FPS = 20, 25


def listing(folder: Path) -> dict[str, tuple]:
    """Return mode, size and time of change of everything below a folder, links not followed."""
    stats = {path: path.lstat() for path in sorted(folder.rglob("*"))}
    return {
        str(path.relative_to(folder)): (found.st_mode, found.st_size, found.st_mtime_ns)
        for path, found in stats.items()
    }


def boxes_of(faces: Path, name: str) -> list[dict]:
    with (faces / name / "boxes.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def crops_of(faces: Path, name: str) -> list[np.ndarray]:
    return [read_rgb(path) for path in sorted((faces / name).glob("*.jpeg"))]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def make_faces(videos: Path, faces: Path, **words) -> dict[str, dict]:
    """Run on all files of a folder and return the manifest rows by name."""
    names = sorted(path.name for path in videos.iterdir() if path.name != "metadata.json")
    write_metadata(videos, dict.fromkeys(names, "REAL"))
    return {row["filename"]: row for row in processing.processing(videos, faces, **words)}
