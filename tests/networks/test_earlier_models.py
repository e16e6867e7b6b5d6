"""Models of the network `detail`, the default of earlier versions: they score, and no more."""

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
from earlier_networks import detail_network

import model as networks
import train
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.scoring import model_file
from deepfake_detector.scoring.trained_model import read_model_settings
from deepfake_detector.training import initial_weights

FACES = asdict(FaceSettings())


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """Clips of soft noise, `(3, 4, 64, 64, 3) uint8`."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3), np.uint8)
    return coarse.repeat(4, axis=2).repeat(4, axis=3)


@pytest.fixture(scope="module")
def earlier(clips, tmp_path_factory) -> tuple[Path, np.ndarray]:
    """The file of such a model in its run folder, and the scores it had before it was saved."""
    keras.utils.set_random_seed(1)
    network = detail_network(4, 64)
    path = tmp_path_factory.mktemp("earlier") / "model.keras"
    network.save(path)
    settings = {"faces": FACES, "num_frames": 4, "img_size": [64, 64]}
    settings |= {"training": {"architecture": "detail", "epochs": 4}}
    (path.parent / "settings.json").write_text(json.dumps(settings))
    scores = network(clips).numpy()
    assert np.ptp(scores) > 1e-3  # the clips differ
    return path, scores


def test_they_open_and_score_the_same_as_saved_and_folded(earlier, clips):
    path, scores = earlier
    assert keras.models.load_model(path)(clips).numpy() == pytest.approx(scores, abs=1e-6)
    settings = read_model_settings(path)
    folded = model_file.load(path, settings)
    assert folded.name == "deepfake_detector_detail_folded"
    assert folded(clips).numpy() == pytest.approx(scores, abs=1e-6)


def test_a_file_saved_again_scores_the_same(earlier, clips, tmp_path):
    """Operations are numbered again when a file is opened, and must not take a layer's name."""
    path, scores = earlier
    model_file.save(keras.models.load_model(path), tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    assert opened(clips).numpy() == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("architecture", ["baseline", "efficientnet-lite0"])
def test_another_network_does_not_begin_with_their_weights(
    earlier, architecture, small_lite0, tmp_path
):
    path, _ = earlier
    sentence = f"is a model of detail, this training is one of {architecture}; give another --from$"
    with pytest.raises(UserError, match=sentence):
        initial_weights.read_weights(path, architecture, FACES)
    alone = tmp_path / "model.keras"  # without settings.json nothing says what it is a model of
    alone.write_bytes(path.read_bytes())
    weights = initial_weights.read_weights(alone, architecture, FACES)
    with pytest.raises(UserError, match="the model of --from has .* weights in .* tensors"):
        initial_weights.set_network_weights(
            networks.build_model(4, (64, 64), architecture), weights
        )


@pytest.mark.parametrize("name", ["detail", "small"])
def test_what_was_dropped_is_refused_with_what_to_train_instead(name, capsys):
    sentence = (
        f"{name} was dropped and cannot be trained any more, though models of it still open and "
        "score; train efficientnet-lite0, the default, in a new run folder"
    )
    with pytest.raises(SystemExit, match="2"):
        train.main(["--data", "faces", "--out", "run", "--architecture", name])
    assert capsys.readouterr().err.endswith(f"error: argument --architecture: {sentence}\n")
    with pytest.raises(UserError, match=sentence):
        train.TrainSettings(architecture=name)
