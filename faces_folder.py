"""The folder of faces: its settings, its manifest, its index, and what keeps them consistent.

    a.mp4/           one folder of crops per video, a.mp4#1/ ... for further faces in it
    settings.json    what the crops depend on
    manifest.csv     one row per video asked for
    metadata.json    the DFDC entries of exactly the folders of crops
    .lock  .work-*/  of runs under way

Several runs may write to one folder of faces, from one machine or from many that share the disk:
they take turns at the files above, and each makes its crops in a folder of its own. Whoever reads
or writes a folder of faces comes through here; no pixels and no TensorFlow.
"""

import contextlib
import csv
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from console import UserError
from datasets import METADATA_NAME, Video, read_metadata
from faces import DETECTOR

MANIFEST_NAME = "manifest.csv"
SETTINGS_NAME = "settings.json"
BOXES_NAME = "boxes.csv"
MANIFEST_FIELDS = [
    "filename",
    "location",
    "bytes",
    "status",
    "reason",
    "fps",
    "width",
    "height",
    "frames_read",
    "faces",
    "boxes_from",
    "detected",
    "averaged",
    "seconds",
]
# A run that is started again leaves these alone and tries the others once more.
SETTLED = frozenset({"ok", "no_face"})
LOCK_NAME = ".lock"
WORK_PREFIX = ".work-"


@dataclass(frozen=True)
class FaceSettings:
    """What the crops depend on; travels with the faces and with every model trained on them.

    Raises UserError for values that cannot work.
    """

    capture_sec: float = 5.0  # seconds from the start of the video, by its own clock
    fps: float | None = None  # frames kept a second; None keeps all
    margin_ratio: float = 0.3  # of the box's longer side, added on every side
    face_size: int = 224  # side of the crops in pixels
    jpeg_quality: int = 95
    faces: str = "main"  # or "all": a folder for every face seen long enough
    share_boxes: bool = False  # a fake takes the boxes found in its original
    detector: str = DETECTOR
    contract: int = 2  # version of the layout of a folder of faces and of how boxes are found

    def __post_init__(self):
        if not 0 < self.capture_sec < math.inf:
            raise UserError(f"capture_sec is {self.capture_sec}; it must be above 0 seconds")
        if not 0 <= self.margin_ratio < math.inf:
            raise UserError(f"margin_ratio is {self.margin_ratio}; it must be 0 or more")
        if not self.face_size >= 16:
            raise UserError(f"face_size is {self.face_size}; it must be at least 16 pixels")
        if self.fps is not None and not self.fps > 0:
            raise UserError(
                f"fps is {self.fps}; it must be above 0, or left out to keep all frames"
            )
        if self.faces not in ("main", "all"):
            raise UserError(f'faces is {self.faces!r}; it must be "main" or "all"')


def new_row(video: Video) -> dict:
    """Return a manifest row that knows which video it is about and nothing else yet."""
    known = {
        "filename": video.name,
        "location": str(video.path.parent.resolve()),
        "bytes": str(file_bytes(video.path)),
    }
    return dict.fromkeys(MANIFEST_FIELDS, "") | known


def file_bytes(path: Path) -> int | str:
    """Return the size of a file, or an empty string where there is none that one may look at."""
    try:
        return path.stat().st_size if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def face_names(name: str, count: int) -> list[str]:
    """Return the folders of a video with so many faces: a.mp4, a.mp4#1, a.mp4#2, ..."""
    return [f"{name}#{number}" if number else name for number in range(count)]


@contextlib.contextmanager
def turn(save_path: Path) -> Iterator[None]:
    """Wait until no other run is at the index of this folder, and keep them out meanwhile."""
    with FileLock(save_path / LOCK_NAME):
        yield


@contextlib.contextmanager
def work_folder(save_path: Path) -> Iterator[Path]:
    """Yield a folder of this run's own below `save_path`; it goes when the run ends."""
    with turn(save_path):  # nobody else may find it before it is locked
        folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=save_path))
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire()
    try:
        yield folder
    finally:
        # What a run has recorded must be on the disk before nothing tells any more that it ran.
        getattr(os, "sync", lambda: None)()
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_work(save_path: Path) -> bool:
    """Remove the work folders of runs that were killed, and say whether there were any.

    The lock on them ended with their process, also when the power went.
    """
    found = False
    for folder in sorted(save_path.glob(f"{WORK_PREFIX}*")):
        with contextlib.suppress(Timeout), FileLock(folder / LOCK_NAME, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
            found = True
    return found


def holds_all_faces(save_path: Path, row: Mapping) -> bool:
    """Say whether the folders of a video are as they were put there, or lost files with the power.

    Files written last may come back empty then, though their folder has its name already.
    """
    for name in face_names(row["filename"], int(row["faces"] or 0)):
        try:
            with os.scandir(save_path / name) as found:
                sizes = {file.name: file.stat().st_size for file in found}
            lines = (save_path / name / BOXES_NAME).read_bytes().count(b"\n")
        except OSError:
            return False
        crops = [file for file in sizes if file.endswith(".jpeg")]
        if not all(sizes.values()) or lines != len(crops) + 1:
            return False
    return True


def put(save_path: Path, name: str, made: Sequence[Path], trash: Path) -> None:
    """Rename finished folders of faces to those of the video; former ones go to `trash`.

    Raises OSError where that cannot be done.
    """
    take_away(save_path, name, trash)
    for folder, face_name in zip(made, face_names(name, len(made)), strict=True):
        try:
            folder.rename(save_path / face_name)
        except OSError:
            # Another run has just put the same faces there.
            if not (save_path / face_name).is_dir():
                raise


def take_away(save_path: Path, name: str, trash: Path) -> None:
    """Move whatever folders of faces a video has to a folder below `trash`."""
    number = 0
    while (old := save_path / face_names(name, number + 1)[-1]).is_dir():
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            old.rename(Path(tempfile.mkdtemp(dir=trash)) / "old")
        number += 1


def prepare(
    save_path: Path, settings: FaceSettings, videos: Sequence[Video], overwrite: bool
) -> dict[str, dict]:
    """Make the folder, store the settings, and return the manifest rows of earlier runs.

    Raises UserError where the folder cannot be written to, holds something else than faces, or
    holds faces of other settings.
    """
    folders = {video.path.parent.resolve() for video in videos}
    if save_path == Path() or save_path.resolve() in folders:
        raise UserError("the save path must be a folder of its own, apart from the videos")
    try:
        save_path.mkdir(parents=True, exist_ok=True)
        if _is_foreign(save_path):
            raise UserError(
                f"{save_path} is not empty and holds no {SETTINGS_NAME}; give a new folder"
            )
        with turn(save_path):
            manifest = read_manifest(save_path)
            check_names(save_path, videos, manifest)
            asked = {video.name for video in videos}
            if remove_dead_work(save_path):
                # Those of other shards too: their runs will find no dead work any more.
                manifest = {
                    name: row for name, row in manifest.items() if holds_all_faces(save_path, row)
                }
            check_settings(save_path, asdict(settings), manifest.keys() - asked, overwrite)
            if overwrite:
                # Out of the index before anything is made anew: an interrupted run leaves no
                # mixture.
                manifest = {name: row for name, row in manifest.items() if name not in asked}
            text = json.dumps(asdict(settings), indent=1) + "\n"
            write_text(save_path / SETTINGS_NAME, text)
            write_index_in_turn(save_path, manifest, videos)
    except OSError as error:
        raise UserError(f"cannot write to {save_path}: {error}; give another save path") from error
    return manifest


def _is_foreign(folder: Path) -> bool:
    """Say whether the folder holds something that no run has put there.

    The settings are looked for last. A run that begins here at this very moment writes them before
    anything else but its lock; looked for first, they could be missing and the rest be there.
    """
    first_files = {LOCK_NAME, partial_path(folder / SETTINGS_NAME).name}
    holds_something = any(path.name not in first_files for path in folder.iterdir())
    return holds_something and not (folder / SETTINGS_NAME).exists()


def check_settings(save_path: Path, settings: Mapping, others: set[str], overwrite: bool) -> None:
    """Raise UserError where faces of other settings would be mixed with the new ones."""
    if not (save_path / SETTINGS_NAME).exists():
        return
    differences = setting_differences(read_settings(save_path), settings)
    if differences and (others or not overwrite):
        remedy = "give the same settings or another save path"
        if not others:
            remedy += ", or --overwrite to make the faces anew"
        raise UserError(f"{save_path} holds faces made with {differences}; {remedy}")


def setting_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return what differs between two face settings in words, both values, or an empty string."""
    names = sorted(found.keys() | wanted.keys())
    return ", ".join(
        f"{name}={found.get(name)} ({by}: {wanted.get(name)})"
        for name in names
        if found.get(name) != wanted.get(name)
    )


def read_settings(faces_folder: Path) -> dict:
    """Return the settings.json of a folder of faces; raises UserError where there is none."""
    path = faces_folder / SETTINGS_NAME
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(
            f"{path} is not valid JSON; make the faces anew with processing.py"
        ) from None
    if not isinstance(settings, dict):
        raise UserError(f"{faces_folder} holds no {SETTINGS_NAME}; make faces with processing.py")
    return settings


def read_manifest(faces_folder: Path) -> dict[str, dict]:
    """Return the manifest rows by video name, the last one of each; empty without a manifest.

    A line that a killed run left unfinished, or that has other columns, is passed over: its video
    is done once more.
    """
    path = faces_folder / MANIFEST_NAME
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["filename"]: row for row in csv.DictReader(file) if _is_whole(row)}


def _is_whole(row: Mapping) -> bool:
    whole = row.keys() == set(MANIFEST_FIELDS) and None not in row.values()
    return whole and all(row[name] == "" or row[name].isdecimal() for name in ("bytes", "faces"))


def is_settled(video: Video, row: Mapping | None, save_path: Path) -> bool:
    """Say whether an earlier run is done with this video: same name and size, wherever it lay.

    One that has been deleted since then keeps the faces it gave.
    """
    if row is None or row["status"] not in SETTLED:
        return False
    if file_bytes(video.path) not in {"", int(row["bytes"] or -1)}:
        return False
    folders = face_names(video.name, int(row["faces"] or 0))
    return row["status"] != "ok" or all((save_path / name).is_dir() for name in folders)


def check_names(save_path: Path, videos: Sequence[Video], manifest: Mapping[str, Mapping]) -> None:
    """Raise UserError where another video of the same name has its faces at `save_path`."""
    for video in videos:
        row, size = manifest.get(video.name), file_bytes(video.path)
        if row is None or row["status"] != "ok" or size == "" or row["bytes"] == str(size):
            continue
        folder = str(video.path.parent.resolve())
        if row["location"] != folder:
            raise UserError(
                f"{save_path} holds the faces of another {video.name}, from {row['location']} "
                f"({row['bytes']} bytes, in {folder}: {size}); give another save path"
            )


def append_row(save_path: Path, row: Mapping) -> None:
    """Add a row to manifest.csv, so that a run that is killed knows what it had finished."""
    path = save_path / MANIFEST_NAME
    with turn(save_path), path.open("a+", newline="", encoding="utf-8") as file:
        if not _ends_a_line(path):
            file.write("\r\n")
        csv.DictWriter(file, MANIFEST_FIELDS).writerow(row)


def _ends_a_line(path: Path) -> bool:
    """Say whether the last line is whole; a run that was killed may have left a part of one."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return file.read(1) in {b"", b"\n"}


def write_index(save_path: Path, rows: Mapping[str, dict], videos: Sequence[Video]) -> None:
    """Write manifest.csv and metadata.json: what other runs have put there, and these `rows`."""
    with turn(save_path):
        write_index_in_turn(save_path, read_manifest(save_path) | dict(rows), videos)


def write_index_in_turn(
    save_path: Path, manifest: Mapping[str, dict], videos: Sequence[Video]
) -> None:
    """Write manifest.csv sorted by name, and metadata.json with exactly the folders of faces that
    the manifest knows, those of earlier runs included."""
    partial = partial_path(save_path / MANIFEST_NAME)
    with partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, MANIFEST_FIELDS)
        table.writeheader()
        table.writerows(manifest[name] for name in sorted(manifest))
    partial.replace(save_path / MANIFEST_NAME)
    metadata = {}
    if (save_path / METADATA_NAME).is_file():
        metadata = read_metadata(save_path)
    metadata |= {video.name: dict(video.entry) for video in videos}
    entries = {}
    for name in sorted(metadata.keys() & manifest.keys()):
        row = manifest[name]
        for face_name in face_names(name, int(row["faces"] or 0) if row["status"] == "ok" else 0):
            further = {} if face_name == name else {"video": name}
            entries[face_name] = metadata[name] | further
    write_text(save_path / METADATA_NAME, json.dumps(entries, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that readers never see half of it.

    A file name in the text that is no Unicode keeps its bytes.
    """
    partial = partial_path(path)
    partial.write_text(text, encoding="utf-8", errors="surrogateescape")
    partial.replace(path)


def partial_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")
