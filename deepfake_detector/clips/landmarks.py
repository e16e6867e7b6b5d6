"""Landmarks of faces, and warps that follow them: where masks lie, and how faces are laid on.

    marks = find(frames)  # (n, 468, 2) in sides of the crop, or None
    source_xy = source_positions(marks[0], donor_marks[0], (192, 192))  # for cv2.remap

The points are those of the face mesh by MediaPipe (Kartynnik et al. 2019, arXiv:1907.06724). Its
network is a file of 1.2 MB in the package `mediapipe`, which OpenCV reads; no code of the package
is used. Crops of processing.py are close enough to what it expects. Only training needs it
(`train.py --landmarks`).
"""

import functools
import importlib.util
import threading
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.console import UserError

PACKAGE, FILE = "mediapipe", "modules/face_landmark/face_landmark.tflite"
INSTALL = "pip install --no-deps --only-binary :all: mediapipe==0.10.21"
INPUT_SIDE = 192  # pixels of the network's input
# Of the fakes that are made in a training with landmarks. The other half keeps the masks that need
# none: they find other kinds of fakes (docs/accuracy.md).
SHARE = 0.5
WARP_GRID, WARP_REACH, WARP_STIFFNESS = 24, 0.04, 1.0  # of `source_positions`

# Points by number, as in mediapipe/python/solutions/face_mesh_connections.py.
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
BROWS = (
    276, 283, 282, 295, 285, 300, 293, 334, 296, 336, 46, 53, 52, 65, 55, 70, 63, 105, 66, 107,
)  # fmt: skip
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
NOSE = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327, 294, 344, 440, 275, 45, 220, 115, 64)
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
FOREHEAD, CHIN = 10, 152


def check_installed() -> None:
    """Raise UserError if the file with the network is not installed."""
    if network_path() is None:
        raise UserError(f"the network that finds landmarks is not installed: {INSTALL}")


def network_path() -> Path | None:
    """Return where the network lies in the installed package; None without it."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    return next((path for folder in folders or [] if (path := Path(folder, FILE)).exists()), None)


def find(frames: np.ndarray) -> np.ndarray | None:
    """Return x and y of the landmarks in sides of the crop, `(n, 468, 2) float32`, for frames
    `(n, height, width, 3) uint8` RGB.

    None if there is a frame in which the network sees no face. Raises UserError if it is not
    installed.
    """
    network = _network()
    found = []
    for frame in frames:
        small = cv2.resize(frame, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_AREA)
        network.setInput(cv2.dnn.blobFromImage(small, 1 / 255))
        outputs = network.forward(network.getUnconnectedOutLayersNames())
        presence, points_xyz = sorted(outputs, key=np.size)  # a logit; x, y and z in pixels
        if presence.item() <= 0:
            return None
        found.append(points_xyz.reshape(-1, 3)[:, :2] / INPUT_SIDE)
    return np.stack(found)


_of_thread = threading.local()  # a network of OpenCV serves one thread at a time


def _network() -> cv2.dnn.Net:
    if not hasattr(_of_thread, "network"):
        check_installed()
        _of_thread.network = cv2.dnn.readNetFromTFLite(str(network_path()))
    return _of_thread.network


def affine(from_points: np.ndarray, to_points: np.ndarray) -> np.ndarray:
    """Return the affine matrix, `(2, 3)`, that moves points `(n, 2)` nearest to others."""
    ones = np.ones((len(from_points), 1))
    return np.linalg.lstsq(np.hstack([from_points, ones]), to_points, rcond=None)[0].T


def source_positions(target: np.ndarray, source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return for every pixel of a frame of `size` (height, width) which x and y of the source frame
    belongs there, `(height, width, 2) float32` pixels, so that the landmarks `source` get to where
    those of `target` are, `(468, 2)` each in sides of the crop.

    That is an affine map, and what it leaves over at the landmarks is spread smoothly around them.
    """
    height, width = size
    matrix = affine(target, source)
    left_over = source - (target @ matrix[:, :2].T + matrix[:, 2])
    grid_y, grid_x = (np.mgrid[0:WARP_GRID, 0:WARP_GRID] + 0.5) / WARP_GRID
    grid_xy = np.stack([grid_x, grid_y], axis=-1).reshape(-1, 1, 2)
    weights = np.exp(-((grid_xy - target) ** 2).sum(axis=-1) / (2 * WARP_REACH**2))
    shift = weights @ left_over / (weights.sum(axis=1, keepdims=True) + WARP_STIFFNESS)
    shift = shift.reshape(WARP_GRID, WARP_GRID, 2).astype(np.float32)
    shift = cv2.resize(shift, (width, height), interpolation=cv2.INTER_CUBIC)
    place = cv2.transform(_positions(height, width), matrix) + shift
    return (place * (width, height) - 0.5).astype(np.float32)


@functools.cache
def _positions(height: int, width: int) -> np.ndarray:
    """Return x and y of every pixel's middle in sides of the crop, `(height, width, 2) float32`."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
    return np.dstack([x / width, y / height])


def other_expression(marks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return landmarks `(n, 468, 2)` with another mouth and other eyes: opened or closed, narrower
    or wider. All frames of a clip are changed by about as much."""
    changed = marks.copy()
    part_ranges = ((LIPS, (0.5, 1.8)), (LEFT_EYE, (0.4, 1.3)), (RIGHT_EYE, (0.4, 1.3)))
    for part, height_range in part_ranges:
        scale = np.array([rng.uniform(0.85, 1.15), rng.uniform(*height_range)])
        scales = scale * rng.normal(1, 0.08, (len(marks), 2))
        middle = marks[:, part].mean(axis=1, keepdims=True)
        changed[:, part] = middle + (marks[:, part] - middle) * scales[:, None]
    return changed
