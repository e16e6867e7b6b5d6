"""What runs in place of saved layers: the same on one device and on many, the same gradients."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import model as networks
from deepfake_detector.networks import catalogue, folding

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("small_lite0")


def dropped_twice(rate=0.5):
    """A network that shows its masks: ones through dropout in the frames and after them."""
    frame = keras.Input((50,))
    encoder = keras.Model(frame, layers.Dropout(rate)(frame))
    clip = keras.Input((6, 50))
    return keras.Model(clip, layers.Dropout(rate)(layers.TimeDistributed(encoder)(clip)))


def masks(seed=0, step=0, rate=0.5, network=None):
    """Return `(8 clips, 6 frames, 50)`: 0 where either dropout hit."""
    counter = tf.Variable(step, dtype=tf.int64)
    folded = folding.fold_time(network or dropped_twice(rate), seed=seed, step=counter)
    return folded(np.ones((8, 6, 50), np.float32), training=True).numpy()


def test_the_same_seed_and_step_drop_the_same():
    assert (masks(3, 5) == masks(3, 5)).all()


@pytest.mark.parametrize("other", [{"seed": 1}, {"step": 1}])
def test_another_seed_and_another_step_drop_something_else(other):
    assert 0.5 < (masks() == masks(**other)).mean() < 0.75  # by chance 0.25 ** 2 + 0.75 ** 2


def test_dropout_follows_the_step_that_the_loop_counts_up():
    step = tf.Variable(0, dtype=tf.int64)
    folded = folding.fold_time(dropped_twice(), seed=0, step=step)
    run = tf.function(lambda: folded(tf.ones((8, 6, 50)), training=True))
    first = run().numpy()
    step.assign(7)
    assert (run().numpy() == masks(step=7)).all()
    assert not (run().numpy() == first).all()


def test_two_dropout_layers_of_a_model_drop_different_values():
    """With one mask for both, a quarter would become a half."""
    assert (masks() == 0).mean() == pytest.approx(0.75, abs=0.03)


def test_what_is_kept_makes_up_for_what_is_dropped():
    kept = masks(rate=0.2)
    assert kept.max() == pytest.approx(1 / 0.8**2)
    assert kept.mean() == pytest.approx(1, abs=0.03)


def test_gradients_pass_where_values_passed():
    step = tf.Variable(0, dtype=tf.int64)
    folded = folding.fold_time(dropped_twice(), seed=0, step=step)
    clips = tf.ones((8, 6, 50))
    with tf.GradientTape() as tape:
        tape.watch(clips)
        out = folded(clips, training=True)
    assert (tape.gradient(out, clips).numpy() == out.numpy()).all()


@pytest.mark.slow
def test_scoring_drops_nothing_and_saved_networks_keep_stock_dropout():
    network = networks.build_model(3, (32, 32))
    folded = folding.fold_time(network, seed=0, step=tf.Variable(0, dtype=tf.int64))
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3)).astype(np.float32)
    assert folded(clips).numpy() == pytest.approx(network(clips).numpy(), abs=1e-6)
    assert not np.allclose(folded(clips, training=True), folded(clips))
    assert type(network.get_layer("dropout")) is layers.Dropout
    assert type(folding.fold_time(network).get_layer("dropout")) is layers.Dropout


def test_seed_without_step_says_what_is_missing():
    with pytest.raises(ValueError, match="give both seed and step, or neither"):
        folding.fold_time(dropped_twice(), seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(catalogue.ARCHITECTURES))
def test_training_sees_the_very_weights_in_the_order_of_the_saved_network(architecture):
    network = networks.build_model(3, (32, 32), architecture)
    folded = folding.fold_time(network, seed=0, step=tf.Variable(0, dtype=tf.int64))
    pairs = zip(folded.trainable_variables, network.trainable_variables, strict=True)
    assert all(ours is saved for ours, saved in pairs)


def gradients_of(network, clips, targets):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(keras.losses.binary_crossentropy(targets, network(clips)))
    return [gradient.numpy() for gradient in tape.gradient(loss, network.trainable_variables)]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(catalogue.ARCHITECTURES))
def test_gradients_are_those_of_the_saved_network(architecture):
    keras.utils.set_random_seed(0)
    network = networks.build_model(5, (32, 32), architecture)
    clips = np.random.default_rng(0).integers(0, 256, (3, 5, 32, 32, 3)).astype(np.float32)
    targets = np.array([[0], [1], [1]], np.float32)
    folded = gradients_of(folding.fold_time(network), clips, targets)
    for ours, saved in zip(folded, gradients_of(network, clips, targets), strict=True):
        assert ours == pytest.approx(saved, abs=1e-4 * float(np.abs(saved).max()))


def chain(layer, shape):
    """A network of one layer with random weights, its biases too."""
    inputs = keras.Input(shape)
    network = keras.Model(inputs, layer(inputs))
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(size=weight.shape) for weight in network.get_weights()])
    return network


def assert_folds_to_another_layer_of_the_same_outputs(layer, shape):
    network = chain(layer, shape)
    folded = folding.fold_time(network)
    assert type(folded.layers[-1]) is not type(layer)
    inputs = np.random.default_rng(1).normal(3, 2, (4, *shape)).astype(np.float32)
    assert folded(inputs).numpy() == pytest.approx(network(inputs).numpy(), abs=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"return_sequences": True, "go_backwards": True},
        {"use_bias": False, "unroll": True},
    ],
)
def test_an_lstm_multiplied_in_one_product_gives_what_keras_gives(options):
    assert_folds_to_another_layer_of_the_same_outputs(layers.LSTM(5, **options), (6, 7))


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"stateful": True}]
)
def test_an_lstm_with_more_than_ours_can_do_stays_as_it_is(options):
    layer = layers.LSTM(5, **options)
    inputs = keras.Input(batch_shape=(4, 6, 7))
    assert folding.fold_time(keras.Model(inputs, layer(inputs))).layers[-1] is layer


@pytest.mark.parametrize(("activation", "stays"), [("tanh", True), ("relu", False)])
def test_where_there_is_a_gpu_an_lstm_made_for_cudnn_stays(monkeypatch, activation, stays):
    layer = layers.LSTM(5, activation=activation)
    network = chain(layer, (6, 7))
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["GPU:0"])
    assert (folding.fold_time(network).layers[-1] is layer) == stays


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path[:0] = [".", "tests", "tests/networks"]
from deepfake_detector.networks import folding
from test_folding import dropped_twice


def masks_of(devices):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])
    with strategy.scope():
        step = tf.Variable(0, dtype=tf.int64)
        network = folding.fold_time(dropped_twice(), seed=1, step=step)
    ones = tf.ones((4 // devices, 6, 50))
    dropped = tf.function(lambda: strategy.run(lambda: network(ones, training=True)))
    of_steps = []
    for number in range(3):
        step.assign(number)
        parts = strategy.experimental_local_results(dropped())
        of_steps.append(np.concatenate([part.numpy() for part in parts]))
    return np.stack(of_steps)


np.savez(sys.argv[1], one=masks_of(1), two=masks_of(2))
"""


@pytest.mark.slow
def test_two_devices_drop_what_one_drops(tmp_path):
    command = [sys.executable, "-c", TWO_DEVICES, str(tmp_path / "masks.npz")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "masks.npz") as of:
        assert of["one"].shape == (3, 4, 6, 50)
        assert (of["one"] == of["two"]).all()
        assert (of["one"] == 0).mean() == pytest.approx(0.75, abs=0.03)
