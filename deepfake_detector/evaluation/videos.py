"""The scored videos of an evaluation.

videos = score_videos(scorer, tracks)
videos[0].track.video, videos[0].score, videos[0].track.name
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.clip_scorer import ClipScorer, highest_scoring_tracks


@dataclass(frozen=True)
class ScoredVideo:
    """A video with its highest-scoring face track, whose score is that of the video."""

    track: FaceTrack
    raw_score: float  # P(fake), 0..1, as the model gives it
    score: float  # calibrated

    @property
    def label(self) -> int:
        return self.track.label

    @property
    def name(self) -> str:
        return self.track.video

    @property
    def data(self) -> str:
        """The folder of faces, as the user gave it."""
        return self.track.video_key[0]

    @property
    def error(self) -> float:
        """How far the score is from the label, 0..1."""
        return abs(self.score - self.label)


def score_videos(scorer: ClipScorer, tracks: Sequence[FaceTrack]) -> list[ScoredVideo]:
    """Score all face tracks and return their videos. Raises UserError if a crop cannot be read."""
    raw_scores = scorer.score_tracks(tracks)
    scores = scorer.calibrated(raw_scores)
    return [
        ScoredVideo(tracks[index], float(raw_scores[index]), float(scores[index]))
        for index in highest_scoring_tracks(tracks, raw_scores)
    ]


def labels_and_scores(videos: Sequence[ScoredVideo]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, int, and calibrated scores, float64, `(num_videos,)` each."""
    return np.array([v.label for v in videos], int), np.array([v.score for v in videos], float)


def largest_errors_first(videos: Iterable[ScoredVideo]) -> list[ScoredVideo]:
    return sorted(videos, key=lambda video: -video.error)
