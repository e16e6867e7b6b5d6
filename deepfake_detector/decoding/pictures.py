"""Pictures as frames: one picture, a folder of numbered ones, or an animated WebP or PNG."""

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
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

Read = Callable[[], np.ndarray]


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
    """Pictures as the frames of a video.

    `shown` has for each the second from which it is shown, its name, and what reads it,
    `(height, width, 3) uint8` BGR, or raises UnreadableError.
    """

    def __init__(self, shown: Sequence[tuple[float, str, Read]], header_sec: float, fps: float):
        self.header_sec, self.fps = header_sec, fps
        self._shown = shown
        self._unreadable: list[str] = []

    def close(self) -> None:
        """Do nothing: each file is closed as soon as it is read."""

    def damage(self, at_the_end: bool) -> str:
        """Return how many pictures could not be read."""
        if not self._unreadable:
            return ""
        counts = f"{len(self._unreadable)} of {len(self._shown)} pictures"
        return f"{counts} cannot be read, the first is {self._unreadable[0]}"

    def pictures(self) -> Iterator[Picture]:
        """Yield those that can be read; raises UnreadableError at the end where none could be."""
        problem = ""
        for clock_sec, name, read in self._shown:
            try:
                image_bgr = read()
                yield Picture(clock_sec, functools.partial(BgrPixels, image_bgr))
            except UnreadableError as error:
                self._unreadable.append(name)
                problem = str(error)
        if len(self._unreadable) == len(self._shown):
            raise UnreadableError(self.damage(True) if len(self._shown) > 1 else problem)


def open_pictures(paths: Sequence[Path]) -> Pictures:
    """Return picture files as a video; a single one has no length, which is nan."""
    shown = [
        (number / PICTURES_FPS, path.name, functools.partial(read_picture, path))
        for number, path in enumerate(paths)
    ]
    return Pictures(shown, len(paths) / PICTURES_FPS if len(paths) > 1 else math.nan, PICTURES_FPS)


def open_animated(path: Path) -> Pictures:
    """Return an animated WebP or PNG as a video, without its transparency; raises UnreadableError
    if OpenCV cannot read it."""
    found, animation = cv2.imreadanimation(str(path))
    if not found:
        raise UnreadableError(NOT_A_PICTURE)
    # Browsers show a frame without a duration for a tenth of a second.
    *starts_sec, end_sec = itertools.accumulate(
        ((duration or 100) / 1000 for duration in animation.durations), initial=0.0
    )
    shown = [
        (start_sec, path.name, functools.partial(np.copy, frame[:, :, :3]))
        for start_sec, frame in zip(starts_sec, animation.frames, strict=True)
    ]
    return Pictures(shown, end_sec, len(shown) / end_sec)


def is_animated(path: Path) -> bool:
    """Return whether a picture is an animated WebP or PNG, by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    # https://developers.google.com/speed/webp/docs/riff_container, https://www.w3.org/TR/png-3/
    is_webp = head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
    return is_webp or (head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0])


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
