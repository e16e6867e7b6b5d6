"""Writes, opens and calibrates the .keras file of a training.

save(network, Path("run/model.keras"))
model = load(Path("run/model.keras"), settings)
"""

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deepfake_detector.console import UserError, counted, shortened
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.files import write_text, written_whole
from deepfake_detector.networks.folding import fold_time
from deepfake_detector.scoring import calibration
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.scoring.trained_model import model_problem, read_model_settings
from deepfake_detector.scoring.video_scores import highest_scoring_tracks

# What Keras 3.9 to 3.15 write about every layer that has it, with the defaults. Keras 3.8 refuses
# arguments that it does not know.
NEWER_ARGUMENTS = {
    "input_axes": None,
    "output_axes": None,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}


def save(network: keras.Model, path: Path) -> None:
    """Write a model as a .keras file, whole, that Keras 3.8 and every later version opens.

    benchmarks/keras_versions.py shows it.
    """
    with written_whole(path) as plain:
        network.save(plain)
        with (
            written_whole(plain) as partial,
            zipfile.ZipFile(plain) as source,
            zipfile.ZipFile(partial, "w") as target,
        ):
            for entry in source.infolist():
                with source.open(entry) as old, target.open(entry.filename, "w") as new:
                    if entry.filename == "config.json":
                        new.write(json.dumps(_without_newer_arguments(json.load(old))).encode())
                    else:
                        shutil.copyfileobj(old, new)


def _without_newer_arguments(node: Any) -> Any:
    """Return a Keras configuration without arguments that Keras 3.8 does not know, where they have
    their default values."""
    if isinstance(node, list):
        return [_without_newer_arguments(part) for part in node]
    if not isinstance(node, dict):
        return node
    kept = {
        name: _without_newer_arguments(value)
        for name, value in node.items()
        if name not in NEWER_ARGUMENTS or value != NEWER_ARGUMENTS[name]
    }
    # An operation takes either arguments or a name there; Keras finds it by the name outside.
    if str(kept.get("module")).startswith("keras.src.ops") and len(kept["config"]) > 1:
        kept["config"].pop("name", None)
    return kept


def open_model(model_path: Path) -> keras.Model:
    """Return the model as it was saved; raises UserError for a file that is none.

    Keras's safe mode is on: it refuses a file that asks for code of its own to be run
    (https://keras.io/api/models/model_saving_apis/model_saving_and_loading/).
    """
    try:
        return keras.models.load_model(model_path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        is_no_zip = model_path.suffix == ".keras" and model_problem(model_path)
        reason = "it is damaged, or no .keras file" if is_no_zip else shortened(str(error))
        raise UserError(f"{model_path} cannot be opened as a Keras model: {reason}") from error


def load(model_path: Path, settings: Mapping) -> keras.Model:
    """Return the model with time folded into the batch, which is faster.

    `settings` is the settings.json of the model. Raises UserError as `open_checked` does.
    """
    return fold_time(open_checked(model_path, settings))


def open_checked(model_path: Path, settings: Mapping) -> keras.Model:
    """Return the model as it was saved, once it takes the clips of `settings`, its settings.json.

    Raises UserError for a file that is no model, or one that does not fit its settings.
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


def calibrate(model_path: Path, videos: Sequence[FaceTrack]) -> dict:
    """Calibrate a finished model on its validation videos and return its completed settings.json.

    What comes in is a calibration and operating points, see `calibration.calibrate`. Settings that
    have them already stay as they are.
    """
    settings = read_model_settings(model_path)
    if not settings.get("calibration"):
        scores = ClipScorer(load(model_path, settings), settings).score_tracks(videos)
        deciding = highest_scoring_tracks(videos, scores)
        labels = np.array([videos[index].label for index in deciding])
        settings = save_calibration(model_path, settings, labels, scores[deciding])
    return settings


def save_calibration(
    model_path: Path, settings: Mapping, labels: np.ndarray, raw_scores: np.ndarray
) -> dict:
    """Calibrate a model on videos, 1 = fake, and return its settings.json with what was found,
    which is written, too."""
    completed = {**settings, **calibration.calibrate(labels, raw_scores)}
    write_text(model_path.parent / SETTINGS_NAME, json.dumps(completed, indent=1) + "\n")
    return completed
