"""How fast clips come out of the pipeline, next to bare JPEG decoding.

    python -m benchmarks.input_pipeline                       on synthetic crops
    python -m benchmarks.input_pipeline --data faces          speed on your crops
    python -m benchmarks.input_pipeline --only index --videos 119000

    speed   clips a second against decoding the same crops and nothing else, on as many cores
    index   listing, splitting and sampling an epoch at the size of DFDC

Rounds of all ways are interleaved, because machines are shared. Processor time is next to wall
time; it suffers less from what else runs.
"""

import argparse
import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from benchmarks.timing import machine, medians
from deepfake_detector.clips.pairs import sample_epoch
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.splits import split_tracks
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.metadata import FAKE, METADATA_NAME, REAL

with quiet_tensorflow():
    import tensorflow as tf

    import data_pipeline

import cv2
import numpy as np

PARTS = ("speed", "index")
NUM_FRAMES, IMG_SIZE, BATCH_SIZE = 8, (128, 128), 16
CLIPS = 256  # in a round
Rows = tuple[str, list[tuple[str, str]]]  # title and rows of a table
Result = TypeVar("Result")


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="folder of faces for speed (default: synthetic)")
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (all)")
    add("--videos", type=int, default=119_000, help="folders of the index (%(default)s)")
    add("--rounds", type=int, default=9, help="measured rounds of each way (%(default)s)")
    args = parser.parse_args(argv)
    print_table("machine", [*machine(), ("TensorFlow", tf.__version__)])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if "speed" in args.only:
            print_table(*speed(args.data or draw_faces(work / "crops"), args.rounds))
        if "index" in args.only:
            print_table(*index(work / "index", args.videos))
    return 0


def draw_faces(folder: Path, num_videos: int = 32, num_frames: int = 40, side: int = 160) -> Path:
    """Write crops of synthetic people with camera noise; every folder has its own files."""
    heads = [draw_frames(people.random_person(seed), 8, side, 25, seed) for seed in range(4)]
    rng = np.random.default_rng(0)
    for video in range(num_videos):
        (folder / name_of(video)).mkdir(parents=True)
        for number in range(num_frames):
            head = heads[video % 4][number % 8]
            noisy = np.clip(head + rng.normal(0, 4, head.shape), 0, 255).astype(np.uint8)
            path = folder / name_of(video) / f"{number:03d}.jpeg"
            cv2.imwrite(str(path), noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return write_metadata(folder, num_videos, fakes_each=1)


def write_metadata(folder: Path, num_videos: int, fakes_each: int) -> Path:
    entries = {}
    for video in range(num_videos):
        original = video - video % (fakes_each + 1)
        entries[name_of(video)] = (
            {"label": REAL} if video == original else {"label": FAKE, "original": name_of(original)}
        )
    (folder / METADATA_NAME).write_text(json.dumps(entries))
    return folder


def name_of(video: int) -> str:
    return f"{video:06d}.mp4"


def speed(folder: Path, rounds: int) -> Rows:
    """Compare clips a second for scoring and for training with decoding alone."""
    tracks = list_faces(folder)
    by_class = [[track for track in tracks if track.label == label] for label in (0, 1)]
    tracks = [by_class[n % 2][n // 2 % len(by_class[n % 2])] for n in range(CLIPS)]
    paths = [path.decode() for path in whole_video_paths(tracks, NUM_FRAMES).ravel()]
    training = dataset_of(tracks, training=True).take(CLIPS // BATCH_SIZE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ways: dict[str, Callable] = {
            "bare tf.io.decode_jpeg": functools.partial(consume, bare(paths)),
            "bare cv2.imread, in threads": lambda: list(pool.map(cv2.imread, paths)),
            "scoring": functools.partial(consume, dataset_of(tracks, training=False)),
            "training": functools.partial(consume, training),
        }
        taken = medians(ways, rounds)
    rows = []
    for name, seconds in taken.items():
        text = f"{CLIPS / seconds.wall:.0f} clips a second, {seconds}"
        if not name.startswith("bare"):
            others = [other for way, other in taken.items() if way.startswith("bare")]
            shares = " / ".join(f"{other.wall / seconds.wall:.2f}" for other in others)
            text += f"; {shares} of the speed of bare decoding"
        rows.append((name, text))
    return f"speed, {NUM_FRAMES} frames of {IMG_SIZE[0]} x {IMG_SIZE[1]} pixels a clip", rows


def bare(paths: Sequence[str]) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    dataset = dataset.map(
        lambda path: tf.io.decode_jpeg(tf.io.read_file(path), channels=3),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    # In batches, because to hand over single frames takes longer.
    return dataset.batch(NUM_FRAMES * BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def dataset_of(tracks: Sequence[FaceTrack], training: bool) -> tf.data.Dataset:
    return data_pipeline.build_dataset(
        tracks=tracks,
        img_size=IMG_SIZE,
        num_frames=NUM_FRAMES,
        batch_size=BATCH_SIZE,
        training=training,
    )


def consume(dataset: tf.data.Dataset) -> None:
    for _ in dataset:
        pass


def index(folder: Path, num_videos: int) -> Rows:
    """Time what depends on the number of videos, on folders of three empty crops."""
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

    tracks = timed("list_faces", lambda: list_faces(folder))
    train = timed("split, leak checks included", lambda: split_tracks(tracks))["train"]
    timed("sample_epoch", lambda: sample_epoch(train, seed=0, epoch=0))
    timed("build_dataset for training", lambda: dataset_of(train, training=True))
    return f"index of {num_videos:,} folders, 1 real to 5 fakes", rows


if __name__ == "__main__":
    sys.exit(main())
