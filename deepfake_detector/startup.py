"""What comes before the imports of a script: are its packages installed, and how does it end.

Ctrl-C and SIGTERM end a script with one line and exit code 130 or 143. The process ends at once,
whatever it is doing: every file is written whole or not at all, and the same command again does
the rest. Nothing is raised, because an exception in a callback of TensorFlow is swallowed or
aborts the process. Programs that only import this package keep Python's own handling. Standard
library only.
"""

import importlib.util
import os
import shutil
import signal
import sys
from multiprocessing import active_children, parent_process, util
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]  # where the scripts are
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
# What requirements.txt installs, without TensorFlow: videos can be read without it.
PACKAGES = (
    *("av", "cv2", "filelock", "jinja2", "matplotlib"),
    *("numpy", "pebble", "rich", "scipy", "sklearn"),
)

temporary_folders: set[Path] = set()  # of this process; see files.temporary_folder


def runs_a_script() -> bool:
    """Return whether this process was started as a script of this project, and not by one."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    return main is not None and Path(main).resolve().parent == ROOT and parent_process() is None


def check_packages() -> None:
    """End with one sentence if a package is missing, or if OpenCV does not load."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        places = (ROOT / ".venv/bin/python", ROOT / ".venv/Scripts/python.exe")
        own = next(filter(Path.exists, places), None)
        advice = f"use {own}" if own else "run: pip install -r requirements.txt"
        _give_up(f"{', '.join(missing)}: not installed for {sys.executable}; {advice}")
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        _give_up(
            f"OpenCV cannot be imported: {error}; run apt-get install libgl1 libglib2.0-0, or take "
            'the OpenCV that needs neither: pip uninstall opencv-python, then pip install "opencv-'
            'python-headless>=4.11,<5"'
        )


def _give_up(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def handle_signals() -> None:
    """Let Ctrl-C and SIGTERM end this process as this file says."""
    terminal = os.dup(2)  # stderr is put aside while TensorFlow starts

    def end(number: int, frame: FrameType | None) -> None:
        for again in WORDS:
            signal.signal(again, signal.SIG_IGN)
        show_cursor = "\x1b[?25h" if os.isatty(terminal) else ""  # a progress bar hides it
        kept = "" if sys.argv[0].endswith("app.py") else "; finished work is kept"
        line = f"{show_cursor}{WORDS[signal.Signals(number)]}{kept}\n"
        os.write(terminal, line.encode())
        # Workers that start now would complain that all is gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        _end_now(128 + number)

    for number in WORDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and background shells ignore it
            signal.signal(number, end)


def _end_now(code: int) -> None:
    """End this process and those that it started, and remove its temporary folders."""
    for _ in range(2):  # a pool that has lost its workers has started others by now
        children = active_children()
        for child in children:
            child.kill()
        for child in children:
            child.join(0.5)
    # Gives back the semaphores of process pools, which Python would complain about.
    getattr(util, "_run_finalizers", lambda priority: None)(0)
    for folder in temporary_folders:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(code)
