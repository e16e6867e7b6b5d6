"""Which source a video is from: the data set or the project that published it.

    find_sources({("faces", "a.mp4"): {"label": "FAKE", "method": "FF++ Deepfakes c23"}})
    # {("faces", "a.mp4"): "FF++ c23"}

A source is named by the first of these that the metadata gives:

1. the `source` of the video;
2. of a fake: the first word of its `method`, and its compression (c23, c40) if the method names it;
3. of a real video: the source of the fakes made from it;
4. the first word of its `group`: "dfdc_part6" is DFDC. GROUP_NAMES spells out some.

The first word of a source is its data set: "FF++ c23" and "FF++ c40" are both of FF++ and show the
same people, so they are left out of a training together.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

Key = tuple[str, str]  # the folder of faces and the name of the video, as FaceTrack.video_key
GROUP_NAMES = {"ff": "FF++", "cdf": "Celeb-DF"}
COMPRESSION = re.compile(r"\bc(?:0|23|40)\b")


def dataset_of(source: str) -> str:
    """Return the data set that a source belongs to."""
    return source.split()[0]


def find_sources(entries: Mapping[Key, Mapping]) -> dict[Key, str | None]:
    """Return the source of each video by its entry in metadata.json; None if nothing names it."""
    found: dict[Key, str | None] = {}
    made_from: dict[Key, Counter[str]] = defaultdict(Counter)
    for (folder, video), entry in entries.items():
        source = entry.get("source") or _of_method(entry.get("method"))
        found[folder, video] = str(source) if source else None
        if source and entry.get("original"):
            made_from[folder, str(entry["original"])][str(source)] += 1
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
