"""Draws the head of a synthetic person on a square sprite: skin, hair, eyes, mouth.

head = draw_head(person, light=(0.1, -0.05))               # once per video
sprite = draw_expression(head, person, eye_open=1, mouth_open=0.2, gaze=0)    # once per frame
"""

import cv2
import numpy as np

from deepfake_detector.synthetic.drawing import (
    CENTRE_PX,
    SPRITE_SIZE,
    SUBPIXEL_BITS,
    UNIT_PX,
    Colour,
    draw_line,
    fill_outline,
    mix_colours,
    oval_outline,
    paint_over,
    soft_mask,
    sprite_points,
)
from deepfake_detector.synthetic.people import Person

GLASSES_COLOUR = (44, 38, 40)


def draw_head(person: Person, light: tuple[float, float]) -> np.ndarray:
    """Return the parts of a head that do not move, `(SPRITE_SIZE, SPRITE_SIZE, 4) uint8`
    premultiplied RGBA. `light` points towards the light, x right and y down; its length is the
    strength."""
    sprite = np.zeros((SPRITE_SIZE, SPRITE_SIZE, 4), np.uint8)
    dark = mix_colours(person.skin, (60, 24, 16), 0.42)
    outline = _face_outline(person)
    face = soft_mask(outline)
    _draw_back_hair(sprite, person)
    if "long" not in person.hair_style:
        _draw_ears(sprite, person, dark)
    fill_outline(sprite, outline, person.skin)
    paint_over(sprite, face * (1 - soft_mask(outline * 0.9, 0.16)) * 0.45, dark)
    _draw_face_relief(sprite, person, face, dark)
    _shade(sprite, face, light, person.texture)
    if person.beard:
        _draw_beard(sprite, person, face)
    _draw_front_hair(sprite, person, face, dark)
    return sprite


def draw_expression(
    head: np.ndarray, person: Person, eye_open: float, mouth_open: float, gaze: float
) -> np.ndarray:
    """Return a copy of the head sprite with eyes, mouth and glasses as they are in one frame.

    `eye_open` and `mouth_open` are in 0..1, `gaze` is sideways in -1..1.
    """
    sprite = head.copy()
    for side in (-1, 1):
        _draw_eye(sprite, person, side, eye_open, gaze)
    _draw_mouth(sprite, person, mouth_open)
    if person.glasses:
        _draw_glasses(sprite, person)
    return sprite


def _face_outline(person: Person) -> np.ndarray:
    """Return the outline of the face without hair and ears, `(72, 2)` face units."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    down = np.sin(angle)
    narrowing = 1 - person.jaw * np.clip(down, 0, 1) ** 2
    # A power below 1 makes the oval fuller, as a face is.
    across = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.88 * narrowing
    return np.stack([person.face_width * across, person.face_height * down - 0.04], 1)


def _draw_ears(sprite: np.ndarray, person: Person, dark: Colour) -> None:
    for side in (-1, 1):
        x = side * person.face_width
        fill_outline(sprite, oval_outline(x, 0.1, 0.13, 0.25, side * 8), person.skin)
        x = side * (person.face_width + 0.02)
        fill_outline(sprite, oval_outline(x, 0.1, 0.06, 0.15, side * 8), dark)


def _draw_face_relief(sprite: np.ndarray, person: Person, face: np.ndarray, dark: Colour) -> None:
    """Draw cheeks, eye sockets, nose and brows: soft lights and shadows inside the face."""
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
        _draw_nostril(sprite, person, side, dark)
        paint_over(sprite, soft_mask(_brow_outline(person, side), 0.014) * 0.9, person.brow)


def _draw_nostril(sprite: np.ndarray, person: Person, side: int, dark: Colour) -> None:
    width, y = person.nose_width, person.nose_y
    nostril = oval_outline(side * width * 0.55, y + 0.085, 0.05, 0.026, side * -14)
    paint_over(sprite, soft_mask(nostril, 0.012) * 0.85, mix_colours(dark, (30, 8, 6), 0.6))
    wing = np.linspace(-1.3, 1.1, 9)
    curve = np.stack([side * (width + 0.035 * np.cos(wing)), y + 0.08 * np.sin(wing)])
    draw_line(sprite, curve.T, mix_colours(person.skin, dark, 0.7), 0.018)


def _brow_outline(person: Person, side: int) -> np.ndarray:
    """Return the outline of one eyebrow, thin outside, `(24, 2)` face units; `side` is -1 or 1."""
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
    # The same pattern for everybody: it shows sharpness, and must not be an identity.
    pores: np.ndarray = np.random.default_rng(7).normal(0, 1, face.shape).astype(np.float32)
    pores = cv2.GaussianBlur(pores, (0, 0), 1.4)
    factor = factor * (1 + texture * pores * face)
    sprite[..., :3] = np.clip(sprite[..., :3] * factor[..., None], 0, 255)


def _draw_beard(sprite: np.ndarray, person: Person, face: np.ndarray) -> None:
    """Draw beard and moustache in the colour of the hair, leaving the lips free."""
    cheeks = soft_mask(oval_outline(0, -0.02, person.face_width * 0.84, 0.66), 0.05)
    lower: np.ndarray = np.zeros_like(face)
    lower[int(CENTRE_PX[1] + 0.12 * UNIT_PX) :] = 1
    moustache = soft_mask(oval_outline(0, person.mouth_y - 0.15, 0.36, 0.055), 0.03)
    lips = soft_mask(oval_outline(0, person.mouth_y + 0.01, person.mouth_width + 0.03, 0.1), 0.03)
    lower = cv2.GaussianBlur(lower, (0, 0), 0.05 * UNIT_PX)
    mask = np.maximum(face * lower * (1 - cheeks), moustache) * (1 - lips)
    paint_over(sprite, mask * person.beard, mix_colours(person.hair, person.skin, 0.12))


def _draw_back_hair(sprite: np.ndarray, person: Person) -> None:
    """Draw the hair that lies behind the head."""
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
    """Draw the hair over the forehead: a cap with an opening for the face, and its strands."""
    style, width = person.hair_style, person.face_width
    if style == "bald":
        paint_over(
            sprite, soft_mask(oval_outline(-0.2, -0.98, 0.3, 0.12), 0.1) * 0.4, (255, 250, 244)
        )
        return
    shift = {"side": 0.16}.get(style, 0.0)  # of the parting
    cap = _hair_cap(style, width, shift)
    shadow = np.roll(cap, int(0.07 * UNIT_PX), axis=0)
    paint_over(sprite, cv2.GaussianBlur(shadow, (0, 0), 4) * face * 0.45, dark)
    paint_over(sprite, cap, person.hair)
    strands = _hair_strands(shift)
    light = mix_colours(person.hair, (255, 235, 205), 0.35)
    paint_over(sprite, strands * cap * 0.3, light)
    gloss = soft_mask(oval_outline(-0.1, -1.15, 0.65, 0.1, -4), 0.1)
    paint_over(sprite, gloss * cap * 0.35, mix_colours(person.hair, (255, 240, 220), 0.5))


def _hair_cap(style: str, width: float, shift: float) -> np.ndarray:
    """Return where the hair over the forehead is, a mask as of `soft_mask`."""
    top = {"short": -0.86, "side": -0.8, "fringe": -0.56, "curly": -0.72}.get(style, -0.84)
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
    return cv2.GaussianBlur(cap * (1 - opening), (0, 0), 1.5)


def _hair_strands(shift: float) -> np.ndarray:
    """Return where the lighter strands are, a mask as of `soft_mask`."""
    strands: np.ndarray = np.zeros((SPRITE_SIZE, SPRITE_SIZE), np.uint8)
    for x in np.linspace(-1.3, 1.3, 23):
        y = np.linspace(-1.6, 0.5, 12)
        curve = np.stack([shift + x * (0.45 + 0.55 * np.sqrt((y + 1.6) / 2.1)), y], 1)
        cv2.polylines(strands, [sprite_points(curve)], False, 255, 2, cv2.LINE_AA, SUBPIXEL_BITS)
    return cv2.GaussianBlur(strands, (0, 0), 1.2).astype(np.float32) / 255


def _draw_eye(sprite: np.ndarray, person: Person, side: int, opening: float, gaze: float) -> None:
    """Draw one eye, lids and lashes; `opening` is in 0..1, `gaze` in -1..1."""
    eye_x, eye_y = side * person.eye_x, -0.04
    along = np.linspace(-1, 1, 15)
    x = eye_x + person.eye_width * along * side
    tilt = -np.tan(np.radians(person.eye_slant)) * person.eye_width * along
    arch = (1 - np.abs(along) ** 2.3) * person.eye_height
    upper = np.stack([x, eye_y + tilt + arch * (0.55 - 1.65 * opening)], 1)
    lower = np.stack([x, eye_y + tilt + arch * 0.72], 1)
    dark = _lash_colour(person)
    if opening > 0.12:
        _draw_eyeball(sprite, person, (eye_x, eye_y), upper, lower, gaze)
    draw_line(sprite, lower, mix_colours(person.skin, dark, 0.55), 0.012)
    draw_line(sprite, upper, mix_colours(dark, (20, 12, 10), 0.6), 0.035)
    crease = upper * (1, 1) - (0, 0.055 * max(opening, 0.3))
    draw_line(sprite, crease[2:-2], mix_colours(person.skin, dark, 0.6), 0.012)


def _draw_eyeball(
    sprite: np.ndarray,
    person: Person,
    centre: tuple[float, float],
    upper: np.ndarray,
    lower: np.ndarray,
    gaze: float,
) -> None:
    """Draw white, iris, pupil and reflection between the lids, `upper` and `lower` lines."""
    eye_x, eye_y = centre
    corner = np.array([[eye_x - 0.3, eye_y - 0.25]])
    left, high = (sprite_points(corner)[0] >> SUBPIXEL_BITS).tolist()
    box = np.s_[high : high + int(0.5 * UNIT_PX), left : left + int(0.6 * UNIT_PX)]
    mask = np.zeros(sprite.shape[:2], np.uint8)
    outline = sprite_points(np.concatenate([upper, lower[::-1]]))
    cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    ball = np.zeros_like(sprite)
    ball[box] = (*mix_colours((236, 232, 228), person.skin, 0.12), 255)
    x, y = eye_x + gaze * 0.05, eye_y - 0.02
    rim = mix_colours(person.iris, (0, 0, 0), 0.5)
    fill_outline(ball, oval_outline(x, y, 0.098, 0.098), rim)
    fill_outline(ball, oval_outline(x, y + 0.01, 0.078, 0.078), person.iris)
    fill_outline(ball, oval_outline(x, y, 0.045, 0.045), (14, 10, 10))
    fill_outline(ball, oval_outline(x - 0.035, y - 0.035, 0.022, 0.022), (250, 250, 250))
    shadow_of_lid = mix_colours(_lash_colour(person), (190, 180, 175), 0.35)
    draw_line(ball, upper + (0, 0.02), shadow_of_lid, 0.03)
    share = mask[box][..., None].astype(np.float32) / 255
    sprite[box] = sprite[box] * (1 - share) + ball[box] * share + 0.5


def _lash_colour(person: Person) -> Colour:
    return mix_colours(person.skin, (40, 18, 14), 0.75)


def _draw_mouth(sprite: np.ndarray, person: Person, opening: float) -> None:
    """Draw lips, and the dark inside with the upper teeth; `opening` is in 0..1."""
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


def _draw_glasses(sprite: np.ndarray, person: Person) -> None:
    half = (0.27, 0.25) if person.glasses == 1 else (0.33, 0.21)
    for side in (-1, 1):
        rim = oval_outline(side * person.eye_x * 1.04, -0.01, *half)
        draw_line(sprite, np.concatenate([rim, rim[:1]]), GLASSES_COLOUR, 0.03)
        arm = [[side * (person.eye_x * 1.04 + half[0]), -0.05], [side * 0.98, -0.1]]
        draw_line(sprite, np.array(arm), GLASSES_COLOUR, 0.03)
    bridge = np.array([[-0.16, -0.06], [0, -0.1], [0.16, -0.06]])
    draw_line(sprite, bridge, GLASSES_COLOUR, 0.03)
