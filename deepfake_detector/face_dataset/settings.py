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


@dataclass(frozen=True)
class FaceSettings:
    """What the crops depend on. Raises UserError for values that cannot work."""

    capture_sec: float = 5.0  # seconds from the start of the video, by its own clock
    fps: float | None = None  # frames kept a second; None keeps all
    margin_ratio: float = 0.3  # of the box's longer side, added on every side
    face_size: int = 224  # side of the crops in pixels
    jpeg_quality: int = 95
    faces: str = "main"  # or "all": a folder for every face seen long enough
    share_boxes: bool = False  # a fake takes the boxes found in its original
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
        if self.faces not in ("main", "all"):
            raise UserError(f'faces is {self.faces!r}; it must be "main" or "all"')

    def saved(self) -> dict:
        """Return what stands in settings.json: all but what is true on this machine only."""
        return {name: value for name, value in asdict(self).items() if name != "detector_file"}


def setting_differences(found: Mapping, wanted: Mapping, by: str = "asked for") -> str:
    """Return the differences of two face settings in words, with both values; "" for none.

    `by` says where the wanted values come from.
    """
    names = sorted(found.keys() | wanted.keys())
    return ", ".join(
        f"{name}={found.get(name)} ({by}: {wanted.get(name)})"
        for name in names
        if found.get(name) != wanted.get(name)
    )


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
    return settings
