"""predict.py under load: many videos, damaged ones, kills, and files of changed bytes.

    python -m benchmarks.prediction_load --videos clips --count 1000 --mutated 500 --kills 5

`--videos` holds a few short videos, which are copied, whole or cut to their first `--seconds`;
every tenth copy is damaged. They are scored once without a stop, and once killed `--kills` times
and started again with --resume: the JSON and CSV files must be equal but for the seconds taken, and
what was scored must not be scored again. The memory of the main process is that after the first
tenth of the videos and at the end. Then `--mutated` copies have random bytes changed or are cut
off: each must be a line, and none may stop the run. Ends with one line of JSON. Nothing is left
behind.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sample_data import write_video

ROOT = Path(__file__).parents[1]
VIDEO_SUFFIXES = {".mp4", ".mkv", ".avi", ".webm", ".mpg", ".mov"}
EXITS_OF_A_RUN = {0, 1}  # all scored, or some not
MOST_MUTATIONS = 200  # bytes changed in a file
POLL_SEC = 0.2


@dataclass(frozen=True)
class Run:
    """One call of predict.py."""

    exit_code: int
    seconds: float
    memory_mib: list[float]  # of the main process, each time it was looked at
    lines: int  # printed about videos


def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    source = sorted(p for p in args.videos.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        work = Path(folder)
        source = source[: args.distinct]
        if args.seconds:
            source = [cut(path, args.seconds, work / "source") for path in source]
        results = load_run(source, work, args)
        if args.mutated:
            results["mutated"] = mutated_run(source, work, args)
    print(json.dumps(results))
    return 0 if results["equal"] and results.get("mutated", {}).get("all_there", True) else 1


def load_run(source: Sequence[Path], work: Path, args: argparse.Namespace) -> dict:
    """Score the copies without a stop and with kills, and compare."""
    videos = work / "videos"
    copy_videos(source, videos, args.count, args.seed)
    once = call(videos, work / "once", args.workers)
    print(f"{args.count} videos in {once.seconds:.0f} seconds, exit code {once.exit_code}")
    early = once.memory_mib[len(once.memory_mib) // 10]
    print(f"memory after a tenth {early:.0f} MiB, at the end {once.memory_mib[-1]:.0f} MiB")
    killed_at = killed_run(videos, work / "killed", args, once.seconds)
    print(f"killed after {', '.join(map(str, killed_at))} of {args.count} videos, then finished")
    one, other = (tables(work / name) for name in ("once", "killed"))
    equal = one == other and not list((work / "killed").glob("*.unfinished*"))
    print("the results are equal" if equal else "THE RESULTS DIFFER")
    return {
        "videos": args.count,
        "exit_code": once.exit_code,
        "verdicts": Counter(video["verdict"] for video in one[0]["videos"]),
        "seconds": round(once.seconds, 1),
        "memory_mib_early": round(early),
        "memory_mib_end": round(once.memory_mib[-1]),
        "killed_after": killed_at,
        "equal": equal,
    }


def cut(path: Path, seconds: float, folder: Path) -> Path:
    """Write the first seconds of a video into a folder, as MPEG-4, and return its path."""
    folder.mkdir(exist_ok=True)
    video = cv2.VideoCapture(str(path))
    fps = video.get(cv2.CAP_PROP_FPS)
    frames = [video.read()[1] for _ in range(max(1, round(seconds * fps)))]
    video.release()
    there = [frame[:, :, ::-1] for frame in frames if frame is not None]
    write_video(folder / f"{path.stem}.mp4", np.stack(there), fps)
    return folder / f"{path.stem}.mp4"


def copy_videos(source: Sequence[Path], folder: Path, count: int, seed: int) -> None:
    """Fill a folder with copies, every tenth of them damaged."""
    folder.mkdir()
    chance = random.Random(seed)
    for number in range(count):
        original = source[number % len(source)]
        copy = folder / f"{number:05d}{original.suffix}"
        if number % 10 == 9:
            copy.write_bytes(mutated(original.read_bytes(), chance))
        else:
            shutil.copyfile(original, copy)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return bytes with some of them changed, or cut off, or both."""
    changed = bytearray(content)
    kind = chance.randrange(3)
    if kind != 1:
        # Half of the changes hit the header, which more depends on.
        for _ in range(chance.randint(1, MOST_MUTATIONS)):
            reach = len(changed) if chance.random() < 0.5 else min(len(changed), 4096)
            changed[chance.randrange(reach)] = chance.randrange(256)
    return bytes(changed if kind == 0 else changed[: chance.randrange(len(changed))])


def command(videos: Path, out: Path, workers: int, *words: str) -> list[str]:
    files = ["--json", str(out / "all.json"), "--csv", str(out / "all.csv")]
    start = [sys.executable, str(ROOT / "predict.py"), str(videos), "--workers", str(workers)]
    return [*start, *files, *words]


def call(videos: Path, out: Path, workers: int, *words: str) -> Run:
    """Score a folder and watch the memory."""
    out.mkdir(exist_ok=True)
    started, memory_mib = time.perf_counter(), [0.0]
    with (out / "printed.txt").open("w") as printed, (out / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            command(videos, out, workers, *words), cwd=ROOT, stdout=printed, stderr=errors
        )
        while process.poll() is None:
            if scored(out):  # before that, TensorFlow is still being loaded
                memory_mib.append(memory_of(process.pid))
            time.sleep(POLL_SEC)
    seconds = time.perf_counter() - started
    text = (out / "printed.txt").read_text(errors="replace")
    lines = sum(str(videos) in line for line in text.splitlines())
    return Run(process.returncode, seconds, [m for m in memory_mib if m] or [0.0], lines)


def killed_run(
    videos: Path, out: Path, args: argparse.Namespace, whole_seconds: float
) -> list[int]:
    """Kill a run at random moments, start it again, let it finish; return what was scored by each
    kill."""
    out.mkdir()
    chance, counts = random.Random(args.seed + 1), []
    for _ in range(args.kills):
        process = subprocess.Popen(
            command(videos, out, args.workers, "--resume"),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before, least = scored(out), chance.randint(1, max(1, args.count // (args.kills + 1)))
        deadline = time.perf_counter() + 10 * whole_seconds
        while scored(out) < before + least and process.poll() is None:
            if time.perf_counter() > deadline:
                break
            time.sleep(POLL_SEC)
        time.sleep(chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(scored(out))
    call(videos, out, args.workers, "--resume")
    return counts


def scored(out: Path) -> int:
    """Return how many verdicts a run that is not finished has written."""
    try:
        return max(0, (out / "all.json.unfinished.jsonl").read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def memory_of(pid: int) -> float:
    """Return the memory of a process in MiB; 0 where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    fields = [line.split() for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(fields[0][1]) / 1024 if fields else 0.0


def tables(out: Path) -> tuple[dict, str]:
    """Return the JSON without the seconds, and the CSV."""
    whole = json.loads((out / "all.json").read_text())
    for video in whole["videos"]:
        del video["seconds"]
    return whole, (out / "all.csv").read_text()


def mutated_run(source: Sequence[Path], work: Path, args: argparse.Namespace) -> dict:
    """Score files of changed bytes; each must be in the results."""
    videos, chance = work / "mutated", random.Random(args.seed + 2)
    videos.mkdir()
    for number in range(args.mutated):
        original = source[number % len(source)]
        copy = videos / f"{number:05d}{original.suffix}"
        copy.write_bytes(mutated(original.read_bytes(), chance))
    run = call(videos, work / "of_mutated", args.workers)
    whole, _ = tables(work / "of_mutated")
    errors = (work / "of_mutated" / "errors.txt").read_text()
    there = len(whole["videos"]) == run.lines == args.mutated and "Traceback" not in errors
    all_there = there and run.exit_code in EXITS_OF_A_RUN
    verdicts = Counter(video["verdict"] for video in whole["videos"])
    print(f"{args.mutated} mutated videos: {dict(verdicts)}, exit code {run.exit_code}")
    print("none is missing" if all_there else f"SOMETHING IS MISSING: {errors[-500:]}")
    return {"verdicts": verdicts, "exit_code": run.exit_code, "all_there": all_there}


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--videos", type=Path, required=True, metavar="DIR", help="a folder of short videos")
    add("--distinct", type=int, default=8, help="how many of them are copied (%(default)s)")
    add("--seconds", type=float, help="cut them to so many of their first seconds (default: whole)")
    add("--count", type=int, default=1000, help="copies (%(default)s)")
    add("--kills", type=int, default=5, help="(%(default)s)")
    add("--mutated", type=int, default=500, help="files of changed bytes (%(default)s)")
    add("--workers", type=int, default=2, help="processes that read videos (%(default)s)")
    add("--seed", type=int, default=0, help="of all random numbers (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
