"""Reads a folder of faces: one `FaceTrack` per folder of crops.

tracks = list_faces("faces")
tracks[0].crop_path(0)       # "faces/a.mp4/000.jpeg"
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.settings import MAKE_FACES, SETTINGS_NAME
from deepfake_detector.files import check_is_folder
from deepfake_detector.videos.metadata import METADATA_NAME, find_source_groups
from deepfake_detector.videos.text import readable
from deepfake_detector.videos.vocabulary import FAKE, REAL, SPLITS

AGAIN = "run the same processing.py command again"


@dataclass(frozen=True)
class FaceTrack:
    """A folder of crops of one face: `num_frames` JPEGs named 000.jpeg, 001.jpeg, ..."""

    name: str
    folder: str
    label: int  # 1 = FAKE, 0 = REAL
    num_frames: int
    digits: int  # in the file name of a crop
    video: str  # the same for all faces of a video
    source_group: str  # the same for a video, everything made from it and all their faces
    split: str = "train"  # official split in the metadata: train, validation or test
    people: tuple[str, ...] = ()  # as far as the metadata names them; its `group` counts as one
    content: str = ""  # of the video, see videos/content.py
    # Further keys of the metadata:
    is_synthetic: bool = False  # a drawing of sample_data.py
    method: str = ""  # of manipulation
    collection: str = ""  # where the video comes from: its `source`

    @property
    def is_photograph(self) -> bool:
        """Whether it has a single crop, as a photograph has."""
        return self.num_frames == 1

    @property
    def video_key(self) -> tuple[str, str]:
        """The folder of faces and the video's name: the same for all face tracks of a video."""
        return str(Path(self.folder).parent), self.video

    def crop_path(self, number: int) -> str:
        """Return the path of the crop of frame `number`, which counts from 0."""
        return f"{self.folder}/{number:0{self.digits}d}.jpeg"

    @property
    def group_keys(self) -> set[str]:
        """The source group and the people: no video of another split may have one of these."""
        return {self.source_group, *(f"person/{person}" for person in self.people)}


def list_faces(file_loc: str | Path) -> list[FaceTrack]:
    """Return the face tracks in a folder of faces, sorted by name: one or more of each video.

    Raises UserError where it is no folder of faces, where its metadata.json lists nothing or a
    path, or where a listed folder is missing, empty or not numbered from 000 on.
    """
    folder = str(Path(file_loc))  # text from here on: a path object for each face costs seconds
    check_is_folder(Path(folder), "faces that processing.py wrote")
    try:
        metadata = read_entries(Path(folder))
    except FileNotFoundError:
        remedy = AGAIN if Path(folder, SETTINGS_NAME).exists() else MAKE_FACES
        raise UserError(f"{folder} holds no {METADATA_NAME}; {remedy}") from None
    if not metadata:
        raise UserError(f"{folder} holds no faces; {MAKE_FACES}")
    source_groups = find_source_groups(metadata)
    return [
        _face_track(folder, name, metadata[name], source_groups[name]) for name in sorted(metadata)
    ]


def read_entries(faces_folder: Path) -> dict[str, dict]:
    """Return the entries in the metadata.json of a folder of faces, by the names of its folders.

    Raises UserError where the file is damaged, and FileNotFoundError where there is none.
    """
    path = faces_folder / METADATA_NAME
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise UserError(f"{path} is damaged; delete it, then {AGAIN}")
    return entries


def _face_track(folder: str, name: str, entry: Mapping, source_group: str) -> FaceTrack:
    """Return the face track of one entry of metadata.json, checked against its folder."""
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise UserError(
            f"{folder}/{METADATA_NAME} lists {name!r}, which is a path and not the name of a "
            f"folder of faces; delete the file, then {AGAIN}"
        )
    own_folder = os.path.join(folder, name)  # noqa: PTH118
    try:
        frames = [file for file in os.listdir(own_folder) if file.endswith(".jpeg")]  # noqa: PTH208
    except NotADirectoryError:
        raise UserError(
            f"{folder} is a folder of videos; make faces of them with: python processing.py "
            f"--location {folder} --save-path FACES"
        ) from None
    except OSError:
        raise UserError(f"{own_folder} is listed in {METADATA_NAME}, but gone; {AGAIN}") from None
    digits = len(min(frames, default="")) - len(".jpeg")
    if not frames or max(frames) != f"{len(frames) - 1:0{digits}d}.jpeg":
        raise UserError(
            f"the crops in {own_folder} are not numbered from 000 on without a gap; delete this "
            f"folder, then {AGAIN}"
        )
    label, split = entry.get("label"), entry.get("split", "train")
    if label not in (FAKE, REAL) or split not in SPLITS:
        raise UserError(
            f"{folder}/{METADATA_NAME} gives {name} the label {label!r} and the split {split!r}; "
            f"{AGAIN}"
        )
    people = list(entry.get("people") or ())
    if entry.get("group"):
        people.append(f"group {entry['group']}")
    return FaceTrack(
        name,
        own_folder,
        int(label == FAKE),
        len(frames),
        digits,
        video=entry.get("video", name),
        source_group=source_group,
        split=split,
        people=tuple(dict.fromkeys(_same_person(str(person)) for person in people)),
        content=str(entry.get("content") or ""),
        is_synthetic=entry.get("synthetic") is True,
        method=str(entry.get("method") or ""),
        collection=str(entry.get("source") or ""),
    )


def _same_person(name: str) -> str:
    """Return a name for a comparison: without case and surrounding space."""
    return " ".join(readable(name).split()).casefold()


def count_videos(faces: Iterable[FaceTrack]) -> int:
    """Return the number of different videos that the face tracks are of."""
    return len({face.video for face in faces})
