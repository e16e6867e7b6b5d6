"""Networks of `keras.applications` as frame encoders, with random or pretrained weights.

    encoder = backbone_encoder("efficientnetv2-b0", (128, 128, 3), "imagenet")

Each encoder scales the pixels as its network expects them, in stock layers: all of them take plain
RGB faces, 0..255, and a saved model opens without this file. BatchNormalization keeps the
statistics that it came with, so that features do not depend on how many clips share a batch or a
device.
"""

import inspect
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

from deepfake_detector.console import UserError, shortened
from deepfake_detector.networks.catalogue import BACKBONES, IMAGENET, RANDOM, check_frame_size


def backbone_encoder(
    name: str, frame_shape: tuple[int, int, int], weights: str = RANDOM
) -> keras.Model:
    """Return a model from `(batch, height, width, 3)`, 0..255 RGB, to `(batch, features)`.

    `name` is one of `catalogue.BACKBONES`. `weights` is "random" for a random initialisation,
    "imagenet" for the weights that Keras downloads once and keeps, or the path of a file:
    .weights.h5, .h5 or .keras of this network without its classification layer.

    Raises UserError where the frames are too small, the download fails, or the file does not fit.
    """
    check_frame_size(name, *frame_shape[:2])
    backbone = BACKBONES[name]
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    x = keras.ops.flip(image, axis=-1) if backbone.bgr else image
    # In 32 bits under every policy: 16 bits round most scaled pixels.
    x = layers.Rescaling(*backbone.scaling, dtype="float32", name="scale")(x)
    x = _without_randomness(_with_weights(name, frame_shape, weights))(x)  # (batch, features)
    return keras.Model(image, layers.Dropout(0.3, name="dropout")(x), name="frame_encoder")


def freeze(encoder: keras.Model) -> None:
    """Keep training from changing the backbone of a frame encoder that this module made."""
    encoder.get_layer("backbone").trainable = False


def _with_weights(name: str, frame_shape: tuple[int, int, int], weights: str) -> keras.Model:
    """Return the network without its own preprocessing, under the name "backbone"."""
    backbone = BACKBONES[name]
    application = getattr(keras.applications, backbone.application)
    arguments = {"include_top": False, "input_shape": frame_shape, "weights": None}
    # The network itself has to average: ConvNeXt normalises its averages.
    arguments["pooling"] = "avg"
    if "include_preprocessing" in inspect.signature(application).parameters:
        arguments["include_preprocessing"] = False
    if weights == IMAGENET:
        try:
            network = application(**arguments | {"weights": IMAGENET})
        except Exception as error:  # a failed download is a plain Exception (keras 3.15)
            raise UserError(
                f"the imagenet weights of {name} cannot be downloaded: {shortened(str(error))}; "
                "give a file that you have, --from FILE, or --from random"
            ) from error
    else:
        network = application(**arguments)
    if weights not in (RANDOM, IMAGENET):
        _load(network, name, Path(weights))
    first = network.get_layer(backbone.first_layer) if backbone.first_layer else network
    return keras.Model(first.input, network.output, name="backbone")


def _load(network: keras.Model, name: str, path: Path) -> None:
    """Set the weights of `network` from a file; raises UserError where that does not fit."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; --from takes a file, imagenet or random")
    initial = network.get_weights()
    try:
        network.load_weights(path)
        # Keras only warns of weights that it does not find in a file of an older layout.
        pairs = zip(initial, network.get_weights(), strict=True)
        kept = sum(np.array_equal(*pair) for pair in pairs if pair[0].ndim > 1)
        if kept:
            raise ValueError(f"{kept} kernels are not in it")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} holds no weights of {name} without its classification layer: "
            f"{shortened(str(error))}; give its .weights.h5, .h5 (..._notop.h5) or .keras file"
        ) from error


def _without_randomness(backbone: keras.Model) -> keras.Model:
    """Make training compute what scoring computes.

    BatchNormalization keeps its statistics only as a layer that is not trainable: the argument
    `training` of the outer model overrides `training=False` in a call (keras 3.15). Dropout within
    the network would drop different values on each device.
    """
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    return backbone
