"""The files of a trained model, and which faces it can be asked about. No TensorFlow.

settings = read_model_settings(Path("run/model.keras"))
"""

import json
from collections.abc import Mapping
from pathlib import Path

from deepfake_detector.console import UserError, say
from deepfake_detector.face_dataset.settings import SETTINGS_NAME, crop_differences, read_settings

MODEL_NAME = "model.keras"
SPLIT_NAME = "split.json"


def read_model_settings(model_path: Path) -> dict:
    """Return the settings.json next to a model.

    Raises UserError where the model or that file is missing, or the file is not that of a model.
    """
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
            f"{path} lacks {', '.join(sorted(missing))}; train.py writes it, and it must stay next "
            "to its model"
        )
    return settings


def check_faces(data: Path, settings: Mapping) -> None:
    """Raise UserError where the faces in `data` were made with other settings than those that the
    model was trained on; `settings` is the settings.json of the model.

    Where crops taken as-is meet a model of detected ones, or the other way round, print a note.
    """
    found, wanted, by = read_settings(data), settings["faces"], "the model expects"
    differences = crop_differences(found, wanted, by)
    if not differences and found.get("faces") != wanted.get("faces"):
        say(f"note: {data} holds faces made with faces={found['faces']} ({by}: {wanted['faces']})")
    if differences:
        raise UserError(
            f"{data} holds faces that the model was not trained for: {differences}; make them with "
            "the settings of the model, because its scores would mean nothing on these"
        )
