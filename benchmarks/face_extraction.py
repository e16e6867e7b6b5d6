"""How fast and how steady the extraction of faces is, compared with bare decoding and a baseline.

    python -m benchmarks.face_extraction                         on synthetic 1080p videos
    python -m benchmarks.face_extraction --videos DIR ...        on yours
    python -m benchmarks.face_extraction --only memory --minutes 10

    speed    a frame of ours with its crops written, of bare decoding with as many processes, and of
             the baseline (baseline_boxes.py)
    crops    share of frames with a detection, and how boxes shake, ours and the baseline's
    memory   peak memory of a process that extracts one long video

Speeds are ratios of runs one after the other in one process, because machines differ and are
shared.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from benchmarks.baseline_boxes import CAPTURE_SEC, compare_boxes, time_baseline
from benchmarks.timing import machine
from deepfake_detector.console import command, print_table
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces.extraction import process_video
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.metadata import REAL, Video
from deepfake_detector.videos.search import find_videos

PARTS = ("speed", "crops", "memory")
ROUNDS, FEW_FPS = 3, 5
HD, FOUR_K = (1920, 1080), (3840, 2160)
Rows = tuple[str, list[tuple[str, str]]]  # title and rows of a table


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--videos", type=Path, nargs="+", metavar="DIR", help="video folders (default: synthetic)")
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (default: all)")
    add("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    add("--minutes", type=float, default=1.0, help="length of the long videos (%(default)s)")
    args = parser.parse_args(argv)
    print_table("machine", [*machine(), ("workers", str(args.workers))])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.videos:
            paths = [path for path in find_videos(args.videos) if path.is_file()]
        else:
            paths = [] if args.only == ["memory"] else synthetic_videos(work, 3 * args.workers)
        for part in args.only:
            title, rows = {
                "speed": lambda: speed(paths, work, args.workers),
                "crops": lambda: crops(paths, args.workers),
                "memory": lambda: memory(work, args.minutes),
            }[part]()
            print_table(title, rows)
    return 0


def synthetic_videos(folder: Path, count: int) -> list[Path]:
    """Write 1080p videos of three seconds of two synthetic people, in copies, and return them.

    VP9, because to decode it costs about what H.264 does, which OpenCV cannot write.
    """
    originals = [folder / f"person_{seed}.webm" for seed in range(2)]
    for seed, path in enumerate(originals):
        write_video(path, synthetic_frames(seed, 75, HD), HD, codec="VP90")
    copies = [folder / f"synthetic_{number}.webm" for number in range(count)]
    for number, path in enumerate(copies):
        shutil.copy(originals[number % 2], path)
    return copies


def synthetic_frames(seed: int, num_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Return frames `(height, width, 3) uint8` BGR of a person in a grainy room."""
    width, height = size
    side, top, left = height // 2, height // 4, (width - height // 2) // 2
    heads = draw_frames(people.random_person(seed), num_frames, 360, fps=25, seed=seed)
    room = np.random.default_rng(seed).integers(60, 130, (height // 8, width // 8, 3), np.uint8)
    room = cv2.resize(room, size, interpolation=cv2.INTER_CUBIC)
    frames = []
    for head in heads:
        frame = room.copy()
        enlarged = cv2.resize(head, (side, side), interpolation=cv2.INTER_CUBIC)
        frame[top : top + side, left : left + side] = enlarged[:, :, ::-1]
        frames.append(frame)
    return frames


def write_video(
    path: Path, frames: Sequence[np.ndarray], size: tuple[int, int], codec: str = "mp4v"
) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, size)
    for frame in frames:
        writer.write(frame)
    writer.release()


# Jobs for the worker processes


def decode(path: Path) -> int:
    """Read the frames as anyone would, and return how many there were."""
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.get(cv2.CAP_PROP_POS_MSEC) < 1000 * CAPTURE_SEC and capture.read()[0]:
        count += 1
    capture.release()
    return count


def extract(
    path: Path, out: Path, capture_sec: float = CAPTURE_SEC, fps: float | None = None
) -> int:
    """Write the faces of a video into the folder `out`, and return how many frames were read."""
    work = out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    video = Video(path.name, path, {"label": REAL})
    row = process_video(video, out, work, FaceSettings(capture_sec=capture_sec, fps=fps))
    return int(row["frames_read"] or 0)


def one_thread() -> None:
    cv2.setNumThreads(0)


# Parts


def speed(paths: Sequence[Path], work: Path, num_workers: int) -> Rows:
    """Time ours and bare decoding with as many processes, and the baseline."""
    seconds: dict[str, list[float]] = {"bare": [], "ours": [], "fps": []}
    frames, spawn = 0, get_context("spawn")
    with (
        ProcessPoolExecutor(num_workers, spawn) as bare,
        ProcessPoolExecutor(num_workers, spawn, one_thread) as ours,
    ):
        for pool in (bare, ours):  # start up
            list(pool.map(decode, paths[:num_workers]))
        for _ in range(ROUNDS):  # interleaved, so that whatever else the machine does meets all
            started = time.perf_counter()
            list(bare.map(decode, paths))
            seconds["bare"].append(time.perf_counter() - started)
            for name, fps in (("ours", None), ("fps", FEW_FPS)):
                started = time.perf_counter()
                jobs = [
                    ours.submit(extract, path, work / "out", CAPTURE_SEC, fps) for path in paths
                ]
                extracted = sum(job.result() for job in jobs)
                seconds[name].append(time.perf_counter() - started)
                frames = max(frames, extracted)
    baseline_sec, baseline_frames = time_baseline(paths, work)
    bare_sec, ours_sec, fps_sec = (float(np.median(taken)) for taken in seconds.values())
    return f"speed, wall time, median of {ROUNDS} interleaved rounds", [
        ("videos", f"{len(paths)}, {frames} frames"),
        ("bare decoding, a frame", f"{bare_sec / frames * 1e3:.2f} ms"),
        ("ours, crops written, a frame", f"{ours_sec / frames * 1e3:.2f} ms"),
        (f"baseline ({baseline_frames} of the frames), a frame", f"{baseline_sec * 1e3:.1f} ms"),
        ("ours / bare decoding", f"{ours_sec / bare_sec:.2f}"),
        (f"ours with --fps {FEW_FPS} / bare decoding of all frames", f"{fps_sec / bare_sec:.2f}"),
        ("baseline / ours", f"{baseline_sec / ours_sec * frames:.1f}"),
    ]


def crops(paths: Sequence[Path], num_workers: int) -> Rows:
    """Compare how many frames have a detection, and how boxes shake from frame to frame."""
    with ProcessPoolExecutor(num_workers, get_context("spawn"), one_thread) as pool:
        results = list(pool.map(compare_boxes, paths))

    def column(who: int) -> list[str]:
        mine = [pair[who] for pair in results]
        frames, detected = (sum(of[name] for of in mine) for name in ("frames", "detected"))
        jitter = np.concatenate([of["jitter"] for of in mine])  # (n, 2)
        middle, high = np.median(jitter, axis=0), np.quantile(jitter, 0.95, axis=0)
        shaking = [f"{middle[axis]:.4f} / {high[axis]:.4f}" for axis in (0, 1)]
        return [str(frames), f"{detected / frames:.2%}", *shaking]

    jitters = ("jitter of the centre, median / 95 %", "jitter of the size, median / 95 %")
    names = ("frames", "with a detection", *jitters)
    rows = [
        (name, f"{ours}   baseline {baseline}")
        for name, ours, baseline in zip(names, column(0), column(1), strict=True)
    ]
    return "crops, all frames of ours, runs of neighbouring frames of the baseline", rows


def memory(work: Path, minutes: float) -> Rows:
    """Measure the peak memory of a process that extracts one long video."""
    rows = []
    for name, size in (("1080p", HD), ("4K", FOUR_K)):
        path = work / f"{name}.ts"
        # Transport streams can be joined by writing one after the other.
        write_video(path, synthetic_frames(0, 125, size), size)
        path.write_bytes(path.read_bytes() * round(minutes * 60 / 5))
        words = ["-m", "benchmarks.face_extraction", "measure-memory", path, work / "memory"]
        done = subprocess.run(
            [sys.executable, *map(str, words), str(minutes * 60)],
            check=True,
            stdout=subprocess.PIPE,
        )
        frames, megabytes = done.stdout.split()
        rows.append((f"{name}, {frames.decode()} frames", f"{megabytes.decode()} MB"))
    return f"peak memory of a worker, videos of {minutes:g} minutes", rows


def measure_memory(path: Path, out: Path, capture_sec: float) -> None:
    """Extract one video in this process and print frames and peak memory."""
    one_thread()
    frames = extract(path, out, capture_sec)
    status = Path("/proc/self/status").read_text()  # getrusage would count our parent's memory
    print(frames, int(status.partition("VmHWM:")[2].split()[0]) // 1024)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure-memory"]:
        measure_memory(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
        sys.exit(0)
    sys.exit(main())
