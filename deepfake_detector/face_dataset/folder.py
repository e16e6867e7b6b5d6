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
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from deepfake_detector import __version__
from deepfake_detector.console import UserError, reason_of
from deepfake_detector.face_dataset.manifest import (
    MANIFEST_NAME,
    face_names,
    file_bytes,
    index_lock,
    read_manifest,
    write_index_locked,
)
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    FaceSettings,
    read_settings,
    setting_differences,
    text_of_settings,
)
from deepfake_detector.files import (
    LOCK_NAME,
    begins_with,
    check_output,
    remove_dead_folders,
    write_text,
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
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def write_index(save_path: Path, rows: Mapping[str, dict], videos: Sequence[Video]) -> None:
    """Write the index: what other runs have put there, and these rows."""
    with index_lock(save_path):
        write_index_locked(save_path, read_manifest(save_path) | dict(rows), videos)


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
    UserError if the folder cannot be written to, holds something else than faces, or holds faces
    of other settings.
    """
    if save_path == Path() or save_path.resolve() in {v.path.parent.resolve() for v in videos}:
        what = "the current folder" if save_path == Path() else f"{save_path}, a folder of videos"
        raise UserError(f"--save-path is {what}; give a folder of its own, such as faces")
    inputs = [video.path for video in videos]
    check_output("--save-path", save_path, inputs, _holds_faces, is_folder=True, remedy="")
    try:
        save_path.mkdir(parents=True, exist_ok=True)
        with index_lock(save_path):
            remove_dead_folders(save_path, f"{WORK_PREFIX}*")
            manifest = read_manifest(save_path)
            check_names(save_path, videos, manifest)
            asked = {video.name for video in videos}
            check_settings(save_path, settings, manifest.keys() - asked, overwrite)
            if overwrite:
                # Out of the index before any is made again: an interrupted run leaves no mixture.
                manifest = {name: row for name, row in manifest.items() if name not in asked}
            write_text(save_path / SETTINGS_NAME, text_of_settings(settings, __version__))
            write_index_locked(save_path, manifest, videos)
    except OSError as error:
        raise UserError(
            f"cannot write to --save-path {save_path}: {reason_of(error)}; give another path"
        ) from error
    return manifest


def _holds_faces(folder: Path) -> bool:
    """Return whether only processing.py has written here; another run may just have begun."""
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return True
    return begins_with(folder / MANIFEST_NAME, "filename,") or not (
        (folder / MANIFEST_NAME).exists() or not (folder / SETTINGS_NAME).exists()
    )


def check_settings(
    save_path: Path, settings: FaceSettings, others: set[str], overwrite: bool
) -> None:
    """Raise UserError if faces of other settings would be mixed with the new ones."""
    if not (save_path / SETTINGS_NAME).exists() or (overwrite and not others):
        return
    differences = setting_differences(read_settings(save_path), asdict(settings))
    if differences:
        again = "" if others else ", or --overwrite to make the faces again"
        raise UserError(
            f"{save_path} holds faces made with {differences}; give the same settings, another "
            f"--save-path{again}"
        )


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
