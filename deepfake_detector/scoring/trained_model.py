"""The files of a trained model, and which faces it can be asked about. No TensorFlow.

settings = read_model_settings(Path("run/model.keras"))
"""

import argparse
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.console import UserError, counted, reason_of, say
from deepfake_detector.face_dataset.settings import CONTRACT as FACES_CONTRACT
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    crop_differences,
    read_settings,
    setting_differences,
)

MODEL_NAME = "model.keras"
SPLIT_NAME = "split.json"
CONTRACT = 2  # version of the settings.json of a model
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
NEEDED_SETTINGS = {"faces": dict, "num_frames": int, "img_size": list}  # of a settings.json
RUN_FILES = ("checkpoints", "history.csv", "split.json")  # as a training leaves them
CARD_NAME = "MODEL_CARD.md"
# The videos of sample_data.py, as the folders of their faces are named.
SYNTHETIC_NAME = re.compile(r"person_\d{3}(_face_\d{3})?\.mp4(#\d+)?")
SYNTHETIC_WARNING = "it was trained on drawings, so its scores say nothing about real people"
PRETRAINED = Path(__file__).parents[2] / "pretrained"  # a run folder, and a card


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add --model, which `find_model` takes."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="model.keras of a run, or the run folder (default: the model that comes with this "
        "project)",
    )


def find_model(path: Path | str | None, option: str = "--model") -> Path:
    """Return the .keras file that is meant by its path or by that of its run folder; None means the
    model that comes with this project.

    Raises UserError where there is none; `option` is what the path was given with.
    """
    if path is None:
        if not (PRETRAINED / MODEL_NAME).is_file():
            raise UserError(
                f"the model that comes with this project is not in {PRETRAINED}; give another one "
                "with --model, or put that folder back"
            )
        path = PRETRAINED
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        path = path / MODEL_NAME
    if path.is_file():
        return path
    _refuse_unfinished(folder)
    if (folder / MODEL_NAME).is_file():
        advice = f"there is {folder / MODEL_NAME}"
    else:
        advice = f"give {option} the {MODEL_NAME} of a training, or the run folder with it"
    what = "is a folder without" if folder.is_dir() and path.name == MODEL_NAME else ""
    said = f"{folder} {what} {MODEL_NAME}" if what else f"there is no file {path}"
    raise UserError(f"{said}; {advice}")


def _refuse_unfinished(folder: Path) -> None:
    """Raise UserError where a folder is that of a training whose model is not there."""
    there = [name for name in RUN_FILES if (folder / name).exists()]
    if there and not (folder / MODEL_NAME).exists():
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
        if model_path.suffix not in MODEL_SUFFIXES:
            raise UserError(f"{model_path} is no model; give the {MODEL_NAME} of a training")
        raise UserError(
            f"{model_path} has no {SETTINGS_NAME} next to it, which says what faces the model "
            "takes and what its scores mean; copy it from the run folder where train.py wrote both"
        )
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        reason = _problem_of_settings(settings)
    except json.JSONDecodeError:
        reason = "it is not valid JSON"
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is no text"
    if reason:
        raise UserError(
            f"{path} is not the file that train.py wrote for {model_path.name}: {reason}; copy "
            "that one from the run folder"
        )
    if (settings.get("contract"), settings["faces"].get("contract")) != (CONTRACT, FACES_CONTRACT):
        raise UserError(
            f"{path} was written by another version of this project; train the model again with "
            "this one"
        )
    return settings


def _problem_of_settings(settings: object) -> str:
    """Return in words why this is no settings.json of a model, "" where it is one."""
    if not isinstance(settings, dict):
        return "it is no JSON object"
    missing = NEEDED_SETTINGS.keys() - settings.keys()
    if missing:
        return f"it lacks {', '.join(sorted(missing))}"
    wrong = [name for name, kind in NEEDED_SETTINGS.items() if type(settings[name]) is not kind]
    for name in ("calibration", "operating_points"):  # which older models lack
        if not isinstance(settings.get(name) or {}, dict):
            wrong.append(name)
    if not wrong and list(map(type, settings["img_size"])) != [int, int]:
        wrong = ["img_size"]
    return f"its {' and '.join(wrong)} cannot be understood" if wrong else ""


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
        own, other = ({"faces": of.get("faces")} for of in (found, wanted))
        say(f"note: {data} holds faces made with {setting_differences(own, other, by)}")
    if differences:
        raise UserError(
            f"{data} holds faces that the model was not trained for: {differences}; make faces as "
            "the model expects them, or train a model on these"
        )
