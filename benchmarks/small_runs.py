"""Small inputs, and the commands of all scripts on them, for benchmarks that end scripts before
their time: `kills` and `interrupts`.

    commands = make_inputs(Path("work"))
    subprocess.run(commands["train"](Path("work/run")))
"""

import functools
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY = "--architecture baseline --batch-size 4 --num-frames 3 --img-size 32 --checkpoint-minutes 0"
Commands = Mapping[str, Callable[[Path], list[str]]]


def make_inputs(
    folder: Path, train: str = "--epochs 3 --frame-epochs 0 --min-steps 30"
) -> Commands:
    """Make videos, faces and a run; return the command of each script by its output path.

    `train` are further words of the command of train.py.
    """
    videos, faces, run = folder / "videos", folder / "faces", folder / "run"
    people = "--num-people 8 --seconds 0.5 --frame-size 160 --workers 2"
    made = {
        "sample_data": lambda out: f"--out {out} {people}",
        "processing": lambda out: (
            f"--location {videos} --save-path {out} --face-size 64 --workers 2"
        ),
        "train": lambda out: f"--data {faces} --out {out} {TINY} {train}",
        "evaluate": lambda out: f"--model {run} --data {faces} --out {out} --split all",
        "predict": lambda out: f"{videos} --model {run} --json {out}/x.json --annotate {out}",
    }
    commands = {name: functools.partial(_command, name, words) for name, words in made.items()}
    for name, out in (("sample_data", videos), ("processing", faces), ("train", run)):
        subprocess.run(commands[name](out), check=True, capture_output=True)
    return commands


def _command(name: str, words: Callable[[Path], str], out: Path) -> list[str]:
    return [sys.executable, str(ROOT / f"{name}.py"), *words(out).split()]
