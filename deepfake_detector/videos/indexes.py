"""Files that say what the videos of a folder are: labels, originals, people, official splits.

Each reader of `READERS` turns a file into rows, a path and an entry as a metadata.json has it:

    [("aaa.mp4", {"label": "FAKE", "original": "bbb.mp4"}), ...]

`apply_indexes` finds the videos of the rows among those of all locations. What an index says that
cannot be true is written into the video as its `problem`; what nobody finds is counted.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.console import UserError, counted
from deepfake_detector.videos.found import Found
from deepfake_detector.videos.layouts import LAYOUTS, Node
from deepfake_detector.videos.matching import Lookup
from deepfake_detector.videos.metadata import METADATA_NAME
from deepfake_detector.videos.text import (
    Twice,
    column_of,
    label_of,
    people_of,
    read_json,
    read_table,
    read_text,
    split_of,
    value_of,
)
from deepfake_detector.videos.vocabulary import VIDEO_SUFFIXES

Rows = list[tuple[str, object]]
INDEX_SUFFIX = re.compile(r"(?i)\.(csv|tsv|json|txt)$")
# A list in one of these folders is about the folder above.
FOLDERS_OF_LISTS = frozenset({"dataset", "lists", "splits"})
READING = {"label": label_of, "split": split_of, "people": people_of}


def entry_of(said: Mapping) -> dict[str, object]:
    """Return what a row says, by the names of COLUMNS, without what means nothing."""
    entry: dict[str, object] = {}
    for key, value in said.items():
        column = column_of(str(key))
        read = READING.get(column, value_of)(value)
        if column == "people" and isinstance(read, list):  # two keys have some in DFDC's preview
            read = [*entry.get(column, []), *read]  # type: ignore[misc]
        if column != "path" and read is not None:
            entry[column] = read
    return entry


def _json_index(path: Path) -> Rows | None:
    """An object of entries or labels, as DFDC has it, or a list of objects, as LAV-DF has it."""
    content = read_json(path)
    if isinstance(content, list):
        objects = [row for row in content if isinstance(row, dict)]
        rows = [{column_of(key): value for key, value in row.items()} for row in objects]
        return [(str(row["path"]), row) for row in rows if isinstance(row.get("path"), str)] or None
    if not isinstance(content, dict):
        if path.name != METADATA_NAME:
            return None
        raise UserError(f"{path} must hold a JSON object that maps video names to entries")
    if content and not any(
        Path(name).suffix.lower() in VIDEO_SUFFIXES
        or (isinstance(entry, dict) and "label" in map(column_of, entry))
        for name, entry in content.items()
    ):
        return None  # about something else
    plain = str | int | float | None
    return [
        (name, {"label": entry} if isinstance(entry, plain) else entry)
        for name, entry in content.items()
    ]


def _table_index(path: Path) -> Rows | None:
    """A table with a path and whatever else there is; ours is videos.csv."""
    table = read_table(path)
    if table and "path" not in table[0]:
        if path.name.lower() != "videos.csv":
            return None
        raise UserError(f"{path} has no column path; the first line must name the columns")
    return [(line["path"], line) for line in table]


def _tested(path: Path) -> Rows:
    """Celeb-DF: a label and a path in each line; all of these are the test split."""
    lines = read_text(path).splitlines()
    return [(line.split()[-1], {"split": "test"}) for line in lines if line.strip()]


def _pairs(path: Path) -> Rows | None:
    """FaceForensics++: the pairs of people of one split. Raises UserError if it is damaged."""
    names, parents = LAYOUTS["faceforensics"], list(path.parents)[:3]
    if not any((parent / name).is_dir() for parent in parents for name in names):
        return None
    try:
        pairs = read_json(path)
    except UserError:
        pairs = None
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in pairs
    ):
        raise UserError(
            f'{path} is not a JSON list of pairs such as [["720", "672"]]; download it again, or '
            "remove it to choose the splits at random"
        )
    split = {"split": path.stem}
    return [(n, split) for a, b in pairs for n in (f"{a}", f"{b}", f"{a}_{b}", f"{b}_{a}")]


def _split_list(path: Path) -> Rows | None:
    """DeeperForensics: the names of the videos of one split, in a folder `splits`."""
    if path.parent.name != "splits":
        return None
    lines = read_text(path).splitlines()
    return [(line.strip(), {"split": path.stem}) for line in lines if line.strip()]


class Reader(NamedTuple):
    file_name: str  # a regular expression, compared in lower case
    read: Callable[[Path], Rows | None]  # None: a file of another kind
    lists_videos: bool  # else it only says more about videos that are there
    layouts: Sequence[str] = tuple(LAYOUTS)  # for which it is read


BY_INDEX = ("dfdc", "folders")
# What one says counts before what those after it say.
READERS = (
    Reader(r"videos\.(csv|tsv)", _table_index, lists_videos=True),
    Reader(r"(metadata(\.min)?|dataset|labels)\.json", _json_index, True, BY_INDEX),
    Reader(r"(labels|metadata)\.(csv|tsv)", _table_index, True, BY_INDEX),
    Reader(r"list_of_testing_videos\.txt", _tested, False),
    Reader(r"(train|val|test)\.json", _pairs, False),
    Reader(r"(train|val|test)\.txt", _split_list, False),
)


@dataclass
class IndexReport:
    """What came of the index files: those used, and lines about what they say."""

    used: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def apply_indexes(root: Node, lookup: "Lookup", layout: str) -> IndexReport:
    """Write what the index files below `root` say into the videos of `lookup`.

    Videos that they list and that were not found are added: files of other suffixes, hidden ones,
    missing ones. Raises UserError if an index file is damaged.
    """
    report = IndexReport()
    files = [
        (node, name) for node in root.tree() for name in node.files if INDEX_SUFFIX.search(name)
    ]
    for reader in READERS:
        for node, name in files if layout in reader.layouts else ():
            matches = re.fullmatch(reader.file_name, name.lower())
            rows = reader.read(node.path / name) if matches else None
            if rows is not None:
                report.used.append(node.path / name)
                report.notes += _apply(rows, node.path / name, node, reader, lookup)
    return report


def _apply(rows: Rows, path: Path, node: Node, reader: Reader, lookup: Lookup) -> list[str]:
    """Apply the rows of one file; return notes on what nobody finds and on what others say."""
    while not reader.lists_videos and node.parent and node.path.name.lower() in FOLDERS_OF_LISTS:
        node = node.parent
    lost: list[str] = []
    overruled: list[str] = []
    for text, says in rows:
        videos = lookup.match(text, node)
        if reader.lists_videos and len(videos) != 1:
            # Of several files with this name none is meant for certain.
            videos = [lookup.add(text, node)]
        if not videos:
            lost.append(text)
        for video in videos:
            if reader.lists_videos and video.listed_in is None:
                video.listed_in = node
            # The videos of a part of DFDC are known by their file names.
            video.is_in_part |= path.name == METADATA_NAME and video.parts == (*node.parts, text)
            if _say(video, says, path):
                overruled.append(text)
    if reader.read is _pairs:  # it names every video that there could be
        lost = []
    return [
        f"note: {path}: {counted(len(names), 'name')} {what}, such as {names[0]}"
        for names, what in (
            (lost, "that no video has"),
            (overruled, "of which another index file says something else, which counts"),
        )
        if names
    ]


def _say(video: Found, says: object, path: Path) -> bool:
    """Add what a row says of a video; return whether an index file before says something else."""
    if isinstance(says, Twice):
        first, second = ((entry_of(e) if isinstance(e, dict) else {"label": label_of(e)})
                         for e in says)  # fmt: skip
        video.problem = f"{path.name} lists it twice, and says two things: {first} and {second}"
        return False
    if not isinstance(says, dict):
        video.no_entry = video.no_entry or (says,)
        return False
    differs = False
    for key, value in entry_of(says).items():
        known, source = video.said.get(key, value), video.said_by.setdefault(key, path)
        if known != value and source == path:
            video.problem = f"{path.name} says two things about its {key}: {known} and {value}"
        differs |= known != value and source != path and key in ("label", "split", "original")
        video.said.setdefault(key, value)
    return differs
