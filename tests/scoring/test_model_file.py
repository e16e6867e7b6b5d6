"""The files of a trained model: which versions of Keras open it, how it is found and checked."""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest

import model as networks
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.scoring import model_file, trained_model

CLIPS = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 32, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["baseline", "efficientnet-lite0", "mobilenetv3-small"])
def test_a_saved_model_opens_and_has_no_argument_that_keras_3_10_does_not_know(
    architecture, tmp_path
):
    """Keras 3.15 wrote GlorotUniform(input_axes=None), and earlier versions refused the file."""
    network = networks.build_model(2, (32, 32), architecture)
    path = tmp_path / "model.keras"
    model_file.save(network, path)
    assert np.array_equal(keras.models.load_model(path)(CLIPS), network(CLIPS))
    assert list(tmp_path.iterdir()) == [path]
    with zipfile.ZipFile(path) as parts:
        config = parts.read("config.json").decode()
    assert not [name for name in model_file.NEWER_ARGUMENTS if f'"{name}"' in config]


def test_other_values_than_the_default_are_kept(tmp_path):
    number = keras.Input((1,))
    layer = keras.layers.Dense(1, kernel_initializer=keras.initializers.VarianceScaling(seed=3))
    rate = keras.layers.BatchNormalization(momentum=0.5)
    model_file.save(keras.Model(number, rate(layer(number))), tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    assert opened.layers[1].kernel_initializer.seed == 3
    assert opened.layers[2].momentum == 0.5


def test_a_network_that_was_trained_in_16_bits_is_saved_as_one_of_32(tmp_path):
    """A CPU takes ten times as long for 16 bits, and rounds."""
    trained = networks.build_model(2, (32, 32), "baseline", "mixed_bfloat16")
    model_file.save(trained, tmp_path / "model.keras")
    opened = model_file.open_model(tmp_path / "model.keras")
    expected = networks.build_model(2, (32, 32), "baseline")
    expected.set_weights(trained.get_weights())
    clips = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 32, 3), np.uint8)
    assert np.array_equal(opened(clips), expected(clips))
    assert not np.array_equal(trained(clips), expected(clips))


def test_a_model_that_wants_to_run_code_is_refused(tmp_path):
    """A .keras file may hold Python code in a Lambda layer; Keras's safe mode does not run it."""
    network = keras.Sequential(
        [keras.Input((1, 8, 8, 3)), keras.layers.Lambda(lambda clips: clips[:, 0, 0, 0, :1])]
    )
    network.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="cannot be opened as a Keras model.*lambda"):
        model_file.load(tmp_path / "model.keras", {"num_frames": 1, "img_size": [8, 8]})


def test_a_damaged_model_was_not_found(tmp_path):
    """ "File not found: filepath=run/model.keras. Please ensure the file is an accessible ..."."""
    (tmp_path / "model.keras").write_text("damaged")
    with pytest.raises(UserError, match="damaged"):
        model_file.open_model(tmp_path / "model.keras")


def test_a_model_next_to_the_settings_of_another_is_one_sentence(tmp_path):
    clip = keras.Input((3, 8, 8, 3))
    keras.Model(clip, keras.layers.Flatten()(clip)).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="3 frames of 8 x 8 .* 2 frames of 8 x 8"):
        model_file.open_checked(tmp_path / "model.keras", {"num_frames": 2, "img_size": [8, 8]})


# Found by its path


def run_folder(folder: Path, **changed: object) -> Path:
    folder.mkdir()
    settings = {"contract": trained_model.CONTRACT, "faces": asdict(FaceSettings())}
    settings |= {"num_frames": 2, "img_size": [32, 32], **changed}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model.keras").touch()
    return folder


def test_a_run_folder_stands_for_its_model(tmp_path):
    run = run_folder(tmp_path / "run")
    for path in (run, run / "model.keras", str(run)):
        assert trained_model.find_model(path) == run / "model.keras"


def test_without_a_model_the_one_that_comes_with_the_project_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(trained_model, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(UserError, match="comes with this project is not in .*pretrained"):
        trained_model.find_model(None)
    shipped = run_folder(tmp_path / "pretrained")
    assert trained_model.find_model(None) == shipped / "model.keras"
    (shipped / "MODEL_CARD.md").touch()
    settings = {"trained_on": "4,000 photographs and 70 real videos"}
    assert trained_model.describe(shipped / "model.keras", settings) == [
        f"model {shipped / 'model.keras'}, which comes with this project",
        "trained on 4,000 photographs and 70 real videos",
        f"its card is {shipped / 'MODEL_CARD.md'}",
    ]


@pytest.mark.parametrize("name", ["modle.keras", "nothing", ""])
def test_a_path_without_a_model_is_one_sentence_that_names_the_option(tmp_path, name):
    with pytest.raises(UserError, match="does not exist; give --from the model.keras of a train"):
        trained_model.find_model(tmp_path / name, "--from")
    (tmp_path / "model.keras").touch()
    if name:
        with pytest.raises(UserError, match=f"{tmp_path}/model.keras does"):
            trained_model.find_model(tmp_path / name)


def test_a_model_without_its_settings_is_told_what_is_missing(tmp_path):
    run = run_folder(tmp_path / "run")
    (run / "settings.json").unlink()
    with pytest.raises(UserError, match="no settings.json next to it"):
        trained_model.read_model_settings(run / "model.keras")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"faces": "main"}, "does not describe a model"),
        ({"num_frames": "3"}, "does not describe a model"),
        ({"contract": 1}, "another version"),
        ({"faces": {"contract": 2}}, "another version"),
    ],
)
def test_settings_that_are_not_those_of_a_model_are_one_sentence(changed, sentence, tmp_path):
    run = run_folder(tmp_path / "run", **changed)
    with pytest.raises(UserError, match=sentence):
        trained_model.read_model_settings(run / "model.keras")
    (run / "settings.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        trained_model.read_model_settings(run / "model.keras")


# Which faces it takes


def faces_of(tmp_path, **settings) -> Path:
    (tmp_path / "faces").mkdir()
    saved = json.dumps(asdict(FaceSettings(**settings)))
    (tmp_path / "faces" / "settings.json").write_text(saved)
    return tmp_path / "faces"


def test_faces_of_other_settings_are_refused(tmp_path):
    wanted = asdict(FaceSettings(margin_ratio=0.5, fps=5, face_size=96))
    with pytest.raises(UserError, match=r"no --fps \(the model expects: 5\)"):
        trained_model.check_faces(faces_of(tmp_path), {"faces": wanted})


def test_crops_taken_as_they_are_go_with_a_model_of_detected_ones(tmp_path, capsys):
    faces = faces_of(tmp_path, faces="as-is")
    trained_model.check_faces(faces, {"faces": asdict(FaceSettings())})
    assert "note: " in capsys.readouterr().out
