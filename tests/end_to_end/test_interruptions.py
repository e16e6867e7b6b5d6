"""Runs that are stopped or killed: nothing is lost.

Moments are chosen by what a run does: it halts when it opens or renames a certain file.
"""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, TINY, command_of, result_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="has no such signals"),
]

# Python runs this before a script. HALT_AT is the end of a path, which time it is opened or
# renamed to, and whether by the main process.
SITECUSTOMIZE = """
import multiprocessing, os, sys, threading
name, times, is_main = os.environ["HALT_AT"].split(":")
seen = []
def halt(event, args):
    if event in ("open", "os.rename") and str(args[event == "os.rename"]).endswith(name):
        if (multiprocessing.parent_process() is None) == (is_main == "main"):
            seen.append(event)
            if len(seen) == int(times):
                os.mkdir(os.environ["HALTED"])
                threading.Event().wait()
sys.addaudithook(halt)
"""


def start(command: list[str], halt_at: str = "", folder: Path | None = None) -> subprocess.Popen:
    """Start a command in a process group of its own; with `halt_at` it makes the folder `halted`
    in `folder`, and waits."""
    # The scripts set this one when they are imported in this process; a user's shell has it not.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    if folder is not None:
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
        halted = str(folder / "halted")
        environment |= {"PYTHONPATH": str(folder), "HALT_AT": halt_at, "HALTED": halted}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background has Ctrl-C ignored by all they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(happened: Callable[[], object], run: subprocess.Popen) -> None:
    while not happened():
        if run.poll() is not None:
            pytest.fail(f"it ended before: {run.communicate()}")
        time.sleep(0.01)


def is_gone(group: int) -> bool:
    """Return whether no process of the group is left, after a minute at the latest."""
    for _ in range(600):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return False


def check_stopped(run: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal, as a terminal sends Ctrl-C to all processes; check what comes of it."""
    if number == signal.SIGINT:
        os.killpg(run.pid, number)
    else:
        run.send_signal(number)
    _, stderr = run.communicate()
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    assert stderr == f"{word}; finished work is kept\n"
    assert run.returncode == 128 + number
    assert is_gone(run.pid)


def check_every_folder_is_whole(out: Path) -> None:
    """A folder that has its name holds boxes.csv and a crop for each line of it."""
    for folder in out.glob("person_*"):
        with (folder / "boxes.csv").open() as file:
            lines = len(file.readlines()) - 1
        crops = sorted(path.name for path in folder.glob("*.jpeg"))
        assert crops == [f"{order:03d}.jpeg" for order in range(lines)], folder


def finish(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


# Ctrl-C and SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_processing_ends_at_once_and_the_same_command_does_the_rest(
    videos, uninterrupted, tmp_path, number
):
    out = tmp_path / "faces"
    run = start(command_of(videos, out), "person_004.mp4:1:worker", tmp_path / "halt")
    wait_until(lambda: (tmp_path / "halt/halted").exists() and list(out.glob("person_*")), run)
    check_stopped(run, number)
    check_every_folder_is_whole(out)
    finish(command_of(videos, out))
    assert result_of(out) == result_of(uninterrupted)


def test_a_signal_while_the_index_is_written_costs_no_more(videos, uninterrupted, tmp_path):
    out = tmp_path / "faces"
    run = start(command_of(videos, out), "metadata.json:3:main", tmp_path / "halt")
    wait_until((tmp_path / "halt/halted").exists, run)
    check_stopped(run, signal.SIGTERM)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpeg")}
    finish(command_of(videos, out))
    assert result_of(out) == result_of(uninterrupted)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing was left to do


@pytest.mark.thorough
def test_predict_ends_at_once_and_the_same_command_does_the_rest(videos, tmp_path):
    some = [str(videos / f"person_{number:03d}.mp4") for number in range(4)]
    log = tmp_path / "verdicts.jsonl"
    command = [sys.executable, "predict.py", *some, "--workers", "2"]
    run = start([*command, "--json", str(log)], "person_003.mp4:1:worker", tmp_path / "halt")
    wait_until(lambda: log.exists() and log.read_text().count("\n") > 1, run)
    wait_until((tmp_path / "halt/halted").exists, run)
    check_stopped(run, signal.SIGINT)
    verdicts = [line for line in finish(command).splitlines() if "person_" in line]
    continued = finish([*command, "--json", str(log)])
    assert len(verdicts) == 4
    assert [line for line in continued.splitlines() if "person_" in line] == verdicts


@pytest.mark.thorough
def test_train_ends_at_once_and_the_same_command_does_the_rest(run, sample_faces, tmp_path):
    """`run` is the same training, undisturbed."""
    out = tmp_path / "run"
    command = [sys.executable, "train.py", "--data", str(sample_faces), *TINY, "--out", str(out)]
    training = start(command, "history.csv:2:main", tmp_path / "halt")
    wait_until((tmp_path / "halt/halted").exists, training)
    check_stopped(training, signal.SIGTERM)
    finish(command)
    undisturbed, continued = (
        [(row["epoch"], float(row["loss"])) for row in csv.DictReader((of / "history.csv").open())]
        for of in (run, out)
    )
    assert (out / "model.keras").exists()
    assert continued == [(epoch, pytest.approx(loss, rel=1e-3)) for epoch, loss in undisturbed]


# Killed


def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(videos, uninterrupted, tmp_path):
    """kill -9 for the run and its workers at once, as when the power goes."""
    out = tmp_path / "faces"
    for name in ("settings.json", "person_006.mp4"):
        is_main = "main" if name == "settings.json" else "worker"
        halt = tmp_path / name
        run = start(command_of(videos, out), f"{name}:1:{is_main}", halt)
        wait_until((halt / "halted").exists, run)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        check_every_folder_is_whole(out)
    finish(command_of(videos, out))
    assert result_of(out) == result_of(uninterrupted)


def test_workers_do_not_outlive_a_run_that_is_killed(videos, tmp_path):
    run = start(
        command_of(videos, tmp_path / "faces"), "person_002.mp4:1:worker", tmp_path / "halt"
    )
    wait_until((tmp_path / "halt/halted").exists, run)
    run.kill()
    run.wait()
    assert is_gone(run.pid), "the workers are still there"
