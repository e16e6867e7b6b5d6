"""To be written."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepfake_detector.console import UserError
from deepfake_detector.training.loop import Progress, Trainer

STATE_NAME = "checkpoints/state.npz"
STATE_CONTRACT = 1


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
