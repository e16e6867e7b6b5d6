"""What a training tells its user: the splits, the result, and charts of the history."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake_detector import __version__
from deepfake_detector.console import counted, print_table
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos
from deepfake_detector.face_dataset.splits import LEFT_OUT, SPLITS, what_is_known
from deepfake_detector.pages import save_figure
from deepfake_detector.scoring.trained_model import MODEL_NAME, read_model_settings
from deepfake_detector.training.callbacks import MONITOR
from deepfake_detector.training.run_folder import read_history
from deepfake_detector.training.settings import FRAMES_FOLDER

History = Sequence[Mapping[str, float]]
BOTH = {"training": "", "validation (held-out originals)": "val_"}
CHARTS = {
    "acc_per_epoch": ("accuracy at 0.5", {name: f"{of}accuracy" for name, of in BOTH.items()}),
    "loss_per_epoch": ("log loss", {name: f"{of}loss" for name, of in BOTH.items()}),
    "time_per_epoch": ("time in seconds", {"training and validation": "seconds"}),
}


def print_splits(splits: Mapping[str, Sequence[FaceTrack]]) -> None:
    """Print how many videos, originals and people each split has, and how many are left out."""
    rows = []
    for split in SPLITS:
        tracks = splits[split]
        real, fake = (
            count_videos(track for track in tracks if track.label == label) for label in (0, 1)
        )
        originals = counted(len({track.source_group for track in tracks}), "original")
        text = f"{real} real, {fake} fake, {originals}"
        people = {person for track in tracks for person in track.people}
        if people:
            text += f", {counted(len(people), 'person', 'people')}"
        rows.append((split, text))
    claim, warning = what_is_known([track for split in SPLITS for track in splits[split]])
    print_table(f"videos by split; {claim}", rows)
    if warning:
        print(f"note: {warning}; a videos.csv can say it, see docs/data.md")
    left_out = count_videos(splits[LEFT_OUT])
    if left_out:
        print(f"{counted(left_out, 'video')} left out: people of two splits are on them")
        if any(track.split != "train" for split in SPLITS for track in splits[split]):
            print(
                "--ignore-official-split splits all videos at random, also those whose split the "
                "metadata names"
            )


def print_result(out: Path, history: History, run_settings: Mapping) -> None:
    """Write the charts of a finished training, and print its best epoch and where to find it."""
    best, of_frames = best_epoch(history), history_of_frames(out, run_settings, history)
    calibration = run_settings["calibration"]
    versions = f"{tf.__version__}, {keras.__version__}, {platform.python_version()}"
    epochs = f"{len(of_frames)} of single frames, then " if of_frames else ""
    rows = [
        ("epochs", f"{epochs}{len(history)} of clips"),
        ("best epoch of clips", str(best["epoch"])),
        ("validation log loss", f"{best['val_loss']:.4f}"),
        ("validation accuracy", f"{best['val_accuracy']:.4f}"),
        ("validation AUC", f"{best['val_auc']:.4f}"),
        (
            "calibration of the logits",
            calibration.get("reason")
            or f"slope {calibration['slope']:.3f}, offset {calibration['offset']:.3f}",
        ),
        *(
            (f"operating point {name}", _operating_point(point))
            for name, point in run_settings["operating_points"].items()
        ),
        ("seconds", f"{seconds_of([*of_frames, *history]):.0f}"),
        ("TensorFlow, Keras, Python", versions),
        ("model", str(out / MODEL_NAME)),
        *(("chart", str(path)) for path in write_charts(out, history, of_frames)),
    ]
    print_table("trained", rows)


def summary(out: Path, history: History) -> dict:
    """Return what --json-summary prints."""
    settings = read_model_settings(out / MODEL_NAME)
    of_frames = history_of_frames(out, settings, history)
    return {
        "version": __version__,
        "model": str(out / MODEL_NAME),
        "frame_epochs": len(of_frames),
        "epochs": len(history),
        "best": best_epoch(history),
        "seconds": round(seconds_of([*of_frames, *history]), 2),
        "calibration": settings["calibration"],
        "operating_points": settings["operating_points"],
    }


def history_of_frames(out: Path, run_settings: Mapping, of_clips: History) -> History:
    """Return the metrics per epoch of the training on single frames before that on clips; none
    where there was no such training, or where its history.csv is damaged."""
    if not run_settings["training"].get("frame_epochs"):  # earlier versions had no such stage
        return []
    found = read_history(out / FRAMES_FOLDER)
    return found if all(epoch.keys() >= of_clips[0].keys() for epoch in found) else []


def best_epoch(history: History) -> Mapping[str, float]:
    """Return the metrics of the epoch with the lowest validation loss, the first one of equals."""
    return min(history, key=lambda epoch: epoch[MONITOR])


def seconds_of(history: History) -> float:
    """Return how long the epochs took."""
    return sum(epoch["seconds"] for epoch in history)


def _operating_point(point: Mapping) -> str:
    if point["threshold"] is None:
        return point["reason"]
    names = ("false positive rate", "false negative rate")
    known = {name: point[name.replace(" ", "_")] for name in names}  # None without a video
    rates = [f"{name} {rate:.0%}" for name, rate in known.items() if rate is not None]
    return f"{point['threshold']:.3f}: {', '.join(rates) or 'no validation video'}"


def write_charts(out: Path, history: History, of_frames: History = ()) -> list[Path]:
    """Write charts of accuracy, loss and time per epoch and return their paths. They show the
    epochs of single frames, `of_frames`, before those of clips, `history`."""
    both = [*of_frames, *history]
    return [
        save_figure(
            curves_chart(
                label,
                {name: [epoch[key] for epoch in both] for name, key in curves.items()},
                len(of_frames),
            ),
            out / "charts" / f"{chart}.png",
        )
        for chart, (label, curves) in CHARTS.items()
    ]


def curves_chart(
    label: str, curves: Mapping[str, Sequence[float]], num_frame_epochs: int = 0
) -> Figure:
    """Return a chart with a line for each of the curves, over the epochs from 1 on.

    The first `num_frame_epochs` are of single frames. They are parted from those of clips, which
    have metrics of another kind.
    """
    figure = Figure(figsize=(7, 4.5))
    axes = figure.add_subplot()
    for name, values in curves.items():
        # Markers keep a training of a single epoch from being an empty chart.
        epochs, last = range(1, len(values) + 1), num_frame_epochs
        (of_clips,) = axes.plot(epochs[last:], values[last:], marker="o", markersize=3, label=name)
        if num_frame_epochs:
            axes.plot(
                epochs[:last], values[:last], marker="o", markersize=3, color=of_clips.get_color()
            )
    axes.set(title=f"{label} per epoch", xlabel="epoch", ylabel=label)
    if num_frame_epochs:
        axes.axvline(num_frame_epochs + 0.5, color="grey", linewidth=1, linestyle="--")
        axes.set_xlabel("epoch: single frames, then clips (right of the line)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
