"""Drawing on a square RGBA sprite, in the units of a face.

Lengths are in face units: 1 is half the width of an average face; x points right, y points down,
and the origin lies between the eyes. Outlines are points, `(n, 2)`.
"""

from collections.abc import Sequence

import cv2
import numpy as np

SPRITE_SIZE, UNIT_PX = 560, 88.0
CENTRE_PX = np.array([280.0, 210.0])
SUBPIXEL_BITS = 4  # of cv2's fixed-point coordinates

Colour = tuple[float, float, float]  # RGB, 0-255


def mix(first: Sequence | np.ndarray, second: Sequence | np.ndarray, share: float) -> Colour:
    """Return the colour `first` moved towards `second` by `share`, 0..1."""
    red, green, blue = (float(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def oval(x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
    """Return the outline of an ellipse, `(40, 2)`."""
    angle = np.linspace(0, 2 * np.pi, 40)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], 1)


def paint(
    sprite: np.ndarray,
    outline: np.ndarray,
    colour: Colour,
    opacity: float = 1.0,
    softness: float = 0.0,
    line_width: float = 0.0,
    within: np.ndarray | None = None,
) -> None:
    """Fill an outline on a premultiplied RGBA sprite, in place, or with `line_width` draw it.

    `softness` is the blur of the edge, and `within` an outline that clips the paint.
    """
    margin = (3 * softness + line_width) * UNIT_PX + 2
    corners = outline.min(axis=0), outline.max(axis=0)
    low, high = (corner * UNIT_PX + CENTRE_PX for corner in corners)
    left, top = np.clip(low - margin, 0, SPRITE_SIZE).astype(int).tolist()
    right, bottom = np.clip(high + margin, 0, SPRITE_SIZE).astype(int).tolist()
    box = np.s_[top:bottom, left:right]
    share = soft_mask(outline, softness, line_width, box)[..., None] * opacity
    if within is not None:
        share *= soft_mask(within, box=box)[..., None]
    sprite[box] = sprite[box] * (1 - share) + np.array([*colour, 255], np.float32) * share + 0.5


def soft_mask(
    outline: np.ndarray,
    softness: float = 0.0,
    line_width: float = 0.0,
    box: tuple[slice, slice] = np.s_[0:SPRITE_SIZE, 0:SPRITE_SIZE],
) -> np.ndarray:
    """Return a mask, float32 in 0..1, of a box of the sprite: 1 inside the outline."""
    rows, columns = box
    mask: np.ndarray = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    pixels = outline * UNIT_PX + CENTRE_PX - (columns.start, rows.start)
    points = np.round(pixels * 2**SUBPIXEL_BITS).astype(np.int32)
    if line_width:
        thickness = max(1, round(line_width * UNIT_PX))
        cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    else:
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    if softness:
        mask = cv2.GaussianBlur(mask, (0, 0), softness * UNIT_PX)
    return mask.astype(np.float32) / 255
