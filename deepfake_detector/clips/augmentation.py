"""Fits the decoded frames of a clip to the network, with or without a random augmentation.

Arrays in, arrays out, with OpenCV and NumPy. All frames of a clip are augmented alike, because
fakes are known by flicker between frames.

    clip = augmentation.fit(frames, (128, 128))                           # as it is
    clip = augmentation.fit(frames, (128, 128), rng.random(NUM_RANDOM))   # augmented

Cameras, encoders and websites vary, and so do the augmentations: a network that has seen a few
people through one camera takes those of another camera for forgeries.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.images import Change

NUM_RANDOM = 15  # random numbers of an augmentation; the first is the phase of frame sampling
COMPRESSED_SHARE = 0.6  # of the clips: to encode and decode again costs as much as reading does
RESAMPLED_SHARE, BLURRED_SHARE, SHARPENED_SHARE, NOISY_SHARE = 0.35, 0.1, 0.1, 0.2


@dataclass(frozen=True)
class AugmentationParameters:
    """What is done to all frames of a clip."""

    flip: bool  # left and right
    crop: float  # side of the window kept, as a share of the face
    crop_y: float  # where in the room left: 0 = top, 1 = bottom
    crop_x: float  # 0 = left, 1 = right
    brightness: float  # added grey levels
    contrast: float  # factor around the mean of the clip
    gamma: float
    saturation: float  # factor
    hue: float  # radians
    detail: Change | None  # another resolution or sharpness
    noise: Change | None
    quality: int | None  # 0..100, of the JPEG that the frames go through


def fit(
    frames: np.ndarray, img_size: tuple[int, int], random_numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return a clip `(n, *img_size, 3) uint8` of frames `(n, height, width, 3) uint8` RGB.

    With `random_numbers`, `(NUM_RANDOM,)` in [0, 1), the clip is augmented.
    """
    if random_numbers is None:
        return frames if frames.shape[1:3] == img_size else _resize(frames, img_size)
    parameters = augmentation_parameters(random_numbers)
    clip = _resize(_window(frames, parameters), img_size)
    mean = cv2.mean(clip.reshape(-1, clip.shape[2] * 3))[0]  # OpenCV wants two axes
    alterations = _alterations(parameters, mean)
    for frame in clip:
        if parameters.flip:
            cv2.flip(frame, 1, dst=frame)
        altered = frame
        for alteration in alterations:
            altered = alteration(altered)
        frame[...] = altered
    return clip


def augmentation_parameters(numbers: np.ndarray) -> AugmentationParameters:
    """Return the parameters for `(NUM_RANDOM,)` random numbers in [0, 1)."""
    return AugmentationParameters(
        flip=bool(numbers[1] < 0.5),
        crop=1 - 0.15 * float(numbers[2]),
        crop_y=float(numbers[3]),
        crop_x=float(numbers[4]),
        brightness=40 * (float(numbers[5]) - 0.5),
        contrast=1 + 0.5 * (float(numbers[6]) - 0.5),
        quality=int(35 + 60 * numbers[8]) if numbers[7] < COMPRESSED_SHARE else None,
        gamma=float(np.exp(numbers[9] - 0.5)),
        saturation=1 + 0.6 * (float(numbers[10]) - 0.5),
        hue=0.3 * (float(numbers[11]) - 0.5),
        detail=_detail(float(numbers[12]), float(numbers[13])),
        noise=_noise(float(numbers[14])),
    )


def _detail(kind: float, amount: float) -> Change | None:
    """Return an alteration of resolution or sharpness, or None, for numbers in [0, 1)."""
    if kind < RESAMPLED_SHARE:
        factor = 1.1 * (2.5 / 1.1) ** amount
        return lambda frame: images.resampled(frame, factor)
    if kind < RESAMPLED_SHARE + BLURRED_SHARE:
        return lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.4 + amount)
    if kind < RESAMPLED_SHARE + BLURRED_SHARE + SHARPENED_SHARE:
        return lambda frame: images.sharpened(frame, 1.2, 0.2 + amount)
    return None


def _noise(number: float) -> Change | None:
    """Return noise whose strength and seed depend on a number in [0, 1), or None."""
    if number >= NOISY_SHARE:
        return None
    return images.noise(1 + 5 * number / NOISY_SHARE, int(number * 2**24))


def _alterations(parameters: AugmentationParameters, mean: float) -> list[Change]:
    """Return what happens to the pixels, in the order of their way from a camera to a website.

    `mean` is that of the clip in grey levels.
    """
    contrast, quality = parameters.contrast, parameters.quality
    shift = mean * (1 - contrast) + parameters.brightness
    alterations = [
        images.colour(contrast, shift, parameters.saturation, parameters.hue),
        images.tone(parameters.gamma),
        parameters.detail,
        parameters.noise,
    ]
    if quality is not None:
        alterations.append(lambda frame: images.compress(frame, quality))
    return [alteration for alteration in alterations if alteration is not None]


def _window(frames: np.ndarray, parameters: AugmentationParameters) -> np.ndarray:
    """Return the window of the frames that is kept, `(n, height, width, 3)`."""
    whole = np.array(frames.shape[1:3])
    height, width = (whole * parameters.crop).astype(int)
    room = whole - (height, width)
    top, left = (room * (parameters.crop_y, parameters.crop_x)).astype(int)
    return frames[:, top : top + height, left : left + width]


def _resize(frames: np.ndarray, img_size: tuple[int, int]) -> np.ndarray:
    """Return the frames in that size, in an array that the caller may write on."""
    height, width = img_size
    if frames.shape[1:3] == (height, width):
        return frames.copy()
    # Linear interpolation looks at two pixels a side, and so passes over some if it shrinks to
    # less than half. Averaging the area costs ten times as much, and only pays there.
    shrinks = frames.shape[1] > 2 * height or frames.shape[2] > 2 * width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    clip = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, resized in zip(frames, clip, strict=True):
        cv2.resize(frame, (width, height), dst=resized, interpolation=interpolation)
    return clip
