"""Scores along a video: a clip for each of a few overlapping windows, so that one sees where.

    timelines.score(network, faces)[0]     # [Point(time_sec=0.6, score=0.12), ...]

A window lasts a quarter of the video. Its clip has as many frames as that of the verdict, which
spans the whole video, so they lie closer together than those the model was trained on: a timeline
tells where to look, the verdict is another score and need not be its mean.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deepfake_detector.clips.sampling import clip_paths
from deepfake_detector.face_dataset.boxes import frame_times
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.clip_scorer import ClipScorer

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


def score(scorer: ClipScorer, faces: Sequence[FaceTrack]) -> list[list[Point]]:
    """Return the points of every face, by time. Raises UserError where a crop cannot be read."""
    of_faces = [windows(face.num_frames, scorer.num_frames) for face in faces]
    paths = [
        clip_paths(face, scorer.num_frames, first=first, count=count)
        for face, own in zip(faces, of_faces, strict=True)
        for first, count in own
    ]
    if not paths:
        return []
    raw = scorer.score_paths(np.array(paths), faces, description="scoring timelines")
    scores = iter(scorer.calibrated(raw[:, 0]).tolist())
    timelines = []
    for face, own in zip(faces, of_faces, strict=True):
        times = frame_times(face)
        middles = [times[[start, start + length - 1]].mean() for start, length in own]
        timelines.append([Point(float(middle), next(scores)) for middle in middles])
    return timelines
