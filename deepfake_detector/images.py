"""What can be done to the pixels of a frame: colour, resolution, sharpness, noise, compression.

Arrays in, arrays out, `(height, width, 3) uint8` RGB, with OpenCV and NumPy. Nothing is drawn here:
augmentation.py changes whole clips with it, blending.py the face in them.
"""

import functools
from collections.abc import Callable, Sequence

import cv2
import numpy as np

Change = Callable[[np.ndarray], np.ndarray]
# In these axes grey is the first, saturation the length and hue the angle of the other two (YIQ of
# ITU-R BT.470).
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


def colour(
    contrast: float, shift: float | Sequence[float], saturation: float = 1.0, hue: float = 0.0
) -> Change:
    """Return what multiplies all pixels by `contrast`, adds `shift` grey levels, of all or of each
    channel, and multiplies the saturation and turns the hue, by an angle in radians."""
    cos, sin = saturation * np.cos(hue), saturation * np.sin(hue)
    in_yiq = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    matrix = contrast * (YIQ_TO_RGB @ in_yiq @ RGB_TO_YIQ)
    matrix = np.column_stack([matrix, np.broadcast_to(shift, 3)])
    return lambda frame: cv2.transform(frame, matrix)


def tone(gamma: float) -> Change:
    """Return what makes middle tones darker, above 1, or lighter; black and white stay."""
    levels = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda frame: cv2.LUT(frame, levels)


def resampled(
    frame: np.ndarray, factor: float, down: int = cv2.INTER_AREA, up: int = cv2.INTER_LINEAR
) -> np.ndarray:
    """Return the frame shrunk by `factor` and brought back to its size."""
    height, width = frame.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    shrunk = cv2.resize(frame, small, interpolation=down)
    return cv2.resize(shrunk, (width, height), interpolation=up)


def sharpened(frame: np.ndarray, sigma: float, amount: float) -> np.ndarray:
    """Return the frame with `amount` of what is finer than `sigma` pixels added."""
    return cv2.addWeighted(frame, 1 + amount, cv2.GaussianBlur(frame, (0, 0), sigma), -amount, 0)


def noise(sigma: float, seed: int) -> Change:
    """Return what adds grey noise of `sigma` grey levels, the same to every frame of one size."""

    @functools.cache
    def grain(height: int, width: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, sigma, (height, width, 1))

    def add(frame: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(frame + grain(*frame.shape[:2])), 0, 255).astype(np.uint8)

    return add


def compress(frame: np.ndarray, quality: int) -> np.ndarray:
    """Return the frame as it comes out of a JPEG of that quality, 0..100."""
    words = [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded = cv2.imencode(".jpeg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), words)[1]
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
