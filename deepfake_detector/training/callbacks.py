"""What happens at the end of each epoch of a training, as callbacks of Keras.

All of them get what they know of earlier epochs from the history, so that a run that goes on after
a stop behaves as one that was never stopped.
"""

from collections.abc import Mapping, Sequence

import keras

from deepfake_detector.console import say
from deepfake_detector.scoring.trained_model import MODEL_NAME
from deepfake_detector.training import devices, run_folder
from deepfake_detector.training.loop import Trainer
from deepfake_detector.training.run_folder import RunState
from deepfake_detector.training.settings import Stage

MONITOR = "val_loss"


def all_callbacks(
    trainer: Trainer,
    stage: Stage,
    state: RunState,
    tensorboard: bool = False,
    own: Sequence[keras.callbacks.Callback] = (),
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a training, with the user's `own` after the usual ones.

    Early stopping and `own` are for all workers, the others only for the chief.
    """
    for_all = [Patience(state, stage.settings.patience), *own]
    if not devices.is_chief(trainer.strategy):
        return for_all
    logs = stage.folder / "tensorboard"
    boards = [keras.callbacks.TensorBoard(logs, write_graph=False)] if tensorboard else []
    # What is not in the saved state is done again after a stop: it has to be saved last.
    return [*boards, *for_all, EpochLine(stage.settings.epochs), SaveEpoch(trainer, stage, state)]


def best_epoch(history: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Return the metrics of the epoch with the lowest validation loss, the first one of equals."""
    return min(history, key=lambda epoch: epoch[MONITOR])


class Patience(keras.callbacks.Callback):
    """Stops after so many epochs without a better validation loss, counted again from the epoch at
    which the user asked for more."""

    def __init__(self, state: RunState, patience: int):
        super().__init__()
        self._state, self._patience = state, patience

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        history = self._state.history
        if history:
            since = max(best_epoch(history)["epoch"], self._state.extended_after)
            self.model.stop_training |= len(history) - since >= self._patience

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.on_train_begin()


class EpochLine(keras.callbacks.Callback):
    """Prints the four numbers of an epoch that help most; the others are in history.csv."""

    def __init__(self, epochs: int):
        super().__init__()
        self._epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        found = logs or {}
        say(
            f"epoch {epoch + 1} of {self._epochs}: loss {found['loss']:.3f}, validation loss "
            f"{found['val_loss']:.3f}, validation AUC {found['val_auc']:.3f}, "
            f"{found['seconds']:.0f} s"
        )


class SaveEpoch(keras.callbacks.Callback):
    """Saves the model if it is the best one so far, or after single frames, and the state."""

    def __init__(self, trainer: Trainer, stage: Stage, state: RunState):
        super().__init__()
        self._trainer, self._stage, self._state = trainer, stage, state

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        history, folder = self._state.history, self._stage.folder
        # With few people to validate on, single frames are best by chance before much is learned.
        if self._stage.is_first or best_epoch(history) is history[-1]:
            self._trainer.save(folder / MODEL_NAME)
        run_folder.save_state(folder, self._trainer.variables, self._state)
