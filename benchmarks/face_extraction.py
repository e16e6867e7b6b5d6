"""How fast and how steady the extraction of faces is, compared with bare decoding and a baseline.

    python -m benchmarks.face_extraction                         on synthetic 1080p videos
    python -m benchmarks.face_extraction --videos DIR ...        on yours, in a layout we know
    python -m benchmarks.face_extraction --only memory --minutes 10

Speeds are ratios of runs one after the other in one process, because machines differ and are
shared. `baseline_boxes.py` describes the baseline.
"""

import argparse
import cProfile
import importlib.util
import json
import os
import platform
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
from deepfake_detector.face_dataset.background import BACKGROUND_NAME, find_originals

import processing
from benchmarks.baseline_boxes import CAPTURE_SEC, compare_boxes, time_baseline, time_mtcnn
from benchmarks.timing import processor_name
from deepfake_detector.console import command, print_table
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces.extraction import Task, process_video
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.listing import list_videos
from deepfake_detector.videos.metadata import REAL, Video

PARTS = ("speed", "peers", "crops", "originals", "workers", "start", "memory", "profile")
ROUNDS, FEW_FPS = 3, 5
HD, FOUR_K = (1920, 1080), (3840, 2160)
# The functions and files that each step of the work spends its time in.
STEPS = {
    "decode": ("'decode' of 'av", "demux", "decoding/reader.py", "decoding/video_file.py"),
    "convert": ("reformat", "to_ndarray", "decoding/frame.py"),
    "detect": ("'detectMultiScale'", "{resize}", "{cvtColor}", "faces/tracker.py")
    + ("faces/detector.py", "faces/tracklets.py", "faces/main_face.py", "faces/smoothing.py"),
    "crop": ("faces/crop_buffer.py", "faces/crops.py", "'copy' of 'numpy"),
    "encode": ("{imencode}",),
    "write": ("io.open", "'write' of '_io", "rename", "mkdtemp", "'tobytes'", "rmtree"),
}


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--videos", type=Path, nargs="+", metavar="DIR", help="video folders (default: synthetic)")
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (default: all)")
    add("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    add("--minutes", type=float, default=1.0, help="length of the long videos (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    print_table("machine", machine(args.workers))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.videos:
            videos = [v for v in list_videos(args.videos) if v.path.is_file()]
        else:
            videos = synthetic_videos(work, count=3 * args.workers)
        for part in args.only:
            title, rows = {
                "speed": lambda: speed(videos, work, args.workers),
                "peers": lambda: peers(videos, args.workers),
                "crops": lambda: crops(videos, args.workers),
                "originals": lambda: originals(videos, work, args.workers),
                "workers": lambda: workers(videos, work, args.workers),
                "start": lambda: start(work),
                "memory": lambda: memory(work, args.minutes),
                "profile": lambda: profile(videos, work),
            }[part]()
            print_table(title, rows)
    return 0


def machine(num_workers: int) -> list[tuple[str, str]]:
    versions = f"Python {platform.python_version()}, OpenCV {cv2.__version__}"
    return [
        ("processor", f"{processor_name()}, {os.cpu_count()} cores"),
        ("workers", str(num_workers)),
        ("versions", f"{versions}, NumPy {np.__version__}, {platform.system()}"),
    ]


# Videos


def synthetic_videos(folder: Path, count: int) -> list[Video]:
    """Write 1080p videos of three seconds of two synthetic people, in copies, and return them.

    VP9, because to decode it costs about what H.264 does, which OpenCV cannot write.
    """
    originals = [folder / f"person_{seed}.webm" for seed in range(2)]
    for seed, path in enumerate(originals):
        write_video(path, synthetic_frames(seed, 75, HD), HD, codec="VP90")
    videos = []
    for number in range(count):
        path = folder / f"synthetic_{number}.webm"
        shutil.copy(originals[number % 2], path)
        videos.append(Video(path.name, path, {"label": REAL}))
    return videos


def synthetic_frames(seed: int, num_frames: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Return frames `(height, width, 3) uint8` BGR of a person in a grainy room."""
    width, height = size
    side = 360
    person = people.random_person(seed=seed)
    heads = draw_frames(person, num_frames, side, fps=25, seed=seed)
    room = np.random.default_rng(seed).integers(60, 130, (height // 8, width // 8, 3), np.uint8)
    room = cv2.resize(room, size, interpolation=cv2.INTER_CUBIC)
    frames = []
    for head in heads:
        frame = room.copy()
        enlarged = cv2.resize(head, (height // 2, height // 2), interpolation=cv2.INTER_CUBIC)
        left = (width - height // 2) // 2
        frame[height // 4 : height // 4 + height // 2, left : left + height // 2] = enlarged[
            :, :, ::-1
        ]
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


def extract_one(video: Video, out: Path, work: Path, fps: float | None = None) -> int:
    row = process_video(Task(video), out, work, FaceSettings(capture_sec=CAPTURE_SEC, fps=fps))
    return int(row["frames_read"] or 0)


# Parts


def speed(videos: Sequence[Video], work: Path, num_workers: int) -> tuple[str, list]:
    """Time ours and bare decoding with as many processes, and the baseline."""
    out, scratch = fresh(work / "speed"), fresh(work / "speed_work")
    seconds: dict[str, list[float]] = {"bare": [], "ours": [], "fps": []}
    frames = 0
    with (
        ProcessPoolExecutor(num_workers, get_context("spawn")) as bare,
        ProcessPoolExecutor(num_workers, get_context("spawn"), one_thread) as ours,
    ):
        for pool in (bare, ours):  # start up
            list(pool.map(decode, [video.path for video in videos[:num_workers]]))
        for _ in range(ROUNDS):  # interleaved, so that whatever else the machine does meets all
            started = time.perf_counter()
            list(bare.map(decode, [video.path for video in videos]))
            seconds["bare"].append(time.perf_counter() - started)
            for name, fps in (("ours", None), ("fps", FEW_FPS)):
                started = time.perf_counter()
                jobs = [ours.submit(extract_one, video, out, scratch, fps) for video in videos]
                extracted = sum(job.result() for job in jobs)
                seconds[name].append(time.perf_counter() - started)
                frames = max(frames, extracted)
    baseline_sec, baseline_frames = time_baseline(videos, work)
    bare_sec, ours_sec, fps_sec = (float(np.median(taken)) for taken in seconds.values())
    return f"speed, wall time, median of {ROUNDS} interleaved rounds", [
        ("videos", f"{len(videos)}, {frames} frames"),
        ("bare decoding, a frame", f"{bare_sec / frames * 1e3:.2f} ms"),
        ("ours, crops written, a frame", f"{ours_sec / frames * 1e3:.2f} ms"),
        (f"baseline ({baseline_frames} of the frames), a frame", f"{baseline_sec * 1e3:.1f} ms"),
        ("ours / bare decoding", f"{ours_sec / bare_sec:.2f}"),
        (f"ours with --fps {FEW_FPS} / bare decoding of all frames", f"{fps_sec / bare_sec:.2f}"),
        ("baseline / ours", f"{baseline_sec / ours_sec * frames:.1f}"),
    ]


def peers(videos: Sequence[Video], num_workers: int) -> tuple[str, list]:
    """Time MTCNN, which many detectors of deepfakes use, on every tenth frame."""
    if importlib.util.find_spec("mtcnn") is None:
        return "MTCNN", [("not installed", "pip install mtcnn joblib lz4")]
    cv2.setNumThreads(num_workers)
    seconds, frames, seen = time_mtcnn(videos, every=10)
    return "MTCNN on every tenth frame, all cores, decoding not counted", [
        ("frames", f"{frames}, a face in {seen / frames:.1%}"),
        ("a frame that it looks at", f"{seconds / frames * 1e3:.1f} ms"),
        ("a frame of the video", f"{seconds / frames / 10 * 1e3:.2f} ms"),
    ]


def one_thread() -> None:
    cv2.setNumThreads(0)


def crops(videos: Sequence[Video], num_workers: int) -> tuple[str, list]:
    """Compare how many frames have a detection, and how boxes shake from frame to frame."""
    with ProcessPoolExecutor(num_workers, get_context("spawn"), one_thread) as pool:
        results = list(pool.map(compare_boxes, [video.path for video in videos]))
    ours, baselines = ([r[i] for r in results] for i in (0, 1))

    def column(of: Sequence[dict]) -> list[str]:
        frames = sum(r["frames"] for r in of)
        detected = sum(r["detected"] for r in of)
        jitter = np.concatenate([r["jitter"] for r in of if len(r["jitter"])])
        return [
            f"{frames}",
            f"{detected / frames:.2%}",
            f"{1 - detected / frames:.2%}",
            f"{np.median(jitter[:, 0]):.4f} / {np.quantile(jitter[:, 0], 0.95):.4f}",
            f"{np.median(jitter[:, 1]):.4f} / {np.quantile(jitter[:, 1], 0.95):.4f}",
        ]

    astray = sum(r["astray"] for r in baselines)
    names = (
        "frames",
        "with a detection",
        "averaged",
        "jitter of the centre, median / 95 %",
        "jitter of the size, median / 95 %",
    )
    rows = [
        (name, f"{one}   baseline {other}")
        for name, one, other in zip(names, column(ours), column(baselines), strict=True)
    ]
    rows.append(("detections of the baseline with their centre outside our box", str(astray)))
    return "crops, all frames of ours, runs of neighbouring frames of the baseline", rows


def originals(videos: Sequence[Video], work: Path, num_workers: int) -> tuple[str, list]:
    """Find the originals of fakes by their backgrounds, and compare with the metadata."""
    out, scratch = fresh(work / "originals"), fresh(work / "originals_work")
    with ProcessPoolExecutor(num_workers, get_context("spawn"), one_thread) as pool:
        jobs = [pool.submit(extract_one, video, out, scratch) for video in videos]
        for job in jobs:
            job.result()
    hashes = {
        path.parent.name: path.read_text(encoding="ascii")
        for path in out.glob(f"*/{BACKGROUND_NAME}")
    }
    reals, fakes = (
        {v.name: hashes[v.name] for v in videos if v.label == label and v.name in hashes}
        for label in (0, 1)
    )
    found = find_originals(fakes, reals)
    known = {
        video.name: original
        for video in videos
        if (original := video.entry.get("original")) in reals
    }
    right = sum(found.get(name) == original for name, original in known.items())
    return "originals of fakes, by an equal background", [
        ("fakes, with their original among the videos", f"{len(fakes)}, {len(known)}"),
        ("found, right", f"{len(found)}, {right}"),
        (
            "precision, recall",
            f"{right / max(1, len(found)):.3f}, {right / max(1, len(known)):.3f}",
        ),
    ]


def workers(videos: Sequence[Video], work: Path, num_workers: int) -> tuple[str, list]:
    """Time the real command on copies of one video with one worker and with several."""
    largest = max(videos, key=lambda video: video.path.stat().st_size)
    folder = fresh(work / "copies")
    names = [f"{number}{largest.path.suffix}" for number in range(24)]
    for name in names:
        shutil.copy(largest.path, folder / name)
    entries = {name: {"label": "REAL"} for name in names}
    (folder / "metadata.json").write_text(json.dumps(entries))
    seconds: dict[int, list[float]] = {1: [], num_workers: []}
    for _ in range(3):  # interleaved, so that whatever else the machine does meets both
        for count, taken in seconds.items():
            started = time.perf_counter()
            processing.processing(folder, fresh(work / "out"), workers=count)
            taken.append(time.perf_counter() - started)
    one, several = (float(np.median(taken)) for taken in seconds.values())
    return f"workers, 24 copies of {largest.name}, start-up included, median of 3", [
        ("1 worker", f"{one:.2f} s"),
        (f"{num_workers} workers", f"{several:.2f} s"),
        ("ratio", f"{one / several:.2f}"),
    ]


def start(work: Path) -> tuple[str, list]:
    """Time the command on one video of two frames: all but the start is next to nothing."""
    folder = fresh(work / "tiny")
    write_video(folder / "a.mp4", synthetic_frames(0, 2, (320, 240)), (320, 240))
    (folder / "metadata.json").write_text('{"a.mp4": {"label": "REAL"}}')
    command_line = [sys.executable, str(Path(processing.__file__)), "--location", str(folder)]
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        out = ["--save-path", str(fresh(work / "out"))]
        subprocess.run([*command_line, *out], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return "start-up: the whole command on one video of two frames, median of 5", [
        ("seconds", f"{np.median(seconds):.2f}")
    ]


def memory(work: Path, minutes: float) -> tuple[str, list]:
    """Measure the peak memory of a process that extracts one long video."""
    rows = []
    for name, size in (("1080p", HD), ("4K", FOUR_K)):
        path = fresh(work / "long") / "long.ts"
        # Transport streams can be joined by writing one after the other.
        write_video(path, synthetic_frames(0, 125, size), size)
        part = path.read_bytes()
        with path.open("wb") as file:
            for _ in range(round(minutes * 60 / 5)):
                file.write(part)
        out = fresh(work / "out")
        report = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.face_extraction",
                "measure-memory",
                str(path),
                str(out),
                str(minutes * 60),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        frames, megabytes = report.stdout.split()
        rows.append((f"{name}, {frames} frames", f"{megabytes} MB"))
    return f"peak memory of a worker, videos of {minutes:g} minutes", rows


def measure_memory(path: Path, out: Path, capture_sec: float) -> None:
    """Extract one video in this process and print frames and peak memory."""
    cv2.setNumThreads(0)
    work = fresh(out / ".work-memory")
    video = Video(path.name, path, {"label": REAL})
    row = process_video(Task(video), out, work, FaceSettings(capture_sec=capture_sec))
    status = Path("/proc/self/status").read_text()  # getrusage would count our parent's memory
    print(row["frames_read"], int(status.partition("VmHWM:")[2].split()[0]) // 1024)


def profile(videos: Sequence[Video], work: Path) -> tuple[str, list]:
    """Return where the time of one worker goes, by Python's profiler, which adds some itself."""
    cv2.setNumThreads(0)
    out, scratch = fresh(work / "profile"), fresh(work / "profile_work")
    profiler = cProfile.Profile()
    frames = 0
    for video in videos:
        frames += profiler.runcall(extract_one, video, out, scratch)
    spent = dict.fromkeys([*STEPS, "else"], 0.0)
    for entry in profiler.getstats():
        code = entry.code
        if isinstance(code, str):  # a function in C, such as "<method 'grab' of ...>" or "<resize>"
            place = f"{{{code.strip('{}<>')}}}"
        else:
            place = f"{code.co_filename} {code.co_name}"
        step = next((s for s, words in STEPS.items() if any(w in place for w in words)), "else")
        spent[step] += entry.inlinetime
    total = sum(spent.values())
    return f"where the time goes, one worker, {frames} frames", [
        (step, f"{seconds / frames * 1e3:.2f} ms a frame, {seconds / total:.0%}")
        for step, seconds in spent.items()
    ]


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure-memory"]:
        measure_memory(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
        sys.exit(0)
    sys.exit(main())
