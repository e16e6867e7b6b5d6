"""The average of the weights: its values, and that training goes on from the weights themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepfake_detector.training.loop import Trainer
from deepfake_detector.training.weight_average import WeightAverage


@pytest.fixture
def number() -> keras.Variable:
    return keras.Variable([1.0])


def averages(number, momentum, values) -> list[float]:
    """Return the average after each step that changes the number to one of the values."""
    average = WeightAverage([number], momentum, tf.distribute.get_strategy())
    seen = []
    for step, value in enumerate(values, start=1):
        number.assign([value])
        average.update(tf.constant(step))
        seen.append(float(average.values[0].numpy()[0]))
    return seen


def test_the_first_steps_count_more_than_the_weights_it_began_with(number):
    first = (2 * 1 + 4 * 5) / 6
    assert averages(number, 0.99, [5, 5]) == pytest.approx([first, (3 * first + 4 * 5) / 7])


def test_later_the_momentum_decides(number):
    before, after = averages(number, 0.1, [5, 7])
    assert after == pytest.approx(0.1 * before + 0.9 * 7)


def test_it_takes_the_place_of_the_weights_only_meanwhile(number):
    average = WeightAverage([number], 0.5, tf.distribute.get_strategy())
    number.assign([3.0])
    with pytest.raises(KeyError), average.in_place():
        assert number.numpy() == [1.0]
        raise KeyError
    assert number.numpy() == [3.0]


def test_what_is_validated_and_saved_is_the_average_and_training_goes_on_without_it(tmp_path):
    keras.utils.set_random_seed(0)
    point = keras.Input((2,))
    network = keras.Model(point, keras.layers.Dense(1, activation="sigmoid", name="p")(point))
    optimizer = keras.optimizers.SGD(1.0)
    trainer = Trainer(network, optimizer, tf.distribute.get_strategy(), average_momentum=0.99)
    x = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    labels = (x[:, :1] > 0).astype(np.float32)
    training = tf.data.Dataset.from_tensor_slices((x, labels)).repeat().batch(4)
    validation = tf.data.Dataset.from_tensor_slices((x, labels, np.ones_like(labels))).batch(4)
    (metrics,) = trainer.fit(training, validation, epochs=1, steps_per_epoch=5, verbose=0)
    trainer.save(tmp_path / "model.keras")
    saved = keras.models.load_model(tmp_path / "model.keras")
    *_, kernel, bias = trainer.variables
    assert np.array_equal(saved.get_layer("p").get_weights()[0], kernel.numpy())
    assert np.array_equal(saved.get_layer("p").get_weights()[1], bias.numpy())
    assert not np.allclose(network.get_layer("p").get_weights()[0], kernel.numpy())
    saved.compile(loss="binary_crossentropy")
    assert saved.evaluate(x, labels, verbose=0) == pytest.approx(metrics["val_loss"], abs=1e-5)
