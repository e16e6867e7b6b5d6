"""The files of a trained model, and which faces it can be asked about. No TensorFlow.

settings = read_model_settings(Path("run/model.keras"))
"""

import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.console import UserError, counted, say
from deepfake_detector.face_dataset.settings import SETTINGS_NAME, crop_differences, read_settings
from deepfake_detector.videos.addresses import as_given, is_address

MODEL_NAME = "model.keras"
SPLIT_NAME = "split.json"
RUN_FILES = ("checkpoints", "history.csv", "split.json")  # as a training leaves them
CARD_NAME = "MODEL_CARD.md"
# The videos of sample_data.py, as the folders of their faces are named.
SYNTHETIC_NAME = re.compile(r"person_\d{3}(_face_\d{3})?\.mp4(#\d+)?")
SYNTHETIC_WARNING = "it was trained on drawings, so its scores say nothing about real people"
PRETRAINED = Path(__file__).parents[2] / "pretrained"  # a run folder, and a card


def find_model(path: Path | str | None) -> Path:
    """Return the .keras file that is meant by its path or by that of its run folder; None means the
    model that comes with this project.

    Raises UserError where there is none.
    """
    if path is None:
        if not (PRETRAINED / MODEL_NAME).is_file():
            raise UserError(
                f"the model that comes with this project is not in {PRETRAINED}; give another one "
                "with --model, or put that folder back"
            )
        path = PRETRAINED
    if is_address(path):
        raise UserError(
            f"{as_given(path)} is an address, and only files are read; download the model and the "
            f"{SETTINGS_NAME} next to it first"
        )
    path = Path(path)
    if path.is_dir():
        path, folder = path / MODEL_NAME, path
        if not path.is_file():
            _refuse_unfinished(folder)
            raise UserError(
                f"{folder} is a folder without {MODEL_NAME}; give the .keras file of a training, "
                "or the run folder that train.py wrote"
            )
    if not path.exists():
        _refuse_unfinished(path.parent)
        raise UserError(f"{path} does not exist; train a model with train.py first")
    return path


def _refuse_unfinished(folder: Path) -> None:
    """Raise UserError where a folder is that of a training whose model is not there."""
    there = [name for name in RUN_FILES if (folder / name).exists()]
    if there:
        raise UserError(
            f"{folder} is the run folder of a training ({', '.join(there)}) without its "
            f"{MODEL_NAME}; the same train.py command again goes on with it, or makes the model "
            "again from its checkpoints"
        )


def model_problem(model_path: Path) -> str:
    """Return in words why a file is no whole model of Keras, "" for one that is."""
    if not model_path.exists():
        return "is missing"
    try:
        with zipfile.ZipFile(model_path) as parts:
            damaged = parts.testzip()
            names = {"config.json", "model.weights.h5"}.difference(parts.namelist())
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error):
        return "is damaged"
    return "is damaged" if damaged or names else ""


def read_model_settings(model_path: Path) -> dict:
    """Return the settings.json next to a model.

    Raises UserError where that file is missing or is not that of a model.
    """
    path = model_path.parent / SETTINGS_NAME
    if not path.exists():
        raise UserError(
            f"{model_path} has no {SETTINGS_NAME} next to it, which says what faces the model "
            "takes and what its scores mean; copy it from the run folder where train.py wrote both"
        )
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        missing = {"faces", "num_frames", "img_size"}.difference(settings)
        reason = f"it lacks {', '.join(sorted(missing))}"
        for name in ("calibration", "operating_points"):
            if not isinstance(settings.get(name) or {}, dict):
                missing, reason = {name}, f"its {name} is {settings[name]!r}"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        missing, reason = {"everything"}, " ".join(str(error).split())
    if missing:
        raise UserError(
            f"{path} is not the file that train.py wrote for {model_path.name}: {reason}; copy "
            "that one from the run folder"
        )
    return settings


@dataclass(frozen=True)
class ModelOrigin:
    """Which model it is, and what is known of its training."""

    path: str
    trained_on: str = ""  # in a few words; empty where nothing says it
    is_synthetic: bool = False  # it has seen the people of sample_data.py only


def model_origin(model_path: Path, settings: Mapping) -> ModelOrigin:
    """Return where a model comes from, by its settings.json or by the split.json next to it.

    The videos of sample_data.py are marked in their metadata; in trainings of earlier versions they
    are recognised by their names. A model may also say in its own words what it was trained on.
    """
    names = _training_videos(model_path.parent / SPLIT_NAME)
    known = settings.get("trained_on") or ""
    if isinstance(known, Mapping):
        words, drawn, total = _counts_in_words(known)
    else:
        words, drawn, total = str(known), 0, 0
    synthetic = 0 < drawn == total or bool(names) and all(map(SYNTHETIC_NAME.fullmatch, names))
    if names and not words:
        words = counted(len(names), "video")
    if synthetic and not (known and isinstance(known, str)):
        words += " of synthetic people"
    elif drawn:
        words += f", {drawn} of them of synthetic people"
    return ModelOrigin(str(model_path), words, synthetic)


def _counts_in_words(known: Mapping) -> tuple[str, int, int]:
    """Return in words what train.py has saved about the videos, how many of them are drawings, and
    how many there are; "" where it does not say it."""
    counts = [known.get(name) for name in ("real", "fake", "synthetic")]
    real, fake, drawn = (count if isinstance(count, int) else 0 for count in counts)
    if not real:
        return "", 0, 0
    if fake:
        words = f"{real} real and {counted(fake, 'fake video')}"
    else:
        words = f"{counted(real, 'real video')} and fakes made from them"
    return words, drawn, real + fake


def _training_videos(split_path: Path) -> list[str]:
    """Return the names of the training videos; none where split.json is missing or damaged."""
    try:
        names = json.loads(split_path.read_text(encoding="utf-8"))["train"]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return list(map(str, names)) if isinstance(names, list) else []


def describe(model_path: Path, settings: Mapping) -> list[str]:
    """Return lines that say which model it is, and where that is known, what it was trained on.

    `settings` is the settings.json of the model; see `model_origin`.
    """
    shipped = ", which comes with this project" if model_path.parent == PRETRAINED else ""
    origin = model_origin(model_path, settings)
    lines = [f"model {model_path}{shipped}"]
    if origin.trained_on:
        lines.append(f"trained on {origin.trained_on}")
    if origin.is_synthetic:
        lines.append(f"note: {SYNTHETIC_WARNING}")
    card = model_path.parent / CARD_NAME
    return [*lines, f"its card is {card}"] if card.is_file() else lines


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
