"""The scored videos of an evaluation.

videos = score_videos(scorer, tracks, [Path("faces")])
videos[0].name, videos[0].score, videos[0].track.name
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.console import printable
from deepfake_detector.face_dataset.face_tracks import FaceTrack, read_entries
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.scoring.video_scores import highest_scoring_tracks

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer

NOT_NAMED, NOT_KNOWN = "not named", "not known"


@dataclass(frozen=True)
class ScoredVideo:
    """A video with its highest-scoring face track, whose score is that of the video."""

    track: FaceTrack
    raw_score: float  # P(fake), 0..1, as the model gives it
    score: float  # calibrated
    data: str  # folder of faces, as the user gave it
    method: str | None  # of a fake, or `NOT_NAMED`; None for a real video
    location: str  # folder of the video file, or `NOT_KNOWN`
    num_faces: int  # that were tracked and scored
    frames_averaged: int | None  # frames without a detection; None: not known
    frames_total: int | None

    @property
    def label(self) -> int:
        return self.track.label

    @property
    def name(self) -> str:
        return self.track.video

    @property
    def error(self) -> float:
        """How far the score is from the label, 0..1."""
        return abs(self.score - self.label)


def score_videos(
    scorer: "ClipScorer", tracks: Sequence[FaceTrack], folders: Sequence[Path]
) -> list[ScoredVideo]:
    """Score all face tracks and return their videos, folder by folder.

    Raises UserError if a crop or a metadata.json cannot be read.
    """
    raw_scores = scorer.score_tracks(tracks)
    scores = scorer.calibrated(raw_scores)
    highest = highest_scoring_tracks(tracks, raw_scores)
    num_faces = Counter(track.video_key for track in tracks)
    videos = []
    for folder in folders:
        metadata, manifest = read_entries(folder), read_manifest(folder)
        for index in highest:
            track = tracks[index]
            if track.video_key[0] != str(folder):
                continue
            row = manifest.get(track.video, {})
            method = _one_line(str(metadata[track.name].get("method") or NOT_NAMED))
            video = ScoredVideo(
                track,
                float(raw_scores[index]),
                float(scores[index]),
                str(folder),
                method if track.label else None,
                _one_line(row.get("location", "")) or NOT_KNOWN,
                num_faces[track.video_key],
                *_frame_counts(row),
            )
            videos.append(video)
    return videos


def labels_and_scores(videos: Sequence[ScoredVideo]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, int, and calibrated scores, float64, `(num_videos,)` each."""
    return np.array([v.label for v in videos], int), np.array([v.score for v in videos], float)


def largest_errors_first(videos: Iterable[ScoredVideo]) -> list[ScoredVideo]:
    return sorted(videos, key=lambda video: -video.error)


def short_locations(videos: Sequence[ScoredVideo]) -> list[str]:
    """Return the locations without the folders that all of them have in common."""
    known = {video.location for video in videos} - {NOT_KNOWN}
    if not known or not all(Path(location).is_absolute() for location in known):
        return [video.location for video in videos]
    root = Path(os.path.commonpath(known)).parent
    short = {location: str(Path(location).relative_to(root)) for location in known}
    return [short.get(video.location, NOT_KNOWN) for video in videos]


def _frame_counts(row: Mapping) -> tuple[int | None, int | None]:
    """Return the numbers of averaged frames and of all frames with a box in a row of the manifest,
    or None twice if it does not say."""
    numbers = [row.get(name) or "" for name in ("averaged", "detected")]
    if not all(number.isdecimal() for number in numbers):
        return None, None
    averaged, detected = map(int, numbers)
    return (averaged, averaged + detected) if averaged + detected else (None, None)


def _one_line(text: str) -> str:
    """Return text on one line, without control characters and what UTF-8 cannot hold."""
    return printable(" ".join(text.split()))
