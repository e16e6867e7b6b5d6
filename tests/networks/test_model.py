"""The network: its shape on paper, its speed-up without a change of scores, its file."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_without_our_code

import model as networks
from deepfake_detector.networks import catalogue, folding

CLIP = (4, 32, 32, 3)
pytestmark = pytest.mark.usefixtures("small_lite0")


def clips(count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *CLIP), np.uint8)


@pytest.fixture(params=sorted(catalogue.ARCHITECTURES))
def model(request):
    tf.keras.utils.set_random_seed(0)
    return networks.build_model(CLIP[0], CLIP[1:3], request.param)


@pytest.mark.slow
def test_one_number_between_0_and_1_for_each_clip_of_plain_rgb(model):
    scores = model.predict(clips(3), verbose=0)
    assert scores.shape == (3, 1)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_summary_reads_time_distributed_lstm_dense(model):
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.index("TimeDistributed") < kinds.index("LSTM") < kinds.index("Dense")
    assert kinds[-1] == "Dense"


def test_folding_time_into_the_batch_changes_no_score(model):
    folded = folding.fold_time(model)
    assert folded(clips()).numpy() == pytest.approx(model(clips()).numpy(), abs=1e-6)


@pytest.mark.slow
def test_training_the_folded_model_trains_the_one_that_is_saved(model):
    folded = folding.fold_time(model)
    before = model(clips()).numpy()
    folded.compile("sgd", "binary_crossentropy", run_eagerly=True)
    folded.fit(clips(), np.array([[0.0], [1.0]]), epochs=2, verbose=0)
    after = model(clips()).numpy()
    assert not np.allclose(before, after)
    assert folded(clips()).numpy() == pytest.approx(after, abs=1e-6)


@pytest.mark.slow
def test_the_graph_does_not_grow_with_the_number_of_frames():
    """Plain TimeDistributed copies its layer once per frame: slow first step, slow every step."""

    def operations(num_frames):
        folded = folding.fold_time(networks.build_model(num_frames, (32, 32)))
        signature = tf.TensorSpec((2, num_frames, 32, 32, 3))
        return len(tf.function(folded).get_concrete_function(signature).graph.get_operations())

    assert operations(24) == operations(3)


@pytest.mark.slow
def test_normalisation_does_not_depend_on_the_batch(model):
    together = model(clips(6)).numpy()
    alone = np.concatenate([model(clip[None]).numpy() for clip in clips(6)])
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.slow
def test_the_order_of_frames_matters(model):
    forwards, backwards = clips(), clips()[:, ::-1]
    assert not np.allclose(model(forwards), model(backwards), atol=1e-7)


@pytest.mark.slow
def test_saved_models_open_without_any_of_our_code_and_give_the_same_scores(tmp_path):
    expected = []
    for name in sorted(catalogue.ARCHITECTURES):
        network = networks.build_model(CLIP[0], CLIP[1:3], name)
        network.save(tmp_path / f"{name}.keras")
        expected.append(network(clips()).numpy())
    np.save(tmp_path / "clips.npy", clips())
    script = (
        "import json, sys, numpy as np, tensorflow as tf\n"
        "from pathlib import Path\n"
        "paths = sorted(Path().glob('*.keras'))\n"
        "models = [tf.keras.models.load_model(path) for path in paths]\n"
        "scores = [model.predict(np.load('clips.npy'), verbose=0).tolist() for model in models]\n"
        "kinds = [[type(layer).__name__ for layer in model.layers] for model in models]\n"
        "ours = [m for m in ('model', 'data_pipeline', 'train', 'console') if m in sys.modules]\n"
        "print(json.dumps([scores, kinds, ours]))\n"
    )
    scores, kinds, ours = run_without_our_code(script, tmp_path)
    assert np.array(scores) == pytest.approx(np.array(expected), abs=1e-6)
    assert all("TimeDistributed" in of_one for of_one in kinds)
    assert ours == []


def test_the_baseline_has_the_shape_of_the_predecessors_network():
    network = networks.build_model(60, (100, 100), "baseline")
    encoder = network.get_layer("frames").layer
    assert encoder.output_shape == (None, 76832)
    assert network.get_layer("lstm").units == 16


@pytest.mark.parametrize("architecture", ["baseline", "efficientnet-lite0"])
def test_a_model_saved_after_a_kill_has_the_layer_names_of_one_that_was_never_killed(architecture):
    """They were counted over the networks that a process had made: conv2d, then conv2d_1."""

    def names():
        frames = networks.build_model(3, (32, 32), architecture).get_layer("frames")
        return [layer.name for layer in frames.layer.layers]

    assert names() == names()


def test_an_unknown_architecture_names_those_there_are():
    with pytest.raises(ValueError, match="'vgg' is none of efficientnet-lite0, baseline, "):
        networks.build_model(4, (32, 32), "vgg")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("architecture", sorted(catalogue.ARCHITECTURES))
def test_16_bits_train_and_score_almost_as_32_bits(architecture, precision):
    tf.keras.utils.set_random_seed(0)
    exact = networks.build_model(CLIP[0], CLIP[1:3], architecture)
    mixed = networks.build_model(CLIP[0], CLIP[1:3], architecture, precision)
    mixed.set_weights(exact.get_weights())
    assert mixed.get_layer("frames").layer.dtype_policy.name == precision
    assert mixed.output.dtype == "float32"
    assert mixed(clips()).numpy() == pytest.approx(exact(clips()).numpy(), abs=0.01)
    folded = folding.fold_time(mixed)
    folded.compile("sgd", "binary_crossentropy", run_eagerly=True)
    assert np.isfinite(folded.train_on_batch(clips(), np.array([[0.0], [1.0]])))
    assert all(np.isfinite(weight).all() for weight in folded.get_weights())


def test_pixels_are_scaled_in_32_bits_before_a_network_of_16_bits():
    """bfloat16 has 8 digits: 1 / 127.5 and half pixels would be rounded, white would not be 1."""
    network = networks.build_model(CLIP[0], CLIP[1:3], "baseline", "mixed_bfloat16")
    pixels = np.array([0, 100.25, 255], np.float32)
    scaled = network.get_layer("frames").layer.get_layer("scale")(pixels)
    assert scaled.dtype == tf.float32
    assert scaled.numpy() == pytest.approx(pixels / 127.5 - 1, abs=1e-6)


def test_a_network_of_16_bits_leaves_others_alone():
    before = tf.keras.config.dtype_policy()
    networks.build_model(CLIP[0], CLIP[1:3], "baseline", "mixed_bfloat16")
    assert tf.keras.config.dtype_policy() == before
    assert (
        networks.build_model(CLIP[0], CLIP[1:3], "baseline").get_layer("lstm").compute_dtype
        == "float32"
    )


def test_an_unknown_precision_names_those_there_are():
    with pytest.raises(ValueError, match="'int8' is none of float32, mixed_bfloat16, mixed_float1"):
        networks.build_model(4, (32, 32), precision="int8")
