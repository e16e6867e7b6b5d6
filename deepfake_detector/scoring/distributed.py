"""What the training loop and the clip scorer share: waiting for batches, gathering over replicas.

A file of its own, because neither of the two should have to look for it in the other.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf


def timed(batches: Iterable) -> Iterator[tuple[Any, float]]:
    """Yield each batch with the seconds that were spent waiting for it."""
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
