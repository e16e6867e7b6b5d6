"""The run folder: what a training leaves behind, and what it needs to go on where it stopped.

    model.keras      the best epoch by validation loss; opens with keras.models.load_model
    settings.json    what the model expects, and what its scores mean
    split.json       which videos were trained on, validated on, held out and left out
    history.csv      a row per epoch
    checkpoints/     state.npz: weights, optimizer and progress, to go on from after a stop
    .lock            of the current run

Every file is written under another name and renamed: whoever kills a run, at whatever moment, finds
each of them whole. The state is the last file that is written for an epoch, so a run that goes on
repeats what is not in its state.
"""

import contextlib
import csv
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from deepfake_detector.console import UserError, reason_of
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    differing_names,
    setting_differences,
)
from deepfake_detector.files import LOCK_NAME, check_output, write_text, written_whole
from deepfake_detector.scoring.trained_model import MODEL_NAME, SPLIT_NAME
from deepfake_detector.training.loop import Progress, Trainer

HISTORY_NAME = "history.csv"
STATE_NAME = "checkpoints/state.npz"
STATE_CONTRACT = 1
# Another TensorFlow would not give identical weights, but it is still this run. The videos are
# compared by their names, numbers of frames and pixels as settings of the training.
NOT_COMPARED = {"training", "version", "versions", "faces", "trained_on", "num_frames", "img_size"}


@dataclass
class RunState:
    """What a run has to know about itself in order to go on, next to its variables."""

    epochs: int  # that it was asked for
    precision: str  # of the arithmetic
    progress: Progress = field(default_factory=Progress)
    extended_after: int = 0  # last epoch of a finished run that was asked for more epochs
    finished: bool = False  # until it is asked for more epochs
    # What settings.json and split.json were begun with; {} in states of earlier versions.
    run_settings: Mapping = field(default_factory=dict)
    split_names: Mapping = field(default_factory=dict)

    def go_on(self, epochs: int, precision: str) -> None:
        """Note how many epochs it is asked for now; raises UserError for another precision."""
        if precision != self.precision:
            raise UserError(
                f"the run was begun in {self.precision}, here it would be {precision}; give "
                f"--precision {self.precision}, or --overwrite to train again"
            )
        if self.finished:
            self.extended_after = self.progress.epoch
        self.epochs, self.finished = epochs, False


def check_folder(out: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise UserError if the run folder cannot be written, or holds something else than a run."""
    check_output(
        "--out", out, inputs, lambda folder: (folder / STATE_NAME).exists() or (
            "training" in read_object(folder / SETTINGS_NAME)), is_folder=True,
        overwrite=overwrite,
    )  # fmt: skip


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Keep other runs out of the folder meanwhile; raises UserError while another one is in it."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK_NAME, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{out} is being trained by another process; give another --out") from None
    try:
        yield
    finally:
        lock.release()


def holds_run(
    out: Path,
    run_settings: Mapping,
    splits: Mapping[str, Sequence[FaceTrack]],
    of_frames: bool = False,
) -> bool:
    """Say whether `out` holds a run of the same settings on the same videos, finished or not.

    More epochs than it was begun with are the same run. Raises UserError where it holds another
    one, which must not be overwritten by accident; `of_frames` says that it is the training on
    single frames before that on clips.
    """
    if not (out / STATE_NAME).exists():
        if (out / HISTORY_NAME).exists():
            raise UserError(
                f"{out} holds a run without {STATE_NAME}, which cannot go on; give another --out, "
                "or --overwrite to replace it"
            )
        return False
    saved, saved_names = _saved_or_in_state(out)
    differences = _run_differences(saved, run_settings, of_frames)
    if saved_names != split_names(splits):
        differences.append("other videos")
    if differences:
        raise UserError(
            f"{out} holds another run, with {', '.join(differences)}; give another --out, or "
            "--overwrite to replace it"
        )
    return True


def _saved_or_in_state(out: Path) -> tuple[dict, dict]:
    """Return what settings.json and split.json hold, or where one of them is missing or damaged,
    what the state of the run says that it held; raises UserError where that is not known."""
    saved, saved_names = (read_object(out / name) for name in (SETTINGS_NAME, SPLIT_NAME))
    if holds_objects(saved, "training", "faces") and saved_names:
        return saved, saved_names
    state, _ = read_state(out)
    if not state.run_settings:
        missing = SPLIT_NAME if holds_objects(saved, "training", "faces") else SETTINGS_NAME
        raise UserError(
            f"{out / missing} is missing or damaged, and without it nobody can say whether this is "
            "the same run; put it back, give another --out, or --overwrite to train again"
        )
    return dict(state.run_settings), saved_names or dict(state.split_names)


def read_object(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def holds_objects(saved: Mapping, *names: str) -> bool:
    return all(isinstance(saved.get(name), dict) for name in names)


def read_history(out: Path) -> list[dict[str, float]]:
    """Return the metrics of each epoch in history.csv; none where it is missing or damaged."""
    try:
        with (out / HISTORY_NAME).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restkey="", restval=""))
        return [{name: float(value) for name, value in row.items()} for row in rows]
    except (OSError, ValueError, TypeError, csv.Error):
        return []


def _run_differences(saved: Mapping, wanted: Mapping, of_frames: bool) -> list[str]:
    """Return what differs between a saved settings.json and the one of this run, in words."""
    old, new = dict(saved["training"]), wanted["training"]
    if new["epochs"] > old.get("epochs", 0) > 0:
        old["epochs"] = new["epochs"]
    if of_frames:
        old, new = _as_given(old), _as_given(new)
    differences = list(filter(None, [setting_differences(old, new)]))
    compared = [name for name in wanted if name not in NOT_COMPARED]
    if differing_names(saved.get("faces", {}), wanted["faces"]):
        differences.append("other faces")
    return differences + [f"another {n}" for n in compared if wanted[n] != saved.get(n)]


def _as_given(training: Mapping) -> dict:
    """Return the settings of a training on single frames under the names that the user knows."""
    derived = {"epochs", "frame_epochs", "patience", "num_frames"}
    given = {name: value for name, value in training.items() if name not in derived}
    return {**given, "frame_epochs": training.get("epochs")}


def check_agreement(
    trainer: Trainer, run_settings: Mapping, splits: Mapping[str, Sequence[FaceTrack]]
) -> None:
    """Raise UserError on every worker unless all of them see the same data and the same state."""
    compared = {name: value for name, value in run_settings.items() if "version" not in name}
    text = json.dumps([compared, split_names(splits)], sort_keys=True)
    progress = trainer.progress
    if not trainer.is_same_everywhere([zlib.crc32(text.encode()), progress.epoch, progress.step]):
        raise UserError(
            "the workers do not see the same run; give all of them the same command, with --data "
            "and --out on a disk they share"
        )


def split_names(splits: Mapping[str, Sequence[FaceTrack]]) -> dict[str, list[str]]:
    """Return what split.json holds: the names of the face tracks of each split."""
    return {split: [track.name for track in tracks] for split, tracks in splits.items()}


def begin(
    out: Path,
    run_settings: Mapping,
    splits: Mapping[str, Sequence[FaceTrack]],
    new: bool,
    names: Sequence[str] = (SPLIT_NAME, SETTINGS_NAME),
) -> None:
    """Write settings and splits, or what `names` has of them; a `new` run first deletes what an
    earlier one has left."""
    if new:
        for name in (STATE_NAME, HISTORY_NAME, MODEL_NAME):
            (out / name).unlink(missing_ok=True)
    contents = {SPLIT_NAME: split_names(splits), SETTINGS_NAME: dict(run_settings)}
    for name in names:
        write_text(out / name, json.dumps(contents[name], indent=1) + "\n")


def write_history(out: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv, a row for each of the epochs."""
    with (
        written_whole(out / HISTORY_NAME) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, history[0].keys())
        table.writeheader()
        table.writerows(history)


def save_state(out: Path, trainer: Trainer, state: RunState) -> None:
    """Write the variables of `trainer` and the state of its run."""
    progress = state.progress
    about = {
        "contract": STATE_CONTRACT,
        "epoch": progress.epoch,
        "step": progress.step,
        "history": progress.history,
        "seconds": progress.seconds,
        "waited_sec": progress.waited_sec,
        "epochs": state.epochs,
        "precision": state.precision,
        "extended_after": state.extended_after,
        "finished": state.finished,
        "run_settings": dict(state.run_settings),
        "splits": dict(state.split_names),
    }
    arrays = {f"variable_{i:04d}": v.value.numpy() for i, v in enumerate(trainer.variables)}
    # Of the current epoch, (steps, batch).
    arrays |= {"scores": np.array(progress.scores), "labels": np.array(progress.labels)}
    path = out / STATE_NAME
    path.parent.mkdir(exist_ok=True)
    with written_whole(path) as partial:
        # JSON as an array needs no pickle.
        np.savez(partial, about=np.array(json.dumps(about)), **arrays)


def read_state(out: Path) -> tuple[RunState, list[np.ndarray]]:
    """Return the saved state of a run and the values of its variables.

    Raises UserError where they cannot be read.
    """
    path = out / STATE_NAME
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            names = sorted(name for name in arrays.files if name.startswith("variable_"))
            values = [arrays[name] for name in names]
            progress = Progress(
                about["epoch"],
                about["step"],
                about["history"],
                list(arrays["scores"]),
                list(arrays["labels"]),
                about["seconds"],
                about["waited_sec"],
            )
        state = RunState(
            about["epochs"],
            about["precision"],
            progress,
            about["extended_after"],
            about["finished"],
            about.get("run_settings", {}),
            about.get("splits", {}),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is damaged"
        raise UserError(f"{path} cannot be read: {reason}; --overwrite trains again") from error
    return state, values
