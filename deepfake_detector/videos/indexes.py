"""Files that say what the videos of a folder are: labels, originals, people, official splits.

Each reader of `READERS` turns a file into rows, a path and an entry as a metadata.json has it:

    [("aaa.mp4", {"label": "FAKE", "original": "bbb.mp4"}), ...]

`apply_indexes` finds the videos of the rows. A path may be written as it was before the videos were
put below `videos/` or `frames/`, and a name without folders is looked for below the index file.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.console import UserError
from deepfake_detector.videos.layouts import FRAMES, LAYOUTS, VIDEO, Found, Node
from deepfake_detector.videos.metadata import FAKE, METADATA_NAME, REAL, read_json, read_metadata
from deepfake_detector.videos.vocabulary import CLASSES, SPLITS, VIDEO_SUFFIXES, read_name

Rows = list[tuple[str, object]]
LABELS_IN_TABLES = {"0": REAL, "1": FAKE}
INDEX_SUFFIX = re.compile(r"(?i)\.(csv|json|txt)$")
PATH_COLUMNS = ("path", "filename", "file", "video", "name")


def _metadata(path: Path) -> Rows | None:
    """DFDC's: an object of entries, or of labels; LAV-DF's: a list of objects with a `file`."""
    content = read_json(path)
    if isinstance(content, list) and content and all(_names_a_file(row) for row in content):
        return [(row["file"], _of_lav_df(row)) for row in content]
    if path.name != METADATA_NAME:
        return None
    entries = dict[str, object](read_metadata(path.parent))
    if entries and not any(
        Path(name).suffix.lower() in VIDEO_SUFFIXES
        or (isinstance(entry, dict) and "label" in entry)
        for name, entry in entries.items()
    ):
        return None  # about something else
    return [
        (name, {"label": entry} if isinstance(entry, str) else entry)
        for name, entry in entries.items()
    ]


def _names_a_file(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("file"), str)


def _of_lav_df(row: Mapping) -> dict:
    fake = row.get("modify_video", bool(row.get("n_fakes")))
    return {
        "label": row.get("label", FAKE if fake else REAL),
        "split": _split(row.get("split")),
        "original": row.get("original") or None,
    }


def _dataset(path: Path) -> Rows | None:
    """The preview of DFDC: paths, and who was filmed and whose face was put in."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(entry, dict) and "label" in entry for entry in content.values()
    ):
        return None
    return [
        (
            name,
            {
                "label": entry["label"],
                "split": _split(entry.get("set")),
                "people": [
                    f"actor {entry[key]}" for key in ("target_id", "swapped_id") if entry.get(key)
                ],
            },
        )
        for name, entry in content.items()
    ]


def _videos(path: Path) -> Rows:
    """Ours, which anybody can write: path, label, original, people, split, method, and any more."""
    table = _table(path)
    if table and "path" not in table[0]:
        raise UserError(f"{path} has no column path; the first line must name the columns")
    rows: Rows = []
    for line in table:
        entry: dict = {key: value for key, value in line.items() if value and key != "path"}
        if "people" in entry:
            entry["people"] = [p.strip() for p in entry["people"].split(";") if p.strip()]
        if "label" in entry:
            entry["label"] = _label(entry["label"])
        if "split" in entry:
            entry["split"] = _split(entry["split"])
        rows.append((line["path"], entry))
    return rows


def _labels(path: Path) -> Rows | None:
    """The test set of DFDC: filename, and label, 1 for a fake."""
    table = _table(path)
    column = next((name for name in PATH_COLUMNS if table and name in table[0]), None)
    if column is None or "label" not in table[0]:
        return None
    return [(line[column], {"label": _label(line["label"])}) for line in table]


def _fakeavceleb(path: Path) -> Rows | None:
    """FakeAVCeleb: its last column has no name, and holds the folder of the file in `path`."""
    table = _table(path)
    if not table or not {"source", "target1", "type", "method", "path"} <= table[0].keys():
        return None
    rows: Rows = []
    for line in table:
        people = [line[key] for key in ("source", "target1", "target2") if line.get(key)]
        classes = read_name(line["type"]).classes
        label = next(iter(classes)) if len(classes) == 1 else None
        method = {"method": line["method"]} if label == FAKE else {}
        entry = {"people": [person for person in people if re.fullmatch(r"id\d+", person)]}
        name = "/".join(filter(None, [line.get("", "").strip("/"), line["path"]]))
        rows.append((name, {"label": label} | entry | method))
    return rows


def _tested(path: Path) -> Rows:
    """Celeb-DF: a label and a path in each line; all of these are the test split."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(line.split()[-1], {"split": "test"}) for line in lines if line.strip()]


def _pairs(path: Path) -> Rows | None:
    """FaceForensics++: the pairs of people of one split. Raises UserError where it is damaged."""
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
            f'{path} is no JSON list of pairs such as [["720", "672"]]; download it again, or '
            "remove it to choose the splits at random"
        )
    split = {"split": _split(path.stem)}
    return [(n, split) for a, b in pairs for n in (f"{a}", f"{b}", f"{a}_{b}", f"{b}_{a}")]


def _split_list(path: Path) -> Rows | None:
    """DeeperForensics: the names of the videos of one split, in a folder `splits`."""
    if path.parent.name != "splits":
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(line.strip(), {"split": _split(path.stem)}) for line in lines if line.strip()]


class Reader(NamedTuple):
    file_name: str  # a regular expression, compared in lower case
    read: Callable[[Path], Rows | None]  # None: a file of another kind
    lists_videos: bool  # else it only says more about videos that are there
    layouts: Sequence[str] = tuple(LAYOUTS)  # for which it is read


# A list in one of these folders is about the folder above.
FOLDERS_OF_LISTS = frozenset({"dataset", "lists", "splits"})
BY_INDEX = ("dfdc", "folders")
# What one says is not changed by those after it.
READERS = (
    Reader(r"videos\.csv", _videos, lists_videos=True),
    Reader(r"metadata(\.min)?\.json", _metadata, True, BY_INDEX),
    Reader(r"dataset\.json", _dataset, True, BY_INDEX),
    Reader(r"labels\.csv", _labels, True, BY_INDEX),
    Reader(r"meta_data\.csv", _fakeavceleb, False, BY_INDEX),
    Reader(r"list_of_testing_videos\.txt", _tested, False),
    Reader(r"(train|val|test)\.json", _pairs, False),
    Reader(r"(train|val|test)\.txt", _split_list, False),
)


def apply_indexes(root: Node, found: list[Found], layout: str) -> list[Path]:
    """Write what the index files below `root` say into the videos found; return these files.

    Videos that they list and that were not found are added: files of other suffixes, hidden ones,
    missing ones. Raises UserError where an index file is damaged.
    """
    used = []
    lookup = _Lookup(found)
    files = [
        (node, name) for node in root.tree() for name in node.files if INDEX_SUFFIX.search(name)
    ]
    for reader in READERS:
        if layout not in reader.layouts:
            continue
        for node, name in files:
            matches = re.fullmatch(reader.file_name, name.lower())
            rows = reader.read(node.path / name) if matches else None
            if rows is not None:
                used.append(node.path / name)
                for text, says in rows:
                    _apply_row(text, says, node, reader, lookup)
    lookup.resolve_originals()
    return used


def _apply_row(text: str, says: object, node: Node, reader: Reader, lookup: "_Lookup") -> None:
    while not reader.lists_videos and node.parent and node.path.name.lower() in FOLDERS_OF_LISTS:
        node = node.parent
    videos = lookup.match(text, node) if _is_below(text) else []
    if reader.lists_videos and len(videos) != 1:
        # Of several files with this name none is meant for certain.
        videos = [lookup.add(text, node)]
    for video in videos:
        if reader.lists_videos and video.listed_in is None:
            video.listed_in = node
        # The videos of a part of DFDC are known by their file names.
        video.is_in_part |= reader.read is _metadata and video.parts == (*node.parts, text)
        if not isinstance(says, dict):
            video.no_entry = video.no_entry or (says,)
            continue
        video.said |= {key: value for key, value in says.items() if not video.said.get(key)}
        if says.get("original"):
            lookup.originals.setdefault(video, (says["original"], node))


class _Lookup:
    """Finds the videos that an index file means."""

    def __init__(self, found: list[Found]):
        self.found = found
        self.by_parts: dict[tuple[str, ...], Found] = {}
        self.by_name: dict[str, list[Found]] = defaultdict(list)
        self.originals: dict[Found, tuple[object, Node]] = {}
        for video in found:
            self._note(video)

    def _note(self, video: Found) -> None:
        self.by_parts[video.parts] = video
        for name in {video.parts[-1], video.stem}:
            self.by_name[name].append(video)

    def add(self, text: str, node: Node) -> Found:
        """Return the video `text` of the index file in the folder `node`, there or not."""
        below = _is_below(text) and _has_folder(node.path, text)
        parts = (*node.parts, *(text.split("/") if below else [text]))
        if parts not in self.by_parts:
            path = node.path / text if below else node.path
            video = Found(node.root.path, parts, _deepest(node, parts), path, VIDEO)
            # A name that leads elsewhere stays as it is, and is no usable one.
            video.name = "" if below else text
            self.found.append(video)
            self._note(video)
        return self.by_parts[parts]

    def match(self, text: str, node: Node) -> list[Found]:
        """Return the videos below the folder `node` that are meant by a path or a name."""
        parts, depth = tuple(text.split("/")), len(node.parts)
        exact = self.by_parts.get((*node.parts, *parts))
        if exact:
            return [exact]
        last = Path(parts[-1])
        stem = last.stem if last.suffix.lower() in VIDEO_SUFFIXES else last.name
        same_stem = [v for v in self.by_name.get(stem, ()) if v.stem == stem and _is_stem(v, last)]
        wanted = _without_neutral(parts[:-1])
        return [
            video
            for video in self.by_name.get(parts[-1]) or same_stem
            if video.parts[:depth] == node.parts
            and _end_alike(_without_neutral(video.parts[depth:-1]), wanted)
        ]

    def resolve_originals(self) -> None:
        """Put the videos in the place of the names of originals, where there is exactly one."""
        for video, (text, node) in self.originals.items():
            matches = self.match(text, node) if isinstance(text, str) and _is_below(text) else []
            video.original = matches[0] if len(matches) == 1 else text


def _deepest(node: Node, parts: Sequence[str]) -> Node:
    """Return the folder, `node` or below it, in which the file at `parts` lies, or would lie."""
    for name in parts[len(node.parts) : -1]:
        node = next((child for child in node.folders if child.path.name == name), node)
    return node


def _is_stem(video: Found, last: Path) -> bool:
    """Return whether a video may be meant though the index writes another suffix, or none."""
    return video.kind == FRAMES or last.name == video.stem


def _is_below(text: str) -> bool:
    """Return whether a path leads to something below a folder."""
    return "\\" not in text and "\0" not in text and not {"", ".", ".."} & set(text.split("/"))


def _has_folder(folder: Path, text: str) -> bool:
    """Return whether the folders that a path names are there; a plain name has none."""
    try:
        return "/" not in text or (folder / text).parent.is_dir()
    except (OSError, ValueError):
        return False


def _without_neutral(folders: Sequence[str]) -> list[str]:
    return [name.lower() for name in folders if not _is_neutral(name)]


def _is_neutral(name: str) -> bool:
    reading = read_name(name)
    says = reading.classes or reading.splits or reading.quality or re.search(r"\d", name)
    return reading.says_nothing_else and not says


def _end_alike(there: list[str], wanted: list[str]) -> bool:
    shorter = min(len(there), len(wanted))
    return there[len(there) - shorter :] == wanted[len(wanted) - shorter :] and (
        shorter > 0 or not wanted
    )


def _table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV by lower-case names of columns; without a byte order mark."""
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        try:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file)]
        except csv.Error as error:
            raise UserError(f"{path} is no table: {error}; correct it or leave it out") from error
    columns = [name.lower() for name in lines[0]] if lines else []
    empty = dict.fromkeys(columns, "")
    return [empty | dict(zip(columns, line, strict=False)) for line in lines[1:] if any(line)]


def _label(text: str) -> str:
    """Return FAKE or REAL for 1, 0 or a word of the vocabulary; any other text as it is."""
    words = (label for label, of_it in CLASSES.items() if text.lower() in of_it)
    return LABELS_IN_TABLES.get(text) or next(words, text)


def _split(text: object) -> object:
    words = (split for split, of_it in SPLITS.items() if str(text).lower() in of_it)
    return next(words, text)
