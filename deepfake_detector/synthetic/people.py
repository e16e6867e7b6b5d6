"""The looks of a synthetic person, from random numbers: colours, proportions, hair, glasses.

person = random_person(seed=1)
"""

from dataclasses import dataclass

import numpy as np

from deepfake_detector.synthetic.drawing import Colour, mix_colours

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


@dataclass(frozen=True)
class Person:
    """The look of one person. Lengths are in face units (see drawing.py), angles in degrees."""

    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    lip: Colour
    clothing: Colour
    hair_style: str
    face_width: float
    face_height: float
    jaw: float  # how much the face narrows towards the chin, 0..0.4
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


def random_person(seed: int) -> Person:
    """Return the look of a random person; the same seed, at least 0, gives the same person."""
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
