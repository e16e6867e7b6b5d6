"""The commands of the README, run as a user runs them, each in a process of its own."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(*words, cwd=ROOT):
    # The scripts set this one when they are imported in this process; a user's shell has it not.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """What the demo's first three commands leave behind, on a smaller set; trained on clips alone,
    because single frames would trace the network once more."""
    short = ("--frame-epochs", 0, "--min-steps", 1, "--img-size", 128, "--architecture", "baseline")
    work = tmp_path_factory.mktemp("demo")
    videos, faces, out = work / "videos", work / "faces", work / "run"
    run("sample_data.py", "--out", videos, "--num-people", 8, "--seconds", 0.4)
    run("processing.py", "--location", videos, "--save-path", faces, "--workers", 2)
    run("train.py", "--data", faces, "--out", out, "--epochs", 1, *short)
    return work


@pytest.fixture(scope="module")
def evaluated(work) -> subprocess.CompletedProcess:
    """The demo's fourth command, which writes `report`."""
    return run(
        *("evaluate.py", "--model", work / "run" / "model.keras"),
        *("--data", work / "faces", "--out", work / "report", "--json-summary"),
    )


def test_from_videos_to_metrics(evaluated):
    metrics = json.loads(evaluated.stdout.splitlines()[-1])
    assert metrics["videos"] == 4
    assert 0 <= metrics["roc_auc"] <= 1
    assert evaluated.stderr == ""


def test_the_python_example_of_the_readme_gives_the_score_that_evaluate_gives(work, evaluated):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import cv2.*?)```", readme, flags=re.DOTALL)
    with (work / "report" / "predictions.csv").open(newline="") as file:
        name, score = next((row["filename"], row["score"]) for row in csv.DictReader(file))
    example = re.sub(r"(?<=demo/faces/)\S+?(?=\")", name, example)
    example = example.replace("demo/", f"{work.as_posix()}/")
    done = run("-I", "-c", example, cwd=work)
    raw = float(done.stdout.split()[-1])
    settings = json.loads((work / "run" / "settings.json").read_text())
    slope, offset = settings["calibration"]["slope"], settings["calibration"]["offset"]
    calibrated = 1 / (1 + ((1 - raw) / raw) ** slope / math.exp(offset))
    assert calibrated == pytest.approx(float(score), abs=1e-5)
