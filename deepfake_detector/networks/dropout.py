"""Dropout that drops the same values on one device, on many devices and after a resume."""

import keras
import tensorflow as tf
from keras import layers


class DropoutRandomness:
    """Gives the dropout layers of a model one seed and one step, and each a number of its own."""

    def __init__(self, seed: int, step: "tf.Variable"):
        self._seed, self._step, self._count = seed, step, 0

    def dropout(self, layer: keras.layers.Dropout) -> "GlobalBatchDropout":
        """Return what runs in place of the next dropout layer of the model."""
        number, self._count = self._count, self._count + 1
        return GlobalBatchDropout(layer, (self._seed, number), self._step)


class GlobalBatchDropout(layers.Layer):
    """Dropout whose mask depends on (seed, number of the layer, step), and not on how many devices
    share the batch.

    Each replica makes the mask of the global batch and takes the rows of its own clips. Batches
    `(batch, ...)` must have the same size on all replicas. Scoring drops nothing.
    """

    def __init__(self, layer: keras.layers.Dropout, key: tuple[int, int], step: "tf.Variable"):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.supports_masking = True
        self._rate, self._key, self._step = layer.rate, key, step

    def call(self, inputs, training=False):
        if not training or self._rate == 0:
            return inputs
        context = tf.distribute.get_replica_context()
        replica, num_replicas = 0, 1
        if context is not None:
            replica, num_replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
        rows = inputs.shape[0] or tf.shape(inputs)[0]
        random_numbers = tf.random.stateless_uniform(
            (rows * num_replicas, *inputs.shape[1:]),
            self._seed_pair(),
            alg="philox",  # the default depends on the kind of device
        )
        kept = random_numbers[replica * rows : (replica + 1) * rows] >= self._rate
        return tf.where(kept, inputs / (1 - self._rate), tf.zeros_like(inputs))

    def _seed_pair(self) -> "tf.Tensor":
        """Return `(2,) int64` that no other layer and no other step has."""
        seed, number = self._key
        return tf.stack(
            [tf.constant((seed << 16) + number, tf.int64), tf.cast(self._step, tf.int64)]
        )

    def compute_output_shape(self, input_shape):
        return input_shape
