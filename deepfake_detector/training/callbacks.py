"""What happens between the steps and epochs of a training, as callbacks of Keras.

All of them get what they know of earlier epochs from the history, so that a run that goes on where
it stopped does as one that never did.
"""

import importlib.util
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from deepfake_detector.console import UserError
from deepfake_detector.scoring import trained_model
from deepfake_detector.training import devices, run_folder, run_state
from deepfake_detector.training.loop import Trainer

MONITOR = "val_loss"


def usual_callbacks(
    network: keras.Model,
    trained: keras.Model,
    trainer: Trainer,
    out: Path,
    patience: int,
    anew: int,
    tensorboard: bool = False,
    keep_last: bool = False,
) -> list[keras.callbacks.Callback]:
    """Return what every training does; all but stopping is for the chief alone. The model that is
    kept is that of the best epoch, or with `keep_last` that of the last one."""
    history = trainer.progress.history
    usual = [PatientStop(patience, history, anew)]
    if devices.is_chief(trainer.strategy):
        usual += [
            EpochBar(trainer),
            SaveModel(network, trained, out / trained_model.MODEL_NAME, history, keep_last),
        ]
        if tensorboard:
            usual.append(tensorboard_logs(out / "tensorboard"))
    return usual


def tensorboard_logs(folder: Path) -> keras.callbacks.Callback:
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs a package of its own: pip install tensorboard")
    return keras.callbacks.TensorBoard(folder, write_graph=False)


class EpochBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, with a forecast: the minutes left if all epochs are trained."""

    def __init__(self, trainer: Trainer):
        super().__init__()
        self._trainer = trainer
        self._started: tuple[float, int] | None = None  # when, and after how many epochs

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._started = self._started or (time.perf_counter(), epoch)

    def on_epoch_end(self, epoch, logs=None):
        started, first = self._started
        seconds_each = (time.perf_counter() - started) / (epoch + 1 - first)
        logs, epochs_left = dict(logs or {}), self.epochs - epoch - 1
        if epochs_left:
            logs["minutes_left_at_most"] = seconds_each * epochs_left / 60
        super().on_epoch_end(epoch, logs)


class PatientStop(keras.callbacks.EarlyStopping):
    """EarlyStopping that has seen the `history` of the run it goes on with.

    After epoch `anew`, at which the user asked for more epochs, patience began anew.
    """

    def __init__(self, patience: int, history: Sequence[Mapping[str, float]], anew: int = 0):
        super().__init__(MONITOR, mode="min", patience=patience)
        self._history, self._anew = list(history), anew

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        for figures in self._history:
            self.on_epoch_end(figures["epoch"] - 1, figures)
            if figures["epoch"] <= self._anew:
                self.wait, self.model.stop_training = 0, False


class SaveModel(keras.callbacks.Callback):
    """Saves `network` with the weights of `trained`, often itself, whenever validation is best, or
    with `keep_last` after every epoch."""

    def __init__(
        self,
        network: keras.Model,
        trained: keras.Model,
        path: Path,
        history: Sequence[Mapping[str, float]] = (),
        keep_last: bool = False,
    ):
        super().__init__()
        self._network, self._trained, self._path = network, trained, path
        self._keep_last = keep_last
        self._best = min((figures[MONITOR] for figures in history), default=math.inf)

    def on_epoch_end(self, epoch, logs=None):
        if self._keep_last or logs[MONITOR] < self._best:
            self._best = logs[MONITOR]
            if self._trained is not self._network:
                self._network.set_weights(self._trained.get_weights())
            partial = self._path.with_name(f".partial.{self._path.name}")
            self._network.save(partial)
            partial.replace(self._path)


class RunState(keras.callbacks.Callback):
    """Keeps history.csv and the state up to date: after each epoch, and every few minutes.

    It must be the last of the callbacks: what a run has not stored, it does again.
    """

    def __init__(self, out: Path, trainer: Trainer, minutes: float, facts: Mapping):
        super().__init__()
        self._out, self._trainer, self._facts = out, trainer, dict(facts)
        self._pause_sec, self._saved = 60 * minutes, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._saved >= self._pause_sec:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        run_folder.write_history(self._out, self._trainer.progress.history)
        self._save()

    def _save(self):
        run_state.save_state(self._out, self._trainer, **self._facts)
        self._saved = time.monotonic()
