"""Which videos predict.py takes: files as given, folders searched at any depth.

    paths = find_videos([Path("holiday.mp4"), Path("more_videos")])

A metadata.json is not read: prediction needs no labels.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deepfake_detector.console import UserError, say
from deepfake_detector.videos import layouts
from deepfake_detector.videos.addresses import local_path

LONGEST_STEM_BYTES = 200  # file systems allow 255, and endings are added


def find_videos(places: Sequence[Path | str], left_out: Path | None = None) -> list[Path]:
    """Return the videos to score: files as given, folders searched for what has a video's suffix.

    Hidden files and folders, the folder `left_out`, and files found before are skipped; those of a
    folder are sorted. A path without a file stays in, and will be unreadable. Raises UserError
    where nothing is left, and for an address or a camera.
    """
    found: dict[Path, Path] = {}
    for place in map(local_path, places):
        videos = _videos_below(place, left_out) if _is_folder(place) else [place]
        if not videos:
            say(f"note: {place} holds no videos", sys.stderr)
        for path in videos:
            first = found.setdefault(path.resolve(), path)
            if first is not path:
                say(f"note: {path} is given twice and scored once", sys.stderr)
    if not found:
        suffixes = " ".join(sorted(layouts.VIDEO_SUFFIXES))
        raise UserError(
            f"{', '.join(map(str, places))}: no video in there; files are taken by their suffix "
            f"({suffixes}), or give them one by one"
        )
    return list(found.values())


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError:  # a name too long, a folder one may not enter
        return False


def _videos_below(folder: Path, left_out: Path | None) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        own = left_out is not None and Path(parent).resolve() == left_out.resolve()
        folders[:] = [] if own else [name for name in folders if not name.startswith(".")]
        paths = (Path(parent) / name for name in ([] if own else files))
        found += [path for path in paths if layouts.is_video_file(path)]
    return sorted(found)


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
