"""Self-blending: fakes made from real faces, by a part of a face that is altered and blended back.

Arrays in, arrays out, with OpenCV and NumPy. Forgeries have in common a region that does not belong
to the rest of the picture: of another resolution, sharpness, colour or compression, slightly out of
place, behind a soft border. A network learns to find such regions from the faces of real people
alone, without a forgery. The idea is that of self-blended images (Shiohara and Yamasaki, CVPR 2022,
arXiv:2204.08376), for clips: all frames of a clip are altered alike, with a little flicker in the
place of the face. With landmarks, some faces get another expression, as re-enactment gives them.

    target, blend, masks = self_blending.blend(frames, np.random.default_rng(7))
"""

import functools
from collections.abc import Callable

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.clips import landmarks
from deepfake_detector.clips.face_masks import random_kind, random_masks
from deepfake_detector.images import Change

INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)
# Generators seldom make faces as sharp as cameras do: mostly the face is altered, and mostly to be
# smoother. Real faces are often sharper than what lies behind them.
SOURCE_ALTERED_SHARE = 0.9
EXPRESSION_SHARE = 0.4  # of the clips with landmarks: the face has another mouth and other eyes
GENERATED_SHARE = 0.3  # of the clips whose face looks like the output of a generator
SMOOTHINGS: tuple[Change, ...] = (
    lambda frame: cv2.medianBlur(frame, 3),
    lambda frame: cv2.bilateralFilter(frame, 5, 30, 3),
    lambda frame: cv2.GaussianBlur(frame, (0, 0), 0.6),
    lambda frame: frame,
)
DETAIL_SHARES = {"resolution": 0.55, "blur": 0.2, "sharpen": 0.08, "coding": 0.12, "noise": 0.05}


def blend(
    frames: np.ndarray, rng: np.random.Generator, with_landmarks: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `(target, blend, masks)` for the frames of a clip, `(n, height, width, 3) uint8` RGB.

    `target` is the clip to show as real, `blend` the one to show as fake: `target` with the face of
    another version of the same frame in it. `masks`, `(n, height, width) float32` 0..1, are the
    share of that other version. The face is expected in the middle of the frames, with a margin of
    about 30 %.

    Now and then the target is altered and not the face, so that no alteration by itself means fake.
    """
    size = frames.shape[1:3]
    altered = _altered(frames, _random_alterations(rng))
    source, target = (altered, frames) if rng.random() < SOURCE_ALTERED_SHARE else (frames, altered)
    next_place, warp = _random_places(rng, size), _random_warp(rng, size)
    uses_landmarks = with_landmarks and rng.random() < landmarks.SHARE
    marks = landmarks.find(frames) if uses_landmarks else None
    masks = random_masks(frames, rng, marks)
    masks = masks * np.float32(rng.choice([0.5, 0.75, 1, 1, 1]))  # opacity
    if marks is not None and rng.random() < EXPRESSION_SHARE:
        source = _with_other_expression(source, marks, rng)
    blended = np.empty_like(target)
    for number, (below, above) in enumerate(zip(target, source, strict=True)):
        moved = _warped(above, next_place(), warp)
        blended[number] = cv2.blendLinear(moved, below, masks[number], 1 - masks[number])
    return target, blended, masks


# What is altered


def _random_alterations(rng: np.random.Generator) -> list[Change]:
    """Return what is done to every frame of the source or of the target: colour, detail or both."""
    if rng.random() < GENERATED_SHARE:
        return [*([random_colour(rng)] if rng.random() < 0.6 else []), random_generator(rng)]
    alters_colour, alters_detail = rng.random(2) < (0.8, 0.75)
    alterations = [random_colour(rng)] if alters_colour else []
    if alters_detail or not alters_colour:
        alterations.append(random_detail(rng))
    return alterations


def _altered(frames: np.ndarray, alterations: list[Change]) -> np.ndarray:
    altered = np.empty_like(frames)
    for number, frame in enumerate(frames):
        for alteration in alterations:
            frame = alteration(frame)
        altered[number] = frame
    return altered


def random_colour(rng: np.random.Generator) -> Change:
    """Return an alteration of hue, saturation, contrast, brightness and white balance."""
    applied = rng.random(4) < 0.6
    contrast = 1 + applied[1] * rng.uniform(-0.15, 0.15)
    brightness = applied[1] * rng.uniform(-25, 25)
    return images.colour(
        contrast,
        127 * (1 - contrast) + brightness + applied[0] * rng.uniform(-20, 20, 3),
        saturation=1 + applied[3] * rng.uniform(-0.3, 0.3),
        hue=applied[2] * rng.uniform(-0.2, 0.2),
    )


def random_detail(rng: np.random.Generator) -> Change:
    """Return an alteration of resolution, sharpness, compression or noise."""
    kind = random_kind(rng, DETAIL_SHARES)
    if kind == "resolution":
        factor = np.exp(rng.uniform(np.log(1.3), np.log(3.5)))
        down, up = (INTERPOLATIONS[i] for i in (rng.integers(3), rng.integers(2)))
        return lambda frame: images.resampled(frame, factor, down, up)
    if kind == "blur":
        sigma = rng.uniform(0.5, 1.8)
        return lambda frame: cv2.GaussianBlur(frame, (0, 0), sigma)
    if kind == "sharpen":
        sigma, amount = rng.uniform(0.8, 2), rng.uniform(0.3, 1)
        return lambda frame: images.sharpened(frame, sigma, amount)
    if kind == "coding":
        quality = int(rng.uniform(25, 75))
        return lambda frame: images.compress(frame, quality)
    return images.noise(rng.uniform(2, 6), int(rng.integers(2**32)))


def random_generator(rng: np.random.Generator) -> Change:
    """Return what generators of whole faces do to one: few pixels, smooth skin, the lattice that
    upsampling leaves (Odena et al. 2016, doi:10.23915/distill.00003), and then sharpening."""
    side = np.exp(rng.uniform(np.log(77), np.log(206)))  # of the crop, in pixels that are left
    enlarge = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[rng.integers(3)]
    smooth = SMOOTHINGS[rng.integers(len(SMOOTHINGS))]
    period, amplitude = int(rng.choice([2, 4, 8])), rng.uniform(0, 2.5) * (rng.random() < 0.5)
    amount = rng.uniform(0, 1.2) * (rng.random() < 0.5)

    def generate(frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        few = max(1, round(min(side, width)))
        small = smooth(cv2.resize(frame, (few, few), interpolation=cv2.INTER_AREA))
        large = cv2.resize(small, (width, height), interpolation=enlarge)
        if amount:
            large = images.sharpened(large, 1.5, amount)
        y, x = np.mgrid[0:height, 0:width]
        lattice = ((x % period == 0) | (y % period == 0)) - 1.5 / period
        return np.clip(large + 2 * amplitude * lattice[..., None], 0, 255).astype(np.uint8)

    return generate


# Where it lies


def _random_places(rng: np.random.Generator, size: tuple[int, int]) -> Callable[[], np.ndarray]:
    """Return what returns for each frame where the altered face lies on it, an affine matrix
    `(2, 3)`: a little larger, turned and shifted, with flicker in half of the clips."""
    height, width = size
    scale, degrees = 1 + rng.uniform(-0.05, 0.05), rng.normal(0, 1)
    shift_xy = (rng.uniform(-0.03, 0.03), rng.uniform(-0.015, 0.015))  # shares of the frame's side
    flicker = 0.003 if rng.random() < 0.5 else 0.0  # a standard deviation, as the shift

    def place() -> np.ndarray:
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
        shift = shift_xy + rng.normal(0, flicker, 2)
        matrix[:, 2] = matrix[:, 2] + shift * (width, height)
        return matrix

    return place


def _random_warp(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray | None:
    """Return a small, smooth elastic warp, `(height, width, 2) float32`, or None for half of the
    clips: how many pixels each pixel is shifted in x and y."""
    if rng.random() < 0.5:
        return None
    coarse = rng.normal(0, rng.uniform(0.5, 2), (7, 7, 2)).astype(np.float32)
    height, width = size
    coarse *= width / 224  # the numbers above are pixels of a crop of 224
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _with_other_expression(
    frames: np.ndarray, marks: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the frames with mouth and eyes warped to another expression."""
    changed = landmarks.other_expression(marks, rng)
    size = (frames.shape[1], frames.shape[2])
    return np.stack([
        images.remapped(frame, landmarks.source_positions(target, own, size))
        for frame, own, target in zip(frames, marks, changed, strict=True)
    ])  # fmt: skip


def _warped(frame: np.ndarray, matrix: np.ndarray, warp: np.ndarray | None) -> np.ndarray:
    """Return the frame under the affine `matrix` and then the elastic `warp`."""
    height, width = frame.shape[:2]
    if warp is None:
        return cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    inverse = cv2.invertAffineTransform(matrix)
    source_xy = cv2.transform(_pixel_positions(height, width), inverse) + warp
    return images.remapped(frame, source_xy)


@functools.cache
def _pixel_positions(height: int, width: int) -> np.ndarray:
    """Return x and y of every pixel, `(height, width, 2) float32`."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.dstack([x, y])
