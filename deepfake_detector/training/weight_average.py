"""An average of the weights over the steps of a training, which is steadier than the weights are.

average = WeightAverage(model.trainable_variables, momentum=0.998, strategy)
average.update(step)  # after each step
with average.in_place():
    ...  # the variables hold their averages here
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf


class WeightAverage:
    """The exponential moving average of `variables` (Polyak and Juditsky 1992,
    doi:10.1137/0330046; its weights fall by `momentum` with each step).

    It begins with the values that the variables have now. In the first steps the momentum is lower,
    (1 + step) / (5 + step): so the average reaches back over about a quarter of a training, however
    short, and soon forgets where it began.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        momentum: float,
        strategy: tf.distribute.Strategy,
    ):
        self._variables, self._momentum, self._strategy = variables, momentum, strategy
        with strategy.scope():
            self.values = [
                keras.Variable(values, trainable=False, dtype="float32")
                for values in _values(variables)
            ]

    def update(self, step: tf.Tensor) -> None:
        """Take in the present values of the variables, after `step` steps of training.

        Call it outside of `strategy.run`.
        """
        steps = tf.cast(step, tf.float32)
        kept = tf.minimum(self._momentum, (1 + steps) / (5 + steps))

        def move(average: tf.Variable, value: tf.Tensor) -> None:
            average.assign(kept * average + (1 - kept) * value)

        for average, variable in zip(self.values, self._variables, strict=True):
            self._strategy.extended.update(average.value, move, args=(variable.value,), group=False)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the variables hold their averages meanwhile."""
        trained = _values(self._variables)
        self._assign(_values(self.values))
        try:
            yield
        finally:
            self._assign(trained)

    def _assign(self, values: Sequence[np.ndarray]) -> None:
        with self._strategy.scope():
            for variable, value in zip(self._variables, values, strict=True):
                variable.assign(value)


def _values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [variable.value.numpy() for variable in variables]
