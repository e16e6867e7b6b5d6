"""Runs a network with time folded into the batch, which is how it is trained and scored.

    folded = fold_time(model)          # the same weights, the same scores

Keras unrolls TimeDistributed into one copy of the CNN for each frame, which is slow to trace and
slow to run. The folded model sees the frames of all clips as one batch of images. It is never
saved; `model` is.
"""

import keras
from keras import layers


def fold_time(model: keras.Model) -> keras.Model:
    """Return a model over the layers of `model` that runs all frames as one batch of images.

    Training it trains `model`, and its scores are those of `model`. `model` is any chain of layers
    with TimeDistributed among them, also one that `load_model` has just opened.
    """
    clip = keras.Input(model.input_shape[1:], name="clip")
    x = clip
    for layer in model.layers[1:]:
        if isinstance(layer, layers.TimeDistributed):
            num_frames, *frame_shape = x.shape[1:]
            x = keras.ops.reshape(x, (-1, *frame_shape))  # (batch * num_frames, height, width, 3)
            x = layer.layer(x)  # (batch * num_frames, features)
            x = keras.ops.reshape(x, (-1, num_frames, *x.shape[1:]))  # (batch, num_frames, ...)
        else:
            x = layer(x)
    return keras.Model(clip, x, name=f"{model.name}_folded")
