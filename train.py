"""Trains the detector on a folder of faces, under MirroredStrategy over all GPUs or the CPU.

Goes in: what processing.py wrote. Comes out, in the run folder:

    model.keras      the best epoch by validation loss; opens with tf.keras.models.load_model
    settings.json    what the model expects: face settings, frames, image size, label, threshold
    split.json       which videos were trained on, validated on, held out and left out
    history.csv      loss, accuracy, AUC, learning rate and seconds of every epoch
    charts/          acc_per_epoch.png  loss_per_epoch.png  time_per_epoch.png

    python train.py --data faces --out run --epochs 40

The split is by original and, where the metadata names them, by people: a video, everything made
from it and everybody in it stay on one side. Each face of a video is trained on as a clip of its
own, with the label of the video.
"""

import argparse
import csv
import json
import math
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from console import UserError, command, print_table, quiet_tensorflow

with quiet_tensorflow():
    import tensorflow as tf

    import data_pipeline
    import model as networks

import charts
import faces_folder
import splits

keras = tf.keras
MODEL_NAME, SPLIT_NAME, HISTORY_NAME = "model.keras", "split.json", "history.csv"
SETTINGS_NAME = faces_folder.SETTINGS_NAME
MONITOR = "val_loss"


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training depends on besides the faces."""

    architecture: str = "small"
    epochs: int = 40
    batch_size: int = 8  # clips in a step, over all devices together
    num_frames: int = 8  # in a clip, spread over the video
    img_size: int = 128  # side of a face in pixels, as the network sees it
    learning_rate: float = 1e-3  # highest value of the schedule
    patience: int = 12  # epochs without a better validation before it stops
    validation_share: float = 0.15
    test_share: float = 0.15
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch_size", "num_frames", "img_size", "learning_rate", "patience"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not (0 < self.validation_share < 1 and 0 <= self.test_share < 1):
            raise UserError(
                f"validation_share is {self.validation_share} and test_share {self.test_share}; "
                "the first must lie between 0 and 1, the second may also be 0"
            )


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of faces")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="run folder")
    helps = {
        "architecture": f"network: {', '.join(networks.ARCHITECTURES)}",
        "epochs": "most epochs; it stops earlier when validation no longer improves",
        "batch_size": "clips in a step, over all devices together",
        "num_frames": "frames in a clip, spread over the video",
        "img_size": "side of a face in pixels, as the network sees it",
        "learning_rate": "highest value of the schedule",
        "patience": "epochs without a better validation before it stops",
        "validation_share": "share of the videos that chooses the best epoch",
        "test_share": "share of the videos held out for evaluate.py",
        "seed": "draws the split, the order, the first weights and the augmentation",
    }
    for name, default in asdict(TrainSettings()).items():
        choices = sorted(networks.ARCHITECTURES) if name == "architecture" else None
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            choices=choices,
            help=f"{helps[name]} (%(default)s)",
        )
    parser.add_argument(
        "--ignore-marks",
        action="store_true",
        help="draw all parts, also those that the metadata marks",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a finished run")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = vars(main_arguments().parse_args(argv))
    data, out, overwrite = args.pop("data"), args.pop("out"), args.pop("overwrite")
    ignore_marks = args.pop("ignore_marks")
    settings = TrainSettings(**args)
    faces = splits.list_faces(data)
    if ignore_marks:
        faces = splits.without_marks(faces)
    face_settings = faces_folder.read_settings(data)
    parts = splits.split(faces, settings.validation_share, settings.test_share, settings.seed)
    stored = run_settings(settings, face_settings)
    if not overwrite and is_finished(out, stored, parts):
        print(f"{out} holds this very run already; --overwrite trains it again")
        return 0
    print_parts(parts)
    history = train(parts, out, stored, settings)
    print_result(out, history, write_charts(out, history))
    return 0


def run_settings(settings: TrainSettings, face_settings: Mapping) -> dict:
    """Return what stands in the settings.json beside a model; evaluate.py reads it back."""
    return {
        "contract": 1,
        "faces": dict(face_settings),
        "num_frames": settings.num_frames,
        "img_size": [settings.img_size, settings.img_size],
        "label": {"0": "REAL", "1": "FAKE"},
        "score": "P(fake), 0..1",
        "threshold": 0.5,
        "training": asdict(settings),
        "versions": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def is_finished(out: Path, stored: Mapping, parts: Mapping[str, Sequence]) -> bool:
    """Say whether `out` holds a finished run of the same settings on the same videos.

    Raises UserError where it holds another one, which must not be overwritten by accident.
    """
    if not (out / HISTORY_NAME).exists():
        return False
    try:
        old = json.loads((out / SETTINGS_NAME).read_text(encoding="utf-8"))
        # Runs of before people were kept apart left nothing out.
        names = {splits.LEFT_OUT: []}
        names |= json.loads((out / SPLIT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        old, names = {}, {}
    # Another TensorFlow would not give the very same weights, but it is still this run.
    compared = [name for name in stored if name != "versions"]
    different = [name for name in compared if stored[name] != old.get(name)]
    if names != split_names(parts):
        different.append("the videos")
    if different:
        raise UserError(
            f"{out} holds a finished run that differs in {', '.join(different)}; give another "
            "--out, or --overwrite to replace it"
        )
    return True


def split_names(parts: Mapping[str, Sequence]) -> dict[str, list[str]]:
    return {part: [video.name for video in videos] for part, videos in parts.items()}


def train(
    parts: Mapping[str, Sequence[splits.FaceVideo]],
    out: Path,
    stored: Mapping,
    settings: TrainSettings,
    strategy: "tf.distribute.Strategy | None" = None,
) -> list[dict[str, float]]:
    """Train, write the run folder except its charts, and return the history, a dict per epoch.

    `strategy` is MirroredStrategy over all visible GPUs, or the CPU, unless another is given.
    Raises UserError where the videos do not make a batch or the batch does not suit the devices.
    """
    keras.utils.set_random_seed(settings.seed)
    strategy = strategy or tf.distribute.MirroredStrategy()
    check_batch(settings.batch_size, strategy.num_replicas_in_sync)
    training, validation = build_datasets(parts, settings)
    steps_per_epoch = data_pipeline.steps_per_epoch(parts["train"], settings.batch_size)
    with strategy.scope():
        network = networks.build_model(
            settings.num_frames, (settings.img_size, settings.img_size), settings.architecture
        )
        # Trains the same layers without a copy of the encoder for each frame, see model.py.
        folded = networks.fold_time(network)
        compile_model(folded, settings, steps_per_epoch)

    begin_run(out, stored, parts)
    log = EpochLog()
    folded.fit(
        training,
        validation_data=validation,
        epochs=settings.epochs,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,  # the pipeline does it
        # A bar on a terminal, a line per epoch in a log file.
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            log,
            BestModel(network, out / MODEL_NAME),
            keras.callbacks.EarlyStopping(MONITOR, patience=settings.patience),
        ],
    )
    write_history(out / HISTORY_NAME, log.history)
    return log.history


def build_datasets(
    parts: Mapping[str, Sequence[splits.FaceVideo]], settings: TrainSettings
) -> tuple["tf.data.Dataset", "tf.data.Dataset"]:
    """Return the clips of training and of validation, in which both classes count the same."""
    options = {
        "img_size": (settings.img_size, settings.img_size),
        "num_frames": settings.num_frames,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
    }
    training = data_pipeline.build_dataset(videos=parts["train"], training=True, **options)
    validation = data_pipeline.build_dataset(
        videos=parts["validation"], equal_classes=True, **options
    )
    return training, validation


def begin_run(out: Path, stored: Mapping, parts: Mapping[str, Sequence]) -> None:
    """Make the run folder with its settings and split, without what says that it is finished."""
    out.mkdir(parents=True, exist_ok=True)
    (out / HISTORY_NAME).unlink(missing_ok=True)
    faces_folder.write_text(out / SETTINGS_NAME, json.dumps(dict(stored), indent=1) + "\n")
    faces_folder.write_text(out / SPLIT_NAME, json.dumps(split_names(parts), indent=1) + "\n")


def check_batch(batch_size: int, num_replicas: int) -> None:
    """Raise UserError where a batch cannot be shared out evenly: Keras fails on a rest."""
    if batch_size % num_replicas:
        raise UserError(
            f"a batch of {batch_size} clips cannot be shared out evenly to {num_replicas} devices; "
            f"give a batch size that is a multiple of {num_replicas}"
        )


def compile_model(model: "keras.Model", settings: TrainSettings, steps_per_epoch: int) -> None:
    """Compile for the whole length of the run: a short warm-up, then half a cosine down to 1 %."""
    steps = settings.epochs * steps_per_epoch
    warm_up = min(2 * steps_per_epoch, steps // 5)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * 0.1,
        decay_steps=max(1, steps - warm_up),
        alpha=0.1,  # of the first value, so 1 % of the highest
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4, clipnorm=1.0),
        loss="binary_crossentropy",
        weighted_metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy"),
            keras.metrics.AUC(name="auc"),
        ],
    )


class EpochLog(keras.callbacks.Callback):
    """Adds the seconds and the learning rate to each epoch's figures and keeps them all."""

    def __init__(self):
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._started = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        figures = {name: float(value) for name, value in (logs or {}).items()}
        figures["learning_rate"] = float(self.model.optimizer.learning_rate)
        figures["seconds"] = time.perf_counter() - self._started
        self.history.append({"epoch": epoch + 1, **figures})


class BestModel(keras.callbacks.Callback):
    """Saves `network`, which shares its layers with the trained model, at its best epoch."""

    def __init__(self, network: "keras.Model", path: Path):
        super().__init__()
        self._network, self._path = network, path
        self._best = math.inf

    def on_epoch_end(self, epoch, logs=None):
        if logs[MONITOR] < self._best:
            self._best = logs[MONITOR]
            partial = self._path.with_name(f".partial.{self._path.name}")
            self._network.save(partial)
            partial.replace(self._path)


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, history[0].keys())
        table.writeheader()
        table.writerows(history)
    partial.replace(path)


def write_charts(out: Path, history: Sequence[Mapping[str, float]]) -> list[Path]:
    """Draw accuracy, loss and time per epoch and return the paths."""
    written = []
    for name, key, label in (
        ("acc_per_epoch", "accuracy", "accuracy at 0.5"),
        ("loss_per_epoch", "loss", "log loss"),
    ):
        curves = {
            "training": [figures[key] for figures in history],
            "validation (held-out originals)": [figures[f"val_{key}"] for figures in history],
        }
        path = out / "charts" / f"{name}.png"
        written.append(charts.curves_chart(path, f"{label} per epoch", label, curves))
    seconds = {"training and validation": [figures["seconds"] for figures in history]}
    path = out / "charts" / "time_per_epoch.png"
    return [*written, charts.curves_chart(path, "time per epoch", "seconds", seconds)]


def print_parts(parts: Mapping[str, Sequence[splits.FaceVideo]]) -> None:
    rows = []
    for part in splits.PARTS:
        counts = [
            splits.count_videos(video for video in parts[part] if video.label == label)
            for label in (0, 1)
        ]
        text = f"{counts[0]} real, {counts[1]} fake"
        text += f", {len({video.family for video in parts[part]})} originals"
        people = {person for video in parts[part] for person in video.people}
        if people:
            text += f", {len(people)} people"
        rows.append((part, text))
    print_table("videos by part; no original and no person is in two of them", rows)
    left_out = splits.count_videos(parts[splits.LEFT_OUT])
    if left_out:
        print(f"{left_out:,} videos join people of two parts and are left out")
        if any(video.split != "train" for part in splits.PARTS for video in parts[part]):
            print("--ignore-marks draws all parts anew, also those that the metadata marks")


def print_result(
    out: Path, history: Sequence[Mapping[str, float]], written: Sequence[Path]
) -> None:
    best = min(history, key=lambda figures: figures[MONITOR])
    seconds = sum(figures["seconds"] for figures in history)
    rows = [
        ("best epoch", f"{best['epoch']} of {len(history)}"),
        ("validation log loss", f"{best['val_loss']:.4f}"),
        ("validation accuracy", f"{best['val_accuracy']:.4f}"),
        ("validation AUC", f"{best['val_auc']:.4f}"),
        ("seconds", f"{seconds:.0f}"),
        (
            "TensorFlow, Keras, Python",
            f"{tf.__version__}, {keras.__version__}, {platform.python_version()}",
        ),
        ("model", str(out / MODEL_NAME)),
    ]
    rows += [("chart", str(path)) for path in written]
    print_table("trained", rows)


if __name__ == "__main__":
    sys.exit(main())
