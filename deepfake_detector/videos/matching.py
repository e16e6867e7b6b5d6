"""Finds the videos that a path in an index file means, among those of all locations."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from deepfake_detector.console import counted
from deepfake_detector.videos.found import FRAMES, VIDEO, Found
from deepfake_detector.videos.layouts import Node
from deepfake_detector.videos.text import parts_of
from deepfake_detector.videos.vocabulary import VIDEO_SUFFIXES, read_name


class Lookup:
    """The videos of all locations, by what index files may call them."""

    def __init__(self, found: list[Found]):
        self.found = found
        self._by_parts: dict[tuple[Path, tuple[str, ...]], Found] = {}
        self._by_stem: dict[str, list[Found]] = defaultdict(list)
        for video in found:
            self._note(video)

    def _note(self, video: Found) -> None:
        self._by_parts[video.location, video.parts] = video
        self._by_stem[_folded(video.stem)].append(video)

    def add(self, text: str, node: Node) -> Found:
        """Return the video `text` of the index file in the folder `node`, there or not."""
        below = is_below(text) and _has_folder(node.path, text)
        parts = (*node.parts, *(parts_of(text) if below else [text]))
        location = node.root.path
        if (location, parts) not in self._by_parts:
            path = node.path.joinpath(*parts_of(text)) if below else node.path
            video = Found(location, parts, _deepest(node, parts), path, VIDEO)
            # A name that leads elsewhere stays as it is, and cannot be used.
            video.name = "" if below else text
            self.found.append(video)
            self._note(video)
        return self._by_parts[location, parts]

    def match(self, text: str, node: Node) -> list[Found]:
        """Return the videos that are meant by a path or a name in an index file of `node`.

        The folders of the path must be the last ones of the video's, or the other way round,
        whatever their case and without those that say nothing, such as `videos`. A suffix may be
        missing. Of several videos those below the index file come first, then those of its
        location, then those of exactly this name.
        """
        if not is_below(text):
            return []
        *folders, last = parts_of(text)
        suffix = Path(last).suffix if Path(last).suffix.lower() in VIDEO_SUFFIXES else ""
        stem, wanted = _folded(last.removesuffix(suffix)), _saying(folders)
        found = [
            video
            for video in self._by_stem.get(stem, ())
            if (not suffix or video.kind == FRAMES or _folded(video.parts[-1]) == _folded(last))
            and _end_alike(_saying([*video.location.absolute().parts, *video.parts[:-1]]), wanted)
        ]
        depth, location = len(node.parts), node.root.path
        exact = (*node.parts, *folders, last)
        for is_nearer in (
            lambda video: video.location == location and video.parts[:depth] == node.parts,
            lambda video: video.location == location,
            lambda video: video.parts[-1] == last,
            lambda video: video.parts == exact,
        ):
            found = [video for video in found if is_nearer(video)] or found
        return found

    def resolve_originals(self) -> list[str]:
        """Put the videos in the place of the names of originals; return notes on those that name
        nobody, or a fake."""
        lost: list[str] = []
        fakes: list[str] = []
        for video in self.found:
            text = video.said.get("original")
            matches = self.match(text, video.listed_in or video.node) if text else []
            if text is not None:
                # Written in one way, so that fakes of an original elsewhere belong together.
                plain = "/".join(parts_of(text)) if isinstance(text, str) else text
                video.original = matches[0] if len(matches) == 1 else plain
            if text and len(matches) != 1:
                lost.append(text)
            elif matches and matches[0].is_fake:
                fakes.append(str(text))
        return [
            f"note: {counted(len(names), 'original')} {what}, such as {min(names)}"
            for names, what in (
                (lost, "named in index files, and not found"),
                (fakes, "named in index files, and a fake"),
            )
            if names
        ]


def is_below(text: object) -> bool:
    """Return whether a path may lead to a video, and not up from its folder."""
    return isinstance(text, str) and "\0" not in text and ".." not in parts_of(text) != ()


def _folded(name: str) -> str:
    return "/".join(parts_of(name)).casefold()


def _saying(folders: Sequence[str]) -> list[str]:
    """Return folder names for a comparison, without those that say nothing."""
    return [_folded(name) for name in folders if not _is_neutral(name)]


def _is_neutral(name: str) -> bool:
    reading = read_name(name)
    says = reading.classes or reading.splits or reading.quality or re.search(r"\d", name)
    return reading.says_nothing_else and not says


def _end_alike(there: list[str], wanted: list[str]) -> bool:
    shorter = min(len(there), len(wanted))
    return there[len(there) - shorter :] == wanted[len(wanted) - shorter :]


def _has_folder(folder: Path, text: str) -> bool:
    """Return whether the folders that a path names are there; a plain name has none."""
    try:
        return folder.joinpath(*parts_of(text)).parent.is_dir()
    except (OSError, ValueError):
        return False


def _deepest(node: Node, parts: Sequence[str]) -> Node:
    """Return the folder, `node` or below it, in which the file at `parts` lies, or would lie."""
    for name in parts[len(node.parts) : -1]:
        node = next((child for child in node.folders if child.path.name == name), node)
    return node
