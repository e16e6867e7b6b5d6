"""What runs in training and scoring in place of some saved layers: the same weights and the same
outputs, but other arithmetic.

`replacement` says what stands in for a layer. Nothing of this is ever saved.
"""

import keras
import tensorflow as tf
from keras import layers


def fold_time(
    model: keras.Model, seed: int | None = None, step: "tf.Variable | None" = None
) -> keras.Model:
    """Return a model over the very weights of `model` that runs all frames as one batch of images.

    Training it trains `model`, scoring with it gives the scores of `model`. Works for any chain of
    layers with TimeDistributed among them, also one that `load_model` has just opened.

    With `seed` and `step`, an int64 variable that the training loop counts up, Dropout draws its
    masks from these two alone: the same ones on one device and on many, and after a resume. Raises
    ValueError where only one of the two is given.
    """
    if (seed is None) != (step is None):
        raise ValueError("give both seed and step, or neither")
    draws = None if seed is None else Draws(seed, step)
    clip = keras.Input(model.input_shape[1:], name="clip")
    x = clip
    for layer in model.layers[1:]:
        if not isinstance(layer, layers.TimeDistributed):
            x = replacement(layer, draws)(x)
            continue
        num_frames, *frame_shape = x.shape[1:]
        x = keras.ops.reshape(x, (-1, *frame_shape))  # (batch * num_frames, height, width, 3)
        x = replacement(layer.layer, draws)(x)  # (batch * num_frames, features)
        x = keras.ops.reshape(x, (-1, num_frames, *x.shape[1:]))  # (batch, num_frames, features)
    return keras.Model(clip, x, name=f"{model.name}_folded")


def replacement(layer: keras.layers.Layer, draws: "Draws | None") -> keras.layers.Layer:
    """Return what runs in place of `layer` and holds its very weights, or `layer` itself.

    With `draws`, Dropout draws as if all devices were one; without, stock Dropout stays. A model
    is looked into.
    """
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer, clone_function=lambda part: replacement(part, draws))
    # Dropout with a shape of its own shares draws between places, which ours cannot.
    if draws and type(layer) is layers.Dropout and layer.noise_shape is None:
        return draws.dropout(layer)
    if type(layer) is layers.LSTM and ProjectedLSTM.suits(layer):
        return ProjectedLSTM(layer)
    if type(layer) is layers.GroupNormalization and layer.axis == -1:
        return FlatGroupNormalization(layer)
    if type(layer) is layers.Conv2D and BiasApartConv2D.suits(layer):
        return BiasApartConv2D(layer)
    return layer


class ProjectedLSTM(layers.Layer):
    """A stock LSTM that multiplies the frames of all time steps by its kernel in one product.

    Away from cuDNN Keras does so anew in each time step, and adds up a gradient as large as the
    kernel as often. From `(batch, time, features)` to what the LSTM gives.
    """

    def __init__(self, lstm: keras.layers.LSTM):
        super().__init__(name=lstm.name, dtype=lstm.dtype_policy)
        self._cell = lstm.cell
        self._recurrence = layers.RNN(
            _Recurrence(lstm.cell),
            return_sequences=lstm.return_sequences,
            go_backwards=lstm.go_backwards,
            unroll=lstm.unroll,
            dtype=lstm.dtype_policy,
        )

    @staticmethod
    def suits(lstm: keras.layers.LSTM) -> bool:
        """Say whether the LSTM keeps to what ours can do, and does not run on cuDNN anyway.

        cuDNN's conditions: https://keras.io/api/layers/recurrent_layers/lstm/
        """
        if lstm.dropout or lstm.recurrent_dropout or lstm.stateful or lstm.return_state:
            return False
        suits_cudnn = (
            lstm.activation is keras.activations.tanh
            and lstm.recurrent_activation is keras.activations.sigmoid
            and lstm.use_bias
            and not lstm.unroll
            and lstm.use_cudnn is not False
        )
        return not (suits_cudnn and tf.config.list_logical_devices("GPU"))

    def call(self, sequence):
        num_steps, num_features = sequence.shape[1:]
        frames = tf.reshape(sequence, (-1, num_features))  # (batch * time, features)
        projected = keras.ops.matmul(frames, self._cell.kernel)  # (batch * time, 4 * units)
        if self._cell.use_bias:
            projected = keras.ops.add(projected, self._cell.bias)
        return self._recurrence(tf.reshape(projected, (-1, num_steps, 4 * self._cell.units)))

    def compute_output_shape(self, sequence_shape):
        return self._recurrence.compute_output_shape(sequence_shape)


class _Recurrence(layers.Layer):
    """What is left of an LSTM's time step, Hochreiter and Schmidhuber 1997,
    doi:10.1162/neco.1997.9.8.1735, once its input is multiplied: `(batch, 4 * units)`."""

    def __init__(self, cell: keras.layers.LSTMCell):
        super().__init__(dtype=cell.dtype_policy)
        self._cell = cell
        self.state_size, self.output_size = cell.state_size, cell.output_size

    def call(self, projected, states, training=False):
        hidden, carry = states
        activation, gate = self._cell.activation, self._cell.recurrent_activation
        gates = projected + keras.ops.matmul(hidden, self._cell.recurrent_kernel)
        enter, keep, candidate, leave = keras.ops.split(gates, 4, axis=1)
        carry = gate(keep) * carry + gate(enter) * activation(candidate)
        hidden = gate(leave) * activation(carry)
        return hidden, [hidden, carry]


class FlatGroupNormalization(layers.Layer):
    """A stock GroupNormalization (Wu and He, ECCV 2018, arXiv:1803.08494) of channels-last images
    that averages over pixels first and over the channels of a group last.

    Keras gives the groups an axis of their own and works on whole images along it, which takes two
    to three times as long. In 32 bits whatever the policy, as the stock one.
    """

    def __init__(self, layer: keras.layers.GroupNormalization):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.autocast = False  # 16 bits must not reach the weights
        self._layer = layer

    def call(self, images):
        stock, channels = self._layer, images.shape[-1]
        pixels = tf.reshape(
            images, (tf.shape(images)[0], -1, channels)
        )  # (batch, pixels, channels)
        pixels = tf.cast(pixels, tf.float32)
        centred = pixels - self._mean(pixels)
        scale = tf.math.rsqrt(self._mean(tf.square(centred)) + stock.epsilon)
        if stock.scale:
            scale *= stock.gamma
        normalised = centred * scale
        if stock.center:
            normalised += stock.beta
        return tf.cast(tf.reshape(normalised, tf.shape(images)), self.compute_dtype)

    def _mean(self, pixels):
        """Return the mean of its group for each channel, `(batch, 1, channels)`."""
        channels, groups = pixels.shape[-1], self._layer.groups
        each = tf.reshape(tf.reduce_mean(pixels, axis=1), (-1, groups, channels // groups))
        mean = tf.repeat(tf.reduce_mean(each, axis=2), channels // groups, axis=1)
        return mean[:, None]

    def compute_output_shape(self, images_shape):
        return images_shape


class BiasApartConv2D(layers.Layer):
    """A stock Conv2D whose bias gets its gradient apart from the kernel.

    On a CPU TensorFlow merges the two into an operation of oneDNN that takes twice as long as both
    one by one (Conv2DBackpropFilterWithBias, TensorFlow 2.21).
    """

    def __init__(self, layer: keras.layers.Conv2D):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self._layer = layer

    @staticmethod
    def suits(layer: keras.layers.Conv2D) -> bool:
        return layer.use_bias and layer.data_format == "channels_last"

    def call(self, images):
        outputs = self._layer.convolution_op(images, self._layer.kernel)
        outputs = _add_bias(outputs, tf.convert_to_tensor(self._layer.bias))
        return self._layer.activation(outputs)

    def compute_output_shape(self, images_shape):
        return self._layer.compute_output_shape(images_shape)


@tf.custom_gradient
def _add_bias(images, bias):
    def gradients(upstream):
        # As rows of pixels it is another tensor than the kernel's gradient is computed from, which
        # is what keeps the two apart.
        rows = tf.reshape(upstream, (-1, upstream.shape[-1]))  # (batch * height * width, channels)
        return upstream, tf.raw_ops.BiasAddGrad(out_backprop=rows)

    return tf.nn.bias_add(images, bias), gradients


class Draws:
    """Numbers the dropout layers of a model and gives all of them one seed and one step."""

    def __init__(self, seed: int, step: "tf.Variable"):
        self._seed, self._step, self._count = seed, step, 0

    def dropout(self, layer: keras.layers.Dropout) -> "GlobalBatchDropout":
        number, self._count = self._count, self._count + 1
        return GlobalBatchDropout(layer, (self._seed, number), self._step)


class GlobalBatchDropout(layers.Layer):
    """Dropout whose mask depends on (seed, number of the layer, step), not on how many devices
    share the batch.

    Each replica draws the mask of the whole batch and takes its own rows, `(batch, ...)`. Batches
    must have the same size on all replicas. Without training it changes nothing.
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
        return tf.stack(
            [tf.constant((seed << 16) + number, tf.int64), tf.cast(self._step, tf.int64)]
        )

    def compute_output_shape(self, input_shape):
        return input_shape
