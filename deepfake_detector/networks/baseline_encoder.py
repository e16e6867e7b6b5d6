"""The baseline: the frame encoder of the project that this one grew out of."""

import keras
from keras import layers


def baseline_encoder(frame_shape: tuple[int, int, int]) -> keras.Model:
    """Return one convolution and a flat frame, as microcoder-py/deepfake-detector (2021) had them.

    From `(batch, height, width, 3)`, 0..255, to `(batch, features)`.
    """
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    # In 32 bits whatever the policy: 1 / 127.5 is no number of 16 bits, nor are most scaled pixels.
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scale")(image)
    x = layers.Conv2D(32, (2, 2), activation="relu")(x)
    x = layers.Flatten()(layers.AveragePooling2D((2, 2))(x))
    return keras.Model(image, x, name="frame_encoder")
