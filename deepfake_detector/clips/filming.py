"""Makes a photograph look like frames of a video: a smaller picture, moved a little, in H.264.

    frames = filmed(frames, np.random.default_rng(7))

Photographs are sharper than videos and were compressed otherwise. Where the real people of a
training are on photographs and the fakes in videos, a network learns that difference instead of
forgeries.
"""

import cv2
import numpy as np

from deepfake_detector import images

FILMED_SHARE = 0.85  # the others stay photographs
CRF_RANGE = (18, 38)  # https://trac.ffmpeg.org/wiki/Encode/H.264: 18 is nearly lossless, 51 worst
SCALE_RANGE = (0.4, 1.0)
NUM_FRAMES_BEFORE = 2  # later frames are predicted from earlier ones, and look otherwise


def filmed(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return frames `(n, height, width, 3) uint8` RGB as a video of the first would show them.

    Most come back smaller, moved a little from frame to frame, encoded as H.264, and enlarged
    again; some as they are, and all where FFmpeg has no encoder.
    """
    if rng.random() >= FILMED_SHARE or not images.CAN_ENCODE_H264:
        return frames
    count, height, width, _ = frames.shape
    crf, scale = int(rng.integers(*CRF_RANGE)), rng.uniform(*SCALE_RANGE)
    small = (round(width * scale), round(height * scale))
    first = cv2.resize(frames[0], small, interpolation=cv2.INTER_AREA)
    moved = [
        _moved(first, step, rng.normal(0, 0.4, 2)) for step in range(count + NUM_FRAMES_BEFORE)
    ]
    enlarge = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    decoded = images.h264(np.stack(moved), crf, preset="veryfast")[-count:]
    return np.stack(
        [cv2.resize(frame, (width, height), interpolation=enlarge) for frame in decoded]
    )


def _moved(frame: np.ndarray, step: int, shift_xy: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.3 * step, 1 + 0.004 * step)
    matrix[:, 2] = matrix[:, 2] + shift_xy
    return cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
