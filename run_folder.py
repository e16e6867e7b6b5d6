"""The run folder: what a training leaves behind, and what it needs to go on where it stopped.

    model.keras      the best epoch by validation loss; opens with tf.keras.models.load_model
    settings.json    what the model expects, and what its scores mean
    split.json       which videos were trained on, validated on, held out and left out
    history.csv      a row per epoch
    checkpoints/     state.npz: weights, optimizer and progress, to go on from after a stop
    .lock            of the run under way

Every file is written under another name and renamed: whoever kills a run, at whatever moment, finds
each of them whole. The state is the last to be written for an epoch, so a run that goes on repeats
whatever it does not know of.
"""

import contextlib
import csv
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

import faces_folder
import splits
from console import UserError
from training_loop import Progress, Trainer

MODEL_NAME = "model.keras"
SPLIT_NAME = "split.json"
HISTORY_NAME = "history.csv"
STATE_NAME = "checkpoints/state.npz"
LOCK_NAME = ".lock"
STATE_CONTRACT = 1


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Keep other runs out of the folder meanwhile; raises UserError where one is under way."""
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


def split_names(parts: Mapping[str, Sequence[splits.FaceTrack]]) -> dict[str, list[str]]:
    return {part: [video.name for video in videos] for part, videos in parts.items()}


def check_same_run(out: Path, stored: Mapping, parts: Mapping[str, Sequence]) -> bool:
    """Say whether `out` holds a run of the same settings on the same videos, finished or not.

    More epochs than it was begun with are the same run. Raises UserError where it holds another
    one, which must not be overwritten by accident.
    """
    if not (out / STATE_NAME).exists():
        if (out / HISTORY_NAME).exists():
            raise UserError(
                f"{out} holds a run without {STATE_NAME}, which cannot go on; give another --out, "
                "or --overwrite to replace it"
            )
        return False
    try:
        old = json.loads((out / faces_folder.SETTINGS_NAME).read_text(encoding="utf-8"))
        names = json.loads((out / SPLIT_NAME).read_text(encoding="utf-8"))
        old_training = dict(old["training"])
    except (OSError, ValueError, TypeError, KeyError):
        old, names, old_training = {}, {}, {}
    training = dict(stored["training"])
    if training["epochs"] > old_training.get("epochs", 0) > 0:
        old_training["epochs"] = training["epochs"]
    different = []
    if old_training != training:
        values = faces_folder.setting_differences(old_training, training)
        different.append(f"training: {values}")
    # Another TensorFlow would not give the very same weights, but it is still this run.
    compared = [name for name in stored if name not in {"training", "versions"}]
    different += [name for name in compared if stored[name] != old.get(name)]
    if names != split_names(parts):
        different.append("the videos")
    if different:
        raise UserError(
            f"{out} holds a run that differs in {'; '.join(different)}. Give another --out, or "
            "--overwrite to replace it"
        )
    return True


def begin(out: Path, stored: Mapping, parts: Mapping[str, Sequence], afresh: bool) -> None:
    """Write settings and split; `afresh` takes away what an earlier run has left first."""
    out.mkdir(parents=True, exist_ok=True)
    if afresh:
        for name in (STATE_NAME, HISTORY_NAME, MODEL_NAME):
            (out / name).unlink(missing_ok=True)
    faces_folder.write_text(out / SPLIT_NAME, json.dumps(split_names(parts), indent=1) + "\n")
    faces_folder.write_text(
        out / faces_folder.SETTINGS_NAME, json.dumps(dict(stored), indent=1) + "\n"
    )


def write_history(out: Path, history: Sequence[Mapping[str, float]]) -> None:
    partial = out / f".{HISTORY_NAME}.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, history[0].keys())
        table.writeheader()
        table.writerows(history)
    partial.replace(out / HISTORY_NAME)


# The state: everything a run needs to go on as if it had never stopped


def save_state(out: Path, trainer: Trainer, **facts) -> None:
    """Write the variables and the progress of `trainer`, and `facts` that can stand in JSON."""
    progress = trainer.progress
    about = {
        "contract": STATE_CONTRACT,
        "epoch": progress.epoch,
        "step": progress.step,
        "history": progress.history,
        "seconds": progress.seconds,
        "waited_sec": progress.waited_sec,
        **facts,
    }
    arrays = {f"variable_{i:04d}": v.value.numpy() for i, v in enumerate(trainer.variables)}
    # Of the epoch under way, (steps, batch); JSON as an array needs no pickle.
    arrays |= {"scores": np.array(progress.scores), "labels": np.array(progress.labels)}
    path = out / STATE_NAME
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".partial.{path.name}")
    np.savez(partial, about=np.array(json.dumps(about)), **arrays)
    partial.replace(path)


def read_facts(out: Path) -> dict:
    """Return what the state says about itself, without its variables; empty without a state.

    Raises UserError where it cannot be read.
    """
    if not (out / STATE_NAME).exists():
        return {}
    return _read_state(out, only=["about"])[0]


def restore_state(out: Path, trainer: Trainer) -> None:
    """Set `trainer` to where the stored state stands; raises UserError where it does not fit."""
    about, arrays = _read_state(out)
    values = [arrays[name] for name in sorted(arrays) if name.startswith("variable_")]
    shapes = [value.shape for value in values]
    if shapes != [tuple(variable.shape) for variable in trainer.variables]:
        raise UserError(
            f"{out / STATE_NAME} was written by another version of this project or of Keras; "
            "--overwrite trains anew"
        )
    with trainer.strategy.scope():
        for variable, value in zip(trainer.variables, values, strict=True):
            variable.assign(value)
    trainer.progress = Progress(
        about["epoch"],
        about["step"],
        about["history"],
        list(arrays["scores"]),
        list(arrays["labels"]),
        about["seconds"],
        about["waited_sec"],
    )


def _read_state(out: Path, only: Sequence[str] | None = None) -> tuple[dict, dict[str, np.ndarray]]:
    """Return what the state says about itself, and its arrays by name."""
    path = out / STATE_NAME
    try:
        with np.load(path, allow_pickle=False) as state:
            arrays = {name: state[name] for name in only or state.files}
        return json.loads(str(arrays.pop("about"))), arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); --overwrite trains anew") from error
