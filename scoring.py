"""Scores every clip of a data set once, on however many devices and machines there are.

    labels, scores, weights, waited_sec = Scorer(model, strategy).score(dataset)

Each replica scores its rows of a batch, and every one is given the scores of all, so that figures
are computed from all clips at once and are the same on every worker.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

keras = tf.keras
EPSILON = 1e-7  # scores are kept this far from 0 and 1 in a log loss, as Keras does in training


class Scorer:
    """Scores clips with `model`, which lies in the scope of `strategy` and gives `(batch, 1)`."""

    def __init__(self, model: "keras.Model", strategy: "tf.distribute.Strategy"):
        self._model, self._strategy = model, strategy

    def score(
        self, dataset: Iterable, advance: Callable[[], None] = lambda: None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Return the labels, scores and weights of a distributed data set of `(clips, labels,
        weights)`, `(num_clips,) float32` each in their order, and the seconds it was waited for.

        `advance` is called after each batch.
        """
        rows, waited_sec = [], 0.0
        for batch, seconds in timed(dataset):
            rows.append(self.rows(self._step(batch)))
            waited_sec += seconds
            advance()
        labels, scores, weights = map(np.concatenate, zip(*rows, strict=True))
        return labels, scores, weights, waited_sec

    def rows(self, gathered: Sequence) -> list[np.ndarray]:
        """Return what `gather` gave, `(batch, 1)` and the same on all replicas, as `(batch,)`."""
        first = [self._strategy.experimental_local_results(values)[0] for values in gathered]
        return [values.numpy()[:, 0] for values in first]

    @tf.function
    def _step(self, batch):
        return self._strategy.run(self._replica_step, args=batch)

    def _replica_step(
        self, clips: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return gather(labels, self._model(clips, training=False), weights)


def timed(batches: Iterable) -> Iterator[tuple[object, float]]:
    """Yield each batch with the seconds it was waited for."""
    iterator = iter(batches)
    while True:
        started = time.perf_counter()
        try:
            batch = next(iterator)
        except StopIteration:
            return
        yield batch, time.perf_counter() - started


def gather(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Within `strategy.run`, return the rows of all replicas, in the order of the global batch."""
    context = tf.distribute.get_replica_context()
    # An argument of a function has no device yet, and what has none cannot be gathered.
    return tuple(context.all_gather(tf.identity(rows), axis=0) for rows in values)


def log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy of each score, `(num_clips,) float64`."""
    scores = np.clip(scores.astype(np.float64), EPSILON, 1 - EPSILON)
    return -np.log(np.where(labels > 0.5, scores, 1 - scores))


def classification_figures(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Return weighted log loss, accuracy at 0.5 and ROC AUC (not a number with one class only)."""
    weights = np.ones(len(labels)) if weights is None else weights
    right = (scores >= 0.5) == (labels > 0.5)
    both = len(set(labels[weights > 0])) == 2
    return {
        "loss": float(np.average(log_losses(labels, scores), weights=weights)),
        "accuracy": float(np.average(right, weights=weights)),
        "auc": float(roc_auc_score(labels, scores, sample_weight=weights)) if both else np.nan,
    }
