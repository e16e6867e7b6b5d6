"""The same work on a Dask cluster: two real worker processes, one of which is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, result_of

import processing

distributed = pytest.importorskip("distributed", reason="requirements-dask.txt is not installed")

pytestmark = pytest.mark.thorough

# In place of `pip install -e .`; a process without it cannot import the package.
INSTALLED = {"PYTHONPATH": str(ROOT)}
NOT_INSTALLED = {"PYTHONPATH": ""}


@pytest.fixture(params=[{"scheduler": INSTALLED, "worker": INSTALLED}])
def cluster(request, tmp_path):
    """The address of a scheduler, and the processes of its two workers."""
    scheduler_file = str(tmp_path / "scheduler.json")
    failures = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}

    def launch(name: str, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", *words],
            env=os.environ | failures | request.param.get(name, {}),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    words = ["--scheduler-file", scheduler_file]
    scheduler = launch("scheduler", "--port", "0", "--no-dashboard", *words)
    words += ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [launch("worker", *words) for _ in range(2)]
    try:
        with distributed.Client(scheduler_file=scheduler_file, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address, workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


def test_a_cluster_gives_the_same_faces_also_when_a_worker_is_killed(
    cluster, videos, uninterrupted, tmp_path
):
    address, workers = cluster
    out = tmp_path / "faces"
    # The folders that the workers are in are others.
    words = ["--location", videos.name, "--save-path", out, "--face-size", "64"]
    run = subprocess.Popen(
        [sys.executable, str(ROOT / "processing.py"), *map(str, words), "--scheduler", address],
        cwd=videos.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while run.poll() is None and len(list(out.glob("person_*"))) < 3:
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    output, _ = run.communicate()
    assert run.returncode == 0, output
    assert result_of(out) == result_of(uninterrupted)


@pytest.mark.parametrize(
    ("cluster", "place"),
    [
        ({"scheduler": INSTALLED, "worker": NOT_INSTALLED}, "worker tcp://"),
        ({"scheduler": NOT_INSTALLED, "worker": INSTALLED}, "scheduler: "),
    ],
    indirect=["cluster"],
)
def test_a_cluster_without_the_package_is_one_sentence(cluster, place, videos, tmp_path, capfd):
    address, _ = cluster
    words = ["--location", str(videos), "--save-path", str(tmp_path / "faces")]
    assert processing.main([*words, "--scheduler", address]) == 2
    error = capfd.readouterr().err
    assert f"error: the Dask {place}" in error
    assert "No module named 'deepfake_detector'; install this project there, in its fo" in error
    assert error.count("\n") == 1


def test_the_job_can_be_sent_to_another_machine():
    """Defined in the script that is run, it would be sent without the modules it needs."""
    assert processing.process_video.__module__ == "deepfake_detector.faces.extraction"
