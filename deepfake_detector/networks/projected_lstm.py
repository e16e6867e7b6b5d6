"""An LSTM over the weights of a stock one that is quicker where cuDNN does not run it."""

import keras
import tensorflow as tf
from keras import layers


class ProjectedLSTM(layers.Layer):
    """A stock LSTM that multiplies the frames of all time steps by its kernel in one product.

    Without cuDNN, Keras multiplies in each time step, and as often adds up a gradient of the size
    of the kernel. From `(batch, time, features)` to the output of the LSTM.
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
        """Return whether this class can do what `lstm` does, and cuDNN does not do it anyway.

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
    """The rest of an LSTM's time step, once its input is multiplied: `(batch, 4 * units)`.

    Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
    """

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
