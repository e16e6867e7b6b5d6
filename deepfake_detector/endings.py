"""How the process of a script ends before its time: Ctrl-C, SIGTERM, a standard output that fails.

    install()                              # deepfake_detector/__init__.py, above slow imports

Ctrl-C and SIGTERM end the process at once, whatever it is at, because everything is written whole
and a later run knows what is missing. No exception goes through TensorFlow, which swallows it or
aborts. What has to be done before the end is named where it begins to matter:

    with before_the_end(outputs.write_tables):   # a call
    with removed_at_the_end(folder):             # a file or folder that is of no use then
    with interrupts_raised():                    # KeyboardInterrupt, for code that unwinds quickly

A thread ends the process where none of this is done soon. None of it is done in programs that only
import this package: there Ctrl-C is a KeyboardInterrupt as ever. Standard library only.
"""

import codecs
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import active_children, util
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]  # where the scripts are
SCRIPTS = (
    "processing",
    "data_pipeline",
    "model",
    "train",
    "evaluate",
    "predict",
    "sample_data",
    "app",
)
EXIT_INTERRUPTED = 128 + signal.SIGINT  # what a shell reports for a program ended by Ctrl-C
EXIT_TERMINATED = 128 + signal.SIGTERM
STANDARD_OUTPUT = "standard output"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# An end takes this long at most after the signal: first the code is given time, then a thread acts.
UNWINDING_SEC = 2.4

_calls: list[Callable[[], Any]] = []
_leftovers: list[Path] = []
_starting_processes = threading.Lock()
_state = {name: 0 for name in ("installed", "raises", "stopping", "ending", "said", "results")}
_messages = {"stderr": 2}  # the file descriptor of messages, also while stderr is put aside


class TerminatedError(KeyboardInterrupt):
    """SIGTERM; ends a script as Ctrl-C does, with another exit code."""


def runs_a_script() -> bool:
    """Return whether this process was started as a script of this project."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    return main is not None and Path(main).resolve() in {ROOT / f"{name}.py" for name in SCRIPTS}


def install() -> None:
    """Handle signals and standard output as this file says, if a script of this project runs."""
    if _state["installed"] or not runs_a_script():
        return
    _state["installed"] = 1
    _begin_again_in_utf8()
    _open_standard_files()
    _messages["stderr"] = os.dup(2)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells in the background do
            signal.signal(number, _handle)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # Written to at once, also while the main thread is in a long call that is not Python's.
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=(read_end,), daemon=True).start()


@contextlib.contextmanager
def before_the_end(call: Callable[[], Any]) -> Iterator[None]:
    """Have `call()` done when a signal ends the process inside this block."""
    with _held(_calls, call):
        yield


@contextlib.contextmanager
def removed_at_the_end(path: Path) -> Iterator[None]:
    """Have a file or folder removed when a signal ends the process inside this block."""
    with _held(_leftovers, path):
        yield


@contextlib.contextmanager
def interrupts_raised() -> Iterator[None]:
    """Have signals raise KeyboardInterrupt inside this block, which must unwind in a second."""
    _state["raises"] += 1
    try:
        yield
    finally:
        _state["raises"] -= 1


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """Start processes inside this block: Ctrl-C does not reach them, and none is half started when
    this process ends."""
    with _starting_processes:
        mask = getattr(signal, "pthread_sigmask", None)
        if mask is None:  # Windows
            yield
            return
        before = mask(signal.SIG_BLOCK, [signal.SIGINT])  # inherited, as long as they live
        try:
            yield
        finally:
            mask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Let a Ctrl-C inside this block take effect at its end; a second one counts at once. The same
    is true of SIGTERM where it has a handler."""
    former = {number: signal.getsignal(number) for number in SIGNALS}
    former = {number: handler for number, handler in former.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        former = {}  # only the main thread is interrupted
    held: list[int] = []

    def hold(number: int, frame: Any) -> None:
        if held:
            raise KeyboardInterrupt
        held.append(number)

    for number in former:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for late in held:
            signal.raise_signal(late)


def leave(code: int, sentence: str = "") -> int:
    """End this process with `code` after an interrupt; in a program that only imports this package
    return `code`."""
    if _state["installed"]:
        _end(code)
    print(sentence or _sentence(code), file=sys.stderr)
    return code


def work_is_done() -> None:
    """Ignore further signals: all files are there, and only the interpreter has yet to end."""
    if _state["installed"]:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def note_result() -> None:
    """Remember that this process has written a file, or printed something."""
    _state["results"] = 1


def has_results() -> bool:
    """Return whether something would be lost if this process had done nothing."""
    return bool(_state["results"])


def wants_json(words: Any = None) -> bool:
    """Return whether the command line asks for a line of JSON."""
    return "--json-summary" in (sys.argv[1:] if words is None else words)


def error_line(sentence: str, code: int) -> str:
    """Return what --json-summary prints in the place of a summary."""
    return json.dumps({"error": sentence, "exit_code": code})


@contextlib.contextmanager
def _held(names: list, name: Any) -> Iterator[None]:
    names.append(name)
    try:
        yield
    finally:
        names.remove(name)


def _handle(number: int, frame: Any) -> None:
    stopping, _state["stopping"] = _state["stopping"], number
    if stopping or not _state["raises"]:
        _end(128 + number)
    raise TerminatedError if number == signal.SIGTERM else KeyboardInterrupt


def _end_in_time(read_end: int) -> None:
    number = 0
    while number not in SIGNALS:
        number = os.read(read_end, 1)[0]
    threading.Event().wait(UNWINDING_SEC)
    if signal.getsignal(number) != signal.SIG_IGN:
        _end(128 + number)


def _sentence(code: int) -> str:
    word = "terminated" if code == EXIT_TERMINATED else "interrupted"
    return f"{word}: what was finished until now is kept"


def _end(code: int) -> NoReturn:
    """Do what has to be done before the end, and end this process and those that it started."""
    again, _state["ending"] = _state["ending"], 1
    # Threads that miss what is taken away below have nothing to say.
    threading.excepthook = lambda error: None
    try:
        if not again:
            _do_calls()
        _say_the_end(code)
        _starting_processes.acquire(timeout=0.5)
        children = active_children()
        for process in children:
            process.kill()
        for process in children:  # until they write no more
            process.join(0.2)
        # Gives back the semaphores of process pools, whose tracker would complain otherwise.
        getattr(util, "_run_finalizers", lambda priority: None)(0)
        for path in [*_leftovers, *_generated_sources()]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    finally:
        os._exit(code)


def _generated_sources() -> list[Path]:
    """Return the sources that TensorFlow has written into the temporary folder, and would remove
    itself if the interpreter ended as it usually does."""
    generated = [name for name in list(sys.modules) if name.startswith("__autograph_generated_")]
    paths = [getattr(sys.modules[name], "__file__", None) for name in generated]
    return [Path(path) for path in paths if path]


def _do_calls() -> None:
    for call in reversed(_calls):
        try:
            call()
        except Exception as error:  # whatever it is, the process ends
            _write(_messages["stderr"], f"error: {error}\n")
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # full, busy or closed
        sys.stdout.flush()


def _say_the_end(code: int) -> None:
    said, _state["said"] = _state["said"], 1
    if said:
        return
    _write(_messages["stderr"], _sentence(code) + "\n")
    if os.isatty(1):
        _write(1, "\x1b[?25h")  # a progress bar has hidden the cursor
    if wants_json():
        _write(1, error_line(_sentence(code), code) + "\n")


def _write(file: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(file, text.encode(errors="backslashreplace"))


# Standard output


def _begin_again_in_utf8() -> None:
    """Where file names are ASCII to Python (LC_ALL=C with PYTHONUTF8=0), start this script again
    with UTF-8: it could not name folders as videos are called. What is printed stays ASCII."""
    is_ascii = codecs.lookup(sys.getfilesystemencoding()).name == "ascii"
    if is_ascii and os.environ.get("PYTHONUTF8") != "1":
        os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii:backslashreplace"}
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


class _StandardOutput(io.FileIO):
    """Standard output that names itself in its errors."""

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from None
        note_result()
        return written


def _open_standard_files() -> None:
    """Send what is printed to a closed file to nowhere, let no other file get its number, and have
    whatever fails to be printed say so."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: PTH123, SIM115
    former = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_StandardOutput(1, "w", closefd=False)),
        encoding=former.encoding if former else None,
        errors="backslashreplace",  # a name that a terminal cannot show stops no work
        line_buffering=former.line_buffering if isinstance(former, io.TextIOWrapper) else False,
        write_through=former.write_through if isinstance(former, io.TextIOWrapper) else False,
    )
