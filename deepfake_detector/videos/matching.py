"""The videos of all locations, while what is known about them is put together, and which of them a
path in an index file means."""

import functools
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from deepfake_detector.console import notes_on
from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.videos.layouts import Node
from deepfake_detector.videos.text import parts_of
from deepfake_detector.videos.vocabulary import FAKE, REAL, VIDEO_SUFFIXES

# Folders that a path in an index file may have or lack.
NEUTRAL_FOLDERS = frozenset({"videos", "frames", "images", "clips"})
VIDEO, PICTURE, FRAMES = "video", "single picture", "folder of frames"


@dataclass(eq=False)
class Found:
    """A video of a location: where it lies, and what folders, index files and its name say."""

    location: Path
    parts: tuple[str, ...]  # below the location
    node: Node  # the folder whose words count for it
    path: Path  # a file, or a folder of frames
    kind: str
    said: dict = field(default_factory=dict)  # by index files: an entry of a metadata.json
    said_by: dict[str, Path] = field(default_factory=dict)  # which index file said what
    listed_in: Node | None = None  # the folder of the index file that lists it
    is_in_part: bool = False  # a metadata.json next to it lists it
    problem: str = ""  # what index files and folders say that cannot be true
    name: str = ""
    original: "Found | object" = None  # a video, or a name as an index file has it
    people: list[str] = field(default_factory=list)  # by its name

    @cached_property
    def stem(self) -> str:
        last = self.parts[-1]
        return last if self.kind == FRAMES else Path(last).stem

    @property
    def label(self) -> object:
        """FAKE or REAL; None if nothing says it; as the index has it if that is neither."""
        return self.said.get("label", self.node.label)

    @property
    def is_fake(self) -> bool:
        return self.label == FAKE

    @property
    def split(self) -> str:
        """The official split; "train" if there is none, as in DFDC."""
        return self.said.get("split") or self.node.split or "train"

    @cached_property
    def saying(self) -> list[str]:
        """Its folders below the location, for a comparison."""
        return _saying(self.parts[:-1])

    def entry(self) -> dict:
        """Return the entry that a metadata.json would have for it."""
        original = self.original.name if isinstance(self.original, Found) else self.original
        entry = {"label": self.label, "split": self.split, "original": original}
        if self.people:
            entry["people"] = self.people
        if self.is_fake and self.node.method:
            entry["method"] = self.node.method
        return entry | self.said | {"original": original}


class Lookup:
    """The videos of all locations, by what index files may call them."""

    def __init__(self, found: list[Found]):
        self.found = found
        self._above = functools.cache(_saying_above)
        self._by_parts: dict[tuple[Path, tuple[str, ...]], Found] = {}
        self._by_stem: dict[str, list[Found]] = defaultdict(list)
        for video in found:
            self._note(video)

    def _note(self, video: Found) -> None:
        self._by_parts[video.location, video.parts] = video
        self._by_stem[_folded(video.stem)].append(video)

    def add(self, text: str, node: Node) -> list[Found]:
        """Return the video that an index file in the folder `node` lists and that nobody found, a
        hidden or a missing file; none for a path that leads elsewhere."""
        parts = parts_of(text)
        if not parts or ".." in parts or os.path.isabs(text) or not text.isprintable():  # noqa: PTH117
            return []
        path = node.path.joinpath(*parts)
        parts = (*node.parts, *parts)
        video = Found(node.root.path, parts, _deepest(node, parts), path, VIDEO)
        self.found.append(video)
        self._note(video)
        return [video]

    def match(self, text: object, node: Node, of: Found | None = None) -> list[Found]:
        """Return the videos that are meant by a path or a name in an index file of `node`.

        The folders of the path must be the last ones of the video's, or the other way round,
        whatever their case and without those that say nothing, such as `videos`. A suffix may be
        missing, and a picture means the folder of frames that it is in. Of several videos those
        below the index file come first, then those of its location, then those of exactly this
        path. `of` is the fake whose original is meant: not itself, nor a fake where there is a real
        one.
        """
        if not isinstance(text, str) or "\0" in text:
            return []
        # Links are followed: a data set often has several paths.
        parts = parts_of(os.path.realpath(text) if os.path.isabs(text) else text)  # noqa: PTH117
        while parts[:1] == ("..",) and node.parent:
            node, parts = node.parent, parts[1:]
        if ".." in parts:  # out of the location, and perhaps into it again
            parts = parts_of(os.path.realpath(node.path.joinpath(*parts)))
        if not parts:
            return []
        location, exact = node.root.path, (*node.parts, *parts)
        if self._by_parts.get((location, exact), of) is not of:
            return [self._by_parts[location, exact]]
        *above, last = parts
        suffix = Path(last).suffix if Path(last).suffix.lower() in VIDEO_SUFFIXES else ""
        stem, wanted = _folded(last.removesuffix(suffix)), _saying(above)
        found = [
            video
            for video in self._by_stem.get(stem, ())
            if video is not of
            and (not suffix or video.kind == FRAMES or _folded(video.parts[-1]) == _folded(last))
            and any(
                _end_alike([*above, *video.saying], wanted) for above in self._above(video.location)
            )
        ]
        for is_nearer in (
            lambda video: of is None or not video.is_fake,
            lambda video: (
                video.location == location and video.parts[: len(node.parts)] == node.parts
            ),
            lambda video: video.location == location,
            lambda video: video.parts[-len(parts) :] == parts,
        ):
            found = [video for video in found if is_nearer(video)] or found
        if not found and above and is_picture(Path(last)):  # of a folder of frames?
            return [v for v in self.match("/".join(parts[:-1]), node) if v.kind == FRAMES]
        return found

    def resolve_originals(self) -> list[str]:
        """Put the videos in the place of the names of originals; return notes on those that name
        nobody, or a fake."""
        lost: list[str] = []
        fakes: list[str] = []
        for video in self.found:
            text, of = video.said.get("original"), video if video.is_fake else None
            matches = self.match(text, video.listed_in or video.node, of)
            if text is not None:
                # Written in one way, so that fakes of an original elsewhere belong together.
                plain = "/".join(parts_of(text)) if isinstance(text, str) else text
                video.original = matches[0] if len(matches) == 1 else plain
                if len(matches) != 1:
                    lost.append(str(text))
                elif matches[0].is_fake:
                    fakes.append(str(text))
                    if video.label == REAL:
                        video.problem = f"it is labelled REAL, and its original, {text}, FAKE"
        return [
            *notes_on(lost, "named in index files, and not found, or several are", "original"),
            *notes_on(fakes, "named in index files, and a fake", "original"),
        ]


def _folded(name: str) -> str:
    return "/".join(parts_of(name)).casefold()


def _saying(folders: Iterable[str]) -> list[str]:
    """Return folder names for a comparison, without those that say nothing."""
    return [_folded(name) for name in folders if name.lower() not in NEUTRAL_FOLDERS]


def _saying_above(location: Path) -> list[list[str]]:
    """Return the same of the folders down to a location, as given and with links followed."""
    return [_saying(above.parts) for above in {location.absolute(), location.resolve()}]


def _end_alike(there: list[str], wanted: list[str]) -> bool:
    shorter = min(len(there), len(wanted))
    return there[len(there) - shorter :] == wanted[len(wanted) - shorter :]


def _deepest(node: Node, parts: tuple[str, ...]) -> Node:
    """Return the folder, `node` or below it, in which the file at `parts` lies, or would lie."""
    for name in parts[len(node.parts) : -1]:
        node = next((child for child in node.folders if child.path.name == name), node)
    return node
