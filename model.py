"""Networks: TimeDistributed CNN -> LSTM -> Dense, one number out, P(fake).

    model = build_model(num_frames=8, img_size=(192, 192))       # what is saved and shared
    folded = fold_time(model)                                    # the same weights, for training

Built from stock layers only, so that `tf.keras.models.load_model` opens a saved model without this
file. Scaling from 0..255 is part of them: feed them plain RGB faces, `(batch, num_frames, height,
width, 3)`.

Keras runs TimeDistributed as a Python loop: one copy of the wrapped layer in the graph for each
frame, which makes the first step slow and every later one slower. `fold_time` gives a second model
over the same layers in which the frames of a batch are simply a larger batch of images. Its
outputs are the same; its summary is not the one a reader wants to see.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

import backbones
import folding

keras = tf.keras
layers = keras.layers
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


def build_model(
    num_frames: int = 8,
    img_size: Sequence[int] = (192, 192),
    architecture: str = "detail",
    precision: str = "float32",
    backbone_weights: str = backbones.DRAWN,
) -> "keras.Model":
    """Return an uncompiled model from `(batch, num_frames, height, width, 3)`, 0..255 RGB of any
    numeric dtype, to `(batch, 1) float32`, P(fake). With one frame there is no LSTM.

    `architecture` is one of ARCHITECTURES or, with the weights that `backbone_weights` says, one of
    backbones.NAMES; `precision` is one of PRECISIONS: the mixed ones compute in 16 bits and keep
    weights in 32, https://keras.io/api/mixed_precision/. Raises ValueError for any other name, and
    UserError where backbones.frame_encoder does.
    """
    known = (*ARCHITECTURES, *backbones.NAMES)
    if architecture not in known:
        raise ValueError(f"architecture {architecture!r} is none of {', '.join(known)}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    with _dtype_policy(precision):
        if architecture in ARCHITECTURES:
            encoder, sequence_layers = ARCHITECTURES[architecture]((*img_size, 3))
        else:
            encoder = backbones.frame_encoder(architecture, (*img_size, 3), backbone_weights)
            sequence_layers = sequence_layers()
        clip = keras.Input((num_frames, *img_size, 3), dtype="float32", name="clip")
        x = layers.TimeDistributed(encoder, name="frames")(clip)  # (batch, num_frames, features)
        if num_frames == 1:  # one frame has no order: an LSTM would only stand in the way
            sequence_layers = [layers.Flatten(name="only_frame"), *sequence_layers[1:]]
        for layer in sequence_layers:
            x = layer(x)
        return keras.Model(clip, x, name=f"deepfake_detector_{architecture}")


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Give layers made inside this the dtype policy `name`: Keras knows a global one only."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def fold_time(
    model: "keras.Model", seed: int | None = None, step: "tf.Variable | None" = None
) -> "keras.Model":
    """Return a model over the very weights of `model` that runs all frames as one batch of images.

    Training it trains `model`, scoring with it gives the scores of `model`. Works for any chain of
    layers with TimeDistributed among them, also one that `load_model` has just opened.

    With `seed` and `step`, an int64 variable that the training loop counts up, Dropout draws its
    masks from these two alone: the same ones on one device and on many, and after a resume. Raises
    ValueError where only one of the two is given.
    """
    if (seed is None) != (step is None):
        raise ValueError("give both seed and step, or neither")
    draws = None if seed is None else folding.Draws(seed, step)
    clip = keras.Input(model.input_shape[1:], name="clip")
    x = clip
    for layer in model.layers[1:]:
        if not isinstance(layer, layers.TimeDistributed):
            x = folding.replacement(layer, draws)(x)
            continue
        num_frames, *frame_shape = x.shape[1:]
        x = keras.ops.reshape(x, (-1, *frame_shape))  # (batch * num_frames, height, width, 3)
        x = folding.replacement(layer.layer, draws)(x)  # (batch * num_frames, features)
        x = keras.ops.reshape(x, (-1, num_frames, *x.shape[1:]))  # (batch, num_frames, features)
    return keras.Model(clip, x, name=f"{model.name}_folded")


def scaled(image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Return 0..255 as -1..1. Always in 32 bits: 1 / 127.5 is no number of 16 bits, nor are most
    pixels scaled by it."""
    return layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scale")(image)


def small_encoder(frame_shape: tuple[int, int, int]) -> tuple["keras.Model", list]:
    """Four convolutions for each frame, their map kept coarse rather than averaged, because where
    in the face something looks odd matters; trains on a laptop's CPU.

    GroupNormalization (Wu and He, ECCV 2018, arXiv:1803.08494) normalises each frame by itself:
    unlike batch normalisation it does not care how many clips share a batch or a device, nor that
    the frames of a clip are alike.
    """
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    x = scaled(image)
    for filters, kernel_size, strides in ((16, 5, 2), (32, 3, 1), (48, 3, 1), (64, 3, 1)):
        x = layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
        )(x)
        x = layers.MaxPooling2D()(x)  # first, so that what follows has a quarter of the pixels
        x = layers.GroupNormalization(groups=8)(x)
        x = layers.Activation("relu")(x)
    x = layers.Conv2D(16, 1, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(image, x, name="frame_encoder"), sequence_layers()


def sequence_layers() -> list:
    return [
        layers.LSTM(32, name="lstm"),
        layers.Dropout(0.3, name="dropout"),
        layers.Dense(1, activation="sigmoid", dtype="float32", name="p_fake"),
    ]


def detail_encoder(frame_shape: tuple[int, int, int]) -> tuple["keras.Model", list]:
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
    return keras.Model(image, x, name="frame_encoder"), sequence_layers()


def detail_maps(image: "keras.KerasTensor") -> "keras.KerasTensor":
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


def _seen(detail: "keras.KerasTensor") -> "keras.KerasTensor":
    """Return 1 for each block where there is detail of the last octave in most places, else 0."""
    some = keras.ops.cast(keras.ops.absolute(detail) > LEAST_DETAIL, "float32")
    return keras.ops.cast(_average(some, BLOCK // 4) > 0.5, "float32")


def _shifted(image: "keras.KerasTensor", axis: int) -> "keras.KerasTensor":
    """Return the image a pixel further down (axis 1) or across (axis 2), its first line twice."""
    first, rest = (
        (image[:, :1], image[:, :-1]) if axis == 1 else (image[:, :, :1], image[:, :, :-1])
    )
    return keras.ops.concatenate([first, rest], axis=axis)


def _average(image: "keras.KerasTensor", pixels: int) -> "keras.KerasTensor":
    return layers.AveragePooling2D(pixels, dtype="float32")(image)


def _log_strength(detail: "keras.KerasTensor", pixels: int) -> "keras.KerasTensor":
    """Return the logarithm of the mean strength in each square of so many pixels."""
    return keras.ops.log(_average(keras.ops.absolute(detail), pixels) + NOTHING)


def _evenness(detail: "keras.KerasTensor", pixels: int) -> "keras.KerasTensor":
    """Return how evenly the detail in each square is spread: noise much, single edges little.

    The logarithm of mean strength by root mean square, the ratio that tells a distribution's shape
    (Sharifi and Leon-Garcia 1995, doi:10.1109/76.350779).
    """
    mean_square = _average(keras.ops.square(detail), pixels)
    return _log_strength(detail, pixels) - keras.ops.log(mean_square + NOTHING**2) / 2


def baseline_encoder(frame_shape: tuple[int, int, int]) -> tuple["keras.Model", list]:
    """The network of the project this one grew out of (microcoder-py/deepfake-detector, 2021): one
    convolution, a flat frame, an LSTM with relu. The baseline that others are measured against."""
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    x = layers.Conv2D(32, (2, 2), activation="relu")(scaled(image))
    x = layers.Flatten()(layers.AveragePooling2D((2, 2))(x))
    encoder = keras.Model(image, x, name="frame_encoder")
    return encoder, [
        layers.LSTM(16, activation="relu", name="lstm"),
        layers.Dense(1, activation="sigmoid", dtype="float32", name="p_fake"),
    ]


ARCHITECTURES: dict[str, Callable] = {
    "detail": detail_encoder,
    "small": small_encoder,
    "seed": baseline_encoder,
}
LEAST_SIDE = 32  # of a frame, in pixels, that all of them can work with
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
