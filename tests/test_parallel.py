"""Tasks in processes: one that crashes, hangs or is killed costs no other."""

import math
import os
import signal
import threading

import pytest

from deepfake_detector import parallel
from deepfake_detector.console import UserError
from deepfake_detector.parallel import Machines, run_tasks


def misbehave(task: str) -> str:
    if task == "crashes":  # as a decoder does, without an exception
        os._exit(139)
    if task == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "hangs":
        threading.Event().wait()
    if task == "raises":
        raise OSError(28, "No space left on device")
    return task.upper()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="has no such signals")
def test_tasks_that_take_their_process_with_them_are_lost_and_no_others():
    good = [f"task {number}" for number in range(12)]
    tasks = [*good[:6], "crashes", "is killed", *good[6:]]
    found = dict(run_tasks(misbehave, tasks, Machines(workers=2), math.inf))
    assert {task: found[task] for task in good} == {task: task.upper() for task in good}
    assert [found[task].is_too_slow for task in ("crashes", "is killed")] == [False, False]


@pytest.mark.slow
def test_a_task_that_hangs_is_ended_and_lost(monkeypatch):
    monkeypatch.setattr(parallel, "GRACE_SEC", 0.0)
    ((task, outcome),) = run_tasks(misbehave, ["hangs"], Machines(workers=1), limit_sec=0.5)
    assert (task, outcome.is_too_slow) == ("hangs", True)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_what_a_task_raises_is_raised(workers):
    with pytest.raises(OSError, match="No space left"):
        list(run_tasks(misbehave, ["a", "raises"], Machines(workers), math.inf))


def test_the_time_limit_is_long_for_long_videos_and_never_nothing():
    assert Machines().limit_sec(5) < Machines().limit_sec(5, 60) < Machines().limit_sec(60, 60)
    assert Machines(timeout_sec=7).limit_sec(60, 60) == 7
    with pytest.raises(UserError, match="timeout_sec is 0; it must be a number of seconds above 0"):
        Machines(timeout_sec=0)


def test_no_scheduler_at_an_address_is_one_sentence():
    pytest.importorskip("distributed", reason="requirements-dask.txt is not installed")
    with pytest.raises(UserError, match="no Dask scheduler answers at nowhere:such"):
        list(run_tasks(misbehave, ["a"], Machines(scheduler="nowhere:such"), 1))
