"""Changes to the pixels of a frame: colour, resolution, sharpness, noise, compression.

Arrays in, arrays out, `(height, width, 3) uint8` RGB, with OpenCV and NumPy. Nothing here is
random: clips/augmentation.py and clips/self_blending.py choose what to apply, and so do the
robustness tests of evaluation/robustness.py.
"""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

import av
import cv2
import numpy as np

Change = Callable[[np.ndarray], np.ndarray]
H264_ENCODER: Final = "libx264"
CAN_ENCODE_H264 = H264_ENCODER in av.codecs_available
# In these axes grey is the first, saturation the length and hue the angle of the other two (YIQ of
# ITU-R BT.470).
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)


def colour(
    contrast: float, shift: float | Sequence[float], saturation: float = 1.0, hue: float = 0.0
) -> Change:
    """Return a change of colours.

    It multiplies all pixels by `contrast`, adds `shift` grey levels, one for all channels or one
    for each, multiplies the saturation, and rotates the hue by an angle in radians.
    """
    cos, sin = saturation * np.cos(hue), saturation * np.sin(hue)
    in_yiq = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    matrix = contrast * (YIQ_TO_RGB @ in_yiq @ RGB_TO_YIQ)
    matrix = np.column_stack([matrix, np.broadcast_to(shift, 3)])
    return lambda frame: cv2.transform(frame, matrix)


def tone(gamma: float) -> Change:
    """Return a change that makes middle tones darker (gamma above 1) or lighter."""
    levels = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda frame: cv2.LUT(frame, levels)


def resampled(
    frame: np.ndarray, factor: float, down: int = cv2.INTER_AREA, up: int = cv2.INTER_LINEAR
) -> np.ndarray:
    """Return the frame shrunk by `factor` and enlarged to its size again."""
    height, width = frame.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    shrunk = cv2.resize(frame, small, interpolation=down)
    return cv2.resize(shrunk, (width, height), interpolation=up)


def sharpened(frame: np.ndarray, sigma: float, amount: float) -> np.ndarray:
    """Return the frame with details finer than `sigma` pixels amplified by 1 + `amount`."""
    return cv2.addWeighted(frame, 1 + amount, cv2.GaussianBlur(frame, (0, 0), sigma), -amount, 0)


def noise(sigma: float, seed: int) -> Change:
    """Return a change that adds grey noise of `sigma` levels, one pattern for each frame size."""

    @functools.cache
    def grain(height: int, width: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, sigma, (height, width, 1))

    def add(frame: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(frame + grain(*frame.shape[:2])), 0, 255).astype(np.uint8)

    return add


def compress(frame: np.ndarray, quality: int) -> np.ndarray:
    """Return the frame after compression to a JPEG of that quality, 0..100."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded = cv2.imencode(".jpeg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), parameters)[1]
    decoded_bgr = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return cv2.cvtColor(decoded_bgr, cv2.COLOR_BGR2RGB)


def h264(frames: np.ndarray, crf: int, preset: str = "medium") -> np.ndarray:
    """Return frames `(n, height, width, 3) uint8` RGB after H.264 at a constant rate factor, 0..51.

    They are encoded as consecutive frames of a video, in memory. The preset says how much time the
    encoder takes (https://trac.ffmpeg.org/wiki/Encode/H.264). Works where `CAN_ENCODE_H264`.
    """
    height, width = frames.shape[1:3]
    even = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))  # chroma has half the resolution
    padded = np.pad(frames, even, mode="edge")
    encoder = av.CodecContext.create(H264_ENCODER, "w")
    encoder.height, encoder.width = padded.shape[1:3]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    # One thread, whatever the processor, so that the result is the same on every machine. What x264
    # chooses for AVX-512 does not even give the same result twice.
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": preset, "x264-params": "cpu-independent=1"}
    decoder = av.CodecContext.create("h264", "r")
    pictures = [av.VideoFrame.from_ndarray(frame, format="rgb24") for frame in padded]
    packets = [packet for picture in (*pictures, None) for packet in encoder.encode(picture)]
    decoded = [picture for packet in (*packets, None) for picture in decoder.decode(packet)]
    changed = np.stack([picture.to_ndarray(format="rgb24") for picture in decoded])
    return changed[:, :height, :width]


def remapped(image: np.ndarray, source_xy: np.ndarray) -> np.ndarray:
    """Return the image that takes each pixel from where `source_xy` says, `(height, width, 2)
    float32`: x and y in pixels."""
    x, y = source_xy[..., 0], source_xy[..., 1]
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
