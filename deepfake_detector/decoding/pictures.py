"""Pictures as frames: one picture, a folder of numbered ones, or an animated WebP or PNG."""

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
        problem = ""
        for number, path in enumerate(self._paths):
            try:
                image_bgr = read_picture(path)
                yield Picture(number / self._fps, functools.partial(BgrPixels, image_bgr))
            except UnreadableError as error:
                self._unreadable.append(path)
                problem = str(error)
        if len(self._unreadable) == len(self._paths):
            raise UnreadableError(self.damage(True) if len(self._paths) > 1 else problem)


class AnimatedPicture:
    """An animated WebP or PNG as a video. Raises UnreadableError if OpenCV cannot read it."""

    def __init__(self, path: Path):
        found, animation = cv2.imreadanimation(str(path))
        if not found:
            raise UnreadableError(NOT_A_PICTURE)
        self._frames = animation.frames
        # Browsers show a frame without a duration for a tenth of a second.
        self._seconds = [(duration or 100) / 1000 for duration in animation.durations]
        self.header_sec = float(sum(self._seconds))
        self.fps = len(self._frames) / self.header_sec

    def close(self) -> None:
        """Do nothing: the file is closed already."""

    def damage(self, at_the_end: bool) -> str:
        """Return "": a damaged file is not read at all."""
        return ""

    def pictures(self) -> Iterator[Picture]:
        """Yield the frames as they are shown, without their transparency."""
        clock_sec = 0.0
        for frame, seconds in zip(self._frames, self._seconds, strict=True):
            yield Picture(clock_sec, functools.partial(BgrPixels, frame[:, :, :3].copy()))
            clock_sec += seconds


def is_animated(path: Path) -> bool:
    """Return whether a picture is an animated WebP or PNG, by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return False
    # https://developers.google.com/speed/webp/docs/riff_container, https://www.w3.org/TR/png-3/
    is_webp = head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
    return is_webp or (head.startswith(b"\x89PNG") and b"acTL" in head)


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
    # A JPEG has an end after the last start of its data, a PNG an end chunk.
    is_jpeg, is_png = content.startswith(b"\xff\xd8"), content.startswith(b"\x89PNG")
    lacks_end = is_jpeg and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if lacks_end or (is_png and b"IEND" not in content):
        raise UnreadableError(CUT_OFF)
    return image_bgr
