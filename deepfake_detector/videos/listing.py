"""Which videos processing.py takes: those of some folders, a random choice of them, one shard.

videos = select_videos([Path("dfdc_train_part_0")], num_vids=500, seed=0, shard=(2, 8))
"""

import random
from collections.abc import Sequence
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.videos import layouts
from deepfake_detector.videos.groups import find_source_groups
from deepfake_detector.videos.layouts import LAYOUTS, recognise
from deepfake_detector.videos.metadata import Video, is_path, make_video, read_metadata


def select_videos(
    folders: Sequence[Path],
    num_vids: int | None = None,
    seed: int = 0,
    layout: str | None = None,
    shard: tuple[int, int] = (1, 1),
) -> list[Video]:
    """Return the videos to process: list them, choose `num_vids` of each class, take the shard.

    Raises UserError where there are none, or where `num_vids` is below 1.
    """
    if num_vids is not None and num_vids < 1:
        raise UserError(f"num_vids is {num_vids}; it must be at least 1, or left out for all")
    videos = choose_videos(list_videos(folders, layout), num_vids, seed)
    if not videos:
        raise UserError(f"{', '.join(map(str, folders))}: no video to take in there")
    return take_shard(videos, *shard)


def list_videos(folders: Sequence[Path], layout: str | None = None) -> list[Video]:
    """Return the videos of all folders, sorted by name; unusable ones carry their problem.

    Without a `layout` (one of LAYOUTS) each folder's own is recognised. Raises UserError where a
    folder does not have it, as `read_metadata` does, and where two videos have the same name,
    because both would write to the same folder of faces.
    """
    videos: dict[str, Video] = {}
    for folder in folders:
        for video in _videos_of(folder, layout):
            other = videos.setdefault(video.name, video)
            if other is not video:
                raise UserError(
                    f"{video.name!r} is listed in both {other.path.parent} and "
                    f"{video.path.parent}; give each folder its own save path, or rename one"
                )
    return [videos[name] for name in sorted(videos)]


def _videos_of(folder: Path, layout: str | None) -> list[Video]:
    layout = _layout_of(folder, layout)
    if layout == "dfdc":
        return [
            # A name with a path in it could make us read outside the folders we were given.
            make_video(part if is_path(name) else part / name, name, entry)
            for part in layouts.dfdc_parts(folder)
            for name, entry in read_metadata(part).items()
        ]
    return [make_video(path, name, entry) for name, path, entry in layouts.READERS[layout](folder)]


def _layout_of(folder: Path, layout: str | None) -> str:
    if layout is None:
        return recognise(folder)
    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout!r}; it must be one of {', '.join(LAYOUTS)}")
    layouts.check_layout(folder, layout)
    return layout


def unlisted_files(folders: Sequence[Path], layout: str | None = None) -> list[Path]:
    """Return the video files in folders of DFDC that no metadata.json lists, sorted.

    The other layouts take every video file where videos belong.
    """
    found = []
    for folder in folders:
        if _layout_of(folder, layout) != "dfdc":
            continue
        for part in layouts.dfdc_parts(folder):
            listed = read_metadata(part).keys()
            files = filter(layouts.is_video_file, part.iterdir())
            found += [path for path in files if path.name not in listed]
    return sorted(found)


def choose_videos(videos: Sequence[Video], num_vids: int | None, seed: int) -> list[Video]:
    """Return at most `num_vids` videos of each class, chosen at random by seed, sorted by name.

    Only videos whose file exists are chosen. None keeps all, also those without a file. Unusable
    entries are always kept, so that they show up in the manifest.
    """
    if num_vids is None:
        return list(videos)
    chosen = [video for video in videos if video.problem]
    for label in (0, 1):
        of_class = [v for v in videos if not v.problem and v.label == label and _is_there(v)]
        chosen += random.Random(seed).sample(of_class, min(num_vids, len(of_class)))
    return sorted(chosen, key=lambda video: video.name)


def _is_there(video: Video) -> bool:
    try:
        return video.path.is_file()
    except OSError:
        return False


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
        raise UserError(f"shard is {text!r}; give part/parts, such as 2/8 for the second of eight")
