"""The network: its shape on paper, its speed-up without a change of scores, its file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import model as networks
from deepfake_detector.console import UserError
from deepfake_detector.networks import folding
from deepfake_detector.scoring import model_file

CLIP = (4, 32, 32, 3)
DEFAULTS = ["baseline", "efficientnet-lite0"]


def clips(count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *CLIP), np.uint8)


@pytest.fixture(params=DEFAULTS)
def model(request, small_lite0):
    keras.utils.set_random_seed(0)
    return networks.build_model(CLIP[0], CLIP[1:3], request.param)


def test_one_number_between_0_and_1_for_each_clip_of_plain_rgb(model):
    scores = model(clips(3)).numpy()
    assert (scores.shape, scores.dtype) == ((3, 1), np.float32)
    assert ((scores >= 0) & (scores <= 1)).all()
    alone = np.concatenate([model(clip[None]).numpy() for clip in clips(3)])
    assert alone == pytest.approx(scores, abs=1e-5)  # nothing depends on the batch
    assert not np.allclose(scores, model(clips(3)[:, ::-1]), atol=1e-7)  # the order matters


def test_summary_reads_time_distributed_lstm_dense(model):
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.index("TimeDistributed") < kinds.index("LSTM") < kinds.index("Dense")
    assert kinds[-1] == "Dense"


def test_time_folded_into_the_batch_changes_neither_scores_nor_gradients(model):
    folded = folding.fold_time(model)
    assert folded(clips()).numpy() == pytest.approx(model(clips()).numpy(), abs=1e-6)
    pairs = zip(folded.trainable_variables, model.trainable_variables, strict=True)
    assert all(ours is saved for ours, saved in pairs)
    gradients = []
    for network in (folded, model):
        with tf.GradientTape() as tape:
            scores = network(clips().astype(np.float32))
            loss = tf.reduce_sum(keras.losses.binary_crossentropy([[0.0], [1.0]], scores))
        gradients.append(tape.gradient(loss, model.trainable_variables))
    for ours, saved in zip(*gradients, strict=True):
        tolerance = 1e-4 * float(abs(saved).numpy().max())
        assert ours.numpy() == pytest.approx(saved.numpy(), abs=tolerance)


def test_the_graph_does_not_grow_with_the_number_of_frames():
    """Plain TimeDistributed copies its layer once per frame: slow first step, slow every step."""

    def operations(num_frames):
        folded = folding.fold_time(networks.build_model(num_frames, (32, 32), "baseline"))
        signature = tf.TensorSpec((2, num_frames, 32, 32, 3))
        return len(tf.function(folded).get_concrete_function(signature).graph.get_operations())

    assert operations(24) == operations(3)


def test_the_baseline_has_the_shape_of_the_predecessors_network():
    network = networks.build_model(60, (100, 100), "baseline")
    assert network.get_layer("frames").layer.output_shape == (None, 76832)
    assert network.get_layer("lstm").units == 16


def test_a_model_saved_after_a_kill_has_the_layer_names_of_one_that_was_never_killed(small_lite0):
    """They were counted over the networks that a process had made: conv2d, then conv2d_1."""
    for architecture in DEFAULTS:
        first, again = (
            networks.build_model(3, (32, 32), architecture).get_layer("frames") for _ in range(2)
        )
        names = [[layer.name for layer in frames.layer.layers] for frames in (first, again)]
        assert names[0] == names[1]


def test_names_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match="'vgg' is none of efficientnet-lite0, "):
        networks.build_model(4, (32, 32), "vgg")
    with pytest.raises(ValueError, match="'int8' is none of float32, mixed_bfloat16"):
        networks.build_model(4, (32, 32), precision="int8")


def test_16_bits_train_and_score_almost_as_32_bits(model):
    precision = "mixed_bfloat16"
    architecture = model.name.removeprefix("deepfake_detector_")
    mixed = networks.build_model(CLIP[0], CLIP[1:3], architecture, precision)
    mixed.set_weights(model.get_weights())
    frames = mixed.get_layer("frames").layer
    assert frames.dtype_policy.name == precision
    # bfloat16 has 8 digits: 1 / 127.5 and half pixels would be rounded, white would not be 1.
    assert frames.get_layer("scale").compute_dtype == mixed.output.dtype == "float32"
    assert mixed(clips()).numpy() == pytest.approx(model(clips()).numpy(), abs=0.01)
    folded = folding.fold_time(mixed)
    folded.compile("sgd", "binary_crossentropy", run_eagerly=True)
    assert np.isfinite(folded.train_on_batch(clips(), np.array([[0.0], [1.0]])))
    assert tf.keras.config.dtype_policy().name == "float32"  # of other networks


# What other projects have left behind


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.usefixtures("channels_first")
def test_channels_first_builds_and_opens_the_same_network(tmp_path):
    """A keras.json of another project made another network, and trained it without a word."""
    network = networks.build_model(CLIP[0], CLIP[1:3], "baseline")
    assert network.get_layer("frames").layer.get_layer("conv2d").kernel.shape == (2, 2, 3, 32)
    model_file.save(network, tmp_path / "model.keras")
    keras.config.set_image_data_format("channels_first")
    opened = model_file.open_model(tmp_path / "model.keras")
    assert np.array_equal(folding.fold_time(opened)(clips()), folding.fold_time(network)(clips()))


OTHER_KERAS = """
import {first}
import model, tensorflow as tf
network = model.build_model(1, (32, 32), "baseline")
print(model.keras.config.backend(), network(tf.zeros((1, 1, 32, 32, 3))).shape)
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["data_pipeline", "model"])
def test_another_backend_of_keras_is_not_asked_for(tmp_path, first):
    """KERAS_BACKEND=jax and backend: theano in keras.json ended every script with a traceback."""
    settings = {"backend": "theano", "image_data_format": "channels_first", "floatx": "float16"}
    (tmp_path / "keras.json").write_text(json.dumps({"epsilon": 1e-7, **settings}))
    environment = os.environ | {"KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OTHER_KERAS.format(first=first)],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "tensorflow (1, 1)\n", done.stderr[-2000:]


def test_keras_that_was_imported_with_another_backend_is_one_sentence(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(UserError, match="backend torch.*import deepfake_detector before keras"):
        networks.build_model(CLIP[0], CLIP[1:3], "baseline")
