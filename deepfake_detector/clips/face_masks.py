"""Random soft masks of a face or of a part of it, for self-blends.

    masks = random_masks(frames, np.random.default_rng(7))     # (n, height, width) float32, 0..1

Forgeries replace what their makers cut out: the hull of the landmarks, the inner face, a mouth.
With landmarks (landmarks.py) masks lie on these parts and move with them. Without, they are about
there, because crops of processing.py have the face in one place: in sides of the crop, the eyes lie
near y = 0.42, the mouth near 0.67 and the chin near 0.83 (means over 4,000 crops).
"""

from collections.abc import Mapping

import cv2
import numpy as np

from deepfake_detector.clips.landmarks import (
    BROWS,
    CHIN,
    FOREHEAD,
    LEFT_EYE,
    LIPS,
    NOSE,
    OVAL,
    RIGHT_EYE,
    affine,
)

GRID = 96  # side in pixels of the grid that a mask is made on
OUTLINE_SHARE = 0.5  # of masks with the outline of a face or a part of it; the others are ovals
# A network that sees little but whole faces replaced learns their outline, and misses mouths that
# were changed (docs/accuracy.md).
OVAL_SHARES = {"whole": 0.4, "lower": 0.3, "small": 0.3}
OUTLINE_SHARES = {"hull": 0.43, "inner": 0.31, "lower": 0.09, "mouth": 0.09, "eyes": 0.08}
MARKED_SHARES = {
    "hull": 0.3, "inner": 0.2, "oval": 0.14, "lower": 0.12, "mouth": 0.1, "eyes": 0.07,
    "nose": 0.07,
}  # fmt: skip
SKIN_SHARE = 0.6  # of outlines that end where the skin does
SKIN_REACH = (18.0, 4.0, 4.0)  # least standard deviations of skin in Y, Cr and Cb, grey levels


def random_masks(
    frames: np.ndarray, rng: np.random.Generator, marks: np.ndarray | None = None
) -> np.ndarray:
    """Return a soft region of the face in frames `(n, height, width, 3) uint8` RGB, as `(n, height,
    width) float32` 0..1. Its largest value is 1 in the first frame.

    With the landmarks of the frames, `marks` `(n, 468, 2)`, it is a part of the face that they
    outline, and moves with them. Without, it has one place in all frames.
    """
    height, width = frames.shape[1:3]
    if marks is None:
        mask = _outline(frames[0], rng) if rng.random() < OUTLINE_SHARE else _oval(rng)
        mask = cv2.resize(_softened(mask, rng), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.stack([mask] * len(frames))
    mask = _softened(_bent(_filled(_marked_part(marks[0], rng)), rng), rng)
    masks = []
    for own in marks:
        matrix = affine(own * (width, height), marks[0] * GRID)  # pixels of the frame to the grid
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        masks.append(cv2.warpAffine(mask, matrix, (width, height), flags=flags))
    return np.stack(masks)


def random_kind(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """Return one of the names, each with the probability that it has in `shares`."""
    return str(rng.choice(list(shares), p=list(shares.values())))


# Ovals


def _oval(rng: np.random.Generator) -> np.ndarray:
    """Return an uneven oval between an ellipse and a rounded box, 0 or 1; often only its lower
    part, or a smaller one."""
    y, x = np.mgrid[0:GRID, 0:GRID].astype(np.float32) / (GRID - 1)
    kind = random_kind(rng, OVAL_SHARES)
    shrink = rng.uniform(0.55, 0.8) if kind == "small" else 1.0
    x = (x - rng.normal(0.5, 0.015)) / (rng.uniform(0.19, 0.29) * shrink)
    y = (y - rng.normal(0.54, 0.02)) / (rng.uniform(0.24, 0.34) * shrink)
    tilt = rng.normal(0, 0.06)
    x, y = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    exponent = rng.uniform(2, 3.5)
    radius = (np.abs(x) ** exponent + np.abs(y) ** exponent) ** (1 / exponent)
    angle, border = np.arctan2(y, x), np.ones_like(radius)
    for waves in (2, 3, 4, 5):
        height = rng.normal(0, 0.05 / np.sqrt(waves - 1))
        border += height * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    mask = (radius < border).astype(np.float32)
    if kind == "lower":  # below a slanting line near the nose
        mask *= y > rng.uniform(-0.25, 0.25) + rng.normal(0, 0.1) * x
    return mask


# Outlines


def _outline(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the outline of a face or of a part of it, 0..1; often cut at the end of the skin."""
    kind = random_kind(rng, OUTLINE_SHARES)
    points = _corners(kind, rng) + rng.normal(0, 0.012, 2)
    points += rng.normal(0, 0.008, points.shape)
    tilt, scale = rng.normal(0, 0.06), rng.uniform(0.92, 1.1)
    turn = scale * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    points = (points - 0.5) @ turn.T + 0.5
    mask = _bent(_filled(points), rng)
    if kind in ("hull", "lower") and rng.random() < SKIN_SHARE:
        on_skin = mask * _skin(frame, rng)
        if on_skin.sum() > 0.5 * mask.sum():  # otherwise hair, a beard or the light misled it
            return on_skin
    return mask


def _filled(points: np.ndarray) -> np.ndarray:
    """Return 1 within the convex hull of points in sides of the crop, else 0, on the grid."""
    mask = np.zeros((GRID, GRID), np.uint8)
    hull = cv2.convexHull(np.rint(points * GRID * 16).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 255, lineType=cv2.LINE_AA, shift=4)  # sixteenths of a pixel
    return mask.astype(np.float32) / 255


def _marked_part(marks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return points whose convex hull is a part of the face with landmarks `(468, 2)`."""
    kind = random_kind(rng, MARKED_SHARES)
    up = marks[FOREHEAD] - marks[CHIN]
    oval, brows = marks[list(OVAL)], marks[list(BROWS)]
    eyes, nose, lips = (marks[list(part)] for part in (LEFT_EYE + RIGHT_EYE, NOSE, LIPS))
    if kind == "hull":  # the brows at a random height, and what of the oval is below them
        return np.vstack([oval[oval @ up < np.min(brows @ up)], brows + up * rng.uniform(0, 0.12)])
    if kind == "lower":  # below a line across the nose
        line = marks[rng.choice([2, 1, 5])]
        return np.vstack([oval[oval @ up < line @ up], nose[nose @ up <= line @ up]])
    part = {
        "oval": oval,
        "inner": np.vstack([brows, nose, lips]),
        "mouth": lips,
        "eyes": np.vstack([eyes, brows]),
        "nose": np.vstack([nose, lips]),
    }[kind]
    largest = {"oval": 1.05, "inner": 1.15, "mouth": 1.7, "eyes": 1.25, "nose": 1.3}[kind]
    middle = part.mean(axis=0)
    return middle + (part - middle) * rng.uniform(0.95, largest)


def _corners(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return points whose convex hull is the outline, `(n, 2)` x and y in sides of the crop."""
    half_width, chin = rng.uniform(0.19, 0.26), rng.uniform(0.78, 0.88)
    angle = np.linspace(0, np.pi, 16)
    roundness = rng.uniform(0.75, 1.1)
    jaw = np.column_stack([
        0.5 + half_width * np.cos(angle), 0.47 + (chin - 0.47) * np.sin(angle) ** roundness,
    ])  # fmt: skip
    if kind == "hull":  # up to the brows, or to the forehead
        top = float(rng.choice([0.35, 0.32, 0.27, 0.22]))
        brows = [(0.5 + side * half_width, top + 0.03 * (abs(side) > 0.5))
                 for side in (-0.8, -0.4, 0.4, 0.8)]  # fmt: skip
        return np.vstack([jaw, brows])
    if kind == "inner":  # brows to mouth
        top, bottom = rng.uniform(0.31, 0.37), rng.uniform(0.70, 0.78)
        above, below = rng.uniform(0.15, 0.21), rng.uniform(0.09, 0.15)
        rows = [(above, top), (above, 0.46), (below, bottom)]
        return np.array([(0.5 + side * width, y) for width, y in rows for side in (-1, 1)])
    if kind == "lower":  # below the nose
        top = rng.uniform(0.5, 0.58)
        ends = [(0.5 - 0.9 * half_width, top), (0.5 + 0.9 * half_width, top)]
        return np.vstack([jaw[jaw[:, 1] > top], ends])
    if kind == "mouth":
        return _ellipse(rng.uniform(0.655, 0.69), rng.uniform(0.08, 0.15), rng.uniform(0.045, 0.09))
    return _ellipse(rng.uniform(0.40, 0.44), rng.uniform(0.17, 0.23), rng.uniform(0.05, 0.1))


def _ellipse(y: float, half_width: float, half_height: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.column_stack([0.5 + half_width * np.cos(angle), y + half_height * np.sin(angle)])


def _bent(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mask under a smooth elastic warp."""
    coarse = rng.normal(0, rng.uniform(0, 2), (5, 5, 2)).astype(np.float32)
    warp = cv2.resize(coarse, (GRID, GRID), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:GRID, 0:GRID].astype(np.float32)
    return cv2.remap(mask, x + warp[..., 0], y + warp[..., 1], cv2.INTER_LINEAR)


def _skin(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 1 where the frame has about the colour of nose and cheeks, else 0, on the grid."""
    small = cv2.resize(frame, (GRID, GRID), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    cheeks = colours[int(0.48 * GRID) : int(0.6 * GRID), int(0.34 * GRID) : int(0.66 * GRID)]
    cheeks = cheeks.reshape(-1, 3)
    middle = np.median(cheeks, axis=0)
    spread = 1.48 * np.median(np.abs(cheeks - middle), axis=0)  # a robust standard deviation
    spread = np.maximum(spread, SKIN_REACH) * rng.uniform(1.2, 2)
    distance = (((colours - middle) / spread) ** 2) @ np.array([0.5, 1, 1], np.float32)
    likely = cv2.GaussianBlur(np.exp(-distance / 4), (0, 0), 1.3) > 0.35
    closed = cv2.morphologyEx(likely.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return closed.astype(np.float32)


# Borders


def _softened(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mask with a soft border, its largest value 1."""
    sigma = np.exp(rng.uniform(np.log(0.3), np.log(6)))  # pixels of the grid
    kind = rng.random()
    if kind < 0.5:  # shrunk first, as makers of forgeries do to keep clear of the outline
        side = 2 * int(rng.integers(0, 5)) + 1
        shrunk = cv2.erode(mask, np.ones((side, side), np.uint8))
        mask = shrunk if np.max(shrunk) > 0.5 else mask
    mask = cv2.GaussianBlur(mask, (0, 0), sigma)
    if kind > 0.75:  # softened inwards only
        mask = cv2.GaussianBlur(np.clip(2 * mask - 1, 0, 1), (0, 0), sigma * rng.uniform(0.3, 1))
    return mask / max(float(np.max(mask)), 1e-3)
