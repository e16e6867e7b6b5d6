"""The network `detail` of earlier versions, small: stock Keras layers, as their files hold it."""

import keras
import numpy as np
from keras import layers

STD = np.array([0.5, 0.2, 0.2, 0.7], np.float32)  # of the features


def detail_network(num_frames: int, side: int) -> keras.Model:
    """Return a network of clips with all that was special about it: fixed convolutions, operations
    of keras.ops, statistics that training does not change."""
    frame = keras.Input((side, side, 3), dtype="float32", name="frame")
    x = layers.Conv2D(3, 1, use_bias=False, trainable=False, dtype="float32", name="ycbcr")(frame)
    brightness = x[..., :1]
    detail = x - layers.AveragePooling2D(3, 1, "same")(x)
    down = keras.ops.concatenate([brightness[:, :1], brightness[:, :-1]], axis=1) - brightness
    maps = [layers.AveragePooling2D(16)(keras.ops.absolute(part)) for part in (detail, down)]
    valid = keras.ops.cast(maps[1] > 0.1, "float32")
    x = keras.ops.log(layers.Concatenate(name="all_maps")(maps) + 0.25)
    x = (x - keras.ops.mean(x, axis=(1, 2), keepdims=True)) / STD
    x = layers.Identity(name="features")(keras.ops.clip(x, -3.0, 3.0) * valid)
    x = layers.Conv2D(4, 1, use_bias=False, trainable=False, name="whitening")(x)
    x = layers.BatchNormalization(
        center=False, scale=False, epsilon=0.1, trainable=False, name="standardize"
    )(layers.Flatten()(x))
    x = layers.Dense(32, name="projection")(layers.Rescaling(0.1)(x))
    encoder = keras.Model(frame, x, name="frame_encoder")
    clip = keras.Input((num_frames, side, side, 3), dtype="float32", name="clip")
    x = layers.LSTM(32, name="lstm")(layers.TimeDistributed(encoder, name="frames")(clip))
    x = layers.Dropout(0.3, name="dropout")(x)
    p_fake = layers.Dense(1, activation="sigmoid", name="p_fake")(x)
    return keras.Model(clip, p_fake, name="deepfake_detector_detail")
