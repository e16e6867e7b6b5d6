"""To be written."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deepfake_detector.face_dataset.settings import FaceSettings


def crop_square(
    box_xywh: np.ndarray, margin_ratio: float, frame_height: int, frame_width: int
) -> tuple[int, int, int]:
    """Return `(left, top, side)` in pixels of a square around a box, inside the frame.

    `margin_ratio` of the box's longer side is added on every side. At a frame's edge the square is
    moved inwards, and only where it is larger than the frame is it made smaller: the face is
    never squeezed and never padded.
    """
    x, y, w, h = (float(value) for value in box_xywh)
    side = round(max(w, h) * (1 + 2 * margin_ratio))
    side = max(1, min(side, frame_height, frame_width))
    left = round(x + w / 2 - side / 2)
    top = round(y + h / 2 - side / 2)
    return min(max(0, left), frame_width - side), min(max(0, top), frame_height - side), side


def crop_face(
    image: np.ndarray, box_xywh: np.ndarray, margin_ratio: float, face_size: int
) -> np.ndarray:
    """Return the face as `(face_size, face_size, 3) uint8`, in the colour order of `image`."""
    left, top, side = crop_square(box_xywh, margin_ratio, *image.shape[:2])
    return resize_face(image[top : top + side, left : left + side], face_size)


def resize_face(pixels: np.ndarray, face_size: int) -> np.ndarray:
    """Return a square cut from a frame as `(face_size, face_size, 3) uint8`."""
    # Halves are averaged four pixels to one, which is quick; less than a half needs no averaging to
    # be free of aliasing, and more than the whole would come out blocky with it.
    while len(pixels) >= 2 * face_size:
        half = len(pixels) // 2
        pixels = cv2.resize(
            pixels[: 2 * half, : 2 * half], (half, half), interpolation=cv2.INTER_AREA
        )
    interpolation = cv2.INTER_LINEAR if len(pixels) > face_size else cv2.INTER_CUBIC
    return cv2.resize(pixels, (face_size, face_size), interpolation=interpolation)


Square = tuple[int, int, int]  # left, top, side in pixels of the frame


class Patch(NamedTuple):
    left: int
    top: int
    image_bgr: np.ndarray

    def cut(self, square: Square) -> np.ndarray | None:
        """Return the pixels of a square, or None where it is not all within the patch."""
        left, top, side = square[0] - self.left, square[1] - self.top, square[2]
        height, width = self.image_bgr.shape[:2]
        if left < 0 or top < 0 or left + side > width or top + side > height:
            return None
        return self.image_bgr[top : top + side, left : left + side]


def write_crop(path: Path, pixels_bgr: np.ndarray, settings: FaceSettings) -> None:
    """Write a square cut from a frame as a face; raises OSError where that cannot be done."""
    face_bgr = resize_face(pixels_bgr, settings.face_size)
    quality = [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality]
    path.write_bytes(cv2.imencode(".jpeg", face_bgr, quality)[1].tobytes())
