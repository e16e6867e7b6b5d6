"""One video and what is known about it: its entry in a DFDC metadata.json.

    {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, ...}

`read_metadata` reads such a file, `make_video` checks one entry. Any further key of an entry
(`people`, `group`, `method`, ...) is passed on unchanged.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.console import UserError

METADATA_NAME = "metadata.json"
FAKE, REAL = "FAKE", "REAL"


def check_is_folder(folder: Path) -> None:
    """Raise UserError where there is no such folder."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        raise UserError(f"{folder} is {what}; give a folder of videos")


# The folder of a video's faces has its name, next to these files.
RESERVED_NAMES = frozenset({METADATA_NAME, "manifest.csv", "settings.json"})
RESERVED_HIDDEN = re.compile(r"\.(lock|work-.*|partial\..*|.*\.partial)", re.DOTALL)
# The folders of further faces of a video are named so: a.mp4#1.
FURTHER_FACE = re.compile(r"#[0-9]+\Z")
# File systems allow 255; the folders of further faces have longer names.
MAX_NAME_BYTES = 250
JSON_TYPES = {
    list: "list",
    str: "text",
    int: "number",
    float: "number",
    bool: "truth value",
    type(None): "null",
}


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
    check_is_folder(folder)
    path = folder / METADATA_NAME
    if not path.is_file():
        raise UserError(
            f"{folder} holds no {METADATA_NAME}; it needs one of the form "
            '{"a.mp4": {"label": "FAKE", "original": "b.mp4"}, "b.mp4": {"label": "REAL"}}'
        )
    metadata = read_json(path)
    if not isinstance(metadata, dict):
        raise UserError(
            f"{path} holds a JSON {JSON_TYPES[type(metadata)]}; it must be an object that maps "
            "video names to entries"
        )
    return metadata


def read_json(path: Path) -> object:
    """Return the content of a JSON file; raises UserError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is not valid JSON ({_place_of(error)}); correct it or download it again"
        ) from error


def _place_of(error: ValueError) -> str:
    """Return what is wrong with a JSON file, and where in it."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return "it is no UTF-8"


def make_video(path: Path, name: str, entry: object) -> Video:
    """Return the video of an entry of a metadata.json; its problem says whether it is usable."""
    if isinstance(entry, dict) and "label" in entry:
        entry = entry | {"label": plain_label(entry["label"])}
    problem = _problem_of_name(name) or _problem_of_entry(entry)
    if problem or not isinstance(entry, dict):
        # JSON can name a video by what no file can hold: half a character, a zero byte.
        name = name.encode(errors="backslashreplace").decode().replace("\0", "\\0")
        return Video(name, path, problem=problem)
    return Video(name, path, entry)


def plain_label(label: object) -> object:
    """Return FAKE or REAL for these words in any case, and anything else as it is."""
    return label.upper() if isinstance(label, str) and label.upper() in {FAKE, REAL} else label


def is_path(name: str) -> bool:
    """Return whether a name could lead out of its folder."""
    return name in {"", ".", ".."} or "\0" in name or "/" in name or "\\" in name


def _problem_of_name(name: str) -> str:
    if is_path(name):
        return "the name is a path, not a file name"
    if name in RESERVED_NAMES or RESERVED_HIDDEN.fullmatch(name):
        return "the name is one of our own files"
    if FURTHER_FACE.search(name):
        return "the name ends like that of a further face"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "the name holds half a character"
    if size > MAX_NAME_BYTES:
        return f"the name is longer than {MAX_NAME_BYTES} bytes"
    return ""


def _problem_of_entry(entry: object) -> str:
    if not isinstance(entry, dict):
        return f"the entry is {json.dumps(entry)}, not an object"
    if entry.get("label") is None:
        return "it has no label, FAKE or REAL"
    if entry["label"] not in (FAKE, REAL):
        return f"the label is {entry['label']!r}, not FAKE or REAL"
    if not isinstance(entry.get("original"), str | None):
        return "the original is not the name of a video"
    people = entry.get("people", [])
    if not isinstance(people, list) or not all(isinstance(person, str) for person in people):
        return "the people are not a list of names"
    return ""
