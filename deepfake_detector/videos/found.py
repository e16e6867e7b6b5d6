"""A video of a location, while what is known about it is put together."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from deepfake_detector.videos.layouts import Node
from deepfake_detector.videos.vocabulary import FAKE

VIDEO, PICTURE, FRAMES = "video", "picture", "folder of frames"


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
    no_entry: tuple = ()  # what an index says instead of an entry
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

    def entry(self) -> object:
        """Return the entry that a metadata.json would have for it."""
        if self.no_entry:
            return self.no_entry[0]
        original = self.original.name if isinstance(self.original, Found) else self.original
        entry = {"label": self.label, "split": self.split, "original": original}
        if self.people:
            entry["people"] = self.people
        if self.is_fake and self.node.method:
            entry["method"] = self.node.method
        more = {key: value for key, value in self.said.items() if key not in entry or value}
        return entry | more | {"original": original}
