"""The settings of a folder of faces: settings.json, what the crops in it depend on.

They travel with the faces and with every model trained on them. Evaluation and prediction refuse
faces made with other settings than the model's.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from deepfake_detector.console import ArgumentError, UserError, option_of, setting
from deepfake_detector.files import check_is_folder

FRONTAL, PROFILE = "haarcascade_frontalface_alt2", "haarcascade_profileface"
SETTINGS_NAME = "settings.json"
AS_IS = "as-is"  # value of `faces`, and source of such a box
CONTRACT = 3  # version of the layout of a folder of faces and of how boxes are found
MAKE_FACES = (
    "make faces in another folder with: python processing.py --location VIDEOS --save-path FACES"
)


@dataclass(frozen=True)
class FaceSettings:
    """What the crops depend on. Raises UserError for values that cannot work."""

    capture_sec: float = setting(
        5.0, "seconds taken from the start of each video, by its own clock"
    )
    search_sec: float = setting(
        60.0,
        "seconds that are searched for a face: if the first --capture-sec show none, the next are "
        "looked at, and so on",
    )
    fps: float | None = setting(None, "frames taken per second (default: all)")
    faces: str = setting(
        "main",
        "the main face of each video, a folder for every face in it, or the central square of each "
        "frame as it is, for pictures and frames that are faces already (%(default)s)",
        choices=["main", "all", AS_IS],
    )
    margin_ratio: float = setting(
        0.3,
        "margin around the face box on every side, as a share of the box's longer side",
        option="--margin",
    )
    face_size: int = setting(224, "side of the square crops in pixels")
    jpeg_quality: int = 95
    detector: str = f"{FRONTAL} + {PROFILE}"  # see faces/detector.py
    contract: int = CONTRACT

    def __post_init__(self) -> None:
        if not 0 < self.capture_sec < math.inf:
            raise ArgumentError("capture_sec", self.capture_sec, "a number of seconds above 0")
        if not 0 <= self.margin_ratio < math.inf:
            raise ArgumentError("margin_ratio", self.margin_ratio, "a number from 0", "--margin")
        if not self.face_size >= 16:
            raise ArgumentError("face_size", self.face_size, "at least 16 pixels")
        if self.fps is not None and not self.fps > 0:
            raise ArgumentError("fps", self.fps, "above 0, or left out to keep all frames")
        if self.faces not in ("main", "all", AS_IS):
            raise ArgumentError("faces", self.faces, f"main, all or {AS_IS}")
        if not 0 <= self.search_sec < math.inf:
            raise ArgumentError("search_sec", self.search_sec, "a number of seconds from 0")

    @property
    def search_end_sec(self) -> float:
        """Seconds of a video that are looked at if it shows no face."""
        return max(self.capture_sec, self.search_sec)


def setting_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences of two settings, with both values; "" for none.

    They are named as the options that set them. `by` says where the wanted values come from.
    """
    return ", ".join(
        f"{as_option(name, found.get(name))} ({by}: {_shown(wanted.get(name))})"
        for name in differing_names(found, wanted)
    )


def differing_names(found: Mapping, wanted: Mapping) -> list[str]:
    """Return the names of settings that differ."""
    return [
        name for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)
    ]


def as_option(name: str, value: object) -> str:
    """Return a setting as it is typed: "--margin 0.3", "no --fps"."""
    options = {each.name: each.metadata.get("option") for each in fields(FaceSettings)}
    option = options.get(name) or option_of(name)
    return f"no {option}" if value is None or value is False else f"{option} {_shown(value)}"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def crop_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences that keep crops from being used together, as `setting_differences`.

    How far was searched for the first face is not one: a face looks the same. Crops taken as-is go
    with detected ones, whatever was set for detection.
    """
    ignored = {"search_sec"}
    if AS_IS in {found.get("faces"), wanted.get("faces")}:
        ignored |= {"faces", "margin_ratio", "detector"}
    found, wanted = (
        {name: value for name, value in settings.items() if name not in ignored}
        for settings in (found, wanted)
    )
    return setting_differences(found, wanted, by)


def read_settings(faces_folder: Path) -> dict:
    """Return the settings.json of a folder of faces; raises UserError if there is none, or if
    another version of this project wrote it."""
    path = faces_folder / SETTINGS_NAME
    check_is_folder(faces_folder, "faces that processing.py wrote")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{faces_folder} holds no {SETTINGS_NAME}; {MAKE_FACES}") from None
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{path} is damaged; put a copy back, or {MAKE_FACES}")
    if settings.get("contract") != CONTRACT:
        raise UserError(
            f"{path} was written by another version of this project, whose faces differ; make "
            "faces in another folder with processing.py, and train again"
        )
    settings.pop("version", None)  # of the program, on which the crops do not depend
    return settings
