"""What happens between the steps and epochs of a training, as callbacks of Keras.

All of them get what they know of earlier epochs from the history, so that a run that goes on where
it stopped behaves as one that never did.
"""

import importlib.util
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from deepfake_detector.console import UserError
from deepfake_detector.scoring.trained_model import MODEL_NAME
from deepfake_detector.training import devices, run_folder
from deepfake_detector.training.loop import Trainer
from deepfake_detector.training.run_folder import RunState
from deepfake_detector.training.settings import RunOptions, Stage

MONITOR = "val_loss"


def all_callbacks(
    trainer: Trainer,
    stage: Stage,
    state: RunState,
    options: RunOptions,
    own: Sequence[keras.callbacks.Callback] = (),
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a training, with the user's `own` after the usual ones.

    Only early stopping and `own` are for all workers, the others are for the chief.
    """
    history = trainer.progress.history
    stop = PatientStop(stage.settings.patience, history, state.extended_after)
    if not devices.is_chief(trainer.strategy):
        return [stop, *own]
    writers = [SaveModel(trainer, stage.folder, stage.keep_last)]
    if options.tensorboard:
        writers.append(tensorboard_logs(stage.folder / "tensorboard"))
    # What is not in the saved state is done again after a stop: it has to be saved last.
    return [stop, *writers, *own, SaveState(trainer, stage.folder, state, options)]


def tensorboard_logs(folder: Path) -> keras.callbacks.Callback:
    """Return what writes logs for TensorBoard; raises UserError where that is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs a package of its own: pip install tensorboard")
    return keras.callbacks.TensorBoard(folder, write_graph=False)


class PatientStop(keras.callbacks.EarlyStopping):
    """EarlyStopping that knows the `history` of the run it goes on with.

    After epoch `extended_after`, at which the user asked for more epochs, its patience starts
    again.
    """

    def __init__(
        self, patience: int, history: Sequence[Mapping[str, float]], extended_after: int = 0
    ):
        super().__init__(MONITOR, mode="min", patience=patience)
        self._history, self._extended_after = list(history), extended_after

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        super().on_train_begin(logs)
        for epoch_metrics in self._history:
            self.on_epoch_end(epoch_metrics["epoch"] - 1, epoch_metrics)
            if epoch_metrics["epoch"] <= self._extended_after:
                self.wait, self.model.stop_training = 0, False


class SaveModel(keras.callbacks.Callback):
    """Saves the network in the run folder `out` whenever validation is best, or after every epoch
    with `keep_last`."""

    def __init__(self, trainer: Trainer, out: Path, keep_last: bool = False):
        super().__init__()
        self._trainer, self._out, self._keep_last = trainer, out, keep_last
        history = trainer.progress.history
        self._best = min((epoch[MONITOR] for epoch in history), default=math.inf)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        loss = (logs or {})[MONITOR]
        if self._keep_last or loss < self._best:
            self._best = loss
            self._trainer.save(self._out / MODEL_NAME)


class SaveState(keras.callbacks.Callback):
    """Keeps history.csv and the state up to date: after each epoch, and every few minutes."""

    def __init__(self, trainer: Trainer, out: Path, state: RunState, options: RunOptions):
        super().__init__()
        self._trainer, self._out, self._state = trainer, out, state
        self._pause_sec = 60 * options.checkpoint_minutes
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        if time.monotonic() - self._saved_at >= self._pause_sec:
            self._save()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        run_folder.write_history(self._out, self._trainer.progress.history)
        self._save()

    def _save(self) -> None:
        run_folder.save_state(self._out, self._trainer, self._state)
        self._saved_at = time.monotonic()
