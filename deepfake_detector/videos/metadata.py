"""One video and what is known about it: its entry in a DFDC metadata.json.

    {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, ...}

`make_video` checks one entry. Any further key of an entry (`group`, `source`, ...) is passed on
unchanged.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.videos.vocabulary import FAKE, REAL, SPLITS

METADATA_NAME = "metadata.json"
# The folder of a video's faces has its name, next to these files.
RESERVED_NAMES = frozenset({METADATA_NAME, "manifest.csv", "settings.json"})
RESERVED_HIDDEN = re.compile(r"\.(lock|work-.*|partial\..*)", re.DOTALL)
# The folders of further faces of a video are named so: a.mp4#1.
FURTHER_FACE = re.compile(r"#[0-9]+\Z")


@dataclass(frozen=True)
class Video:
    """A video of a location; `problem` says why it cannot be used, or is empty."""

    name: str
    path: Path
    entry: Mapping = field(default_factory=dict)
    problem: str = ""
    content: str = ""  # see content.py; "" if it is not known yet

    @property
    def label(self) -> int:
        """1 = FAKE, 0 = REAL; of a video without a problem."""
        return int(self.entry["label"] == FAKE)


def check_is_folder(folder: Path) -> None:
    """Raise UserError if there is no such folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}; give a folder of videos")


def make_video(path: Path, name: str, entry: object, problem: str = "") -> Video:
    """Return the video of an entry of a metadata.json; its problem says whether it is usable."""
    problem = _problem_of_name(name) or problem or _problem_of_entry(entry)
    if problem or not isinstance(entry, dict):
        # JSON can name a video by what no file can hold: half a character, a zero byte.
        name = name.encode(errors="backslashreplace").decode().replace("\0", "\\0")
        return Video(name, path, problem=problem)
    return Video(name, path, entry)


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
        name.encode()
    except UnicodeEncodeError:
        return "the name holds half a character"
    return ""


def _problem_of_entry(entry: object) -> str:
    if not isinstance(entry, dict):
        return f"the entry is {json.dumps(entry)}, not an object"
    label, split, original = entry.get("label"), entry.get("split"), entry.get("original")
    if label is None:
        fake = ", though it names an original" if original else ""
        return f"it has no label, FAKE or REAL{fake}"
    if label not in (FAKE, REAL):
        return f"the label is {label!r}, not FAKE or REAL"
    if split not in SPLITS:
        return f"the split is {split!r}, not one of {', '.join(SPLITS)}"
    if not isinstance(original, str | None):
        return "the original is not the name of a video"
    people = entry.get("people", [])
    if not isinstance(people, list) or not all(isinstance(person, str) for person in people):
        return "the people are not a list of names"
    return ""
