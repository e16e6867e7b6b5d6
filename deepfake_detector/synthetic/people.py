"""The looks of a synthetic person, from random numbers: colours, proportions, hair, glasses.

person = random_person(seed=1)
"""

from dataclasses import dataclass

import numpy as np

from deepfake_detector.synthetic.drawing import Colour, mix

SKINS = ((250, 219, 195), (240, 196, 162), (222, 170, 128), (192, 136, 96), (108, 71, 51))
HAIRS = ((28, 24, 24), (48, 33, 26), (82, 54, 36), (160, 120, 70), (205, 172, 112), (132, 58, 28))
IRISES = ((70, 42, 24), (96, 62, 34), (84, 104, 62), (72, 104, 140))
HAIR_STYLES = ("short", "fringe", "long", "bun", "bald")


@dataclass(frozen=True)
class Person:
    """The look of one person. Lengths are in face units, see drawing.py."""

    skin: Colour
    hair: Colour
    iris: Colour
    lip: Colour
    clothing: Colour
    hair_style: str
    beard: float  # opacity, 0 = none
    has_glasses: bool
    face_width: float
    face_height: float
    jaw: float  # how much the face narrows towards the chin, 0..0.4
    eye_x: float
    eye_width: float
    brow_thickness: float
    nose_width: float
    mouth_width: float
    lip_fullness: float


def random_person(seed: int) -> Person:
    """Return the look of a random person; the same seed, at least 0, gives the same person."""
    rng = np.random.default_rng([seed, 1])
    between = rng.uniform
    tone = between(0, len(SKINS) - 1.001)
    skin = mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1)
    style = str(rng.choice(HAIR_STYLES))
    has_beard = style in ("short", "bald") and between() < 0.5
    return Person(
        skin=skin,
        # Dark skin goes with the dark colours only.
        hair=HAIRS[rng.integers(len(HAIRS) if tone < 2.2 else 3)],
        iris=IRISES[rng.integers(len(IRISES) if tone < 2.2 else 2)],
        lip=mix(skin, (165, 50, 62), between(0.35, 0.65)),
        clothing=mix(between(35, 205, 3), (105, 105, 112), 0.4),
        hair_style=style,
        beard=between(0.3, 0.85) if has_beard else 0.0,
        has_glasses=between() < 0.2,
        face_width=between(0.93, 1.05),
        face_height=between(1.24, 1.40),
        jaw=between(0.14, 0.36),
        eye_x=between(0.39, 0.45),
        eye_width=between(0.18, 0.225),
        brow_thickness=between(0.05, 0.10),
        nose_width=between(0.16, 0.25),
        mouth_width=between(0.28, 0.40),
        lip_fullness=between(0.055, 0.105),
    )
