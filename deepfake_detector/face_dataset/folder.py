"""The folder of faces: how a run prepares it, puts folders of crops into it and takes them away.

    a.mp4/           the crops of one video (boxes.py), a.mp4#1/ ... those of further faces in it
    settings.json    what the crops depend on (settings.py)
    manifest.csv     one row per video asked for (manifest.py)
    metadata.json    the DFDC entries of exactly the folders of crops (manifest.py)
    .lock  .work-*/  of the runs that are writing

Several runs over the same videos may write to one folder of faces, on one machine or on many that
share the disk: they change the files above one after the other, and each makes its crops in a work
folder of its own.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deepfake_detector import __version__
from deepfake_detector.console import UserError, notes_on, reason_of
from deepfake_detector.face_dataset.face_tracks import read_entries
from deepfake_detector.face_dataset.manifest import (
    MANIFEST_NAME,
    face_names,
    index_lock,
    new_row,
    read_manifest,
    write_index_locked,
    write_manifest,
)
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    FaceSettings,
    read_settings,
    setting_differences,
)
from deepfake_detector.files import (
    begins_with,
    check_output,
    locked_folder,
    remove_dead_folders,
    write_text,
)
from deepfake_detector.videos.content import content_of, stamp_of
from deepfake_detector.videos.metadata import METADATA_NAME, Video

WORK_PREFIX = ".work-"
# Statuses that a later run keeps; it tries videos of any other status again.
SETTLED = frozenset({"ok", "no_face"})
PLACE = ("filename", "location", "file", "changed_ns")  # columns that a move changes


@contextlib.contextmanager
def work_folder(save_path: Path, videos: Sequence[Video]) -> Iterator[Path]:
    """Yield a folder of this run's own below `save_path`, and remove it at the end.

    Raises UserError if a run over other `videos` is writing there.
    """
    with contextlib.ExitStack() as until_the_end:
        with index_lock(save_path):  # no other run may find it before it is locked
            prefix = check_other_runs(save_path, videos)
            folder = until_the_end.enter_context(locked_folder(save_path, prefix))
        yield folder


def check_other_runs(save_path: Path, videos: Sequence[Video]) -> str:
    """Raise UserError if a run over other videos is writing here: each would take the videos of the
    other for unwanted ones. Return what work folders of runs over these videos begin with."""
    names = "\0".join(sorted(video.name for video in videos))
    prefix = f"{WORK_PREFIX}{hashlib.sha256(names.encode()).hexdigest()[:8]}-"
    if any(not path.name.startswith(prefix) for path in save_path.glob(f"{WORK_PREFIX}*")):
        raise UserError(
            f"another run is writing the faces of other videos to {save_path}; give all locations "
            "in one call, or wait until it has ended"
        )
    return prefix


def write_index(save_path: Path, rows: Mapping[str, dict], wanted: Sequence[Video]) -> None:
    """Write the index: what other runs have put there, and these rows."""
    with index_lock(save_path):
        write_index_locked(save_path, read_manifest(save_path) | dict(rows), wanted)


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


@dataclass
class Prepared:
    """A folder of faces that is ready for a run."""

    manifest: dict[str, dict]  # rows that still hold, by the names that their videos have today
    videos: list[Video]  # with their content, as far as it had to be known
    notes: list[str]  # what was renamed or relabelled, or is not wanted any more


def prepare(
    save_path: Path,
    settings: FaceSettings,
    videos: Sequence[Video],
    overwritten: Collection[str] = (),
) -> Prepared:
    """Make the folder, store the settings, and find out which of all `videos` it holds already.

    Faces of a video that was renamed or moved get its new name. Those of other content, and those
    that no location holds any more, leave metadata.json. `overwritten` names videos whose faces
    are removed, and then those of earlier calls go, too. Raises UserError if the folder cannot be
    written to, holds something else than faces, faces of other settings, or those of another video
    of the same name.
    """
    if save_path == Path() or save_path.resolve() in {v.path.parent.resolve() for v in videos}:
        what = "the current folder" if save_path == Path() else f"{save_path}, a folder of videos"
        raise UserError(f"--save-path is {what}; give a folder of its own, such as faces")
    check_output("--save-path", save_path, (), _holds_faces, is_folder=True, remedy="")
    names = {video.name for video in videos}
    notes: list[str] = []
    try:
        save_path.mkdir(parents=True, exist_ok=True)
        with index_lock(save_path):
            if remove_dead_folders(save_path, f"{WORK_PREFIX}*"):
                notes.append("note: an earlier run was stopped; what it had finished is kept")
            check_other_runs(save_path, videos)
            manifest = read_manifest(save_path)
            kept = names - set(overwritten) if overwritten else set(manifest)
            check_settings(save_path, settings, any(name in kept for name in manifest))
            if overwritten:
                manifest = remove_others(save_path, manifest, kept)
            videos = with_contents(videos, manifest)
            check_names(save_path, videos, manifest)
            notes += relabelled(save_path, videos)
            manifest, more = with_present_names(save_path, videos, manifest)
            notes += more
            saved = {"version": __version__, **asdict(settings)}
            write_text(save_path / SETTINGS_NAME, json.dumps(saved, indent=1) + "\n")
            write_index_locked(save_path, manifest, videos)
    except OSError as error:
        raise UserError(
            f"cannot write to --save-path {save_path}: {reason_of(error)}; give another path"
        ) from error
    return Prepared(manifest, videos, notes)


def _holds_faces(folder: Path) -> bool:
    """Return whether only processing.py has written here; another run may just have begun."""
    if (folder / MANIFEST_NAME).exists():
        return begins_with(folder / MANIFEST_NAME, "filename,")
    is_empty = all(path.name.startswith(".") for path in folder.iterdir())
    return is_empty or (folder / SETTINGS_NAME).exists()


def check_settings(save_path: Path, settings: FaceSettings, keeps_faces: bool) -> None:
    """Raise UserError if faces of other settings, or of another version, would be mixed with the
    new ones."""
    if not (save_path / SETTINGS_NAME).exists():
        return
    differences = setting_differences(read_settings(save_path), asdict(settings))
    if differences and keeps_faces:
        raise UserError(
            f"{save_path} holds faces made with {differences}; give the same settings or another "
            "--save-path, or make all faces again with --overwrite"
        )


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


def check_names(save_path: Path, videos: Sequence[Video], manifest: Mapping[str, Mapping]) -> None:
    """Raise UserError if another video of the same name, which still exists, has its faces here."""
    for video in videos:
        row = manifest.get(video.name)
        if row is None or row["status"] != "ok" or row["content"] == video.content:
            continue
        other = Path(row["location"], row["file"])
        if video.path.exists() and other != video.path.resolve() and other.exists():
            raise UserError(
                f"{save_path} holds the faces of another {video.name}, {other}; give both "
                "locations in one call, or another --save-path"
            )


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
    rows, renamed = dict(manifest), []
    for video in videos:
        if video.name not in present:
            continue
        row = rows.pop(video.name, None)
        if row is None or row["content"] != video.content:
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
    gone = sorted(rows.keys() - names)
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


def remove_others(
    save_path: Path, manifest: Mapping[str, dict], kept: Collection[str]
) -> dict[str, dict]:
    """Remove all faces but those of the videos that are `kept`; return the rows of these."""
    rows = {name: row for name, row in manifest.items() if name in kept}
    # Out of the index first: an interrupted run leaves no mixture.
    write_manifest(save_path, rows)
    write_text(save_path / METADATA_NAME, "{}\n")
    trash = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=save_path))
    for name in manifest.keys() - rows.keys():
        remove_faces(save_path, name, trash)
    shutil.rmtree(trash, ignore_errors=True)
    return rows
