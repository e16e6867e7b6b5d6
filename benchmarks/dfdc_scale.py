"""What all 119,000 videos of DFDC take: measured here per video and per clip, then multiplied.

    python -m benchmarks.dfdc_scale                          on 1080p videos it draws
    python -m benchmarks.dfdc_scale --videos DIR ...         on yours, in a layout we know
    python -m benchmarks.dfdc_scale --machines 8 --cores 16 --epochs 40

Three things are measured with one core each: the seconds of extraction per frame, the clips a
second out of the pipeline, and the seconds of a training step. Everything else is calculated from
these and the sizes of the data set, as the table says. docs/scale.md has the figures in words.
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

import keras

from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.manifest import read_manifest
from deepfake_detector.training.settings import TrainSettings
from sample_data import make_sample_set
from train import build_trainer

ROOT = Path(__file__).parents[1]


with quiet_tensorflow():
    import tensorflow as tf

    import data_pipeline


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
    add("--videos", type=Path, nargs="+", metavar="DIR", help="video folders (drawn)")
    add("--machines", type=int, default=8, help="machines of the second column (%(default)s)")
    add("--cores", type=int, default=16, help="cores of a machine (%(default)s)")
    add("--capture-sec", type=float, default=5.0, help="seconds of each video (%(default)s)")
    add("--epochs", type=int, default=TrainSettings.epochs, help="epochs (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, whoever asks for threads
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        locations = args.videos or [draw(work / "videos")]
        measured = extract(locations, work / "faces", args.capture_sec)
        measured |= read_clips(work / "faces")
    measured |= train_steps()
    print_table("measured, on one core", [(name, f"{v:,.4g}") for name, v in measured.items()])
    for machines in (1, args.machines):
        title = f"calculated for {VIDEOS:,} videos on {machines} x {args.cores} such cores"
        print_table(title, projection(measured, machines, args))
    return 0


def draw(folder: Path) -> Path:
    """Draw two people at 1080p, real and fake; the codec is what OpenCV can write, MPEG-4."""
    make_sample_set(folder, num_people=2, seconds=2.0, fps=30, frame_size=1080)
    return folder


def extract(locations: Sequence[Path], out: Path, capture_sec: float) -> dict[str, float]:
    """Extract the faces of all videos, one at a time; return what that took."""
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
    """Take augmented clips out of the pipeline, as training does; return how many a second."""
    settings = TrainSettings()
    videos = list_faces(faces)
    batch_size = min(settings.batch_size, 2 * min(count_of(videos, 0), count_of(videos, 1)))
    dataset = data_pipeline.build_dataset(
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
    """Train the default network on clips that are in memory already; return what a step takes."""
    settings = TrainSettings()
    trainer = build_trainer(settings, tf.distribute.MirroredStrategy(), "float32", STEPS)
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
        "activations of a clip, MB": 4e-6 * settings.num_frames * values_of(trainer.network),
    }


def values_of(network: "keras.Model") -> int:
    """Return how many values the layers of the frame encoder give for a frame."""
    encoder = next(layer.layer for layer in network.layers if hasattr(layer, "layer"))
    return sum(math.prod(layer.output.shape[1:]) for layer in encoder.layers)


def projection(
    measured: Mapping[str, float], machines: int, args: argparse.Namespace
) -> list[tuple[str, str]]:
    """Return what the whole data set takes on so many machines whose cores are like this one.

    Work is taken to spread evenly: extraction shares nothing, and a step shares its gradients only.
    """
    cores, settings = machines * args.cores, TrainSettings()
    frames = VIDEOS * args.capture_sec * FPS
    extraction_hours = frames * measured["extraction, ms a frame"] / 3.6e6
    read_gb = TOTAL_GB * args.capture_sec / VIDEO_SEC
    crops_gb = frames * measured["crop, KB"] / 1e6
    # An epoch of single frames is so many frames, not clips.
    epochs = args.epochs + settings.frame_epochs / settings.num_frames
    clips = 2 * TRAIN_SHARE * REAL_VIDEOS * epochs
    trained_hours = clips / measured["clips a second trained"] / 3600
    read_hours = clips / measured["clips a second read"] / 3600
    clip_mb = settings.num_frames * measured["crop, KB"] / 1e3
    clips_per_sec = cores / (
        1 / measured["clips a second trained"] + 1 / measured["clips a second read"]
    )
    gradients_mb = 2 * (machines - 1) / machines * 4e-6 * measured["weights"]
    steps_per_sec = clips_per_sec / settings.batch_size / machines
    memory_gb = (16e-9 * measured["weights"]) + 2e-3 * 64 * measured["activations of a clip, MB"]
    return [
        ("extraction", f"{extraction_hours:,.0f} core-hours, {extraction_hours / cores:.1f} hours"),
        ("videos read", f"{read_gb:,.0f} GB, {read_gb / extraction_hours * cores / 3.6:,.0f} MB/s"),
        ("crops written", f"{crops_gb:,.0f} GB, {frames / 1e6:.1f} million files"),
        (
            f"training, {args.epochs} epochs, {settings.frame_epochs} of single frames",
            f"{clips:,.0f} clips",
        ),
        ("  steps", f"{trained_hours:,.1f} core-hours"),
        ("  reading clips", f"{read_hours:,.1f} core-hours"),
        ("  together", f"{(trained_hours + read_hours) / cores:.2f} hours"),
        ("  crops read", f"{clips_per_sec * clip_mb:,.0f} MB/s"),
        ("  gradients between machines", f"{gradients_mb * steps_per_sec:.1f} MB/s each"),
        ("  cores that feed 1,000 clips a second", f"{1000 / measured['clips a second read']:.1f}"),
        ("  memory of a GPU, batch of 64", f"{memory_gb:.1f} GB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
