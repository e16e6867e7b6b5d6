"""What all scripts print in the same way: errors, progress bars, tables.

`command` wraps a script's `main`, whose arguments `ArgumentParser` reads. `UserError` carries one
clear sentence to the user, `progress` shows a bar on a terminal and stays silent in a log file,
`quiet_tensorflow` keeps TensorFlow's start-up messages off the screen.
"""

import argparse
import contextlib
import functools
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, TextIO

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

from deepfake_detector import __version__, endings, libraries
from deepfake_detector.endings import EXIT_INTERRUPTED, STANDARD_OUTPUT

# What all scripts end with, next to EXIT_INTERRUPTED and EXIT_TERMINATED (docs/troubleshooting.md).
EXIT_INCOMPLETE = 1  # done, except for some videos or files
EXIT_USAGE = 2  # nothing was done
EXIT_BROKEN_PIPE = 141  # what a shell reports for a program that wrote to a closed pipe


class UserError(Exception):
    """Something the user can put right: what was found, where, and what to do about it."""

    exit_code = EXIT_USAGE

    @property
    def sentence(self) -> str:
        """What a command prints."""
        return str(self)


class ArgumentError(UserError):
    """An argument out of its range. Python's message has the name of the argument, and that of a
    command the option, by default of the same name."""

    def __init__(self, name: str, value: object, rule: str, option: str = ""):
        # Quotes around a text show where it is empty.
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        super().__init__(f"{name} is {shown}; it must be {rule}")
        self.name = name
        self.option = option or f"--{name.replace('_', '-')}"

    @property
    def sentence(self) -> str:
        return self.option + str(self).removeprefix(self.name)


class IncompleteError(UserError):
    """Work that was done, but for what the sentence names."""

    exit_code = EXIT_INCOMPLETE


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Return `main` with every error of the user's turned into one line on stderr, with
    --json-summary also one on stdout, and into its exit code."""

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None) -> int:
        try:
            code = main(argv)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where an error still has a sentence
            endings.work_is_done()
            return code
        except UserError as error:
            return _report(error.sentence, error.exit_code, argv)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and error.filename in {None, STANDARD_OUTPUT}:
                _print_to_nowhere()  # the reader of our output (head, less) has seen enough
                return EXIT_BROKEN_PIPE
            # Errors without a better sentence of their own: a full disk, a read-only folder.
            sentence, code = f"{error.filename or 'a file'}: {reason_of(error)}", EXIT_USAGE
            if error.filename == STANDARD_OUTPUT:
                code = EXIT_INCOMPLETE if endings.has_results() else EXIT_USAGE
                _print_to_nowhere()
            return _report(sentence, code, argv)
        except KeyboardInterrupt as interrupt:
            terminated = isinstance(interrupt, endings.TerminatedError)
            return endings.leave(endings.EXIT_TERMINATED if terminated else EXIT_INTERRUPTED)

    return wrapped


def _report(sentence: str, code: int, argv: Sequence[str] | None) -> int:
    """Print an error for the user, and with --json-summary for programs; return its exit code."""
    with contextlib.suppress(OSError):
        say(f"error: {sentence}", sys.stderr)
        if endings.wants_json(argv):
            print(endings.error_line(sentence, code), flush=True)
    return code


def _print_to_nowhere() -> None:
    """Let what is still to be printed not fail again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class ArgumentParser(argparse.ArgumentParser):
    """The parser of a script, whose --help begins with the `description` as it is. Wrong arguments
    are a line of JSON, too, where that is asked for."""

    def __init__(self, description: str | None):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self._words: Sequence[str] | None = None
        version = f"deepfake-detector {__version__}"
        self.add_argument("--version", action="version", version=version, help="print the version")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = args
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise SystemExit(_report(message, EXIT_USAGE, self._words))


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


def add_output_arguments(
    parser: argparse.ArgumentParser, verbose: str = "", overwrite: str = ""
) -> None:
    """Add --json-summary, --verbose where there is something that it shows, and --overwrite where
    there are files that it replaces."""
    add = parser.add_argument_group("output").add_argument
    if overwrite:
        add("--overwrite", action="store_true", help=f"also replace {overwrite}")
    add("--json-summary", action="store_true", help="end with one line of JSON, for programs")
    if verbose:
        add("--verbose", action="store_true", help=f"also show {verbose}")


def printable(text: str) -> str:
    """Return text that fits in one line of a terminal: no line breaks, no control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 video", "2 videos", "1,000 videos"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def reason_of(error: OSError) -> str:
    """Return what the system says, without its number and without a path."""
    return error.strerror or str(error)


def shortened(text: str, length: int = 200) -> str:
    """Return a text in one line, cut between words where it is longer than that."""
    return textwrap.shorten(text, length, placeholder=" ...")


def say(text: str, file: TextIO | None = None) -> None:
    """Print one line, with any file name in it, on a terminal of any encoding."""
    file = sys.stdout if file is None else file
    if file is None:  # it was closed before this process began
        return
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
    with _aside() as aside:
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


def _aside() -> IO[bytes]:
    """Return a file for messages; where there is no room for one, what comes in is lost."""
    try:
        return tempfile.TemporaryFile()  # noqa: SIM115  the caller closes it
    except OSError:
        return Path(os.devnull).open("w+b")
