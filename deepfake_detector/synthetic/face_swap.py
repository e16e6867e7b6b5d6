"""Puts the inner face (eyes, nose, mouth) of one synthetic person into the video of another.

The result has the artifacts of face swapping: lower sharpness, and some of colour mismatch, a
blending edge, flicker and missing noise. Arrays only, RGB, no files.

    artifacts = random_swap_artifacts(seed=5)
    fake = swap_faces(real, target, source, fps=25, seed=3, artifacts=artifacts)
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from deepfake_detector.synthetic.drawing import (
    CENTRE_PX,
    UNIT_PX,
    Colour,
    mix_colours,
    oval_outline,
    soft_mask,
)
from deepfake_detector.synthetic.head import draw_expression, draw_head
from deepfake_detector.synthetic.people import Person
from deepfake_detector.synthetic.scene import Scene, draw_scene, random_motion


@dataclass(frozen=True)
class SwapArtifacts:
    """Strength of the artifacts that one face swap leaves; 0 = absent."""

    resolution_px: int  # side of the square that the source's face, 2.6 units wide, is shrunk to
    softness_px: float  # blur at that resolution
    skin_residue: float  # share of the skin difference that colour transfer leaves
    gain: Colour  # per-channel factor on the pasted face
    edge: float  # grey levels added along the blending edge
    jitter_px: float  # standard deviation of the pasted face's shift per frame
    flicker: float  # standard deviation of its brightness factor per frame
    noise_kept: float  # share of the sensor noise put back over the pasted face, 0-1
    feather: float  # softness of the mask, face units


def random_swap_artifacts(seed: int) -> SwapArtifacts:
    """Return random artifacts: every fake is softer, and has at least one artifact more."""
    rng = np.random.default_rng([seed, 5])
    present = rng.uniform(size=4) < 0.8
    present[rng.integers(4)] = True
    colour, edge, unsteady, clean = present
    tint = rng.uniform(-0.04, 0.04, 3) + rng.choice([-1, 1]) * rng.uniform(0.05, 0.12)
    red, green, blue = (1 + tint * (1.0 if colour else 0.2)).tolist()
    return SwapArtifacts(
        resolution_px=int(rng.integers(62, 91)),
        softness_px=rng.uniform(0.45, 0.85),
        skin_residue=rng.uniform(0.2, 0.4) if colour else rng.uniform(0.03, 0.1),
        gain=(red, green, blue),
        edge=float(rng.choice([-1, 1]) * rng.uniform(7, 16)) if edge else 0.0,
        jitter_px=rng.uniform(0.5, 1.2) if unsteady else 0.1,
        flicker=rng.uniform(0.015, 0.045) if unsteady else 0.004,
        noise_kept=0.0 if clean else rng.uniform(0.4, 0.8),
        feather=rng.uniform(0.035, 0.09),
    )


def swap_faces(
    frames: np.ndarray,
    target: Person,
    source: Person,
    fps: float,
    seed: int,
    artifacts: SwapArtifacts,
) -> np.ndarray:
    """Return the frames with the source's inner face blended in, of the same shape.

    `frames` must be `draw_frames(target, n, size, fps, seed)` with the same fps and seed: the
    pasted face follows the movement that these determine.
    """
    num_frames, frame_size = frames.shape[:2]
    motion = random_motion(num_frames, frame_size, fps, seed)
    scene = draw_scene(target, motion.matrices[0], frame_size, seed)
    face = _transfer_colour(source, target, artifacts.skin_residue)
    head = draw_head(face, scene.light_direction)
    region = soft_mask(oval_outline(0, 0.22, 0.74, 0.92), artifacts.feather)
    rng = np.random.default_rng([seed, 6])
    swapped = np.empty_like(frames)
    for index, frame in enumerate(frames):
        sprite = draw_expression(
            head, face, motion.eye_open[index], motion.mouth_open[index], motion.gaze[index]
        )
        matrix = motion.matrices[index].copy()
        matrix[:, 2] += rng.normal(0, artifacts.jitter_px * frame_size / 320, 2)
        gain = np.array(artifacts.gain) * (1 + rng.normal(0, artifacts.flicker))
        swapped[index] = _paste(
            frame, _soften(sprite, artifacts), region, matrix, gain, scene, artifacts
        )
    return swapped


def _transfer_colour(source: Person, target: Person, skin_residue: float) -> Person:
    """Return the source with the target's skin, but for a residue, as colour transfer leaves it.

    Hair, beard and glasses stay the target's: swapping replaces features, not what lies on them.
    """
    difference = np.subtract(source.skin, target.skin)
    residue = skin_residue * min(1.0, 80 / max(1.0, float(np.abs(difference).max())))
    return replace(
        source,
        skin=mix_colours(target.skin, source.skin, residue),
        hair=target.hair,
        hair_style=target.hair_style,
        beard=target.beard,
        glasses=target.glasses,
        face_width=target.face_width,
        face_height=target.face_height,
        jaw=target.jaw,
    )


def _paste(
    frame: np.ndarray,
    face: np.ndarray,
    region: np.ndarray,
    matrix: np.ndarray,
    gain: np.ndarray,
    scene: Scene,
    artifacts: SwapArtifacts,
) -> np.ndarray:
    """Return a uint8 RGB frame with a sprite-sized RGB face blended in where the mask `region`,
    0..1, is."""
    size = frame.shape[1::-1]
    share = cv2.warpAffine(region, matrix, size)
    left, top, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    box = np.s_[top : top + height, left : left + width]
    share, around = share[box][..., None], frame[box]
    pasted = cv2.warpAffine(face, matrix, size)[box] * scene.light[box] * gain.astype(np.float32)
    if scene.defocus_px:  # a swapping network learns from frames that are out of focus, too
        pasted = cv2.GaussianBlur(pasted, (0, 0), scene.defocus_px)
    if artifacts.noise_kept:
        own_noise = around - cv2.GaussianBlur(around, (0, 0), 1.0).astype(np.float32)
        pasted += np.clip(own_noise, -8, 8) * (artifacts.noise_kept * 0.5)
    blended = around * (1 - share) + pasted * share + artifacts.edge * 4 * share * (1 - share)
    result = frame.copy()
    result[box] = np.clip(blended + 0.5, 0, 255)
    return result


def _soften(sprite: np.ndarray, artifacts: SwapArtifacts) -> np.ndarray:
    """Return a face as it comes out of a face-swapping network of low resolution, RGB uint8."""
    half = int(1.3 * UNIT_PX)
    x, y = int(CENTRE_PX[0]), int(CENTRE_PX[1] + 0.1 * UNIT_PX)
    box = np.s_[y - half : y + half, x - half : x + half]
    small = cv2.resize(
        sprite[box][..., :3], (artifacts.resolution_px,) * 2, interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), artifacts.softness_px)
    result = sprite[..., :3].copy()
    result[box] = cv2.resize(small, (2 * half, 2 * half), interpolation=cv2.INTER_CUBIC)
    return result
