"""The training loop: `strategy.run` around one step, with the callback interface of Keras.

Keras's own `fit` does not work under MultiWorkerMirroredStrategy (keras issue 20585). This loop
runs the same on one CPU, on the GPUs of a machine and on many machines, and gives the same weights
on all of them to within rounding: each replica takes its rows of the same global batch, gradients
are summed over all replicas, and every figure is computed once, from the scores of all clips.

    trainer = Trainer(model, optimizer, strategy)
    trainer.fit(training, validation, epochs=40, steps_per_epoch=20, callbacks=[...])

How far it has come is one object, `trainer.progress`. With that, the variables, and data that begin
there, a run goes on as if it had never stopped.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from deepfake_detector.console import UserError
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.scoring.distributed import classification_figures, gather, timed
from deepfake_detector.scoring.metrics import log_loss


@dataclass
class Progress:
    """How far a training has come: whole epochs, steps of the one under way, and their figures."""

    epoch: int = 0  # finished ones
    step: int = 0  # finished ones of the epoch under way
    history: list[dict[str, float]] = field(default_factory=list)
    # Of the epoch under way:
    scores: list[np.ndarray] = field(default_factory=list)  # (batch,) float32 each
    labels: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    waited_sec: float = 0.0  # for data

    def end_step(
        self, labels: np.ndarray, scores: np.ndarray, seconds: float, waited_sec: float
    ) -> None:
        self.step += 1
        self.seconds += seconds
        self.waited_sec += waited_sec
        self.labels.append(labels)
        self.scores.append(scores)

    def end_epoch(self, figures: dict[str, float]) -> None:
        self.epoch += 1
        self.history.append({"epoch": self.epoch, **figures})
        self.step, self.scores, self.labels = 0, [], []
        self.seconds = self.waited_sec = 0.0


class Trainer:
    """Trains `model`, from clips to scores `(batch, 1)`, P(fake), with binary cross-entropy.

    Model and optimizer have been made in the scope of the strategy.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: "tf.distribute.Strategy",
    ):
        self.model, self.optimizer, self.strategy = model, optimizer, strategy
        self.progress = Progress()
        self._scorer = ClipScorer(model, strategy=strategy)
        with strategy.scope():
            # Within strategy.run it could not make its variables any more.
            optimizer.build(model.trainable_variables)
            # Callbacks look for the optimizer there.
            model.compile(optimizer=optimizer)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a step changes: the weights and the state of the optimizer."""
        return [*self.model.variables, *self.optimizer.variables]

    def fit(
        self,
        training: Iterable,
        validation: Iterable,
        epochs: int,
        steps_per_epoch: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int = 1,
    ) -> list[dict[str, float]]:
        """Train from where `progress` stands until `epochs` are done or a callback stops it.

        `training` is an endless distributed data set of `(clips, labels)` that begins at the epoch
        and the step of `progress`; `validation` one of `(clips, labels, weights)`. Both come in
        whole global batches, see `data_pipeline.build_dataset`. Returns the history, a dict per
        epoch: loss, accuracy and AUC of both, learning rate, seconds, clips trained per second,
        and the share of the seconds spent waiting for data.

        Raises UserError when the loss is no number any more.
        """
        callbacks = keras.callbacks.CallbackList(
            list(callbacks),
            model=self.model,
            verbose=verbose,
            epochs=epochs,
            steps=steps_per_epoch,
        )
        self.model.stop_training = False
        callbacks.on_train_begin()
        batches = timed(training)
        while self.progress.epoch < epochs and not self._anyone(self.model.stop_training):
            epoch = self.progress.epoch
            callbacks.on_epoch_begin(epoch)
            figures = self._train_epoch(batches, steps_per_epoch, callbacks)
            figures |= self._validate(validation, callbacks)
            self.progress.end_epoch(figures)
            callbacks.on_epoch_end(epoch, dict(figures))
        callbacks.on_train_end()
        return self.progress.history

    def _train_epoch(
        self, batches: Iterator, steps_per_epoch: int, callbacks: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        progress = self.progress
        known = zip(progress.labels, progress.scores, strict=True)
        loss_sum = sum(log_loss(*pair) for pair in known)
        while progress.step < steps_per_epoch:
            started = time.perf_counter()
            callbacks.on_train_batch_begin(progress.step)
            batch, waited_sec = next(batches)
            labels, scores = (
                self._scorer.of_first_replica(values)[:, 0] for values in self._train_step(batch)
            )
            loss_sum += log_loss(labels, scores)
            if not np.isfinite(loss_sum):
                raise UserError(
                    f"the loss is no number any more in step {progress.step + 1} of epoch "
                    f"{progress.epoch + 1}; try a lower learning rate"
                )
            seconds = time.perf_counter() - started
            progress.end_step(labels, scores, seconds, waited_sec)
            callbacks.on_train_batch_end(progress.step - 1, {"loss": loss_sum / progress.step})
        return classification_figures(
            np.concatenate(progress.labels), np.concatenate(progress.scores)
        )

    def _validate(
        self, validation: Iterable, callbacks: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        """Return what an epoch's figures still lack: validation, learning rate and times."""
        progress = self.progress
        started = time.perf_counter()
        callbacks.on_test_begin()
        (scores, labels, weights), waited_sec = self._scorer.score_dataset(validation)
        validated = classification_figures(labels, scores, weights)
        callbacks.on_test_end(dict(validated))
        seconds = progress.seconds + time.perf_counter() - started
        return {
            **{f"val_{name}": value for name, value in validated.items()},
            "learning_rate": float(tf.convert_to_tensor(self.optimizer.learning_rate)),
            "seconds": seconds,
            "clips_per_sec": sum(map(len, progress.labels)) / progress.seconds,
            "input_share": (progress.waited_sec + waited_sec) / seconds,
        }

    def is_same_everywhere(self, numbers: Sequence[int]) -> bool:
        """Say whether all workers call this with the same numbers."""
        rows = self._of_all_workers(numbers)
        return bool((rows == rows[0]).all())

    def _anyone(self, flag: bool) -> bool:
        """Say whether any worker raises its flag, so that all stop together."""
        return bool(self._of_all_workers([int(flag)]).any())

    def _of_all_workers(self, numbers: Sequence[int]) -> np.ndarray:
        """Return the numbers that each replica's worker gave, `(num_replicas, len(numbers))`."""
        gathered = self._gather_numbers(tf.constant([numbers], tf.int64))
        return self.strategy.experimental_local_results(gathered)[0].numpy()

    @tf.function
    def _gather_numbers(self, numbers):
        return self.strategy.run(lambda: gather(numbers)[0])

    @tf.function
    def _train_step(self, batch):
        return self.strategy.run(self._train_replica, args=batch)

    def _train_replica(self, clips: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        global_batch = clips.shape[0] * self.strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            scores = self.model(clips, training=True)
            losses = keras.losses.binary_crossentropy(labels, scores)  # (rows of this replica,)
            loss = self.optimizer.scale_loss(tf.reduce_sum(losses) / global_batch)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = _agree_on_overflow(gradients)
        # This adds them up over the replicas.
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        return gather(labels, scores)


def _agree_on_overflow(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return gradients that are no numbers on all replicas if they are not on one.

    LossScaleOptimizer looks at the gradients of one replica before they are added up; a float16
    overflow on another would go into the weights, or leave the workers waiting for each other.
    """
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(part)) for part in gradients])
    context = tf.distribute.get_replica_context()
    overflows = context.all_reduce(tf.distribute.ReduceOp.SUM, 1 - tf.cast(finite, tf.float32))
    return [tf.where(overflows > 0, tf.constant(np.nan, part.dtype), part) for part in gradients]
