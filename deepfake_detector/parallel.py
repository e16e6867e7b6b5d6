"""Shares tasks out to processes, here or on a cluster, and loses nothing when one of them dies.

    run_tasks(job, tasks, record, record_death, Machines(workers=8), limit_sec=270)

calls `job(task)` for each task somewhere and `record(result)` here, in the order in which tasks
end. For a task that took its process with it, it calls `record_death(task, seconds)` instead.
Below that any `concurrent.futures.Executor` does the work: process pools of this machine, or the
workers of a Dask scheduler.
"""

import contextlib
import faulthandler
import functools
import itertools
import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2

from deepfake_detector.console import ArgumentError, UserError, shortened
from deepfake_detector.endings import interrupts_held, starting_processes

# The default time limit is long enough for the slowest disks and decoders: an 8K video takes 10
# seconds for each of its own.
TIMEOUT_START_SEC, TIMEOUT_PER_CAPTURED_SEC = 120.0, 30.0
TIMEOUT_PER_SEARCHED_SEC = 5.0  # for seconds in which a face is only searched for
# A job watches the clock itself; only one that hangs in a decoder runs on for this much longer.
GRACE_SEC = 5.0
INTERRUPT_GRACE_SEC = 0.7  # for the tasks that are under way at a Ctrl-C

Job = Callable[[Any], Any]
Record = Callable[[Any], None]
RecordDeath = Callable[[Any, float], None]


@dataclass(frozen=True)
class Machines:
    """Where the tasks are done. Raises UserError for a time limit that cannot work."""

    workers: int = 0  # processes; 0: all in this one
    scheduler: str | None = None  # address of a Dask cluster, which then does it instead
    timeout_sec: float | None = None  # per video; None: long enough for any

    def __post_init__(self) -> None:
        if self.timeout_sec is not None and not self.timeout_sec > 0:
            raise ArgumentError("timeout_sec", self.timeout_sec, "a number of seconds above 0")

    def limit_sec(self, capture_sec: float, search_end_sec: float = 0.0) -> float:
        """Return the time limit of a video of which `capture_sec` seconds are read, in seconds.

        Where these show no face, up to `search_end_sec` seconds are looked at.
        """
        if self.timeout_sec is not None:
            return self.timeout_sec
        searched_sec = max(0.0, search_end_sec - capture_sec)
        return (
            TIMEOUT_START_SEC
            + TIMEOUT_PER_CAPTURED_SEC * capture_sec
            + TIMEOUT_PER_SEARCHED_SEC * searched_sec
        )


def run_tasks(
    job: Job,
    tasks: Sequence[Any],
    record: Record,
    record_death: RecordDeath,
    machines: Machines,
    limit_sec: float,
) -> None:
    """Run the job for all tasks: on the cluster, in processes of this machine, or right here.

    After Ctrl-C no further task begins; those under way have a moment to end, and are recorded,
    because what they wrote exists.
    """
    if machines.scheduler:
        run_on_cluster(job, tasks, record, record_death, machines.scheduler)
    elif machines.workers:
        workers = min(machines.workers, max(1, len(tasks)))
        run_in_processes(job, tasks, record, record_death, workers, limit_sec)
    else:
        for task in tasks:
            with interrupts_held():
                record(job(task))


# Processes of this machine


def run_in_processes(
    job: Job,
    tasks: Iterable[Any],
    record: Record,
    record_death: RecordDeath,
    workers: int,
    timeout_sec: float = math.inf,
    stop: "Stop | None" = None,
) -> None:
    """Run the job for all tasks in `workers` new processes.

    When one of them dies (a decoder that crashes or hangs, no memory left) the whole pool is lost.
    The tasks that were under way are then done one at a time, each in a process of its own. The
    one that kills its process again goes to `record_death`, with the seconds until then, and a new
    pool continues with the rest. A process that is at one task for `timeout_sec` and GRACE_SEC
    ends itself. With `stop` another thread can end all of them at once.
    """
    job = functools.partial(_run_or_die, job, timeout_sec + GRACE_SEC)
    waiting, stop = iter(tasks), stop or Stop()
    while not stop.is_asked():
        with _new_pool(workers, stop) as pool:
            lost = run_on_executor(pool, job, waiting, record, record_death, ahead=4 * workers)
        if not lost:
            return
        for task in lost:
            started = time.perf_counter()
            with _new_pool(1, stop) as pool:
                lost_again = run_on_executor(pool, job, iter([task]), record, record_death, ahead=1)
            if stop.is_asked():
                return
            if lost_again:
                record_death(task, time.perf_counter() - started)


def _run_or_die(job: Job, timeout_sec: float, task: Any) -> Any:
    """Run the job; end this process, decoder and all, if it is not done in time."""
    if math.isinf(timeout_sec):
        return job(task)
    with Path(os.devnull).open("w") as nowhere:
        # A thread in C that needs nothing from Python, which a hanging decoder may be holding.
        faulthandler.dump_traceback_later(timeout_sec, exit=True, file=nowhere)
        try:
            return job(task)
        finally:
            faulthandler.cancel_dump_traceback_later()


class _Pool(ProcessPoolExecutor):
    """Processes that end when `end_now` is called, and when this process ends, however it does."""

    def __init__(self, workers: int):
        # Spawn: OpenCV's threads and locks do not survive a fork.
        context = get_context("spawn")
        receiver, self._lifeline = context.Pipe(duplex=False)
        super().__init__(workers, context, _start_worker, (receiver,))

    def end_now(self) -> None:
        self._lifeline.close()


class Stop:
    """Ends the processes of a run that nobody waits for any more."""

    def __init__(self) -> None:
        self._asked = False
        self._pools: list[_Pool] = []

    def is_asked(self) -> bool:
        return self._asked

    def now(self) -> None:
        self._asked = True
        for pool in self._pools:
            pool.end_now()

    def also_ends(self, pool: _Pool) -> _Pool:
        self._pools.append(pool)
        if self._asked:
            pool.end_now()
        return pool


def _new_pool(workers: int, stop: Stop) -> _Pool:
    return stop.also_ends(_Pool(workers))


def _start_worker(lifeline: Connection) -> None:
    # The workers share the cores already; threads of OpenCV's own would only fight over them.
    cv2.setNumThreads(0)
    # Ctrl-C reaches every process of a terminal: the main one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Each worker holds both ends of the queue it reads from, so it would wait there for ever when
    # the main process is killed.
    threading.Thread(target=_end_with_the_run, args=(lifeline,), daemon=True).start()


def _end_with_the_run(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()  # until the other end is closed
    os._exit(1)


# A Dask cluster


def run_on_cluster(
    job: Job,
    tasks: Iterable[Any],
    record: Record,
    record_death: RecordDeath,
    scheduler: str,
) -> None:
    """Run the job for all tasks on the workers of the Dask scheduler at an address.

    Dask gives the tasks of a dead worker to others, and gives up one that killed several. Raises
    UserError without Dask, scheduler or workers, and where these cannot import the job.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UserError(
            "--scheduler needs Dask; install it with: pip install -r requirements-dask.txt"
        ) from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Dask scheduler answers at {scheduler} ({shortened(str(error), 150)}); give the "
            "address that dask scheduler prints where it runs"
        ) from error
    job = functools.partial(_run_single_threaded, job)
    with client:
        _check_cluster(client, job, scheduler)
        run_on_executor(
            # Not pure: a task is done again in a later run, whatever was done before.
            client.get_executor(pure=False),
            job,
            iter(tasks),
            record,
            record_death,
            ahead=4 * sum(client.nthreads().values()),
            fatal=KilledWorker,
        )


def _check_cluster(client: Any, job: Job, scheduler: str) -> None:
    """Raise UserError unless there are workers, and they and the scheduler can import the job."""
    pickled = pickle.dumps(job)
    workers = client.run(pickle.loads, pickled, on_error="return")
    if not workers:
        raise UserError(f"{scheduler} has no workers; start some with: dask worker {scheduler}")
    answers = {f"worker {address}": workers[address] for address in sorted(workers)}
    try:
        client.run_on_scheduler(pickle.loads, pickled)
    except (ImportError, AttributeError) as error:
        answers["scheduler"] = error
    for place, answer in answers.items():
        if isinstance(answer, Exception):
            raise UserError(
                f"the Dask {place}: {answer}; install this project there, in its folder, with: "
                "pip install -e . -r requirements-dask.txt"
            )


def _run_single_threaded(job: Job, task: Any) -> Any:
    cv2.setNumThreads(0)
    return job(task)


# Any executor


def run_on_executor(
    executor: Executor,
    job: Job,
    waiting: Iterator[Any],
    record: Record,
    record_death: RecordDeath,
    ahead: int,
    fatal: type[Exception] | tuple[type[Exception], ...] = (),
) -> list[Any]:
    """Give each task to the executor, and each result to `record` in the order they come.

    At most `ahead` tasks are handed over at a time. Returns the tasks that were lost because the
    executor broke, or an empty list when all are done. A task that ends in a `fatal` exception
    goes to `record_death(task, seconds)`. After another error or Ctrl-C no further ones begin;
    those under way are finished and recorded.
    """
    pending: dict[Future, Any] = {}
    started: dict[Future, float] = {}
    try:
        while True:
            for task in itertools.islice(waiting, ahead - len(pending)):
                with interrupts_held():  # or a task could be under way and not be pending
                    future = _submit(executor, job, task)
                    pending[future], started[future] = task, time.perf_counter()
            if not pending:
                return []
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                try:
                    record(future.result())
                except fatal:
                    record_death(pending[future], time.perf_counter() - started[future])
                del pending[future]
    except BrokenExecutor:
        return [pending.pop(future) for future in list(pending) if _is_lost(future)]
    except KeyboardInterrupt:
        if isinstance(executor, _Pool):
            patience = threading.Timer(INTERRUPT_GRACE_SEC, executor.end_now)
            patience.daemon = True
            patience.start()
        raise
    finally:
        _begin_no_more(executor, pending)
        for future in pending:
            if not future.cancelled() and future.exception() is None:
                record(future.result())


def _begin_no_more(executor: Executor, pending: Iterable[Future]) -> None:
    """Cancel what has not begun, and wait for the rest."""
    if isinstance(executor, _Pool):
        # A future cancelled in another way would be an error in the pool when its processes end.
        executor.shutdown(wait=True, cancel_futures=True)
    else:
        for future in pending:
            future.cancel()
        executor.shutdown(wait=True)


def _submit(executor: Executor, job: Job, task: Any) -> Future:
    """Submit, or return a future that has failed, so that a broken executor loses no task."""
    try:
        with starting_processes():
            return executor.submit(job, task)
    except BrokenExecutor as error:
        future: Future = Future()
        future.set_exception(error)
        return future


def _is_lost(future: Future) -> bool:
    return future.cancelled() or not future.done() or future.exception() is not None
