"""Which source a video is from: the data set or the project that published it.

    find_sources({("faces", "a.mp4"): {"label": "FAKE", "method": "FF++ Deepfakes c23"}})
    # {("faces", "a.mp4"): "FF++ c23"}

A source is named by the first of these that the metadata gives:

1. a line of the file of --sources, a CSV with the columns `video` and `source`;
2. the `source` of the video;
3. of a fake: the first word of its `method`, and its compression (c23, c40) if the method names it;
4. of a real video: the source of the fakes made from it;
5. the first word of its `group`: "dfdc_part6" is DFDC. GROUP_NAMES spells out some.

The first word of a source is its data set: "FF++ c23" and "FF++ c40" are both of FF++ and show the
same people, so they are left out of a training together.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from deepfake_detector.console import UserError

Key = tuple[str, str]  # the folder of faces and the name of the video, as FaceTrack.video_key
GROUP_NAMES = {"ff": "FF++", "cdf": "Celeb-DF"}
COMPRESSION = re.compile(r"\bc(?:0|23|40)\b")


def dataset_of(source: str) -> str:
    """Return the data set that a source belongs to."""
    return source.split()[0]


def find_sources(
    entries: Mapping[Key, Mapping], listed: Mapping[str, str] | None = None
) -> dict[Key, str | None]:
    """Return the source of each video, None where nothing names it.

    `entries` are those of metadata.json; `listed` are sources by the name of the video, from
    `read_sources`.
    """
    listed = listed or {}
    found: dict[Key, str | None] = {}
    for (folder, video), entry in entries.items():
        named = listed.get(video) or entry.get("source") or _of_method(entry.get("method"))
        found[folder, video] = str(named) if named else None
    made_from: dict[Key, Counter[str]] = defaultdict(Counter)
    for (folder, video), entry in entries.items():
        source = found[folder, video]
        if source and entry.get("original"):
            made_from[folder, str(entry["original"])][source] += 1
    for key, entry in entries.items():
        if found[key] is None:
            of_fakes = made_from[key].most_common(1)
            found[key] = of_fakes[0][0] if of_fakes else _of_group(entry.get("group"))
    return found


def _of_method(method: object) -> str | None:
    words = str(method or "").split()
    if not words:
        return None
    compression = COMPRESSION.search(" ".join(words[1:]))
    return f"{words[0]} {compression.group()}" if compression else words[0]


def _of_group(group: object) -> str | None:
    word = re.split(r"[_\W]", str(group or ""), maxsplit=1)[0]
    return GROUP_NAMES.get(word.lower(), word.upper()) or None


def read_sources(path: Path) -> dict[str, str]:
    """Return the source of each video that a CSV with the columns `video` and `source` lists.

    Raises UserError where the file cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["video"]: row["source"].strip() for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read as a table of sources ({error}); it needs the columns "
            "video,source"
        ) from error
