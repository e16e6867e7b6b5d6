"""The index of a folder of faces: manifest.csv and metadata.json, their rows, reading and writing.

    manifest.csv     one row per video asked for: status, reason, counts; `MANIFEST_FIELDS`
    metadata.json    the DFDC entries of the folders of crops that are wanted

A row goes to the end of manifest.csv as soon as its video is done. At the end of a run both files
are written again, sorted and consistent. `folder.py` looks after the folders themselves.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector.files import write_text, written_whole
from deepfake_detector.videos.content import stamp_of
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
    "turned",
    "file",
    "changed_ns",
    "content",
]


def new_row(video: Video) -> dict:
    """Return a manifest row that says which video it is about, with all else empty."""
    size, changed_ns = stamp_of(video.path) or ("", "")
    known = {
        "filename": video.name,
        "location": str(video.path.parent.resolve()),
        "file": video.path.name.encode(errors="backslashreplace").decode(),
        "bytes": str(size),
        "changed_ns": str(changed_ns),
        "content": video.content,
    }
    return dict.fromkeys(MANIFEST_FIELDS, "") | known


def face_names(name: str, count: int) -> list[str]:
    """Return the names of the folders of a video with `count` faces: a.mp4, a.mp4#1, ..."""
    return [f"{name}#{number}" if number else name for number in range(count)]


def read_manifest(faces_folder: Path) -> dict[str, dict]:
    """Return the manifest rows by video name, the last one of each; empty without a manifest.

    A line that a killed run left unfinished is skipped: its video is processed again.
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
    with path.open("a+", newline="", encoding="utf-8") as file:
        # A run that was killed may have left a part of a line.
        if path.read_bytes()[-1:] not in (b"", b"\n"):
            file.write("\r\n")
        csv.DictWriter(file, MANIFEST_FIELDS).writerow(row)


def write_manifest(save_path: Path, manifest: Mapping[str, dict]) -> None:
    """Write manifest.csv, sorted by name."""
    with (
        written_whole(save_path / MANIFEST_NAME) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, MANIFEST_FIELDS)
        table.writeheader()
        table.writerows(manifest[name] for name in sorted(manifest))


def write_index(save_path: Path, manifest: Mapping[str, dict], wanted: Sequence[Video]) -> None:
    """Write manifest.csv and metadata.json.

    metadata.json lists exactly the folders of faces of the `wanted` videos.
    """
    write_manifest(save_path, manifest)
    entries = {}
    for video in sorted(wanted, key=lambda video: video.name):
        row = manifest.get(video.name)
        if row is None or row["status"] != "ok" or video.problem:
            continue
        entry = dict(video.entry) | {"content": row["content"]}
        for face_name in face_names(video.name, int(row["faces"])):
            further = {} if face_name == video.name else {"video": video.name}
            entries[face_name] = entry | further
    write_text(save_path / METADATA_NAME, json.dumps(entries, indent=1) + "\n")
