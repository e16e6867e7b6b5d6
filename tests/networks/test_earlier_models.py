"""Models that were saved when layers of the network `detail` had other names."""

import keras
import numpy as np
import pytest

import model as networks
from deepfake_detector.networks import folding, whitening

EARLIER_NAMES = {
    "features": "figures",
    "whitening": "uncorrelated",
    "standardize": "usual",
    "projection": "weighed",
}


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """Clips of soft noise, `(3, 4, 64, 64, 3) uint8`."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3), np.uint8)
    return coarse.repeat(4, axis=2).repeat(4, axis=3)


@pytest.fixture(scope="module")
def earlier(clips, tmp_path_factory) -> tuple[keras.Model, np.ndarray]:
    """An opened file of a whitened network with the earlier names, and its scores."""
    keras.utils.set_random_seed(1)
    network = networks.build_model(4, (64, 64), "detail")
    whitening.fit(network, clips)
    scores = network(clips).numpy()
    encoder = network.get_layer("frames").layer
    for layer in encoder.layers:
        layer.name = EARLIER_NAMES.get(layer.name, layer.name)
    path = tmp_path_factory.mktemp("earlier") / "model.keras"
    network.save(path)
    return keras.models.load_model(path), scores


def test_they_have_the_earlier_names(earlier):
    opened, _ = earlier
    names = {layer.name for layer in opened.get_layer("frames").layer.layers}
    assert names >= set(EARLIER_NAMES.values())
    assert not names & set(EARLIER_NAMES)


def test_they_open_and_score_the_same_as_saved_and_folded(earlier, clips):
    opened, scores = earlier
    assert opened(clips).numpy() == pytest.approx(scores, abs=1e-6)
    assert folding.fold_time(opened)(clips).numpy() == pytest.approx(scores, abs=1e-6)


def test_a_new_network_takes_their_weights_by_position(earlier, clips):
    opened, scores = earlier
    network = networks.build_model(4, (64, 64), "detail")
    network.set_weights(opened.get_weights())
    assert network(clips).numpy() == pytest.approx(scores, abs=1e-6)
    assert whitening.suits(network)


def test_they_are_not_whitened_again(earlier):
    opened, _ = earlier
    assert not whitening.suits(opened)
