"""Files that are whole or not there, checks before they are written, temporary folders.

with written_whole(Path("model.keras")) as partial:
    model.save(partial)
write_text(Path("settings.json"), text)
check_output("--csv", Path("scores.csv"), inputs=[video], overwrite=False)
text_cell("=1+1.mp4")  # "'=1+1.mp4"
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from deepfake_detector import startup
from deepfake_detector.console import UserError, reason_of

LOCK_NAME = ".lock"
PARTIAL_PREFIX = ".partial."

# A cell that begins so is a formula to Excel and LibreOffice, and a formula can fetch an address or
# run a program (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` at the end.

    Readers never see half a file, and after an error nothing is left. The temporary name ends like
    that of `path`, because many writers choose a format by it. Works for new folders, too.
    """
    partial = path.with_name(PARTIAL_PREFIX + path.name)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        # The user knows `path`, not the hidden name.
        if error.filename is not None and Path(error.filename) == partial:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole. File names in the text that are not Unicode keep their bytes."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def check_output(
    option: str,
    path: Path,
    inputs: Iterable[Path] = (),
    is_ours: Callable[[Path], bool] = lambda path: False,
    is_folder: bool = False,
    overwrite: bool = False,
    remedy: str = ", or --overwrite to replace it",
) -> None:
    """Raise UserError if a file or folder cannot be written, or would replace something.

    Something is an input, or whatever stands at `path` without being ours, which `overwrite`
    allows. An empty folder is nothing. Call it before the work.
    """
    try:
        place = path.resolve()
        if place in {other.resolve() for other in inputs}:
            raise UserError(f"{option} {path} is what this command reads; give another path")
        if path.exists() and path.is_dir() != is_folder:
            what, wanted = ("file", "folder") if is_folder else ("folder", "file")
            raise UserError(f"{option} {path} is a {what}; give the path of a {wanted}")
        parent = place
        while not parent.exists():
            parent = parent.parent
        if not os.access(parent, os.W_OK) or not (parent.is_dir() or parent == place):
            raise UserError(f"cannot write to {option} {path}: {parent} is not writable")
        occupied = path.exists()
        if path.is_dir():  # what a killed run had not finished is nothing
            occupied = any(not p.name.startswith(PARTIAL_PREFIX) for p in path.iterdir())
        if occupied and not overwrite and not is_ours(path):
            raise UserError(
                f"{option} {path} exists and was not written by this command; give another path"
                f"{remedy}"
            )
    except OSError as error:
        raise UserError(f"cannot write to {option} {path}: {reason_of(error)}") from error


def check_is_folder(place: Path, wanted: str) -> None:
    """Raise UserError if there is no such folder; `wanted` says what kind of folder to give."""
    if not place.is_dir():
        what = "is a file" if place.exists() else "does not exist"
        raise UserError(f"{place} {what}; give a folder of {wanted}")


def begins_with(path: Path, *texts: str) -> bool:
    """Return whether a text file begins with one of these, such as the header of a CSV."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(max(map(len, texts))).startswith(texts)
    except OSError:
        return False


def text_cell(text: str) -> str:
    """Return a text from a file for a CSV that somebody may open in a spreadsheet.

    A text that a spreadsheet would read as a formula gets an apostrophe in front, the spreadsheets'
    own sign for text; so does one that begins with apostrophes before such a sign. Use it for text
    only, not for numbers: -0.5 stays a number.
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


@contextlib.contextmanager
def locked_folder(place: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `place`, and remove it at the end; `remove_dead_folders` spares it.

    Raises OSError if it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with FileLock(folder / LOCK_NAME):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Yield a new folder for temporary files, which is removed at the end.

    The folders of that name that killed processes left behind are removed first. Raises OSError if
    there is no room for one.
    """
    place, prefix = Path(tempfile.gettempdir()), f"deepfake-{name}-"
    remove_dead_folders(place, f"{prefix}*")
    with locked_folder(place, prefix) as folder:
        startup.temporary_folders.add(folder)
        yield folder


def remove_dead_folders(place: Path, pattern: str) -> bool:
    """Remove the folders in `place` whose process has ended, which is when the lock in them is
    free; return whether there were any."""
    found = False
    for folder in sorted(place.glob(pattern)):
        with contextlib.suppress(Timeout, OSError), FileLock(folder / LOCK_NAME, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
            found = True
    return found
