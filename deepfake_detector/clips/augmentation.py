"""What is done to the decoded frames of a clip: a window, a size, and a look drawn at random.

Arrays in, arrays out, with OpenCV and NumPy. Everything is drawn once a clip and done to all of its
frames, because flicker between frames is what fakes are known by.

    clip = augmentation.fit(frames, (128, 128))                           # as it is
    clip = augmentation.fit(frames, (128, 128), rng.random(15))           # augmented

The looks are many, because cameras, encoders and websites are: a network that has seen a few people
in one look takes the look of others for a forgery.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.images import Change

NUM_DRAWS = 15  # random numbers an augmentation takes; the first is for the choice of frames
COMPRESSED_SHARE = 0.6  # of the clips: encoding and decoding again costs as much as reading does
RESAMPLED_SHARE, BLURRED_SHARE, SHARPENED_SHARE, NOISY_SHARE = 0.35, 0.1, 0.1, 0.2


@dataclass(frozen=True)
class Look:
    """What is done to a clip."""

    flip: bool
    crop: float  # side of the window kept, as a share of the face
    crop_y: float  # where in the room left: 0 = top, 1 = bottom
    crop_x: float
    brightness: float  # grey levels
    contrast: float  # factor around the mean of the clip
    gamma: float
    saturation: float
    hue: float  # in radians
    detail: Change | None  # another resolution or sharpness
    noise: Change | None
    quality: int | None  # of the JPEG the frames go through, or None


def look(draws: np.ndarray) -> Look:
    """Return the look for `draws`, `(15,)` numbers in [0, 1)."""
    return Look(
        flip=bool(draws[1] < 0.5),
        crop=1 - 0.15 * float(draws[2]),
        crop_y=float(draws[3]),
        crop_x=float(draws[4]),
        brightness=40 * (float(draws[5]) - 0.5),
        contrast=1 + 0.5 * (float(draws[6]) - 0.5),
        quality=int(35 + 60 * draws[8]) if draws[7] < COMPRESSED_SHARE else None,
        gamma=float(np.exp(draws[9] - 0.5)),
        saturation=1 + 0.6 * (float(draws[10]) - 0.5),
        hue=0.3 * (float(draws[11]) - 0.5),
        detail=_detail(float(draws[12]), float(draws[13])),
        noise=_noise(float(draws[14])),
    )


def _detail(kind: float, amount: float) -> Change | None:
    """Return a change of resolution or sharpness, or none, for numbers in [0, 1)."""
    if kind < RESAMPLED_SHARE:
        factor = 1.1 * (2.5 / 1.1) ** amount
        return lambda frame: images.resampled(frame, factor)
    if kind < RESAMPLED_SHARE + BLURRED_SHARE:
        return lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.4 + amount)
    if kind < RESAMPLED_SHARE + BLURRED_SHARE + SHARPENED_SHARE:
        return lambda frame: images.sharpened(frame, 1.2, 0.2 + amount)
    return None


def _noise(drawn: float) -> Change | None:
    if drawn >= NOISY_SHARE:
        return None
    return images.noise(1 + 5 * drawn / NOISY_SHARE, int(drawn * 2**24))


def fit(
    frames: np.ndarray, img_size: tuple[int, int], draws: np.ndarray | None = None
) -> np.ndarray:
    """Return frames `(n, *img_size, 3) uint8`, made from `(n, height, width, 3) uint8` RGB.

    With `draws`, `(15,)` numbers in [0, 1), they are augmented.
    """
    if draws is None:
        return frames if frames.shape[1:3] == img_size else _resize(frames, img_size)
    chosen = look(draws)
    clip = _resize(_window(frames, chosen), img_size)
    mean = cv2.mean(clip.reshape(-1, clip.shape[2] * 3))[0]  # two axes, as OpenCV likes it
    changes = _changes(chosen, mean)
    for frame in clip:
        if chosen.flip:
            cv2.flip(frame, 1, dst=frame)
        changed = frame
        for change in changes:
            changed = change(changed)
        frame[...] = changed
    return clip


def _changes(chosen: Look, mean: float) -> list[Change]:
    """Return what happens to the pixels, in the order in which it does on their way from a camera
    to a website; `mean` is that of the clip."""
    shift = mean * (1 - chosen.contrast) + chosen.brightness
    changes = [
        images.colour(chosen.contrast, shift, chosen.saturation, chosen.hue),
        images.tone(chosen.gamma),
        chosen.detail,
        chosen.noise,
    ]
    if chosen.quality is not None:
        changes.append(lambda frame: images.compress(frame, chosen.quality))
    return [change for change in changes if change is not None]


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
