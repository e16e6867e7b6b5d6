"""To be written."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake_detector.charts import save_figure
from deepfake_detector.console import print_table
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos
from deepfake_detector.face_dataset.splits import LEFT_OUT, SPLITS
from deepfake_detector.scoring import calibration, trained_model
from deepfake_detector.training.callbacks import MONITOR


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
        written.append(curves_chart(path, f"{label} per epoch", label, curves))
    seconds = {"training and validation": [figures["seconds"] for figures in history]}
    path = out / "charts" / "time_per_epoch.png"
    return [*written, curves_chart(path, "time per epoch", "seconds", seconds)]


def print_parts(parts: Mapping[str, Sequence[FaceTrack]]) -> None:
    rows = []
    for part in SPLITS:
        counts = [
            count_videos(video for video in parts[part] if video.label == label) for label in (0, 1)
        ]
        text = f"{counts[0]} real, {counts[1]} fake"
        text += f", {len({video.source_group for video in parts[part]})} originals"
        people = {person for video in parts[part] for person in video.people}
        if people:
            text += f", {len(people)} people"
        rows.append((part, text))
    print_table("videos by part; no original and no person is in two of them", rows)
    left_out = count_videos(parts[LEFT_OUT])
    if left_out:
        print(f"{left_out:,} videos join people of two parts and are left out")
        if any(video.split != "train" for part in SPLITS for video in parts[part]):
            print("--ignore-marks draws all parts anew, also those that the metadata marks")


def print_result(
    out: Path,
    history: Sequence[Mapping[str, float]],
    settings: Mapping,
    written: Sequence[Path],
) -> None:
    best = min(history, key=lambda figures: figures[MONITOR])
    seconds = sum(figures["seconds"] for figures in history)
    temperature = settings["calibration"]["temperature"]
    rows = [
        ("best epoch", f"{best['epoch']} of {len(history)}"),
        ("validation log loss", f"{best['val_loss']:.4f}"),
        ("validation accuracy", f"{best['val_accuracy']:.4f}"),
        ("validation AUC", f"{best['val_auc']:.4f}"),
        (
            "temperature of the scores",
            settings["calibration"]["reason"] if temperature is None else f"{temperature:.3f}",
        ),
        *(
            (f"operating point {name}", _shown(p))
            for name, p in calibration.operating_points(settings).items()
        ),
        ("seconds", f"{seconds:.0f}"),
        (
            "TensorFlow, Keras, Python",
            f"{tf.__version__}, {keras.__version__}, {platform.python_version()}",
        ),
        ("model", str(out / trained_model.MODEL_NAME)),
    ]
    rows += [("chart", str(path)) for path in written]
    print_table("trained", rows)


def summary(out: Path, history: Sequence[Mapping[str, float]]) -> dict:
    """Return what --json-summary prints."""
    settings = trained_model.read_model_settings(out / trained_model.MODEL_NAME)
    return {
        "model": str(out / trained_model.MODEL_NAME),
        "epochs": len(history),
        "best": min(history, key=lambda figures: figures[MONITOR]),
        "seconds": round(sum(figures["seconds"] for figures in history), 2),
        "calibration": settings["calibration"],
        "operating_points": calibration.operating_points(settings),
    }


def _shown(point: Mapping) -> str:
    if point["threshold"] is None:
        return point["reason"]
    return (
        f"{point['threshold']:.3f}: false positive rate {point['false_positive_rate']:.0%}, "
        f"false negative rate {point['false_negative_rate']:.0%}"
    )


def curves_chart(
    path: Path, title: str, y_label: str, curves: Mapping[str, Sequence[float]]
) -> Path:
    """Draw one line per curve over the epochs, from 1 on, and return the path written."""
    figure = Figure(figsize=(7, 4.5))
    axes = figure.add_subplot()
    for name, values in curves.items():
        # Markers keep a training of a single epoch from being an empty chart.
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel="epoch", ylabel=y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return save_figure(figure, path)
