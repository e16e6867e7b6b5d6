"""Runs a network with time folded into the batch, which is how it is trained and scored.

    folded = fold_time(model)          # the same weights, the same scores

Keras unrolls TimeDistributed into one copy of the CNN for each frame, which is slow to trace and
slow to run. The folded model sees the frames of all clips as one batch of images. It is never
saved; `model` is.
"""

import keras
import tensorflow as tf
from keras import layers

from deepfake_detector.networks.dropout import DropoutRandomness
from deepfake_detector.networks.projected_lstm import ProjectedLSTM


def fold_time(
    model: keras.Model, seed: int | None = None, step: "tf.Variable | None" = None
) -> keras.Model:
    """Return a model over the same weights as `model` that runs all frames as one batch of images.

    Training it trains `model`, and its scores are those of `model`. `model` is any chain of layers
    with TimeDistributed among them, also one that `load_model` has just opened.

    With `seed` and `step`, an int64 variable that the training loop counts up, these two alone
    decide what Dropout drops: the same on one device and on many, and after a resume. Raises
    ValueError where only one of the two is given.
    """
    if (seed is None) != (step is None):
        raise ValueError("give both seed and step, or neither")
    randomness = None if seed is None else DropoutRandomness(seed, step)
    clip = keras.Input(model.input_shape[1:], name="clip")
    x = clip
    for layer in model.layers[1:]:
        if not isinstance(layer, layers.TimeDistributed):
            x = replacement(layer, randomness)(x)
            continue
        num_frames, *frame_shape = x.shape[1:]
        x = keras.ops.reshape(x, (-1, *frame_shape))  # (batch * num_frames, height, width, 3)
        x = replacement(layer.layer, randomness)(x)  # (batch * num_frames, features)
        x = keras.ops.reshape(x, (-1, num_frames, *x.shape[1:]))  # (batch, num_frames, features)
    return keras.Model(clip, x, name=f"{model.name}_folded")


def replacement(
    layer: keras.layers.Layer, randomness: DropoutRandomness | None
) -> keras.layers.Layer:
    """Return the layer that runs in place of `layer` over the same weights, or `layer` itself.

    Of a model, the layers inside are replaced. Without `randomness`, stock Dropout stays.
    """
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(
            layer, clone_function=lambda part: replacement(part, randomness)
        )
    # Dropout with a noise shape shares its mask between places, which ours cannot.
    if randomness and type(layer) is layers.Dropout and layer.noise_shape is None:
        return randomness.dropout(layer)
    if type(layer) is layers.LSTM and ProjectedLSTM.suits(layer):
        return ProjectedLSTM(layer)
    return layer
