"""Which videos processing.py takes: those of some folders, or a random choice of them.

listing = read_locations([Path("dfdc_train_part_0")])
listing.videos, listing.lines        # what there is, what was understood and left out
videos = select_videos(listing.videos, num_vids=500, seed=0)
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.console import ArgumentError, UserError, counted, notes_on, shortened
from deepfake_detector.videos import layouts
from deepfake_detector.videos.content import without_copies
from deepfake_detector.videos.indexes import apply_indexes, is_list_of_videos
from deepfake_detector.videos.layouts import Node
from deepfake_detector.videos.matching import FRAMES, PICTURE, VIDEO, Found, Lookup
from deepfake_detector.videos.metadata import Video, make_video
from deepfake_detector.videos.names import give_names, know_from_names
from deepfake_detector.videos.search import PICTURE_CHOICES, contents, left_out_lines
from deepfake_detector.videos.vocabulary import FAKE, REAL, SPLITS, read_name

NO_LABEL = "videos that no folder name and no index file calls real or fake"
SKIPPED = "files in folders of masks, landmarks, sound"


@dataclass
class Listing:
    """The videos of some locations, and what to say about them."""

    videos: list[Video] = field(default_factory=list)  # sorted by name
    lines: list[str] = field(default_factory=list)  # what was understood, a line for each location
    notes: list[str] = field(default_factory=list)  # what is contradictory, or not found
    left_out: list[str] = field(default_factory=list)  # lines about files that are left out


@dataclass
class _Location:
    """A folder while it is read."""

    root: Node
    videos: list[Found]
    left_out: dict[str, list[Path]]


def read_locations(folders: Sequence[Path | str], pictures: str = "auto") -> Listing:
    """Return the videos of all folders; unusable ones carry their problem.

    Each folder is walked once. Class, split and method come from index files (`indexes.py`), then
    from the names of folders (`layouts.py`, `vocabulary.py`); people and originals from index
    files, then from file names (`names.py`). `pictures` says how numbered pictures are read:
    "auto", "frames" or "single". A video of which two index files, or an index file and a folder,
    say different things cannot be used. Raises UserError for a folder without labels, or with
    contradictory ones, and for a damaged index file.
    """
    if pictures not in PICTURE_CHOICES:
        raise ArgumentError("pictures", pictures, f"one of {', '.join(PICTURE_CHOICES)}")
    listing, locations = Listing(), _read_each_once(folders, pictures)
    lookup = Lookup([video for location in locations for video in location.videos])
    indexes = apply_indexes([location.root for location in locations], lookup)
    without_label: list[Found] = []
    for location in locations:
        used = [index.path for index in indexes
                if index.node.root is location.root and index.rows is not None]  # fmt: skip
        without_label += _describe(location, lookup.found, used, listing)
    listing.notes += [note for index in indexes for note in index.notes()]
    listing.notes += _compare_with_folders(lookup.found)
    listing.notes += lookup.resolve_originals()
    left_out = set(without_label)
    videos = [video for video in lookup.found if video not in left_out]
    listing.notes += _without_split(videos)
    know_from_names(videos)
    give_names(videos)
    made = {video: make_video(video.path, video.name, video.entry(), video.problem)
            for video in videos}  # fmt: skip
    kept, notes = without_copies(made)
    listing.videos = sorted(kept, key=lambda video: video.name)
    listing.notes += notes
    return listing


def _read_each_once(folders: Sequence[Path | str], pictures: str) -> list[_Location]:
    """Return the folders as `_read_location` does, without those that lie in another one."""
    read = [_read_location(Path(each), pictures) for each in folders]
    locations = {location.root.path.resolve(): location for location in read}
    inner = {
        outer.joinpath(*node.parts)
        for outer, location in locations.items()
        for node in location.root.tree()
        if node.parent
    }
    return [location for place, location in locations.items() if place not in inner]


def _read_location(folder: Path, pictures: str) -> _Location:
    """Return the videos of one folder, before any index file is read."""
    root = layouts.walk(folder)
    if layouts.is_faces_folder(folder):
        raise UserError(f"{folder} is a folder of faces; give the folder that holds their videos")
    location = _Location(root, [], defaultdict(list))
    for node in root.tree():
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
    listing: Listing,
) -> list[Found]:
    """Add to the listing what a location holds, how it was read, and what is left out of it.

    Returns its videos without a label. Raises UserError if nothing has a label, or the names of
    folders contradict each other.
    """
    root = location.root
    of_location = [video for video in found if video.node.root is root]
    kept = [video for video in of_location if video.label is not None or video.listed_in]
    without_label = [v for v in of_location if v.label is None and not v.listed_in]
    for contradiction in filter(None, (video.node.contradiction() for video in without_label)):
        raise UserError(contradiction)
    if not kept and not used:
        raise UserError(_why_unknown(root, without_label))
    listed = {video.path for video in kept} | set(used)
    left_out = {
        why: [path for path in paths if path not in listed]
        for why, paths in location.left_out.items()
    }
    left_out[NO_LABEL] = [video.path for video in without_label]
    listing.left_out += left_out_lines(root.path, left_out)
    listing.lines.append(_understood(root, kept, used))
    listing.notes += notes_on(
        [
            f"{video.path}; if they show different people, give --pictures single"
            for video in kept
            if video.kind == FRAMES
        ],
        "of numbered pictures taken as the frames of one video each",
        "folder",
    )
    name = root.path.resolve().name
    against = {FAKE, REAL} - read_name(name).classes
    if len(against) == 1 and all("label" not in v.said and v.label in against for v in kept):
        here = [video.path for video in kept]
        listing.notes += notes_on(here, f"taken as {against.pop()} by folders in one called {name}")
    return without_label


def _compare_with_folders(found: Sequence[Found]) -> list[str]:
    """Name what index files and folders say differently about the class of the same video; return
    a note on splits.

    Raises UserError if a file says the opposite of the folders about all videos.
    """
    by_file: dict[Path, list[Found]] = defaultdict(list)
    for video in found:
        if video.node.label and "label" in video.said_by and video.label in (FAKE, REAL):
            by_file[video.said_by["label"]].append(video)
    for path, both in by_file.items():
        opposite = [video for video in both if video.label != video.node.label]
        if len(opposite) == len(both) > 1:
            raise UserError(
                f"{path} says the opposite of the folders for all of "
                f"{counted(len(both), 'video')}; it may write 1 for real: write real and fake, or "
                "rename its column of labels, so that the folders count"
            )
        for video in opposite:
            problem = f"{path.name} says {video.label}, and its folder {video.node.label}"
            video.problem = f"{problem}; correct one"
    moved = [
        f"{video.path} ({video.split})"
        for video in found
        if video.said.get("split") in tuple(SPLITS)
        and not video.node.contradiction("splits")
        and video.node.split not in (None, video.split)
    ]
    return notes_on(moved, "whose index file and folder name different splits (the file counts)")


def _without_split(videos: Sequence[Found]) -> list[str]:
    """Return a note on videos in folders of no split, next to folders that say one."""
    said = {video.node.root for video in videos if video.node.split}
    others = [
        video.path
        for video in videos
        if not (video.said.get("split") or video.node.split)
        and (video.node.root in said or video.node.contradiction("splits"))
    ]
    return notes_on(others, "in folders that name no split, or two, taken as train")


def _why_unknown(root: Node, without_label: Sequence[Found]) -> str:
    """Return in a sentence why none of the videos in a folder has a label, and what to do."""
    if not without_label:
        return f"{root.path} holds no videos; give a folder of videos"
    unused = [name for name in root.files if is_list_of_videos(name)]
    but = f", and {unused[0]} has no column or key path" if unused else ""
    return (
        f"nothing says what is real and what is fake in {root.path}, which holds "
        f"{counted(len(without_label), 'video')}{but}; name its folders so, such as real and fake, "
        f"or list the videos in a {root.path / 'videos.csv'}, see docs/data.md"
    )


def _understood(root: Node, kept: Sequence[Found], used: Sequence[Path]) -> str:
    """Return in one line what a location holds and how it was read."""
    kinds = Counter(video.kind for video in kept)
    plurals = {VIDEO: "videos", PICTURE: "single pictures", FRAMES: "folders of frames"}
    parts = [
        ", ".join(counted(kinds[kind], kind, plurals[kind]) for kind in plurals if kinds[kind])
    ]
    deciding = [
        video.node.deciding("classes") or [n for n in video.node.lineage if n.reading.is_method]
        for video in kept
        if "label" not in video.said
    ]
    splits = {str(v.split) for v in kept if v.said.get("split") or v.node.split}
    for what, words in (
        ("folder words", {nodes[0].path.name for nodes in deciding if nodes}),
        ("splits", splits),
        ("index", {path.name for path in used}),
    ):
        if words:
            parts.append(f"{what} {shortened(', '.join(sorted(words)))}")
    return f"{root.path}: {'; '.join(filter(None, parts))}"


def select_videos(
    videos: Sequence[Video], num_vids: int | None = None, seed: int = 0
) -> list[Video]:
    """Return the videos to process, sorted by name: at most `num_vids` of each class.

    `num_vids` are chosen at random, by seed, of those whose file is there; None keeps all. Unusable
    entries are always kept, so that they show up in the manifest. Raises UserError where there are
    no videos, and for a number out of range.
    """
    if num_vids is not None and num_vids < 1:
        raise ArgumentError("num_vids", num_vids, "at least 1, or left out for all")
    chosen = list(videos)
    if num_vids is not None:
        chosen = [video for video in videos if video.problem]
        for label in (0, 1):
            of_class = [v for v in videos if not v.problem and v.label == label and v.path.exists()]
            chosen += random.Random(seed).sample(of_class, min(num_vids, len(of_class)))
    if not chosen:
        raise UserError(
            "no video to process: none that index files list is there; check --location"
        )
    return sorted(chosen, key=lambda video: video.name)
