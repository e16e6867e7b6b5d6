"""One rule for everything that the scripts write: nothing of the user's is overwritten.

    check_outputs(
        [OutputFile("--csv", Path("scores.csv"), lambda path: begins_with(path, HEADER)),
         *files_of_folder("--out", Path("report"), {"metrics.json": is_metrics})],
        inputs=[model_path, *videos],
        overwrite=False,
    )

Call it before the work: what can be known about a path is found out by doing what will be done
later. `write_all` and `raise_incomplete` are for the end of the work: one file that cannot be
written costs no other.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfake_detector.console import IncompleteError, UserError, reason_of
from deepfake_detector.endings import removed_at_the_end
from deepfake_detector.files import PARTIAL_PREFIX, as_given, is_address, is_stream

HEAD_BYTES = 4096  # in which a file shows what it is


@dataclass(frozen=True)
class OutputFile:
    """A file that will be written, or a folder with whatever else is in it."""

    option: str  # that names it
    path: Path
    # Says whether the file that is there was written by us; None: of no file, of every folder.
    is_ours: Callable[[Path], bool] | None = None
    is_folder: bool = False

    @property
    def is_somebody_elses(self) -> bool:
        if self.is_ours is None:
            return self.path.is_file()
        return self.path.exists() and not self.is_ours(self.path)


def files_of_folder(
    option: str, folder: Path, files: Mapping[str, Callable[[Path], bool]]
) -> list[OutputFile]:
    """Return a folder and the files that will be written into it: how each is recognised as ours,
    by its path in the folder."""
    own = [OutputFile(option, folder / name, is_ours) for name, is_ours in files.items()]
    return [OutputFile(option, folder, is_folder=True), *own]


def check_outputs(
    outputs: Sequence[OutputFile],
    inputs: Iterable[Path],
    overwrite: bool = False,
    overwritable: bool = True,
) -> None:
    """Raise UserError where an output cannot be written, or would take the place of something.

    That is an input, another output, or a file that is there and is not ours; the last one
    `overwrite` allows. `inputs` are files and folders. Without `overwritable` the command has no
    option to do so.
    """
    used = {_key(path) for path in inputs}
    asked: dict[Path, OutputFile] = {}
    for output in outputs:
        with _path_errors(output):
            if is_address(output.path):
                raise UserError(
                    f"{output.option} {as_given(output.path)} is an address, and only files are "
                    "written; give a path of this machine"
                )
            if is_stream(output.path):
                continue
            if _key(output.path) in used:
                raise UserError(
                    f"{output.option} {output.path} is what this command reads; give a path of its "
                    "own"
                )
            # By name: another process may put new files in the place of both at this very moment,
            # and the number of the one that has just gone is given to the next.
            place = _resolved(output.path)
            if place in asked:
                raise UserError(
                    f"{asked[place].option} and {output.option} name the same path, {output.path}; "
                    "give each one of its own"
                )
            asked[place] = output
            _check_kind(output)
            if output.is_somebody_elses and not overwrite:
                remedy = ", or --overwrite to replace it" if overwritable else ""
                raise UserError(
                    f"{output.option} {output.path} is there, and does not look like a file of "
                    f"this command; give another path{remedy}"
                )
            _check_writable(output)


def write_all(writers: Mapping[Path, Callable[[], Any]]) -> list[str]:
    """Write every file by its function; return those that failed with the reason, in words."""
    failed = []
    for path, write in writers.items():
        try:
            write()
        except OSError as error:
            failed.append(f"{path} ({reason_of(error)})")
    return failed


def raise_incomplete(failed: Sequence[str]) -> None:
    """Raise IncompleteError, which names them, if any files could not be written."""
    if failed:
        raise IncompleteError(
            f"could not write {', '.join(failed)}, while everything else is done; make room there "
            "and run the same command again"
        )


def begins_with(path: Path, *texts: str) -> bool:
    """Return whether a text file begins with one of these, such as the header of a CSV."""
    return _head(path).startswith(texts)


def has_json_keys(path: Path, *keys: str) -> bool:
    """Return whether a file begins as a JSON object and names these keys near its beginning."""
    head = _head(path)
    return head.startswith("{") and all(f'"{key}":' in head for key in keys)


def mentions(path: Path, text: str) -> bool:
    """Return whether a file has this text near its beginning."""
    return text in _head(path)


def is_chart(path: Path) -> bool:
    """Return whether a file is a picture that Matplotlib has drawn, as all of our charts are."""
    return mentions(path, "Matplotlib")


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _key(path: Path) -> Any:
    """Return what is equal for two names of one file or folder, whether it is there or not."""
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except (OSError, ValueError):
        return _resolved(path)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except ValueError:  # a name that no file can have, such as one in a metadata.json
        return path


@contextlib.contextmanager
def _path_errors(output: OutputFile) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _cannot_write(output, reason_of(error)) from error


def _cannot_write(output: OutputFile, reason: str) -> UserError:
    return UserError(f"cannot write to {output.option} {output.path}: {reason}; give another path")


def _check_kind(output: OutputFile) -> None:
    if output.path.is_dir() and not output.is_folder:
        raise UserError(f"{output.option} {output.path} is a folder; give the path of a file")
    if output.path.is_file() and output.is_folder:
        raise UserError(f"{output.option} {output.path} is a file; give the path of a folder")


def _check_writable(output: OutputFile) -> None:
    """Write a file where the output will be, and take it away again."""
    folder = output.path if output.is_folder else output.path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise _cannot_write(output, f"{folder} is a file, not a folder")
    if output.path.is_file() and not os.access(output.path, os.W_OK):
        raise _cannot_write(output, "it is there and read-only")
    # Of the length of the name that it is written under, for there are names that are too long.
    name = PARTIAL_PREFIX + output.path.name[:-8] + secrets.token_hex(4)
    with removed_at_the_end(folder / name):
        try:
            (folder / name).write_bytes(b"\n")
        finally:
            (folder / name).unlink(missing_ok=True)
