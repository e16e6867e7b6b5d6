"""Keeps what other projects have set for Keras away from our networks.

KERAS_BACKEND and ~/.keras/keras.json choose a backend and an order of axes for all programs.
`deepfake_detector/__init__.py` chooses TensorFlow before Keras is imported, and `settle_keras` does
the rest before a network is built or opened.
"""

import keras

from deepfake_detector.console import UserError


def settle_keras() -> None:
    """Let Keras compute in float32 with the channels last.

    Raises UserError if the program imported Keras with another backend before it imported us.
    """
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise UserError(
            f"Keras was imported with the backend {backend}, and our networks run on TensorFlow; "
            "import deepfake_detector before keras, or set KERAS_BACKEND=tensorflow"
        )
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
