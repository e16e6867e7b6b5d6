"""The worker: does one job at a time in a process of its own, for everybody in turn.

    worker = Worker(task)
    worker.start()
    for event in worker.run(JudgeJob(path, folder), cancelled):
        ...                          # Waiting, Progress, JudgedVideo, Drawn

A file that crashes the decoder takes that process with it and nothing else: the next job gets a new
one. A job is cancelled by ending the process, so that works at any moment.
"""

import collections
import multiprocessing
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from deepfake_detector.endings import starting_processes
from deepfake_detector.prediction.task import Task
from deepfake_detector.web_app.worker_process import Done, Event, Job, serve

LOOK_SEC = 0.2  # between two looks whether a job was cancelled
SILENCE_SEC = 60.0  # more than a model takes to load, next to the time limit of a video


class CancelledError(Exception):
    """Somebody has cancelled the job."""


class WorkerDiedError(Exception):
    """The process died at the job, or hung and was ended; the text says which."""


@dataclass(frozen=True)
class Waiting:
    """The job waits for others."""

    before: int  # how many


class Worker:
    """One process that does jobs, and the queue in front of it. All calls are safe in threads."""

    def __init__(self, task: Task):
        self._task = task
        self._silence_sec = SILENCE_SEC + task.timeout_sec
        self._context = multiprocessing.get_context("spawn")  # a fork would copy the web server
        self._turns: collections.deque[object] = collections.deque()
        self._moved = threading.Condition()
        self._stopped = False

    def start(self) -> None:
        """Start the process, which then loads the model."""
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=serve, args=(theirs, self._task), daemon=True, name="worker"
        )
        with starting_processes():
            self._process.start()
        theirs.close()

    def stop(self) -> None:
        """End the process, and every job with it."""
        self._stopped = True
        self._process.kill()
        self._process.join()
        self._connection.close()

    def run(self, job: Job, cancelled: threading.Event) -> Iterator[Event | Waiting]:
        """Do a job when its turn has come, and yield what happens.

        Raises CancelledError as soon as `cancelled` is set, and WorkerDiedError. Whoever closes the
        generator cancels the job, too.
        """
        turn = object()
        with self._moved:
            self._turns.append(turn)
        try:
            said = 0
            while (before := self._before(turn)) > 0:
                if cancelled.is_set():
                    raise CancelledError
                if before != said:
                    yield Waiting(before)
                    said = before
                with self._moved:
                    self._moved.wait(LOOK_SEC)
            yield from self._run_now(job, cancelled)
        finally:
            with self._moved:
                self._turns.remove(turn)
                self._moved.notify_all()

    def _before(self, turn: object) -> int:
        with self._moved:
            return self._turns.index(turn)

    def _run_now(self, job: Job, cancelled: threading.Event) -> Iterator[Event]:
        if not self._process.is_alive():  # it died between two jobs
            self._restart()
        finished = False
        try:
            self._connection.send(job)
            heard = time.monotonic()
            while not finished:
                if cancelled.is_set():
                    raise CancelledError
                if time.monotonic() - heard > self._silence_sec:
                    raise WorkerDiedError(f"it took more than {self._silence_sec:.0f} seconds")
                if not self._connection.poll(LOOK_SEC):
                    continue
                event, heard = self._connection.recv(), time.monotonic()
                finished = isinstance(event, Done)
                if not finished:
                    yield event
        except (EOFError, OSError) as error:
            raise WorkerDiedError(
                "the process that read it died; the file may crash the decoder"
            ) from error
        finally:
            if not finished and not self._stopped:
                self._restart()

    def _restart(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()
        self.start()
