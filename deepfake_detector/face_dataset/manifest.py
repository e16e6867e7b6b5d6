"""The index of a folder of faces: manifest.csv and metadata.json, their rows, reading and writing.

    manifest.csv     one row per video asked for: status, reason, counts; `MANIFEST_FIELDS`
    metadata.json    the DFDC entries of exactly the folders of crops
    .lock            held while one of these is changed

A row goes to the end of manifest.csv as soon as its video is done. At the end of a run both files
are written again, sorted and consistent. `folder.py` looks after the folders themselves.
"""

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.face_dataset.face_tracks import read_entries
from deepfake_detector.files import LOCK_NAME, write_text, written_whole
from deepfake_detector.videos.metadata import METADATA_NAME, Video

MANIFEST_NAME = "manifest.csv"
MANIFEST_FIELDS = [
    "filename",
    "location",
    "bytes",
    "status",
    "reason",
    "fps",
    "width",
    "height",
    "frames_read",
    "faces",
    "detected",
    "averaged",
    "seconds",
]


def new_row(video: Video) -> dict:
    """Return a manifest row that says which video it is about, with all else empty."""
    known = {
        "filename": video.name,
        "location": str(video.path.parent.resolve()),
        "bytes": str(file_bytes(video.path)),
    }
    return dict.fromkeys(MANIFEST_FIELDS, "") | known


def file_bytes(path: Path) -> int | str:
    """Return the size of a video: of a file, or of all pictures of a folder of frames.

    An empty string where there is none or it is not readable.
    """
    try:
        if path.is_file():
            return path.stat().st_size
        pictures = [p for p in path.iterdir() if is_picture(p)]
        return sum(picture.stat().st_size for picture in pictures) if pictures else ""
    except (OSError, ValueError):
        return ""


def face_names(name: str, count: int) -> list[str]:
    """Return the names of the folders of a video with `count` faces: a.mp4, a.mp4#1, ..."""
    return [f"{name}#{number}" if number else name for number in range(count)]


@contextlib.contextmanager
def index_lock(save_path: Path) -> Iterator[None]:
    """Keep other runs from changing the index of this folder; waits for those that are at it."""
    with FileLock(save_path / LOCK_NAME):
        yield


def read_manifest(faces_folder: Path) -> dict[str, dict]:
    """Return the manifest rows by video name, the last one of each; empty without a manifest.

    A line that a killed run left unfinished, or that has other columns, is skipped: its video
    is processed again.
    """
    path = faces_folder / MANIFEST_NAME
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return {row["filename"]: row for row in csv.DictReader(file) if _is_whole(row)}


def _is_whole(row: Mapping) -> bool:
    whole = row.keys() == set(MANIFEST_FIELDS) and None not in row.values()
    return whole and all(row[name] == "" or row[name].isdecimal() for name in ("bytes", "faces"))


def append_row(save_path: Path, row: Mapping) -> None:
    """Add a row to the end of manifest.csv, so that the next run knows it if this one is killed."""
    path = save_path / MANIFEST_NAME
    with index_lock(save_path), path.open("a+", newline="", encoding="utf-8") as file:
        if not _ends_a_line(path):
            file.write("\r\n")
        csv.DictWriter(file, MANIFEST_FIELDS).writerow(row)


def _ends_a_line(path: Path) -> bool:
    """Return whether the last line is whole; a run that was killed may have left a part of one."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) in {b"", b"\n"}


def write_index_locked(
    save_path: Path, manifest: Mapping[str, dict], videos: Sequence[Video]
) -> None:
    """Write manifest.csv and metadata.json; the caller holds the lock and gives all rows.

    metadata.json lists exactly the folders of faces that the manifest knows, those of earlier runs
    included.
    """
    with (
        written_whole(save_path / MANIFEST_NAME) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, MANIFEST_FIELDS)
        table.writeheader()
        table.writerows(manifest[name] for name in sorted(manifest))
    metadata = {}
    if (save_path / METADATA_NAME).is_file():
        metadata = read_entries(save_path)
    metadata |= {video.name: dict(video.entry) for video in videos}
    entries = {}
    for name in sorted(metadata.keys() & manifest.keys()):
        row = manifest[name]
        for face_name in face_names(name, int(row["faces"] or 0) if row["status"] == "ok" else 0):
            further = {} if face_name == name else {"video": name}
            entries[face_name] = metadata[name] | further
    write_text(save_path / METADATA_NAME, json.dumps(entries, indent=1) + "\n")
