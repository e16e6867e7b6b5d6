"""Reads the tensors of a PyTorch file without PyTorch, and runs nothing that the file asks for.

    tensors = read_tensors(Path("efficientnet-lite0.pth"))
    tensors["_conv_stem.weight"].shape  # (32, 3, 3, 3)

The files are those that `torch.save(model.state_dict(), path)` wrote up to PyTorch 1.5. They begin
with five pickles: a magic number, a version, properties of the machine, the tensors by their names
and the keys of their storages. Then come the storages: an 8-byte count and that many numbers each.

A pickle names functions to be called, and may name any. This reader knows the four names that the
tensors of a network need and refuses a file with another one.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from deepfake_detector.console import UserError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
VERSION = 1001
# What a damaged pickle raises, depending on where the damage is.
DAMAGE = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError,
    OverflowError, MemoryError,
)  # fmt: skip


class _Storage(NamedTuple):
    """Numbers that follow after the pickles."""

    key: str
    dtype: np.dtype
    size: int  # how many


class _Tensor(NamedTuple):
    """A part of a storage."""

    storage: _Storage
    first: int  # its place in the storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file by their names, float32 or int64.

    Raises UserError where the file cannot be read, is cut short, is of another format, or asks for
    anything but tensors.
    """
    try:
        with path.open("rb") as file:
            tensors, keys = _read_pickles(file)
            storages = _read_storages(file, tensors, keys)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path} is not a whole PyTorch file of tensors: {reason}; install the package that it "
            "came with again"
        ) from error
    return {name: _values(tensor, storages) for name, tensor in tensors.items()}


def _read_pickles(file: BinaryIO) -> tuple[dict[str, _Tensor], list[str]]:
    """Return the tensors by their names, and the keys of the storages in the order of the file."""
    if _TensorUnpickler(file).load() != MAGIC_NUMBER or _TensorUnpickler(file).load() != VERSION:
        raise ValueError("it does not begin as a file of PyTorch 1.5 or earlier")
    if _TensorUnpickler(file).load().get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    tensors = {str(name): tensor for name, tensor in _TensorUnpickler(file).load().items()}
    for name, tensor in tensors.items():
        _check_tensor(name, tensor)
    return tensors, list(_TensorUnpickler(file).load())


class _TensorUnpickler(pickle.Unpickler):
    """Knows the names in a state dict of tensors, and no others."""

    ALLOWED = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, first, shape, strides, *_: _Tensor(
            storage, first, shape, strides
        ),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self.ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}, which no tensor needs"
            ) from None

    def persistent_load(self, pid: Sequence) -> _Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError("it refers to something that is no storage")
        return _Storage(str(key), dtype, int(count))


def _check_tensor(name: str, tensor: object) -> None:
    """Raise ValueError unless this is a tensor whose numbers all lie within its storage."""
    if not isinstance(tensor, _Tensor) or not isinstance(tensor.storage, _Storage):
        raise ValueError(f"{name} is no tensor")
    storage, first, shape, strides = tensor
    if not all(isinstance(number, int) and number >= 0 for number in (first, *shape, *strides)):
        raise ValueError(f"the shape of {name} is not made of numbers")
    last = first + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.size or not first <= last < storage.size:
        raise ValueError(f"the numbers of {name} do not lie within their storage")


def _read_storages(
    file: BinaryIO, tensors: dict[str, _Tensor], keys: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the numbers of each storage by its key."""
    known = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if sorted(keys) != sorted(known):
        raise ValueError("its storages are not those of its tensors")
    storages = {}
    for key in keys:
        _, dtype, count = known[key]
        if int.from_bytes(file.read(8), "little") != count:
            raise ValueError(f"the storage {key} has another size than its tensors")
        content = file.read(count * dtype.itemsize)
        if len(content) < count * dtype.itemsize:
            raise ValueError("it is cut short")
        storages[key] = np.frombuffer(content, dtype)
    return storages


def _values(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    numbers = storages[tensor.storage.key]
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.first :], tensor.shape, strides, writeable=False
    )
