"""The settings of a folder of faces: settings.json, what the crops in it depend on.

They travel with the faces and with every model trained on them. Evaluation and prediction refuse
faces made with other settings than the model's.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deepfake_detector.console import ArgumentError, UserError
from deepfake_detector.files import as_given, is_address

FRONTAL, PROFILE = "haarcascade_frontalface_alt2", "haarcascade_profileface"
DETECTOR = f"{FRONTAL} + {PROFILE}"
SETTINGS_NAME = "settings.json"
AS_IS = "as-is"  # value of `faces`, and source of such a box
SEARCH_SEC = 60.0
MAKE_FACES = (
    "make faces in another folder with: python processing.py --location VIDEOS --save-path FACES"
)
ADDED_LATER = {"search_sec": SEARCH_SEC}  # what older settings.json files lack
# What sets a setting, where that is not an option of its name.
OPTIONS = {
    "margin_ratio": "--margin",
    "initial": "--from",
    "contract": "version of the format",
    "jpeg_quality": "JPEG quality",
}
WITHOUT_OPTION = frozenset({"contract", "jpeg_quality"})


@dataclass(frozen=True)
class FaceSettings:
    """What the crops depend on. Raises UserError for values that cannot work."""

    capture_sec: float = 5.0  # seconds from the start of the video, by its own clock
    fps: float | None = None  # frames kept a second; None keeps all
    margin_ratio: float = 0.3  # of the box's longer side, added on every side
    face_size: int = 224  # side of the crops in pixels
    jpeg_quality: int = 95
    # "all": a folder for every face seen long enough; "as-is": the central square of each frame,
    # without a detection
    faces: str = "main"
    share_boxes: bool = False  # a fake takes the boxes found in its original
    search_sec: float = SEARCH_SEC  # how far is looked for the first `capture_sec` with a face
    detector: str = DETECTOR  # what finds the faces, see faces/detector.py
    contract: int = 2  # version of the layout of a folder of faces and of how boxes are found
    detector_file: Path | None = None  # where it is on this machine, if it needs one

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
        """Seconds of a video that are looked at where it shows no face."""
        return max(self.capture_sec, self.search_sec)

    def saved(self) -> dict:
        """Return what stands in settings.json: all but what is true on this machine only."""
        return {name: value for name, value in asdict(self).items() if name != "detector_file"}


def differing_names(found: Mapping, wanted: Mapping) -> list[str]:
    """Return the names of settings that differ. One that an older file lacks has its default."""
    return [
        name
        for name in sorted(found.keys() | wanted.keys())
        if _value(found, name) != _value(wanted, name)
    ]


def setting_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences of two settings in words, with both values; "" for none.

    They are named as the options that set them. `by` says where the wanted values come from.
    """
    return ", ".join(
        f"{option_of(name, _value(found, name))} ({by}: {_shown(name, _value(wanted, name))})"
        for name in differing_names(found, wanted)
    )


def option_of(name: str, value: object) -> str:
    """Return a setting as it is typed: "--margin 0.3", "--share-boxes", "no --fps"."""
    option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
    if value is None or value is False:
        return f"no {option}"
    return option if value is True else f"{option} {_shown(name, value)}"


def options_of(settings: Mapping) -> str:
    """Return the options of processing.py that make faces of these settings, "" where the usual
    ones do."""
    usual = FaceSettings().saved()
    names = [name for name in differing_names(usual, settings) if name not in WITHOUT_OPTION]
    typed = (option_of(name, settings.get(name)) for name in names)
    return " ".join(option for option in typed if not option.startswith("no "))


def _value(settings: Mapping, name: str) -> object:
    return settings.get(name, ADDED_LATER.get(name))


def _shown(name: str, value: object) -> str:
    if value is None or isinstance(value, bool):
        return option_of(name, value)
    if name == "detector":
        return "haar" if value == DETECTOR else str(value).replace("yunet ", "yunet=FILE of ")
    return f"{value:g}" if isinstance(value, float) else str(value)


def crop_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences that keep crops from being used together, as `setting_differences`.

    Neither how far was looked for the first face is one, nor whether a fake took the boxes of its
    original: a face looks the same. Crops taken as-is go with detected ones, whatever was set for
    detection.
    """
    ignored = {"search_sec", "share_boxes"}
    if AS_IS in {found.get("faces"), wanted.get("faces")}:
        ignored |= {"faces", "margin_ratio", "detector"}
    found, wanted = (
        {name: value for name, value in settings.items() if name not in ignored}
        for settings in (found, wanted)
    )
    return setting_differences(found, wanted, by)


def read_settings(faces_folder: Path) -> dict:
    """Return the settings.json of a folder of faces; raises UserError where there is none."""
    path = faces_folder / SETTINGS_NAME
    check_is_folder_of_faces(faces_folder)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{faces_folder} holds no {SETTINGS_NAME}; {MAKE_FACES}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{path} is damaged; put a copy back, or {MAKE_FACES}")
    settings.pop("version", None)  # of the program, on which the crops do not depend
    return settings


def check_is_folder_of_faces(place: Path) -> None:
    """Raise UserError where this is no folder."""
    if is_address(place):
        raise UserError(
            f"{as_given(place)} is an address, and only files are read; download the folder of "
            "faces first"
        )
    if not place.is_dir():
        what = "a file" if place.exists() else "not there"
        raise UserError(f"{place} is {what}; give a folder of faces that processing.py wrote")
