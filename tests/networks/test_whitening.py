"""The fixed weights that the network `detail` takes from the frames of its training."""

import numpy as np
import pytest
import tensorflow as tf

import model as networks
from deepfake_detector.networks import catalogue, whitening


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Frames of many sizes of detail, `(60, 64, 64, 3) float32`, in 0..255."""
    rng = np.random.default_rng(0)
    coarse = [rng.normal(0, 20, (60, side, side, 3)).repeat(64 // side, 1) for side in (8, 16, 64)]
    fields = [field.repeat(64 // field.shape[2], 2) for field in coarse]
    return np.clip(128 + sum(fields), 0, 255).astype(np.float32)


def after(network, layer_name, frames) -> np.ndarray:
    encoder = network.get_layer("frames").layer
    part = tf.keras.Model(encoder.input, encoder.get_layer(layer_name).output)
    return part(frames).numpy()


def test_features_that_go_together_come_out_uncorrelated_and_of_one_size():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(500, 6, 6, 1))
    features = 2 * common + rng.normal(0, 0.3, (500, 6, 6, 4))
    white = (features @ whitening.zca_matrix(features)).reshape(-1, 4)
    assert white.T @ white / len(white) == pytest.approx(np.eye(4), abs=0.2)


def test_a_feature_that_never_varied_is_left_small():
    features = np.zeros((10, 4, 4, 3))
    features[..., :2] = np.random.default_rng(0).normal(size=(10, 4, 4, 2))
    matrix = whitening.zca_matrix(features)
    assert np.isfinite(matrix).all()
    assert not (features @ matrix)[..., 2].any()
    assert np.isfinite(whitening.zca_matrix(np.zeros((1, 2, 2, 3)))).all()


@pytest.mark.slow
def test_afterwards_every_place_of_a_face_has_features_of_mean_0_and_one_size(frames):
    network = networks.build_model(1, (64, 64), "detail")
    whitening.fit(network, [frames[:30], frames[30:]])
    standard = after(network, "standardize", frames)
    assert standard.shape == (60, 4 * 4 * 21)
    assert standard.mean(axis=0) == pytest.approx(np.zeros(336), abs=1e-3)
    assert np.median(standard.std(axis=0)) == pytest.approx(1, abs=0.2)
    before = after(network, "features", frames).reshape(-1, 21)
    mixed = after(network, "whitening", frames).reshape(-1, 21)
    assert largest_correlation(mixed) < 0.5 * largest_correlation(before)


def largest_correlation(rows: np.ndarray) -> float:
    correlations = np.corrcoef(rows.T)
    return np.abs(correlations - np.eye(len(correlations))).max()


def test_only_that_network_has_such_weights():
    having = [
        name for name in catalogue.ARCHITECTURES
        if whitening.suits(networks.build_model(1, (32, 32), name))
    ]  # fmt: skip
    assert having == ["detail"]


def stored_in(run) -> list[np.ndarray]:
    encoder = tf.keras.models.load_model(run / "model.keras").get_layer("frames").layer
    parts = [encoder.get_layer(name) for name in ("whitening", "standardize")]
    return [value for part in parts for value in part.get_weights()]


def test_a_training_sets_them_before_its_first_step(run):
    mixture, mean, variance = stored_in(run)
    assert not np.allclose(mixture, np.eye(21))
    assert mean.any() and not np.allclose(variance, 1)


def test_clips_keep_those_of_the_single_frames(run_with_frames):
    of_frames = stored_in(run_with_frames / "frames")
    assert not np.allclose(of_frames[0], np.eye(21))
    for first, later in zip(of_frames, stored_in(run_with_frames), strict=True):
        assert np.array_equal(first, later)
