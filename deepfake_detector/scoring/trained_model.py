"""The files of a trained model, and which faces it can be asked about. No TensorFlow.

settings = read_model_settings(Path("run/model.keras"))
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.console import UserError, counted, say
from deepfake_detector.face_dataset.settings import CONTRACT as FACES_CONTRACT
from deepfake_detector.face_dataset.settings import (
    SETTINGS_NAME,
    crop_differences,
    read_settings,
    setting_differences,
)

MODEL_NAME = "model.keras"
SPLIT_NAME = "split.json"
CARD_NAME = "MODEL_CARD.md"
CONTRACT = 2  # version of the settings.json of a model
NEEDED_SETTINGS = {"faces": dict, "num_frames": int, "img_size": list}  # of a settings.json
SYNTHETIC_WARNING = "it was trained on synthetic people, so its scores say nothing about real ones"
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

    Raises UserError if it does not exist; `option` is what the path was given with.
    """
    if path is None and not (PRETRAINED / MODEL_NAME).is_file():
        raise UserError(
            f"the model that comes with this project is not in {PRETRAINED}; put that folder back, "
            f"or give another one with {option}"
        )
    path = PRETRAINED if path is None else Path(path)
    path = path / MODEL_NAME if path.is_dir() else path
    if path.is_file():
        return path
    if (path.parent / MODEL_NAME).is_file():
        advice = f"{path.parent / MODEL_NAME} does"
    else:
        advice = f"give {option} the {MODEL_NAME} of a training, or the run folder with it"
    raise UserError(f"{path} does not exist; {advice}")


def read_model_settings(model_path: Path) -> dict:
    """Return the settings.json next to a model.

    Raises UserError if that file is missing or is not that of a model of this version.
    """
    path = model_path.parent / SETTINGS_NAME
    copy = "copy it from the run folder where train.py wrote both"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{model_path} has no {SETTINGS_NAME} next to it, which says what faces the model "
            f"takes and what its scores mean; {copy}"
        ) from None
    except ValueError:
        settings = None
    if not isinstance(settings, dict) or not all(
        isinstance(settings.get(name), kind) for name, kind in NEEDED_SETTINGS.items()
    ):
        raise UserError(f"{path} is damaged, or does not describe a model; {copy}")
    if (settings.get("contract"), settings["faces"].get("contract")) != (CONTRACT, FACES_CONTRACT):
        raise UserError(
            f"{path} was written by another version of this project; train the model again with "
            "this one"
        )
    return settings


@dataclass(frozen=True)
class ModelOrigin:
    """Which model it is, and what is known of its training."""

    path: str
    name: str  # for people
    trained_on: str = ""  # in a few words; empty if nothing says it
    is_synthetic: bool = False  # it has seen the people of sample_data.py only


def model_origin(model_path: Path, settings: Mapping) -> ModelOrigin:
    """Return where a model comes from, by the `trained_on` of its settings.json: the counts that
    train.py writes, or words that a user has put in their place."""
    name = model_path.parent.name
    if model_path.parent == PRETRAINED:
        made = f"version {settings.get('version')} of {settings.get('date')}"
        name = f"the model that comes with this project, {made}"
    known = settings.get("trained_on") or ""
    if not isinstance(known, Mapping):
        return ModelOrigin(str(model_path), name, str(known))
    real, fake, synthetic = (known.get(name) or 0 for name in ("real", "fake", "synthetic"))
    words = f"{counted(real, 'real video')} and fakes made from them"
    if fake:
        words = f"{real} real and {counted(fake, 'fake video')}"
    is_synthetic = 0 < synthetic == real + fake
    if is_synthetic:
        words += " of synthetic people"
    elif synthetic:
        words += f", {synthetic} of them of synthetic people"
    return ModelOrigin(str(model_path), name, words, is_synthetic)


def describe(model_path: Path, settings: Mapping) -> list[str]:
    """Return lines that say which model it is, and what it was trained on if that is known.

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
    """Raise UserError if the faces in `data` were made with other settings than those that the
    model was trained on; `settings` is the settings.json of the model.

    If crops taken as-is meet a model of detected ones, or the other way round, print a note.
    """
    found, wanted, by = read_settings(data), settings["faces"], "the model expects"
    differences = crop_differences(found, wanted, by)
    if differences:
        raise UserError(
            f"{data} holds faces that the model was not trained for: {differences}; make faces as "
            "the model expects them, or train a model on these"
        )
    if found.get("faces") != wanted.get("faces"):
        own, other = ({"faces": of.get("faces")} for of in (found, wanted))
        say(f"note: {data} holds faces made with {setting_differences(own, other, by)}")
