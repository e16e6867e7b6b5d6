"""Which files of a folder are videos, and which of them predict.py takes.

    paths = find_videos([Path("holiday.mp4"), Path("more_videos")])
    contents(node).videos          # of one folder: files, pictures, the folder as frames

A video is a file, a picture (a video of one frame), or a folder of numbered pictures. No index file
is read here: prediction needs no labels.
"""

import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.console import UserError, counted, say
from deepfake_detector.decoding.diagnosis import is_folder
from deepfake_detector.decoding.pictures import PICTURE_SUFFIXES
from deepfake_detector.videos.layouts import Node, is_faces_folder, walk
from deepfake_detector.videos.matching import FRAMES, PICTURE, VIDEO
from deepfake_detector.videos.vocabulary import VIDEO_SUFFIXES

PICTURE_CHOICES = ("auto", "frames", "single")
LONGEST_STEM_BYTES = 200  # file systems allow 255, and endings are added
MOST_NAMED = 3  # of the files that are left out for one reason


def find_videos(
    places: Sequence[Path | str], left_out: Path | None = None, pictures: str = "auto"
) -> list[Path]:
    """Return the videos to score: files as given, folders searched as `contents` says.

    Hidden files and folders, the folder `left_out`, and files found before are skipped; those of a
    folder are sorted, and what is no video is counted on stderr. A path without a file stays in,
    and will be unreadable. Raises UserError if nothing is left.
    """
    found: dict[str, Path] = {}  # by their place
    empty: list[Path] = []
    for place in map(Path, places):
        if left_out is not None and place.resolve() == left_out.resolve() and is_folder(place):
            raise UserError(f"--annotate {left_out} is a folder to score; give a folder of its own")
        videos = _videos_below(place, left_out, pictures) if is_folder(place) else [place]
        if not videos:
            empty.append(place)
        twice = [p for p in videos if found.setdefault(os.path.realpath(p), p) is not p]
        if twice:
            are = "is" if len(twice) == 1 else "are"
            what = str(twice[0]) if len(videos) == 1 else f"{place}: {counted(len(twice), 'video')}"
            say(f"note: {what} {are} given twice and scored once", sys.stderr)
    if not found:
        raise UserError(
            f"{', '.join(map(str, empty))}: no video in there; give a video, or a folder that "
            "holds some"
        )
    for place in empty:
        say(f"note: {place} holds no videos", sys.stderr)
    return list(found.values())


def _videos_below(folder: Path, left_out: Path | None, pictures: str) -> list[Path]:
    own = left_out.resolve() if left_out is not None else None
    if folder.resolve() == own:
        return []
    root = walk(folder, lambda path: path.resolve() == own or is_faces_folder(path))
    found: list[Path] = []
    others: dict[str, list[Path]] = defaultdict(list)
    for node in root.tree():
        inside = contents(node, pictures, top=True)
        found += [path for path, _ in inside.videos]
        for reason, paths in inside.left_out.items():
            others[reason] += paths
    for line in left_out_lines(folder, others):
        say(line, sys.stderr)
    return sorted(found)


def left_out_lines(folder: Path, left_out: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return a line for each reason why files were left out: how many, of which kinds, some names.

    The paths are below `folder`.
    """
    lines = []
    for reason, paths in sorted((reason, paths) for reason, paths in left_out.items() if paths):
        kinds = Counter(path.suffix.lower() or "no suffix" for path in sorted(paths))
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(6))
        names = ", ".join(str(path.relative_to(folder)) for path in sorted(paths)[:MOST_NAMED])
        more = ", ..." if len(paths) > MOST_NAMED else ""
        lines.append(f"note: {folder}: {reason}, left out: {len(paths)} ({counts}): {names}{more}")
    return lines


class Contents(NamedTuple):
    """What a folder holds: videos as (path, VIDEO, PICTURE or FRAMES), and what is left out."""

    videos: list[tuple[Path, str]]
    left_out: dict[str, list[Path]]  # by reason


def contents(node: Node, pictures: str = "auto", top: bool = False) -> Contents:
    """Return the videos that a folder itself holds, and the files that are none.

    A file with the suffix of a video is one. A picture with the name of a video next to it is its
    thumbnail. Pictures that are numbered, with one text in front, are the frames of one video if
    the folder's own name says nothing about class, split, method or quality; `pictures` is "auto",
    "frames" or "single". With `top`, a folder without a parent may be a folder of frames, too.
    """
    kinds: dict[str, list[Path]] = defaultdict(list)
    left_out: dict[str, list[Path]] = defaultdict(list)
    for path in (node.path / name for name in node.files):
        kinds[kind_of(path)].append(path)
    if kinds[""]:
        left_out["files without the suffix of a video or a picture"] = kinds[""]
    titles = {name for path in kinds[VIDEO] for name in (path.stem, path.name)}
    photos = [path for path in kinds[PICTURE] if path.stem not in titles]
    thumbnails = [path for path in kinds[PICTURE] if path.stem in titles]
    if thumbnails:
        left_out["pictures of a video next to them"] = thumbnails
    may_be_frames = top if node.parent is None else not _is_a_level(node)
    if pictures == "auto":
        is_frames = may_be_frames and not kinds[VIDEO] and _are_numbered(photos)
    else:
        numbered = [path for path in photos if re.search(r"\d", path.stem)]
        is_frames = pictures == "frames" and len(numbered) > 1
    stills = [(node.path, FRAMES)] if is_frames else [(path, PICTURE) for path in photos]
    return Contents([*((path, VIDEO) for path in kinds[VIDEO]), *stills], left_out)


def _is_a_level(node: Node) -> bool:
    """Return whether a folder's name is one for many videos: `fake`, `c23`, `frames`; but not
    `video_07`, nor `0000_fake` in a folder of fakes."""
    reading, above = node.reading, node.parent.label if node.parent else None
    if reading.is_method or reading.quality or reading.splits or (reading.classes and not above):
        return True
    return reading.says_nothing_else and not re.search(r"\d", node.path.name)


def _are_numbered(photos: list[Path]) -> bool:
    found = [re.fullmatch(r"(.*?)\d+", path.stem, re.DOTALL) for path in photos]
    return len(photos) > 1 and all(found) and len({match[1] for match in found if match}) == 1


def kind_of(path: Path) -> str:
    """Return VIDEO, PICTURE, or an empty string for a file that is neither."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VIDEO
    if suffix in PICTURE_SUFFIXES:
        return PICTURE
    return ""


def shortest_names(paths: Sequence[Path]) -> list[str]:
    """Return for each path its file name, or the path as given where that is not the only one."""
    counts = Counter(path.name for path in paths)
    return [path.name if counts[path.name] == 1 else str(path) for path in paths]


def file_stems(paths: Sequence[Path]) -> list[str]:
    """Return a different name for each path, to name files about it in one folder."""
    stems, taken = [], set()
    for path in paths:
        plain = "".join(c if c.isprintable() else "_" for c in path.name)
        plain = plain.encode(errors="replace")[:LONGEST_STEM_BYTES].decode(errors="ignore")
        stem, number = plain, 1
        while stem in taken:
            number += 1
            stem = f"{plain}_{number}"
        taken.add(stem)
        stems.append(stem)
    return stems
