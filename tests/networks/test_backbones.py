"""Networks of keras.applications as frame encoders: offline, with random weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, assert_weights_close

import model as networks
import train
from deepfake_detector.console import UserError
from deepfake_detector.networks import backbones, catalogue, folding

LIGHT = "mobilenetv3-small"  # the one that is built and traced soonest
FRAME = (32, 32, 3)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, *FRAME)).astype(np.float32)


def shift_statistics(network):
    """Replace the 0 and 1 that all moving statistics begin with, and that change nothing."""
    rng = np.random.default_rng(1)
    for weight in network.weights:
        if weight.name.startswith("moving_"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return network


def stock(name, **options):
    function, _ = catalogue.BACKBONES[name]
    return getattr(keras.applications, function)(
        include_top=False, weights=None, input_shape=FRAME, **options
    )


def equal(arrays, others):
    return all(np.array_equal(*pair) for pair in zip(arrays, others, strict=True))


@pytest.mark.parametrize("name", catalogue.BACKBONES)
def test_every_name_is_a_network_of_keras(name):
    assert callable(getattr(keras.applications, catalogue.BACKBONES[name][0]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [LIGHT, pytest.param("efficientnetv2-b0", marks=pytest.mark.thorough)]
)
def test_features_are_those_of_the_network_with_its_own_preprocessing(name, frames):
    encoder = shift_statistics(backbones.backbone_encoder(name, FRAME))
    own = stock(name, pooling="avg")
    shared = len(own.weights) - len(encoder.weights)  # mean and variance of a Normalization
    own.set_weights([*own.get_weights()[:shared], *encoder.get_weights()])
    scored = encoder(frames).numpy()
    assert scored == pytest.approx(own(frames).numpy(), rel=1e-3, abs=1e-5)


def test_frames_that_are_too_small_are_one_sentence():
    with pytest.raises(UserError, match="xception cannot be built .* of 70 x 70 pixels: .*71"):
        backbones.backbone_encoder("xception", (70, 70, 3))


@pytest.mark.slow
def test_training_leaves_the_statistics_of_the_normalisation_alone(frames):
    """`training=False` in its call was not enough: an outer model's training=True went through."""
    network = shift_statistics(networks.build_model(2, FRAME[:2], LIGHT))
    backbone = network.get_layer("frames").layer.get_layer("backbone")
    moving = [w for w in backbone.weights if w.name.startswith("moving_")]
    before = [weight.numpy() for weight in moving]
    kernel = backbone.get_layer("conv").kernel.numpy()
    folded = folding.fold_time(network)
    folded.compile(keras.optimizers.AdamW(1e-2), "binary_crossentropy", run_eagerly=True)
    folded.train_on_batch(frames[:, None].repeat(2, axis=1), np.array([[0.0], [1.0]]))
    assert equal(before, [weight.numpy() for weight in moving])
    assert not np.array_equal(kernel, backbone.get_layer("conv").kernel.numpy())


@pytest.mark.thorough
def test_a_run_begins_with_the_weights_of_another_run(sample_faces, tmp_path):
    words = ["--data", str(sample_faces), *TINY, "--architecture", LIGHT, "--epochs", "1"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert train.main([*words, "--from", "random", "--out", str(first)]) == 0
    again = ["--from", str(first), "--learning-rate", "1e-9"]
    assert train.main([*words, *again, "--out", str(second)]) == 0
    networks = (tf.keras.models.load_model(run / "model.keras") for run in (first, second))
    assert_weights_close(*(network.get_weights() for network in networks), within=1e-5)
