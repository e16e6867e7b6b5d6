"""Draws a synthetic person on sprites: the body, the head, and the face of one frame.

head = draw_head(person)                                            # once per video
sprite = draw_expression(head, person, eye_open=1, mouth_open=0.2)  # once per frame
"""

import cv2
import numpy as np

from deepfake_detector.synthetic.drawing import SPRITE_SIZE, Colour, mix, oval, paint
from deepfake_detector.synthetic.people import Person

EYE_Y, BROW_Y, NOSE_Y, MOUTH_Y = -0.04, -0.36, 0.41, 0.79
BLACK, GLASSES = (20.0, 14.0, 12.0), (44.0, 38.0, 40.0)


def draw_body(person: Person) -> np.ndarray:
    """Return the shoulders, `(SPRITE_SIZE, SPRITE_SIZE, 4) uint8` premultiplied RGBA."""
    sprite = np.zeros((SPRITE_SIZE, SPRITE_SIZE, 4), np.uint8)
    x = np.linspace(-1, 1, 31)
    top = 1.72 + 0.55 * np.abs(x) ** 1.6 + 1.6 * np.clip(np.abs(x) - 0.8, 0, 1)
    outline = np.concatenate([np.stack([x * 2.3, top], 1), [[2.4, 5], [-2.4, 5]]])
    paint(sprite, outline, person.clothing, softness=0.02)
    return sprite


def draw_head(person: Person) -> np.ndarray:
    """Return the parts of a head that do not move, as `draw_body` returns the shoulders."""
    sprite = np.zeros((SPRITE_SIZE, SPRITE_SIZE, 4), np.uint8)
    face, dark = _face_outline(person), _dark_skin(person)
    _draw_hair_behind(sprite, person)
    neck = np.array([[-0.56, 0.7], [0.56, 0.7], [0.62, 1.75], [0, 2.2], [-0.62, 1.75]])
    paint(sprite, neck, dark, softness=0.02)
    if person.hair_style != "long":
        for side in (-1, 1):
            paint(sprite, oval(side * person.face_width, 0.1, 0.13, 0.25), person.skin)
            paint(sprite, oval(side * (person.face_width + 0.02), 0.1, 0.06, 0.15), dark)
    paint(sprite, face, person.skin)
    paint(sprite, face, dark, 0.5, softness=0.12, line_width=0.12, within=face)  # a round face
    _draw_relief(sprite, person, dark)
    # The same pores for everybody: they show sharpness, and must not be an identity.
    pores: np.ndarray = np.random.default_rng(7).normal(0, 1, sprite.shape[:2]).astype(np.float32)
    texture = 1 + 0.07 * cv2.GaussianBlur(pores, (0, 0), 1.4)
    sprite[..., :3] = np.clip(sprite[..., :3] * texture[..., None], 0, 255)
    if person.beard:
        jaw = np.concatenate([face[face[:, 1] > 0.1], oval(0, 0.1, 0.78, 0.5)[:21]])
        for outline in (jaw, oval(0, MOUTH_Y - 0.15, 0.36, 0.055)):
            paint(sprite, outline, person.hair, person.beard, softness=0.04, within=face)
    _draw_hair_in_front(sprite, person, face)
    return sprite


def draw_expression(
    head: np.ndarray, person: Person, eye_open: float, mouth_open: float
) -> np.ndarray:
    """Return a copy of the head sprite with eyes, mouth and glasses as they are in one frame.

    `eye_open` and `mouth_open` are in 0..1.
    """
    sprite = head.copy()
    for side in (-1, 1):
        _draw_eye(sprite, person, side * person.eye_x, eye_open)
    _draw_mouth(sprite, person, mouth_open)
    if person.has_glasses:
        rims = [oval(side * person.eye_x * 1.04, -0.01, 0.3, 0.24) for side in (-1, 1)]
        for line in (*rims, np.array([[-0.14, 0], [0.14, 0]])):
            paint(sprite, line, GLASSES, line_width=0.03)
    return sprite


def _dark_skin(person: Person) -> Colour:
    return mix(person.skin, (60, 24, 16), 0.42)


def _face_outline(person: Person) -> np.ndarray:
    """Return the outline of the face without hair and ears, `(72, 2)` face units."""
    angle = np.linspace(0, 2 * np.pi, 72)
    down = np.sin(angle)
    narrowing = 1 - person.jaw * np.clip(down, 0, 1) ** 2
    # A power below 1 makes the oval fuller, as a face is.
    across = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.88 * narrowing
    return np.stack([person.face_width * across, person.face_height * down - 0.04], 1)


def _draw_relief(sprite: np.ndarray, person: Person, dark: Colour) -> None:
    """Draw forehead, cheeks, eye sockets, nose and brows: soft lights and shadows."""
    bright, width = mix(person.skin, (255, 240, 226), 0.5), person.nose_width
    soft = [  # colour, opacity, softness, outline
        (bright, 0.45, 0.12, oval(0, -0.62, 0.42, 0.16)),
        (bright, 0.5, 0.045, oval(0, 0.12, 0.05, 0.3)),
        (bright, 0.5, 0.04, oval(0, NOSE_Y - 0.06, 0.09, 0.07)),
        (dark, 0.5, 0.035, oval(0, NOSE_Y + 0.1, width, 0.035)),
        (dark, 0.45, 0.04, oval(0, MOUTH_Y + 0.2, 0.17, 0.03)),
    ]
    for side in (-1, 1):
        soft += [
            (dark, 0.55, 0.06, oval(side * person.eye_x, -0.1, 0.25, 0.13)),
            (dark, 0.4, 0.05, oval(side * 0.15, -0.12, 0.045, 0.14)),
            (dark, 0.4, 0.025, oval(side * (width + 0.02), NOSE_Y, 0.04, 0.1)),
            (BLACK, 0.6, 0.012, oval(side * width * 0.55, NOSE_Y + 0.085, 0.05, 0.026)),
            (bright, 0.5, 0.08, oval(side * 0.47, 0.27, 0.22, 0.12)),
        ]
    for colour, opacity, softness, outline in soft:
        paint(sprite, outline, colour, opacity, softness)
    x = np.linspace(-1, 1, 9)
    for side in (-1, 1):
        brow = np.stack([side * (person.eye_x + 0.25 * x), BROW_Y + 0.06 * x**2], 1)
        colour = mix(person.hair, BLACK, 0.45)
        paint(sprite, brow, colour, 0.9, softness=0.014, line_width=person.brow_thickness)


def _draw_hair_behind(sprite: np.ndarray, person: Person) -> None:
    colour, width = mix(person.hair, BLACK, 0.25), person.face_width
    if person.hair_style == "long":
        sides = np.array([[-1, -0.4], [1, -0.4], [1.1, 1.5], [-1.1, 1.5]])
        paint(sprite, sides * (width + 0.14, 1), colour, softness=0.05)
    if person.hair_style == "bun":
        paint(sprite, oval(0, -1.45, 0.42, 0.36), colour)
    if person.hair_style != "bald":
        paint(sprite, oval(0, -0.36, width + 0.08, 1.14), colour)


def _draw_hair_in_front(sprite: np.ndarray, person: Person, face: np.ndarray) -> None:
    """Draw the hair over the forehead, which ends at the temples, and its shadow."""
    style, width = person.hair_style, person.face_width
    if style == "bald":
        return
    angle = np.linspace(np.pi - 0.23, 2 * np.pi + 0.23, 30)  # over the top of the head
    crown = np.stack([(width + 0.08) * np.cos(angle), -0.36 + 1.14 * np.sin(angle)], 1)
    x = np.linspace(1, -1, 21)
    top, lowest = -0.56 if style == "fringe" else -0.84, 0.6 if style == "long" else -0.1
    hairline = np.stack([0.96 * width * x, top + (lowest - top) * np.abs(x) ** 4], 1)
    cap = np.concatenate([crown, hairline])
    paint(sprite, cap + (0, 0.07), _dark_skin(person), 0.45, softness=0.04, within=face)
    paint(sprite, cap, person.hair, softness=0.015)
    gloss = mix(person.hair, (255, 240, 220), 0.5)
    paint(sprite, oval(-0.1, -1.15, 0.65, 0.1), gloss, 0.35, softness=0.1)


def _draw_eye(sprite: np.ndarray, person: Person, eye_x: float, opening: float) -> None:
    """Draw white, iris, pupil and lids of one eye; `opening` is in 0..1."""
    along = np.linspace(-1, 1, 15)
    x, arch = eye_x + person.eye_width * along, 0.105 * (1 - np.abs(along) ** 2.3)
    upper = np.stack([x, EYE_Y + arch * (0.55 - 1.65 * opening)], 1)
    lower = np.stack([x, EYE_Y + arch * 0.72], 1)
    ball = np.concatenate([upper, lower[::-1]])
    if opening > 0.12:
        paint(sprite, ball, mix((236, 232, 228), person.skin, 0.12))
        rings = ((mix(person.iris, BLACK, 0.5), 0.098), (person.iris, 0.078), (BLACK, 0.045))
        for colour, radius in rings:
            paint(sprite, oval(eye_x, EYE_Y - 0.02, radius, radius), colour, within=ball)
    paint(sprite, lower, mix(person.skin, BLACK, 0.4), line_width=0.012)
    paint(sprite, upper, mix(person.skin, BLACK, 0.7), line_width=0.035)


def _draw_mouth(sprite: np.ndarray, person: Person, opening: float) -> None:
    """Draw lips, and the dark inside with the upper teeth; `opening` is in 0..1."""
    along = np.linspace(-1, 1, 21)
    x, arch = along * person.mouth_width * (1 - 0.12 * opening), 1 - np.abs(along) ** 2.2
    gap, fullness = 0.16 * opening * arch, person.lip_fullness * arch
    upper, lower = MOUTH_Y - gap * 0.25, MOUTH_Y + gap * 0.75
    inside = (58.0, 20.0, 20.0)
    bands = [
        (upper - 0.95 * fullness, lower, mix(person.lip, inside, 0.18)),
        (lower, lower + 1.25 * fullness, person.lip),
    ]
    if opening > 0.08:
        bands += [(upper, lower, inside), (upper, upper + 0.4 * gap, (226.0, 220.0, 212.0))]
    for first, last, colour in bands:
        outline = np.concatenate([np.stack([x, first], 1), np.stack([x, last], 1)[::-1]])
        paint(sprite, outline, colour)
    paint(sprite, np.stack([x, upper], 1), mix(person.lip, inside, 0.75), line_width=0.016)
