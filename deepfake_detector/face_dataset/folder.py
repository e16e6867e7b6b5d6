"""The folder of faces: how a run prepares it, puts folders of crops into it and takes them away.

    a.mp4/           the crops of one video (boxes.py), a.mp4#1/ ... those of further faces in it
    settings.json    what the crops depend on (settings.py)
    manifest.csv     one row per video asked for (manifest.py)
    metadata.json    the DFDC entries of exactly the folders of crops (manifest.py)
    .lock  .work-*/  of the runs that are writing

Several runs may write to one folder of faces, on one machine or on many that share the disk: they
change the files above one after the other, and each makes its crops in a work folder of its own.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from deepfake_detector import __version__
from deepfake_detector.console import UserError, reason_of
from deepfake_detector.endings import before_the_end, interrupts_held
from deepfake_detector.face_dataset.boxes import BOXES_NAME
from deepfake_detector.face_dataset.manifest import (
    LOCK_NAME,
    MANIFEST_NAME,
    face_names,
    file_bytes,
    index_lock,
    read_manifest,
    write_index_locked,
)
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    WITHOUT_OPTION,
    FaceSettings,
    differing_names,
    option_of,
    read_settings,
    setting_differences,
)
from deepfake_detector.files import PARTIAL_PREFIX, write_text
from deepfake_detector.output_paths import (
    OutputFile,
    begins_with,
    check_outputs,
    files_of_folder,
    mentions,
)
from deepfake_detector.videos.metadata import Video

WORK_PREFIX = ".work-"
# Statuses that a later run keeps; it tries videos of any other status again.
SETTLED = frozenset({"ok", "no_face"})


@contextlib.contextmanager
def work_folder(save_path: Path) -> Iterator[Path]:
    """Yield a folder of this run's own below `save_path`, and remove it at the end."""
    with index_lock(save_path):  # no other run may find it before it is locked
        folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=save_path))
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire()
    try:
        yield folder
    finally:
        # What a run has recorded must be on the disk before the folder goes: as long as that is
        # there after a power cut, the next run checks all faces.
        getattr(os, "sync", lambda: None)()
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def index_written(
    save_path: Path, rows: Mapping[str, dict], videos: Sequence[Video]
) -> Iterator[None]:
    """Write the index at the end of this block, however that comes: what other runs have put
    there, and the `rows` that there are by then."""

    def write(timeout_sec: float = -1) -> None:
        with index_lock(save_path, timeout_sec):
            write_index_locked(save_path, read_manifest(save_path) | dict(rows), videos)

    def write_in_a_moment() -> None:
        # The block itself may be writing it at this moment, and then has the lock.
        with contextlib.suppress(Timeout):
            write(timeout_sec=0.4)

    with before_the_end(write_in_a_moment):
        try:
            yield
        finally:
            with interrupts_held():
                write()


def remove_dead_work(save_path: Path) -> bool:
    """Remove the work folders of runs that were killed; return whether there were any.

    The lock on them ended with their process, also when the power went.
    """
    found = False
    for folder in sorted(save_path.glob(f"{WORK_PREFIX}*")):
        with contextlib.suppress(Timeout), FileLock(folder / LOCK_NAME, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
            found = True
    return found


def is_settled(video: Video, row: Mapping | None, save_path: Path) -> bool:
    """Return whether an earlier run has finished this video: same name and size, in any folder.

    A video that has been deleted since then keeps its faces.
    """
    if row is None or row["status"] not in SETTLED:
        return False
    if file_bytes(video.path) not in {"", int(row["bytes"] or -1)}:
        return False
    folders = face_names(video.name, int(row["faces"] or 0))
    return row["status"] != "ok" or all((save_path / name).is_dir() for name in folders)


def holds_all_faces(save_path: Path, row: Mapping) -> bool:
    """Return whether the folders of a video are complete.

    After a power cut the files written last may be empty, though their folder has its name already.
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


def put_faces(save_path: Path, name: str, made: Sequence[Path], trash: Path) -> None:
    """Rename finished folders of crops to those of the video; former ones go to `trash`.

    Raises OSError where that cannot be done.
    """
    remove_faces(save_path, name, trash)
    for folder, face_name in zip(made, face_names(name, len(made)), strict=True):
        try:
            folder.rename(save_path / face_name)
        except OSError:
            # If it is there now, another run has just put the same faces there.
            if not (save_path / face_name).is_dir():
                raise


def remove_faces(save_path: Path, name: str, trash: Path) -> None:
    """Move the folders of crops of a video, if there are any, to a folder below `trash`."""
    number = 0
    while (old := save_path / face_names(name, number + 1)[-1]).is_dir():
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            old.rename(Path(tempfile.mkdtemp(dir=trash)) / "old")
        number += 1


def prepare(
    save_path: Path, settings: FaceSettings, videos: Sequence[Video], overwrite: bool
) -> dict[str, dict]:
    """Make the folder, store the settings, and return the manifest rows of earlier runs by name.

    With `overwrite` the rows of `videos` are left out, so that these are made again. Raises
    UserError where the folder cannot be written to, holds something else than faces, or holds
    faces of other settings.
    """
    folders = {video.path.parent.resolve() for video in videos}
    if save_path == Path() or save_path.resolve() in folders:
        what = "the current folder" if save_path == Path() else f"{save_path}, a folder of videos"
        raise UserError(f"--save-path is {what}; give a folder of its own, such as faces")
    check_outputs(_index_files(save_path), [video.path for video in videos], overwritable=False)
    try:
        save_path.mkdir(parents=True, exist_ok=True)
        if _is_foreign(save_path):
            raise UserError(
                f"{save_path} is not empty and holds no {SETTINGS_NAME}; give another --save-path"
            )
        with index_lock(save_path):
            manifest = read_manifest(save_path)
            check_names(save_path, videos, manifest)
            asked = {video.name for video in videos}
            if remove_dead_work(save_path):
                # Those of other shards too: their runs will find no dead work folder.
                manifest = {
                    name: row for name, row in manifest.items() if holds_all_faces(save_path, row)
                }
            check_settings(save_path, settings.saved(), manifest.keys() - asked, overwrite)
            if overwrite:
                # Out of the index before any is made again: an interrupted run leaves no mixture.
                manifest = {name: row for name, row in manifest.items() if name not in asked}
            saved = {"version": __version__, **settings.saved()}
            text = json.dumps(saved, indent=1) + "\n"
            write_text(save_path / SETTINGS_NAME, text)
            write_index_locked(save_path, manifest, videos)
    except OSError as error:
        raise UserError(
            f"cannot write to --save-path {save_path}: {reason_of(error)}; give another path"
        ) from error
    return manifest


def _index_files(save_path: Path) -> list[OutputFile]:
    """Return the files next to the faces that other folders have, too, such as that of a trained
    model, and how those of faces are recognised."""
    files = {
        SETTINGS_NAME: lambda path: not mentions(path, '"training":'),
        MANIFEST_NAME: lambda path: begins_with(path, "filename,"),
    }
    return files_of_folder("--save-path", save_path, files)


def _is_foreign(folder: Path) -> bool:
    """Return whether the folder holds something that no run has put there.

    It looks for the settings last: another run that starts here at this moment writes them before
    anything but its lock.
    """
    names = {path.name for path in folder.iterdir()} - {LOCK_NAME}
    holds_something = any(not name.startswith(PARTIAL_PREFIX) for name in names)
    return holds_something and not (folder / SETTINGS_NAME).exists()


def check_settings(save_path: Path, settings: Mapping, others: set[str], overwrite: bool) -> None:
    """Raise UserError where faces of other settings would be mixed with the new ones."""
    if not (save_path / SETTINGS_NAME).exists():
        return
    found = read_settings(save_path)
    differences = setting_differences(found, settings)
    if differences and (others or not overwrite):
        remedy = f"{_same_settings(found, settings)}another --save-path"
        if not others:
            remedy += ", or --overwrite to make the faces again"
        raise UserError(f"{save_path} holds faces made with {differences}; give {remedy}")


def _same_settings(found: Mapping, wanted: Mapping) -> str:
    """Return the options that give the settings found, and a comma; "" where there are none."""
    names = set(differing_names(found, wanted))
    if names & WITHOUT_OPTION:
        return ""
    options = [option_of(name, found.get(name)) for name in sorted(names)]
    typed = " ".join(option for option in options if option.startswith("--"))
    left_out = [option for option in options if not option.startswith("--")]
    return " and ".join(filter(None, [typed, *left_out])) + ", "


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
                f"({row['bytes']} bytes, in {folder}: {size}); give another --save-path"
            )
