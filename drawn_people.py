"""Drawn people: a talking head from numbers, and the swap of one drawn face for another.

`draw_person` draws up a look, `draw_frames` films it, `swap_faces` puts another person's inner face
(eyes, nose, mouth) into that film, with the marks face swapping leaves: lower sharpness, and some
of colour mismatch, a blending edge, flicker and missing noise. Arrays only, RGB, no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

# A head is drawn on a square RGBA sprite, then moved into the frame by one similarity transform.
# Lengths on a face are in face units: 1 = half the width of an average face.
SPRITE_SIZE = 384
UNIT_PX = 88.0
CENTRE_PX = (192.0, 205.0)
SUBPIXEL_BITS = 4  # cv2's fixed-point drawing coordinates

SKIN_TONES = (
    (250, 219, 195),
    (240, 196, 162),
    (222, 170, 128),
    (192, 136, 96),
    (146, 96, 66),
    (108, 71, 51),
)
HAIR_COLOURS = (
    (28, 24, 24),
    (48, 33, 26),
    (82, 54, 36),
    (116, 66, 36),
    (160, 120, 70),
    (205, 172, 112),
    (120, 118, 118),
    (132, 58, 28),
)
IRIS_COLOURS = ((70, 42, 24), (96, 62, 34), (84, 104, 62), (72, 104, 140), (92, 100, 108))
HAIR_STYLES = ("short", "side", "fringe", "long", "long_parted", "curly", "bun", "bald")
BACKGROUNDS = ("gradient", "blobs", "stripes", "bookshelf", "window", "panels")

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Person:
    """The look of one person. Colours are RGB 0-255, lengths are face units, angles degrees."""

    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    lip: Colour
    clothing: Colour
    hair_style: str
    face_width: float
    face_height: float
    jaw: float  # how much the face narrows towards the chin, 0-0.4
    eye_x: float
    eye_width: float
    eye_height: float
    eye_slant: float
    brow_y: float
    brow_thickness: float
    brow_tilt: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lip_fullness: float
    smile: float
    texture: float  # contrast of the skin's grain
    beard: float  # opacity, 0 = none
    glasses: int  # 0 = none, 1 = round, 2 = wide
    collar: int  # 0 = round, 1 = V, 2 = shirt


@dataclass(frozen=True)
class Motion:
    """How a head moves: arrays of num_frames values."""

    matrices: np.ndarray  # (num_frames, 2, 3) float64, sprite px to frame px
    eye_open: np.ndarray  # 0 = shut, 1 = open
    mouth_open: np.ndarray  # 0 = shut, 1 = wide open
    gaze: np.ndarray  # sideways, -1 to 1


@dataclass(frozen=True)
class Scene:
    """What stays the same through a video, besides the person."""

    background: np.ndarray  # (H, W, 3) float32 RGB 0-255
    body: np.ndarray  # (H, W, 4) uint8, premultiplied RGBA
    light: np.ndarray  # (H, W, 3) float32 factor
    light_direction: tuple[float, float]  # towards the light, x right, y down; length = strength
    defocus_px: float
    noise_level: float  # standard deviation, 0-255 scale


@dataclass(frozen=True)
class Marks:
    """Strength of the marks that one face swap leaves; 0 = absent."""

    resolution_px: int  # side of the square the donor's face passes through (its box is 2.6 units)
    softness_px: float  # blur at that resolution
    skin_residue: float  # share of the skin difference that colour transfer leaves
    gain: Colour  # per-channel factor on the pasted face
    edge: float  # levels added along the blending edge
    jitter_px: float  # standard deviation of the pasted face's shift per frame
    flicker: float  # standard deviation of its brightness factor per frame
    noise_kept: float  # share of the sensor noise put back over the pasted face, 0-1
    feather: float  # softness of the mask, face units


def mix_colours(first: Sequence[float], second: Sequence[float], share: float) -> Colour:
    """`first` moved towards `second` by `share` (0-1)."""
    return tuple(float(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def sprite_points(xy: np.ndarray) -> np.ndarray:
    """(n, 2) face units to cv2's fixed-point sprite coordinates."""
    pixels = np.asarray(xy, np.float64) * UNIT_PX + CENTRE_PX
    return np.round(pixels * 2**SUBPIXEL_BITS).astype(np.int32)


def oval_outline(
    x: float, y: float, half_width: float, half_height: float, tilt: float = 0
) -> np.ndarray:
    """Outline of an ellipse in face units, (40, 2); `tilt` in degrees, clockwise."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    across, down = half_width * np.cos(angle), half_height * np.sin(angle)
    cosine, sine = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    return np.stack([x + across * cosine - down * sine, y + across * sine + down * cosine], 1)


def fill_outline(image: np.ndarray, outline: np.ndarray, colour: Sequence[float]) -> None:
    """Fill an outline given in face units, with smooth edges (opaque)."""
    cv2.fillPoly(image, [sprite_points(outline)], (*colour, 255), cv2.LINE_AA, SUBPIXEL_BITS)


def draw_line(image: np.ndarray, xy: np.ndarray, colour: Sequence[float], width: float) -> None:
    """Draw an open line through (n, 2) face units; `width` in face units."""
    thickness = max(1, round(width * UNIT_PX))
    cv2.polylines(
        image, [sprite_points(xy)], False, (*colour, 255), thickness, cv2.LINE_AA, SUBPIXEL_BITS
    )


def soft_mask(outline: np.ndarray, softness: float = 0.0) -> np.ndarray:
    """(SPRITE_SIZE, SPRITE_SIZE) float32 mask 0-1; `softness` = blur in face units."""
    mask = np.zeros((SPRITE_SIZE, SPRITE_SIZE), np.uint8)
    cv2.fillPoly(mask, [sprite_points(outline)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    if softness > 0:
        mask = cv2.GaussianBlur(mask, (0, 0), softness * UNIT_PX)
    return mask.astype(np.float32) / 255


def paint_over(sprite: np.ndarray, mask: np.ndarray, colour: Sequence[float]) -> None:
    """Lay a colour over a premultiplied RGBA sprite, as far as the mask (0-1) says."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = mask[box][..., None]
    paint = np.array([*colour, 255], np.float32)
    sprite[box] = np.clip(sprite[box] * (1 - share) + paint * share + 0.5, 0, 255)


def smooth_noise(rng: np.random.Generator, length: int, period: float) -> np.ndarray:
    """`length` values of a smooth random curve, about -1 to 1, turning about every `period`."""
    knots = rng.uniform(-1, 1, int(length / period) + 4)
    where = np.arange(length) / period + rng.uniform(0, 1)
    low = where.astype(int)
    share = (1 - np.cos((where - low) * np.pi)) / 2
    return knots[low] * (1 - share) + knots[low + 1] * share


def draw_person(seed: int) -> Person:
    """Draw the look of one person; the same seed (>= 0) gives the same person."""
    rng = np.random.default_rng([seed, 1])
    between = rng.uniform
    tone = between(0, len(SKIN_TONES) - 1.001)
    skin = mix_colours(SKIN_TONES[int(tone)], SKIN_TONES[int(tone) + 1], tone % 1)
    hair = HAIR_COLOURS[rng.integers(len(HAIR_COLOURS) if tone < 2.5 else 3)]
    style = str(rng.choice(HAIR_STYLES))
    bearded = style not in ("long", "long_parted", "bun", "fringe") and between() < 0.45
    return Person(
        skin=skin,
        hair=hair,
        brow=mix_colours(hair, (30, 22, 18), 0.45),
        iris=IRIS_COLOURS[rng.integers(len(IRIS_COLOURS) if tone < 2.5 else 2)],
        lip=mix_colours(skin, (165, 50, 62), between(0.35, 0.65)),
        clothing=mix_colours(between(35, 205, 3), (105, 105, 112), 0.4),
        hair_style=style,
        face_width=between(0.93, 1.05),
        face_height=between(1.24, 1.40),
        jaw=between(0.14, 0.36),
        eye_x=between(0.39, 0.45),
        eye_width=between(0.18, 0.225),
        eye_height=between(0.085, 0.125),
        eye_slant=between(-3, 8),
        brow_y=between(-0.40, -0.32),
        brow_thickness=between(0.05, 0.10),
        brow_tilt=between(-4, 8),
        nose_y=between(0.36, 0.46),
        nose_width=between(0.16, 0.25),
        mouth_y=between(0.74, 0.84),
        mouth_width=between(0.28, 0.40),
        lip_fullness=between(0.055, 0.105),
        smile=between(0.0, 0.07),
        texture=between(0.03, 0.11),
        beard=float(rng.choice([0.3, 0.5, 0.85])) if bearded else 0.0,
        glasses=int(rng.integers(1, 3)) if between() < 0.2 else 0,
        collar=int(rng.integers(3)),
    )


def _face_outline(person: Person) -> np.ndarray:
    """Outline of the face without hair and ears, (72, 2) face units."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    down = np.sin(angle)
    narrowing = 1 - person.jaw * np.clip(down, 0, 1) ** 2
    # A power below 1 makes the oval fuller, as a face is.
    across = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.88 * narrowing
    return np.stack([person.face_width * across, person.face_height * down - 0.04], 1)


def draw_head(person: Person, light: tuple[float, float]) -> np.ndarray:
    """All of a head that does not move, (SPRITE_SIZE, SPRITE_SIZE, 4) uint8 premultiplied RGBA."""
    sprite = np.zeros((SPRITE_SIZE, SPRITE_SIZE, 4), np.uint8)
    dark = mix_colours(person.skin, (60, 24, 16), 0.42)
    outline = _face_outline(person)
    face = soft_mask(outline)
    _draw_back_hair(sprite, person)
    for side in (-1, 1) if "long" not in person.hair_style else ():
        fill_outline(
            sprite, oval_outline(side * person.face_width, 0.1, 0.13, 0.25, side * 8), person.skin
        )
        fill_outline(
            sprite, oval_outline(side * (person.face_width + 0.02), 0.1, 0.06, 0.15, side * 8), dark
        )
    fill_outline(sprite, outline, person.skin)
    paint_over(sprite, face * (1 - soft_mask(outline * 0.9, 0.16)) * 0.45, dark)
    _draw_face_relief(sprite, person, face, dark)
    _shade(sprite, face, light, person.texture)
    if person.beard:
        _draw_beard(sprite, person, face)
    _draw_front_hair(sprite, person, face, dark)
    return sprite


def _draw_face_relief(sprite: np.ndarray, person: Person, face: np.ndarray, dark: Colour) -> None:
    """Cheeks, eye sockets, nose, brows: soft lights and shadows inside the face."""
    bright = mix_colours(person.skin, (255, 246, 236), 0.5)
    blush = mix_colours(person.skin, (205, 70, 60), 0.5)
    nose_y, nose_width = person.nose_y, person.nose_width
    soft = [
        (bright, 0.45, oval_outline(0, -0.62, 0.42, 0.16), 0.12),
        (bright, 0.5, oval_outline(0, 0.12, 0.05, 0.3), 0.045),
        (bright, 0.5, oval_outline(0, nose_y - 0.06, 0.09, 0.07), 0.04),
        (bright, 0.35, oval_outline(0, 1.13, 0.16, 0.08), 0.06),
        (dark, 0.45, oval_outline(0, person.mouth_y + 0.2, 0.17, 0.03), 0.04),
        (dark, 0.5, oval_outline(0, nose_y + 0.1, nose_width, 0.035), 0.035),
        (dark, 0.18, oval_outline(0, nose_y + 0.22, 0.035, 0.07), 0.03),
    ]
    for side in (-1, 1):
        eye = side * person.eye_x
        soft += [
            (dark, 0.55, oval_outline(eye, -0.1, 0.25, 0.13), 0.06),
            (dark, 0.4, oval_outline(side * 0.15, -0.12, 0.045, 0.14), 0.05),
            (dark, 0.25, oval_outline(side * (nose_width + 0.02), nose_y, 0.04, 0.1), 0.035),
            (bright, 0.5, oval_outline(side * 0.47, 0.27, 0.22, 0.12), 0.08),
            (blush, 0.3, oval_outline(side * 0.56, 0.42, 0.2, 0.14), 0.09),
        ]
    for colour, strength, outline, softness in soft:
        paint_over(sprite, soft_mask(outline, softness) * face * strength, colour)
    for side in (-1, 1):
        nostril = oval_outline(side * nose_width * 0.55, nose_y + 0.085, 0.05, 0.026, side * -14)
        paint_over(sprite, soft_mask(nostril, 0.012) * 0.85, mix_colours(dark, (30, 8, 6), 0.6))
        wing = np.linspace(-1.3, 1.1, 9)
        curve = np.stack([side * (nose_width + 0.035 * np.cos(wing)), nose_y + 0.08 * np.sin(wing)])
        draw_line(sprite, curve.T, mix_colours(person.skin, dark, 0.7), 0.018)
        paint_over(sprite, soft_mask(_brow_outline(person, side), 0.014) * 0.9, person.brow)


def _brow_outline(person: Person, side: int) -> np.ndarray:
    """Outline of one eyebrow, thin outside, (24, 2) face units; `side` -1 or 1."""
    along = np.linspace(-1, 1, 12)
    middle = -0.05 * (1 - along**2) - np.tan(np.radians(person.brow_tilt)) * 0.2 * along
    half = person.brow_thickness * (0.62 - 0.34 * along) * np.sqrt(1.02 - along**6)
    x = side * (person.eye_x + 0.01 + 0.26 * along)
    upper = np.stack([x, person.brow_y + middle - half], 1)
    return np.concatenate([upper, np.stack([x, person.brow_y + middle + half], 1)[::-1]])


def _shade(
    sprite: np.ndarray, face: np.ndarray, light: tuple[float, float], texture: float
) -> None:
    """Light the head from one side as a round body, and give the skin a fine texture."""
    grid = (np.arange(SPRITE_SIZE, dtype=np.float32) - SPRITE_SIZE / 2) / UNIT_PX
    factor = 1 + np.clip(grid[None, :] * light[0] + grid[:, None] * light[1], -0.35, 0.25)
    # The grain's pattern is the same for all, so that it is no identity; it shows sharpness.
    pores = np.random.default_rng(7).normal(0, 1, face.shape).astype(np.float32)
    pores = cv2.GaussianBlur(pores, (0, 0), 1.4)
    factor = factor * (1 + texture * pores * face)
    sprite[..., :3] = np.clip(sprite[..., :3] * factor[..., None], 0, 255)


def _draw_beard(sprite: np.ndarray, person: Person, face: np.ndarray) -> None:
    """Beard and moustache in the colour of the hair, leaving the lips free."""
    cheeks = soft_mask(oval_outline(0, -0.02, person.face_width * 0.84, 0.66), 0.05)
    lower = np.zeros_like(face)
    lower[int(CENTRE_PX[1] + 0.12 * UNIT_PX) :] = 1
    moustache = soft_mask(oval_outline(0, person.mouth_y - 0.15, 0.36, 0.055), 0.03)
    lips = soft_mask(oval_outline(0, person.mouth_y + 0.01, person.mouth_width + 0.03, 0.1), 0.03)
    lower = cv2.GaussianBlur(lower, (0, 0), 0.05 * UNIT_PX)
    mask = np.maximum(face * lower * (1 - cheeks), moustache) * (1 - lips)
    paint_over(sprite, mask * person.beard, mix_colours(person.hair, person.skin, 0.12))


def _draw_back_hair(sprite: np.ndarray, person: Person) -> None:
    """The hair that lies behind the head."""
    style, colour = person.hair_style, mix_colours(person.hair, (0, 0, 0), 0.25)
    width = person.face_width
    if style in ("long", "long_parted"):
        along = np.linspace(0, 1, 16)
        edge = width + 0.14 + 0.07 * np.sin(along * 2.5)
        edge[-3:] -= (0.03, 0.1, 0.24)  # rounded ends
        right = np.stack([edge, along * 2.02 - 0.42], 1)
        fill_outline(sprite, np.concatenate([right, right[::-1] * (-1, 1)]), colour)
        fill_outline(sprite, oval_outline(0, -0.42, width + 0.14, 1.12), colour)
        # The neck, drawn with the body, shows between the two sides.
        sprite[soft_mask(oval_outline(0, 1.62, 0.6, 0.95)) > 0.5] = 0
    elif style == "curly":
        for angle in np.linspace(0.9 * np.pi, 2.1 * np.pi, 15):
            x, y = (width + 0.1) * np.cos(angle), -0.25 + 1.18 * np.sin(angle)
            fill_outline(sprite, oval_outline(x, y, 0.26, 0.26), colour)
    elif style == "bun":
        fill_outline(sprite, oval_outline(0, -1.45, 0.42, 0.36), colour)
    if style != "bald":
        fill_outline(sprite, oval_outline(0, -0.36, width + 0.08, 1.14), colour)


def _draw_front_hair(sprite: np.ndarray, person: Person, face: np.ndarray, dark: Colour) -> None:
    """The hair over the forehead: a cap with an opening for the face, and its strands."""
    style, width = person.hair_style, person.face_width
    if style == "bald":
        paint_over(
            sprite, soft_mask(oval_outline(-0.2, -0.98, 0.3, 0.12), 0.1) * 0.4, (255, 250, 244)
        )
        return
    top = {"short": -0.86, "side": -0.8, "fringe": -0.56, "curly": -0.72}.get(style, -0.84)
    shift = {"side": 0.16, "long_parted": 0.0}.get(style, 0.0)
    opening = soft_mask(
        oval_outline(shift, top + 1.25, width * (0.9 if "long" in style else 0.97), 1.25)
    )
    if style == "long_parted":  # A pointed opening: the hair falls to both sides.
        opening = np.maximum(
            opening, soft_mask(np.array([[-0.5, -0.6], [0.06, -1.12], [0.5, -0.6]]))
        )
    cap = soft_mask(oval_outline(0, -0.36, width + (0.12 if "long" in style else 0.08), 1.14))
    if style == "curly":
        for x in np.linspace(-0.8, 0.8, 7):
            cap = np.maximum(cap, soft_mask(oval_outline(x, -1.3 + 0.4 * x * x, 0.24, 0.22)))
    lowest = 0.9 if "long" in style else -0.1
    cap[int(CENTRE_PX[1] + lowest * UNIT_PX) :] = 0
    cap = cv2.GaussianBlur(cap * (1 - opening), (0, 0), 1.5)
    shadow = np.roll(cap, int(0.07 * UNIT_PX), axis=0)
    paint_over(sprite, cv2.GaussianBlur(shadow, (0, 0), 4) * face * 0.45, dark)
    paint_over(sprite, cap, person.hair)
    strands = np.zeros_like(sprite[..., 0])
    for x in np.linspace(-1.3, 1.3, 23):
        y = np.linspace(-1.6, 0.5, 12)
        curve = np.stack([shift + x * (0.45 + 0.55 * np.sqrt((y + 1.6) / 2.1)), y], 1)
        cv2.polylines(strands, [sprite_points(curve)], False, 255, 2, cv2.LINE_AA, SUBPIXEL_BITS)
    strands = cv2.GaussianBlur(strands, (0, 0), 1.2).astype(np.float32) / 255
    paint_over(sprite, strands * cap * 0.3, mix_colours(person.hair, (255, 235, 205), 0.35))
    gloss = soft_mask(oval_outline(-0.1, -1.15, 0.65, 0.1, -4), 0.1)
    paint_over(sprite, gloss * cap * 0.35, mix_colours(person.hair, (255, 240, 220), 0.5))


def draw_expression(
    head: np.ndarray, person: Person, eye_open: float, mouth_open: float, gaze: float
) -> np.ndarray:
    """A copy of the head sprite with eyes, mouth and glasses as they are in one frame."""
    sprite = head.copy()
    for side in (-1, 1):
        _draw_eye(sprite, person, side, eye_open, gaze)
    _draw_mouth(sprite, person, mouth_open)
    if person.glasses:
        half = (0.27, 0.25) if person.glasses == 1 else (0.33, 0.21)
        for side in (-1, 1):
            rim = oval_outline(side * person.eye_x * 1.04, -0.01, *half)
            draw_line(sprite, np.concatenate([rim, rim[:1]]), (44, 38, 40), 0.03)
            arm = [[side * (person.eye_x * 1.04 + half[0]), -0.05], [side * 0.98, -0.1]]
            draw_line(sprite, np.array(arm), (44, 38, 40), 0.03)
        draw_line(sprite, np.array([[-0.16, -0.06], [0, -0.1], [0.16, -0.06]]), (44, 38, 40), 0.03)
    return sprite


def _draw_eye(sprite: np.ndarray, person: Person, side: int, opening: float, gaze: float) -> None:
    """One eye: white, iris, pupil, reflection, lids and lashes; `opening` 0-1, `gaze` -1 to 1."""
    eye_x, eye_y = side * person.eye_x, -0.04
    along = np.linspace(-1, 1, 15)
    x = eye_x + person.eye_width * along * side
    tilt = -np.tan(np.radians(person.eye_slant)) * person.eye_width * along
    arch = (1 - np.abs(along) ** 2.3) * person.eye_height
    upper = np.stack([x, eye_y + tilt + arch * (0.55 - 1.65 * opening)], 1)
    lower = np.stack([x, eye_y + tilt + arch * 0.72], 1)
    dark = mix_colours(person.skin, (40, 18, 14), 0.75)
    if opening > 0.12:
        left, high = (
            sprite_points(np.array([[eye_x - 0.3, eye_y - 0.25]]))[0] >> SUBPIXEL_BITS
        ).tolist()
        box = np.s_[high : high + int(0.5 * UNIT_PX), left : left + int(0.6 * UNIT_PX)]
        mask = np.zeros(sprite.shape[:2], np.uint8)
        outline = sprite_points(np.concatenate([upper, lower[::-1]]))
        cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, SUBPIXEL_BITS)
        ball = np.zeros_like(sprite)
        ball[box] = (*mix_colours((236, 232, 228), person.skin, 0.12), 255)
        iris_x, iris_y = eye_x + gaze * 0.05, eye_y - 0.02
        fill_outline(
            ball,
            oval_outline(iris_x, iris_y, 0.098, 0.098),
            mix_colours(person.iris, (0, 0, 0), 0.5),
        )
        fill_outline(ball, oval_outline(iris_x, iris_y + 0.01, 0.078, 0.078), person.iris)
        fill_outline(ball, oval_outline(iris_x, iris_y, 0.045, 0.045), (14, 10, 10))
        fill_outline(
            ball, oval_outline(iris_x - 0.035, iris_y - 0.035, 0.022, 0.022), (250, 250, 250)
        )
        draw_line(
            ball, upper + (0, 0.02), mix_colours(dark, (190, 180, 175), 0.35), 0.03
        )  # lid's shadow
        share = mask[box][..., None].astype(np.float32) / 255
        sprite[box] = sprite[box] * (1 - share) + ball[box] * share + 0.5
    draw_line(sprite, lower, mix_colours(person.skin, dark, 0.55), 0.012)
    draw_line(sprite, upper, mix_colours(dark, (20, 12, 10), 0.6), 0.035)
    crease = upper * (1, 1) - (0, 0.055 * max(opening, 0.3))
    draw_line(sprite, crease[2:-2], mix_colours(person.skin, dark, 0.6), 0.012)


def _draw_mouth(sprite: np.ndarray, person: Person, opening: float) -> None:
    """The mouth: lips, and the dark inside with the upper teeth; `opening` 0-1."""
    along = np.linspace(-1, 1, 21)
    x = along * person.mouth_width * (1 - 0.12 * opening)
    middle = person.mouth_y - person.smile * along**2
    arch = 1 - np.abs(along) ** 2.2
    bow = arch * (1 - 0.28 * np.exp(-((along / 0.16) ** 2)))  # the dip of the upper lip
    gap = 0.16 * opening * arch
    upper_edge = np.stack([x, middle - person.lip_fullness * 0.95 * bow - gap * 0.25], 1)
    upper_inner = np.stack([x, middle - gap * 0.25], 1)
    lower_inner = np.stack([x, middle + gap * 0.75], 1)
    lower_edge = np.stack([x, middle + gap * 0.75 + person.lip_fullness * 1.25 * arch], 1)
    inside = (58, 20, 20)
    fill_outline(
        sprite,
        np.concatenate([upper_edge, lower_inner[::-1]]),
        mix_colours(person.lip, inside, 0.18),
    )
    fill_outline(sprite, np.concatenate([lower_inner, lower_edge[::-1]]), person.lip)
    shine = np.stack([x, middle + gap * 0.75 + person.lip_fullness * 0.6], 1)[7:14]
    draw_line(sprite, shine, mix_colours(person.lip, (255, 235, 230), 0.3), 0.022)
    if opening > 0.08:
        fill_outline(sprite, np.concatenate([upper_inner, lower_inner[::-1]]), inside)
        teeth = np.stack([x, middle - gap * 0.25 + gap * 0.42], 1)
        fill_outline(
            sprite, np.concatenate([upper_inner[3:-3], teeth[3:-3][::-1]]), (226, 220, 212)
        )
    draw_line(sprite, upper_inner, mix_colours(person.lip, inside, 0.75), 0.016)


def draw_motion(num_frames: int, frame_size: int, fps: float, seed: int) -> Motion:
    """Smooth head movement, blinking and speech for one video."""
    rng = np.random.default_rng([seed, 2])
    pixel = frame_size / 320
    sway = [smooth_noise(rng, num_frames, fps * rng.uniform(0.6, 1.2)) for _ in range(5)]
    scale = pixel * rng.uniform(0.66, 0.82) * (1 + 0.03 * sway[0])
    angle = np.radians(rng.uniform(-2, 2) + rng.uniform(1, 4) * sway[1])
    middle = (rng.uniform(-14, 14) + 320 / 2, rng.uniform(-4, 10) + 320 * 0.46)
    x, y = pixel * (middle[0] + 9 * sway[2]), pixel * (middle[1] + 5 * sway[3])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.moveaxis(linear, -1, 0)
    offset = np.stack([x, y], 1) - linear @ np.array(CENTRE_PX)
    eye_open = np.full(num_frames, rng.uniform(0.85, 1.0))
    frame = np.arange(num_frames)
    moment = rng.uniform(0.2, 1.6) * fps
    while moment < num_frames:
        eye_open *= 1 - np.exp(-(((frame - moment) / (0.07 * fps)) ** 2))
        moment += rng.uniform(1.4, 3.5) * fps
    words = 0.5 + 0.5 * np.sin(np.cumsum(rng.uniform(5, 13, num_frames)) / fps * 2)
    talk = words * np.clip(0.55 + 0.6 * smooth_noise(rng, num_frames, fps * 0.4), 0, 1)
    matrices = np.concatenate([linear, offset[..., None]], 2)
    return Motion(matrices, eye_open, talk * rng.uniform(0.5, 1.0), sway[4])


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A background out of focus, (size, size, 3) float32 RGB."""
    style = str(rng.choice(BACKGROUNDS))
    base, other = rng.uniform(60, 200, 3), rng.uniform(50, 215, 3)
    base, other = (
        mix_colours(base, [base.mean()] * 3, 0.5),
        mix_colours(other, [other.mean()] * 3, 0.5),
    )
    down = np.linspace(0, 1, size)[:, None, None]
    column = np.array(base) + np.subtract(other, base) * 0.5 * down
    image = np.ascontiguousarray(np.broadcast_to(column, (size, size, 3)), np.uint8)
    part = size / rng.uniform(4, 9)
    if style == "blobs":
        for _ in range(22):
            spot = tuple(int(v) for v in rng.integers(0, size, 2))
            colour = mix_colours(other, rng.uniform(60, 230, 3), 0.5)
            cv2.circle(image, spot, int(size * rng.uniform(0.03, 0.11)), colour, -1, cv2.LINE_AA)
    elif style == "stripes":
        for left in np.arange(0, size, part * 0.7):
            cv2.rectangle(image, (int(left), 0), (int(left + part * 0.3), size), other, -1)
    elif style == "bookshelf":
        for top in np.arange(-part * rng.uniform(), size, part * 1.7):
            left = 0.0
            while left < size:
                width, drop = part * rng.uniform(0.15, 0.4), part * rng.uniform(0, 0.4)
                corners = (int(left), int(top + drop)), (int(left + width), int(top + part * 1.5))
                cv2.rectangle(image, *corners, mix_colours(rng.uniform(40, 190, 3), base, 0.4), -1)
                left += width * 1.1
    elif style == "window":
        left = rng.choice([0.02, 0.6]) * size
        for pane in (0, 1):
            x = int(left + pane * size * 0.2)
            corners = (x, int(size * 0.05)), (x + int(size * 0.17), int(size * 0.6))
            cv2.rectangle(image, *corners, (225, 232, 240), -1)
    elif style == "panels":
        for left in np.arange(0, size, part * 1.6):
            corners = (int(left), int(size * 0.08)), (int(left + part * 1.4), int(size * 0.9))
            cv2.rectangle(image, *corners, other, max(1, size // 100), cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.006, 0.018)).astype(np.float32)


def _draw_body(person: Person, matrix: np.ndarray, frame_size: int) -> np.ndarray:
    """Neck, shoulders and collar, (frame_size, frame_size, 4) uint8 premultiplied RGBA."""
    body = np.zeros((frame_size * 2, frame_size * 2, 4), np.uint8)  # drawn at 2x, then shrunk
    dark, cloth = mix_colours(person.skin, (60, 24, 16), 0.45), person.clothing
    shade = mix_colours(cloth, (0, 0, 0), 0.3)

    def fill(outline: list[list[float]], colour: Colour) -> None:
        sprite_px = np.array(outline) * UNIT_PX + CENTRE_PX
        frame_px = sprite_px @ matrix[:, :2].T + matrix[:, 2]
        cv2.fillPoly(
            body,
            [np.round(frame_px * 32).astype(np.int32)],
            (*colour, 255),
            cv2.LINE_AA,
            SUBPIXEL_BITS,
        )

    curve = np.linspace(-1, 1, 31)
    top = 1.72 + 0.55 * np.abs(curve) ** 1.6 + 1.6 * np.clip(np.abs(curve) - 0.8, 0, 1)
    fill([*np.stack([curve * 2.3, top], 1).tolist(), [2.4, 5], [-2.4, 5]], cloth)
    fill([[-0.56, 0.7], [0.56, 0.7], [0.62, 1.75], [0.3, 2.1], [-0.3, 2.1], [-0.62, 1.75]], dark)
    fill(
        [[-0.5, 1.5], [0.5, 1.5], [0.56, 1.78], [0.2, 2.05], [-0.2, 2.05], [-0.56, 1.78]],
        mix_colours(person.skin, dark, 0.45),
    )
    if person.collar == 0:
        fill(
            [[-0.75, 1.72], [-0.3, 2.08], [0.3, 2.08], [0.75, 1.72], [0.4, 2.24], [-0.4, 2.24]],
            shade,
        )
    elif person.collar == 1:
        fill([[-0.5, 1.85], [0.5, 1.85], [0, 2.6]], mix_colours(person.skin, dark, 0.35))
    else:
        for side in (-1, 1):
            fill([[side * 0.7, 1.6], [side * 0.05, 2.2], [side * 0.45, 2.5]], (232, 232, 236))
    body = cv2.GaussianBlur(body, (0, 0), frame_size / 160)
    return cv2.resize(body, (frame_size, frame_size), interpolation=cv2.INTER_AREA)


def draw_scene(person: Person, matrix: np.ndarray, frame_size: int, seed: int) -> Scene:
    """Background, clothing, light and camera of one video; `matrix` is the head's first pose."""
    rng = np.random.default_rng([seed, 3])
    background = _draw_background(rng, frame_size)
    angle, warmth = rng.uniform(np.pi, 2 * np.pi), rng.uniform(-0.07, 0.09)
    direction = np.cos(angle), np.sin(angle) * 0.5
    ramp = np.linspace(-1, 1, frame_size, dtype=np.float32)
    gradient = ramp[None, :] * direction[0] + ramp[:, None] * direction[1]
    light = 1 + rng.uniform(0.02, 0.14) * gradient[..., None]
    light = light * np.float32(rng.uniform(0.82, 1.08)) * np.float32([1 + warmth, 1, 1 - warmth])
    strength = rng.uniform(0.02, 0.13)
    # Some cameras are out of focus, so that softness alone does not tell a fake.
    defocus = rng.uniform(0.5, 1.3) if rng.uniform() < 0.45 else 0.0
    return Scene(
        background,
        _draw_body(person, matrix, frame_size),
        light.astype(np.float32),
        (direction[0] * strength, direction[1] * strength),
        defocus * frame_size / 320,
        rng.uniform(2.0, 7.0),
    )


def lay_over(frame: np.ndarray, layer: np.ndarray) -> None:
    """Lay a premultiplied RGBA layer (uint8) over an RGB frame (float32), in place."""
    left, top, width, height = cv2.boundingRect(layer[..., 3])  # only there: much quicker
    box = np.s_[top : top + height, left : left + width]
    frame[box] *= 1 - layer[box][..., 3:] / np.float32(255)
    frame[box] += layer[box][..., :3]


def draw_frames(
    person: Person, num_frames: int, frame_size: int, fps: float, seed: int
) -> np.ndarray:
    """Film one talking person: (num_frames, frame_size, frame_size, 3) uint8 RGB.

    `seed` (>= 0) chooses the scene, the camera and the movement; `frame_size` is in px.
    """
    motion = draw_motion(num_frames, frame_size, fps, seed)
    scene = draw_scene(person, motion.matrices[0], frame_size, seed)
    head = draw_head(person, scene.light_direction)
    rng = np.random.default_rng([seed, 4])
    noise = rng.normal(0, scene.noise_level, (frame_size + 32, frame_size + 32, 3))
    noise = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 0.55) * 1.5
    size = (frame_size, frame_size)
    frames = np.empty((num_frames, *size, 3), np.uint8)
    start = motion.matrices[0, :, :2] @ CENTRE_PX + motion.matrices[0, :, 2]
    for index, matrix in enumerate(motion.matrices):
        drift = (matrix[:, :2] @ CENTRE_PX + matrix[:, 2] - start) * 0.6
        shift = np.float64([[1, 0, drift[0]], [0, 1, drift[1]]])
        body = cv2.warpAffine(scene.body, shift, size, borderMode=cv2.BORDER_REPLICATE)
        sprite = draw_expression(
            head, person, motion.eye_open[index], motion.mouth_open[index], motion.gaze[index]
        )
        frame = scene.background.copy()
        lay_over(frame, body)
        lay_over(frame, cv2.warpAffine(sprite, matrix, size))
        frame *= scene.light
        if scene.defocus_px:
            frame = cv2.GaussianBlur(frame, (0, 0), scene.defocus_px)
        top, left = rng.integers(0, 32, 2)  # another window of one noise field: quick, still new
        frame = frame + noise[top : top + frame_size, left : left + frame_size]
        frames[index] = np.clip(frame + 0.5, 0, 255)
    return frames


def draw_marks(seed: int) -> Marks:
    """Draw the strengths of one fake's marks: always softer, plus at least one other mark."""
    rng = np.random.default_rng([seed, 5])
    present = rng.uniform(size=4) < 0.8
    present[rng.integers(4)] = True
    colour, edge, unsteady, clean = present
    tint = rng.uniform(-0.04, 0.04, 3) + rng.choice([-1, 1]) * rng.uniform(0.05, 0.12)
    return Marks(
        resolution_px=int(rng.integers(62, 91)),
        softness_px=rng.uniform(0.45, 0.85),
        skin_residue=rng.uniform(0.2, 0.4) if colour else rng.uniform(0.03, 0.1),
        gain=tuple((1 + tint * (1.0 if colour else 0.2)).tolist()),
        edge=float(rng.choice([-1, 1]) * rng.uniform(7, 16)) if edge else 0.0,
        jitter_px=rng.uniform(0.5, 1.2) if unsteady else 0.1,
        flicker=rng.uniform(0.015, 0.045) if unsteady else 0.004,
        noise_kept=0.0 if clean else rng.uniform(0.4, 0.8),
        feather=rng.uniform(0.035, 0.09),
    )


def swap_faces(
    frames: np.ndarray, target: Person, donor: Person, fps: float, seed: int, marks: Marks
) -> np.ndarray:
    """Blend the donor's inner face into the target's frames; returns new frames, same shape.

    `frames` must be `draw_frames(target, n, size, fps, seed)` with the same fps and seed: the
    pasted face follows the movement drawn from them.
    """
    num_frames, frame_size = frames.shape[:2]
    motion = draw_motion(num_frames, frame_size, fps, seed)
    scene = draw_scene(target, motion.matrices[0], frame_size, seed)
    # Colour transfer is drawn as such: the donor gets the target's skin but for a residue. Hair,
    # beard and glasses stay the target's, for swapping replaces features, not what lies on them.
    difference = np.subtract(donor.skin, target.skin)
    residue = marks.skin_residue * min(1.0, 80 / max(1.0, float(np.abs(difference).max())))
    face = replace(
        donor,
        skin=mix_colours(target.skin, donor.skin, residue),
        hair=target.hair,
        hair_style=target.hair_style,
        beard=target.beard,
        glasses=target.glasses,
        face_width=target.face_width,
        face_height=target.face_height,
        jaw=target.jaw,
    )
    head = draw_head(face, scene.light_direction)
    region = soft_mask(oval_outline(0, 0.22, 0.74, 0.92), marks.feather)
    rng = np.random.default_rng([seed, 6])
    swapped = np.empty_like(frames)
    for index, frame in enumerate(frames):
        sprite = draw_expression(
            head, face, motion.eye_open[index], motion.mouth_open[index], motion.gaze[index]
        )
        matrix = motion.matrices[index].copy()
        matrix[:, 2] += rng.normal(0, marks.jitter_px * frame_size / 320, 2)
        gain = np.array(marks.gain) * (1 + rng.normal(0, marks.flicker))
        swapped[index] = _paste(
            frame, soften_edges(sprite, marks), region, matrix, gain, scene, marks
        )
    return swapped


def soften_edges(sprite: np.ndarray, marks: Marks) -> np.ndarray:
    """Pass the face through the low resolution of a face-swapping network; RGB uint8."""
    half = int(1.3 * UNIT_PX)
    x, y = int(CENTRE_PX[0]), int(CENTRE_PX[1] + 0.1 * UNIT_PX)
    box = np.s_[y - half : y + half, x - half : x + half]
    small = cv2.resize(
        sprite[box][..., :3], (marks.resolution_px,) * 2, interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), marks.softness_px)
    result = sprite[..., :3].copy()
    result[box] = cv2.resize(small, (2 * half, 2 * half), interpolation=cv2.INTER_CUBIC)
    return result


def _paste(
    frame: np.ndarray,
    face: np.ndarray,
    region: np.ndarray,
    matrix: np.ndarray,
    gain: np.ndarray,
    scene: Scene,
    marks: Marks,
) -> np.ndarray:
    """Blend one sprite-sized RGB face under the mask `region` (0-1) into one uint8 RGB frame."""
    size = frame.shape[1::-1]
    share = cv2.warpAffine(region, matrix, size)
    left, top, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    box = np.s_[top : top + height, left : left + width]
    share, around = share[box][..., None], frame[box]
    pasted = cv2.warpAffine(face, matrix, size)[box] * scene.light[box] * gain.astype(np.float32)
    if scene.defocus_px:  # The network learned from footage that was out of focus as well.
        pasted = cv2.GaussianBlur(pasted, (0, 0), scene.defocus_px)
    if marks.noise_kept:
        own_noise = around - cv2.GaussianBlur(around, (0, 0), 1.0).astype(np.float32)
        pasted += np.clip(own_noise, -8, 8) * (marks.noise_kept * 0.5)
    blended = around * (1 - share) + pasted * share + marks.edge * 4 * share * (1 - share)
    result = frame.copy()
    result[box] = np.clip(blended + 0.5, 0, 255)
    return result
