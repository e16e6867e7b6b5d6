"""How fast clips come out of the pipeline, next to bare JPEG decoding, and what they take.

    python -m benchmarks.input_pipeline                       on synthetic crops, some 4 minutes
    python -m benchmarks.input_pipeline --data faces          speed on your crops
    python -m benchmarks.input_pipeline --only index --videos 119000

    speed   clips a second against decoding the same crops and nothing else, on as many cores
    memory  peak memory of a process that reads 100 folders, and of one that reads 10,000
    start   seconds from listing 100,000 crops to the first batch
    index   listing, splitting, checking and sampling an epoch at the size of DFDC

Rounds of all ways are interleaved, because machines are shared, and the best round counts.
Processor time is next to wall time; it suffers less from what else runs.
"""

import argparse
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from deepfake_detector.clips.pairs import sample_epoch
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.splits import check_no_leak, split_tracks
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames

with quiet_tensorflow():
    import tensorflow as tf

    import data_pipeline

import cv2
import numpy as np

PARTS = ("speed", "memory", "start", "index")
NUM_FRAMES, IMG_SIZE, BATCH_SIZE = 8, (128, 128), 16
CLIPS = 256  # in a round
ROUNDS = 9
Result = TypeVar("Result")


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="folder of faces for speed (default: synthetic)")
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (all)")
    add("--videos", type=int, default=119_000, help="folders of the index (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    versions = f"TensorFlow {tf.__version__}, OpenCV {cv2.__version__}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print_table("machine", [("processor", machine), ("versions", versions)])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for part in args.only:
            title, rows = {
                "speed": lambda: speed(work, args.data),
                "memory": lambda: memory(work),
                "start": lambda: start(work),
                "index": lambda: index(work, args.videos),
            }[part]()
            print_table(title, rows)
    return 0


# Crops


def draw_faces(folder: Path, num_videos: int, num_frames: int, side: int) -> Path:
    """Write crops of synthetic people with camera noise; every folder has its own files."""
    heads = [
        list(draw_frames(people.random_person(seed=seed), 8, side, 25, seed=seed))
        for seed in range(4)
    ]
    rng = np.random.default_rng(0)
    for video in range(num_videos):
        (folder / name_of(video)).mkdir(parents=True)
        for number in range(num_frames):
            head = heads[video % 4][number % 8]
            noisy = np.clip(head + rng.normal(0, 4, head.shape), 0, 255).astype(np.uint8)
            path = folder / name_of(video) / f"{number:03d}.jpeg"
            cv2.imwrite(str(path), noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return write_metadata(folder, num_videos, fakes_each=1)


def link_faces(folder: Path, num_videos: int, num_frames: int) -> Path:
    """Make folders of links to the same few crops: for what does not depend on pixels."""
    crops = draw_faces(folder.with_name(f"{folder.name}_crops"), 2, num_frames, 160)
    for video in range(num_videos):
        (folder / name_of(video)).mkdir(parents=True)
        for crop in (crops / name_of(video % 2)).glob("*.jpeg"):
            (folder / name_of(video) / crop.name).hardlink_to(crop)
    return write_metadata(folder, num_videos, fakes_each=1)


def write_metadata(folder: Path, num_videos: int, fakes_each: int) -> Path:
    entries = {}
    for video in range(num_videos):
        original = video - video % (fakes_each + 1)
        entries[name_of(video)] = {
            "label": "REAL" if video == original else "FAKE",
            "split": "train",
            "original": None if video == original else name_of(original),
        }
    (folder / "metadata.json").write_text(json.dumps(entries))
    return folder


def name_of(video: int) -> str:
    return f"{video:06d}.mp4"


# Parts


def speed(work: Path, data: Path | None) -> tuple[str, list]:
    """Compare clips a second for scoring and for training with decoding alone."""
    if data:
        sets = {"your crops": data}
    else:
        sets = {
            f"crops of {side} pixels": draw_faces(work / f"crops_{side}", 32, 40, side)
            for side in (160, 128)
        }
    rows = []
    for title, folder in sets.items():
        videos = repeated(list_faces(folder), CLIPS)
        paths = [path.decode() for path in whole_video_paths(videos, NUM_FRAMES).ravel()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            seconds = best_of_rounds(
                {
                    "bare tf.io.decode_jpeg": consumer(bare(paths)),
                    "bare cv2.imread, in threads": functools.partial(read_all, paths, pool),
                    "scoring": consumer(dataset_of(videos, training=False)),
                    "training": consumer(
                        dataset_of(videos, training=True).take(CLIPS // BATCH_SIZE)
                    ),
                }
            )
        rows += ratios(title, seconds)
    return "speed, 8 frames of 128 x 128 pixels a clip; ratios to the two ways of decoding", rows


def repeated(videos: Sequence[FaceTrack], count: int) -> list[FaceTrack]:
    """Return `count` videos, real and fake ones alternating."""
    by_class = [[video for video in videos if video.label == label] for label in (0, 1)]
    return [by_class[i % 2][i // 2 % len(by_class[i % 2])] for i in range(count)]


def read_all(paths: Sequence[str], pool: ThreadPoolExecutor) -> None:
    for _ in pool.map(cv2.imread, paths):
        pass


def bare(paths: Sequence[str]) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    dataset = dataset.map(
        lambda path: tf.io.decode_jpeg(tf.io.read_file(path), channels=3),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    # In batches, because to hand over single frames takes longer.
    return dataset.batch(NUM_FRAMES * BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def dataset_of(videos: Sequence[FaceTrack], training: bool) -> tf.data.Dataset:
    return data_pipeline.build_dataset(
        videos=videos,
        img_size=IMG_SIZE,
        num_frames=NUM_FRAMES,
        batch_size=BATCH_SIZE,
        training=training,
    )


def consumer(dataset: tf.data.Dataset) -> Callable[[], None]:
    def consume() -> None:
        for _ in dataset:
            pass

    return consume


def best_of_rounds(ways: Mapping[str, Callable[[], object]]) -> dict[str, np.ndarray]:
    """Return the least wall and processor seconds of each way, `(2,)`, from interleaved rounds."""
    taken: dict[str, list] = {name: [] for name in ways}
    for way in ways.values():
        way()  # start up
    for _ in range(ROUNDS):
        for name, way in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            way()
            taken[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: np.array(seconds).min(axis=0) for name, seconds in taken.items()}


def ratios(title: str, seconds: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    rows = []
    decoders = [times for name, times in seconds.items() if name.startswith("bare")]
    for name, times in seconds.items():
        wall, processor = times / CLIPS * 1e3
        text = f"{CLIPS / times[0]:.0f} clips a second, {wall:.2f} ms, processor {processor:.2f} ms"
        if not name.startswith("bare"):
            by_wall, by_processor = (
                " / ".join(f"{decoder[kind] / times[kind]:.2f}" for decoder in decoders)
                for kind in (0, 1)
            )
            text += f"; ratio {by_wall}, processor {by_processor}"
        rows.append((f"{title}: {name}", text))
    return rows


def memory(work: Path) -> tuple[str, list]:
    """Measure the peak memory of processes that read few and many folders."""
    rows = []
    for count in (100, 10_000):
        folder = link_faces(work / f"memory_{count}", count, 10)
        rows.append((f"{count:,} folders", f"{in_a_process('measure-memory', folder)} MB"))
        shutil.rmtree(folder)
    return (
        "peak memory, 50 batches of 16 clips of training and of scoring, TensorFlow included",
        rows,
    )


def measure_memory(folder: Path) -> None:
    videos = list_faces(folder)
    for training in (True, False):
        for _ in dataset_of(videos, training).repeat().take(50):
            pass
    status = Path("/proc/self/status").read_text()  # getrusage would count our parent's memory
    print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)


def start(work: Path) -> tuple[str, list]:
    """Time list_faces and the first batch of 100,000 crops in fresh processes."""
    folder = link_faces(work / "start", 1_000, 100)
    seconds = [float(in_a_process("measure-start", folder)) for _ in range(3)]
    return (
        "start, 1,000 folders of 100 crops, least of 3 processes, TensorFlow's import excluded",
        [("from list_faces to the first batch", f"{min(seconds):.2f} s")],
    )


def measure_start(folder: Path) -> None:
    started = time.perf_counter()
    next(iter(dataset_of(list_faces(folder), training=True)))
    print(time.perf_counter() - started)


def in_a_process(job: str, folder: Path) -> str:
    words = [sys.executable, "-m", "benchmarks.input_pipeline", job, str(folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def index(work: Path, num_videos: int) -> tuple[str, list]:
    """Time what depends on the number of videos, on folders of three empty crops."""
    folder = work / "index"
    for video in range(num_videos):
        (folder / name_of(video)).mkdir(parents=True)
        for number in range(3):
            (folder / name_of(video) / f"{number:03d}.jpeg").touch()
    write_metadata(folder, num_videos, fakes_each=5)
    rows: list[tuple[str, str]] = []

    def timed(name: str, job: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = job()
        rows.append((name, f"{time.perf_counter() - started:.2f} s"))
        return result

    faces = timed("list_faces", lambda: list_faces(folder))
    splits = timed("split, leak checks included", lambda: split_tracks(faces))
    timed("check_no_leak", lambda: check_no_leak(splits))
    train = splits["train"]
    timed("sample_epoch", lambda: sample_epoch(train, seed=0, epoch=0))
    timed("build_dataset for training", lambda: dataset_of(train, training=True))
    shutil.rmtree(folder)
    return f"index of {num_videos:,} folders, 1 real to 5 fakes", rows


if __name__ == "__main__":
    jobs = {"measure-memory": measure_memory, "measure-start": measure_start}
    if sys.argv[1:2] and sys.argv[1] in jobs:
        jobs[sys.argv[1]](Path(sys.argv[2]))
        sys.exit(0)
    sys.exit(main())
