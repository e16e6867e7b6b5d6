"""The run folder, whose files train.py describes: what a training needs to go on after a stop.

Every file is written under another name and renamed: whoever kills a run, at whatever moment, finds
each of them whole. checkpoints/state.npz, with weights, optimizer and history, is the last file
that is written of an epoch, which is done then; a run that goes on begins with the next one.
"""

import contextlib
import csv
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
from filelock import FileLock, Timeout

from deepfake_detector.console import UserError, counted
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    differing_names,
    setting_differences,
)
from deepfake_detector.files import LOCK_NAME, check_output, write_text, written_whole
from deepfake_detector.scoring.trained_model import MODEL_NAME, SPLIT_NAME
from deepfake_detector.training.loop import Trainer
from deepfake_detector.training.settings import FRAMES_FOLDER, Stage

HISTORY_NAME = "history.csv"
STATE_NAME = "checkpoints/state.npz"

Splits = Mapping[str, Sequence[FaceTrack]]
History = list[dict[str, float]]  # the metrics of each epoch


@dataclass
class RunState:
    """What a run has to know about itself in order to go on, next to its variables."""

    epochs: int = 0  # that it was asked for
    history: History = field(default_factory=list)
    extended_after: int = 0  # last epoch of a finished run that was asked for more epochs
    finished: bool = False  # until it is asked for more epochs

    def go_on(self, epochs: int) -> None:
        """Note how many epochs it is asked for now."""
        if self.finished:
            self.extended_after = len(self.history)
        self.epochs, self.finished = epochs, False


def check_folder(out: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise UserError if the run folder cannot be written, or holds something else than a run."""

    def is_run(folder: Path) -> bool:
        if (folder / SETTINGS_NAME).exists():
            return "training" in _read_object(folder / SETTINGS_NAME)
        # It was stopped before it had written anything, or on single frames.
        return any((each / LOCK_NAME).exists() for each in (folder, folder / FRAMES_FOLDER))

    check_output("--out", out, inputs, is_run, is_folder=True, overwrite=overwrite)


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Keep other runs out of the folder meanwhile; raises UserError if another one is in it."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / LOCK_NAME, blocking=False):
            yield
    except Timeout:
        raise UserError(f"{out} is being trained by another process; give another --out") from None


def holds_run(stage: Stage, splits: Splits) -> bool:
    """Return whether its folder holds a run of this stage on these videos, finished or not.

    More epochs than it was begun with are the same run. Raises UserError if it holds another run,
    which must not be overwritten by accident, or one that lacks a file.
    """
    out = stage.folder
    saved, names = _read_object(out / SETTINGS_NAME), _read_object(out / SPLIT_NAME)
    if not (out / STATE_NAME).exists() and "calibration" not in saved:
        return False  # stopped before the end of its first epoch, or nothing at all
    advice = "give another --out, or --overwrite to replace it"
    for name in (STATE_NAME, MODEL_NAME, SETTINGS_NAME, SPLIT_NAME):
        if not (out / name).exists():
            raise UserError(f"{out} holds a run without its {name}, which cannot go on; {advice}")
    differences = _setting_differences(saved, stage.saved) + _split_differences(names, splits)
    if differences:
        raise UserError(f"{out} holds another run, with {', '.join(differences)}; {advice}")
    return True


def _setting_differences(saved: Mapping, wanted: Mapping) -> list[str]:
    """Return what differs between a saved settings.json and that of this run."""

    def options(settings: Mapping) -> dict:
        training = dict(settings.get("training") or {})
        return {"from": training.pop("initial", None), **training}

    old, new = options(saved), options(wanted)
    if new["epochs"] > old.get("epochs", 0):
        old["epochs"] = new["epochs"]
    differences = [setting_differences(old, new)]
    if differing_names(saved.get("faces") or {}, wanted["faces"]):
        differences.append("other faces")
    if saved.get("contract") != wanted["contract"]:
        differences.append("files of another version of this project")
    return list(filter(None, differences))


def _split_differences(saved: Mapping, splits: Splits) -> list[str]:
    """Return what differs between a saved split.json and the splits of this run."""
    wanted = split_entries(splits)
    if saved == wanted:
        return []
    old, new = ({name: each for split in s.values() for name, each in split.items()}
                for s in (saved, wanted))  # fmt: skip
    relabelled = [
        name for name, each in new.items() if name in old and old[name]["label"] != each["label"]
    ]
    if relabelled:
        return [f"other labels of {counted(len(relabelled), 'video')}, such as {relabelled[0]}"]
    return ["other videos, or the same ones in other splits"]


def _read_object(path: Path) -> dict:
    """Return the object in a JSON file; {} if it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def split_entries(splits: Splits) -> dict[str, dict[str, dict]]:
    """Return what split.json holds: what is known of the face tracks of each split, by name."""
    return {
        split: {
            track.name: {
                "label": track.label,
                "content": track.content,
                "people": list(track.people),
            }
            for track in tracks
        }
        for split, tracks in splits.items()
    }


def check_agreement(trainer: Trainer, stage: Stage, splits: Splits) -> None:
    """Raise UserError on every worker unless all of them see the same run and the same epoch."""
    compared = {name: value for name, value in stage.saved.items() if "version" not in name}
    text = json.dumps([compared, split_entries(splits)], sort_keys=True)
    if not trainer.is_same_everywhere([zlib.crc32(text.encode()), len(trainer.history)]):
        raise UserError(
            "the workers do not see the same run; give all of them the same command, with --data "
            "and --out on a disk they share"
        )


def begin(stage: Stage, splits: Splits, state: RunState) -> None:
    """Write settings and splits; a run without an epoch first deletes what an earlier one left."""
    out = stage.folder
    if not state.history:
        for name in (HISTORY_NAME, STATE_NAME, MODEL_NAME):
            (out / name).unlink(missing_ok=True)
    write_text(out / SPLIT_NAME, json.dumps(split_entries(splits), indent=1) + "\n")
    write_text(out / SETTINGS_NAME, json.dumps(stage.saved, indent=1) + "\n")


def save_state(out: Path, variables: Sequence[keras.Variable], state: RunState) -> None:
    """Write history.csv, and then a checkpoint: the variables of a run and its state."""
    with (
        written_whole(out / HISTORY_NAME) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, state.history[0].keys())
        table.writeheader()
        table.writerows(state.history)
    arrays = {f"variable_{i:04d}": each.value.numpy() for i, each in enumerate(variables)}
    (out / STATE_NAME).parent.mkdir(exist_ok=True)
    with written_whole(out / STATE_NAME) as partial:
        # JSON as an array needs no pickle.
        np.savez(partial, about=np.array(json.dumps(asdict(state))), **arrays)


def read_state(out: Path) -> tuple[RunState, list[np.ndarray]]:
    """Return the saved state of a run and the values of its variables.

    Raises UserError if they cannot be read.
    """
    path = out / STATE_NAME
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = sorted(name for name in arrays.files if name.startswith("variable_"))
            values = [arrays[name] for name in names]
            return RunState(**json.loads(str(arrays["about"]))), values
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged; --overwrite trains again") from error
