"""What all scripts print in the same way: errors, progress bars, tables.

`command` wraps a script's `main`, `UserError` carries one clear sentence to the user, `progress`
shows a bar on a terminal and stays silent in a log file, `quiet_tensorflow` keeps TensorFlow's
start-up messages off the screen.
"""

import argparse
import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from deepfake_detector import libraries

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
EXIT_BROKEN_PIPE = 141  # ... and for one that wrote to a closed pipe


class UserError(Exception):
    """Something the user can put right: what was found, where, and what to do about it."""


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Return `main` with `UserError` turned into one line on stderr and exit code 2."""

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_USAGE
        except BrokenPipeError:
            # The reader of our output (head, less) has seen enough; do not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_BROKEN_PIPE
        except OSError as error:
            # Errors without a better sentence of their own: a full disk, a read-only folder.
            print(f"error: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
            return EXIT_USAGE
        except KeyboardInterrupt:
            print("interrupted: what was finished until now is kept", file=sys.stderr)
            return EXIT_INTERRUPTED

    return wrapped


@contextlib.contextmanager
def progress(total: int, description: str, unit: str) -> Iterator[Callable[..., None]]:
    """Yield `advance(n=1, note="")`, which advances a bar of `total` units.

    There is no bar where stdout is no terminal (a log file, CI). `note` is free text behind the
    count, such as a rate.
    """
    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(n: int = 1, note: str = "") -> None:
            bar.update(task, advance=n, note=note)

        yield advance


def add_output_arguments(parser: argparse.ArgumentParser, verbose: str = "") -> None:
    """Add --json-summary, and --verbose where there is something that it shows."""
    add = parser.add_argument_group("output").add_argument
    add("--json-summary", action="store_true", help="end with one line of JSON, for programs")
    if verbose:
        add("--verbose", action="store_true", help=f"also show {verbose}")


def printable(text: str) -> str:
    """Return text that fits in one line of a terminal: no line breaks, no control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 video", "2 videos"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def say(text: str, file: TextIO | None = None) -> None:
    """Print one line, with any file name in it, on a terminal of any encoding."""
    file = sys.stdout if file is None else file
    encoding = file.encoding or "utf-8"
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=file, flush=True)


def say_lines(lines: Sequence[str]) -> None:
    """Print each line as `say` does."""
    for line in lines:
        say(line)


def print_table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print two columns, a name and its value, as wide as their text."""
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))  # as they are: a path may hold brackets
    # Away from a terminal rich assumes 80 columns and would cut paths short.
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(Text(title), style="italic")  # a table would wrap it to its own width
    console.print(table)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow inside this to keep its notes about the machine off stderr.

    They are written before any log level is read, so stderr itself is redirected. If the import
    fails, all that was written to it is shown. --verbose on the command line, or
    TF_CPP_MIN_LOG_LEVEL, shows the notes. Where TensorFlow is not installed, one sentence says so.

    TensorFlow then uses oneDNN, too, which it leaves off on some processors: a training step takes
    0.7 of the time there (docs/performance.md). TF_ENABLE_ONEDNN_OPTS=0 leaves it off.
    """
    libraries.require("tensorflow")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "--verbose" in sys.argv[1:]:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    real_stderr = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(real_stderr, aside.read())
            raise
        finally:
            os.dup2(real_stderr, 2)
            os.close(real_stderr)
