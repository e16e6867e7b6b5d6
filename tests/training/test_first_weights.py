"""The default network: begins with a model that is there, learns from frames, then from clips."""

import json
import shutil
from dataclasses import asdict, replace
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
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.networks import catalogue
from deepfake_detector.scoring import trained_model
from deepfake_detector.training import run_folder
from deepfake_detector.training.initial_weights import find_initial_model, set_network_weights
from deepfake_detector.training.settings import training_stages

pytestmark = pytest.mark.usefixtures("small_lite0")
SETTINGS = train.TrainSettings(
    epochs=1, frame_epochs=2, min_steps=2, batch_size=4, num_frames=2, img_size=32,
    validation_share=0.3, test_share=0, ignore_official_split=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped(small_lite0, sample_faces, tmp_path_factory) -> Path:
    """A run folder that stands in for the shipped model: a network of clips."""
    folder = tmp_path_factory.mktemp("pretrained")
    keras.utils.set_random_seed(7)
    networks.build_model(2, (32, 32)).save(folder / "model.keras")
    faces = json.loads((sample_faces / "settings.json").read_text())
    settings = {"contract": trained_model.CONTRACT, "faces": faces, "num_frames": 2}
    settings |= {"img_size": [32, 32], "training": {"architecture": catalogue.DEFAULT}}
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


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
    assert (default.initial, default.epochs, default.frame_epochs) == ("pretrained", 2, 20)
    assert (baseline.initial, baseline.epochs, baseline.frame_epochs) == ("random", 10, 60)
    assert (default.learning_rate, baseline.learning_rate) == (1e-4, 1e-3)
    assert train.TrainSettings(architecture="baseline", epochs=3).epochs == 3
    assert train.TrainSettings(architecture="xception").initial == "imagenet"


def test_clips_train_only_the_new_layers_of_the_default_network_and_slowly(tmp_path):
    faces = asdict(FaceSettings())
    frames, _ = training_stages(tmp_path, train.TrainSettings(), faces, [])
    assert frames.is_first and not frames.freezes_cnn
    assert (frames.settings.initial, frames.settings.num_frames) == ("pretrained", 1)
    for name, rate, freezes in (("efficientnet-lite0", 1e-6, True), ("baseline", 1e-4, False)):
        _, clips = training_stages(tmp_path, train.TrainSettings(architecture=name), faces, [])
        assert clips.settings.learning_rate == pytest.approx(rate)
        assert clips.settings.initial == str(tmp_path / "frames" / "model.keras")
        assert (clips.is_first, clips.freezes_cnn) == (False, freezes)
    (whole,) = training_stages(tmp_path, replace(SETTINGS, frame_epochs=0), faces, [])
    assert not whole.freezes_cnn
    assert whole.settings.learning_rate == SETTINGS.learning_rate


# First weights


def test_pretrained_is_the_shipped_model_and_a_missing_one_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(trained_model, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(UserError, match="comes with this project is not in .* another.*--from"):
        find_initial_model(train.TrainSettings())
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "model.keras").touch()
    found = find_initial_model(train.TrainSettings())
    assert found == tmp_path / "pretrained" / "model.keras"


def test_a_model_of_another_network_is_one_sentence(shipped, sample_faces, tmp_path):
    settings = replace(SETTINGS, architecture="baseline", initial=str(shipped), frame_epochs=0)
    with pytest.raises(UserError, match="of efficientnet-lite0, this training is one of baseline"):
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


@pytest.mark.parametrize("architecture", ["baseline", "efficientnet-lite0"])
def test_a_network_of_clips_begins_with_what_one_of_frames_says_of_them_on_average(architecture):
    num_frames = 5
    pixels = np.random.default_rng(0).integers(0, 256, (8, num_frames, 4, 4, 3), np.uint8)
    clips = pixels.repeat(8, axis=2).repeat(8, axis=3)  # (8, 5, 32, 32, 3)

    def logits(model, clips) -> np.ndarray:
        scores = model(clips).numpy().astype(float)[:, 0]
        return np.log(scores / (1 - scores))

    keras.utils.set_random_seed(0)
    frame_model = networks.build_model(1, (32, 32), architecture)
    of_frames = logits(frame_model, clips.reshape(-1, 1, 32, 32, 3))
    *of_encoder, kernel, _ = frame_model.get_weights()
    # So that they differ as those of a trained one do. Were the LSTM not nearly linear there,
    # videos of which it is sure would all have one score.
    scale = 6 / of_frames.std()
    weights = [*of_encoder, scale * kernel, np.array([-scale * of_frames.mean()])]
    expected = scale * (of_frames - of_frames.mean()).reshape(-1, num_frames).mean(axis=1)
    network = networks.build_model(num_frames, (32, 32), architecture)
    set_network_weights(network, weights)
    assert logits(network, clips) == pytest.approx(expected, rel=0.15, abs=0.2)


# Training


@pytest.mark.slow
def test_clips_leave_the_encoder_of_the_frames_as_it_is_and_whoever_opens_it_can_train_it(
    tuned, shipped
):
    of_frames, of_clips = weights_of(tuned / "frames", "frames"), weights_of(tuned, "frames")
    assert equal(of_frames, of_clips)
    assert not equal(of_frames, weights_of(shipped, "frames"))
    for folder, num_frames in ((tuned / "frames", 1), (tuned, 2)):
        saved = json.loads((folder / "settings.json").read_text())
        assert saved["training"]["initial"] == str(shipped)
        assert saved["num_frames"] == num_frames
    network = keras.models.load_model(tuned / "model.keras")
    assert len(network.trainable_weights) == len(network.weights)


@pytest.mark.slow
def test_without_epochs_on_frames_a_clip_network_begins_with_all_weights(
    shipped, sample_faces, tmp_path, capsys
):
    other = shutil.copytree(shipped, tmp_path / "other")
    saved = json.loads((other / "settings.json").read_text())
    saved["faces"]["margin_ratio"] = 0.9
    (other / "settings.json").write_text(json.dumps(saved))
    settings = replace(SETTINGS, frame_epochs=0, initial=str(other), learning_rate=1e-12)
    training(sample_faces, tmp_path / "run", settings=settings)
    assert "were trained on faces of --margin 0.9" in capsys.readouterr().out
    assert not (tmp_path / "run" / "frames").exists()
    for layer in ("frames", "lstm", "p_fake"):
        first, after = weights_of(shipped, layer), weights_of(tmp_path / "run", layer)
        assert_weights_close(after, first, within=1e-6)


@pytest.mark.slow
def test_stopped_in_both_stages_it_ends_as_if_it_never_had_been(
    tuned, shipped, sample_faces, tmp_path, monkeypatch, capsys
):
    """What dropout drops and the average of the weights are the same after a stop, too."""
    out, settings = tmp_path / "run", replace(SETTINGS, initial=str(shipped))
    save = run_folder.save_state

    def save_and_stop(*given):
        save(*given)
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(run_folder, "save_state", save_and_stop)
        training(sample_faces, out, settings=settings)
    assert len(run_folder.read_state(out / "frames")[0].history) == 1
    capsys.readouterr()
    with pytest.raises(Stop):
        training(sample_faces, out, [StopAt(epoch=0)], settings=settings)
    printed = capsys.readouterr().out
    assert "single frames: 2 epochs of 2 steps" in printed
    assert "continues at epoch 2\nepoch 2 of 2: " in printed
    before = (out / "frames" / "model.keras").stat().st_mtime_ns
    training(sample_faces, out, settings=settings)
    assert (out / "frames" / "model.keras").stat().st_mtime_ns == before
    assert_ended_alike(out / "frames", tuned / "frames")
    assert_ended_alike(out, tuned)
