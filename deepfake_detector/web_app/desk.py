"""What happens for a visitor of the page: files in, statuses and results out. No Gradio.

    desk = Desk(tasks, worker, folder)
    session = desk.sessions.of(session_hash)
    for status in desk.judge(session, [Path("holiday.mp4")], whole=False):
        ...                                   # Status(words, share), for the bar
    desk.section(session, session.results[-1])     # HTML

The scores are those of predict.py: the worker does what `predict.judge_videos` does.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deepfake_detector.console import counted
from deepfake_detector.prediction.task import Task
from deepfake_detector.prediction.verdicts import JudgedVideo, judge
from deepfake_detector.prediction.windows import VideoFaces
from deepfake_detector.results import page
from deepfake_detector.results.annotated_video import title_of
from deepfake_detector.results.outputs import csv_text, json_head
from deepfake_detector.results.video_verdict import VideoVerdict, plain_result
from deepfake_detector.web_app.sessions import Result, Session, Sessions
from deepfake_detector.web_app.worker import CancelledError, Waiting, Worker, WorkerDiedError
from deepfake_detector.web_app.worker_process import (
    Drawn,
    Event,
    Explained,
    ExplainJob,
    JudgeJob,
    Progress,
    Refused,
)

UPLOAD_SEC = 300.0  # after which an upload was taken, or given up


@dataclass(frozen=True)
class Status:
    """What is going on, for the visitor who waits."""

    words: str
    share: float | None = None  # that is done, 0..1; None where that is not known
    busy: bool = True
    news: bool = False  # the results have changed


class Desk:
    """Takes what visitors bring, and keeps what they are told.

    `tasks` has one task for each operating point of the model, which differ in nothing else.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        worker: Worker,
        folder: Path,
        longest_sec: float = 300.0,
    ):
        self.tasks = tasks
        self.sessions = Sessions(folder)
        self.uploads = folder / "uploads"
        self._worker, self._longest_sec = worker, longest_sec
        self._words = {name: page.model_words(task) for name, task in tasks.items()}

    def card_details(self) -> str:
        """Return the model card as HTML; empty where there is none."""
        card = page.card_details(next(iter(self._words.values())).card)
        return f'<div class="verdict-page">{card}</div>' if card else ""

    def judge(
        self, session: Session, paths: Sequence[Path], whole: bool = False
    ) -> Iterator[Status]:
        """Judge files that were uploaded, one after the other.

        Raises PermissionError for a path that is no upload: a request can name any.
        """
        for path in paths:
            if not path.resolve().is_relative_to(self.uploads.resolve()):
                raise PermissionError(f"{path.name} was not uploaded")
        taken = [session.take(path) for path in paths]
        verdicts, others = Counter[str](), []
        last = Status("", busy=False)
        try:
            with session.working() as cancelled:
                for order, (number, path) in enumerate(taken):
                    which = f" ({order + 1} of {len(taken)})" if len(taken) > 1 else ""
                    for last in self._judge_one(session, number, path, whole, cancelled):
                        yield replace(last, words=f"{path.name}{which}: {last.words}")
                    last = replace(last, words=f"{path.name}: {last.words}")
                    result = session.result(number)
                    if result is None:
                        others.append(last.words)
                    else:
                        verdicts[result.judged.verdict] += 1
        except CancelledError:
            yield Status("Cancelled. What was finished before is in the list.", busy=False)
            return
        finally:
            for _, path in taken:
                path.unlink(missing_ok=True)
        if len(taken) > 1:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
            words = [f"{counted(len(taken), 'file')}, verdicts: {counts or 'none'}", *others]
            last = replace(last, words=". ".join(words))
        yield replace(last, busy=False)

    def clear_away(self) -> None:
        """Remove what visitors who have left have left behind, and uploads that are taken."""
        self.sessions.remove_old()
        for path in self.uploads.rglob("*"):
            with suppress(OSError):
                if path.is_file() and time.time() - path.stat().st_mtime > UPLOAD_SEC:
                    path.unlink()

    def _judge_one(
        self, session: Session, number: int, path: Path, whole: bool, cancelled: threading.Event
    ) -> Iterator[Status]:
        folder = session.folder_of(number)
        rule = self._task(session).rule
        job, result = JudgeJob(path, folder, rule, whole, self._longest_sec), None
        try:
            for event in self._worker.run(job, cancelled):
                if isinstance(event, JudgedVideo):
                    result = Result(number, path.name, event, folder)
                    session.add(result)
                    yield Status(title_of(result.judged), 1.0, news=True)
                elif isinstance(event, Drawn) and result is not None:
                    result.copy, result.copy_note = event.path, event.note
                    result.copy_threshold = rule.threshold
                elif isinstance(event, Refused):
                    yield Status(event.sentence, busy=False)
                    return
                else:
                    yield _status_of(event)
        except WorkerDiedError as error:
            if result is None:
                judged = judge(path, VideoFaces(problem=str(error)), [], rule)
                result = Result(number, path.name, judged, folder)
                session.add(result)
            else:
                result.copy_note = str(error)
        if result is not None:
            yield Status(title_of(result.judged), 1.0, busy=False, news=True)

    def explain(self, session: Session, result: Result, face: int, moment: int) -> Iterator[Status]:
        """Find out what in a face its score rests on at a moment, unless that is known."""
        faces = result.judged.faces
        if not (0 <= face < len(faces) and 0 <= moment < len(faces[face].face.moments)):
            return
        result.chosen = (face, moment)
        if result.chosen in result.maps:
            yield Status("", busy=False, news=True)
            return
        job = ExplainJob(faces[face], moment)
        with suppress(CancelledError, WorkerDiedError), session.working() as cancelled:
            for event in self._worker.run(job, cancelled):
                if isinstance(event, Explained):
                    result.maps[face, moment] = event.picture
                elif isinstance(event, Refused):
                    yield Status(event.sentence, busy=False)
                    return
                else:
                    yield _status_of(event)
        words = "" if (face, moment) in result.maps else "There is no map of this moment."
        yield Status(words, busy=False, news=True)

    def use_point(self, session: Session, name: str) -> str:
        """Judge all results of a session at another operating point; return what changes."""
        if name not in self.tasks:
            return ""
        session.operating_point = name
        words = []
        for result in session.results:
            before = result.judged.verdict
            if result.apply(self._task(session).rule):
                words.append(f"{result.name}: {before} is now {result.judged.verdict}")
        same = len(session.results) - len(words)
        if same:
            words.append(f"{counted(same, 'verdict')} as before")
        return ". ".join(words)

    def section(self, session: Session, result: Result, maps_follow: bool = True) -> str:
        """Return what the page shows of a result, as HTML."""
        return page.verdict_section(
            result.judged,
            self._words[self._point(session)],
            name=result.name,
            prefix=f"result-{result.number}",
            maps=result.maps,
            chosen=result.chosen,
            maps_follow=maps_follow,
        )

    def page_of(self, session: Session, result: Result) -> str:
        """Return the same as a page of its own, to hand on."""
        words = self._words[self._point(session)]
        return page.page([self.section(session, result, maps_follow=False)], words, result.name)

    def csv(self, session: Session) -> str:
        """Return the results of a session as predict.py --csv writes them."""
        return csv_text([(verdict.path, verdict) for verdict in _verdicts(session)])

    def json(self, session: Session) -> str:
        """Return the results of a session as predict.py --json writes them."""
        videos = [asdict(verdict) for verdict in _verdicts(session)]
        return json.dumps({**json_head(self._task(session)), "videos": videos}, indent=1)

    def _point(self, session: Session) -> str:
        return session.operating_point or next(iter(self.tasks))

    def _task(self, session: Session) -> Task:
        return self.tasks[self._point(session)]


def _verdicts(session: Session) -> list[VideoVerdict]:
    """Return the results as plain values, under the names that the visitor knows."""
    return [replace(plain_result(result.judged), path=result.name) for result in session.results]


def _status_of(event: Event | Waiting) -> Status:
    if isinstance(event, Waiting):
        return Status(f"waiting, {counted(event.before, 'other')} before this one")
    return Status(event.words, event.share) if isinstance(event, Progress) else Status("")
