"""The folder of faces: its settings, its manifest, its index, and what keeps them consistent.

    a.mp4/           one folder of crops per video
    settings.json    what the crops depend on
    manifest.csv     one row per video asked for
    metadata.json    the DFDC entries of exactly the videos that have a folder

Whoever reads or writes a folder of faces comes through here; no pixels and no TensorFlow.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from console import UserError
from datasets import METADATA_NAME, Video, read_metadata

MANIFEST_NAME, SETTINGS_NAME = "manifest.csv", "settings.json"
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
    "detected",
    "averaged",
    "seconds",
]
# A run that is started again leaves these alone and tries the others once more.
SETTLED = frozenset({"ok", "no_face"})


def new_row(video: Video) -> dict:
    """Return a manifest row that knows which video it is about and nothing else yet."""
    known = {
        "filename": video.name,
        "location": str(video.path.parent.resolve()),
        "bytes": str(file_bytes(video.path)),
    }
    return dict.fromkeys(MANIFEST_FIELDS, "") | known


def file_bytes(path: Path) -> int | str:
    """Return the size of a file, or an empty string where there is none."""
    return path.stat().st_size if path.is_file() else ""


def prepare(
    save_path: Path, settings: Mapping, videos: Sequence[Video], overwrite: bool
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
        if not (save_path / SETTINGS_NAME).exists() and any(save_path.iterdir()):
            raise UserError(
                f"{save_path} is not empty and holds no {SETTINGS_NAME}; give a new folder"
            )
        manifest = read_manifest(save_path)
        check_names(save_path, videos, manifest)
        asked = {video.name for video in videos}
        check_settings(save_path, settings, manifest.keys() - asked, overwrite)
        if overwrite:
            # Out of the index before anything is made anew: an interrupted run leaves no mixture.
            manifest = {name: row for name, row in manifest.items() if name not in asked}
        write_text(save_path / SETTINGS_NAME, json.dumps(dict(settings), indent=1) + "\n")
        write_index(save_path, manifest, videos)
    except OSError as error:
        raise UserError(f"cannot write to {save_path}: {error}; give another save path") from error
    return manifest


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
    return whole and (row["bytes"] == "" or row["bytes"].isdecimal())


def is_settled(video: Video, row: Mapping | None, save_path: Path) -> bool:
    """Say whether an earlier run is done with this video: same name and size, wherever it lay.

    One that has been deleted since then keeps the faces it gave.
    """
    if row is None or row["status"] not in SETTLED:
        return False
    if file_bytes(video.path) not in {"", int(row["bytes"] or -1)}:
        return False
    return row["status"] != "ok" or (save_path / video.name).is_dir()


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


def write_index(save_path: Path, manifest: Mapping[str, dict], videos: Sequence) -> None:
    """Write manifest.csv sorted by name, and metadata.json with exactly the videos that have a
    folder, those of earlier runs included."""
    partial = save_path / f".{MANIFEST_NAME}.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, MANIFEST_FIELDS)
        table.writeheader()
        table.writerows(manifest[name] for name in sorted(manifest))
    partial.replace(save_path / MANIFEST_NAME)
    metadata = {}
    if (save_path / METADATA_NAME).is_file():
        metadata = read_metadata(save_path)
    metadata |= {video.name: dict(video.entry) for video in videos}
    usable = {name for name, row in manifest.items() if row["status"] == "ok"}
    entries = {name: metadata[name] for name in sorted(metadata) if name in usable}
    write_text(save_path / METADATA_NAME, json.dumps(entries, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that readers never see half of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
