"""What training and scoring on several devices share: waiting, gathering, metrics of an epoch."""

import time
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from deepfake_detector.scoring import metrics


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


def classification_figures(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Return weighted log loss, accuracy at 0.5 and ROC AUC (not a number with one class only)."""
    weights = np.ones(len(labels)) if weights is None else weights
    right = (scores >= 0.5) == (labels > 0.5)
    counted = weights > 0  # the others only fill up the last batch
    auc = metrics.roc_auc(labels[counted], scores[counted], weights[counted])
    return {
        "loss": float(np.average(metrics.log_losses(labels, scores), weights=weights)),
        "accuracy": float(np.average(right, weights=weights)),
        "auc": np.nan if auc is None else auc,
    }
