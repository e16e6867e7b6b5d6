"""Opens the .keras file of a training and exports it; needs TensorFlow.

model = load(Path("run/model.keras"), settings)
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import keras

from deepfake_detector.console import UserError
from deepfake_detector.networks.folding import fold_time


def open_model(model_path: Path) -> keras.Model:
    """Return the model as it was saved; raises UserError for a file that is none.

    Keras's safe mode is on: a file that asks for code of its own to be run is none either
    (https://keras.io/api/models/model_saving_apis/model_saving_and_loading/).
    """
    try:
        return keras.models.load_model(model_path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{model_path} cannot be opened as a Keras model: {reason}") from error


def load(model_path: Path, settings: Mapping) -> keras.Model:
    """Return the model, folded for speed; raises UserError for a file that is none, or one that
    does not fit its settings."""
    model = open_model(model_path)
    expected = (settings["num_frames"], *settings["img_size"], 3)
    if tuple(model.input_shape[1:]) != expected:
        raise UserError(
            f"{model_path} takes clips of {model.input_shape[1:]}, its settings.json says "
            f"{expected}; put the two files of one run side by side"
        )
    return fold_time(model)


def export(model_path: Path, settings: Mapping) -> Path:
    """Write a SavedModel beside a model, `export`, and return its path.

    `serve` of what `tf.saved_model.load` gives takes clips `(batch, num_frames, height, width, 3)
    uint8`, RGB faces, and gives raw scores `(batch, 1) float32`; TensorFlow Serving offers the
    same. See https://keras.io/api/models/model_saving_apis/export/
    """
    folder = model_path.parent / "export"
    partial = folder.with_name(".partial.export")
    model = load(model_path, settings)
    signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8")]
    model.export(partial, verbose=False, input_signature=signature)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder
