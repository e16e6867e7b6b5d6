"""Kills processing.py and train.py at random moments, and compares what they end with.

    python -m benchmarks.kills --processing 100 --train 20

makes a small set of synthetic videos, and lets each script work on it once without a stop. Then it
starts the script in a new folder again and again, and ends it with SIGKILL, until a run is done
before its kill comes; that is one round. Half of the kills come after a random time, half when the
output has changed a random number of times. Half of them end the workers, too, as when the power
goes; half only the main process, as when memory is short.

At the end of a round everything must be as the run without a stop left it, to the byte: crops,
manifest, weights, checkpoints, history, charts, but for the seconds that things took. After each
kill every file that has its name must be whole. Prints a table, each difference, and one line of
JSON; the exit code is 1 if there was a difference. Nothing is left behind.
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from benchmarks.small_runs import make_inputs
from deepfake_detector.scoring.trained_model import model_problem

TRAIN = "--epochs 3 --frame-epochs 2 --min-steps 10"
OF_TIME = {"seconds", "clips_per_sec", "input_share", "waited_sec"}
ADDRESS = re.compile(rb'"shared_object_id": \d+')
POLL_SEC = 0.005
LONGEST_PAUSE_SEC = 0.05  # between a change of the output and the kill

Command = Callable[[Path], list[str]]


@dataclass
class Outcome:
    """What came of the kills of one script."""

    kills: int = 0
    runs: int = 0  # that went on after a kill, or were the first of a round
    rounds: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Moment:
    """When a run is killed: after some seconds, or a little after a number of changes."""

    seconds: float
    changes: int = 0

    def wait(self, process: subprocess.Popen, out: Path) -> bool:
        """Wait for it; return whether the process is still there."""
        if self.changes:
            watch(process, out, self.changes)
        try:
            process.wait(self.seconds)
        except subprocess.TimeoutExpired:
            return True
        return False


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        work = Path(folder)
        commands = make_inputs(work, TRAIN)
        cases = (("processing", args.processing), ("train", args.train))
        outcomes = {
            name: kill_often(name, commands[name], kills, work, args.seed)
            for name, kills in cases
            if kills
        }
    print("script        kills   runs  rounds  differences")
    for name, outcome in outcomes.items():
        counts = (outcome.kills, outcome.runs, outcome.rounds, len(outcome.problems))
        print("{:<12}  {:>5}  {:>5}  {:>6}  {:>11}".format(name, *counts))
    print(json.dumps({name: vars(outcome) for name, outcome in outcomes.items()}))
    return 1 if any(outcome.problems for outcome in outcomes.values()) else 0


def kill_often(name: str, command: Command, kills: int, work: Path, seed: int) -> Outcome:
    """Kill a script so many times, and compare at the end of each round."""
    chance, outcome = random.Random(seed), Outcome()
    whole = work / f"{name}-whole"
    started = time.monotonic()
    changes = watch(start(command(whole), work / "errors.txt"), whole)
    seconds, expected = time.monotonic() - started, contents(whole)
    print(f"{name}: {seconds:.1f} seconds, {changes} changes of the output", flush=True)
    while outcome.kills < kills:
        out = work / f"{name}-{outcome.rounds}"
        one_round(command(out), out, kills, (seconds, changes), chance, outcome)
        report(differences(expected, contents(out)), f"round {outcome.rounds}", outcome)
        print(f"round {outcome.rounds} is done, {outcome.kills} kills until now", flush=True)
        outcome.rounds += 1
        shutil.rmtree(out, ignore_errors=True)
    return outcome


def one_round(
    command: list[str],
    out: Path,
    kills: int,
    whole: tuple[float, int],
    chance: random.Random,
    outcome: Outcome,
) -> None:
    """Kill a run and start it again until one is done before it is killed, or there were enough
    kills; `whole` are the seconds and changes of a run without a stop."""
    errors = out.with_name("errors.txt")
    while True:
        process = start(command, errors)
        outcome.runs += 1
        if outcome.kills < kills:
            moment = Moment(chance.uniform(0, whole[0]))
            if chance.random() < 0.5:
                pause_sec = chance.uniform(0, LONGEST_PAUSE_SEC)
                moment = Moment(pause_sec, changes=chance.randint(1, whole[1]))
            with_workers = chance.random() < 0.5
            if moment.wait(process, out):
                end(process, with_workers)
                outcome.kills += 1
                report(broken_files(out), f"after {moment}", outcome)
                continue
        code, said = process.wait(), errors.read_text(errors="replace")
        if code or "Traceback" in said:
            report([f"exit code {code}: {said[-2000:]}"], f"round {outcome.rounds}", outcome)
        return


def start(command: list[str], errors: Path) -> subprocess.Popen:
    with errors.open("w") as file:
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
        )


def end(process: subprocess.Popen, with_workers: bool) -> None:
    """Kill a run, and its workers or not: they must end themselves."""
    if with_workers:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def watch(process: subprocess.Popen, out: Path, most: int = 0) -> int:
    """Return how often the files below a folder have changed when the process ends, or `most`."""
    changes, before = 0, _state_of(out)
    while process.poll() is None and (not most or changes < most):
        time.sleep(POLL_SEC)
        now = _state_of(out)
        changes += now != before
        before = now
    return changes


def _state_of(folder: Path) -> set[tuple[str, int, int]]:
    state = set()
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                found = Path(root, name).stat()
            except FileNotFoundError:
                continue
            state.add((f"{root}/{name}", found.st_mtime_ns, found.st_size))
    return state


def report(problems: Sequence[str], where: str, outcome: Outcome) -> None:
    for problem in problems:
        outcome.problems.append(f"{where}: {problem}")
        print(outcome.problems[-1], flush=True)


# What is compared


def broken_files(out: Path) -> list[str]:
    """Return in words which files have their name and are not whole."""
    models = [path for path in out.rglob("*.keras") if not path.name.startswith(".partial")]
    broken = [
        f"{path.relative_to(out)} {problem}" for path in models if (problem := model_problem(path))
    ]
    for path in out.rglob("[a-z]*.json"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            broken.append(f"{path.relative_to(out)}: {error}")
    for boxes in out.glob("[!.]*/boxes.csv"):
        lines, crops = boxes.read_bytes().count(b"\n"), len(list(boxes.parent.glob("*.jpeg")))
        if lines != crops + 1:
            broken.append(f"{boxes.parent.name}: {crops} crops, {lines} lines")
    return broken


def contents(out: Path) -> dict[str, object]:
    """Return what every file below a folder holds, but for the times that things took."""
    readers: dict[str, Callable[[Path], object]] = {
        ".keras": model_contents,
        ".npz": state_contents,
        ".csv": table_contents,
    }
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {
        str(path.relative_to(out)): readers.get(path.suffix, Path.read_bytes)(path)
        for path in files
        if path.name != "time_per_epoch.png"
    }


def model_contents(path: Path) -> dict[str, bytes]:
    """Return the configuration and the weights of a .keras file.

    The file also holds the date, and addresses in memory, which say what layers share.
    """
    found: dict[str, bytes] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with zipfile.ZipFile(path) as parts:
        found["config.json"] = ADDRESS.sub(b"", parts.read("config.json"))
        with parts.open("model.weights.h5") as file, h5py.File(file) as weights:
            weights.visititems(add)
    return found


def state_contents(path: Path) -> dict[str, object]:
    with np.load(path, allow_pickle=False) as arrays:
        found: dict[str, object] = {name: arrays[name].tobytes() for name in arrays.files}
        about = json.loads(str(arrays["about"]))
    about["history"] = [_without_times(epoch) for epoch in about["history"]]
    return found | {"about": _without_times(about)}


def table_contents(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return [_without_times(row) for row in csv.DictReader(file)]


def _without_times(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in OF_TIME}


def differences(expected: dict[str, object], found: dict[str, object]) -> list[str]:
    """Return in words where two folders differ, by `contents`."""
    words = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    words += [f"{name} is left over" for name in sorted(found.keys() - expected.keys())]
    common = sorted(expected.keys() & found.keys())
    return words + [f"{name} differs" for name in common if expected[name] != found[name]]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--processing", type=int, default=100, help="kills of processing.py (%(default)s)")
    add("--train", type=int, default=20, help="kills of train.py (%(default)s)")
    add("--seed", type=int, default=0, help="of all random numbers (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
