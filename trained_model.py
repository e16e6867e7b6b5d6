"""A trained model with what stands beside it: how it is opened, and what it may be asked about.

settings = trained_model.read_model_settings(Path("run/model.keras"))
model = trained_model.load(Path("run/model.keras"), settings)

Only models need TensorFlow: the processes that read videos for predict.py do without.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import faces_folder
from console import UserError, quiet_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf


def read_model_settings(model_path: Path) -> dict:
    """Return the settings.json beside a model; raises UserError without one that fits."""
    if not model_path.exists():
        raise UserError(f"{model_path} does not exist; train a model with train.py first")
    path = model_path.parent / faces_folder.SETTINGS_NAME
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        missing = {"faces", "num_frames", "img_size"} - settings.keys()
    except (OSError, ValueError, AttributeError):
        settings, missing = {}, {"everything"}
    if missing:
        raise UserError(
            f"{path} lacks {', '.join(sorted(missing))}; it is written by train.py and must stay "
            "beside its model"
        )
    return settings


def check_faces(data: Path, settings: Mapping) -> None:
    """Raise UserError where the faces were not made as those the model was trained on."""
    differences = faces_folder.setting_differences(
        faces_folder.read_settings(data), settings["faces"], by="the model expects"
    )
    if differences:
        raise UserError(
            f"{data} holds faces the model was not trained for: {differences}; make them with the "
            "model's settings, its scores would mean nothing on these"
        )


def open_model(model_path: Path) -> "tf.keras.Model":
    """Return the model as it was saved; raises UserError for a file that is none.

    Keras's safe mode is on: a file that asks for code of its own to be run is none either
    (https://keras.io/api/models/model_saving_apis/model_saving_and_loading/).
    """
    with quiet_tensorflow():
        import tensorflow as tf
    try:
        return tf.keras.models.load_model(model_path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{model_path} cannot be opened as a Keras model: {reason}") from error


def load(model_path: Path, settings: Mapping) -> "tf.keras.Model":
    """Return the model, folded for speed; raises UserError for a file that is none, or one that
    does not fit its settings."""
    model = open_model(model_path)
    with quiet_tensorflow():
        import model as networks
    expected = (settings["num_frames"], *settings["img_size"], 3)
    if tuple(model.input_shape[1:]) != expected:
        raise UserError(
            f"{model_path} takes clips of {model.input_shape[1:]}, its settings.json says "
            f"{expected}; put the two files of one run side by side"
        )
    return networks.fold_time(model)


def export(model_path: Path, settings: Mapping) -> Path:
    """Write a SavedModel beside a model, `export`, and return its path.

    `serve` of what `tf.saved_model.load` gives takes clips `(batch, num_frames, height, width, 3)
    uint8`, RGB faces, and gives raw scores `(batch, 1) float32`; TensorFlow Serving offers the
    same. See https://keras.io/api/models/model_saving_apis/export/
    """
    with quiet_tensorflow():
        import tensorflow as tf
    folder = model_path.parent / "export"
    partial = folder.with_name(".partial.export")
    model = load(model_path, settings)
    signature = [tf.keras.InputSpec(shape=model.input_shape, dtype="uint8")]
    model.export(partial, verbose=False, input_signature=signature)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder
