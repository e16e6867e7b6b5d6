"""Which videos have the same content: they are one video, whatever they are called."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from deepfake_detector.console import counted
from deepfake_detector.videos.content import content_of, stamp_of
from deepfake_detector.videos.found import Found
from deepfake_detector.videos.metadata import Video
from deepfake_detector.videos.vocabulary import SPLITS


def without_copies(made: Mapping[Found, Video]) -> tuple[list[Video], list[str]]:
    """Return the videos without copies of others, and notes about these.

    Of equal videos the one of the last official split is kept, so that no test video is trained
    on, and of these the one with the shortest name. It gets the people of all. Copies that are real
    and fake are not usable: each of them has a problem that names the other. Only files of equal
    size are read.
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
        people = [name for video in same for name in made[video].entry.get("people", ())]
        more = {"people": list(dict.fromkeys(people))} if people else {}
        kept[first] = replace(kept[first], entry={**made[first].entry, **more})
        copies += [(video.name, first.name) for video in same[1:]]
        for video in same[1:]:
            del kept[video]
    renamed = dict(copies)
    videos = [_with_original(video, renamed) for video in kept.values()]
    notes = []
    if copies:
        are = "is a copy of another" if len(copies) == 1 else "are copies of others"
        example = f"{copies[0][0]}, the same as {copies[0][1]}"
        notes.append(f"note: {counted(len(copies), 'video')} {are} and left out, such as {example}")
    if opposite:
        pairs = counted(len(opposite), "content")
        example = " and ".join(opposite[0])
        notes.append(f"note: {pairs} labelled real and fake, and not used, such as {example}")
    return videos, notes


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


def _with_original(video: Video, renamed: Mapping[str, str]) -> Video:
    original = str(video.entry.get("original"))
    if original not in renamed:
        return video
    return replace(video, entry={**video.entry, "original": renamed[original]})
