"""The fixed weights of the network `detail`, which whiten its features.

    if whitening.suits(network):
        whitening.fit(network, frames)

A face with much detail in one octave has much in the next, and forgeries show where the two differ.
Gradient descent is slow along such small differences: a network memorises the large ones before it
has learned from the small. ZCA whitening (Kessy, Lewin and Strimmer 2018,
doi:10.1080/00031305.2016.1277159) gives all of them the same variance and keeps their axes.
"""

from collections.abc import Iterable

import keras
import numpy as np

NUM_FRAMES = 1024  # that are enough to measure on
MIN_VARIANCE_SHARE = 1e-3  # of the largest variance: what is smaller is noise


def suits(network: keras.Model) -> bool:
    """Return whether `network` has the layers that these weights belong to.

    A network that was saved with their earlier names has none: its weights are whitened already.
    """
    encoder = network.get_layer("frames").layer
    return any(layer.name == "whitening" for layer in encoder.layers)


def fit(network: keras.Model, frames: Iterable[np.ndarray]) -> None:
    """Set the fixed weights of `network` from frames as it will see them in training.

    `frames` are batches `(n, height, width, 3)`, RGB 0..255. The layer `whitening` gets one matrix
    for all blocks of a frame, the layer `standardize` the mean and variance in each block.
    """
    encoder = network.get_layer("frames").layer
    features_of = keras.Model(encoder.input, encoder.get_layer("features").output)
    features = np.concatenate([np.asarray(features_of(batch, training=False)) for batch in frames])
    matrix = zca_matrix(features)
    encoder.get_layer("whitening").set_weights([matrix[None, None]])
    white = features @ matrix  # (frames, rows, columns, features)
    mean, variance = white.mean(axis=0).ravel(), white.var(axis=0).ravel()
    encoder.get_layer("standardize").set_weights([mean, variance])


def zca_matrix(features: np.ndarray) -> np.ndarray:
    """Return the matrix `(n, n) float32` that whitens features `(..., n)` of mean 0: their products
    with it are uncorrelated and of variance 1."""
    rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    variances += MIN_VARIANCE_SHARE * max(variances.max(), 1.0)
    return (axes / np.sqrt(variances) @ axes.T).astype(np.float32)
