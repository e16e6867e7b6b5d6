"""The default frame encoder, EfficientNet-Lite0: a network of mobile inverted bottlenecks.

    encoder = efficientnet_lite((192, 192, 3))

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, as
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite has it. Its batch
normalisation is folded into the convolutions: each is a convolution with a bias. Nothing then
depends on the batch or on the number of devices, and a step of training takes less time. Weights of
ImageNet come from `imagenet_weights.py`.
"""

import math
from typing import NamedTuple

import keras
from keras import layers
from keras.initializers import RandomNormal, VarianceScaling

NUM_FEATURES = 1280  # of a frame
STEM_CHANNELS = 32
DROPOUT = 0.2


class Stage(NamedTuple):
    """Blocks of one resolution: the first has the stride, the others are added to their input."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


def efficientnet_lite(frame_shape: tuple[int, int, int]) -> keras.Model:
    """Return the encoder from frames `(batch, height, width, 3)`, 0..255, to `(batch, 1280)`.

    Frames may have any size from 32 pixels on. The initialisation is
    random and keeps the scale of the signal from layer to layer (He et al. 2015,
    doi:10.1109/ICCV.2015.123).
    """
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    # In 32 bits under every policy: 16 bits round most scaled pixels.
    x = layers.Rescaling(1 / 128, -127 / 128, dtype="float32", name="scale")(image)
    x = _convolution(x, STEM_CHANNELS, "stem", kernel=3, stride=2)
    number = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            number += 1
            x = _block(x, stage, stage.stride if repeat == 0 else 1, f"block{number}")
    x = _convolution(x, NUM_FEATURES, "head")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(image, layers.Dropout(DROPOUT, name="dropout")(x), name="frame_encoder")


def _block(x: keras.KerasTensor, stage: Stage, stride: int, name: str) -> keras.KerasTensor:
    """Return the output of an inverted bottleneck (Sandler et al. 2018, arXiv:1801.04381)."""
    channels = x.shape[-1]
    is_residual = stride == 1 and channels == stage.channels
    out = x
    if stage.expansion > 1:
        out = _convolution(out, channels * stage.expansion, f"{name}_expand")
    out = layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        padding="same",
        activation="relu6",
        # A convolution of one channel each: Keras would count all channels as inputs.
        depthwise_initializer=RandomNormal(stddev=math.sqrt(2) / stage.kernel),
        name=f"{name}_depthwise",
    )(out)
    # Sums of many blocks would grow beyond the 6 of ReLU6.
    out = layers.Conv2D(
        stage.channels,
        1,
        kernel_initializer=VarianceScaling(0.1 if is_residual else 1.0),
        name=f"{name}_project",
    )(out)
    return layers.Add(name=f"{name}_add")([x, out]) if is_residual else out


def _convolution(
    x: keras.KerasTensor, channels: int, name: str, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    return layers.Conv2D(
        channels,
        kernel,
        stride,
        padding="same",
        activation="relu6",
        kernel_initializer="he_normal",
        name=name,
    )(x)
