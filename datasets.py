"""Which videos there are, their label and what they were made from.

Goes in: folders of videos with a DFDC `metadata.json`. Comes out: one `Video` per listed name.

    {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, ...}

Any further key of an entry (`group`, `method`, ...) travels along unchanged.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from console import UserError

METADATA_NAME = "metadata.json"
FAKE, REAL = "FAKE", "REAL"
# A folder of faces is named after its video and stands beside these.
RESERVED_NAMES = frozenset({METADATA_NAME, "manifest.csv", "settings.json"})
VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ts",
        ".webm",
        ".wmv",
    ]
)


@dataclass(frozen=True)
class Video:
    """One entry of a metadata.json; `problem` says why it cannot be used, or is empty."""

    name: str
    path: Path
    entry: Mapping = field(default_factory=dict)
    problem: str = ""

    @property
    def label(self) -> int:
        """1 = FAKE, 0 = REAL."""
        return int(self.entry.get("label") == FAKE)


def read_metadata(folder: Path) -> dict[str, dict]:
    """Return the entries of a folder's metadata.json by video name.

    Raises UserError where the folder or the file is missing, is no JSON or is no JSON object.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give a folder of videos with a {METADATA_NAME}")
    path = folder / METADATA_NAME
    if not path.is_file():
        raise UserError(
            f"{folder} holds no {METADATA_NAME}; it needs one of the form "
            '{"a.mp4": {"label": "FAKE", "original": "b.mp4"}, "b.mp4": {"label": "REAL"}}'
        )
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); correct it or fetch it anew"
        ) from error
    if not isinstance(metadata, dict):
        raise UserError(
            f"{path} holds a JSON {type(metadata).__name__}; it must be an object that maps video "
            "names to entries"
        )
    return metadata


def list_videos(folders: Sequence[Path]) -> list[Video]:
    """Return the videos of all folders, sorted by name; unusable entries carry their problem.

    Raises UserError as `read_metadata` does, and where two folders list the same name, because
    both would write to the same folder of faces.
    """
    videos: dict[str, Video] = {}
    for folder in folders:
        for name, entry in read_metadata(folder).items():
            if name in videos:
                raise UserError(
                    f"{name!r} is listed in both {videos[name].path.parent} and {folder}; give "
                    "each folder its own save path"
                )
            videos[name] = _video(folder, name, entry)
    return [videos[name] for name in sorted(videos)]


def _video(folder: Path, name: str, entry: object) -> Video:
    # A name with a path in it could make us read or write outside the folders we were given.
    if name in {"", ".", ".."} or "\0" in name or "/" in name or "\\" in name:
        return Video(name, folder, problem="the name is a path, not a file name")
    if name in RESERVED_NAMES:
        return Video(name, folder / name, problem="the name is one of our own files")
    if not isinstance(entry, dict):
        return Video(name, folder / name, problem=f"the entry is {entry!r}, not an object")
    if entry.get("label") not in (FAKE, REAL):
        found = entry.get("label")
        return Video(name, folder / name, problem=f"the label is {found!r}, not FAKE or REAL")
    if not isinstance(entry.get("original"), str | None):
        return Video(name, folder / name, problem="the original is not the name of a video")
    return Video(name, folder / name, entry)


def unlisted_files(folders: Sequence[Path]) -> list[Path]:
    """Return the video files that lie in the folders but stand in no metadata.json, sorted."""
    found = []
    for folder in folders:
        listed = read_metadata(folder).keys()
        files = (path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
        found += [path for path in files if path.is_file() and path.name not in listed]
    return sorted(found)


def choose_videos(videos: Sequence[Video], num_vids: int | None, seed: int) -> list[Video]:
    """Return at most `num_vids` videos of each class, drawn by seed and sorted by name.

    They are drawn from those that are there. None keeps all, also those that are not. Unusable
    entries are always kept, so that they show up in the manifest.
    """
    if num_vids is None:
        return list(videos)
    chosen = [video for video in videos if video.problem]
    for label in (0, 1):
        of_class = [v for v in videos if not v.problem and v.label == label and v.path.is_file()]
        chosen += random.Random(seed).sample(of_class, min(num_vids, len(of_class)))
    return sorted(chosen, key=lambda video: video.name)
