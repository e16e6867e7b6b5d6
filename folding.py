"""What training runs in place of some saved layers: the same weights and outputs, other arithmetic.

`replacement` says what stands in for a layer. Nothing of this is ever saved.
"""

import tensorflow as tf

keras = tf.keras
layers = keras.layers


def replacement(layer: "keras.layers.Layer", draws: "Draws | None") -> "keras.layers.Layer":
    """Return what runs in place of `layer` and holds its very weights, or `layer` itself.

    With `draws`, Dropout draws as if all devices were one; without, stock Dropout stays. A model
    is looked into.
    """
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer, clone_function=lambda part: replacement(part, draws))
    # Dropout with a shape of its own shares draws between places, which ours cannot.
    if draws and type(layer) is layers.Dropout and layer.noise_shape is None:
        return draws.dropout(layer)
    return layer


class Draws:
    """Numbers the dropout layers of a model and gives all of them one seed and one step."""

    def __init__(self, seed: int, step: "tf.Variable"):
        self._seed, self._step, self._count = seed, step, 0

    def dropout(self, layer: "keras.layers.Dropout") -> "GlobalBatchDropout":
        number, self._count = self._count, self._count + 1
        return GlobalBatchDropout(layer, (self._seed, number), self._step)


class GlobalBatchDropout(layers.Layer):
    """Dropout whose mask depends on (seed, number of the layer, step), not on how many devices
    share the batch.

    Each replica draws the mask of the whole batch and takes its own rows, `(batch, ...)`. Batches
    must have the same size on all replicas. Without training it changes nothing.
    """

    def __init__(self, layer: "keras.layers.Dropout", key: tuple[int, int], step: "tf.Variable"):
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
        drawn = tf.random.stateless_uniform(
            (rows * num_replicas, *inputs.shape[1:]),
            self._seed_pair(),
            alg="philox",  # left to itself TensorFlow draws with another one on other devices
        )
        kept = drawn[replica * rows : (replica + 1) * rows] >= self._rate
        return tf.where(kept, inputs / (1 - self._rate), tf.zeros_like(inputs))

    def _seed_pair(self) -> "tf.Tensor":
        """Return `(2,) int64` that no other layer and no other step has."""
        seed, number = self._key
        return tf.stack([tf.constant((seed << 16) + number, tf.int64), tf.identity(self._step)])

    def compute_output_shape(self, input_shape):
        return input_shape
