"""From a box to a crop: the square around a face, cut out, resized and written as a JPEG.

square = crop_square(box_xywh, margin_ratio, *frame.size)
face = resize_face(square.cut(frame), face_size=224)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deepfake_detector.decoding.frame import Frame
from deepfake_detector.face_dataset.settings import FaceSettings


class Square(NamedTuple):
    """A square in a frame, in pixels."""

    left: int
    top: int
    side: int

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.side, self.top + self.side

    def cut(self, frame: Frame) -> np.ndarray:
        """Return the pixels of the square, `(side, side, 3) uint8` BGR."""
        return frame.pixels.bgr(*self.corners)

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """The square as a box."""
        return self.left, self.top, self.side, self.side


def crop_square(
    box_xywh: Sequence[float] | np.ndarray, margin_ratio: float, frame_height: int, frame_width: int
) -> Square:
    """Return a square around a box, inside the frame.

    `margin_ratio` of the box's longer side is added on every side. At a frame's edge the square is
    moved inwards, and only where it is larger than the frame is it made smaller: the face is
    never squeezed and never padded.
    """
    x, y, w, h = (float(value) for value in box_xywh)
    side = round(max(w, h) * (1 + 2 * margin_ratio))
    side = max(1, min(side, frame_height, frame_width))
    left = round(x + w / 2 - side / 2)
    top = round(y + h / 2 - side / 2)
    left, top = min(max(0, left), frame_width - side), min(max(0, top), frame_height - side)
    return Square(left, top, side)


def central_square(frame_height: int, frame_width: int) -> Square:
    """Return the largest square in the middle of the frame."""
    side = min(frame_height, frame_width)
    return Square((frame_width - side) // 2, (frame_height - side) // 2, side)


def resize_face(pixels: np.ndarray, face_size: int) -> np.ndarray:
    """Return a square cut from a frame as `(face_size, face_size, 3) uint8`."""
    # Halving averages four pixels to one and is quick. To shrink by less than a half causes no
    # aliasing without averaging, and averaging would make an enlarged face look blocky.
    while len(pixels) >= 2 * face_size:
        half = len(pixels) // 2
        even = pixels[: 2 * half, : 2 * half]
        pixels = cv2.resize(even, (half, half), interpolation=cv2.INTER_AREA)
    interpolation = cv2.INTER_LINEAR if len(pixels) > face_size else cv2.INTER_CUBIC
    return cv2.resize(pixels, (face_size, face_size), interpolation=interpolation)


def write_crop(path: Path, pixels_bgr: np.ndarray, settings: FaceSettings) -> None:
    """Write the pixels of a square, `(side, side, 3) uint8` BGR, as a face; raises OSError if that
    fails."""
    face_bgr = resize_face(pixels_bgr, settings.face_size)
    quality = [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality]
    path.write_bytes(cv2.imencode(".jpeg", face_bgr, quality)[1].tobytes())
