"""Which videos processing.py takes: those of some folders, a random choice of them, one shard.

listing = read_locations([Path("dfdc_train_part_0")])
listing.videos, listing.lines        # what there is, what was understood and left out
videos = select_videos(listing.videos, num_vids=500, seed=0, shard=(2, 8))
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.console import ArgumentError, UserError, counted
from deepfake_detector.videos import layouts
from deepfake_detector.videos.content import without_copies
from deepfake_detector.videos.indexes import apply_indexes
from deepfake_detector.videos.layouts import LAYOUTS, Node
from deepfake_detector.videos.matching import FRAMES, PICTURE, VIDEO, Found, Lookup
from deepfake_detector.videos.metadata import Video, find_source_groups, make_video
from deepfake_detector.videos.names import give_names, know_from_names
from deepfake_detector.videos.search import PICTURE_CHOICES, contents, left_out_lines
from deepfake_detector.videos.vocabulary import FAKE, REAL, SPLITS

NO_LABEL = "videos that no folder name and no index file calls real or fake"
MAX_WORDS = 8  # of each kind in a line
SKIPPED = "files in folders of masks, landmarks, sound"
LABEL_SOURCES = ("index", "folders")


@dataclass
class Listing:
    """The videos of some locations, and what to say about them."""

    videos: list[Video] = field(default_factory=list)  # sorted by name
    lines: list[str] = field(default_factory=list)  # what was understood, a line for each location
    notes: list[str] = field(default_factory=list)  # what is contradictory, or not found
    left_out: list[str] = field(default_factory=list)  # lines about files that are left out
    without_label: list[Path] = field(default_factory=list)  # videos among these


@dataclass
class _Location:
    """A folder while it is read."""

    root: Node
    videos: list[Found]
    left_out: dict[str, list[Path]]


def read_locations(
    folders: Sequence[Path | str],
    layout: str | None = None,
    pictures: str = "auto",
    labels: str | None = None,
) -> Listing:
    """Return the videos of all folders; unusable ones carry their problem.

    Each folder is walked once. Class, split and method come from index files (`indexes.py`), then
    from the names of folders (`layouts.py`, `vocabulary.py`); people and originals from index
    files, then from file names (`names.py`). With a `layout`, one of LAYOUTS, a folder must have
    it. `pictures` says how numbered pictures are read: "auto", "frames" or "single". `labels` says
    what counts if an index file and a folder contradict each other, "index" or "folders"; without
    it such a video cannot be used. Raises UserError for a folder without labels, or with
    contradictory ones, and for a damaged index file.
    """
    if pictures not in PICTURE_CHOICES:
        raise ArgumentError("pictures", pictures, f"one of {', '.join(PICTURE_CHOICES)}")
    if labels not in (None, *LABEL_SOURCES):
        raise ArgumentError("labels", labels, f"one of {', '.join(LABEL_SOURCES)}")
    listing, locations = Listing(), _read_each_once(folders, layout, pictures)
    lookup = Lookup([video for location in locations for video in location.videos])
    indexes = apply_indexes([location.root for location in locations], lookup, layout or "folders")
    for location in locations:
        used = [index.path for index in indexes if index.node.root is location.root]
        _describe(location, lookup.found, used, layout, listing)
    listing.notes += [note for index in indexes for note in index.notes()]
    listing.notes += _compare_with_folders(lookup.found, labels)
    listing.notes += lookup.resolve_originals()
    left_out = set(listing.without_label)
    videos = [video for video in lookup.found if video.path not in left_out]
    know_from_names(videos)
    give_names(videos)
    made = {video: make_video(video.path, video.name, video.entry(), video.problem)
            for video in videos}  # fmt: skip
    kept, notes = without_copies(made)
    listing.videos = sorted(kept, key=lambda video: video.name)
    listing.notes += notes
    return listing


def _read_each_once(
    folders: Sequence[Path | str], layout: str | None, pictures: str
) -> list[_Location]:
    """Return the folders as `_read_location` does, without those that lie in another one."""
    locations = {
        Path(folder).resolve(): _read_location(Path(folder), layout, pictures) for folder in folders
    }
    inner = {
        outer.joinpath(*node.parts)
        for outer, location in locations.items()
        for node in location.root.tree()
        if node.parent
    }
    return [location for place, location in locations.items() if place not in inner]


def _read_location(folder: Path, layout: str | None, pictures: str) -> _Location:
    """Return the videos of one folder, before any index file is read."""
    root = layouts.walk(folder)
    if layouts.is_faces_folder(folder):
        raise UserError(f"{folder} is a folder of faces; give the folder that holds their videos")
    if layout is not None:
        layouts.check_layout(root, layout)
    location = _Location(root, [], defaultdict(list))
    for node in _nodes_of(root, layout):
        if any(above.reading.is_skipped for above in node.lineage):
            location.left_out[SKIPPED] += [node.path / name for name in node.files]
            continue
        inside = contents(node, pictures)
        for reason, paths in inside.left_out.items():
            location.left_out[reason] += paths
        for path, kind in inside.videos:
            parts = node.parts if kind == FRAMES else (*node.parts, path.name)
            location.videos.append(Found(folder, parts, node, path, kind))
    return location


def _describe(
    location: _Location,
    found: Sequence[Found],
    used: Sequence[Path],
    layout: str | None,
    listing: Listing,
) -> None:
    """Add to the listing what a location holds, how it was read, and what is left out of it."""
    root = location.root
    of_location = [video for video in found if video.node.root is root]
    kept, without_label = _by_label(of_location, layout)
    if not kept and not used:
        raise UserError(_why_unknown(root.path, without_label))
    listed = {video.path for video in kept} | set(used)
    left_out = {
        why: [path for path in paths if path not in listed]
        for why, paths in location.left_out.items()
    }
    left_out[NO_LABEL] = [video.path for video in without_label]
    listing.without_label += left_out[NO_LABEL]
    listing.left_out += left_out_lines(root.path, left_out)
    listing.lines.append(_understood(root, layout, kept, used))
    frames = [video.path for video in kept if video.kind == FRAMES]
    if frames:
        listing.notes.append(
            f"note: {counted(len(frames), 'folder')} of numbered pictures taken as the frames of "
            f"one video each, such as {frames[0]}; if they show different people, give --pictures "
            "single"
        )


def _compare_with_folders(found: Sequence[Found], labels: str | None) -> list[str]:
    """Settle, or name, what index files and folders say about the class of the same video; return
    a note on splits.

    Raises UserError if a file says the opposite of the folders about all videos.
    """
    by_file: dict[Path, list[Found]] = defaultdict(list)
    for video in found:
        if video.node.label and "label" in video.said_by and video.label in (FAKE, REAL):
            by_file[video.said_by["label"]].append(video)
    for path, both in by_file.items():
        opposite = [video for video in both if video.label != video.node.label]
        if labels is None and len(opposite) == len(both) > 1:
            raise UserError(
                f"{path} says the opposite of the folders for all of "
                f"{counted(len(both), 'video')}; it may write 1 for real: give --labels folders to "
                "take the words of the folders, or --labels index to take the file"
            )
        for video in opposite if labels != "index" else ():
            if labels == "folders":
                video.said["label"] = video.node.label
            else:
                video.problem = (
                    f"{path.name} says {video.label}, and its folder {video.node.label}; correct "
                    "one, or give --labels index or --labels folders"
                )
    moved = [
        video
        for video in found
        if video.said.get("split") in tuple(SPLITS)
        and not video.node.contradiction("splits")
        and video.node.split not in (None, video.split)
    ]
    example = f"{moved[0].path} ({moved[0].split})" if moved else ""
    return [
        f"note: {counted(len(moved), 'video')}: index file and folder name different splits, such "
        f"as {example}; the file counts"
    ][: len(moved)]


def _why_unknown(folder: Path, without_label: Sequence[Path | Found]) -> str:
    """Return in a sentence why none of the videos in a folder has a label, and what to do."""
    if not without_label:
        return f"{folder} holds no videos; give a folder of videos"
    return (
        f"nothing says what is real and what is fake in {folder}, which holds "
        f"{counted(len(without_label), 'video')}; name its folders so, such as real and fake, or "
        f"list the videos in a {folder / 'videos.csv'}, see docs/data.md"
    )


def _by_label(found: Sequence[Found], layout: str | None) -> tuple[list[Found], list[Found]]:
    """Return the videos that have a label or stand in an index file, and the others.

    Raises UserError where the names of folders contradict each other.
    """
    kept: list[Found] = []
    without_label: list[Found] = []
    for video in found:
        if layout and LAYOUTS[layout] and video.node.lineage:
            video.said.setdefault("label", next(iter(video.node.lineage[0].classes)))
        by_words = layout != "dfdc" and video.label is not None
        (kept if by_words or video.listed_in else without_label).append(video)
    for video in without_label:
        if layout is None and video.node.contradiction():
            raise UserError(video.node.contradiction())
    return kept, without_label


def _nodes_of(root: Node, layout: str | None) -> list[Node]:
    """Return the folders whose videos count: all, or those by which the layout is known."""
    names = {name.lower() for name in LAYOUTS[layout]} if layout else set()
    return [n for n in root.tree() if not names or (n.parts and n.parts[0].lower() in names)]


def _understood(root: Node, layout: str | None, kept: Sequence[Found], used: Sequence[Path]) -> str:
    """Return in one line what a location holds and how it was read."""
    kinds = Counter(video.kind for video in kept)
    names = {
        VIDEO: ("video", "videos"),
        PICTURE: ("single picture", "single pictures"),
        FRAMES: ("folder of frames", "folders of frames"),
    }
    parts = [", ".join(counted(kinds[k], *words) for k, words in names.items() if kinds[k])]
    by_words = [video for video in kept if "label" not in video.said]
    words = {
        "folder words": [
            node.path.name
            for video in by_words
            for node in video.node.deciding("classes")[:1]
            or [n for n in video.node.lineage if n.reading.is_method]
        ],
        "splits": [
            str(video.split) for video in kept if video.said.get("split") or video.node.split
        ],
        "index": [path.name for path in used],
    }
    for name, values in words.items():
        most = [value for value, _ in Counter(values).most_common(MAX_WORDS)]
        more = f" and {len(set(values)) - MAX_WORDS} more" if len(set(values)) > MAX_WORDS else ""
        if most:
            parts.append(f"{name} {', '.join(sorted(most))}{more}")
    return (
        f"{root.path}: layout {layout or layouts.layout_of(root)}; {'; '.join(filter(None, parts))}"
    )


def select_videos(
    videos: Sequence[Video],
    num_vids: int | None = None,
    seed: int = 0,
    shard: tuple[int, int] = (1, 1),
) -> list[Video]:
    """Return the videos to process: choose `num_vids` of each class, take the shard.

    Raises UserError where there are none, or where `num_vids` is below 1.
    """
    if num_vids is not None and num_vids < 1:
        raise ArgumentError("num_vids", num_vids, "at least 1, or left out for all")
    chosen = choose_videos(videos, num_vids, seed)
    if not chosen:
        why = "none of the videos that are listed is there"
        raise UserError(
            f"no video to process: {why if videos else 'the index files list none'}; check "
            "--location"
        )
    return take_shard(chosen, *shard)


def choose_videos(videos: Sequence[Video], num_vids: int | None, seed: int) -> list[Video]:
    """Return at most `num_vids` videos of each class, chosen at random by seed, sorted by name.

    Only videos whose file exists are chosen. None keeps all, also those without a file. Unusable
    entries are always kept, so that they show up in the manifest.
    """
    if num_vids is None:
        return list(videos)
    chosen = [video for video in videos if video.problem]
    for label in (0, 1):
        of_class = [v for v in videos if not v.problem and v.label == label and v.path.exists()]
        chosen += random.Random(seed).sample(of_class, min(num_vids, len(of_class)))
    return sorted(chosen, key=lambda video: video.name)


def take_shard(videos: Sequence[Video], part: int, parts: int) -> list[Video]:
    """Return the videos of every `parts`-th source group, starting with number `part`, from 1.

    All parts together are all videos, each once, so that `parts` machines can share the work. A
    video and everything made from it stay together. Raises UserError for a part out of range.
    """
    check_shard(part, parts, f"{part}/{parts}")
    source_group = find_source_groups({video.name: video.entry for video in videos})
    taken = set(sorted(set(source_group.values()))[part - 1 :: parts])
    return [video for video in videos if source_group[video.name] in taken]


def parse_shard(text: str) -> tuple[int, int]:
    """Return (2, 8) for "2/8"; raises UserError for a text that is no such part."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal()):
        part = parts = "0"
    check_shard(int(part), int(parts), text)
    return int(part), int(parts)


def check_shard(part: int, parts: int, text: str) -> None:
    """Raise UserError unless `part` is 1 to `parts`; `text` is what the user wrote."""
    if not 1 <= part <= parts:
        rule = "a part and the number of parts, such as 2/8 for the second of eight"
        raise ArgumentError("shard", text, rule)
