"""MesoNet, a peer whose trained weights can be had: Meso-4 and MesoInception-4.

    score = mesonet.load(Path("weights/Meso4_DF.h5"))
    score(crops)            # (num_frames,) P(fake)

Afchar, Nozick, Yamagishi, Echizen, "MesoNet: a Compact Facial Video Forgery Detection Network",
WIFS 2018, arXiv:1809.00888, section 3. The weights are those of its authors
(https://github.com/DariusAf/MesoNet, folder `weights`, Apache 2.0): `_DF` was trained on Deepfakes,
`_F2F` on Face2Face. Crops are prepared as for the authors' test images: RGB in 0..1, 256 pixels, a
face that fills about two thirds of the width. Their networks say 1 for a real face.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import h5py  # of Keras
import keras
import numpy as np
from keras import layers

from deepfake_detector.console import UserError

SIDE = 256  # pixels
CROP_SHARE = 0.8  # of the side of our crops, whose margin is wider than theirs
THRESHOLD = 0.5


def load(weights_path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return what scores crops, `(num_frames, side, side, 3) uint8` RGB, with the network whose
    weights these are: P(fake), `(num_frames,) float64`.

    The name of the file says which network it is. Raises UserError where it does not fit.
    """
    build = mesoinception4 if weights_path.stem.startswith("MesoInception") else meso4
    network = build()
    _set_weights(network, weights_path)

    def score(crops: np.ndarray) -> np.ndarray:
        frames = np.stack([prepare(crop) for crop in crops])
        return 1 - network.predict_on_batch(frames)[:, 0].astype(np.float64)

    return score


def prepare(crop: np.ndarray) -> np.ndarray:
    """Return the middle of a crop, `(side, side, 3) uint8`: `(SIDE, SIDE, 3) float32` in 0..1."""
    side = crop.shape[0]
    edge = round(side * (1 - CROP_SHARE) / 2)
    middle = crop[edge : side - edge, edge : side - edge]
    return cv2.resize(middle, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255


def meso4() -> keras.Model:
    """Return Meso-4: four convolutions, each with batch normalisation and max pooling."""
    frames = keras.Input((SIDE, SIDE, 3))
    features = frames
    for filters, size in ((8, 3), (8, 5)):
        features = _pooled(_convolution(features, filters, size), 2)
    return _classified(frames, features)


def mesoinception4() -> keras.Model:
    """Return MesoInception-4: the first two convolutions of Meso-4 are inception modules."""
    frames = keras.Input((SIDE, SIDE, 3))
    features = frames
    for filters in ((1, 4, 4, 2), (2, 4, 4, 2)):
        features = _pooled(_inception(features, filters), 2)
    return _classified(frames, features)


def _convolution(
    features: keras.KerasTensor, filters: int, size: int, dilation: int = 1
) -> keras.KerasTensor:
    return layers.Conv2D(filters, size, dilation_rate=dilation, padding="same", activation="relu")(
        features
    )


def _inception(features: keras.KerasTensor, filters: tuple[int, ...]) -> keras.KerasTensor:
    """Return four views side by side: 1x1 alone, and before 3x3 with dilations of 1, 2 and 3."""
    branches = [_convolution(features, filters[0], 1)]
    for dilation, width in enumerate(filters[1:], start=1):
        branches.append(_convolution(_convolution(features, width, 1), width, 3, dilation))
    return layers.Concatenate()(branches)


def _pooled(features: keras.KerasTensor, size: int) -> keras.KerasTensor:
    return layers.MaxPooling2D(size, padding="same")(layers.BatchNormalization()(features))


def _classified(frames: keras.KerasTensor, features: keras.KerasTensor) -> keras.Model:
    """Return the network that ends as both do: two more convolutions and two dense layers."""
    for pooling in (2, 4):
        features = _pooled(_convolution(features, 16, 5), pooling)
    features = layers.Dropout(0.5)(layers.Flatten()(features))
    features = layers.LeakyReLU(negative_slope=0.1)(layers.Dense(16)(features))
    real = layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(features))
    return keras.Model(frames, real)


def _set_weights(network: keras.Model, path: Path) -> None:
    """Give the layers the weights of a .h5 file of Keras 2, in the order they were made in."""
    try:
        with h5py.File(path) as file:
            stored = {name: list(_values(file[name])) for name in file if len(file[name])}
        own = {layer.name: layer for layer in network.layers if layer.weights}
        for mine, theirs in zip(
            sorted(own, key=order_made), sorted(stored, key=order_made), strict=True
        ):
            own[mine].set_weights(stored[theirs])
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not hold the weights of MesoNet: {reason}") from error


def _values(group: h5py.Group) -> list[np.ndarray]:
    return [group[name][()] for name in group.attrs["weight_names"]]


def order_made(name: str) -> tuple[str, int]:
    """Return the kind of a layer and its number among these: conv2d_12 is made after conv2d_2.

    Keras 3 calls the first one conv2d, Keras 2 conv2d_1.
    """
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if number.isdigit() else (name, 0)
