"""Networks of `keras.applications` as frame encoders, with random or pretrained weights.

encoder = backbone_encoder("efficientnetv2-b0", (128, 128, 3), "imagenet")
"""

import keras
from keras import layers

from deepfake_detector.console import UserError, shortened
from deepfake_detector.networks.catalogue import BACKBONES, RANDOM


def backbone_encoder(
    name: str, frame_shape: tuple[int, int, int], weights: str = RANDOM
) -> keras.Model:
    """Return a model from `(batch, height, width, 3)`, 0..255 RGB, to `(batch, features)`.

    `name` is one of `catalogue.BACKBONES`. `weights` is "random", or "imagenet" for the weights
    that Keras downloads once and keeps. Raises UserError if Keras refuses the size of the frames,
    or cannot download the weights.

    BatchNormalization keeps the statistics that it came with, so that features do not depend on
    how many clips share a batch or a device.
    """
    function, scaling = BACKBONES[name]
    try:
        network = getattr(keras.applications, function)(
            include_top=False,
            pooling="avg",  # by the network itself: ConvNeXt normalises its averages
            input_shape=frame_shape,
            weights=None if weights == RANDOM else weights,
        )
    except Exception as error:  # a failed download is a plain Exception (keras 3.15)
        raise UserError(
            f"{name} cannot be built with --from {weights} for images of {frame_shape[0]} x "
            f"{frame_shape[1]} pixels: {shortened(str(error))}"
        ) from error
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            # The argument `training=False` of a call does not reach it: that of the model around
            # it does (keras 3.15).
            layer.trainable = False
    # Some networks scale the pixels themselves, of these some only with imagenet weights.
    own = (layers.Rescaling, layers.Normalization)
    first = next(layer for layer in network.layers[1:] if not isinstance(layer, own))
    backbone = keras.Model(first.input, network.output, name="backbone")
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    # In 32 bits under every policy: 16 bits round most scaled pixels.
    x = layers.Rescaling(*scaling, dtype="float32", name="scale")(image)
    x = backbone(x)  # (batch, features)
    return keras.Model(image, layers.Dropout(0.3, name="dropout")(x), name="frame_encoder")
