"""What all scripts print in the same way: errors, progress bars, tables.

`command` wraps a script's `main`, whose arguments `ArgumentParser` reads. `UserError` carries one
clear sentence to the user, `progress` shows a bar on a terminal and stays silent in a log file,
`quiet_tensorflow` keeps TensorFlow's start-up messages off the screen.
"""

import argparse
import contextlib
import functools
import importlib.util
import io
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields
from typing import Any, Literal, TextIO, get_args, get_type_hints

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

from deepfake_detector import __version__

# Exit codes of all scripts, next to those of signals.py.
EXIT_INCOMPLETE = 1  # done, except for some videos
EXIT_USAGE = 2  # nothing was done
EXIT_BROKEN_PIPE = 141  # what a shell reports for a program that wrote to a closed pipe


class UserError(Exception):
    """Something the user can put right: what was found, where, and what to do about it."""

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
        self.option = option or option_of(name)

    @property
    def sentence(self) -> str:
        return self.option + str(self).removeprefix(self.name)


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Return `main` with each of the user's errors turned into one line on stderr and an exit
    code."""

    @functools.wraps(main)
    def wrapped(argv: Sequence[str] | None = None) -> int:
        try:
            code = main(argv)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where an error still has a sentence
            return code
        except UserError as error:
            say(f"error: {error.sentence}", sys.stderr)
        except BrokenPipeError:  # the reader of our output (head, less) has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return EXIT_BROKEN_PIPE
        except OSError as error:  # without a better sentence: a full disk, a read-only folder
            say(f"error: {error.filename or 'a file'}: {reason_of(error)}", sys.stderr)
        return EXIT_USAGE

    return wrapped


class ArgumentParser(argparse.ArgumentParser):
    """The parser of a script, whose --help begins with the `description` as it is."""

    def __init__(self, description: str | None):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        version = f"deepfake-detector {__version__}"
        self.add_argument("--version", action="version", version=version, help="print the version")

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"error: {message}\n")


def add_output_arguments(
    parser: argparse.ArgumentParser, verbose: str = "", overwrite: str = ""
) -> None:
    """Add --json-summary, --verbose if there is something that it shows, and --overwrite if there
    are files that it replaces."""
    add = parser.add_argument_group("output").add_argument
    if overwrite:
        add("--overwrite", action="store_true", help=f"also replace {overwrite}")
    add("--json-summary", action="store_true", help="end with one line of JSON, for programs")
    if verbose:
        add("--verbose", action="store_true", help=f"also show {verbose}")


def option_of(name: str) -> str:
    """Return the option of an argument: "--capture-sec" for "capture_sec"."""
    return f"--{name.replace('_', '-')}"


def setting(default: Any, text: str, **argument: Any) -> Any:
    """Return a dataclass field that is also an option: its default, its help, and further arguments
    of `add_argument`; `option` if it is not called like the field."""
    return field(default=default, metadata={"help": text, **argument})


def add_settings(parser: argparse._ActionsContainer, settings: type) -> None:
    """Add an option for each `setting` of a dataclass. The help ends with the default."""
    types = get_type_hints(settings)
    for each in fields(settings):
        argument = dict(each.metadata)
        if "help" not in argument:
            continue
        option = argument.pop("option", option_of(each.name))
        kind = next(iter(get_args(types[each.name])), types[each.name])  # float of float | None
        if kind is bool:
            argument["action"] = "store_true"
        else:
            argument.setdefault("type", kind)
            if "(" not in argument["help"]:
                argument["help"] += " (%(default)s)"
            if "choices" not in argument:
                argument.setdefault("metavar", "N" if kind in (int, float) else None)
        parser.add_argument(option, dest=each.name, default=each.default, **argument)


def settings_from(args: argparse.Namespace | Mapping, settings: type) -> Any:
    """Return the dataclass with the values that `args` has for it."""
    values = args if isinstance(args, Mapping) else vars(args)
    return settings(**{each.name: values[each.name] for each in fields(settings)
                       if each.name in values})  # fmt: skip


def require(*packages: str, file: str = "requirements.txt") -> None:
    """Raise UserError if one of these packages, which `file` lists, is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{', '.join(missing)}: not installed for {sys.executable}; run: pip install -r {file}"
        )


@contextlib.contextmanager
def progress(total: int, description: str, unit: str) -> Iterator[Callable[..., None]]:
    """Yield `advance(n=1, note="")`, which advances a bar of `total` units.

    There is no bar if stdout is not a terminal (a log file, CI). `note` is free text behind the
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


def printable(text: str) -> str:
    """Return text that fits in one line of a terminal: no line breaks, no control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 video", "2 videos", "1,000 videos"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def notes_on(examples: Sequence[object], what: str, noun: str = "video") -> list[str]:
    """Return a note on how many things there are of a kind, with the first one; none for none."""
    count = counted(len(examples), noun)
    return [f"note: {count} {what}, such as {examples[0]}"] if examples else []


def reason_of(error: OSError) -> str:
    """Return what the system says, without its number and without a path."""
    return error.strerror or str(error)


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line; OpenCV's have line breaks."""
    return " ".join(str(error).split()) or repr(error)


def shortened(text: str, length: int = 200) -> str:
    """Return a text in one line, cut between words if it is longer than that."""
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


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Print nothing inside this."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def print_table(title: str, rows: Sequence[Sequence[str]], heads: Sequence[str] = ()) -> None:
    """Print columns as wide as their text; the first one names the rows."""
    table = Table(show_header=bool(heads))
    for number, head in enumerate(heads or [""] * max(map(len, rows), default=0)):
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(head, justify=justify, no_wrap=not number, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as they are: a path may hold brackets
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
    TF_CPP_MIN_LOG_LEVEL, shows the notes.

    TensorFlow then uses oneDNN, too, which it leaves off on some processors: a training step takes
    0.7 of the time there (docs/performance.md). TF_ENABLE_ONEDNN_OPTS=0 leaves it off.
    """
    require("tensorflow")
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
