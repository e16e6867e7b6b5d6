"""The scored videos of an evaluation, and what became of the videos that faces were made from.

videos = score_videos(scorer, tracks, [Path("faces")])
videos[0].name, videos[0].score, videos[0].track.name
summarise_manifest(Path("faces"))["statuses"]      # {"no_face": 3, "ok": 97}
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
MOST_LISTED = 20  # videos of each kind in a summary


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

    Raises UserError where a crop or a metadata.json cannot be read.
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
            if track.video_key[0] == str(folder):
                known = describe(track, metadata, manifest)
                counts = num_faces[track.video_key]
                score = float(raw_scores[index]), float(scores[index])
                videos.append(ScoredVideo(track, *score, str(folder), num_faces=counts, **known))
    return videos


def describe(track: FaceTrack, metadata: Mapping, manifest: Mapping) -> dict:
    """Return what metadata.json and manifest.csv say about the video of a face track: its method,
    its location and its numbers of frames."""
    row = manifest.get(track.video, {})
    frames_averaged, frames_total = frame_counts(row)
    method = metadata.get(track.name, {}).get("method")
    method = NOT_NAMED if method in (None, "") else one_line(str(method))
    return {
        "method": method if track.label else None,
        "location": one_line(row.get("location", "")) or NOT_KNOWN,
        "frames_averaged": frames_averaged,
        "frames_total": frames_total,
    }


def labels_and_scores(videos: Sequence[ScoredVideo]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, int, and calibrated scores, float64, `(num_videos,)` each."""
    return np.array([v.label for v in videos], int), np.array([v.score for v in videos], float)


def largest_errors_first(videos: Iterable[ScoredVideo]) -> list[ScoredVideo]:
    return sorted(videos, key=lambda video: -video.error)


def count_videos(tracks: Iterable[FaceTrack]) -> int:
    """Return how many videos the tracks are of; two folders may each have one of the same name."""
    return len({track.video_key for track in tracks})


def short_locations(videos: Sequence[ScoredVideo]) -> list[str]:
    """Return the locations without the folders that all of them have in common."""
    known = {video.location for video in videos} - {NOT_KNOWN}
    if not known or not all(Path(location).is_absolute() for location in known):
        return [video.location for video in videos]
    root = Path(os.path.commonpath(known)).parent
    return [
        video.location
        if video.location == NOT_KNOWN
        else str(Path(video.location).relative_to(root))
        for video in videos
    ]


def summarise_manifest(data: Path) -> dict:
    """Return counts and the worst videos of a folder of faces; all zero without a manifest.

    `statuses` counts videos, `frames` and `averaged` count boxes. `without_faces` holds name,
    status and reason of the first videos without a face, `most_averaged` name, frames and share of
    those with the largest shares of averaged boxes; at most `MOST_LISTED` of each.
    """
    rows = sorted(read_manifest(data).values(), key=lambda row: row["filename"])
    shares, frames_averaged, frames_total = [], 0, 0
    for row in rows:
        averaged, total = frame_counts(row)
        if row["status"] == "ok" and averaged is not None and total is not None:
            frames_averaged, frames_total = frames_averaged + averaged, frames_total + total
            share = averaged / total
            shares.append({"name": row["filename"], "frames": total, "share": share})
    averaged_most = sorted((s for s in shares if s["share"]), key=lambda found: -found["share"])
    without = [row for row in rows if row["status"] != "ok"][:MOST_LISTED]
    return {
        "data": str(data),
        "videos": len(rows),
        "statuses": dict(sorted(Counter(row["status"] for row in rows).items())),
        "frames": frames_total,
        "averaged": frames_averaged,
        "without_faces": [
            {"name": row["filename"], "status": row["status"], "reason": row["reason"]}
            for row in without
        ],
        "most_averaged": averaged_most[:MOST_LISTED],
    }


def frame_counts(row: Mapping) -> tuple[int | None, int | None]:
    """Return the numbers of averaged frames and of all frames with a box in a row of the manifest,
    or None twice where it does not say."""
    numbers = [row.get(name) or "" for name in ("averaged", "detected")]
    if not all(number.isdecimal() for number in numbers):
        return None, None
    averaged, detected = map(int, numbers)
    return (averaged, averaged + detected) if averaged + detected else (None, None)


def one_line(text: str) -> str:
    """Return text on one line, without control characters and what UTF-8 cannot hold."""
    return printable(" ".join(text.split()))
