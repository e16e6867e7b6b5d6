"""To be written."""

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from deepfake_detector.files import write_text, written_whole
from deepfake_detector.videos.metadata import METADATA_NAME, Video, read_metadata

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
    "boxes_from",
    "detected",
    "averaged",
    "seconds",
]
# A run that is started again leaves these alone and tries the others once more.
SETTLED = frozenset({"ok", "no_face"})
LOCK_NAME = ".lock"


def new_row(video: Video) -> dict:
    """Return a manifest row that knows which video it is about and nothing else yet."""
    known = {
        "filename": video.name,
        "location": str(video.path.parent.resolve()),
        "bytes": str(file_bytes(video.path)),
    }
    return dict.fromkeys(MANIFEST_FIELDS, "") | known


def file_bytes(path: Path) -> int | str:
    """Return the size of a file, or an empty string where there is none that one may look at."""
    try:
        return path.stat().st_size if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def face_names(name: str, count: int) -> list[str]:
    """Return the folders of a video with so many faces: a.mp4, a.mp4#1, a.mp4#2, ..."""
    return [f"{name}#{number}" if number else name for number in range(count)]


@contextlib.contextmanager
def turn(save_path: Path) -> Iterator[None]:
    """Wait until no other run is at the index of this folder, and keep them out meanwhile."""
    with FileLock(save_path / LOCK_NAME):
        yield


def read_manifest(faces_folder: Path) -> dict[str, dict]:
    """Return the manifest rows by video name, the last one of each; empty without a manifest.

    A line that a killed run left unfinished, or that has other columns, is passed over: its video
    is done once more.
    """
    path = faces_folder / MANIFEST_NAME
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["filename"]: row for row in csv.DictReader(file) if _is_whole(row)}


def _is_whole(row: Mapping) -> bool:
    whole = row.keys() == set(MANIFEST_FIELDS) and None not in row.values()
    return whole and all(row[name] == "" or row[name].isdecimal() for name in ("bytes", "faces"))


def is_settled(video: Video, row: Mapping | None, save_path: Path) -> bool:
    """Say whether an earlier run is done with this video: same name and size, wherever it lay.

    One that has been deleted since then keeps the faces it gave.
    """
    if row is None or row["status"] not in SETTLED:
        return False
    if file_bytes(video.path) not in {"", int(row["bytes"] or -1)}:
        return False
    folders = face_names(video.name, int(row["faces"] or 0))
    return row["status"] != "ok" or all((save_path / name).is_dir() for name in folders)


def append_row(save_path: Path, row: Mapping) -> None:
    """Add a row to manifest.csv, so that a run that is killed knows what it had finished."""
    path = save_path / MANIFEST_NAME
    with turn(save_path), path.open("a+", newline="", encoding="utf-8") as file:
        if not _ends_a_line(path):
            file.write("\r\n")
        csv.DictWriter(file, MANIFEST_FIELDS).writerow(row)


def _ends_a_line(path: Path) -> bool:
    """Say whether the last line is whole; a run that was killed may have left a part of one."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) in {b"", b"\n"}


def write_index(save_path: Path, rows: Mapping[str, dict], videos: Sequence[Video]) -> None:
    """Write manifest.csv and metadata.json: what other runs have put there, and these `rows`."""
    with turn(save_path):
        write_index_in_turn(save_path, read_manifest(save_path) | dict(rows), videos)


def write_index_in_turn(
    save_path: Path, manifest: Mapping[str, dict], videos: Sequence[Video]
) -> None:
    """Write manifest.csv sorted by name, and metadata.json with exactly the folders of faces that
    the manifest knows, those of earlier runs included."""
    with (
        written_whole(save_path / MANIFEST_NAME) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, MANIFEST_FIELDS)
        table.writeheader()
        table.writerows(manifest[name] for name in sorted(manifest))
    metadata = {}
    if (save_path / METADATA_NAME).is_file():
        metadata = read_metadata(save_path)
    metadata |= {video.name: dict(video.entry) for video in videos}
    entries = {}
    for name in sorted(metadata.keys() & manifest.keys()):
        row = manifest[name]
        for face_name in face_names(name, int(row["faces"] or 0) if row["status"] == "ok" else 0):
            further = {} if face_name == name else {"video": name}
            entries[face_name] = metadata[name] | further
    write_text(save_path / METADATA_NAME, json.dumps(entries, indent=1) + "\n")
