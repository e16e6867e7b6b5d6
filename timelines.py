"""Scores along a video: a clip for each of a few overlapping windows, so that one sees where.

    timelines.score(network, faces)[0]     # [Point(time_sec=0.6, score=0.12), ...]

A window lasts a quarter of the video. Its clip has as many frames as that of the verdict, which
spans the whole video, so they lie closer together than those the model was trained on: a timeline
tells where to look, the verdict is another score and need not be its mean.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import calibration
import clip_scoring
import faces_folder
from splits import FaceTrack

WINDOWS, WINDOW_SHARE = 8, 0.25


class Point(NamedTuple):
    time_sec: float  # of the middle of the window, from the start of the video
    score: float  # calibrated P(fake) of its clip


def windows(num_frames: int, clip_frames: int) -> list[tuple[int, int]]:
    """Return first frame and length of each window, spread evenly over a video of `num_frames`.

    None is shorter than a clip of `clip_frames`, unless the whole video is, which is then the only
    window; of a video that is little longer there are fewer than `WINDOWS`.
    """
    length = min(num_frames, max(clip_frames, round(num_frames * WINDOW_SHARE)))
    count = min(WINDOWS, num_frames - length + 1)
    starts = np.linspace(0, num_frames - length, count).astype(int)
    return [(int(start), length) for start in starts]


def window_paths(face: FaceTrack, window: tuple[int, int], clip_frames: int) -> list[str]:
    """Return the crops of a window's clip: one from the middle of each equal share of it."""
    start, length = window
    numbers = start + ((np.arange(clip_frames) + 0.5) / clip_frames * length).astype(int)
    return [f"{face.folder}/{number:0{face.digits}d}.jpeg" for number in numbers]


def score(network: clip_scoring.Network, faces: Sequence[FaceTrack]) -> list[list[Point]]:
    """Return the points of every face, by time. Raises UserError where a crop cannot be read."""
    of_faces = [windows(face.num_frames, network.num_frames) for face in faces]
    paths = [
        window_paths(face, window, network.num_frames)
        for face, own in zip(faces, of_faces, strict=True)
        for window in own
    ]
    if not paths:
        return []
    raw = clip_scoring.score(network, np.array(paths), faces, description="scoring timelines")
    scores = iter(calibration.apply(raw[:, 0], network.settings.get("calibration")).tolist())
    timelines = []
    for face, own in zip(faces, of_faces, strict=True):
        times = frame_times(face)
        middles = [times[[start, start + length - 1]].mean() for start, length in own]
        timelines.append([Point(float(middle), next(scores)) for middle in middles])
    return timelines


def frame_times(face: FaceTrack) -> np.ndarray:
    """Return when each crop was in the video in seconds, `(num_frames,)`, as boxes.csv says.

    Where that is missing or damaged, as if there had been 25 crops a second.
    """
    try:
        path = Path(face.folder) / faces_folder.BOXES_NAME
        with path.open(newline="", encoding="utf-8") as file:
            times = np.array([float(row["time_sec"]) for row in csv.DictReader(file)])
        if len(times) == face.num_frames and np.isfinite(times).all():
            return times
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return np.arange(face.num_frames) / 25
