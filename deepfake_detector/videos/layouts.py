"""How data sets lay out their videos, and what their folders and file names say about each.

Goes in: a folder. Comes out: the name of its layout, and for every layout but DFDC's, which has its
metadata.json, one `Found` per video file: the name its faces get, its path, and an entry as a
metadata.json would hold it, with `people` and `method` where the layout names them:

    {"label": "FAKE", "split": "train", "original": "youtube__c23__000.mp4",
     "people": ["youtube 000", "youtube 003"], "method": "Deepfakes"}

A video without an official split says "train", as in DFDC; other splits are chosen from those.
Hidden files and files without the suffix of a video are skipped.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from deepfake_detector.console import UserError
from deepfake_detector.videos.metadata import FAKE, METADATA_NAME, REAL, check_is_folder

# In the order in which they are tried: DFDC's last, because the search for it goes deepest.
LAYOUTS = ("faceforensics", "celebdf", "real-fake", "dfdc")
TREES = """
  dfdc           metadata.json  aaa.mp4  bbb.mp4
                 (or folders that hold these, such as dfdc_train_part_0/)
  faceforensics  original_sequences/youtube/c23/videos/000.mp4
                 manipulated_sequences/Deepfakes/c23/videos/000_003.mp4
  celebdf        Celeb-real/id0_0000.mp4  YouTube-real/00000.mp4
                 Celeb-synthesis/id0_id1_0000.mp4  List_of_testing_videos.txt
  real-fake      real/a.mp4
                 fake/b.mp4  fake/some_method/c.mp4"""
VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
# Depth of the search below a folder; it also ends a loop of links.
LEVELS_BELOW = 4
# The folders next to these hold masks, which are videos too.
FACEFORENSICS_COMPRESSIONS = ("raw", "c0", "c23", "c40")
FACEFORENSICS_SPLITS = {"train.json": "train", "val.json": "validation", "test.json": "test"}
# 000_003, or 01_02__walking_outside_cafe_disgusted__YVGY8LOK: whose video, then whose face.
FACEFORENSICS_PAIR = re.compile(r"(?P<target>\d+)_(?P<source>\d+)(__(?P<scene>.+)__[^_]+)?")
CELEBDF_TEST_LIST = "List_of_testing_videos.txt"
CELEBDF_SWAP = re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_(?P<number>\d+)")


class Found(NamedTuple):
    name: str  # of the folder of its faces
    path: Path
    entry: dict


def recognise(folder: Path) -> str:
    """Return the name of a folder's layout, one of LAYOUTS; with a metadata.json it is "dfdc".

    Raises UserError where there is no such folder, or where it fits no layout.
    """
    check_is_folder(folder)
    if _holds_videos_of_dfdc(folder):
        return "dfdc"
    for layout in LAYOUTS:
        if not missing(folder, layout):
            return layout
    raise UserError(
        f"{folder} is laid out in none of the known ways; arrange it as one of these, or give the "
        f"folder that is:{TREES}"
    )


def check_layout(folder: Path, layout: str) -> None:
    """Raise UserError where there is no such folder, or it does not have the layout."""
    check_is_folder(folder)
    lacking = missing(folder, layout)
    if lacking:
        raise UserError(f"{folder} is not laid out as {layout}: it holds no {lacking}")


def missing(folder: Path, layout: str) -> str:
    """Return in words what a folder lacks for that layout, or an empty string."""
    if layout == "dfdc":
        return "" if dfdc_parts(folder) else f"{METADATA_NAME}, nor do the folders below it"
    if layout == "real-fake":
        lacking = [name for name in ("real", "fake") if not _named(folder, name)]
        return " and no ".join(f"folder {name}" for name in lacking)
    # A download of these may leave out some of the folders.
    names = {
        "faceforensics": ("original_sequences", "manipulated_sequences"),
        "celebdf": ("Celeb-real", "Celeb-synthesis", "YouTube-real"),
    }[layout]
    return "" if _named(folder, *names) else f"folder {' or '.join(names)}"


# DFDC


def dfdc_parts(folder: Path, levels_below: int = LEVELS_BELOW) -> list[Path]:
    """Return the folder if it has a metadata.json, else all below it that have one, sorted."""
    if _holds_videos_of_dfdc(folder):
        return [folder]
    if levels_below == 0:
        return []
    return [part for child in _subfolders(folder) for part in dfdc_parts(child, levels_below - 1)]


def _holds_videos_of_dfdc(folder: Path) -> bool:
    # A folder of faces has a metadata.json too, next to files that no part of DFDC has.
    names = {METADATA_NAME, "settings.json", "manifest.csv"}
    return {name for name in names if (folder / name).is_file()} == {METADATA_NAME}


# FaceForensics++


def faceforensics(folder: Path) -> Iterator[Found]:
    """Yield the videos of FaceForensics++ and of DeepFakeDetection, which comes with it.

    Names hold folder and compression: `Deepfakes__c23__000_003.mp4`. The original of a fake is the
    video that the face was put into, at the same compression. People are called by their numbers,
    "youtube 000" or "actor 01". A fake is in the official split of the person whose video it was;
    the official pairs have both people in one split.

    Raises UserError where a split file is damaged.
    """
    official_splits = _faceforensics_splits(folder)
    for kind in _named(folder, "original_sequences", "manipulated_sequences"):
        label = REAL if kind.name.lower() == "original_sequences" else FAKE
        for path in sorted(filter(is_video_file, kind.glob("*/*/videos/*"))):
            sequences, compression = path.parts[-4:-2]
            if compression not in FACEFORENSICS_COMPRESSIONS:
                continue
            original = None
            if label == FAKE:
                original, people = _original_and_people(path, compression)
            elif sequences == "actors":
                people = [f"actor {path.stem.partition('__')[0]}"]
            else:
                people = [f"{sequences} {path.stem}"]
            split = official_splits.get(people[0], "train") if people else "train"
            method = sequences if label == FAKE else None
            entry = _entry(label, original, people, split, method)
            yield Found(plain_name(sequences, compression, path.name), path, entry)


def _original_and_people(path: Path, compression: str) -> tuple[str | None, list[str]]:
    """Return original and people by the file name of a fake; None and [] if it has another form."""
    pair = FACEFORENSICS_PAIR.fullmatch(path.stem)
    if pair is None:
        return None, []
    target, source, scene = pair["target"], pair["source"], pair["scene"]
    if scene:
        original = plain_name("actors", compression, f"{target}__{scene}{path.suffix}")
        return original, [f"actor {target}", f"actor {source}"]
    original = plain_name("youtube", compression, f"{target}{path.suffix}")
    return original, [f"youtube {target}", f"youtube {source}"]


def _faceforensics_splits(folder: Path) -> dict[str, str]:
    """Return the split of every person in the official split files, as far as these exist."""
    splits: dict[str, str] = {}
    for name, split in FACEFORENSICS_SPLITS.items():
        places = [folder / name, folder / "splits" / name, folder / "dataset" / "splits" / name]
        path = next(filter(Path.is_file, places), None)
        if path is not None:
            splits |= {f"youtube {number}": split for number in _numbers_of_pairs(path)}
    return splits


def _numbers_of_pairs(path: Path) -> list[str]:
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        pairs = None
    if not isinstance(pairs, list) or not all(isinstance(pair, list) for pair in pairs):
        raise UserError(
            f'{path} is no JSON list of pairs such as [["720", "672"]]; download it again, or '
            "remove it to choose the splits at random"
        )
    return [str(number) for pair in pairs for number in pair]


# Celeb-DF


def celebdf(folder: Path) -> Iterator[Found]:
    """Yield the videos of Celeb-DF, version 1 or 2, under their own names.

    `id0_id1_0000.mp4` was made from `id0_0000.mp4`, and both people are in it. Who is in the videos
    of YouTube-real is not known. The videos in List_of_testing_videos.txt are the test split.
    """
    tested = _celebdf_tested(folder)
    for kind in _named(folder, "Celeb-real", "Celeb-synthesis", "YouTube-real"):
        fake = kind.name.lower() == "celeb-synthesis"
        for path in _video_files_below(kind):
            swap = CELEBDF_SWAP.fullmatch(path.stem) if fake else None
            original = f"{swap['target']}_{swap['number']}{path.suffix}" if swap else None
            entry = _entry(
                FAKE if fake else REAL,
                original,
                re.findall(r"id\d+", path.stem),
                "test" if path.name in tested else "train",
                "Celeb-synthesis" if fake else None,
            )
            yield Found(plain_name(path.name), path, entry)


def _celebdf_tested(folder: Path) -> set[str]:
    """Return the file names in the list of testing videos; their label is that of their folder."""
    path = folder / CELEBDF_TEST_LIST
    if not path.is_file():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {line.split()[-1].rpartition("/")[2] for line in lines if line.strip()}


# Folders real and fake


def real_fake(folder: Path) -> Iterator[Found]:
    """Yield the videos below real/ and fake/, in upper or lower case, at any depth.

    Names hold the folders: `fake/method/a.mp4` becomes `fake__method__a.mp4`, and the first folder
    below fake/ is the method. The original of a fake is the real video of the same file name
    without suffix. If there is none, the part after the last underscore is cut off, again and
    again: a_b.mp4 is made from a_b.mov, or else from a.mp4. Of several the first one counts.
    """
    originals: dict[str, str] = {}
    for kind in _named(folder, "real"):
        for path in _video_files_below(kind):
            name = plain_name("real", *path.relative_to(kind).parts)
            originals.setdefault(path.stem, name)
            yield Found(name, path, _entry(REAL))
    for kind in _named(folder, "fake"):
        for path in _video_files_below(kind):
            stem = path.stem
            while stem and stem not in originals:
                stem = stem.rpartition("_")[0]
            way = path.relative_to(kind).parts
            method = way[0] if len(way) > 1 else None
            name = plain_name("fake", *way)
            yield Found(name, path, _entry(FAKE, originals.get(stem), method=method))


# Files and names


def is_video_file(path: Path) -> bool:
    """Return whether this is a file with the suffix of a video, and not hidden."""
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def plain_name(*parts: str) -> str:
    """Return the parts as one name; bytes that are no UTF-8 become question marks."""
    return os.fsencode("__".join(parts)).decode("utf-8", errors="replace").replace("\ufffd", "?")


def _entry(
    label: str,
    original: str | None = None,
    people: Iterable[str] = (),
    split: str = "train",
    method: str | None = None,
) -> dict:
    entry: dict = {"label": label, "split": split, "original": original}
    if people:
        entry["people"] = list(people)
    if method:
        entry["method"] = method
    return entry


def _subfolders(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def _named(folder: Path, *names: str) -> list[Path]:
    """Return the folders in a folder that have one of the names, in upper or lower case."""
    wanted = {name.lower() for name in names}
    return [path for path in _subfolders(folder) if path.name.lower() in wanted]


def _video_files_below(folder: Path, levels_below: int = LEVELS_BELOW) -> list[Path]:
    files = sorted(filter(is_video_file, folder.iterdir()))
    if levels_below:
        for child in _subfolders(folder):
            files += _video_files_below(child, levels_below - 1)
    return files


# The function that reads each layout; for DFDC, listing.py reads metadata.json.
READERS = {"faceforensics": faceforensics, "celebdf": celebdf, "real-fake": real_fake}
