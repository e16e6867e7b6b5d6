"""Pictures as frames: one picture, or a folder of numbered ones, a video without a clock."""

import functools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import BgrPixels
from deepfake_detector.decoding.video_file import Picture

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
NOT_A_PICTURE = "not a picture OpenCV can read"
LAST_NUMBER = re.compile(r"\d+(?=\D*\Z)")


def is_picture(path: Path) -> bool:
    """Return whether a file has the suffix of a picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures in a folder whose name holds a number, in the order of the last number.

    Hidden files are left out. Raises UnreadableError where the folder may not be listed.
    """
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise UnreadableError(f"the folder cannot be read ({error.strerror})") from error
    numbered = [
        (int(number[0]), path.name, path)
        for path in paths
        if is_picture(path)
        and not path.name.startswith(".")
        and (number := LAST_NUMBER.search(path.stem))
    ]
    return [path for _, _, path in sorted(numbered)]


class PictureFiles:
    """Picture files as the frames of a video, `fps` a second."""

    def __init__(self, paths: Sequence[Path], fps: float):
        self._paths, self._fps = paths, fps
        self._unreadable: list[Path] = []

    def close(self) -> None:
        """Do nothing: each file is closed as soon as it is read."""

    @property
    def header_sec(self) -> float:
        """Length in seconds; nan of a single picture, which has none."""
        return len(self._paths) / self._fps if len(self._paths) > 1 else math.nan

    def damage(self, at_the_end: bool) -> str:
        """Return how many pictures could not be read."""
        if not self._unreadable:
            return ""
        count, name = len(self._unreadable), self._unreadable[0].name
        return f"{count} of {len(self._paths)} pictures cannot be read, the first is {name}"

    def pictures(self) -> Iterator[Picture]:
        """Yield those that can be read; raises UnreadableError at the end where none could be."""
        for number, path in enumerate(self._paths):
            image_bgr = read_picture(path)
            if image_bgr is None:
                self._unreadable.append(path)
            else:
                yield Picture(number / self._fps, functools.partial(BgrPixels, image_bgr))
        if len(self._unreadable) == len(self._paths):
            raise UnreadableError(self.damage(True) if len(self._paths) > 1 else NOT_A_PICTURE)


def read_picture(path: Path) -> np.ndarray | None:
    """Return a picture, `(height, width, 3) uint8` BGR, turned upright; None where it is none."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        return cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except (OSError, cv2.error):
        return None
