"""Files that say what the videos of a folder are: labels, originals, people, official splits.

Each reader of `READERS` turns a file into rows, a path and what is said of it:

    [("aaa.mp4", [("label", "FAKE"), ("original", "bbb.mp4")]), ...]

`apply_indexes` finds the videos of the rows among those of all locations. What an index says that
cannot be true is written into the video as its `problem`; what nobody finds is counted.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.console import UserError, notes_on
from deepfake_detector.videos.layouts import Node
from deepfake_detector.videos.matching import Found, Lookup
from deepfake_detector.videos.metadata import METADATA_NAME
from deepfake_detector.videos.text import (
    COLUMNS,
    Pairs,
    column_of,
    entry_of,
    label_of,
    path_of,
    read_json,
    read_table,
    read_text,
)
from deepfake_detector.videos.vocabulary import CLASSES, VIDEO_SUFFIXES

Rows = list[tuple[str, Pairs]]
INDEX_SUFFIX = re.compile(r"(?i)\.(csv|tsv|jsonl?|txt)$")
FACEFORENSICS = ("original_sequences", "manipulated_sequences")


def _json_index(path: Path) -> Rows | None:
    """An object of entries or labels, as DFDC has it, or a list of objects, as LAV-DF has it, which
    may be one a line."""
    content = read_json(path)
    if isinstance(content, list):
        rows = [list(row.items()) for row in content if isinstance(row, dict)]
        return [(path_of(row), row) for row in rows if path_of(row)] or None
    if not isinstance(content, dict):
        if path.name != METADATA_NAME:
            return None
        raise UserError(f"{path} must hold a JSON object that maps video names to entries")
    if content and not any(
        Path(name).suffix.lower() in VIDEO_SUFFIXES
        or (isinstance(entry, dict) and "label" in map(column_of, entry))
        or (isinstance(entry, str) and label_of(entry) in CLASSES)
        for name, entry in content.items()
    ):
        return None  # about something else
    return [
        (name, list(entry.items()) if isinstance(entry, dict) else [("label", entry)])
        for name, entry in content.items()
    ]


def _table_index(path: Path) -> Rows | None:
    """A table with a path and whatever else there is; ours is videos.csv."""
    columns, rows = read_table(path)
    if "path" in map(column_of, columns):
        return [(path_of(row), row) for row in rows]
    if path.name.lower() != "videos.csv":
        return None
    raise UserError(f"{path} has no column path; the first line must name the columns")


def _pairs(path: Path) -> Rows | None:
    """FaceForensics++: the pairs of people of one split. Raises UserError if it is damaged."""
    parents = list(path.parents)[:3]
    if not any((parent / name).is_dir() for parent in parents for name in FACEFORENSICS):
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
    split: Pairs = [("split", path.stem)]
    # Names are of three digits, which numbers in JSON lose.
    named = [[f"{one:03}" if isinstance(one, int) else f"{one}" for one in pair] for pair in pairs]
    return [(name, split) for a, b in named for name in (a, b, f"{a}_{b}", f"{b}_{a}")]


def _testing_list(path: Path) -> Rows | None:
    """Celeb-DF: a test video in each line, behind its label."""
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    return [(line[-1], [("split", "test")]) for line in lines]


class Reader(NamedTuple):
    file_name: str  # a regular expression, compared in lower case
    read: Callable[[Path], Rows | None]  # None: a file of another kind
    lists_videos: bool  # else it only says more about videos that are there


READERS = (
    Reader(r"videos\.(csv|tsv)", _table_index, lists_videos=True),
    Reader(r"(metadata(\.min)?|dataset|labels)\.jsonl?", _json_index, lists_videos=True),
    Reader(r"(labels|metadata)\.(csv|tsv)", _table_index, lists_videos=True),
    Reader(r"(train|val|test)\.json", _pairs, lists_videos=False),
    Reader(r"list_of_testing_videos\.txt", _testing_list, lists_videos=False),
)


def is_list_of_videos(name: str) -> bool:
    """Return whether a file has the name of an index that lists videos."""
    return any(r.lists_videos and re.fullmatch(r.file_name, name.lower()) for r in READERS)


@dataclass
class Index:
    """An index file that was read, and what came of its rows."""

    path: Path
    node: Node  # the folder that it is about
    lists_videos: bool
    rows: Rows | None  # None if it looks like a list of videos and is not
    lost: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return lines on what is not used.

        Not every name in a JSON list of pairs need be there.
        """
        if self.rows is None:
            return [f"note: {self.path} is not used: it has no column or key path"]
        is_of_pairs = not self.lists_videos and self.path.suffix.lower() == ".json"
        lost = [] if is_of_pairs and len(self.lost) < len(self.rows) else self.lost
        return notes_on(lost, f"in {self.path} that no video has, or several have", "name")


def apply_indexes(roots: Sequence[Node], lookup: Lookup) -> list[Index]:
    """Write what the index files below `roots` say into the videos of `lookup`; return the files.

    Videos that a file lists and that were not found are added: hidden ones, missing ones, and files
    of other suffixes. Raises UserError if a file is damaged.
    """
    indexes = [index for root in roots for index in _indexes_below(root)]
    for index in indexes:
        for video, says in _videos_of_rows(index, lookup):
            _say(video, says, index.path)
    return indexes


def _indexes_below(root: Node) -> Iterator[Index]:
    files = [
        (node, name) for node in root.tree() for name in node.files if INDEX_SUFFIX.search(name)
    ]
    for reader in READERS:
        for node, name in files:
            matches = re.fullmatch(reader.file_name, name.lower())
            is_index = matches and (node.path / name).is_file()  # a pipe would wait for a writer
            rows = reader.read(node.path / name) if is_index else None
            if rows is not None or (is_index and reader.lists_videos):
                yield Index(node.path / name, node, reader.lists_videos, rows)


def _videos_of_rows(index: Index, lookup: Lookup) -> Iterator[tuple[Found, Pairs]]:
    """Yield the videos that the rows are about, each with what its row says."""
    node = index.node
    for text, says in index.rows or ():
        videos = lookup.match(text, node)
        if index.lists_videos:
            videos = [] if len(videos) > 1 else videos or lookup.add(text, node)
        if not videos:
            index.lost.append(text)
        for video in videos:
            if index.lists_videos and video.listed_in is None:
                video.listed_in = node
            # The videos of a part of DFDC are known by their file names.
            if index.path.name == METADATA_NAME and video.parts == (*node.parts, text):
                video.is_in_part = True
            yield video, says


def _say(video: Found, says: Pairs, path: Path) -> None:
    """Add what a row says of a video; it has a problem if another row says something else."""
    for key, value in entry_of(says).items():
        known, source = video.said.setdefault(key, value), video.said_by.setdefault(key, path)
        if key == "people":
            video.said[key] = list(dict.fromkeys([*known, *value]))  # type: ignore[misc]
        elif known != value and key in COLUMNS:
            rows = f"{known} in {source.name} and {value} in {path.name}"
            video.problem = f"its {key} is {rows}; correct one"
