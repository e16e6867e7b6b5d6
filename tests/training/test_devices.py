"""Devices that train: the CPU, GPUs, or the machines that TF_CONFIG or Slurm describe."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from deepfake_detector.console import UserError
from deepfake_detector.training import devices

ROOT = Path(__file__).parents[2]


def gpus(monkeypatch, *capabilities):
    """Let TensorFlow see GPUs of these compute capabilities."""
    found = dict(enumerate(capabilities))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(found))
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": found[gpu]} if found[gpu] else {},
    )


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ([], "float32"),
        ([(6, 1)], "float32"),
        ([(7, 0)], "float32"),
        ([(7, 5)], "float32"),
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (9, 0)], "mixed_bfloat16"),
        ([(9, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_precision_is_the_fastest_that_all_gpus_have(monkeypatch, capabilities, precision):
    gpus(monkeypatch, *capabilities)
    assert devices.choose_precision("auto") == precision
    assert devices.choose_precision("float32") == "float32"


def test_alone_this_process_is_the_chief_of_one_cpu():
    strategy = devices.cluster_strategy() or tf.distribute.MirroredStrategy()
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert devices.is_chief(strategy)
    assert devices.describe(strategy) == "1 CPU"


@pytest.mark.parametrize(
    "text",
    [
        "two machines",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_tf_config_that_describes_no_cluster_is_one_sentence(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="must name the workers and which of them this one is"):
        devices.cluster_strategy()


SCONTROL = """#!/bin/sh
[ "$1 $2" = "show hostname" ] || exit 1
echo node1
echo node2
"""


@pytest.mark.thorough
def test_the_tasks_of_a_slurm_step_are_the_workers(tmp_path):
    """Slurm's own variables, as srun --ntasks=3 sets them for the second task, are enough."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(SCONTROL)
    scontrol.chmod(scontrol.stat().st_mode | stat.S_IEXEC)
    step = {
        "SLURM_JOB_ID": "70042",
        "SLURM_PROCID": "1",
        "SLURM_STEP_NUM_TASKS": "3",
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
    }
    script = (
        "import json; from deepfake_detector.training import devices; "
        "resolver = devices._slurm_cluster(); "
        "print(json.dumps([resolver.cluster_spec().as_dict(), resolver.task_type, "
        "resolver.task_id, resolver.num_accelerators()]))"
    )
    environment = os.environ | step | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    cluster, task_type, task_id, accelerators = json.loads(done.stdout.splitlines()[-1])
    assert cluster == {"worker": ["node1:20042", "node1:20043", "node2:20042"]}
    assert (task_type, task_id) == ("worker", 1)
    assert accelerators.get("GPU", 0) == 0
