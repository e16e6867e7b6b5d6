"""A trained model in other hands: exported for programs that know nothing of Keras or of us."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import TINY
from keras import layers

import train
from deepfake_detector.scoring import export as exports
from deepfake_detector.scoring import model_file

NUM_FRAMES, SIDE = 3, 32
SETTINGS = {"num_frames": NUM_FRAMES, "img_size": [SIDE, SIDE]}
SAVED_MODEL_AND_LITERT = """
import json, sys
import numpy as np, tensorflow as tf
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = tf.lite.Interpreter
served = tf.saved_model.load(sys.argv[1])
clips = np.load(sys.argv[2])
signature = served.signatures["serving_default"]
scores = [served.serve(clips), next(iter(signature(tf.constant(clips)).values()))]
lite = Interpreter(sys.argv[1] + "/model.tflite").get_signature_runner()
for parts in [clips], [clips[:1], clips[1:]]:
    scores.append(np.concatenate([next(iter(lite(clips=part).values())) for part in parts]))
print(json.dumps([np.array(part)[:, 0].tolist() for part in scores]))
"""
ONNX = """
import json, sys
import numpy as np, onnxruntime
model = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
clips = np.load(sys.argv[2])
calls = [[clips], [clips[:1], clips[1:]]]
scores = [[model.run(None, {"clips": part})[0] for part in parts] for parts in calls]
print(json.dumps([np.concatenate(parts)[:, 0].tolist() for parts in scores]))
"""


@pytest.fixture
def clips() -> np.ndarray:
    """Three clips, `(3, NUM_FRAMES, SIDE, SIDE, 3) uint8`."""
    shape = (3, NUM_FRAMES, SIDE, SIDE, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def mobile_network() -> keras.Model:
    """Return a network of the layers of EfficientNet-Lite, with every weight at random."""
    frame = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 128, -127 / 128)(frame)
    stem = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same")(x))
    x = layers.ReLU(6.0)(layers.Conv2D(16, 1)(stem))
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(5, padding="same")(x))
    x = layers.Add()([stem, layers.Conv2D(8, 1)(x)])
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    clip = keras.Input((NUM_FRAMES, SIDE, SIDE, 3))
    x = layers.TimeDistributed(keras.Model(frame, x))(clip)
    x = layers.Dense(1, activation="sigmoid")(layers.LSTM(32)(x))
    network = keras.Model(clip, x)
    random = np.random.default_rng(0)
    network.set_weights([random.normal(0, 0.3, part.shape) for part in network.get_weights()])
    return network


def scores_without_our_code(script: str, folder, clips: np.ndarray) -> list[list[float]]:
    np.save(folder.parent / "clips.npy", clips)
    # -I: neither the current folder nor PYTHONPATH can be imported from.
    command = [sys.executable, "-I", "-c", script, str(folder), str(folder.parent / "clips.npy")]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check_scores(folder, clips: np.ndarray) -> None:
    """Compare the scores of what is in an export folder with those of the Keras model."""
    expected = keras.models.load_model(folder.parent / "model.keras").predict(clips, verbose=0)
    assert np.ptp(expected) > 1e-4  # the clips differ
    scripts = {"model.tflite": SAVED_MODEL_AND_LITERT, "model.onnx": ONNX}
    for name, script in scripts.items():
        if (folder / name).exists():
            for scores in scores_without_our_code(script, folder, clips):
                assert scores == pytest.approx(expected[:, 0], abs=1e-5), name


@pytest.mark.thorough
def test_exported_models_give_the_scores_of_the_keras_model(clips, tmp_path):
    model_file.save(mobile_network(), tmp_path / "model.keras")
    folder, notes = exports.export(tmp_path / "model.keras", SETTINGS)
    assert folder == tmp_path / "export"
    assert (folder / "model.tflite").exists()
    assert (folder / "model.onnx").exists() or "requirements-export.txt" in notes[0]
    check_scores(folder, clips)


@pytest.mark.thorough
def test_train_exports_and_says_what_is_missing(sample_faces, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # as if it were not installed
    train.main(["--data", str(sample_faces), "--out", str(tmp_path), *TINY, "--export"])
    lines = capsys.readouterr().out.splitlines()
    assert f"exported: {tmp_path / 'export'}" in lines
    [note] = [line for line in lines if line.startswith("note: model.onnx was not written")]
    assert note.endswith("pip install -r requirements-export.txt")
    assert (tmp_path / "export" / "model.tflite").exists()
    assert not (tmp_path / "export" / "model.onnx").exists()


@pytest.mark.thorough
def test_a_second_export_replaces_the_first(tmp_path, monkeypatch):
    """A format that a converter refuses is not left over from the model before."""
    monkeypatch.setattr(exports, "_write_onnx", lambda *_: None)
    model_file.save(mobile_network(), tmp_path / "model.keras")
    exports.export(tmp_path / "model.keras", SETTINGS)
    assert (tmp_path / "export" / "model.tflite").exists()

    def refuse(*_):
        raise ValueError("unsupported\noperation")

    monkeypatch.setattr(exports, "_write_litert", refuse)
    folder, notes = exports.export(tmp_path / "model.keras", SETTINGS)
    assert notes == ["model.tflite was not written: unsupported operation"]
    assert not (folder / "model.tflite").exists()
    assert (folder / "saved_model.pb").exists()
