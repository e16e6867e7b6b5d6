"""Puts the inner face (eyes, nose, mouth) of one synthetic person into the video of another.

The result has the artifacts of face swapping: a softer face without the camera's noise, a colour
mismatch, a blending edge, and some trembling and flicker.

    fake = swap_faces(real, target, source, fps=25, seed=3)
"""

from dataclasses import replace

import cv2
import numpy as np

from deepfake_detector.images import resampled
from deepfake_detector.synthetic.drawing import mix, oval, soft_mask
from deepfake_detector.synthetic.head import draw_expression, draw_head
from deepfake_detector.synthetic.people import Person
from deepfake_detector.synthetic.scene import random_light, random_motion

INNER_FACE = oval(0, 0.22, 0.74, 0.92)  # what is pasted
SKIN_RESIDUE = 0.2  # share of the difference of two skins that colour transfer leaves


def swap_faces(
    frames: np.ndarray, target: Person, source: Person, fps: float, seed: int
) -> np.ndarray:
    """Return the frames with the source's inner face blended in, of the same shape.

    `frames` must be `draw_frames(target, n, size, fps, seed)` with the same fps and seed: the
    pasted face follows the movement that these determine. The strength of the artifacts comes from
    the seed, too.
    """
    num_frames, frame_size = frames.shape[:2]
    motion, light = random_motion(num_frames, frame_size, fps, seed), random_light(frame_size, seed)
    face = _as_pasted(source, target)
    head, region = draw_head(face), soft_mask(INNER_FACE, softness=0.06)
    rng, size = np.random.default_rng([seed, 6]), (frame_size, frame_size)
    shrinking = rng.uniform(3, 4.2)  # how much smaller the network's face is than the sprite's
    tint = rng.choice([-1, 1]) * rng.uniform(0.02, 0.12) + rng.uniform(-0.04, 0.04, 3)
    edge = rng.choice([-1, 1]) * rng.uniform(2, 16)  # grey levels along the blending edge
    trembling_px, flicker = rng.uniform(0, 1.2) * frame_size / 320, rng.uniform(0, 0.045)
    swapped = np.empty_like(frames)
    for index, frame in enumerate(frames):
        matrix = motion.matrices[index].copy()
        matrix[:, 2] += rng.normal(0, trembling_px, 2)
        gain = (1 + tint) * (1 + rng.normal(0, flicker))
        sprite = draw_expression(head, face, motion.eye_open[index], motion.mouth_open[index])
        soft = resampled(cv2.GaussianBlur(sprite[..., :3], (0, 0), 1.0), shrinking)
        pasted = cv2.warpAffine(soft, matrix, size) * light * gain.astype(np.float32)
        share = cv2.warpAffine(region, matrix, size)[..., None]
        blended = frame * (1 - share) + pasted * share + edge * 4 * share * (1 - share)
        swapped[index] = np.clip(blended + 0.5, 0, 255)
    return swapped


def _as_pasted(source: Person, target: Person) -> Person:
    """Return the target with the source's features, and nearly the target's skin, as colour
    transfer leaves it. Hair, beard, glasses and outline stay the target's."""
    return replace(
        target,
        skin=mix(target.skin, source.skin, SKIN_RESIDUE),
        iris=source.iris,
        lip=source.lip,
        eye_x=source.eye_x,
        eye_width=source.eye_width,
        brow_thickness=source.brow_thickness,
        nose_width=source.nose_width,
        mouth_width=source.mouth_width,
        lip_fullness=source.lip_fullness,
    )
