"""The default frame encoder: how fine detail is spread over a face, and a weighted sum of that."""

import keras
import numpy as np
from keras import layers

# Brightness and the differences from it, of the columns; ITU-R BT.601.
RGB_TO_YCBCR = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]])
BLOCK = 16  # pixels across, of which the default network has one figure of each kind
NOTHING = 0.25  # grey levels: a strength of detail that is as good as none
LEAST_DETAIL = 0.1  # grey levels: what lies beyond the edge of a picture has less
MOST_SPREADS = 3.0  # that a figure may lie from the mean of the frame
# Standard deviation of each of them within the frames of a training on real videos, rounded: of the
# colour in grey levels, and for each octave of the strength of brightness and both colour
# differences, down, across, and of the evenness.
USUAL_SPREAD = np.float32([
    *(40, 10, 15), *(0.5, 0.2, 0.2, 0.7, 0.7, 0.16), *(0.7, 0.3, 0.3, 0.85, 0.85, 0.16),
    *(0.8, 0.4, 0.45, 0.95, 0.9, 0.16),
])  # fmt: skip


def detail_encoder(frame_shape: tuple[int, int, int]) -> keras.Model:
    """How fine detail is spread over each frame: what is learned sees no pixels, but how much of
    each kind of detail there is in every block of 16 x 16 of them (`detail_maps`), and weighs it
    by where in the face the block lies.

    What forgeries share is a face of other sharpness, resolution or colour than the picture around
    it. From pixels a network learns to see that slowly, and from few people hardly at all. The
    features are plain weighted sums: convolutions over the maps fit the training better, and
    fakes of people never seen worse (docs/accuracy.md).

    Two layers in between have fixed weights that whitening.py takes from the frames of a training;
    as they are made here they change next to nothing.
    """
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    x = layers.Identity(dtype="float32", name="figures")(detail_maps(image))
    num_figures = x.shape[-1]
    mixed = layers.Conv2D(
        num_figures, 1, use_bias=False, trainable=False, dtype="float32", name="uncorrelated"
    )
    x = layers.Flatten()(mixed(x))
    mixed.set_weights([np.eye(num_figures)[None, None]])
    x = layers.BatchNormalization(
        # A figure that hardly varied in training is not blown up.
        center=False, scale=False, epsilon=0.1, trainable=False, dtype="float32", name="usual"
    )(x)  # fmt: skip
    # Small numbers: a step of Adam moves a sum of many large ones too far.
    x = layers.Dense(32, name="weighed")(layers.Rescaling(0.1)(x))
    return keras.Model(image, x, name="frame_encoder")


def detail_maps(image: keras.KerasTensor) -> keras.KerasTensor:
    """Return `(batch, height / 16, width / 16, 21)` float32: the colour of each block and, for
    three octaves, how strong the detail in it is and how evenly it is spread, each less its mean
    over the frame, divided by how much it usually varies, and at most 3 from 0. Blocks without any
    detail count for nothing: beyond the edge of the picture a crop is filled with one colour.

    Detail is what a Laplacian pyramid takes out (Burt and Adelson 1983,
    doi:10.1109/TCOM.1983.1095851), in brightness and both colour differences, and the differences
    of neighbours down and across, in brightness. As a logarithm less its mean over the frame, what
    was done to the whole picture drops out: blur, compression, light. What was done to a part of it
    stays.
    """
    split = layers.Conv2D(3, 1, use_bias=False, trainable=False, dtype="float32", name="ycbcr")
    x = split(image)
    split.set_weights([RGB_TO_YCBCR[None, None]])
    maps = [_average(x, BLOCK)]
    for octave in range(3):
        pixels = 4 >> octave  # of this octave across the cell that a logarithm is taken of
        smooth = layers.AveragePooling2D(3, 1, "same", dtype="float32")(x)
        detail, brightness = x - smooth, x[..., :1]
        maps += [
            _average(_log_strength(part, pixels), BLOCK // 4)
            for part in (
                detail,
                _shifted(brightness, 1) - brightness,
                _shifted(brightness, 2) - brightness,
            )
        ]
        maps.append(_evenness(detail[..., :1], BLOCK >> octave))
        x = _average(smooth, 2)
    seen = _seen(detail[..., :1])
    maps = layers.Concatenate(dtype="float32")(maps)
    num_seen = keras.ops.maximum(keras.ops.sum(seen, axis=(1, 2), keepdims=True), 1.0)
    mean = keras.ops.sum(maps * seen, axis=(1, 2), keepdims=True) / num_seen
    return keras.ops.clip((maps - mean) / USUAL_SPREAD, -MOST_SPREADS, MOST_SPREADS) * seen


def _seen(detail: keras.KerasTensor) -> keras.KerasTensor:
    """Return 1 for each block where there is detail of the last octave in most places, else 0."""
    some = keras.ops.cast(keras.ops.absolute(detail) > LEAST_DETAIL, "float32")
    return keras.ops.cast(_average(some, BLOCK // 4) > 0.5, "float32")


def _shifted(image: keras.KerasTensor, axis: int) -> keras.KerasTensor:
    """Return the image a pixel further down (axis 1) or across (axis 2), its first line twice."""
    first, rest = (
        (image[:, :1], image[:, :-1]) if axis == 1 else (image[:, :, :1], image[:, :, :-1])
    )
    return keras.ops.concatenate([first, rest], axis=axis)


def _average(image: keras.KerasTensor, pixels: int) -> keras.KerasTensor:
    return layers.AveragePooling2D(pixels, dtype="float32")(image)


def _log_strength(detail: keras.KerasTensor, pixels: int) -> keras.KerasTensor:
    """Return the logarithm of the mean strength in each square of so many pixels."""
    return keras.ops.log(_average(keras.ops.absolute(detail), pixels) + NOTHING)


def _evenness(detail: keras.KerasTensor, pixels: int) -> keras.KerasTensor:
    """Return how evenly the detail in each square is spread: noise much, single edges little.

    The logarithm of mean strength by root mean square, the ratio that tells a distribution's shape
    (Sharifi and Leon-Garcia 1995, doi:10.1109/76.350779).
    """
    mean_square = _average(keras.ops.square(detail), pixels)
    return _log_strength(detail, pixels) - keras.ops.log(mean_square + NOTHING**2) / 2
