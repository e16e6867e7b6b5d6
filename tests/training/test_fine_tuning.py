"""The default network: begins with a model that is there, learns from frames, then from clips."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_weights_close
from test_run_folder import Stop, StopAt, assert_ended_alike, training

import model as networks
import train
from deepfake_detector.console import UserError
from deepfake_detector.networks import catalogue
from deepfake_detector.scoring import trained_model
from deepfake_detector.training import run_folder
from deepfake_detector.training.initial_weights import find_initial_model, set_network_weights
from deepfake_detector.training.settings import clip_stage, frame_stage

pytestmark = pytest.mark.usefixtures("small_lite0")
SETTINGS = train.TrainSettings(
    epochs=1, frame_epochs=1, min_steps=2, batch_size=4, num_frames=2, img_size=32
)


def write_run(folder: Path, network: keras.Model, sample_faces: Path, **training: object) -> Path:
    """Write the run folder of a network as train.py does, its training settings too."""
    folder.mkdir()
    network.save(folder / "model.keras")
    faces = json.loads((sample_faces / "settings.json").read_text())
    settings = {"faces": faces, "num_frames": network.input_shape[1], "img_size": [32, 32]}
    settings["training"] = {"architecture": catalogue.DEFAULT, **training}
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def shipped(small_lite0, sample_faces, tmp_path_factory) -> Path:
    """A run folder that stands in for the shipped model: a network of clips."""
    keras.utils.set_random_seed(7)
    network = networks.build_model(2, (32, 32))
    return write_run(tmp_path_factory.mktemp("models") / "pretrained", network, sample_faces)


@pytest.fixture
def pretrained(shipped, monkeypatch) -> Path:
    monkeypatch.setattr(trained_model, "PRETRAINED", shipped)
    return shipped


@pytest.fixture(scope="module")
def tuned(shipped, sample_faces, tmp_path_factory) -> Path:
    """A finished training of both stages that began with `shipped`."""
    out = tmp_path_factory.mktemp("runs") / "run"
    training(sample_faces, out, settings=replace(SETTINGS, initial=str(shipped)))
    return out


def weights_of(folder: Path, layer: str) -> list[np.ndarray]:
    return keras.models.load_model(folder / "model.keras").get_layer(layer).get_weights()


def equal(first, second) -> bool:
    return all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


# Settings


def test_each_network_has_its_own_recipe():
    default, baseline = train.TrainSettings(), train.TrainSettings(architecture="baseline")
    assert default.architecture == "efficientnet-lite0"
    assert (default.initial, default.epochs, default.frame_epochs) == ("pretrained", 2, 20)
    assert (baseline.initial, baseline.epochs, baseline.frame_epochs) == ("random", 10, 60)
    assert default.learning_rate == 1e-4
    assert train.TrainSettings(architecture="baseline", epochs=3).epochs == 3
    assert train.TrainSettings(architecture="xception").initial == "imagenet"


def test_clips_train_only_the_new_layers_and_slowly(tmp_path):
    clips = clip_stage(tmp_path, train.TrainSettings(), {}, [])
    assert clips.freezes_cnn
    assert clips.settings.learning_rate == pytest.approx(1e-6)
    assert clips.initial == str(tmp_path / "frames" / "model.keras")
    assert not clips.average_momentum
    frames = frame_stage(tmp_path, train.TrainSettings(), {}, [])
    assert frames.initial == "pretrained"
    assert frames.average_momentum == 0.998
    assert not frames.freezes_cnn


def test_clips_of_a_network_that_is_trained_as_a_whole_take_a_tenth_of_the_rate(tmp_path):
    settings = train.TrainSettings(architecture="baseline")
    clips = clip_stage(tmp_path, settings, {}, [])
    assert clips.settings.learning_rate == pytest.approx(settings.learning_rate / 10)
    assert not clips.freezes_cnn


def test_a_network_without_single_frames_is_trained_as_a_whole(tmp_path):
    whole = clip_stage(tmp_path, replace(SETTINGS, frame_epochs=0), {}, [])
    assert not whole.freezes_cnn
    assert whole.settings.learning_rate == SETTINGS.learning_rate


# First weights


def test_a_shipped_model_that_is_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(trained_model, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(UserError, match="pretrained model is missing: .* or give --from imagenet"):
        find_initial_model("pretrained", catalogue.DEFAULT)


def test_pretrained_is_the_shipped_model(pretrained):
    found = find_initial_model("pretrained", catalogue.DEFAULT)
    assert found == pretrained / "model.keras"


def test_a_model_of_another_network_is_one_sentence(sample_faces, tmp_path):
    other = networks.build_model(1, (32, 32), "baseline")
    write_run(tmp_path / "other", other, sample_faces, architecture="seed")
    settings = replace(SETTINGS, initial=str(tmp_path / "other"))
    with pytest.raises(UserError, match="a model of seed, this training is one of efficientnet-l"):
        training(sample_faces, tmp_path / "run", settings=settings)


def test_a_new_last_layer_leaves_the_encoder_alone_in_the_first_step(shipped):
    network = networks.build_model(1, (32, 32))
    set_network_weights(network, keras.models.load_model(shipped / "model.keras").get_weights())
    assert equal(network.get_layer("frames").get_weights(), weights_of(shipped, "frames"))
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        scores = network(frames)
        loss = keras.losses.binary_crossentropy([[0.0], [1.0]], scores)
    assert scores.numpy().tolist() == [[0.5], [0.5]]
    *of_encoder, of_kernel, _ = tape.gradient(loss, network.trainable_variables)
    assert not any(gradient.numpy().any() for gradient in of_encoder)
    assert of_kernel.numpy().any()


def test_of_a_model_of_single_frames_the_last_layer_is_taken_too():
    keras.utils.set_random_seed(3)
    first, second = networks.build_model(1, (32, 32)), networks.build_model(1, (32, 32))
    set_network_weights(second, first.get_weights())
    assert equal(first.get_weights(), second.get_weights())


# Training


@pytest.mark.slow
def test_both_stages_run_and_clips_leave_the_encoder_of_the_frames_as_it_is(tuned, shipped):
    of_frames, of_clips = weights_of(tuned / "frames", "frames"), weights_of(tuned, "frames")
    assert equal(of_frames, of_clips)
    assert not equal(of_frames, weights_of(shipped, "frames"))
    saved = json.loads((tuned / "settings.json").read_text())["training"]
    assert saved["initial"] == str(shipped)


@pytest.mark.slow
def test_whoever_opens_the_saved_model_can_train_all_of_it(tuned):
    network = keras.models.load_model(tuned / "model.keras")
    assert len(network.trainable_weights) == len(network.weights)


@pytest.mark.slow
def test_without_epochs_on_frames_a_clip_network_begins_with_all_weights(
    pretrained, sample_faces, tmp_path
):
    settings = replace(SETTINGS, frame_epochs=0, initial="pretrained", learning_rate=1e-12)
    training(sample_faces, tmp_path / "run", settings=settings)
    assert not (tmp_path / "run" / "frames").exists()
    for layer in ("frames", "lstm", "p_fake"):
        first, after = weights_of(pretrained, layer), weights_of(tmp_path / "run", layer)
        assert_weights_close(after, first, within=1e-6)


@pytest.mark.slow
def test_faces_made_otherwise_than_those_of_the_model_are_noted(
    shipped, sample_faces, tmp_path, capsys
):
    shutil.copytree(shipped, tmp_path / "other")
    settings = json.loads((tmp_path / "other" / "settings.json").read_text())
    settings["faces"]["margin_ratio"] = 0.9
    (tmp_path / "other" / "settings.json").write_text(json.dumps(settings))
    asked = replace(SETTINGS, frame_epochs=0, initial=str(tmp_path / "other"))
    with pytest.raises(Stop):
        training(sample_faces, tmp_path / "run", [StopAt(0, 0)], settings=asked)
    assert "was trained on other faces: --margin 0.9" in capsys.readouterr().out


@pytest.mark.slow
def test_stopped_in_both_stages_it_ends_as_if_it_never_had_been(
    tuned, shipped, sample_faces, tmp_path, monkeypatch
):
    out, settings = tmp_path / "run", replace(SETTINGS, initial=str(shipped))
    save = run_folder.save_state

    def save_and_stop(*given):
        save(*given)
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(run_folder, "save_state", save_and_stop)
        training(sample_faces, out, settings=settings, checkpoint_minutes=0)
    with np.load(out / "frames" / run_folder.STATE_NAME) as state:
        assert json.loads(str(state["about"]))["step"] == 1
    with pytest.raises(Stop):
        training(sample_faces, out, [StopAt(epoch=0)], settings=settings)
    before = (out / "frames" / "model.keras").stat().st_mtime_ns
    training(sample_faces, out, settings=settings)
    assert (out / "frames" / "model.keras").stat().st_mtime_ns == before
    assert_ended_alike(out / "frames", tuned / "frames")
    assert_ended_alike(out, tuned)


# Runs of earlier versions


def earlier_run(run: Path, folder: Path, initial_model: str | None) -> Path:
    """Return a copy of a run of `baseline` as earlier versions left it."""
    shutil.copytree(run, folder)
    settings = json.loads((folder / "settings.json").read_text())
    del settings["training"]["initial"]
    settings["initial_model"] = initial_model
    if initial_model:
        settings["training"]["frame_epochs"] = 60  # which an initial model kept from being used
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def of_baseline(sample_faces, tmp_path_factory) -> tuple[Path, train.TrainSettings]:
    settings = replace(SETTINGS, architecture="baseline", initial="random", frame_epochs=0)
    out = tmp_path_factory.mktemp("runs") / "baseline"
    training(sample_faces, out, settings=settings)
    return out, settings


@pytest.mark.slow
def test_a_run_of_an_earlier_version_is_known_again(of_baseline, sample_faces, tmp_path, capsys):
    run, settings = of_baseline
    training(sample_faces, earlier_run(run, tmp_path / "run", None), settings=settings)
    assert "holds this run already" in capsys.readouterr().out


@pytest.mark.slow
def test_an_earlier_run_with_an_initial_model_is_known_by_the_epochs_it_had(
    of_baseline, sample_faces, tmp_path, capsys
):
    run, settings = of_baseline
    out = earlier_run(run, tmp_path / "run", "first/model.keras")
    asked = replace(settings, initial="first/model.keras")
    training(sample_faces, out, settings=asked)
    assert "holds this run already" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--frame-epochs 0 \(asked for: 60\)"):
        training(sample_faces, out, settings=replace(asked, frame_epochs=60))
