"""What the folders of a location say about the videos in them.

    root = walk(Path("my_videos"))
    for node in root.tree():
        node.label, node.split, node.method     # by the words of `vocabulary.py`

Input: a folder. Output: a tree of `Node`, each folder with what its name and those above it say.
The folders are walked once; hidden files and folders of faces are skipped.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.files import check_is_folder
from deepfake_detector.videos.metadata import METADATA_NAME
from deepfake_detector.videos.vocabulary import FAKE, REAL, Reading, read_name

PERSON_FOLDER = re.compile(r"id\d+")  # of FakeAVCeleb


def is_faces_folder(folder: Path) -> bool:
    """Return whether this is a folder of faces: it has two of our files."""
    ours = ("settings.json", "manifest.csv", METADATA_NAME)
    return sum((folder / name).is_file() for name in ours) > 1


@dataclass(eq=False)
class Node:
    """A folder, the files in it, and what its name and the names above it say."""

    path: Path
    parent: "Node | None" = None
    files: list[str] = field(default_factory=list)  # sorted, without hidden ones
    folders: list["Node"] = field(default_factory=list)

    @cached_property
    def reading(self) -> Reading:
        """What its own name says; that of the location says nothing."""
        return read_name(self.path.name) if self.parent else Reading(says_nothing_else=True)

    @cached_property
    def lineage(self) -> list["Node"]:
        """The folders from below the location to this one."""
        return [*self.parent.lineage, self] if self.parent else []

    @property
    def root(self) -> "Node":
        """The location."""
        return self.parent.root if self.parent else self

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(node.path.name for node in self.lineage)

    @property
    def classes(self) -> frozenset[str]:
        return self.reading.classes

    @property
    def splits(self) -> frozenset[str]:
        return self.reading.splits

    def tree(self) -> Iterator["Node"]:
        """Yield this folder and all below it."""
        yield self
        for child in self.folders:
            yield from child.tree()

    def _within(self, kind: str) -> set[str]:
        """Return the classes or splits that the names of the folders in this one say."""
        return set().union(*(getattr(child, kind) for child in self.folders))

    def _below(self, kind: str) -> set[str]:
        """Return the same of the folders at any depth."""
        return self._within(kind).union(*(child._below(kind) for child in self.folders))

    def deciding(self, kind: str) -> list["Node"]:
        """Return the folders of the lineage whose names decide a class or a split.

        A name that says two things, such as `real_vs_fake`, decides nothing. Neither does the name
        of a folder that holds folders of several classes, such as `deepfake_data`, unless a folder
        next to it is of another class. A name that says nothing else, such as `fake`, counts before
        others, such as `real_person`.
        """
        found = []
        for node in self.lineage:
            said = getattr(node, kind)
            if len(said) == 1 and node.parent:
                others = node.parent._within(kind) - said
                if others or len(node._below(kind)) < 2:
                    found.append(node)
        plain = [node for node in found if node.reading.says_nothing_else]
        return plain if plain and len(_united(found, kind)) > 1 else found

    @cached_property
    def label(self) -> str | None:
        """The class by folder words; None if they say nothing, or contradict each other."""
        said = _united(self.deciding("classes"), "classes")
        if not said and any(node.reading.is_method for node in self.lineage):
            said = {FAKE} if REAL in self.root._below("classes") else set()
        return said.pop() if len(said) == 1 else None

    @cached_property
    def split(self) -> str | None:
        """The official split by folder words; raises UserError if they say two."""
        said = _united(self.deciding("splits"), "splits")
        if len(said) > 1:
            raise UserError(self.contradiction("splits"))
        return said.pop() if said else None

    def contradiction(self, kind: str = "classes") -> str:
        """Return a sentence if the words of this path say two things, else an empty string."""
        saying = [node for node in self.lineage if getattr(node, kind)]
        if len(_united(saying, kind)) < 2:
            return ""
        what = ", ".join(
            f"{node.path.name!r} says {' and '.join(sorted(getattr(node, kind))).lower()}"
            for node in saying
        )
        return (
            f"{self.path}: the names of the folders contradict each other: {what}; rename one, or "
            "give a videos.csv that lists the videos"
        )

    @property
    def quality(self) -> str:
        return next((n.reading.quality for n in reversed(self.lineage) if n.reading.quality), "")

    @property
    def method(self) -> str | None:
        """The method of the fakes in this folder, or None.

        It is the deepest folder with the name of a known method, else the first folder below the
        class whose name is not a word of the vocabulary, else the name of the class folder if there
        is more in it than its class, such as Celeb-synthesis.
        """
        known = [node for node in self.lineage if node.reading.is_method]
        if known:
            return known[-1].path.name
        decides = self.deciding("classes")
        if not decides:
            return None
        below = self.lineage[self.lineage.index(decides[-1]) + 1 :]
        named = [
            node
            for node in [*below, decides[-1]]
            if not node.reading.says_nothing_else and not PERSON_FOLDER.fullmatch(node.path.name)
        ]
        return named[0].path.name if named else None


def _united(nodes: Sequence[Node], kind: str) -> set[str]:
    return set().union(*(getattr(node, kind) for node in nodes))


def walk(folder: Path, skip: Callable[[Path], bool] = is_faces_folder) -> Node:
    """Return the tree of a folder, sorted, links followed, without hidden files and folders.

    Folders of faces are left out, or those that `skip` names. Raises UserError if there is no such
    folder, or one in it that may not be entered.
    """
    check_is_folder(folder, "videos")
    root = Node(folder)
    try:
        _fill(root, skip, frozenset())
    except PermissionError as error:
        raise UserError(
            f"{error.filename} may not be entered; allow it, or give the folders beside it"
        ) from error
    return root


def _fill(node: Node, skip: Callable[[Path], bool], above: frozenset[tuple[int, int]]) -> None:
    status = node.path.stat()
    this = (status.st_dev, status.st_ino)
    if this in above:  # a loop of links
        return
    with os.scandir(node.path) as entries:
        found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    for entry in found:
        path = node.path / entry.name
        if not _is_folder(entry):
            node.files.append(entry.name)
        elif not skip(path):
            child = Node(path, node)
            node.folders.append(child)
            _fill(child, skip, above | {this})


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into a folder that may not be entered
        return False
