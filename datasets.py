"""Which videos there are, their label and what they were made from.

Goes in: folders of videos, with a DFDC `metadata.json` or in another layout of layouts.py. Comes
out: one `Video` per listed name, with an entry as a metadata.json has it.

    {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, ...}

Any further key of an entry (`people`, `group`, `method`, ...) travels along unchanged.
"""

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import layouts
from console import UserError
from layouts import FAKE, LAYOUTS, METADATA_NAME, REAL, recognise

# A folder of faces is named after its video and stands beside these.
RESERVED_NAMES = frozenset({METADATA_NAME, "manifest.csv", "settings.json"})
RESERVED_HIDDEN = re.compile(r"\.(lock|work-.*|.*\.partial)", re.DOTALL)
# The folders of further faces of a video are named so: a.mp4#1.
FURTHER_FACE = re.compile(r"#[0-9]+\Z")
# What a file system takes is 255; the folders of further faces have longer names.
MAX_NAME_BYTES = 250


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
    layouts.check_is_folder(folder)
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


def list_videos(folders: Sequence[Path], layout: str | None = None) -> list[Video]:
    """Return the videos of all folders, sorted by name; unusable ones carry their problem.

    Without a `layout`, one of LAYOUTS, each folder's own is recognised. Raises UserError where a
    folder does not have it, as `read_metadata` does, and where two videos have the same name,
    because both would write to the same folder of faces.
    """
    videos: dict[str, Video] = {}
    for folder in folders:
        for video in _videos_of(folder, layout):
            other = videos.setdefault(video.name, video)
            if other is not video:
                raise UserError(
                    f"{video.name!r} is listed in both {other.path.parent} and "
                    f"{video.path.parent}; give each folder its own save path, or rename one"
                )
    return [videos[name] for name in sorted(videos)]


def _videos_of(folder: Path, layout: str | None) -> list[Video]:
    layout = _layout_of(folder, layout)
    if layout == "dfdc":
        return [
            # A name with a path in it could make us read outside the folders we were given.
            make_video(part if is_path(name) else part / name, name, entry)
            for part in layouts.dfdc_parts(folder)
            for name, entry in read_metadata(part).items()
        ]
    return [make_video(path, name, entry) for name, path, entry in layouts.READERS[layout](folder)]


def _layout_of(folder: Path, layout: str | None) -> str:
    if layout is None:
        return recognise(folder)
    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout!r}; it must be one of {', '.join(LAYOUTS)}")
    layouts.check_layout(folder, layout)
    return layout


def make_video(path: Path, name: str, entry: object) -> Video:
    problem = _problem_of_name(name) or _problem_of_entry(entry)
    if problem:
        # JSON can name a video by what no file can hold: half a character, a zero byte.
        name = name.encode(errors="backslashreplace").decode().replace("\0", "\\0")
        return Video(name, path, problem=problem)
    return Video(name, path, entry)


def is_path(name: str) -> bool:
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
        return f"the entry is {entry!r}, not an object"
    if entry.get("label") not in (FAKE, REAL):
        return f"the label is {entry.get('label')!r}, not FAKE or REAL"
    if not isinstance(entry.get("original"), str | None):
        return "the original is not the name of a video"
    people = entry.get("people", [])
    if not isinstance(people, list) or not all(isinstance(person, str) for person in people):
        return "the people are not a list of names"
    return ""


def unlisted_files(folders: Sequence[Path], layout: str | None = None) -> list[Path]:
    """Return the video files that lie in folders of DFDC but stand in no metadata.json, sorted.

    The other layouts take every video file that lies where videos belong.
    """
    found = []
    for folder in folders:
        if _layout_of(folder, layout) != "dfdc":
            continue
        for part in layouts.dfdc_parts(folder):
            listed = read_metadata(part).keys()
            files = filter(layouts.is_video_file, part.iterdir())
            found += [path for path in files if path.name not in listed]
    return sorted(found)


def find_source_groups(metadata: Mapping[str, Mapping]) -> dict[str, str]:
    """Return for each video its source group: itself, its original and all made from that.

    Chains of originals count. Further faces of a video belong to its source group.
    """
    relatives = {
        name: [str(entry[key]) for key in ("original", "video") if entry.get(key)]
        for name, entry in metadata.items()
    }
    return connected_groups(relatives)


def connected_groups(shared: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return a group for each name: those that share something, directly or over others, have the
    same. It is called after the first of all that is in it, in alphabetical order.
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


def choose_videos(videos: Sequence[Video], num_vids: int | None, seed: int) -> list[Video]:
    """Return at most `num_vids` videos of each class, drawn by seed and sorted by name.

    They are drawn from those that are there. None keeps all, also those that are not. Unusable
    entries are always kept, so that they show up in the manifest.
    """
    if num_vids is None:
        return list(videos)
    chosen = [video for video in videos if video.problem]
    for label in (0, 1):
        of_class = [v for v in videos if not v.problem and v.label == label and _is_there(v)]
        chosen += random.Random(seed).sample(of_class, min(num_vids, len(of_class)))
    return sorted(chosen, key=lambda video: video.name)


def _is_there(video: Video) -> bool:
    try:
        return video.path.is_file()
    except OSError:
        return False


def take_shard(videos: Sequence[Video], part: int, parts: int) -> list[Video]:
    """Return the videos of every `parts`-th source group, from number `part`, counted from 1.

    All parts together are all videos, each once, so that as many machines can share the work. A
    video and everything made from it stay together. Raises UserError for a part that is not there.
    """
    check_shard(part, parts, f"{part}/{parts}")
    source_group = find_source_groups({video.name: video.entry for video in videos})
    taken = set(sorted(set(source_group.values()))[part - 1 :: parts])
    return [video for video in videos if source_group[video.name] in taken]


def parse_shard(text: str) -> tuple[int, int]:
    """Return (2, 8) for "2/8"; raises UserError for what is no part of so many."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal()):
        part = parts = "0"
    check_shard(int(part), int(parts), text)
    return int(part), int(parts)


def check_shard(part: int, parts: int, text: str) -> None:
    if not 1 <= part <= parts:
        raise UserError(f"shard is {text!r}; give part/parts, such as 2/8 for the second of eight")
