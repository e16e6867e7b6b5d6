"""Files that are whole or not there, temporary folders, text that is safe in a spreadsheet, and
addresses, which are no files.

with written_whole(Path("model.keras")) as partial:
    model.save(partial)
write_text(Path("settings.json"), text)
text_cell("=1+1.mp4")                                  # "'=1+1.mp4"
is_address("https://example.org/a.mp4")                # True
"""

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from deepfake_detector import endings
from deepfake_detector.console import UserError, reason_of

LOCK_NAME = ".lock"
STANDARD_OUTPUTS = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
PARTIAL_PREFIX = ".partial."

# A cell that begins so is a formula to Excel and LibreOffice, and a formula can fetch an address or
# run a program (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Two letters at least: "C:/videos" is a folder. One slash is what pathlib leaves of two.
ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def is_address(place: str | Path) -> bool:
    """Return whether this is an address, and no file or folder on the disk."""
    return bool(ADDRESS.fullmatch(str(place))) and not is_there(Path(place))


def as_given(place: str | Path) -> str:
    """Return an address with the second slash that `pathlib` has taken from it."""
    return re.sub(r"\A([^/]+:/)(?!/)", r"\1/", str(place))


def is_there(path: Path) -> bool:
    """Return whether this is a file or a folder; a path that cannot be looked at is none."""
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):  # a name too long, a folder one may not enter
        return False


def partial_path(path: Path) -> Path:
    """Return the name under which `path` is written."""
    return path.with_name(PARTIAL_PREFIX + path.name)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` at the end.

    Readers never see half a file, and after an error nothing is left. The temporary name ends like
    that of `path`, because many writers choose a format by it. Works for folders that are not there
    yet, too. A stream is no file to rename to, so that is written to itself.
    """
    if is_stream(path):
        is_ours = str(path) in STANDARD_OUTPUTS
        with _into_standard_output() if is_ours else contextlib.nullcontext(path) as stream:
            yield stream
        return
    partial = partial_path(path)
    try:
        with endings.removed_at_the_end(partial):
            yield partial
            partial.replace(path)
            endings.note_result()
    except OSError as error:
        # The user knows `path`, not the hidden name.
        if error.filename is not None and Path(error.filename) == partial:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if partial.is_file():
            partial.unlink()
        elif partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _into_standard_output() -> Iterator[Path]:
    """Yield a path whose content is printed at the end: opened by its own name, a standard output
    that goes to a file would be emptied."""
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "output"
        yield partial
        sys.stdout.flush()
        with partial.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()


def is_stream(path: Path) -> bool:
    """Return whether `path` is something to write to that is no file on a disk: /dev/stdout,
    /dev/null, a pipe."""
    is_device = path.parts[:2] in {("/", "dev"), ("/", "proc")}
    return is_device or (path.exists() and not path.is_file() and not path.is_dir())


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole. File names in the text that are no Unicode keep their bytes."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file, whole."""
    with written_whole(path) as partial:
        shutil.copyfile(source, partial)


def text_cell(text: str) -> str:
    """Return a text from a file for a CSV that somebody may open in a spreadsheet.

    A text that a spreadsheet would read as a formula gets an apostrophe in front, the spreadsheets'
    own sign for text; so does one that begins with apostrophes before such a sign. Use it for text
    only, not for numbers: -0.5 stays a number.
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


@contextlib.contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Yield a new folder for temporary files and remove it at the end, also after a signal.

    The folders of that name that dead processes left behind are removed first. Raises UserError
    where there is no room for one.
    """
    try:
        _remove_dead_folders(name)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-"))
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"cannot make a folder for temporary files: {_without_names(error)}; make room there, "
            "or name another folder with TMPDIR"
        ) from error
    try:
        with endings.removed_at_the_end(folder):
            yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _without_names(error: OSError) -> str:
    """Return why there is no temporary folder, and which one was tried."""
    if isinstance(error, FileNotFoundError):  # Python lists all that it has tried
        tried = os.environ.get("TMPDIR") or "/tmp"
        return f"no folder can be written, neither {tried} nor the current one"
    return f"{tempfile.gettempdir()}: {reason_of(error)}"


def _remove_dead_folders(name: str) -> None:
    """Remove the folders of processes that are not alive; a process of another container, which
    may share this folder, holds the lock on its own."""
    for folder in Path(tempfile.gettempdir()).glob(f"{name}-*-*"):
        process = folder.name.split("-")[1]
        if process.isdecimal() and not _is_alive(int(process)):
            with (
                contextlib.suppress(Timeout, OSError),
                FileLock(folder / LOCK_NAME, blocking=False),
            ):
                shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # signal 0 would be Ctrl-C there; the lock decides
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
