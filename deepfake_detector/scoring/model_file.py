"""Writes, opens and calibrates the .keras file of a training.

save(network, Path("run/model.keras"))
model = load(Path("run/model.keras"), settings)
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from deepfake_detector.console import UserError, counted, shortened
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.files import write_text, written_whole
from deepfake_detector.networks.backend import settle_keras
from deepfake_detector.networks.folding import fold_time
from deepfake_detector.scoring import calibration
from deepfake_detector.scoring.clip_scorer import ClipScorer, highest_scoring_tracks
from deepfake_detector.scoring.trained_model import read_model_settings

# What Keras 3.15 writes about layers, with the defaults. Keras 3.14 and earlier, which TensorFlow
# 2.21 runs with, refuse a file with an argument that they do not know.
NEWER_ARGUMENTS = {
    "input_axes": None,
    "output_axes": None,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}


def save(network: keras.Model, path: Path) -> None:
    """Write a model as a .keras file, whole, that Keras 3.10 and every later version opens.

    It computes in float32, whatever the precision of its training: its weights are in float32.
    """

    def without_newer_arguments(node: dict) -> dict:
        return {
            name: value
            for name, value in node.items()
            if name not in NEWER_ARGUMENTS or value != NEWER_ARGUMENTS[name]
        }

    with written_whole(path) as partial:
        network.save(partial)
        with zipfile.ZipFile(partial) as parts:
            contents = {name: parts.read(name) for name in parts.namelist()}
        config = json.loads(contents["config.json"], object_hook=without_newer_arguments)
        text = json.dumps(config).replace('"mixed_bfloat16"', '"float32"')
        contents["config.json"] = text.encode()
        with zipfile.ZipFile(partial, "w") as parts:
            for name, content in contents.items():
                parts.writestr(name, content)


def open_model(model_path: Path) -> keras.Model:
    """Return the model as it was saved; raises UserError if the file is not a model.

    Keras's safe mode is on: it refuses a file that asks for its code to be run
    (https://keras.io/api/models/model_saving_apis/model_saving_and_loading/).
    """
    settle_keras()
    try:
        return keras.models.load_model(model_path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        is_whole = model_path.suffix != ".keras" or zipfile.is_zipfile(model_path)
        reason = shortened(str(error)) if is_whole else "it is damaged, or not a .keras file"
        raise UserError(f"{model_path} cannot be opened as a Keras model: {reason}") from error


def load(model_path: Path, settings: Mapping) -> keras.Model:
    """Return the model with time folded into the batch, which is faster.

    `settings` is the settings.json of the model. Raises UserError as `open_checked` does.
    """
    return fold_time(open_checked(model_path, settings))


def open_checked(model_path: Path, settings: Mapping) -> keras.Model:
    """Return the model as it was saved, once it takes the clips of `settings`, its settings.json.

    Raises UserError for a file that is not a model, or one that does not fit its settings.
    """
    model = open_model(model_path)
    expected = (settings["num_frames"], *settings["img_size"], 3)
    if tuple(model.input_shape[1:]) != expected:
        raise UserError(
            f"{model_path} takes clips of {_size(model.input_shape[1:])}, its {SETTINGS_NAME} says "
            f"{_size(expected)}; put the two files of one run next to each other"
        )
    return model


def _size(shape: Sequence[int]) -> str:
    return f"{counted(shape[0], 'frame')} of {' x '.join(map(str, shape[1:-1]))} pixels"


def calibrate(model_path: Path, tracks: Sequence[FaceTrack]) -> dict:
    """Return the settings.json of a finished model with its calibration.

    If it has none yet, it is found on `tracks`, those of its validation videos, and written.
    """
    settings = read_model_settings(model_path)
    if not settings.get("calibration"):
        scores = ClipScorer(load(model_path, settings), settings).score_tracks(tracks)
        highest = highest_scoring_tracks(tracks, scores)
        labels = np.array([tracks[index].label for index in highest])
        settings = save_calibration(model_path, settings, labels, scores[highest])
    return settings


def save_calibration(
    model_path: Path, settings: Mapping, labels: np.ndarray, raw_scores: np.ndarray
) -> dict:
    """Calibrate a model on videos, 1 = fake, and return its settings.json with what was found,
    which is written, too."""
    completed = {**settings, "calibration": calibration.calibrate(labels, raw_scores)}
    # For other programs; ours choose it anew.
    completed["operating_point"] = asdict(calibration.operating_point(completed))
    write_text(model_path.parent / SETTINGS_NAME, json.dumps(completed, indent=1) + "\n")
    return completed
