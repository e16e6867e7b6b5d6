"""Fits the decoded frames of a clip to the network, with or without a random augmentation.

Arrays in, arrays out, with OpenCV and NumPy. All frames of a clip are augmented alike, because
fakes are known by flicker between frames.

    clip = augmentation.fit(frames, (128, 128))                           # as it is
    clip = augmentation.fit(frames, (128, 128), rng.random(NUM_RANDOM))   # augmented

Cameras, encoders and websites vary, and so do the augmentations: a network that has seen a few
people through one camera takes those of another camera for forgeries.
"""

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.images import Change

NUM_RANDOM = 15  # random numbers of an augmentation; the first is the phase of frame sampling
COMPRESSED_SHARE = 0.6  # of the clips: to encode and decode again costs as much as reading does
RESAMPLED_SHARE, BLURRED_SHARE, SHARPENED_SHARE, NOISY_SHARE = 0.35, 0.1, 0.1, 0.2


def fit(
    frames: np.ndarray, img_size: tuple[int, int], random_numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return a clip `(n, *img_size, 3) uint8` of frames `(n, height, width, 3) uint8` RGB.

    With `random_numbers`, `(NUM_RANDOM,)` in [0, 1), the clip is augmented.
    """
    if random_numbers is None:
        return frames if frames.shape[1:3] == img_size else _resize(frames, img_size)
    clip = _resize(_window(frames, *random_numbers[2:5].tolist()), img_size)
    mean = cv2.mean(clip.reshape(-1, clip.shape[2] * 3))[0]  # OpenCV wants two axes
    alterations = _alterations(random_numbers[5:], mean)
    for frame in clip:
        if random_numbers[1] < 0.5:
            cv2.flip(frame, 1, dst=frame)
        altered = frame
        for alteration in alterations:
            altered = alteration(altered)
        frame[...] = altered
    return clip


def _window(frames: np.ndarray, size: float, y: float, x: float) -> np.ndarray:
    """Return a window of the frames, `(n, height, width, 3)`, for numbers in [0, 1): how much
    smaller it is, and where in the room left it lies, from the top and from the left."""
    whole = np.array(frames.shape[1:3])
    height, width = (whole * (1 - 0.15 * size)).astype(int)
    room = whole - (height, width)
    top, left = (room * (y, x)).astype(int)
    return frames[:, top : top + height, left : left + width]


def _alterations(numbers: np.ndarray, mean: float) -> list[Change]:
    """Return what happens to the pixels, in the order of their way from a camera to a website, for
    random numbers in [0, 1).

    `mean` is that of the clip in grey levels.
    """
    brightness, contrast, compress, quality, gamma, saturation, hue, kind, amount, noise = numbers
    gain = 1 + 0.5 * (float(contrast) - 0.5)
    shift = mean * (1 - gain) + 40 * (float(brightness) - 0.5)
    alterations = [
        images.colour(
            gain, shift, 1 + 0.6 * (float(saturation) - 0.5), hue=0.3 * (float(hue) - 0.5)
        ),
        images.tone(float(np.exp(gamma - 0.5))),
        _detail(float(kind), float(amount)),
        _noise(float(noise)),
    ]
    if compress < COMPRESSED_SHARE:
        jpeg_quality = int(35 + 60 * quality)
        alterations.append(lambda frame: images.compress(frame, jpeg_quality))
    return [alteration for alteration in alterations if alteration is not None]


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
