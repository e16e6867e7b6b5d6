"""The settings of a folder of faces: settings.json, what the crops in it depend on.

They travel with the faces and with every model trained on them. Evaluation and prediction refuse
faces made with other settings than the model's.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deepfake_detector.console import UserError

FRONTAL, PROFILE = "haarcascade_frontalface_alt2", "haarcascade_profileface"
DETECTOR = f"{FRONTAL} + {PROFILE}"
SETTINGS_NAME = "settings.json"
AS_IS = "as-is"  # value of `faces`, and source of such a box
SEARCH_SEC = 60.0
ADDED_LATER = {"search_sec": SEARCH_SEC}  # what older settings.json files lack


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
            raise UserError(f"capture_sec is {self.capture_sec}; it must be above 0 seconds")
        if not 0 <= self.margin_ratio < math.inf:
            raise UserError(f"margin_ratio is {self.margin_ratio}; it must be 0 or more")
        if not self.face_size >= 16:
            raise UserError(f"face_size is {self.face_size}; it must be at least 16 pixels")
        if self.fps is not None and not self.fps > 0:
            raise UserError(
                f"fps is {self.fps}; it must be above 0, or left out to keep all frames"
            )
        if self.faces not in ("main", "all", AS_IS):
            raise UserError(f'faces is {self.faces!r}; it must be "main", "all" or "{AS_IS}"')
        if not 0 <= self.search_sec < math.inf:
            raise UserError(f"search_sec is {self.search_sec}; it must be 0 seconds or more")

    @property
    def search_end_sec(self) -> float:
        """Seconds of a video that are looked at where it shows no face."""
        return max(self.capture_sec, self.search_sec)

    def saved(self) -> dict:
        """Return what stands in settings.json: all but what is true on this machine only."""
        return {name: value for name, value in asdict(self).items() if name != "detector_file"}


def setting_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences of two face settings in words, with both values; "" for none.

    `by` says where the wanted values come from. A setting that an older file lacks has its default.
    """
    values = {
        name: tuple(of.get(name, ADDED_LATER.get(name)) for of in (found, wanted))
        for name in sorted(found.keys() | wanted.keys())
    }
    return ", ".join(
        f"{name}={own} ({by}: {other})" for name, (own, other) in values.items() if own != other
    )


def crop_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences that keep crops from being used together, as `setting_differences`.

    How far was looked for the first face is none. Crops taken as-is go with detected ones, whatever
    was set for detection.
    """
    ignored = {"search_sec"}
    if AS_IS in {found.get("faces"), wanted.get("faces")}:
        ignored |= {"faces", "share_boxes", "margin_ratio", "detector"}
    found, wanted = (
        {name: value for name, value in settings.items() if name not in ignored}
        for settings in (found, wanted)
    )
    return setting_differences(found, wanted, by)


def read_settings(faces_folder: Path) -> dict:
    """Return the settings.json of a folder of faces; raises UserError where there is none."""
    path = faces_folder / SETTINGS_NAME
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(
            f"{path} is not valid JSON; make the faces again with processing.py"
        ) from None
    if not isinstance(settings, dict):
        raise UserError(f"{faces_folder} holds no {SETTINGS_NAME}; make faces with processing.py")
    settings.pop("version", None)  # of the program, on which the crops do not depend
    return settings
