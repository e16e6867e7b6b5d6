"""Training on two workers, two processes on 127.0.0.1: the weights of one, and one that is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY, assert_weights_close, variables_of

import train
from deepfake_detector.training.run_folder import STATE_NAME

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.thorough


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start_workers(arguments_of_each):
    """Start train.py as the workers of one cluster; return their processes."""
    cluster = {"worker": free_addresses(len(arguments_of_each))}
    processes = []
    for index, arguments in enumerate(arguments_of_each):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": cluster, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, str(ROOT / "train.py"), *TINY, *map(str, arguments)],
                env=os.environ | {"TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def finish(processes):
    """Return the exit codes of the processes, and what each has printed."""
    printed = [process.communicate(timeout=300) for process in processes]
    return [process.returncode for process in processes], printed


def test_two_workers_train_the_weights_of_one_also_when_one_is_killed(sample_faces, tmp_path):
    """Only the chief writes; a worker that is lost stops the other one, and both go on together."""
    common = ["--data", sample_faces, "--epochs", "4", "--self-blend", "0.5"]
    assert train.main([*map(str, [*TINY, *common, "--out", tmp_path / "one"])]) == 0

    out = tmp_path / "two"
    processes = start_workers([[*common, "--out", out]] * 2)
    while not (out / STATE_NAME).exists():
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.05)
    os.kill(processes[1].pid, signal.SIGKILL)
    codes, printed = finish(processes)
    assert codes == [2, -signal.SIGKILL]
    assert "another worker of this run has stopped" in printed[0][1]

    codes, printed = finish(start_workers([[*common, "--out", out]] * 2))
    assert codes == [0, 0], printed
    assert "training on 2 CPUs of 2 workers" in printed[0][0]
    assert "Epoch" not in printed[1][0]
    assert_weights_close(variables_of(out), variables_of(tmp_path / "one"), within=1e-4)


def test_workers_that_do_not_see_the_same_run_say_so(sample_faces, tmp_path):
    """Without a shared disk each would find, or not find, a state of its own."""
    common = ["--data", sample_faces, "--out"]
    codes, printed = finish(
        start_workers([[*common, tmp_path / "a"], [*common, tmp_path / "b", "--seed", "1"]])
    )
    assert codes == [2, 2]
    assert all("the workers do not see the same run" in stderr for _, stderr in printed)
