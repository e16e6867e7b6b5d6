"""Finds faces in one frame with YuNet, a small network, in place of the Haar cascades: optional.

    detector = YuNet(Path("face_detection_yunet_2023mar.onnx"))

OpenCV runs the network (`cv2.FaceDetectorYN`), but comes without its weights: the user has the
file. YuNet sees turned, dark and partly hidden faces in its first search of a frame, so it has no
further ones. It costs more than a cascade (Wu, Peng and Yu, Machine Intelligence Research 2023,
doi:10.1007/s11633-023-1423-y).
"""

import hashlib
import math
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.console import ArgumentError, UserError, reason_of
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.faces.detector import Detector, FaceDetector, Look

MIN_SCORE, MOST_OVERLAP, MOST_CANDIDATES = 0.7, 0.3, 1000
# The network was trained on faces of 10 to 300 pixels. Pictures are shrunk until the smallest face
# looked for, or a known one, has this side.
SMALLEST_FACE, KNOWN_FACE = 16, 64
# The network's box ends at the hairline, the chin and the cheeks. The frontal cascade's square has
# this size relative to it, and lies that far above it: medians of 317 faces that both find.
HAAR_SIZE, HAAR_UP = 1.05, 0.017


class YuNet:
    """The loaded network; it cannot be pickled, so make one per process.

    Raises UserError with one sentence where the file is missing or not of YuNet.
    """

    def __init__(self, path: Path):
        problem = f"{path} is not a YuNet that OpenCV {cv2.__version__} can run"
        if not hasattr(cv2, "FaceDetectorYN"):
            raise UserError(
                f'{problem}: it has no FaceDetectorYN; pip install "opencv-python>=4.8,<5"'
            )
        limits = (MIN_SCORE, MOST_OVERLAP, MOST_CANDIDATES)
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), "", (64, 64), *limits)
            self._network.detect(np.zeros((64, 64, 3), np.uint8))
        except cv2.error:
            raise UserError(
                f"{problem}; take face_detection_yunet_2023mar.onnx of the OpenCV model zoo"
            ) from None

    def search_frame(
        self, frame: Frame, smallest_side: float, look: Look = Look.PLAIN
    ) -> np.ndarray:
        """See `FaceDetector`; only the plain look finds anything, and that finds all."""
        if look is not Look.PLAIN:
            return np.zeros((0, 4), np.float32)
        scale = min(1.0, SMALLEST_FACE / max(1.0, smallest_side))
        boxes = self._run(frame, (0, 0, *frame.size[::-1]), scale)
        return boxes[boxes[:, 2] >= smallest_side]

    def search_near(
        self,
        frame: Frame,
        box_xywh: np.ndarray,
        reach: float,
        growth: float,
        look: Look = Look.PLAIN,
    ) -> np.ndarray:
        """See `FaceDetector`; only the plain look finds anything, and that finds all."""
        x, y, w, h = (float(value) for value in box_xywh)
        height, width = frame.size
        # The network needs more than a cascade to see where a face ends.
        reach = max(reach, 0.5)
        left, top = max(0, int(x - reach * w)), max(0, int(y - reach * h))
        right = min(width, math.ceil(x + w + reach * w))
        bottom = min(height, math.ceil(y + h + reach * h))
        if look is not Look.PLAIN or right <= left or bottom <= top:
            return np.zeros((0, 4), np.float32)
        boxes = self._run(frame, (left, top, right, bottom), min(1.0, KNOWN_FACE / max(1.0, w)))
        growths = np.maximum(boxes[:, 2], w) / np.maximum(1.0, np.minimum(boxes[:, 2], w))
        return boxes[growths <= growth]

    def _run(self, frame: Frame, corners: tuple[int, int, int, int], scale: float) -> np.ndarray:
        """Return the boxes in a rectangle of the frame, shrunk, as the frontal cascade gives them,
        `(n, 4) float32` in pixels of the frame."""
        left, top, right, bottom = corners
        size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        image_bgr = frame.pixels.bgr(*corners)
        image_bgr = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)
        self._network.setInputSize(size)
        _, found = self._network.detect(image_bgr)
        boxes = np.zeros((0, 4), np.float32) if found is None else found[:, :4].copy()
        # The network's exponentials overflow on some pictures: boxes as wide as infinity.
        possible = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] < 2 * max(size)).all(axis=1)
        boxes = boxes[possible]
        boxes *= np.array([(right - left) / size[0], (bottom - top) / size[1]] * 2, np.float32)
        boxes[:, :2] += (left, top)
        return _like_haar(boxes)


def _like_haar(boxes: np.ndarray) -> np.ndarray:
    """Return the squares that the frontal cascade would give these faces, `(n, 4) float32`."""
    sizes = np.sqrt(boxes[:, 2] * boxes[:, 3])[:, None]
    centres = boxes[:, :2] + boxes[:, 2:] / 2 - sizes * np.array([0, HAAR_UP], np.float32)
    sides = np.repeat(sizes * HAAR_SIZE, 2, axis=1)
    return np.hstack([centres - sides / 2, sides]).astype(np.float32)


def detector_settings(option: str | None) -> dict:
    """Return the fields `detector` and `detector_file` of FaceSettings for `--detector`.

    Raises UserError where the option cannot be understood or its file cannot be used.
    """
    if option in (None, "haar"):
        return {}
    kind, _, file = str(option).partition("=")
    if kind != "yunet" or not file:
        raise ArgumentError("detector", option, "haar or yunet=FILE.onnx")
    path = Path(file).resolve()
    return {"detector": _name_of(path), "detector_file": path}


def load_detector(file: Path | None) -> FaceDetector:
    """Return the detector of a `detector_file` of FaceSettings."""
    return Detector() if file is None else YuNet(file)


def check_detector(file: Path | None) -> None:
    """Raise UserError where the detector does not load: here, once, not in every worker."""
    try:
        load_detector(file)
    except RuntimeError as error:
        raise UserError(str(error)) from error


def _name_of(path: Path) -> str:
    """Return what settings.json says about this file, whatever it is called.

    Raises UserError where it cannot be read.
    """
    return f"yunet sha256:{hashlib.sha256(_read(path)).hexdigest()[:16]}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"--detector yunet: cannot read {path}: {reason_of(error)}") from error
