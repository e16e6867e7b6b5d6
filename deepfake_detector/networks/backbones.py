"""Networks of `keras.applications` as frame encoders, from drawn weights or from pretrained ones.

    encoder = frame_encoder("efficientnetv2-b0", (128, 128, 3), "imagenet")

What each network wants to have done with pixels is done inside, in stock layers, so that all of
them take plain RGB faces, 0..255, and a saved model opens without this file. Frames are seen one by
one: BatchNormalization keeps the statistics it came with, and so does not depend on how many clips
share a batch or a device.
"""

import inspect
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

from deepfake_detector.console import UserError
from deepfake_detector.networks.catalogue import BACKBONES, IMAGENET, RANDOM, check_frame_size


def backbone_encoder(
    name: str, frame_shape: tuple[int, int, int], weights: str = RANDOM
) -> keras.Model:
    """Return a model from `(batch, height, width, 3)`, 0..255 RGB, to `(batch, features)`.

    `name` is one of NAMES. `weights` is "none" for drawn ones, "imagenet" for those that Keras
    downloads once and keeps, or the path of a file: .weights.h5, .h5 or .keras of this network
    without its classification layer.

    Raises UserError where the frames are too small, the download fails, or the file does not fit.
    """
    check_frame_size(name, *frame_shape[:2])
    backbone = BACKBONES[name]
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    x = keras.ops.flip(image, axis=-1) if backbone.bgr else image
    # In 32 bits whatever the policy: most scaled pixels are no numbers of 16 bits.
    x = layers.Rescaling(*backbone.pixels, dtype="float32", name="scale")(x)
    x = _without_randomness(_with_weights(name, frame_shape, weights))(x)  # (batch, features)
    return keras.Model(image, layers.Dropout(0.3)(x), name="frame_encoder")


def freeze(encoder: keras.Model) -> None:
    """Keep training from changing the network in a frame encoder that this module made."""
    encoder.get_layer("backbone").trainable = False


def _with_weights(name: str, frame_shape: tuple[int, int, int], weights: str) -> keras.Model:
    """Return the network without its own preprocessing, under the name "backbone"."""
    backbone = BACKBONES[name]
    application = getattr(keras.applications, backbone.application)
    arguments = {"include_top": False, "input_shape": frame_shape, "weights": None}
    # By the network itself: ConvNeXt normalises what is averaged, which cannot be done later.
    arguments["pooling"] = "avg"
    if "include_preprocessing" in inspect.signature(application).parameters:
        arguments["include_preprocessing"] = False
    if weights == IMAGENET:
        try:
            network = application(**arguments | {"weights": IMAGENET})
        except Exception as error:  # a failed download is a plain Exception (keras 3.15)
            raise UserError(
                f"the imagenet weights of {name} cannot be downloaded: {_one_line(error)}; give "
                "a file you have as --backbone-weights FILE, or none to begin with drawn ones"
            ) from error
    else:
        network = application(**arguments)
    if weights not in (RANDOM, IMAGENET):
        _load(network, name, Path(weights))
    first = network.get_layer(backbone.first_layer) if backbone.first_layer else network
    return keras.Model(first.input, network.output, name="backbone")


def _load(network: keras.Model, name: str, path: Path) -> None:
    if not path.is_file():
        raise UserError(
            f"there is no file {path}; --backbone-weights takes a file, imagenet or none"
        )
    drawn = network.get_weights()
    try:
        network.load_weights(path)
        # Keras passes over what it does not find in a file of an older layout with a warning.
        pairs = zip(drawn, network.get_weights(), strict=True)
        kept = sum(np.array_equal(*pair) for pair in pairs if pair[0].ndim > 1)
        if kept:
            raise ValueError(f"{kept} kernels are not in it")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} holds no weights of {name} without its classification layer: "
            f"{_one_line(error)}; give its .weights.h5, .h5 (..._notop.h5) or .keras file"
        ) from error


def _without_randomness(backbone: keras.Model) -> keras.Model:
    """Make training compute what scoring computes.

    A layer that is not trainable is how Keras keeps BatchNormalization to the statistics it has:
    `training=False` in a call gives way to the argument of the outer model (keras 3.15). Dropout
    within the network would draw something else on each device.
    """
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    return backbone


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
