"""The run folder: what a training leaves behind, and what it needs to go on where it stopped.

    model.keras      the best epoch by validation loss; opens with keras.models.load_model
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME, setting_differences
from deepfake_detector.files import write_text
from deepfake_detector.scoring.trained_model import MODEL_NAME, SPLIT_NAME
from deepfake_detector.training.run_state import STATE_NAME

HISTORY_NAME = "history.csv"
LOCK_NAME = ".lock"


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


def split_names(parts: Mapping[str, Sequence[FaceTrack]]) -> dict[str, list[str]]:
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
        old = json.loads((out / SETTINGS_NAME).read_text(encoding="utf-8"))
        names = json.loads((out / SPLIT_NAME).read_text(encoding="utf-8"))
        old_training = dict(old["training"])
    except (OSError, ValueError, TypeError, KeyError):
        old, names, old_training = {}, {}, {}
    training = dict(stored["training"])
    if training["epochs"] > old_training.get("epochs", 0) > 0:
        old_training["epochs"] = training["epochs"]
    different = []
    if old_training != training:
        values = setting_differences(old_training, training)
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
    write_text(out / SPLIT_NAME, json.dumps(split_names(parts), indent=1) + "\n")
    write_text(out / SETTINGS_NAME, json.dumps(dict(stored), indent=1) + "\n")


def write_history(out: Path, history: Sequence[Mapping[str, float]]) -> None:
    partial = out / f".{HISTORY_NAME}.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, history[0].keys())
        table.writeheader()
        table.writerows(history)
    partial.replace(out / HISTORY_NAME)
