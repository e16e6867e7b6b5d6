"""What stands beside a trained model and what the model may be asked about: no TensorFlow.

settings = read_model_settings(Path("run/model.keras"))
"""

import json
from collections.abc import Mapping
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    read_settings,
    setting_differences,
)

MODEL_NAME = "model.keras"
SPLIT_NAME = "split.json"


def read_model_settings(model_path: Path) -> dict:
    """Return the settings.json beside a model; raises UserError without one that fits."""
    if not model_path.exists():
        raise UserError(f"{model_path} does not exist; train a model with train.py first")
    path = model_path.parent / SETTINGS_NAME
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
    differences = setting_differences(
        read_settings(data), settings["faces"], by="the model expects"
    )
    if differences:
        raise UserError(
            f"{data} holds faces the model was not trained for: {differences}; make them with the "
            "model's settings, its scores would mean nothing on these"
        )
