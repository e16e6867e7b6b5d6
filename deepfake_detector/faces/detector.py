"""Finds faces in one frame with OpenCV's Haar cascades: grey pixels in, boxes out, no files.

A box is `(x, y, w, h)` in pixels of the source frame, float32: left, top, width, height.
`Detector` searches a whole frame, or the surroundings of a known face. `tracker.py` decides when
it does which.

Cascades: `haarcascade_frontalface_alt2`, and `haarcascade_profileface` for a followed face that
turns away (Viola and Jones, CVPR 2001, doi:10.1109/CVPR.2001.990517; Lienhart and Maydt, ICIP
2002, doi:10.1109/ICIP.2002.1038171).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import cv2.data
import numpy as np

from deepfake_detector.console import UserError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.face_dataset.settings import FRONTAL, PROFILE
from deepfake_detector.faces import yunet

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
# Second search of the whole frame: it is continued by this share of its longer side, so that a face
# that its edge cuts has surroundings, and its contrast is lifted (CLAHE: Pizer et al., 1987,
# doi:10.1016/S0734-189X(87)80186-X).
BORDER, BORDER_KIND = 0.2, cv2.BORDER_REPLICATE
LIFT, LIFT_TILES = 3.0, (4, 4)
AGAIN_NEIGHBOURS = 3


class FaceDetector(Protocol):
    """What the tracker needs; `Detector` says what each search is for."""

    def search_frame(self, frame: Frame, smallest_side: float) -> np.ndarray: ...
    def search_frame_again(self, frame: Frame, smallest_side: float) -> np.ndarray: ...
    def search_near(
        self, frame: Frame, box_xywh: np.ndarray, reach: float, growth: float
    ) -> np.ndarray: ...
    def search_turned_near(
        self, frame: Frame, box_xywh: np.ndarray, reach: float, growth: float
    ) -> np.ndarray: ...
    def search_lifted_near(
        self, frame: Frame, box_xywh: np.ndarray, reach: float, growth: float
    ) -> np.ndarray: ...


class Detector:
    """The loaded cascades. Loading takes about 20 ms and cannot be pickled: make one per process.

    Raises RuntimeError with one sentence where OpenCV has no cascades.
    """

    def __init__(self):
        self._frontal, self._profile = _load_cascade(FRONTAL), _load_cascade(PROFILE)

    def search_frame(self, frame: Frame, smallest_side: float) -> np.ndarray:
        """Return the boxes of all frontal faces in a frame, `(n, 4) float32`; n may be 0.

        Faces narrower than `smallest_side` pixels are ignored. Half the side costs four times the
        work.
        """
        grey, to_source = _shrink(frame.grey, min(1.0, MIN_FACE / max(1.0, smallest_side)))
        return _run(self._frontal, grey, (MIN_FACE, 0), FRAME_SCALE_FACTOR) * to_source

    def search_frame_again(self, frame: Frame, smallest_side: float) -> np.ndarray:
        """Return the boxes of faces that `search_frame` misses, `(n, 4) float32`.

        These are faces in bad light, faces that fill the frame or that its edge cuts, and faces in
        profile. The search costs several times as much, and finds more that is no face.
        """
        grey, to_source = _shrink(frame.grey, min(1.0, MIN_FACE / max(1.0, smallest_side)))
        border = round(BORDER * max(grey.shape))
        lifted = _lift(cv2.copyMakeBorder(grey, *[border] * 4, BORDER_KIND))
        boxes = _run(self._frontal, lifted, (MIN_FACE, 0), SCALE_FACTOR, AGAIN_NEIGHBOURS)
        boxes[:, :2] -= border
        if len(boxes):
            return boxes * to_source
        sizes = (MIN_FACE, 0)
        boxes, mirrored = self._either_profile(grey, sizes, FRAME_SCALE_FACTOR, AGAIN_NEIGHBOURS)
        return _like_frontal(boxes * to_source, mirrored)

    def search_near(
        self, frame: Frame, box_xywh: np.ndarray, reach: float, growth: float
    ) -> np.ndarray:
        """Return the boxes of frontal faces around a known one, `(n, 4) float32`.

        `reach` is how far the searched square goes beyond the box on every side, in box sides;
        `growth` how many times larger or smaller than the box a face may be.
        """
        near = _surroundings(frame, box_xywh, reach, growth)
        return near.to_source(_run(self._frontal, near.grey, near.sizes, SCALE_FACTOR))

    def search_turned_near(
        self, frame: Frame, box_xywh: np.ndarray, reach: float, growth: float
    ) -> np.ndarray:
        """Return the boxes of faces in profile around a known one, `(n, 4) float32`.

        The boxes are converted to those of the frontal cascade, so that the crops do not jump when
        a head turns.
        """
        near = _surroundings(frame, box_xywh, reach, growth)
        boxes, mirrored = self._either_profile(near.grey, near.sizes, SCALE_FACTOR, MIN_NEIGHBOURS)
        return _like_frontal(near.to_source(boxes), mirrored)

    def search_lifted_near(
        self, frame: Frame, box_xywh: np.ndarray, reach: float, growth: float
    ) -> np.ndarray:
        """Return the boxes of frontal faces in bad light, or cut by the edge of the frame, around a
        known one, `(n, 4) float32`."""
        near = _surroundings(frame, box_xywh, reach, growth, beyond_edge=True)
        return near.to_source(_run(self._frontal, _lift(near.grey), near.sizes, SCALE_FACTOR))

    def _either_profile(
        self, grey: np.ndarray, sizes: tuple[int, int], scale_factor: float, neighbours: int
    ) -> tuple[np.ndarray, bool]:
        """Return the boxes of heads turned to one side, and whether that is the mirrored one.

        The cascade knows faces turned to one side only; a mirrored image shows the others.
        """
        boxes = _run(self._profile, grey, sizes, scale_factor, neighbours)
        if len(boxes):
            return boxes, False
        boxes = _run(self._profile, cv2.flip(grey, 1), sizes, scale_factor, neighbours)
        boxes[:, 0] = grey.shape[1] - boxes[:, 0] - boxes[:, 2]
        return boxes, True


@dataclass(frozen=True)
class _Surroundings:
    """The shrunk surroundings of a known face."""

    grey: np.ndarray  # (height, width) uint8
    sizes: tuple[int, int]  # smallest and largest side of a face in `grey`
    scale: np.ndarray  # (4,) float32: from a box in `grey` to one in the frame ...
    offset: np.ndarray  # (4,) float32: ... and where `grey` begins there

    def to_source(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes in `grey` as boxes in the frame, `(n, 4) float32`."""
        return boxes * self.scale + self.offset


def _surroundings(
    frame: Frame, box_xywh: np.ndarray, reach: float, growth: float, beyond_edge: bool = False
) -> _Surroundings:
    """Cut out what `search_near` looks at; with `beyond_edge` the frame is continued as needed."""
    x, y, w, h = (float(value) for value in box_xywh)
    height, width = frame.size
    wanted = (int(x - reach * w), int(y - reach * h))
    wanted += (math.ceil(x + w + reach * w), math.ceil(y + h + reach * h))
    left, top = max(0, wanted[0]), max(0, wanted[1])
    right, bottom = min(width, wanted[2]), min(height, wanted[3])
    if right - left < MIN_FACE or bottom - top < MIN_FACE:
        left, top, right, bottom = 0, 0, 1, 1  # too little to look at: nothing is found in it
    scale = min(1.0, KNOWN_FACE / max(1.0, w))
    grey, to_source = _shrink(frame.grey[top:bottom, left:right], scale)
    offset = np.array([left, top, 0, 0], np.float32)
    if beyond_edge:
        missing = (top - wanted[1], wanted[3] - bottom, left - wanted[0], wanted[2] - right)
        borders = [max(0, round(pixels * scale)) for pixels in missing]
        grey = cv2.copyMakeBorder(grey, *borders, BORDER_KIND)
        offset[:2] -= np.array([borders[2], borders[0]], np.float32) * to_source[:2]
    # A pixel more on both ends: the cascade rounds its sizes.
    sizes = (int(w * scale / growth) - 1, math.ceil(w * scale * growth) + 1)
    return _Surroundings(grey, sizes, to_source, offset)


def _like_frontal(boxes: np.ndarray, mirrored: bool) -> np.ndarray:
    """Return the boxes that the frontal cascade would give these profiles, `(n, 4) float32`."""
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    sides = boxes[:, 2:] / PROFILE_SIZE
    backwards = np.array([-PROFILE_BACK if mirrored else PROFILE_BACK, PROFILE_UP], np.float32)
    return np.hstack([centres - sides * backwards - sides / 2, sides])


def _lift(grey: np.ndarray) -> np.ndarray:
    """Return the picture with the contrast of each part of it lifted."""
    return cv2.createCLAHE(LIFT, LIFT_TILES).apply(grey)


def _load_cascade(name: str) -> "cv2.CascadeClassifier":
    # In quotes: OpenCV 5 lacks the class, and this file must still import to say so.
    remedy = 'install OpenCV 4 with: pip install "opencv-python>=4.8,<5"'
    if not hasattr(cv2, "CascadeClassifier"):
        raise RuntimeError(f"OpenCV {cv2.__version__} has no CascadeClassifier; {remedy}")
    path = Path(cv2.data.haarcascades) / f"{name}.xml"
    if not path.is_file():
        raise RuntimeError(f"OpenCV {cv2.__version__} came without {path}; {remedy}")
    cascade = cv2.CascadeClassifier(str(path))
    if cascade.empty():
        raise RuntimeError(f"OpenCV {cv2.__version__} cannot read {path}; {remedy}")
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
    neighbours: int = MIN_NEIGHBOURS,
) -> np.ndarray:
    """Return the boxes of the cascade in pixels of `grey`, `(n, 4) float32`; `sizes` are the
    smallest and the largest face side, 0 for no limit."""
    smallest, largest = sizes
    found = cascade.detectMultiScale(
        grey,
        scaleFactor=scale_factor,
        minNeighbors=neighbours,
        minSize=(smallest, smallest),
        maxSize=(largest, largest),
    )
    # No face comes back as an empty tuple, faces as an int32 array.
    return np.asarray(found, np.float32).reshape(-1, 4)


def detector_settings(option: str | None) -> dict:
    """Return the fields `detector` and `detector_file` of FaceSettings for `--detector`.

    Raises UserError where the option cannot be understood or its file cannot be used.
    """
    if option in (None, "haar"):
        return {}
    kind, _, file = str(option).partition("=")
    if kind != "yunet" or not file:
        raise UserError(f"detector is {option!r}; it must be haar or yunet=FILE.onnx")
    path = Path(file).resolve()
    return {"detector": yunet.name_of(path), "detector_file": path}


def load_detector(file: Path | None) -> FaceDetector:
    """Return the detector of a `detector_file` of FaceSettings."""
    return Detector() if file is None else yunet.YuNet(file)


def check_detector(file: Path | None) -> None:
    """Raise UserError where the detector does not load: here, once, not in every worker."""
    try:
        load_detector(file)
    except RuntimeError as error:
        raise UserError(str(error)) from error
