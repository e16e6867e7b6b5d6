"""The frame encoder EfficientNet-Lite0: its shape, and that it can begin without ImageNet."""

import keras
import numpy as np
import pytest
from keras import layers

from deepfake_detector.networks.efficientnet_lite import efficientnet_lite0


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    keras.utils.set_random_seed(0)
    return efficientnet_lite0((64, 64, 3))


def test_it_has_the_blocks_and_the_size_of_the_published_network(encoder):
    """4,652,008 weights: with its 1,000 classes, and offset and scale of each normalisation."""
    convolutions = [layer for layer in encoder.layers if layer.weights]
    assert len(convolutions) == 1 + 2 + 15 * 3 + 1
    kernels = sum(layer.get_weights()[0].size for layer in convolutions)
    channels = sum(layer.get_weights()[1].size for layer in convolutions)
    assert kernels + 2 * channels + 1280 * 1000 + 1000 == 4_652_008
    assert len([layer for layer in encoder.layers if isinstance(layer, layers.Add)]) == 9


def test_nothing_in_it_depends_on_the_batch(encoder):
    kinds = {type(layer) for layer in encoder.layers}
    assert layers.BatchNormalization not in kinds
    assert kinds <= {
        *(layers.InputLayer, layers.Rescaling, layers.Conv2D, layers.DepthwiseConv2D),
        *(layers.Add, layers.GlobalAveragePooling2D, layers.Dropout),
    }


def test_a_random_initialisation_neither_fades_nor_saturates(encoder):
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.float32)
    features = encoder(frames).numpy()
    assert features.shape == (4, 1280)
    assert 0.05 < features.std() < 2
    assert (features < 6).mean() > 0.99


def test_frames_may_have_any_size_from_32_pixels_on():
    for height, width in ((32, 32), (33, 47)):
        frames = np.zeros((1, height, width, 3), np.float32)
        assert efficientnet_lite0((height, width, 3))(frames).shape == (1, 1280)
