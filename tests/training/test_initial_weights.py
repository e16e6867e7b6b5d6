"""The network that a training begins with."""

import numpy as np
import pytest
import tensorflow as tf

import model as networks
from deepfake_detector.networks import catalogue
from deepfake_detector.training.initial_weights import set_network_weights

NUM_FRAMES = 5
pytestmark = pytest.mark.usefixtures("small_lite0")


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    frames = np.random.default_rng(0).integers(0, 256, (8, NUM_FRAMES, 4, 4, 3), np.uint8)
    return frames.repeat(8, axis=2).repeat(8, axis=3)  # (8, 5, 32, 32, 3)


def logits(model, clips) -> np.ndarray:
    scores = model.predict(clips, verbose=0).astype(float)[:, 0]
    return np.log(scores / (1 - scores))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(catalogue.ARCHITECTURES))
def test_a_network_of_clips_begins_with_what_one_of_frames_says_of_them_on_average(
    clips, architecture
):
    tf.keras.utils.set_random_seed(0)
    frame_model = networks.build_model(1, (32, 32), architecture)
    of_frames = logits(frame_model, clips.reshape(-1, 1, 32, 32, 3))
    *of_encoder, kernel, _ = frame_model.get_weights()
    # So that they differ as those of a trained one do. Were the LSTM not nearly linear there,
    # videos of which it is sure would all have one score.
    scale = 6 / of_frames.std()
    weights = [*of_encoder, scale * kernel, np.array([-scale * of_frames.mean()])]
    expected = scale * (of_frames - of_frames.mean()).reshape(-1, NUM_FRAMES).mean(axis=1)
    network = networks.build_model(NUM_FRAMES, (32, 32), architecture)
    set_network_weights(network, weights)
    assert logits(network, clips) == pytest.approx(expected, rel=0.15, abs=0.2)
