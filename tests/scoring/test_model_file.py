"""The .keras file: which versions of Keras open it, and how it is found."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest

import model as networks
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.networks import catalogue
from deepfake_detector.scoring import model_file, trained_model
from deepfake_detector.training.initial_weights import find_initial_model
from deepfake_detector.verdicts.options import PredictOptions, prepare_task

SLOW = ("mobilenetv3-small", "resnet50", "convnext-tiny")


def saved(architecture: str, folder: Path) -> tuple[keras.Model, Path]:
    network = networks.build_model(2, (32, 32), architecture)
    model_file.save(network, folder / "model.keras")
    return network, folder / "model.keras"


def parts_of(node: object) -> Iterator[dict]:
    """Yield every dict in a configuration."""
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from parts_of(part)
    if isinstance(node, dict):
        yield node


@pytest.mark.parametrize(
    "architecture",
    [*catalogue.ARCHITECTURES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def test_keras_3_8_finds_no_argument_that_it_does_not_know(architecture, tmp_path):
    """Keras 3.15 wrote GlorotUniform(input_axes=None), and 3.8 to 3.13 refused the file.
    benchmarks/keras_versions.py opens the files in all versions."""
    _, path = saved(architecture, tmp_path)
    with zipfile.ZipFile(path) as file:
        parts = list(parts_of(json.loads(file.read("config.json"))))
    newer = {"input_axes", "output_axes", "quantization_config", "renorm", "renorm_momentum"}
    assert not [part for part in parts if newer & part.keys()]
    operations = [part for part in parts if str(part.get("module")).startswith("keras.src.ops")]
    # Concatenate(name=..., axis=...) is too much for it, too.
    assert not [part for part in operations if {"name"} < part["config"].keys()]


@pytest.mark.parametrize("architecture", catalogue.ARCHITECTURES)
def test_a_saved_model_opens_twice_and_scores_the_same(architecture, tmp_path):
    """Operations are numbered again when a file is opened, and must not take a layer's name."""
    network, path = saved(architecture, tmp_path)
    clips = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 32, 3), np.uint8)
    for _ in range(3):
        opened = keras.models.load_model(path)
        assert np.array_equal(opened(clips), network(clips))
    assert list(tmp_path.iterdir()) == [path]


def test_other_values_than_the_default_are_kept(tmp_path):
    number = keras.Input((1,))
    initializer = keras.initializers.VarianceScaling(seed=3)
    layer = keras.layers.Dense(1, kernel_initializer=initializer)
    rate = keras.layers.BatchNormalization(momentum=0.5)
    model_file.save(keras.Model(number, rate(layer(number))), tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    assert opened.layers[1].kernel_initializer.seed == 3
    assert opened.layers[2].momentum == 0.5


def run_folder(folder: Path) -> Path:
    folder.mkdir()
    settings = {"faces": asdict(FaceSettings()), "num_frames": 2, "img_size": [32, 32]}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model.keras").touch()
    return folder


def test_a_run_folder_stands_for_its_model(tmp_path):
    run = run_folder(tmp_path / "run")
    assert prepare_task(PredictOptions(run)).model_path == run / "model.keras"
    assert trained_model.find_model(run / "model.keras") == run / "model.keras"


def test_without_a_model_the_one_that_comes_with_the_project_is_taken(tmp_path, monkeypatch):
    shipped = run_folder(tmp_path / "pretrained")
    monkeypatch.setattr(trained_model, "PRETRAINED", shipped)
    assert prepare_task(PredictOptions(None)).model_path == shipped / "model.keras"
    described = trained_model.describe(shipped / "model.keras", {})
    assert described == [f"model {shipped / 'model.keras'}, which comes with this project"]
    (shipped / "MODEL_CARD.md").touch()
    settings = {"trained_on": "4,000 photographs and 70 real videos"}
    assert trained_model.describe(shipped / "model.keras", settings)[1:] == [
        "trained on 4,000 photographs and 70 real videos",
        f"its card is {shipped / 'MODEL_CARD.md'}",
    ]
    own = run_folder(tmp_path / "run") / "model.keras"
    assert trained_model.describe(own, {}) == [f"model {own}"]


def test_a_missing_shipped_model_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(trained_model, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(UserError, match="comes with this project is not in .*; give another one"):
        prepare_task(PredictOptions(None))


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    sentence = (
        "is a folder without model.keras; give --(model|from) the model.keras of a training, or the"
    )
    with pytest.raises(UserError, match=sentence):
        prepare_task(PredictOptions(tmp_path))
    with pytest.raises(UserError, match=sentence):
        find_initial_model(str(tmp_path), "baseline")


def test_a_model_without_its_settings_is_told_what_is_missing(tmp_path):
    run = run_folder(tmp_path / "run")
    (run / "settings.json").unlink()
    with pytest.raises(UserError, match="has no settings.json next to it.*copy it from the run"):
        prepare_task(PredictOptions(run / "model.keras"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not valid JSON"),
        ("[]", "it is no JSON object"),
        ('{"face_size": 224}', "it lacks faces, img_size, num_frames"),
    ],
)
def test_settings_that_are_none_of_a_model_are_refused_with_the_reason(tmp_path, text, reason):
    run = run_folder(tmp_path / "run")
    (run / "settings.json").write_text(text)
    with pytest.raises(UserError, match=f"is not the file that train.py wrote.*{reason}"):
        prepare_task(PredictOptions(run))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"faces": "main"}, "its faces cannot be understood"),
        ({"num_frames": "3"}, "its num_frames cannot be understood"),
        ({"img_size": 5}, "its img_size cannot be understood"),
        ({"img_size": ["a", "b"]}, "its img_size cannot be understood"),
        ({"calibration": "none"}, "its calibration cannot be understood"),
        ({"operating_points": [1]}, "its operating_points cannot be understood"),
    ],
)
def test_an_edited_settings_file_was_a_traceback(changed, reason, tmp_path):
    settings = {"faces": {}, "num_frames": 3, "img_size": [32, 32], **changed}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=f"is not the file that train.py wrote .*{reason}"):
        trained_model.read_model_settings(tmp_path / "model.keras")


def test_a_wrong_name_next_to_a_model_was_called_a_run_without_one(tmp_path):
    """`--model run/modle.keras`: "run is the run folder of a training without its model.keras"."""
    for name in ("model.keras", "history.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=rf"no file .*modle.keras; there is {tmp_path}/model.keras"):
        trained_model.find_model(tmp_path / "modle.keras")


def test_a_missing_first_model_was_asked_to_be_trained_first(tmp_path):
    """`train.py --from nowhere.keras`: "train a model with train.py first"."""
    with pytest.raises(UserError, match="no file .*nowhere.keras; give --from the model.keras of"):
        trained_model.find_model(tmp_path / "nowhere.keras", "--from")


def test_a_video_as_the_model_was_told_to_get_a_settings_file(tmp_path):
    (tmp_path / "a.mp4").write_text("")
    with pytest.raises(UserError, match="a.mp4 is no model; give the model.keras of a training"):
        trained_model.read_model_settings(tmp_path / "a.mp4")


def test_a_damaged_model_was_not_found(tmp_path):
    """ "File not found: filepath=run/model.keras. Please ensure the file is an accessible ..."."""
    (tmp_path / "model.keras").write_text("damaged")
    with pytest.raises(UserError, match="as a Keras model: it is damaged, or no .keras file$"):
        model_file.open_model(tmp_path / "model.keras")


def faces_of(tmp_path, **settings):
    folder = tmp_path / "faces"
    folder.mkdir()
    saved = json.dumps(FaceSettings(**settings).saved())
    (folder / "settings.json").write_text(saved)
    return folder


def test_faces_with_shared_boxes_look_like_any_other(tmp_path, capsys):
    """They were refused, though it changes nothing in what a face looks like."""
    faces = faces_of(tmp_path, share_boxes=True)
    trained_model.check_faces(faces, {"faces": FaceSettings().saved()})
    assert capsys.readouterr().out == ""


def test_faces_of_other_settings_are_told_how_to_make_those_of_the_model(tmp_path):
    faces, wanted = faces_of(tmp_path), FaceSettings(margin_ratio=0.5, fps=5, face_size=96)
    with pytest.raises(UserError, match=r"no --fps \(the model expects: 5\)") as told:
        trained_model.check_faces(faces, {"faces": wanted.saved()})
    assert str(told.value).endswith("--save-path FACES --face-size 96 --fps 5 --margin 0.5")
