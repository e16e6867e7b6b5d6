"""Pictures as frames: one picture, or a folder of numbered ones."""

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
CUT_OFF = "a picture that is cut off"
PICTURES_FPS = 25.0  # of pictures, which have no clock
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


class Pictures:
    """Picture files as the frames of a video; a single one has no length, which is nan."""

    fps = PICTURES_FPS

    def __init__(self, paths: Sequence[Path]):
        self.header_sec = len(paths) / PICTURES_FPS if len(paths) > 1 else math.nan
        self._paths = paths
        self._unreadable: list[str] = []

    def close(self) -> None:
        """Do nothing: each file is closed as soon as it is read."""

    def damage(self, at_the_end: bool) -> str:
        """Return how many pictures could not be read."""
        if not self._unreadable:
            return ""
        counts = f"{len(self._unreadable)} of {len(self._paths)} pictures"
        return f"{counts} cannot be read, the first is {self._unreadable[0]}"

    def pictures(self) -> Iterator[Picture]:
        """Yield those that can be read; raises UnreadableError at the end where none could be."""
        problem = ""
        for number, path in enumerate(self._paths):
            try:
                image_bgr = read_picture(path)
                yield Picture(number / PICTURES_FPS, functools.partial(BgrPixels, image_bgr))
            except UnreadableError as error:
                self._unreadable.append(path.name)
                problem = str(error)
        if len(self._unreadable) == len(self._paths):
            raise UnreadableError(self.damage(True) if len(self._paths) > 1 else problem)


def _start_of_data(jpeg: bytes) -> int:
    """Return where the data of a JPEG begin, behind its headers, which may hold a small JPEG."""
    place = 2
    while (marker := jpeg[place : place + 2]).startswith(b"\xff") and marker != b"\xff\xda":
        length = int.from_bytes(jpeg[place + 2 : place + 4], "big")
        place += 1 if marker == b"\xff\xff" else 2 + length  # any number of FF may come first
    return place


def read_picture(path: Path) -> np.ndarray:
    """Return a picture, `(height, width, 3) uint8` BGR, turned upright.

    Raises UnreadableError if it is not a picture, or not all of one: OpenCV fills up the rest.
    """
    try:
        content = path.read_bytes()
        image_bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        image_bgr = None
    if image_bgr is None:
        raise UnreadableError(NOT_A_PICTURE)
    # A JPEG has an end after the start of its data, a PNG an end chunk.
    is_jpeg, is_png = content.startswith(b"\xff\xd8"), content.startswith(b"\x89PNG")
    lacks_end = is_jpeg and content.find(b"\xff\xd9", _start_of_data(content)) < 0
    if lacks_end or (is_png and b"IEND" not in content):
        raise UnreadableError(CUT_OFF)
    return image_bgr
