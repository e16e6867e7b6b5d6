"""The frame encoder `detail`: how fine detail is spread over a face, and a weighted sum of that."""

import keras
import numpy as np
from keras import layers

RGB_TO_YCBCR = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]])
BLOCK = 16  # side in pixels of a block, which has one feature of each kind
NUM_OCTAVES = 3
STRENGTH_FLOOR = 0.25  # grey levels, added to a strength before its logarithm is taken
MIN_DETAIL = 0.1  # grey levels: beyond the edge of a picture there is less
MAX_DEVIATION = 3.0  # of a feature from its mean over the frame, in standard deviations
# Standard deviation of each feature within the frames of a training on real videos, rounded: of
# the colour in grey levels, then for each octave of the strength of brightness and both colour
# differences, down and across, and of the sparsity.
FEATURE_STD = np.array([
    *(40, 10, 15), *(0.5, 0.2, 0.2, 0.7, 0.7, 0.16), *(0.7, 0.3, 0.3, 0.85, 0.85, 0.16),
    *(0.8, 0.4, 0.45, 0.95, 0.9, 0.16),
], np.float32)  # fmt: skip


def detail_encoder(frame_shape: tuple[int, int, int]) -> keras.Model:
    """Return the encoder from frames `(batch, height, width, 3)`, 0..255, to `(batch, 32)`.

    It learns from no pixels, but from how much of each kind of detail there is in every block of
    16 x 16 of them (`detail_maps`), and weighs each block by where in the face it lies.

    Forgeries have in common a face of other sharpness, resolution or colour than the picture
    around it. From pixels a network learns that slowly, and hardly at all from few people. The
    weighted sums are plain: convolutions over the maps fit the training data better, and unseen
    fakes of unseen people worse (docs/accuracy.md).

    The layers `whitening` and `standardize` have fixed weights, which whitening.py takes from the
    frames of a training. With their initial weights they change next to nothing.
    """
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    x = layers.Identity(dtype="float32", name="features")(detail_maps(image))
    num_features = x.shape[-1]
    whitening = layers.Conv2D(
        num_features, 1, use_bias=False, trainable=False, dtype="float32", name="whitening"
    )
    x = layers.Flatten()(whitening(x))  # (batch, blocks * features)
    whitening.set_weights([np.eye(num_features)[None, None]])
    x = layers.BatchNormalization(
        # The epsilon keeps a feature small that hardly varied in training.
        center=False, scale=False, epsilon=0.1, trainable=False, dtype="float32",
        name="standardize",
    )(x)  # fmt: skip
    # Small numbers: a step of Adam moves a sum of many large ones too far.
    x = layers.Dense(32, name="projection")(layers.Rescaling(0.1)(x))
    return keras.Model(image, x, name="frame_encoder")


def detail_maps(image: keras.KerasTensor) -> keras.KerasTensor:
    """Return `(batch, height / 16, width / 16, 21) float32`: the features of each block.

    They are its mean colour (YCbCr of ITU-R BT.601) and, for three octaves, the strength of its
    detail and the sparsity of that. Each is the difference from its mean over the frame, in
    standard deviations (FEATURE_STD), within +-3. Blocks without detail are 0 and do not count:
    beyond the edge of the picture a crop is filled with one colour.

    Detail is what a Laplacian pyramid takes out (Burt and Adelson 1983,
    doi:10.1109/TCOM.1983.1095851), in brightness and both colour differences, and the difference
    between neighbours down and across, in brightness. As logarithms less their mean, the features
    do not depend on what was done to the whole picture, such as blur, compression or light. They
    do depend on what was done to a part of it.
    """
    to_ycbcr = layers.Conv2D(3, 1, use_bias=False, trainable=False, dtype="float32", name="ycbcr")
    x = to_ycbcr(image)
    to_ycbcr.set_weights([RGB_TO_YCBCR[None, None]])
    maps = [_average(x, BLOCK)]
    for octave in range(NUM_OCTAVES):
        cell = 4 >> octave  # side in pixels of this octave; all octaves have the same cells
        smooth = layers.AveragePooling2D(3, 1, "same", dtype="float32")(x)
        detail, brightness = x - smooth, x[..., :1]
        down, across = (_shifted(brightness, axis) - brightness for axis in (1, 2))
        maps += [_average(_log_strength(part, cell), BLOCK // 4) for part in (detail, down, across)]
        maps.append(_sparsity(detail[..., :1], BLOCK >> octave))
        x = _average(smooth, 2)
    valid = _valid_mask(detail[..., :1])
    # A name of its own: when a file is opened, Keras numbers the operations "concatenate" again.
    features = layers.Concatenate(dtype="float32", name="all_maps")(maps)
    num_valid = keras.ops.maximum(keras.ops.sum(valid, axis=(1, 2), keepdims=True), 1.0)
    mean = keras.ops.sum(features * valid, axis=(1, 2), keepdims=True) / num_valid
    deviations = (features - mean) / FEATURE_STD
    return keras.ops.clip(deviations, -MAX_DEVIATION, MAX_DEVIATION) * valid


def _valid_mask(detail: keras.KerasTensor) -> keras.KerasTensor:
    """Return 1 for each block where most places have detail of the last octave, else 0."""
    present = keras.ops.cast(keras.ops.absolute(detail) > MIN_DETAIL, "float32")
    return keras.ops.cast(_average(present, BLOCK // 4) > 0.5, "float32")


def _shifted(image: keras.KerasTensor, axis: int) -> keras.KerasTensor:
    """Return the image a pixel further down (axis 1) or across (axis 2), its first line twice."""
    first, rest = (
        (image[:, :1], image[:, :-1]) if axis == 1 else (image[:, :, :1], image[:, :, :-1])
    )
    return keras.ops.concatenate([first, rest], axis=axis)


def _average(image: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Return the mean of each square of `side` pixels."""
    return layers.AveragePooling2D(side, dtype="float32")(image)


def _log_strength(detail: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Return the logarithm of the mean strength in each square of `side` pixels."""
    return keras.ops.log(_average(keras.ops.absolute(detail), side) + STRENGTH_FLOOR)


def _sparsity(detail: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Return a measure of sparsity of the detail in each square: low for single edges, which are
    sparse, and high for noise.

    It is the logarithm of the mean strength over the root mean square, a ratio that identifies the
    shape of a distribution (Sharifi and Leon-Garcia 1995, doi:10.1109/76.350779).
    """
    mean_square = _average(keras.ops.square(detail), side)
    return _log_strength(detail, side) - keras.ops.log(mean_square + STRENGTH_FLOOR**2) / 2
