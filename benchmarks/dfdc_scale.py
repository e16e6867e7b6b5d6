"""Estimates what all 119,000 videos of DFDC take, from measurements per frame and per clip.

    python -m benchmarks.dfdc_scale                          on synthetic 1080p videos
    python -m benchmarks.dfdc_scale --videos DIR ...         on your own, in a known layout
    python -m benchmarks.dfdc_scale --machines 8 --cores 16 --epochs 40

It measures three things with one core each: the seconds of extraction per frame, the clips per
second that the pipeline reads, and the clips per second that are trained. It calculates everything
else from these and from the sizes of the data set.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.training.settings import Stage, TrainSettings
from sample_data import make_sample_set

with quiet_tensorflow():
    import keras
    import tensorflow as tf

    from data_pipeline import build_dataset
    from train import build_trainer

ROOT = Path(__file__).parents[1]
# DFDC: 119,154 training videos of ten seconds, 30 frames each second, 471.84 GB in all
# (arXiv:2006.07397, section 3; kaggle.com/c/deepfake-detection-challenge/data).
VIDEOS, REAL_VIDEOS, TOTAL_GB, VIDEO_SEC, FPS = 119_154, 19_154, 471.84, 10, 30
TRAIN_SHARE = 0.7
STEPS = 20


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--videos",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of videos to measure (default: synthetic ones)",
    )
    add(
        "--machines",
        type=int,
        default=8,
        help="machines of the second table (default: %(default)s)",
    )
    add("--cores", type=int, default=16, help="cores of a machine (default: %(default)s)")
    add(
        "--capture-sec",
        type=float,
        default=5.0,
        help="seconds that are extracted from each video (default: %(default)s)",
    )
    add(
        "--epochs",
        type=int,
        default=TrainSettings().epochs,
        help="epochs on clips (default: %(default)s)",
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # One core, however many threads a library starts.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        locations = args.videos or [make_videos(work / "videos")]
        measured = extract(locations, work / "faces", args.capture_sec)
        measured |= read_clips(work / "faces")
    measured |= train_steps()
    print_table("measured, on one core", [(name, f"{v:,.4g}") for name, v in measured.items()])
    for machines in (1, args.machines):
        title = f"calculated for {VIDEOS:,} videos on {machines} x {args.cores} such cores"
        print_table(title, projection(measured, machines, args))
    return 0


def make_videos(folder: Path) -> Path:
    """Write synthetic videos of two people at 1080p, real and fake, as MPEG-4."""
    make_sample_set(folder, num_people=2, seconds=2.0, fps=30, frame_size=1080)
    return folder


def extract(locations: Sequence[Path], out: Path, capture_sec: float) -> dict[str, float]:
    """Extract the faces of all videos, one at a time; return time and disk space it took."""
    # In a process of its own: workers started from here would import TensorFlow first.
    words = [sys.executable, str(ROOT / "processing.py"), "--workers", "1", "--save-path", str(out)]
    words += ["--capture-sec", str(capture_sec), "--location", *map(str, locations)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    rows = [row for row in read_manifest(out).values() if row["status"] == "ok"]
    frames = sum(int(row["frames_read"]) for row in rows)
    crops = [crop.stat().st_size for crop in out.glob("*/*.jpeg")]
    return {
        "extraction, ms a frame": 1e3 * sum(float(row["seconds"]) for row in rows) / frames,
        "crop, KB": sum(crops) / len(crops) / 1e3,
    }


def read_clips(faces: Path) -> dict[str, float]:
    """Read augmented clips, as training does; return how many per second."""
    settings = TrainSettings()
    videos = list_faces(faces)
    batch_size = min(settings.batch_size, 2 * min(count_of(videos, 0), count_of(videos, 1)))
    dataset = build_dataset(
        videos=videos,
        img_size=(settings.img_size, settings.img_size),
        num_frames=settings.num_frames,
        batch_size=batch_size,
        self_blend=settings.self_blend,
        training=True,
    )
    batches = iter(dataset)
    next(batches)
    started = time.perf_counter()
    for _ in range(STEPS):
        next(batches)
    return {"clips a second read": STEPS * batch_size / (time.perf_counter() - started)}


def count_of(videos: Sequence[FaceTrack], label: int) -> int:
    return sum(video.label == label for video in videos)


def train_steps() -> dict[str, float]:
    """Train the default network on clips in memory; return its speed and its size."""
    settings = TrainSettings()
    stage = Stage(Path(), settings, {}, settings.initial)
    trainer = build_trainer(stage, tf.distribute.MirroredStrategy(), "float32", STEPS)
    size = settings.img_size
    shape = (settings.batch_size, settings.num_frames, size, size, 3)
    clips = tf.cast(tf.random.uniform(shape, maxval=256, dtype=tf.int32), tf.uint8)
    labels = tf.constant([[0.0], [1.0]] * (settings.batch_size // 2))
    training = tf.data.Dataset.from_tensors((clips, labels)).repeat()
    validation = tf.data.Dataset.from_tensors((clips, labels, tf.ones_like(labels)))
    # The first epoch traces the step.
    history = trainer.fit(training, validation, epochs=2, steps_per_epoch=STEPS, verbose=0)
    return {
        "clips a second trained": history[1]["clips_per_sec"],
        "weights": trainer.network.count_params(),
        "activations of a clip, MB": 4e-6
        * settings.num_frames
        * count_activations(trainer.network),
    }


def count_activations(network: keras.Model) -> int:
    """Return the number of activations of the frame encoder for one frame."""
    encoder = next(layer.layer for layer in network.layers if hasattr(layer, "layer"))
    return sum(math.prod(layer.output.shape[1:]) for layer in encoder.layers)


def projection(
    measured: Mapping[str, float], machines: int, args: argparse.Namespace
) -> list[tuple[str, str]]:
    """Return what the whole data set takes on N machines whose cores are like this one.

    It assumes that work spreads evenly: extraction shares nothing, a step only its gradients.
    """
    cores = machines * args.cores
    return [
        *extraction_rows(measured, cores, args.capture_sec),
        *training_rows(measured, machines, cores, args.epochs),
    ]


def extraction_rows(
    measured: Mapping[str, float], cores: int, capture_sec: float
) -> list[tuple[str, str]]:
    frames = VIDEOS * capture_sec * FPS
    hours = frames * measured["extraction, ms a frame"] / 3.6e6
    read_gb = TOTAL_GB * capture_sec / VIDEO_SEC
    crops_gb = frames * measured["crop, KB"] / 1e6
    return [
        ("extraction", f"{hours:,.0f} core-hours, {hours / cores:.1f} hours"),
        ("videos read", f"{read_gb:,.0f} GB, {read_gb / hours * cores / 3.6:,.0f} MB/s"),
        ("crops written", f"{crops_gb:,.0f} GB, {frames / 1e6:.1f} million files"),
    ]


def training_rows(
    measured: Mapping[str, float], machines: int, cores: int, epochs: int
) -> list[tuple[str, str]]:
    settings = TrainSettings()
    # An epoch of single frames has as many frames as one of clips has clips.
    clip_epochs = epochs + settings.frame_epochs / settings.num_frames
    clips = 2 * TRAIN_SHARE * REAL_VIDEOS * clip_epochs
    trained, read = measured["clips a second trained"], measured["clips a second read"]
    trained_hours, read_hours = clips / trained / 3600, clips / read / 3600
    clip_mb = settings.num_frames * measured["crop, KB"] / 1e3
    clips_per_sec = cores / (1 / trained + 1 / read)
    gradients_mb = 2 * (machines - 1) / machines * 4e-6 * measured["weights"]
    steps_per_sec = clips_per_sec / settings.batch_size / machines
    memory_gb = (16e-9 * measured["weights"]) + 2e-3 * 64 * measured["activations of a clip, MB"]
    return [
        (
            f"training, {epochs} epochs, {settings.frame_epochs} of single frames",
            f"{clips:,.0f} clips",
        ),
        ("  steps", f"{trained_hours:,.1f} core-hours"),
        ("  reading clips", f"{read_hours:,.1f} core-hours"),
        ("  together", f"{(trained_hours + read_hours) / cores:.2f} hours"),
        ("  crops read", f"{clips_per_sec * clip_mb:,.0f} MB/s"),
        ("  gradients between machines", f"{gradients_mb * steps_per_sec:.1f} MB/s each"),
        ("  cores that feed 1,000 clips a second", f"{1000 / read:.1f}"),
        ("  memory of a GPU, batch of 64", f"{memory_gb:.1f} GB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
