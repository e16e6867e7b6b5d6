"""The training loop: `strategy.run` around one step, with the callback interface of Keras.

Keras's own `fit` does not work under MultiWorkerMirroredStrategy (keras issue 20585). This loop
runs the same on one CPU, on the GPUs of a machine and on many machines, and gives the same weights
on all of them to within rounding: each replica takes its rows of the same global batch, gradients
are summed over all replicas, and every metric is computed once, from the scores of all clips.

    trainer = Trainer(network, optimizer, strategy)
    trainer.fit(training, validation, epochs=40, steps_per_epoch=20, callbacks=[...])
    trainer.save(Path("run/model.keras"))

How far it has come is one object, `trainer.progress`. With that, the variables, and data that begin
there, a run goes on as if it had never stopped.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from deepfake_detector.console import UserError
from deepfake_detector.networks.folding import fold_time
from deepfake_detector.scoring import metrics, model_file
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.scoring.distributed import gather, timed
from deepfake_detector.training.weight_average import WeightAverage


@dataclass
class Progress:
    """How far a training has come: finished epochs, steps of the current one, and their metrics."""

    epoch: int = 0  # finished ones
    step: int = 0  # finished ones of the current epoch
    history: list[dict[str, float]] = field(default_factory=list)
    # Of the current epoch:
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

    def end_epoch(self, epoch_metrics: dict[str, float]) -> None:
        self.epoch += 1
        self.history.append({"epoch": self.epoch, **epoch_metrics})
        self.step, self.scores, self.labels = 0, [], []
        self.seconds = self.waited_sec = 0.0


class Trainer:
    """Trains a network from clips to scores `(batch, 1)`, P(fake), with binary cross-entropy.

    `network` is what `save` writes, in float32. `twin`, if given, is the same network in another
    precision, which is trained in its place. What runs, and what callbacks see as their model, is
    `model`: the same weights with time folded into the batch (`folding.fold_time`); `seed` is that
    of its dropout. Networks and optimizer have been made in the scope of `strategy`. With
    `average_momentum`, what is validated and saved is the average of the weights over the steps.
    With `freezes_cnn`, only the layers after the CNN learn; whoever opens the saved model can
    train all of it.
    """

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        twin: keras.Model | None = None,
        seed: int = 0,
        average_momentum: float = 0.0,
        freezes_cnn: bool = False,
    ):
        self.network, self._trained = network, twin or network
        self.optimizer, self.strategy = optimizer, strategy
        self.progress = Progress()
        with strategy.scope():
            self.model = fold_time(self._trained, seed, optimizer.iterations.value)
            frozen = self._trained.get_layer("frames").variables if freezes_cnn else []
            frozen_ids = set(map(id, frozen))
            self._learning = [v for v in self.model.trainable_variables if id(v) not in frozen_ids]
            # Within strategy.run it could not make its variables any more.
            optimizer.build(self._learning)
            # Callbacks look for the optimizer there.
            self.model.compile(optimizer=optimizer)
        self._average = None
        if average_momentum:
            self._average = WeightAverage(self._learning, average_momentum, strategy)
        self._scorer = ClipScorer(self.model, strategy=strategy)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a step changes: the weights, the state of the optimizer and the average."""
        average = self._average.values if self._average else []
        return [*self.model.variables, *self.optimizer.variables, *average]

    def save(self, path: Path) -> None:
        """Write the network with the weights trained so far, or their average, in float32."""
        with self._averaged():
            if self._trained is not self.network:
                self.network.set_weights(self._trained.get_weights())
            model_file.save(self.network, path)

    def _averaged(self) -> contextlib.AbstractContextManager:
        """Let the model hold the average of the weights meanwhile, if there is one."""
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def restore(self, progress: Progress, values: Sequence[np.ndarray]) -> None:
        """Go on from `progress` with these values of the `variables`.

        Raises UserError where they do not fit.
        """
        shapes = [tuple(variable.shape) for variable in self.variables]
        if [value.shape for value in values] != shapes:
            raise UserError(
                "the checkpoint of this run was written by another version of this project or of "
                "Keras; --overwrite trains again"
            )
        with self.strategy.scope():
            for variable, value in zip(self.variables, values, strict=True):
                variable.assign(value)
        self.progress = progress

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
        whole global batches, see `data_pipeline.build_dataset`. `verbose` is that of Keras's `fit`:
        0 silent, 1 a progress bar, 2 a line per epoch.

        Returns the history, a dict per epoch: loss, accuracy and AUC of both, learning rate,
        seconds, clips trained per second, and the share of the seconds spent waiting for data.

        Raises UserError when the loss is not a number any more.
        """
        callback_list = keras.callbacks.CallbackList(
            list(callbacks),
            add_progbar=verbose != 0,
            model=self.model,
            verbose=verbose,
            epochs=epochs,
            steps=steps_per_epoch,
        )
        self.model.stop_training = False
        callback_list.on_train_begin()
        batches = timed(training)
        while self.progress.epoch < epochs and not self._anyone(self.model.stop_training):
            epoch = self.progress.epoch
            callback_list.on_epoch_begin(epoch)
            epoch_metrics = self._train_epoch(batches, steps_per_epoch, callback_list)
            epoch_metrics |= self._validate(validation, callback_list)
            self.progress.end_epoch(epoch_metrics)
            callback_list.on_epoch_end(epoch, dict(epoch_metrics))
        callback_list.on_train_end()
        return self.progress.history

    def _train_epoch(
        self, batches: Iterator, steps_per_epoch: int, callbacks: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        progress = self.progress
        finished = zip(progress.labels, progress.scores, strict=True)
        loss_sum = sum(metrics.log_loss(*step) for step in finished)
        while progress.step < steps_per_epoch:
            started = time.perf_counter()
            callbacks.on_train_batch_begin(progress.step)
            batch, waited_sec = next(batches)
            labels, scores = (
                self._scorer.of_first_replica(values)[:, 0] for values in self._train_step(batch)
            )
            loss_sum += metrics.log_loss(labels, scores)
            if not np.isfinite(loss_sum):
                raise _no_number(f"in step {progress.step + 1} of", progress.epoch)
            seconds = time.perf_counter() - started
            progress.end_step(labels, scores, seconds, waited_sec)
            callbacks.on_train_batch_end(progress.step - 1, {"loss": loss_sum / progress.step})
        return classification_metrics(
            np.concatenate(progress.labels), np.concatenate(progress.scores)
        )

    def _validate(
        self, validation: Iterable, callbacks: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        """Return the metrics of an epoch besides those of training: validation, rate and times."""
        progress = self.progress
        started = time.perf_counter()
        callbacks.on_test_begin()
        with self._averaged():
            (scores, labels, weights), waited_sec = self._scorer.score_dataset(validation)
        if not np.isfinite(scores).all():
            raise _no_number("in the validation of", progress.epoch)
        validated = classification_metrics(labels, scores, weights)
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
        return self._scorer.of_first_replica(self._gather_numbers(tf.constant([numbers], tf.int64)))

    @tf.function
    def _gather_numbers(self, numbers: tf.Tensor) -> tf.Tensor:
        return self.strategy.run(lambda: gather(numbers)[0])

    @tf.function
    def _train_step(self, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        result = self.strategy.run(self._train_replica, args=batch)
        if self._average:
            self._average.update(self.optimizer.iterations.value)
        return result

    def _train_replica(self, clips: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        global_batch = clips.shape[0] * self.strategy.num_replicas_in_sync
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in self._learning:
                tape.watch(variable.value)
            scores = self.model(clips, training=True)
            losses = keras.losses.binary_crossentropy(labels, scores)  # (rows of this replica,)
            loss = self.optimizer.scale_loss(tf.reduce_sum(losses) / global_batch)
        gradients = tape.gradient(loss, self._learning)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = _agree_on_overflow(gradients)
        # This adds them up over the replicas.
        self.optimizer.apply_gradients(zip(gradients, self._learning, strict=True))
        return gather(labels, scores)


def _agree_on_overflow(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return gradients that are not numbers on all replicas if they are not on one.

    LossScaleOptimizer looks at the gradients of one replica before they are added up; a float16
    overflow on another would go into the weights, or leave the workers waiting for each other.
    """
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(part)) for part in gradients])
    context = tf.distribute.get_replica_context()
    overflows = context.all_reduce(tf.distribute.ReduceOp.SUM, 1 - tf.cast(finite, tf.float32))
    return [tf.where(overflows > 0, tf.constant(np.nan, part.dtype), part) for part in gradients]


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


class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A tenth of the highest learning rate, a straight line up to it, then half a cosine down to
    `final_share` of it.

    It is Keras's CosineDecay without its branch. AdamW computes its schedule once for each of its
    variables, and the branches of a hundred of them take as long to trace as minutes of training.
    """

    def __init__(self, highest: float, warm_up_steps: int, decay_steps: int, final_share: float):
        super().__init__()
        self.highest, self.final_share = highest, final_share
        self.warm_up_steps, self.decay_steps = warm_up_steps, decay_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        numbers = (self.highest, self.highest * 0.1, self.warm_up_steps, self.decay_steps)
        highest, first, warm_up, decay = (tf.constant(n, tf.float32) for n in numbers)
        step = tf.minimum(tf.cast(step, tf.float32), decay + warm_up)
        rising = (highest - first) * (step / warm_up) + first
        cosine = 0.5 * (1.0 + tf.cos(tf.constant(np.pi, tf.float32) * ((step - warm_up) / decay)))
        falling = highest * ((1 - self.final_share) * cosine + self.final_share)
        return tf.where(step < warm_up, rising, falling)

    def get_config(self) -> dict:
        names = ("highest", "warm_up_steps", "decay_steps", "final_share")
        return {name: getattr(self, name) for name in names}


def make_optimizer(
    learning_rate: float,
    epochs: int,
    steps_per_epoch: int,
    precision: str = "float32",
    final_share: float = 0.1,
) -> keras.optimizers.Optimizer:
    """Return AdamW for the whole length of a run: a short warm-up, then half a cosine down to
    `final_share` of the learning rate.

    Gradients are not clipped: each replica would clip its own before they are added up, and the
    weights would depend on the number of replicas.
    """
    steps = epochs * steps_per_epoch
    warm_up = min(2 * steps_per_epoch, steps // 5)
    schedule = WarmUpCosine(learning_rate, warm_up, max(1, steps - warm_up), final_share)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4)
    if precision == "mixed_float16":  # its gradients would vanish below 6e-8
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _no_number(place: str, epoch: int) -> UserError:
    return UserError(
        f"the loss is not a number any more {place} epoch {epoch + 1}; give a lower --learning-rate"
    )
