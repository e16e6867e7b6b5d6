"""What is done to the decoded frames of a clip: a window, a size, and a look drawn at random.

Arrays in, arrays out, with OpenCV and NumPy. Everything is drawn once a clip and done to all of its
frames, because flicker between frames is what fakes are known by.

    clip = augmentation.fit(frames, (128, 128))                           # as it is
    clip = augmentation.fit(frames, (128, 128), rng.random(9))            # augmented
"""

from dataclasses import dataclass

import cv2
import numpy as np

NUM_DRAWS = 9  # random numbers an augmentation takes; the first is for the choice of frames
COMPRESSED_SHARE = 0.2  # of the clips: encoding and decoding again costs as much as reading does


@dataclass(frozen=True)
class Look:
    """What is done to a clip."""

    flip: bool
    crop: float  # side of the window kept, as a share of the face
    crop_y: float  # where in the room left: 0 = top, 1 = bottom
    crop_x: float
    brightness: float  # grey levels
    contrast: float  # factor around the mean of the clip
    quality: int | None  # of the JPEG the frames go through, or None


def look(draws: np.ndarray) -> Look:
    """Return the look for `draws`, `(9,)` numbers in [0, 1)."""
    return Look(
        flip=bool(draws[1] < 0.5),
        crop=1 - 0.15 * float(draws[2]),
        crop_y=float(draws[3]),
        crop_x=float(draws[4]),
        brightness=40 * (float(draws[5]) - 0.5),
        contrast=1 + 0.5 * (float(draws[6]) - 0.5),
        quality=int(50 + 45 * draws[8]) if draws[7] < COMPRESSED_SHARE else None,
    )


def fit(
    frames: np.ndarray, img_size: tuple[int, int], draws: np.ndarray | None = None
) -> np.ndarray:
    """Return frames `(n, *img_size, 3) uint8`, made from `(n, height, width, 3) uint8` RGB.

    With `draws`, `(9,)` numbers in [0, 1), they are augmented.
    """
    if draws is None:
        return frames if frames.shape[1:3] == img_size else _resize(frames, img_size)
    chosen = look(draws)
    clip = _resize(_window(frames, chosen), img_size)
    for frame in clip:
        if chosen.flip:
            cv2.flip(frame, 1, dst=frame)
        if chosen.quality is not None:
            frame[...] = compress(frame, chosen.quality)
    pixels = clip.reshape(-1, clip.shape[2] * 3)  # two axes, as OpenCV likes it
    shift = cv2.mean(pixels)[0] * (1 - chosen.contrast) + chosen.brightness
    cv2.addWeighted(pixels, chosen.contrast, pixels, 0, shift, dst=pixels)
    return clip


def _window(frames: np.ndarray, chosen: Look) -> np.ndarray:
    whole = np.array(frames.shape[1:3])
    height, width = (whole * chosen.crop).astype(int)
    top, left = ((whole - (height, width)) * (chosen.crop_y, chosen.crop_x)).astype(int)
    return frames[:, top : top + height, left : left + width]


def _resize(frames: np.ndarray, img_size: tuple[int, int]) -> np.ndarray:
    height, width = img_size
    if frames.shape[1:3] == (height, width):
        return frames.copy()  # whoever gets them may write on them
    # Linear interpolation looks at two pixels a side, which leaves some out where it shrinks to
    # less than half. Taking the area instead costs ten times as much, and only pays there.
    shrinks = frames.shape[1] > 2 * height or frames.shape[2] > 2 * width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    clip = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, resized in zip(frames, clip, strict=True):
        cv2.resize(frame, (width, height), dst=resized, interpolation=interpolation)
    return clip


def compress(frame: np.ndarray, quality: int) -> np.ndarray:
    """Pass a frame through JPEG, `(height, width, 3) uint8` RGB in and out."""
    words = [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded = cv2.imencode(".jpeg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), words)[1]
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
