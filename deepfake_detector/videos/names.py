"""What the names of videos say: who is in them, which video a fake was made from; and the names
that their faces get.

    469.mp4  469_481.mp4      FaceForensics++: the face of 481 on the video of 469
    id13_0011.mp4  id13_id10_0011.mp4     Celeb-DF
    x.mp4  x_fake.mp4         any data set: the part before an underscore
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.videos.matching import VIDEO, Found
from deepfake_detector.videos.text import readable
from deepfake_detector.videos.vocabulary import FAKE, METHODS, QUALITIES, REAL

# Files are often renamed so, when the files of several folders are put into one.
PREFIX = rf"(?i:(?:.*__)?(?:(?:youtube|actors|original|{'|'.join(sorted(METHODS))})_)?)"
MAX_NAME_BYTES = 240  # file systems allow 255; a further face has a longer name


class Pattern(NamedTuple):
    """A form of file names without suffix, after anything that PREFIX allows."""

    family: str
    label: str  # of the videos that are called so
    form: str
    people: tuple[str, ...]
    original: str  # the video itself, or the one that it was made from
    is_distinct: bool = True  # else it counts only next to fakes of the family


YOUTUBE, YOUTUBE_B, ACTOR, ACTOR_B = "youtube {a}", "youtube {b}", "actor {a}", "actor {b}"
FF, DFD, CELEB = "faceforensics", "dfd", "celebdf"
PATTERNS = (
    Pattern(FF, REAL, r"(?P<a>\d{3})", (YOUTUBE,), "{a}", is_distinct=False),
    Pattern(FF, FAKE, r"(?P<a>\d{3})_(?P<b>\d{3})(_[A-Za-z].*)?", (YOUTUBE, YOUTUBE_B), "{a}"),
    Pattern(DFD, REAL, r"(?P<a>\d\d)__(?P<s>[a-z_]+)", (ACTOR,), "{a}__{s}", is_distinct=False),
    Pattern(DFD, FAKE, r"(?P<a>\d\d)_(?P<b>\d\d)__(?P<s>.+)__[^_]+", (ACTOR, ACTOR_B), "{a}__{s}"),
    Pattern(CELEB, REAL, r"(?P<a>id\d+)_(?P<n>\d{4})", ("{a}",), "{a}_{n}"),
    Pattern(
        CELEB, FAKE, r"(?P<a>id\d+)_(?P<b>id\d+)_(?P<n>\d{4})(_.*)?", ("{a}", "{b}"), "{a}_{n}"
    ),
    Pattern(CELEB, FAKE, r"(?P<a>id\d+)_(?P<n>\d{4})(_.*)?", ("{a}",), "{a}_{n}"),
)
# Folders of FaceForensics++ and DFD, where no fakes need be next to the originals.
FOLDERS_OF_ORIGINALS = frozenset({"youtube", "actors", "original_sequences"})
PERSON_IN_PATH = re.compile(r"(?<![A-Za-z0-9])id\d{5}(?!\d)")  # VoxCeleb2, and FakeAVCeleb of it


def know_from_names(found: Sequence[Found]) -> None:
    """Add people and originals by file names, if no index file has said who and which.

    Searches in all the videos of one run.
    """
    matches = {video: match for video in found if (match := _match(video))}
    families = {pattern.family for pattern, _ in matches.values() if pattern.label == FAKE}
    for video, (found_pattern, _) in list(matches.items()):
        is_in_folder = FOLDERS_OF_ORIGINALS & {name.lower() for name in video.parts[:-1]}
        if not (found_pattern.is_distinct or found_pattern.family in families or is_in_folder):
            del matches[video]
    real: dict[tuple[object, str], list[Found]] = defaultdict(list)  # by pattern, or by stem
    for video in found:
        pattern, words = matches.get(video, (None, {}))
        if not (video.said.get("people") or video.said.get("group")):
            video.people = (
                [person.format(**words) for person in pattern.people]
                if pattern
                else sorted(set(PERSON_IN_PATH.findall("/".join(video.parts))))
            )
        if video.label == REAL:
            real[video.location, video.stem].append(video)
            if pattern:
                real[pattern.family, pattern.original.format(**words)].append(video)
    twins: dict[tuple, Found] = {}  # real/c23/a.mp4 and real/c40/a.mp4 show the same
    for video in found:
        if video.label == REAL and not video.original and not _is_number_in_a_list(video):
            folders = [name for name in video.saying if name not in QUALITIES]
            first = twins.setdefault((video.location, video.stem, *folders), video)
            video.original = None if first is video else first
        if video.is_fake and not video.original:
            if video in matches:
                pattern, words = matches[video]
                original = pattern.original.format(**words)
                nearest = _nearest(video, real[pattern.family, original])
                video.original = nearest or original + video.path.suffix
            else:
                video.original = _by_stem(video, real)


def _match(video: Found) -> tuple[Pattern, dict[str, str]] | None:
    """Return the first pattern that its name has and the parts of the name, or None."""
    for pattern in PATTERNS:
        if pattern.label == video.label:
            match = re.fullmatch(PREFIX + pattern.form, video.stem, re.DOTALL)
            if match:
                return pattern, match.groupdict()
    return None


def _by_stem(video: Found, real: dict[tuple[object, str], list[Found]]) -> Found | None:
    """Return the real video of the same file name without suffix, or of the part before the last
    underscore, or the one before that; of the same official split, and not of other people."""
    stem = "" if _is_number_in_a_list(video) else video.stem
    while stem:
        candidates = [
            other
            for other in real.get((video.location, stem), ())
            if other.split == video.split
            and not (other.people and video.people and not set(other.people) & set(video.people))
        ]
        if candidates:
            return _nearest(video, candidates)
        stem = stem.rpartition("_")[0]
    return None


def _is_number_in_a_list(video: Found) -> bool:
    """Return whether its name says nothing: that of a picture, or of WildDeepfake's sequences."""
    return video.kind != VIDEO and video.stem.isdecimal()


def _nearest(video: Found, candidates: Sequence[Found]) -> Found | None:
    """Return the candidate of the same location, split and quality with most folders in common."""

    def nearness(other: Found) -> tuple:
        return (
            other.location == video.location,
            other.split == video.split,
            other.node.quality == video.node.quality,
            len(set(other.parts[:-1]) & set(video.parts[:-1])),
        )

    return max(candidates, key=nearness, default=None)


def give_names(found: Sequence[Found]) -> None:
    """Give every video a name that no other has, whatever order the locations came in.

    A name is the path below the location, joined by two underscores, but the file name alone if a
    metadata.json next to the file lists it. Videos that would have the same name get the path, all
    of them, with the folder name of the location in front if that is still the same, and else a
    number: the same means without case, as some disks compare. A name that is too long for a folder
    ends with a hash. A # and a point in front become an underscore: folders of further faces and
    our own hidden files have them.
    """
    for video in found:
        video.name = video.parts[-1] if video.is_in_part else "__".join(video.parts)
    for prefix in (False, True):
        places = defaultdict(list)
        for video in found:
            places[video.name.casefold()].append(video.location)
        for video in found:
            same = places[video.name.casefold()]
            if len(set(same) if prefix else same) > 1:
                first = [video.location.resolve().name] if prefix else []
                video.name = "__".join([*first, *video.parts])
    taken: set[str] = set()
    for video in sorted(found, key=lambda video: str(video.path)):
        path = Path(_short(re.sub(r"^\.|[\\#]", "_", readable(video.name).replace("\ufffd", "?"))))
        video.name, number = path.name, 1
        while video.name.casefold() in taken:
            number += 1
            video.name = f"{path.stem}__{number}{path.suffix}"
        taken.add(video.name.casefold())


def _short(name: str) -> str:
    """Return a name that file systems take; of a longer one the start, a hash and the suffix."""
    content = name.encode(errors="surrogatepass")
    if len(content) <= MAX_NAME_BYTES:
        return name
    suffix = Path(name).suffix[:20]
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"{content[:180].decode(errors='ignore')}__{digest}{suffix}"
