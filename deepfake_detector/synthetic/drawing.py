"""Drawing with smooth edges, in the units of a face: 1 is half the width of an average face."""

from collections.abc import Sequence

import cv2
import numpy as np

# A head is drawn on a square RGBA sprite, then moved into the frame by one similarity transform.
# Lengths on a face are in face units: 1 = half the width of an average face.
SPRITE_SIZE = 384
UNIT_PX = 88.0
CENTRE_PX = (192.0, 205.0)
SUBPIXEL_BITS = 4  # cv2's fixed-point drawing coordinates

Colour = tuple[float, float, float]  # RGB, 0-255


def mix_colours(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, share: float
) -> Colour:
    """Return `first` moved towards `second` by `share`, 0..1."""
    red, green, blue = (float(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def sprite_points(xy: np.ndarray) -> np.ndarray:
    """Return points in face units as cv2's fixed-point sprite coordinates, `(n, 2) int32`."""
    pixels = np.asarray(xy, np.float64) * UNIT_PX + CENTRE_PX
    return np.round(pixels * 2**SUBPIXEL_BITS).astype(np.int32)


def oval_outline(
    x: float, y: float, half_width: float, half_height: float, tilt: float = 0
) -> np.ndarray:
    """Return the outline of an ellipse, `(40, 2)` face units; `tilt` is in degrees, clockwise."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    across, down = half_width * np.cos(angle), half_height * np.sin(angle)
    cosine, sine = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    return np.stack([x + across * cosine - down * sine, y + across * sine + down * cosine], 1)


def fill_outline(image: np.ndarray, outline: np.ndarray, colour: Sequence[float]) -> None:
    """Fill an outline in face units with an opaque colour and smooth edges, in place."""
    cv2.fillPoly(image, [sprite_points(outline)], (*colour, 255), cv2.LINE_AA, SUBPIXEL_BITS)


def draw_line(image: np.ndarray, xy: np.ndarray, colour: Sequence[float], width: float) -> None:
    """Draw an open line through points `(n, 2)`, in place; they and `width` are in face units."""
    thickness = max(1, round(width * UNIT_PX))
    cv2.polylines(
        image, [sprite_points(xy)], False, (*colour, 255), thickness, cv2.LINE_AA, SUBPIXEL_BITS
    )


def soft_mask(outline: np.ndarray, softness: float = 0.0) -> np.ndarray:
    """Return a mask, `(SPRITE_SIZE, SPRITE_SIZE) float32` in 0..1: 1 inside the outline, with an
    edge blurred by `softness` face units."""
    mask: np.ndarray = np.zeros((SPRITE_SIZE, SPRITE_SIZE), np.uint8)
    cv2.fillPoly(mask, [sprite_points(outline)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    if softness > 0:
        mask = cv2.GaussianBlur(mask, (0, 0), softness * UNIT_PX)
    return mask.astype(np.float32) / 255


def paint_over(sprite: np.ndarray, mask: np.ndarray, colour: Sequence[float]) -> None:
    """Lay a colour over a premultiplied RGBA sprite where the mask, 0..1, says so, in place."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = mask[box][..., None]
    paint = np.array([*colour, 255], np.float32)
    sprite[box] = np.clip(sprite[box] * (1 - share) + paint * share + 0.5, 0, 255)


def smooth_noise(rng: np.random.Generator, length: int, period: float) -> np.ndarray:
    """Return a smooth random curve, `(length,)` in about -1..1, that turns about every `period`."""
    knots = rng.uniform(-1, 1, int(length / period) + 4)
    where = np.arange(length) / period + rng.uniform(0, 1)
    low = where.astype(int)
    share = (1 - np.cos((where - low) * np.pi)) / 2
    return knots[low] * (1 - share) + knots[low + 1] * share


def lay_over(frame: np.ndarray, layer: np.ndarray) -> None:
    """Lay a premultiplied RGBA layer, uint8, over an RGB frame, float32, in place."""
    left, top, width, height = cv2.boundingRect(layer[..., 3])  # only there: much faster
    box = np.s_[top : top + height, left : left + width]
    frame[box] *= 1 - layer[box][..., 3:] / np.float32(255)
    frame[box] += layer[box][..., :3]
