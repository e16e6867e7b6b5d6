"""Runs tasks in worker processes, here or on a Dask cluster; a worker that dies costs only its
task.

    for task, outcome in run_tasks(job, tasks, Machines(workers=8), limit_sec=270):
        ...                              # job(task), or Lost if it took its process with it

The results come in the order in which the tasks end. Processes are those of pebble, which has time
limits and survives the death of a worker (https://pebble.readthedocs.io).
"""

import contextlib
import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import (
    connection,
    current_process,
    get_context,
    parent_process,
    resource_tracker,
)
from typing import Any, NamedTuple

import cv2
from pebble import ProcessExpired, ProcessPool

from deepfake_detector.console import ArgumentError, UserError, shortened

# The default time limit is long enough for the slowest disks and decoders: an 8K video takes 10
# seconds for each of its own.
TIMEOUT_START_SEC, TIMEOUT_PER_CAPTURED_SEC = 120.0, 30.0
TIMEOUT_PER_SEARCHED_SEC = 5.0  # for seconds in which a face is only searched for
# A job watches the clock itself; only one that hangs in a decoder runs on for this much longer.
GRACE_SEC = 5.0

Job = Callable[[Any], Any]
Submit = Callable[[Any], Future]


class Lost(NamedTuple):
    """The outcome of a task whose process died, or was ended since it took too long."""

    is_too_slow: bool
    seconds: float


@dataclass(frozen=True)
class Machines:
    """Where the tasks are done. Raises UserError for a time limit that cannot work."""

    workers: int = 0  # processes; 0: all in this one
    scheduler: str | None = None  # address of a Dask cluster, which then does it instead
    timeout_sec: float | None = None  # per video; None: long enough for any

    def __post_init__(self) -> None:
        if self.workers and getattr(current_process(), "_inheriting", False):
            os._exit(1)  # a worker that runs its script again; the main process says so
        if self.timeout_sec is not None and not self.timeout_sec > 0:
            raise ArgumentError("timeout_sec", self.timeout_sec, "a number of seconds above 0")

    def limit_sec(self, capture_sec: float, search_end_sec: float = 0.0) -> float:
        """Return the time limit of a video of which `capture_sec` seconds are read, in seconds.

        If these show no face, up to `search_end_sec` seconds are searched.
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
    machines: Machines,
    limit_sec: float,
    tick_sec: float | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield each task with `job(task)`, or with Lost, as they end.

    `limit_sec` is that of one task; `math.inf` for none. With `tick_sec`, worker processes also
    give (None, None) whenever none of them has ended for so long. Close the iterator to end all
    processes. Raises what a job raises, and UserError if the cluster cannot be used.
    """
    if machines.scheduler:
        yield from _run_on_cluster(job, tasks, machines.scheduler)
    elif machines.workers and tasks:
        workers = min(machines.workers, len(tasks))
        yield from _run_in_processes(job, tasks, workers, limit_sec, tick_sec)
    else:
        for task in tasks:
            yield task, job(task)


def _run_in_processes(
    job: Job, tasks: Sequence[Any], workers: int, limit_sec: float, tick_sec: float | None
) -> Iterator[tuple[Any, Any]]:
    pool = start_pool(workers)
    timeout_sec = limit_sec + GRACE_SEC if limit_sec < float("inf") else None
    try:
        yield from _yield_as_done(
            lambda task: pool.schedule(job, args=[task], timeout=timeout_sec),
            tasks,
            2 * workers,
            tick_sec=tick_sec,
        )
    except BrokenProcessPool:
        raise UserError(
            "the worker processes end as they start; if a script of yours calls this, put the call "
            'below the line  if __name__ == "__main__":  or leave out workers'
        ) from None
    finally:
        pool.stop()
        pool.join()


def start_pool(workers: int, prepare: Callable[[], object] | None = None) -> ProcessPool:
    """Return a pool of processes, which have begun to start; each calls `prepare` first."""
    # Spawn: OpenCV's threads and locks do not survive a fork.
    context = get_context("spawn")
    pool = ProcessPool(workers, initializer=_start_worker, initargs=[prepare], context=context)
    with _interrupts_blocked():  # also in the processes, which inherit this
        pool.active  # noqa: B018  starts them
    return pool


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C, which reaches every process of a terminal, to the main one: it ends them."""
    mask = getattr(signal, "pthread_sigmask", None)
    if mask is None:  # Windows
        yield
        return
    # Python's tracker of semaphores lets interrupts through again when it starts.
    resource_tracker.ensure_running()
    before = mask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        mask(signal.SIG_SETMASK, before)


def _start_worker(prepare: Callable[[], object] | None) -> None:
    # The workers share the cores already; threads of OpenCV's own would only fight over them.
    cv2.setNumThreads(0)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_the_run() -> None:
    """End this process when the one that started it is gone, however it ended."""
    main = parent_process()
    if main is not None:
        connection.wait([main.sentinel])
        os._exit(1)


def _yield_as_done(
    submit: Submit,
    tasks: Sequence[Any],
    ahead: int,
    fatal: tuple[type[Exception], ...] = (),
    tick_sec: float | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Submit at most `ahead` tasks at a time, and yield each with its outcome as it ends."""
    waiting = iter(tasks)
    deaths: tuple[type[BaseException], ...] = (ProcessExpired, *fatal)
    pending: dict[Future, tuple[Any, float]] = {}
    while True:
        for task in itertools.islice(waiting, ahead - len(pending)):
            pending[submit(task)] = task, time.perf_counter()
        if not pending:
            return
        done = wait(pending, timeout=tick_sec, return_when=FIRST_COMPLETED).done
        if not done:
            yield None, None
        for future in done:
            task, started = pending.pop(future)
            seconds = time.perf_counter() - started
            try:
                outcome = future.result()
            except TimeoutError:
                outcome = Lost(True, seconds)
            except deaths:
                outcome = Lost(False, seconds)
            yield task, outcome


def _run_on_cluster(job: Job, tasks: Sequence[Any], scheduler: str) -> Iterator[tuple[Any, Any]]:
    """Run the tasks on the workers of the Dask scheduler at an address.

    Dask gives the tasks of a dead worker to others, and gives up one that killed several.
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
    with client:
        _check_cluster(client, job, scheduler)
        # Not pure: a task is done again in a later run, whatever was done before.
        executor = client.get_executor(pure=False)
        ahead = 4 * sum(client.nthreads().values())
        yield from _yield_as_done(
            lambda task: executor.submit(_run_single_threaded, job, task),
            tasks,
            ahead,
            fatal=(KilledWorker,),
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
