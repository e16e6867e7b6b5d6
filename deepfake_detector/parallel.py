"""Shares work out to processes, here or on a cluster, and loses nothing when one of them dies.

Any `concurrent.futures.Executor` does: `run_on` gives it items and hands back results as they
come; `run_in_processes` runs on fresh process pools of this machine, `run_on_cluster` on the
workers of a Dask scheduler.
"""

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
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import cv2

from deepfake_detector.console import (
    UserError,
)

# A job watches the clock itself; only one that hangs in a decoder runs on for so much longer.
GRACE_SEC = 5.0


def run_in_processes(
    job: Callable[[Any], Any],
    items: Iterable[Any],
    record: Callable[[Any], None],
    record_death: Callable[[Any, float], None],
    workers: int,
    timeout_sec: float = math.inf,
) -> None:
    """Run `job(item)` in worker processes and call `record(result)` for each as it is done.

    When a worker dies (a decoder that crashes or hangs, no memory left) the whole pool is lost. The
    items it had in hand are then done one at a time, each in a process of its own, which tells the
    culprit from the others: `record_death(item, seconds)` is called for it with the time until
    death, and a new pool goes on with the rest. A worker that is at an item for `timeout_sec` and
    some grace ends itself.
    """
    job = functools.partial(_run_or_die, job, timeout_sec + GRACE_SEC)
    waiting = iter(items)
    while True:
        with new_pool(workers) as pool:
            lost = run_on(pool, job, waiting, record, ahead=4 * workers)
        if not lost:
            return
        for item in lost:
            started = time.perf_counter()
            with new_pool(1) as pool:
                if run_on(pool, job, iter([item]), record, ahead=1):
                    record_death(item, time.perf_counter() - started)


def _run_or_die(job: Callable[[Any], Any], timeout_sec: float, item: Any) -> Any:
    """Run the job; end this process, decoder and all, if it is not done in time."""
    if math.isinf(timeout_sec):
        return job(item)
    with Path(os.devnull).open("w") as nowhere:
        # A thread in C that needs nothing from Python, which a hanging decoder may be holding.
        faulthandler.dump_traceback_later(timeout_sec, exit=True, file=nowhere)
        try:
            return job(item)
        finally:
            faulthandler.cancel_dump_traceback_later()


def new_pool(workers: int) -> ProcessPoolExecutor:
    # Spawn: OpenCV's threads and locks do not survive a fork.
    return ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)


def _start_worker() -> None:
    # The workers share the cores already; threads of OpenCV's own would only fight over them.
    cv2.setNumThreads(0)
    # Ctrl-C reaches every process of a terminal: the main one stops the run, a worker finishes what
    # it has begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Each worker holds both ends of the queue it reads from, so it would wait there for ever when
    # the main process is killed.
    threading.Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    parent_process().join()
    os._exit(1)


def run_on_cluster(
    job: Callable[[Any], Any],
    items: Iterable[Any],
    record: Callable[[Any], None],
    record_death: Callable[[Any, float], None],
    scheduler: str,
) -> None:
    """Run `job(item)` on the workers of the Dask scheduler at that address, as above.

    Dask itself gives the items of a worker that dies to others, and gives one up that took several
    workers with it. Raises UserError without Dask, without a scheduler, or with workers that
    cannot import our modules.
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
        raise UserError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    with client:
        workers = _check_workers(client, scheduler)
        run_on(
            # Not pure: an item is done again in a later run, whatever was done before.
            _Sealed(client.get_executor(pure=False)),
            functools.partial(_run_single_threaded, job),
            iter(items),
            record,
            ahead=4 * workers,
            fatal=KilledWorker,
            record_death=record_death,
        )


class _Sealed(Executor):
    """Sends jobs through a Dask scheduler that cannot import what they are made of.

    A scheduler opens what it passes on, and so would need our modules as the workers do.
    """

    def __init__(self, executor: Executor):
        self._executor = executor

    def submit(self, job: Callable[[Any], Any], item: Any) -> Future:
        def unseal(sealed: bytes) -> Any:  # a function within a function travels as code
            import pickle

            job, item = pickle.loads(sealed)
            return job(item)

        return self._executor.submit(unseal, pickle.dumps((job, item)))

    def shutdown(self, wait: bool = True) -> None:
        self._executor.shutdown(wait)


def _check_workers(client: Any, scheduler: str) -> int:
    """Return the number of workers; raises UserError unless all can import this project."""

    def import_extraction() -> str:  # travels as code, see above
        import importlib

        try:
            importlib.import_module("deepfake_detector.faces.extraction")
        except ImportError as error:
            return str(error)
        return ""

    found = client.run(import_extraction)
    if not found:
        raise UserError(f"the Dask scheduler at {scheduler} has no workers; start some")
    problems = [f"{worker}: {problem}" for worker, problem in sorted(found.items()) if problem]
    if problems:
        raise UserError(
            f"the Dask worker {problems[0]}; start the workers with this project's requirements "
            f"installed and PYTHONPATH={Path(__file__).parents[1]}"
        )
    return sum(client.nthreads().values())


def _run_single_threaded(job: Callable[[Any], Any], item: Any) -> Any:
    cv2.setNumThreads(0)
    return job(item)


def run_on(
    executor: Executor,
    job: Callable[[Any], Any],
    waiting: Iterator[Any],
    record: Callable[[Any], None],
    ahead: int,
    fatal: type[Exception] | tuple = (),
    record_death: Callable[[Any, float], None] | None = None,
) -> list[Any]:
    """Give each item to the executor and each result to `record`, in the order they are done.

    At most `ahead` items are handed over at a time. Returns the items that were lost because the
    executor broke, or an empty list when all are done. An item that ends in a `fatal` exception
    goes to `record_death(item, seconds)`. After another error or Ctrl-C no further ones are begun;
    those under way are finished and recorded, because what they wrote exists.
    """
    pending: dict[Future, Any] = {}
    started: dict[Future, float] = {}
    try:
        while True:
            for item in itertools.islice(waiting, ahead - len(pending)):
                future = _submit(executor, job, item)
                pending[future], started[future] = item, time.perf_counter()
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
    finally:
        for future in pending:
            future.cancel()
        executor.shutdown(wait=True)
        for future in pending:
            if not future.cancelled() and future.exception() is None:
                record(future.result())


def _submit(executor: Executor, job: Callable, item: Any) -> Future:
    """Submit, or return a future that has failed, so that a broken executor loses no item."""
    try:
        return executor.submit(job, item)
    except BrokenExecutor as error:
        future: Future = Future()
        future.set_exception(error)
        return future


def _is_lost(future: Future) -> bool:
    return future.cancelled() or not future.done() or future.exception() is not None


# For the slowest disks and decoders there are: an 8K video takes 10 seconds for each of its own.
TIMEOUT_START_SEC, TIMEOUT_PER_CAPTURED_SEC = 120.0, 30.0


@dataclass(frozen=True)
class Machines:
    """Where the work is done."""

    workers: int = 0  # processes; 0 does all in this one
    scheduler: str | None = None  # address of a Dask cluster, which then does it instead
    timeout_sec: float | None = None  # per video; None: long enough for any

    def __post_init__(self):
        if self.timeout_sec is not None and not self.timeout_sec > 0:
            raise UserError(f"timeout_sec is {self.timeout_sec}; it must be above 0 seconds")

    def limit_sec(self, capture_sec: float) -> float:
        if self.timeout_sec is not None:
            return self.timeout_sec
        return TIMEOUT_START_SEC + TIMEOUT_PER_CAPTURED_SEC * capture_sec


def run(
    job: Callable[[Any], Any],
    tasks: Sequence[Any],
    record: Callable[[Any], None],
    record_death: Callable[[Any, float], None],
    machines: Machines,
    limit_sec: float,
) -> None:
    """Run the job on the cluster, in processes of this machine, or in this process."""
    if machines.scheduler:
        run_on_cluster(job, tasks, record, record_death, machines.scheduler)
    elif machines.workers:
        workers = min(machines.workers, max(1, len(tasks)))
        run_in_processes(job, tasks, record, record_death, workers, limit_sec)
    else:
        for task in tasks:
            record(job(task))
