"""What a training tells its user: the splits, the result, and charts of the history."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake_detector import __version__
from deepfake_detector.console import counted, print_table, say
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos
from deepfake_detector.face_dataset.splits import LEFT_OUT, SPLITS, what_is_known
from deepfake_detector.pages import save_figure
from deepfake_detector.scoring.calibration import operating_point
from deepfake_detector.scoring.trained_model import MODEL_NAME, read_model_settings
from deepfake_detector.training.callbacks import best_epoch
from deepfake_detector.training.run_folder import STATE_NAME, History, Splits, read_state
from deepfake_detector.training.settings import FRAMES_FOLDER, Stage
from deepfake_detector.videos.vocabulary import FAKE, REAL

CHARTS_FOLDER = "charts"  # in the run folder
BOTH = {"training": "", "validation (held-out originals)": "val_"}
CHARTS = {
    "acc_per_epoch": ("accuracy at 0.5", {name: f"{of}accuracy" for name, of in BOTH.items()}),
    "loss_per_epoch": ("log loss", {name: f"{of}loss" for name, of in BOTH.items()}),
    "time_per_epoch": ("time in seconds", {"training and validation": "seconds"}),
}


def print_splits(splits: Splits) -> None:
    """Print how many videos, originals and people each split has, and how many are left out."""
    tracks = [track for split in SPLITS for track in splits[split]]
    claim, warning = what_is_known(tracks)
    title = f"videos by split; {claim}"
    print_table(title, [(split, _counts(splits[split])) for split in SPLITS])
    if warning:
        print(f"note: {warning}; a videos.csv can say it, see docs/data.md")
    left_out = count_videos(splits[LEFT_OUT])
    if left_out:
        print(f"{counted(left_out, 'video')} left out: people of two splits are on them")
        if any(track.split != "train" for track in tracks):
            print(
                "--ignore-official-split splits all videos at random, also those whose split the "
                "metadata names"
            )


def _counts(tracks: Sequence[FaceTrack]) -> str:
    real, fake = (count_videos(t for t in tracks if t.label == label) for label in (0, 1))
    text = f"{real} real, {fake} fake, "
    text += counted(len({track.source_group for track in tracks}), "original")
    people = {person for track in tracks for person in track.people}
    return f"{text}, {counted(len(people), 'person', 'people')}" if people else text


def print_stage(stage: Stage, steps: int, epochs_done: int) -> None:
    """Print what is trained now, and with which epoch a stopped run continues."""
    settings = stage.settings
    kind = "single frames"
    if not stage.is_first:
        kind = f"clips of {counted(settings.num_frames, 'frame')}"
    say("")
    say(
        f"{kind}: {counted(settings.epochs, 'epoch')} of {counted(steps, 'step')}, "
        f"{settings.batch_size} a step, in {stage.folder}"
    )
    if 0 < epochs_done < settings.epochs:
        say(f"continues at epoch {epochs_done + 1}")


def print_result(out: Path, history: History, saved: Mapping) -> None:
    """Write the charts of a finished training, and print its best epoch and where to find it.

    `saved` is the settings.json of the run.
    """
    best, of_frames = best_epoch(history), frame_history(out)
    epochs = f"{len(of_frames)} of single frames, then " if of_frames else ""
    write_charts(out, history, of_frames)
    print_table(
        "trained",
        [
            ("epochs", f"{epochs}{len(history)} of clips, the best is {best['epoch']}"),
            ("validation log loss", f"{best['val_loss']:.3f} (guessing: 0.693)"),
            ("validation AUC", f"{best['val_auc']:.3f} (guessing: 0.5)"),
            ("validation accuracy", f"{best['val_accuracy']:.3f}"),
            ("calibration", _calibrated(saved["calibration"])),
            *_limits(saved),
            ("minutes", f"{_seconds_of([*of_frames, *history]) / 60:.1f}"),
            ("model", str(out / MODEL_NAME)),
            ("charts", str(out / CHARTS_FOLDER)),
        ],
    )


def _calibrated(calibration: Mapping) -> str:
    """Return how scores became probabilities."""
    if "reason" in calibration:
        return f"scores are not calibrated: {calibration['reason']}"
    count = sum(len(calibration[name]) for name in ("real_scores", "fake_scores"))
    return f"scores are calibrated on {counted(count, 'validation video')}"


def _limits(saved: Mapping) -> list[tuple[str, str]]:
    """Return which scores are FAKE and REAL, and how many validation videos have them wrongly."""
    point = operating_point(saved)
    limits = (
        (FAKE, f"a score of {point.fake_from:.3f} or more", point.false_positives, "real"),
        (REAL, f"a score below {point.real_below:.3f}", point.false_negatives, "fake"),
    )
    rows = []
    for verdict, limit, rate, label in limits:
        if rate:
            limit += f", as {rate.errors} of {rate.videos} {label} validation videos have"
        rows.append((verdict, limit))
    return rows


def summary(out: Path, history: History) -> dict:
    """Return what --json-summary prints."""
    saved, of_frames = read_model_settings(out / MODEL_NAME), frame_history(out)
    return {
        "version": __version__,
        "model": str(out / MODEL_NAME),
        "frame_epochs": len(of_frames),
        "epochs": len(history),
        "best": best_epoch(history),
        "seconds": round(_seconds_of([*of_frames, *history]), 2),
        "calibration": saved["calibration"],
        "operating_point": saved["operating_point"],
    }


def frame_history(out: Path) -> History:
    """Return the metrics per epoch of the training on single frames before that on clips; none if
    there was no such training."""
    folder = out / FRAMES_FOLDER
    return read_state(folder)[0].history if (folder / STATE_NAME).exists() else []


def _seconds_of(history: History) -> float:
    return sum(epoch["seconds"] for epoch in history)


def write_charts(out: Path, history: History, of_frames: History) -> None:
    """Write charts of accuracy, loss and time per epoch. They show the epochs of single frames,
    `of_frames`, before those of clips, `history`."""
    epochs = [*of_frames, *history]
    for chart, (label, curves) in CHARTS.items():
        values = {name: [epoch[key] for epoch in epochs] for name, key in curves.items()}
        figure = curves_chart(label, values, len(of_frames))
        save_figure(figure, out / CHARTS_FOLDER / f"{chart}.png")


def curves_chart(
    label: str, curves: Mapping[str, Sequence[float]], num_frame_epochs: int = 0
) -> Figure:
    """Return a chart with a line for each of the curves, over the epochs from 1 on.

    A dashed line separates the first `num_frame_epochs` of single frames from those of clips, whose
    metrics are not comparable.
    """
    figure = Figure(figsize=(7, 4.5))
    axes = figure.add_subplot()
    axes.set(title=f"{label} per epoch", xlabel="epoch", ylabel=label)
    for number, (name, values) in enumerate(curves.items()):
        epochs, last = range(1, len(values) + 1), num_frame_epochs
        # Markers keep a training of a single epoch from being an empty chart.
        axes.plot(epochs[last:], values[last:], f"C{number}.-", label=name)
        axes.plot(epochs[:last], values[:last], f"C{number}.-")
    if num_frame_epochs:
        axes.axvline(num_frame_epochs + 0.5, color="grey", linewidth=1, linestyle="--")
        axes.set_xlabel("epoch: single frames, then clips (right of the line)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
