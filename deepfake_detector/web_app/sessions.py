"""What the page keeps for each visitor: their results and files, until they have left.

    sessions = Sessions(folder)
    session = sessions.of(session_hash)
    session.add(Result("holiday.mp4", judged, folder))
    sessions.left(session_hash)             # the tab was closed
    sessions.remove_old()

Results are found by the token of their session, which nobody can guess, and by a number; no path
ever comes from a request.
"""

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from deepfake_detector.prediction.verdicts import JudgedVideo, Rule, judge

KEPT_RESULTS = 50  # of one session; older ones go
KEPT_SEC = 300.0  # after a tab was closed, or a telephone has fallen asleep


@dataclass
class Result:
    """One video that was judged, and the files that belong to it."""

    number: int  # from 1, in the order of the session
    name: str  # as the visitor knows it
    judged: JudgedVideo
    folder: Path
    copy: Path | None = None  # with what was seen drawn in
    copy_threshold: float = 0.0  # of the verdict in it
    copy_note: str = ""  # what is missing in the copy, or why there is none
    maps: dict[tuple[int, int], bytes] = field(default_factory=dict)  # by face and moment
    chosen: tuple[int, int] | None = None  # the moment that is shown large

    def apply(self, rule: Rule) -> bool:
        """Judge by another rule, of the same scores; return whether the verdict is another one."""
        before, judged = self.judged.verdict, self.judged
        rule = replace(rule, windows=judged.rule.windows, window_sec=judged.rule.window_sec)
        self.judged = judge(
            judged.path, judged.found, judged.faces, rule, judged.seconds, judged.model
        )
        return self.judged.verdict != before


class Session:
    """One visitor: a tab of a browser."""

    def __init__(self, folder: Path):
        self.token = secrets.token_urlsafe(24)
        self.folder = folder / self.token
        self.folder.mkdir()
        self._cancelled: list[threading.Event] = []  # of what runs now
        self.results: list[Result] = []
        self.left_at: float | None = None
        self.operating_point = ""  # that was chosen; empty: the model's own
        self._numbers = 0

    @contextlib.contextmanager
    def working(self) -> Iterator[threading.Event]:
        """Yield what is set when the visitor cancels all that runs for them."""
        cancelled = threading.Event()
        self._cancelled.append(cancelled)
        try:
            yield cancelled
        finally:
            self._cancelled.remove(cancelled)

    def cancel(self) -> None:
        """Cancel all that runs for the visitor; what they begin later is not."""
        for cancelled in list(self._cancelled):
            cancelled.set()

    def take(self, upload: Path) -> tuple[int, Path]:
        """Return the number of the next result, and a file that was uploaded for it.

        It is a link of our own: the same video of two visitors is one file to the server.
        """
        self._numbers += 1
        taken = self.folder_of(self._numbers) / "upload" / upload.name
        taken.parent.mkdir(parents=True)
        try:
            os.link(upload, taken)
        except OSError:  # other file systems have no links
            shutil.copyfile(upload, taken)
        return self._numbers, taken

    def folder_of(self, number: int) -> Path:
        """Return the folder of the files of a result."""
        return self.folder / str(number)

    def add(self, result: Result) -> None:
        """Keep a result; the oldest one goes where there are too many."""
        self.results.append(result)
        for old in self.results[:-KEPT_RESULTS]:
            shutil.rmtree(old.folder, ignore_errors=True)
        del self.results[:-KEPT_RESULTS]

    def result(self, number: int | None) -> Result | None:
        """Return the result of that number, None where there is none."""
        return next((result for result in self.results if result.number == number), None)


class Sessions:
    """All visitors. All calls are safe in threads."""

    def __init__(self, folder: Path, kept_sec: float = KEPT_SEC):
        self._folder, self._kept_sec = folder, kept_sec
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def of(self, session_hash: str) -> Session:
        """Return the session of a tab; a new one where it has none."""
        with self._lock:
            session = self._sessions.get(session_hash)
            if session is None:
                session = self._sessions[session_hash] = Session(self._folder)
            session.left_at = None
            return session

    def by_token(self, token: str) -> Session | None:
        """Return the session with that token, None where there is none."""
        with self._lock:
            return next((s for s in self._sessions.values() if s.token == token), None)

    def left(self, session_hash: str) -> None:
        """Cancel what runs for a tab that was closed; its files go a little later."""
        with self._lock:
            session = self._sessions.get(session_hash)
            if session is not None:
                session.cancel()
                session.left_at = time.monotonic()

    def remove_old(self) -> None:
        """Remove the sessions of tabs that were closed a while ago, with their files."""
        with self._lock:
            now = time.monotonic()
            old = [
                key
                for key, session in self._sessions.items()
                if session.left_at is not None and now - session.left_at >= self._kept_sec
            ]
            for key in old:
                shutil.rmtree(self._sessions.pop(key).folder, ignore_errors=True)
