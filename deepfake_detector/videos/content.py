"""What identifies a video: its bytes, whatever it is called and wherever it lies.

content_of(Path("a.mp4"))      # "482133-9f86d081884c7d65", size and hash
stamp_of(Path("a.mp4"))        # (482133, 1732974241000000000), size and time of change
without_copies(made)           # videos of the same content are one video
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deepfake_detector.console import notes_on
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.pictures import picture_files
from deepfake_detector.videos.matching import Found
from deepfake_detector.videos.metadata import FURTHER_ORIGINALS, Video
from deepfake_detector.videos.vocabulary import SPLITS

# A larger file is known by its size and by this many bytes of its start, middle and end each.
PART_BYTES = 4 << 20


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Return the size in bytes and the time of the last change in nanoseconds, of a folder those of
    its pictures; None if there is nothing to read.

    The time of the change is that of the system, too: a program that copies or unpacks files gives
    them the time that they had elsewhere.
    """
    try:
        found = [file.stat() for file in _files(path)]
    except (OSError, ValueError, UnreadableError):
        return None
    if not found:
        return None
    times = [max(stat.st_mtime_ns, stat.st_ctime_ns) for stat in found]
    return sum(stat.st_size for stat in found), max(times)


def content_of(path: Path) -> str:
    """Return size and SHA-256, shortened to 64 bits, of the bytes of a file, or of the pictures of
    a folder in their order; "" if they cannot be read."""
    digest, size = hashlib.sha256(), 0
    try:
        for file in _files(path):
            with file.open("rb") as opened:
                file_size = file.stat().st_size
                size += file_size
                digest.update(file_size.to_bytes(8, "big"))
                if file_size <= 3 * PART_BYTES:
                    digest.update(opened.read())
                    continue
                for start in (0, (file_size - PART_BYTES) // 2, file_size - PART_BYTES):
                    opened.seek(start)
                    digest.update(opened.read(PART_BYTES))
    except (OSError, ValueError, UnreadableError):
        return ""
    return f"{size}-{digest.hexdigest()[:16]}" if size else ""


def _files(path: Path) -> list[Path]:
    """Return the files with the bytes of a video; none of a pipe, which would wait for a writer."""
    if path.is_dir():
        return picture_files(path)
    return [path] if path.is_file() else []


def without_copies(made: Mapping[Found, Video]) -> tuple[list[Video], list[str]]:
    """Return the videos without copies of others, and notes about these.

    Of equal videos the one of the last official split is kept, so that no test video is trained
    on, and of these the one with the shortest name; it gets what is known of all. Copies that are
    real and fake are not usable: each of them has a problem that names the other. Only files of
    equal size are read.
    """
    splits = list(SPLITS)
    kept, copies, opposite = dict(made), list[tuple[str, str]](), list[tuple[str, str]]()
    for content, same in _of_equal_content(made).items():
        same.sort(key=lambda v: (-splits.index(made[v].entry["split"]), len(v.name), v.name))
        first = same[0]
        for video in same:
            kept[video] = replace(made[video], content=content)
        other = next((v for v in same if v.is_fake != first.is_fake), None)
        if other is not None:
            opposite.append((first.name, other.name))
            for video in same:
                against = other if video.is_fake == first.is_fake else first
                problem = f"the same content is labelled {against.label} as {against.name}"
                kept[video] = Video(video.name, video.path, {}, problem, content)
            continue
        kept[first] = replace(kept[first], entry=_merged([made[video].entry for video in same]))
        copies += [(video.name, first.name) for video in same[1:]]
        for video in same[1:]:
            del kept[video]
    renamed = dict(copies)
    videos = [_with_originals(video, renamed) for video in kept.values()]
    same_as = [f"{name}, the same as {other}" for name, other in copies]
    notes = notes_on(same_as, "left out as copies of others")
    both = [" and ".join(names) for names in opposite]
    return videos, notes + notes_on(both, "labelled real and fake, and not used", "content")


def _of_equal_content(made: Mapping[Found, Video]) -> dict[str, list[Found]]:
    """Return the usable videos that have the same content, if there are several."""
    by_size: dict[int, list[Found]] = defaultdict(list)
    for video, result in made.items():
        stamp = None if result.problem else stamp_of(video.path)
        if stamp is not None and stamp[0]:
            by_size[stamp[0]].append(video)
    by_content: dict[str, list[Found]] = defaultdict(list)
    for same in by_size.values():
        for video in same if len(same) > 1 else ():
            by_content[content_of(video.path)].append(video)
    return {content: same for content, same in by_content.items() if content and len(same) > 1}


def _merged(entries: Sequence[Mapping]) -> dict:
    """Return an entry for copies of one video: the first that says something counts, and everybody
    and every original that any of them names."""
    merged = dict(entries[0])
    for entry in entries:
        merged |= {key: value for key, value in entry.items() if merged.get(key) is None}
    groups = [f"group {entry['group']}" for entry in entries if entry.get("group")]
    people = [person for entry in entries for person in entry.get("people", ())]
    if everybody := list(dict.fromkeys([*people, *groups[1:]])):
        merged["people"] = everybody
    originals = dict.fromkeys(entry["original"] for entry in entries if entry.get("original"))
    return merged | ({FURTHER_ORIGINALS: list(originals)[1:]} if len(originals) > 1 else {})


def _with_originals(video: Video, renamed: Mapping[str, str]) -> Video:
    """Return the video with the names that its originals have without the copies."""
    entry = dict(video.entry)
    if "original" in entry:
        entry["original"] = renamed.get(str(entry["original"]), entry["original"])
    if FURTHER_ORIGINALS in entry:
        entry[FURTHER_ORIGINALS] = [renamed.get(name, name) for name in entry[FURTHER_ORIGINALS]]
    return replace(video, entry=entry)
