"""Shares work out to processes, and loses nothing when one of them dies.

Any `concurrent.futures.Executor` does: `run_on` gives it items and hands back results as they
come; `run_in_processes` runs on fresh process pools of this machine.
"""

import itertools
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from multiprocessing import get_context
from typing import Any

import cv2


def run_in_processes(
    job: Callable[[Any], Any],
    items: Iterable[Any],
    record: Callable[[Any], None],
    record_death: Callable[[Any], None],
    workers: int,
) -> None:
    """Run `job(item)` in worker processes and call `record(result)` for each as it is done.

    When a worker dies (a decoder that crashes, no memory left) the whole pool is lost. The items it
    had in hand are then done one at a time, each in a process of its own, which tells the culprit
    from the others: `record_death(item)` is called for it, and a new pool goes on with the rest.
    """
    waiting = iter(items)
    while True:
        with new_pool(workers) as pool:
            lost = run_on(pool, job, waiting, record, ahead=4 * workers)
        if not lost:
            return
        for item in lost:
            with new_pool(1) as pool:
                if run_on(pool, job, iter([item]), record, ahead=1):
                    record_death(item)


def new_pool(workers: int) -> ProcessPoolExecutor:
    # Spawn: OpenCV's threads and locks do not survive a fork.
    return ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)


def _start_worker() -> None:
    # The workers share the cores already; threads of OpenCV's own would only fight over them.
    cv2.setNumThreads(0)
    # Ctrl-C reaches every process of a terminal: the main one stops the run, a worker finishes what
    # it has begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_on(
    executor: Executor,
    job: Callable[[Any], Any],
    waiting: Iterator[Any],
    record: Callable[[Any], None],
    ahead: int,
) -> list[Any]:
    """Give each item to the executor and each result to `record`, in the order they are done.

    At most `ahead` items are handed over at a time. Returns the items that were lost because the
    executor broke, or an empty list when all are done. After an error or Ctrl-C no further ones
    are begun; those under way are finished and recorded, because what they wrote exists.
    """
    pending: dict[Future, Any] = {}
    try:
        while True:
            for item in itertools.islice(waiting, ahead - len(pending)):
                pending[_submit(executor, job, item)] = item
            if not pending:
                return []
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                record(future.result())
                del pending[future]
    except BrokenExecutor:
        return [pending.pop(future) for future in list(pending) if _is_lost(future)]
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
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
