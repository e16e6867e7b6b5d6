"""What is known of the videos that are evaluated, from the files beside their faces.

metadata.json tells who made a fake and how, as far as the data set says it, and manifest.csv where
a video lay, how many faces were followed in it and how many of their boxes were averaged.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import faces_folder
import splits
from console import printable

NOT_NAMED, NOT_KNOWN = "not named", "not known"


@dataclass(frozen=True)
class EvaluatedVideo:
    """A video by the face that speaks for it."""

    face: splits.FaceTrack
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
    data: Path, decisive: Sequence[splits.FaceTrack], faces: Sequence[splits.FaceTrack]
) -> list[EvaluatedVideo]:
    """Return what is known of each video of one folder of faces.

    `decisive` are the faces that speak for the videos, `faces` all of them. Raises UserError where
    metadata.json cannot be read; what the files do not tell is "not named" or "not known".
    """
    metadata = datasets.read_metadata(data)
    manifest = faces_folder.read_manifest(data)
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
