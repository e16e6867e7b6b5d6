"""A trained model in other hands: its summary for programs, and files that want to run code."""

import json

import pytest
import tensorflow as tf
from conftest import TINY

import train
from deepfake_detector.console import UserError
from deepfake_detector.scoring import model_file
from deepfake_detector.scoring.trained_model import read_model_settings


def test_the_summary_for_programs_is_the_last_line(run, sample_faces, capsys):
    train.main(["--data", str(sample_faces), "--out", str(run), *TINY, "--json-summary"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["model"] == str(run / "model.keras")
    assert summary["epochs"] == 2
    assert 0 < summary["best"]["val_loss"] < 2
    assert summary["calibration"]["slope"] == 1  # too few videos
    assert "validation videos" in summary["operating_points"]["equal-error"]["reason"]


@pytest.mark.parametrize("name", ["calibration", "operating_points"])
def test_a_calibration_that_is_none_is_one_sentence(tmp_path, name):
    settings = {"faces": {}, "num_frames": 1, "img_size": [8, 8], name: "x"}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=f"its {name} cannot be understood; copy"):
        read_model_settings(tmp_path / "model.keras")


def test_a_model_that_wants_to_run_code_is_refused(tmp_path):
    """A .keras file may hold Python code in a Lambda layer; Keras's safe mode does not run it."""
    network = tf.keras.Sequential(
        [tf.keras.Input((1, 8, 8, 3)), tf.keras.layers.Lambda(lambda clips: clips[:, 0, 0, 0, :1])]
    )
    network.save(tmp_path / "model.keras")
    settings = {"num_frames": 1, "img_size": [8, 8]}
    with pytest.raises(UserError, match="cannot be opened as a Keras model.*lambda"):
        model_file.load(tmp_path / "model.keras", settings)
