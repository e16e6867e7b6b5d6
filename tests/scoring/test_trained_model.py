"""A trained model in other hands: exported for programs that know nothing of Keras or of us."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY

import train
from deepfake_detector.console import UserError
from deepfake_detector.scoring import model_file

PLAIN_TENSORFLOW = """
import sys
import numpy as np
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
clips = np.load(sys.argv[2])
print(*served.serve(clips).numpy()[:, 0].tolist())
signature = served.signatures["serving_default"]
print(*next(iter(signature(tf.constant(clips)).values())).numpy()[:, 0].tolist())
"""


@pytest.mark.slow
def test_an_exported_model_serves_uint8_faces_without_our_code_or_keras(
    run, sample_faces, tmp_path
):
    train.main(["--data", str(sample_faces), "--out", str(run), *TINY, "--export"])
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3)).astype(np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    command = [sys.executable, "-I", "-c", PLAIN_TENSORFLOW]
    done = subprocess.run(
        [*command, str(run / "export"), str(tmp_path / "clips.npy")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = tf.keras.models.load_model(run / "model.keras").predict(clips, verbose=0)[:, 0]
    for line in done.stdout.splitlines()[-2:]:
        assert [float(score) for score in line.split()] == pytest.approx(expected, abs=1e-5)


def test_the_summary_for_programs_is_the_last_line(run, sample_faces, capsys):
    train.main(["--data", str(sample_faces), "--out", str(run), *TINY, "--json-summary"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["model"] == str(run / "model.keras")
    assert summary["epochs"] == 2
    assert 0 < summary["best"]["val_loss"] < 2
    assert summary["calibration"]["slope"] == 1  # too few videos
    assert "validation videos" in summary["operating_points"]["equal-error"]["reason"]


def test_a_model_that_wants_to_run_code_is_refused(tmp_path):
    """A .keras file may hold Python code in a Lambda layer; Keras's safe mode does not run it."""
    network = tf.keras.Sequential(
        [tf.keras.Input((1, 8, 8, 3)), tf.keras.layers.Lambda(lambda clips: clips[:, 0, 0, 0, :1])]
    )
    network.save(tmp_path / "model.keras")
    settings = {"num_frames": 1, "img_size": [8, 8]}
    with pytest.raises(UserError, match="cannot be opened as a Keras model.*lambda"):
        model_file.load(tmp_path / "model.keras", settings)
