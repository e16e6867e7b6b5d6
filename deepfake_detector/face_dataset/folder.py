"""The folder of faces: how a run prepares it, puts folders of crops into it and takes them away.

a.mp4/           the crops of one video (boxes.py), a.mp4#1/ ... those of further faces in it
settings.json    what the crops depend on (settings.py)
manifest.csv     one row per video asked for (manifest.py)
metadata.json    the DFDC entries of exactly the folders of crops (manifest.py)
.lock  .work-*/  of the run that is writing: one at a time
"""

import contextlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock, Timeout

from deepfake_detector import __version__
from deepfake_detector.console import UserError, notes_on, one_line, say, say_lines
from deepfake_detector.face_dataset.boxes import BOXES_NAME
from deepfake_detector.face_dataset.face_tracks import read_entries
from deepfake_detector.face_dataset.manifest import (
    MANIFEST_NAME,
    face_names,
    new_row,
    read_manifest,
    write_index,
)
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    FaceSettings,
    read_settings,
    setting_differences,
)
from deepfake_detector.files import LOCK_NAME, begins_with, check_output, write_text
from deepfake_detector.videos.content import content_of, stamp_of
from deepfake_detector.videos.metadata import METADATA_NAME, Video

WORK_PREFIX = ".work-"
# Statuses that a later run keeps; it tries videos of any other status again.
SETTLED = frozenset({"ok", "no_face"})
PLACE = ("filename", "location", "file", "changed_ns")  # columns that a move changes


@contextlib.contextmanager
def only_run(save_path: Path, videos: Sequence[Video]) -> Iterator[Path]:
    """Make the folder, keep other runs from it, and yield a work folder, removed at the end.

    Raises UserError if another run is writing there, if the folder cannot be written to or locked,
    and if it holds something else than faces.
    """
    if save_path == Path() or save_path.resolve() in {v.path.parent.resolve() for v in videos}:
        what = "the current folder" if save_path == Path() else f"{save_path}, a folder of videos"
        raise UserError(f"--save-path is {what}; give a folder of its own, such as faces")
    check_output("--save-path", save_path, (), _holds_faces, is_folder=True, remedy="")
    save_path.mkdir(parents=True, exist_ok=True)
    # Where a disk has no locks at all, filelock makes do with files, and shows a line of its code.
    warnings.filterwarnings("ignore", "flock not supported")
    with contextlib.ExitStack() as until_the_end:
        try:
            until_the_end.enter_context(FileLock(save_path / LOCK_NAME, blocking=False))
        except Timeout:
            raise UserError(
                f"another run is writing to {save_path}; wait until it has ended, or give another "
                "--save-path"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise UserError(
                f"{save_path / LOCK_NAME} cannot be locked ({one_line(error)}); give a --save-path "
                "on a disk that has locks, and copy the faces afterwards"
            ) from error
        if dead := list(save_path.glob(f"{WORK_PREFIX}*")):
            say("note: an earlier run was stopped; what it had finished is kept")
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=save_path))
        until_the_end.callback(shutil.rmtree, work, ignore_errors=True)
        yield work


def _holds_faces(folder: Path) -> bool:
    """Return whether only processing.py has written here."""
    if (folder / MANIFEST_NAME).exists():
        return begins_with(folder / MANIFEST_NAME, "filename,")
    is_empty = all(path.name.startswith(".") for path in folder.iterdir())
    return is_empty or (folder / SETTINGS_NAME).exists()


def is_settled(video: Video, row: Mapping | None, save_path: Path) -> bool:
    """Return whether an earlier run has finished this video; `row` is one of `prepare`."""
    if video.problem or row is None or row["status"] not in SETTLED:
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
            # If it is there now, another worker of Dask has just put the same faces there.
            if not (save_path / face_name).is_dir():
                raise


def remove_faces(save_path: Path, name: str, trash: Path) -> None:
    """Move the folders of crops of a video, if there are any, to a folder below `trash`."""
    number = 0
    while (old := save_path / face_names(name, number + 1)[-1]).is_dir():
        with contextlib.suppress(FileNotFoundError):  # another worker was faster
            old.rename(Path(tempfile.mkdtemp(dir=trash)) / "old")
        number += 1


def prepare(
    save_path: Path, settings: FaceSettings, videos: Sequence[Video], overwrite: bool = False
) -> tuple[dict[str, dict], list[Video]]:
    """Store the settings, find out what the folder holds already, and say what has changed.

    Returns the rows that still hold, by the names that their videos have today, and `videos` with
    their content, as far as it had to be known. Faces of a video that was renamed or moved get its
    new name. Those of other content, and those that no location holds any more, leave
    metadata.json. `overwrite` removes all faces first. Raises UserError if the folder holds faces
    of other settings, or of another version.
    """
    manifest = read_manifest(save_path)
    if (save_path / SETTINGS_NAME).exists():
        differences = setting_differences(read_settings(save_path), asdict(settings))
        if differences and manifest and not overwrite:
            raise UserError(
                f"{save_path} holds faces made with {differences}; give the same settings or "
                "another --save-path, or make all faces again with --overwrite"
            )
    if overwrite:
        remove_all(save_path)
        manifest = {}
    known = with_contents(videos, manifest)
    say_lines(relabelled(save_path, known))
    rows, notes = with_present_names(save_path, known, manifest)
    say_lines(notes)
    saved = {"version": __version__, **asdict(settings)}
    write_text(save_path / SETTINGS_NAME, json.dumps(saved, indent=1) + "\n")
    write_index(save_path, rows, known)
    return rows, known


def with_contents(videos: Sequence[Video], manifest: Mapping[str, Mapping]) -> list[Video]:
    """Return the videos with their content, if it is known or may be that of a row.

    A file at the same place that has not changed since is not read again, and neither is a new one
    that differs in size from all that were there: its content is computed when its faces are made.
    """
    known = {(r["location"], r["file"], r["bytes"], r["changed_ns"]): r for r in manifest.values()}
    sizes = {row["bytes"] for row in manifest.values()}
    found = []
    for video in videos:
        row = new_row(video)
        before = known.get((row["location"], row["file"], row["bytes"], row["changed_ns"]))
        content = video.content
        if not content and before is not None:
            content = before["content"]
        elif not content and row["bytes"] in sizes:
            content = content_of(video.path)
        # A worker on another machine has another current folder.
        found.append(replace(video, content=content, path=video.path.absolute()))
    return found


def with_present_names(
    save_path: Path, videos: Sequence[Video], manifest: Mapping[str, dict]
) -> tuple[dict[str, dict], list[str]]:
    """Return the rows by the names that their videos have today, and notes on what has changed.

    The folders of a video of the same content and another name are renamed. Rows of other content
    than their video has today are left out. A video that has been deleted keeps its row, unless its
    content is elsewhere now.
    """
    names = {video.name for video in videos}
    present = {video.name for video in videos if stamp_of(video.path) is not None}
    free = {row["content"]: name for name, row in sorted(manifest.items())
            if name not in present and row["content"]}  # fmt: skip
    contents = {video.content for video in videos}
    rows, renamed, replaced = dict(manifest), [], set[str]()
    for video in videos:
        if video.name not in present:
            continue
        row = rows.pop(video.name, None)
        if row is None or row["content"] != video.content:
            if row and row["status"] == "ok" and row["content"] not in contents:
                replaced.add(video.name)
            old = None if video.problem else free.pop(video.content, None)
            if old is None:
                continue
            rename_faces(save_path, old, video.name)
            row = rows.pop(old)
            renamed.append(f"{video.name}, before {old}")
        place = new_row(video)
        rows[video.name] = row | {name: place[name] for name in PLACE}
    for place in (new_row(video) for video in videos if video.name not in present):
        # A video that was never there does not get the faces of another of its name.
        row = rows.get(place["filename"], place)
        if (row["location"], row["file"]) != (place["location"], place["file"]):
            del rows[place["filename"]]
    gone = sorted(rows.keys() - names | replaced)
    return rows, [
        *notes_on(renamed, "known under another name"),
        *notes_on(gone, "of earlier calls in none of the locations of this one, not used any more"),
    ]


def relabelled(save_path: Path, videos: Sequence[Video]) -> list[str]:
    """Return a note on the videos whose label is another one than in the last run."""
    before: dict[object, object] = {}
    with contextlib.suppress(UserError, FileNotFoundError):  # damaged: it is made again
        before = {each.get("content"): each.get("label")
                  for each in read_entries(save_path).values()}  # fmt: skip
    changed = [
        f"{video.name}, now {video.entry['label']}"
        for video in videos
        if not video.problem and before.get(video.content) not in (None, video.entry["label"])
    ]
    return notes_on(changed, "of another label than in the last run")


def rename_faces(save_path: Path, old: str, new: str) -> None:
    """Give the folders of crops of a video the name that it has now."""
    number = 0
    while (folder := save_path / face_names(old, number + 1)[-1]).is_dir():
        target = save_path / face_names(new, number + 1)[-1]
        shutil.rmtree(target, ignore_errors=True)  # of another video, which is gone
        folder.rename(target)
        number += 1


def remove_all(save_path: Path) -> None:
    """Remove all faces: out of the index first, so that an interrupted run leaves no mixture."""
    write_text(save_path / METADATA_NAME, "{}\n")
    (save_path / MANIFEST_NAME).unlink(missing_ok=True)
    for boxes in save_path.glob(f"*/{BOXES_NAME}"):
        shutil.rmtree(boxes.parent)
