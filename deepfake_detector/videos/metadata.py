"""One video and what is known about it: its entry in a DFDC metadata.json.

    {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, ...}

`make_video` checks one entry. Any further key of an entry (`group`, `source`, ...) is passed on
unchanged. `find_source_groups` says which videos belong together, because one was made from the
other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.videos.vocabulary import FAKE, REAL, SPLITS

METADATA_NAME = "metadata.json"
FURTHER_ORIGINALS = "further_originals"  # key of a video whose copies name other originals


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


def make_video(path: Path, name: str, entry: Mapping, problem: str = "") -> Video:
    """Return the video of an entry of a metadata.json; its problem says whether it is usable."""
    problem = problem or _problem_of_entry(entry)
    return Video(name, path, {} if problem else entry, problem)


def _problem_of_entry(entry: Mapping) -> str:
    label, split, original = entry.get("label"), entry.get("split"), entry.get("original")
    if label is None:
        fake = ", though it names an original" if original else ""
        return f"it has no label, FAKE or REAL{fake}"
    if label not in (FAKE, REAL):
        return f"the label is {label!r}, not FAKE or REAL"
    if split not in tuple(SPLITS):
        return f"the split is {split!r}, not one of {', '.join(SPLITS)}"
    if not isinstance(original, str | None):
        return "the original is not the name of a video"
    return ""


def find_source_groups(metadata: Mapping[str, Mapping]) -> dict[str, str]:
    """Return the source group of each video: itself, its original, and all that was made from that.

    Chains of originals count. Further faces of a video belong to its source group.
    """
    relatives = {
        name: [
            *(str(entry[key]) for key in ("original", "video") if entry.get(key)),
            *entry.get(FURTHER_ORIGINALS, ()),
        ]
        for name, entry in metadata.items()
    }
    return connected_groups(relatives)


def connected_groups(shared: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return the group of each name: names that share something, directly or by others, have one.

    `shared` says what each name shares. A group is called after the first thing in it, by alphabet,
    names included. The method is union-find.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for name, others in shared.items():
        for other in others:
            one, two = sorted((root(name), root(other)))
            parent[two] = one
    return {name: root(name) for name in shared}
