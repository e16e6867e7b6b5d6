"""What became of the videos that faces were asked for: the manifest of a folder of faces, summed.

data_quality.summarise(Path("faces"))["statuses"]      # {"no_face": 3, "ok": 97}
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.console import (
    printable,
)
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.scoring.video_scores import highest_scoring
from deepfake_detector.videos.metadata import read_metadata

MOST_NAMED = 20  # videos listed of each kind


def summarise(data: Path) -> dict:
    """Return counts and the worst videos of a folder of faces; all zero without a manifest.

    `statuses` counts videos, `frames` and `averaged` count boxes. `without_faces` has name, status
    and reason of the first videos that gave none, `most_averaged` name, frames and share of those
    with the largest shares of averaged boxes, most first; `MOST_NAMED` of each at the most.
    """
    rows = sorted(read_manifest(data).values(), key=lambda row: row["filename"])
    usable = [row for row in rows if row["status"] == "ok"]
    frames = averaged = 0
    shares = []
    for row in usable:
        own_averaged, total = frame_counts(row)
        if total:
            frames, averaged = frames + total, averaged + own_averaged
            shares.append(_share(row, own_averaged, total))
    worst = sorted((found for found in shares if found["share"]), key=lambda found: -found["share"])
    without = [row for row in rows if row["status"] != "ok"]
    return {
        "data": str(data),
        "videos": len(rows),
        "statuses": dict(sorted(Counter(row["status"] for row in rows).items())),
        "frames": frames,
        "averaged": averaged,
        "without_faces": [
            {"name": row["filename"], "status": row["status"], "reason": row["reason"]}
            for row in without[:MOST_NAMED]
        ],
        "most_averaged": worst[:MOST_NAMED],
    }


def _share(row: Mapping, averaged: int, total: int) -> dict:
    return {"name": row["filename"], "frames": total, "share": averaged / total}


NOT_NAMED, NOT_KNOWN = "not named", "not known"


@dataclass(frozen=True)
class EvaluatedVideo:
    """A video by the face that speaks for it."""

    face: FaceTrack
    data: str  # folder of faces, as it was given
    method: str | None  # of a fake, where the metadata names one; None for a real video
    location: str  # folder the video itself was in
    num_faces: int  # that were followed and scored
    frames_averaged: int | None  # of all its frames, without a detection; None: not known
    frames_total: int | None

    @property
    def label(self) -> int:
        return self.face.label

    @property
    def name(self) -> str:
        return self.face.video


def describe_folder(
    data: Path, decisive: Sequence[FaceTrack], faces: Sequence[FaceTrack]
) -> list[EvaluatedVideo]:
    """Return what is known of each video of one folder of faces.

    `decisive` are the faces that speak for the videos, `faces` all of them. Raises UserError where
    metadata.json cannot be read; what the files do not tell is "not named" or "not known".
    """
    metadata = read_metadata(data)
    manifest = read_manifest(data)
    counts: dict[str, int] = {}
    for face in faces:
        counts[face.video] = counts.get(face.video, 0) + 1
    videos = []
    for face in decisive:
        row = manifest.get(face.video, {})
        averaged, total = frame_counts(row)
        videos.append(
            EvaluatedVideo(
                face,
                str(data),
                _method(metadata.get(face.name, {})) if face.label else None,
                _printable(row.get("location", "")) or NOT_KNOWN,
                counts[face.video],
                averaged,
                total,
            )
        )
    return videos


def _method(entry: Mapping) -> str:
    method = entry.get("method")
    return NOT_NAMED if method in (None, "") else _printable(str(method))


def _printable(text: str) -> str:
    """Return text on one line, without what a terminal would obey or UTF-8 cannot hold."""
    return printable(" ".join(text.split()))


def frame_counts(row: Mapping) -> tuple[int | None, int | None]:
    """Return a manifest row's number of averaged frames and of all frames with a box, if any."""
    numbers = [row.get(name) or "" for name in ("averaged", "detected")]
    if not all(number.isdecimal() for number in numbers):
        return None, None
    averaged, detected = map(int, numbers)
    return (averaged, averaged + detected) if averaged + detected else (None, None)


def short_locations(videos: Sequence[EvaluatedVideo]) -> list[str]:
    """Return the locations without the folders that all of them have in common."""
    known = {video.location for video in videos} - {NOT_KNOWN}
    if not known or not all(os.path.isabs(location) for location in known):  # noqa: PTH117
        return [video.location for video in videos]
    root = Path(os.path.commonpath(known)).parent
    return [
        video.location
        if video.location == NOT_KNOWN
        else str(Path(video.location).relative_to(root))
        for video in videos
    ]


def count_videos(faces: Sequence[FaceTrack]) -> int:
    """Return how many videos the faces are of; two folders may each have one of the same name."""
    return len({face.video_key for face in faces})


def decide(faces: Sequence[FaceTrack], raw_scores: np.ndarray) -> list[int]:
    """Return for each video the index of its highest-scoring face, folder by folder."""
    return list(highest_scoring([face.video_key for face in faces], raw_scores).values())


def describe(
    data: Sequence[Path], faces: Sequence[FaceTrack], decisive: Sequence[int]
) -> list[EvaluatedVideo]:
    """Return what is known of the videos, in the order of their `decisive` faces."""
    videos = []
    for folder in data:
        own = [face for face in faces if face.video_key[0] == str(folder)]
        chosen = [faces[index] for index in decisive if faces[index].video_key[0] == str(folder)]
        videos += describe_folder(folder, chosen, own)
    return videos
