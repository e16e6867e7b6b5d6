"""Scores over time: a clip for each of a few overlapping windows shows where a video looks forged.

    score_timelines(scorer, tracks)[0]     # [TimelinePoint(time_sec=0.6, score=0.12), ...]

A window lasts a quarter of the video. Its clip has as many frames as that of the verdict, which
spans the whole video, so its frames are closer together than those the model was trained on: a
timeline shows where to look. The score of the video need not be its mean.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deepfake_detector.clips.sampling import clip_paths
from deepfake_detector.face_dataset.boxes import frame_times
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.clip_scorer import ClipScorer

MAX_WINDOWS, WINDOW_SHARE = 8, 0.25


class TimelinePoint(NamedTuple):
    time_sec: float  # of the middle of the window, from the start of the video
    score: float  # calibrated P(fake) of its clip


def score_timelines(scorer: ClipScorer, tracks: Sequence[FaceTrack]) -> list[list[TimelinePoint]]:
    """Return the points of each face track by time.

    Raises UserError if a crop cannot be read.
    """
    track_windows = [windows_of(track.num_frames, scorer.num_frames) for track in tracks]
    paths = [
        clip_paths(track, scorer.num_frames, first=first, count=count)
        for track, own in zip(tracks, track_windows, strict=True)
        for first, count in own
    ]
    if not paths:
        return []
    raw = scorer.score_paths(np.array(paths), tracks, description="scoring timelines")
    scores = iter(scorer.calibrated(raw[:, 0]).tolist())
    timelines = []
    for track, own in zip(tracks, track_windows, strict=True):
        times = frame_times(track)
        middles = [times[[first, first + count - 1]].mean() for first, count in own]
        timelines.append([TimelinePoint(float(middle), next(scores)) for middle in middles])
    return timelines


def windows_of(num_frames: int, clip_frames: int) -> list[tuple[int, int]]:
    """Return first frame and length of each window, spread evenly over a video of `num_frames`.

    None is shorter than a clip of `clip_frames`; a video that is shorter than that is one window,
    and one that is little longer has fewer than `MAX_WINDOWS`.
    """
    length = min(num_frames, max(clip_frames, round(num_frames * WINDOW_SHARE)))
    count = min(MAX_WINDOWS, num_frames - length + 1)
    starts = np.linspace(0, num_frames - length, count).astype(int)
    return [(int(start), length) for start in starts]
