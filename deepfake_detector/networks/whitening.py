"""The fixed weights of the default network: they make its figures uncorrelated.

    if whitening.suits(network):
        whitening.fit(network, frames)

Where one octave of a face has much detail, so has the next, and forgeries show where the two
differ. Gradient descent is slow along such small differences: before the network has found what
they say, it has learned the large ones by heart. ZCA whitening (Kessy, Lewin and Strimmer 2018,
doi:10.1080/00031305.2016.1277159) makes all of them equally large, without another choice of axes.
"""

from collections.abc import Iterable

import keras
import numpy as np

NUM_FRAMES = 1024  # enough to measure on
LEAST_SHARE = 1e-3  # of the largest variance: what is smaller is noise


def suits(network: keras.Model) -> bool:
    """Say whether the network has layers that these weights belong to."""
    encoder = network.get_layer("frames").layer
    return any(layer.name == "figures" for layer in encoder.layers)


def fit(network: keras.Model, frames: Iterable[np.ndarray]) -> None:
    """Set the fixed weights of `network` from batches of frames, `(n, height, width, 3)`, RGB in
    0..255, as it will see them in training: of the figures in all places together the mixture,
    and of each place by itself the mean and the variance.
    """
    encoder = network.get_layer("frames").layer
    measure = keras.Model(encoder.input, encoder.get_layer("figures").output)
    figures = np.concatenate([np.asarray(measure(batch, training=False)) for batch in frames])
    mixture = matrix(figures)
    encoder.get_layer("uncorrelated").set_weights([mixture[None, None]])
    mixed = figures @ mixture  # (frames, rows, columns, figures)
    encoder.get_layer("usual").set_weights([mixed.mean(axis=0).ravel(), mixed.var(axis=0).ravel()])


def matrix(figures: np.ndarray) -> np.ndarray:
    """Return what to multiply `(..., n)` figures of mean 0 by, `(n, n)`, so that they are
    uncorrelated and of variance 1."""
    rows = figures.reshape(-1, figures.shape[-1]).astype(np.float64)
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    variances += LEAST_SHARE * max(variances.max(), 1.0)
    return (axes / np.sqrt(variances) @ axes.T).astype(np.float32)
