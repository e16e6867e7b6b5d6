"""Finds faces in one frame with OpenCV's Haar cascades: grey pixels in, boxes out, no files.

A box is `(x, y, w, h)` in pixels of the source frame, float32: left, top, width, height.
`Detector` searches a whole frame, or the surroundings of a known face. `tracker.py` decides when
it does which.

Cascades: `haarcascade_frontalface_alt2`, and `haarcascade_profileface` for a followed face that
turns away (Viola and Jones, CVPR 2001, doi:10.1109/CVPR.2001.990517; Lienhart and Maydt, ICIP
2002, doi:10.1109/ICIP.2002.1038171).
"""

import math
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import cv2
import cv2.data
import numpy as np

from deepfake_detector.console import UserError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.face_dataset.settings import FRONTAL, PROFILE

# The cascade looks for faces of 20 pixels, 22, 24.2, ...: 20 times the powers of this factor.
SCALE_FACTOR = 1.1
FRAME_SCALE_FACTOR = 1.2  # whole frame: half the work, and the next search refines the box
MIN_NEIGHBOURS = 3  # overlapping responses that make a detection; tracklets sort out the rest
MIN_FACE = 24  # whole frame: it is shrunk until the smallest face looked for has this side
# Next to a known face: its surroundings are shrunk until it has this side, because the cost of Haar
# grows with the area and its recall does not. 20 * 1.1^10 puts the face on one of the cascade's
# sizes: half-way between two of them boxes come out up to 15 % too large or too small, and below
# 43 pixels the cascade takes steps of two pixels, which doubles the jitter.
KNOWN_FACE = 20 * SCALE_FACTOR**10
# Size of the profile's box relative to the frontal one, and how far its centre lies behind and
# above the frontal one's, in sides of that: medians of 2,361 faces that both cascades see.
PROFILE_SIZE, PROFILE_BACK, PROFILE_UP = 1.13, 0.17, -0.03
# Look.LIFTED: contrast is lifted part by part (CLAHE: Pizer et al., 1987,
# doi:10.1016/S0734-189X(87)80186-X), because the cascades pass over what has little of it. A frame
# is continued by this share of its longer side, because they look for the surroundings of a face.
LIFT, LIFT_TILES = 8.0, (4, 4)
BORDER = 0.2


class Look(Enum):
    """How a picture is looked at. The second and third way cost more, and err more often."""

    PLAIN = "frontal faces"
    LIFTED = "frontal faces in bad light, and those that fill the frame or that its edge cuts"
    TURNED = "faces in profile"


class Detector:
    """The loaded cascades. Loading takes about 20 ms and cannot be pickled: make one per process.

    Raises UserError if OpenCV has no cascades.
    """

    def __init__(self):
        self._frontal, self._profile = _load_cascade(FRONTAL), _load_cascade(PROFILE)

    def search_frame(
        self, frame: Frame, smallest_side: float, look: Look = Look.PLAIN
    ) -> np.ndarray:
        """Return the boxes of all faces in a frame, `(n, 4) float32`; n may be 0.

        Faces narrower than `smallest_side` pixels are ignored. Half the side costs four times the
        work.
        """
        grey, to_source = _shrink(frame.grey, min(1.0, MIN_FACE / max(1.0, smallest_side)))
        picture = _Picture(grey, (MIN_FACE, 0), to_source, np.zeros(4, np.float32))
        if look is Look.LIFTED:
            border = round(BORDER * max(grey.shape))
            return self._search(
                picture.continued(border, border, border, border), SCALE_FACTOR, look
            )
        return self._search(picture, FRAME_SCALE_FACTOR, look)

    def search_near(
        self,
        frame: Frame,
        box_xywh: np.ndarray,
        reach: float,
        growth: float,
        look: Look = Look.PLAIN,
    ) -> np.ndarray:
        """Return the boxes of faces around a known one, `(n, 4) float32`.

        `reach` is how far the searched square goes beyond the box on every side, in box sides;
        `growth` how many times larger or smaller than the box a face may be.
        """
        x, y, w, h = (float(value) for value in box_xywh)
        height, width = frame.size
        wanted_left, wanted_top = int(x - reach * w), int(y - reach * h)
        wanted_right, wanted_bottom = math.ceil(x + w + reach * w), math.ceil(y + h + reach * h)
        left, top = max(0, wanted_left), max(0, wanted_top)
        right, bottom = min(width, wanted_right), min(height, wanted_bottom)
        if right - left < MIN_FACE or bottom - top < MIN_FACE:
            return np.zeros((0, 4), np.float32)
        scale = min(1.0, KNOWN_FACE / max(1.0, w))
        grey, to_source = _shrink(frame.grey[top:bottom, left:right], scale)
        # A pixel more on both ends: the cascade rounds its sizes.
        sizes = (int(w * scale / growth) - 1, math.ceil(w * scale * growth) + 1)
        picture = _Picture(grey, sizes, to_source, np.array([left, top, 0, 0], np.float32))
        if look is Look.LIFTED:
            missing = [top - wanted_top, wanted_bottom - bottom]
            missing += [left - wanted_left, wanted_right - right]
            picture = picture.continued(*(round(pixels * scale) for pixels in missing))
        return self._search(picture, SCALE_FACTOR, look)

    def _search(self, picture: "_Picture", scale_factor: float, look: Look) -> np.ndarray:
        """Return the boxes of faces in a part of a frame, in its pixels, `(n, 4) float32`.

        Boxes of profiles are converted to those of the frontal cascade, so that crops do not jump
        when a head turns. The cascade knows faces turned to one side only; a mirrored image shows
        the others.
        """
        grey, sizes = picture.grey, picture.sizes
        if look is not Look.TURNED:
            grey = _lift(grey) if look is Look.LIFTED else grey
            return picture.to_source(_run(self._frontal, grey, sizes, scale_factor))
        mirrored = False
        boxes = _run(self._profile, grey, sizes, scale_factor)
        if not len(boxes):
            mirrored = True
            boxes = _run(self._profile, cv2.flip(grey, 1), sizes, scale_factor)
            boxes[:, 0] = grey.shape[1] - boxes[:, 0] - boxes[:, 2]
        boxes = picture.to_source(boxes)
        centres = boxes[:, :2] + boxes[:, 2:] / 2
        sides = boxes[:, 2:] / PROFILE_SIZE
        backwards = np.array([-PROFILE_BACK if mirrored else PROFILE_BACK, PROFILE_UP], np.float32)
        return np.hstack([centres - sides * backwards - sides / 2, sides])


@dataclass(frozen=True)
class _Picture:
    """A frame or a part of it, shrunk."""

    grey: np.ndarray  # (height, width) uint8
    sizes: tuple[int, int]  # smallest and largest side of a face in `grey`, 0 for no limit
    scale: np.ndarray  # (4,) float32: from a box in `grey` to one in the frame ...
    offset: np.ndarray  # (4,) float32: ... and where `grey` begins there

    def to_source(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes in `grey` as boxes in the frame, `(n, 4) float32`."""
        return boxes * self.scale + self.offset

    def continued(self, top: int, bottom: int, left: int, right: int) -> "_Picture":
        """Return the picture with as many pixels added at each side."""
        grey = cv2.copyMakeBorder(self.grey, top, bottom, left, right, cv2.BORDER_REPLICATE)
        added = np.array([left, top, 0, 0], np.float32)
        return replace(self, grey=grey, offset=self.offset - added * self.scale)


def _lift(grey: np.ndarray) -> np.ndarray:
    """Return the picture with its contrast lifted: all of it, then part by part."""
    stretched = cv2.normalize(grey, np.empty_like(grey), 0, 255, cv2.NORM_MINMAX)
    return cv2.createCLAHE(LIFT, LIFT_TILES).apply(stretched)


def _load_cascade(name: str) -> "cv2.CascadeClassifier":
    # In quotes: OpenCV 5 lacks the class, and this file must still import to say so.
    remedy = 'install OpenCV 4 with: pip install "opencv-python>=4.11,<5"'
    if not hasattr(cv2, "CascadeClassifier"):
        raise UserError(f"OpenCV {cv2.__version__} has no CascadeClassifier; {remedy}")
    path = Path(cv2.data.haarcascades) / f"{name}.xml"
    cascade = cv2.CascadeClassifier()
    if not (path.is_file() and cascade.load(str(path))):
        raise UserError(
            f"OpenCV {cv2.__version__} came without {path}, or cannot read it; {remedy}"
        )
    return cascade


def _shrink(grey: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return `grey` at about `scale`, and the factors `(4,) float32` that map a box in it back."""
    height, width = grey.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Most pixels of a large image are skipped at once, so that at least two of each remaining
    # pair of rows and columns are averaged: five times as fast, and no worse for Haar.
    skip = int(0.5 / scale)
    if skip > 1:
        few = (max(1, width // skip), max(1, height // skip))
        grey = cv2.resize(grey, few, interpolation=cv2.INTER_NEAREST)
    if grey.shape[::-1] != size:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return grey, np.array([width / size[0], height / size[1]] * 2, np.float32)


def _run(
    cascade: "cv2.CascadeClassifier",
    grey: np.ndarray,
    sizes: tuple[int, int],
    scale_factor: float,
) -> np.ndarray:
    """Return the boxes of the cascade in pixels of `grey`, `(n, 4) float32`; `sizes` are the
    smallest and the largest face side, 0 for no limit."""
    smallest, largest = sizes
    found = cascade.detectMultiScale(
        grey,
        scaleFactor=scale_factor,
        minNeighbors=MIN_NEIGHBOURS,
        minSize=(smallest, smallest),
        maxSize=(largest, largest),
    )
    # No face comes back as an empty tuple, faces as an int32 array.
    return np.asarray(found, np.float32).reshape(-1, 4)
