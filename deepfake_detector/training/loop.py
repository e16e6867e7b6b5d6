"""The training loop: `strategy.run` around one step, with the callback interface of Keras.

Keras's own `fit` does not work under MultiWorkerMirroredStrategy (keras issue 20585). This loop
runs the same on one CPU, on the GPUs of a machine and on many machines, and gives the same weights
on all of them to within rounding, but for what dropout drops: each replica takes its rows of the
same global batch, gradients are summed over all replicas, and every metric is computed once, from
the scores of all clips.

    trainer = Trainer(network, optimizer, strategy)
    trainer.fit(training, validation, epochs=40, steps_per_epoch=20, callbacks=[...])
    trainer.save(Path("run/model.keras"))

With `trainer.history`, the values of `trainer.variables`, and data that begin with the next epoch,
a run goes on as if it had never stopped.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from deepfake_detector.console import UserError, progress
from deepfake_detector.networks.folding import fold_time
from deepfake_detector.scoring import metrics, model_file
from deepfake_detector.scoring.clip_scorer import ClipScorer, gather

MAX_MOMENTUM = 0.998  # of the average of the weights


class Trainer:
    """Trains a network from clips to scores `(batch, 1)`, P(fake), with binary cross-entropy.

    `network` is what `save` writes. What runs, and what callbacks see as their model, is `model`:
    the same weights with time folded into the batch (`folding.fold_time`). Network and optimizer
    have been made in the scope of `strategy`. If the optimizer averages the weights (`use_ema`),
    the averages are validated and saved. With `freezes_cnn`, only the layers after the CNN learn;
    whoever opens the saved model can train all of it. `history` has the metrics of each epoch, also
    of those before a stop.
    """

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        freezes_cnn: bool = False,
    ):
        self.network, self.optimizer, self.strategy = network, optimizer, strategy
        self.history: list[dict[str, float]] = []
        with strategy.scope():
            self.model = fold_time(network)
            frozen = network.get_layer("frames").variables if freezes_cnn else []
            frozen_ids = set(map(id, frozen))
            self._learning = [v for v in self.model.trainable_variables if id(v) not in frozen_ids]
            # Within strategy.run it could not make its variables any more.
            optimizer.build(self._learning)
            # Callbacks look for the optimizer there.
            self.model.compile(optimizer=optimizer)
        self._scorer = ClipScorer(self.model, strategy=strategy)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a step changes: the weights, the state of dropout and that of the optimizer."""
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, path: Path) -> None:
        """Write the network with the weights trained so far, or their averages."""
        with self._averaged():
            model_file.save(self.network, path)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Let the model hold the averages of its weights meanwhile, if the optimizer has them."""
        trained = [variable.value.numpy() for variable in self._learning]
        self.optimizer.finalize_variable_values(self._learning)
        try:
            yield
        finally:
            self._assign(self._learning, trained)

    def _assign(self, variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
        with self.strategy.scope():
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def restore(self, history: list[dict[str, float]], values: Sequence[np.ndarray]) -> None:
        """Go on from `history` with these values of the `variables`.

        Raises UserError if they do not fit.
        """
        shapes = [tuple(variable.shape) for variable in self.variables]
        if [value.shape for value in values] != shapes:
            raise UserError(
                "the checkpoint of this run was written by another version of this project or of "
                "Keras; --overwrite trains again"
            )
        self._assign(self.variables, values)
        self.history = history

    def fit(
        self,
        training: Iterable,
        validation: Iterable,
        epochs: int,
        steps_per_epoch: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> list[dict[str, float]]:
        """Train from where `history` ends until `epochs` are done or a callback stops it.

        `training` is an endless distributed data set of `(clips, labels)` that begins with the next
        epoch; `validation` one of `(clips, labels, weights)`. Both come in whole global batches,
        see `data_pipeline.build_dataset`.

        Returns the history, a dict per epoch: loss, accuracy and AUC of both, learning rate,
        seconds, and clips trained per second.

        Raises UserError when the loss is not a number any more.
        """
        callback_list = keras.callbacks.CallbackList(
            list(callbacks), model=self.model, verbose=0, epochs=epochs, steps=steps_per_epoch
        )
        self.model.stop_training = False
        callback_list.on_train_begin()
        batches = iter(training)
        while len(self.history) < epochs:
            # If one worker stops, all do.
            if self._of_all_workers([int(self.model.stop_training)]).any():
                break
            epoch = len(self.history)
            callback_list.on_epoch_begin(epoch)
            epoch_metrics = self._run_epoch(batches, steps_per_epoch, validation, callback_list)
            self.history.append({"epoch": epoch + 1, **epoch_metrics})
            callback_list.on_epoch_end(epoch, dict(epoch_metrics))
        callback_list.on_train_end()
        return self.history

    def _run_epoch(
        self,
        batches: Iterator,
        steps: int,
        validation: Iterable,
        callbacks: keras.callbacks.CallbackList,
    ) -> dict[str, float]:
        """Train for an epoch and validate; return its metrics."""
        started = time.perf_counter()
        labels, scores = self._train_epoch(batches, steps, callbacks)
        trained_sec = time.perf_counter() - started
        callbacks.on_test_begin()
        with self._averaged():
            val_scores, val_labels, weights = self._scorer.score_dataset(validation)
        if not np.isfinite(val_scores).all():
            raise self._not_a_number("in the validation of")
        val_metrics = classification_metrics(val_labels, val_scores, weights)
        callbacks.on_test_end(dict(val_metrics))
        return {
            **classification_metrics(labels, scores),
            **{f"val_{name}": value for name, value in val_metrics.items()},
            "learning_rate": float(tf.convert_to_tensor(self.optimizer.learning_rate)),
            "seconds": time.perf_counter() - started,
            "clips_per_sec": len(labels) / trained_sec,
        }

    def _train_epoch(
        self, batches: Iterator, steps: int, callbacks: keras.callbacks.CallbackList
    ) -> tuple[np.ndarray, np.ndarray]:
        """Train so many steps; return labels and scores of their clips, `(num_clips,) float32`."""
        labels: list[np.ndarray] = []
        scores: list[np.ndarray] = []
        loss_sum = 0.0
        with progress(steps, f"epoch {len(self.history) + 1}", "steps") as advance:
            for step in range(steps):
                callbacks.on_train_batch_begin(step)
                trained = map(self._scorer.of_first_replica, self._train_step(next(batches)))
                for seen, of_step in zip((labels, scores), trained, strict=True):
                    seen.append(of_step[:, 0])
                loss_sum += metrics.log_loss(labels[-1], scores[-1])
                if not np.isfinite(loss_sum):
                    raise self._not_a_number(f"in step {step + 1} of")
                callbacks.on_train_batch_end(step, {"loss": loss_sum / (step + 1)})
                advance(note=f"loss {loss_sum / (step + 1):.3f}")
        return np.concatenate(labels), np.concatenate(scores)

    def _not_a_number(self, place: str) -> UserError:
        return UserError(
            f"the loss is not a number any more {place} epoch {len(self.history) + 1}; give a "
            "lower --learning-rate"
        )

    def is_same_everywhere(self, numbers: Sequence[int]) -> bool:
        """Return whether all workers call this with the same numbers."""
        rows = self._of_all_workers(numbers)
        return bool((rows == rows[0]).all())

    def _of_all_workers(self, numbers: Sequence[int]) -> np.ndarray:
        """Return the numbers that each replica's worker gave, `(num_replicas, len(numbers))`."""
        return self._scorer.of_first_replica(self._gather_numbers(tf.constant([numbers], tf.int64)))

    @tf.function
    def _gather_numbers(self, numbers: tf.Tensor) -> tf.Tensor:
        return self.strategy.run(lambda: gather(numbers)[0])

    @tf.function
    def _train_step(self, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return self.strategy.run(self._train_replica, args=batch)

    def _train_replica(self, clips: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        global_batch = clips.shape[0] * self.strategy.num_replicas_in_sync
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in self._learning:
                tape.watch(variable.value)
            scores = self.model(clips, training=True)
            losses = keras.losses.binary_crossentropy(labels, scores)  # (rows of this replica,)
            loss = tf.reduce_sum(losses) / global_batch
        gradients = tape.gradient(loss, self._learning)
        # This adds them up over the replicas.
        self.optimizer.apply_gradients(zip(gradients, self._learning, strict=True))
        return gather(labels, scores)


def classification_metrics(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Return weighted log loss, accuracy at 0.5 and ROC AUC of clips, all `(num_clips,)`.

    A clip of weight 0 does not count: it only fills up the last batch. With one class only the AUC
    is not a number.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    correct = (scores >= 0.5) == (labels > 0.5)
    counted = weights > 0
    auc = metrics.roc_auc(labels[counted], scores[counted], weights[counted])
    return {
        "loss": float(np.average(metrics.log_losses(labels, scores), weights=weights)),
        "accuracy": float(np.average(correct, weights=weights)),
        "auc": np.nan if auc is None else auc,
    }


def make_optimizer(
    learning_rate: float,
    epochs: int,
    steps_per_epoch: int,
    final_share: float = 0.1,
    averages: bool = False,
) -> keras.optimizers.Optimizer:
    """Return AdamW for the whole length of a run: a short warm-up, then half a cosine down to
    `final_share` of the learning rate.

    With `averages` it also keeps the exponential moving average of the weights (Polyak and Juditsky
    1992, doi:10.1137/0330046), which is steadier than the weights are and reaches back over about a
    quarter of the steps, 500 at most. Gradients are not clipped: each replica would clip its own
    before they are added up, and the weights would depend on the number of replicas.
    """
    steps = epochs * steps_per_epoch
    warm_up = min(2 * steps_per_epoch, steps // 5)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 10,
        warmup_target=learning_rate,
        warmup_steps=warm_up,
        decay_steps=max(1, steps - warm_up),
        alpha=final_share,
    )
    momentum = max(0.0, min(MAX_MOMENTUM, 1 - 4 / steps))
    return keras.optimizers.AdamW(
        schedule, weight_decay=1e-4, use_ema=averages, ema_momentum=momentum
    )
