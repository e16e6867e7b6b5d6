"""Films a synthetic person: how the head moves, what is behind it, the camera's light and noise.

frames = draw_frames(random_person(1), num_frames=25, frame_size=320, fps=25, seed=1)
"""

from typing import NamedTuple

import cv2
import numpy as np

from deepfake_detector.synthetic.drawing import CENTRE_PX, mix
from deepfake_detector.synthetic.head import draw_body, draw_expression, draw_head
from deepfake_detector.synthetic.people import Person


class Motion(NamedTuple):
    """How a head moves."""

    matrices: np.ndarray  # (num_frames, 2, 3) float64, pixels of the sprite to pixels of the frame
    eye_open: np.ndarray  # (num_frames,), 0 = shut, 1 = open
    mouth_open: np.ndarray  # (num_frames,), 0 = shut, 1 = wide open


def draw_frames(
    person: Person, num_frames: int, frame_size: int, fps: float, seed: int
) -> np.ndarray:
    """Return one talking person, `(num_frames, frame_size, frame_size, 3) uint8` RGB.

    The scene, the camera and the movement come from `seed`, at least 0; `frame_size` is in pixels.
    """
    motion = random_motion(num_frames, frame_size, fps, seed)
    body, head = draw_body(person), draw_head(person)
    rng = np.random.default_rng([seed, 4])
    background, light = _draw_background(rng, frame_size), random_light(frame_size, seed)
    noise = rng.normal(0, rng.uniform(2, 7), (frame_size + 32, frame_size + 32, 3))
    frames = np.empty((num_frames, frame_size, frame_size, 3), np.uint8)
    for index, matrix in enumerate(motion.matrices):
        frame = background.copy()
        # The shoulders move less than the head.
        _lay_over(frame, body, 0.4 * motion.matrices[0] + 0.6 * matrix)
        eyes, mouth = motion.eye_open[index], motion.mouth_open[index]
        _lay_over(frame, draw_expression(head, person, eyes, mouth), matrix)
        top, left = rng.integers(0, 32, 2)  # another part of one noise field: fast, and still new
        frame = frame * light + noise[top : top + frame_size, left : left + frame_size]
        frames[index] = np.clip(frame + 0.5, 0, 255)
    return frames


def random_motion(num_frames: int, frame_size: int, fps: float, seed: int) -> Motion:
    """Return the smooth head movement, blinking and speech of one video."""
    rng = np.random.default_rng([seed, 2])
    pixel = frame_size / 320
    sway = [_smooth_noise(rng, num_frames, fps * rng.uniform(0.6, 1.2)) for _ in range(4)]
    scale = pixel * rng.uniform(0.66, 0.82) * (1 + 0.03 * sway[0])
    angle = np.radians(rng.uniform(-2, 2) + rng.uniform(1, 4) * sway[1])
    x = pixel * (160 + rng.uniform(-14, 14) + 9 * sway[2])
    y = pixel * (150 + rng.uniform(-4, 10) + 5 * sway[3])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.moveaxis(linear, -1, 0)
    offset = np.stack([x, y], 1) - linear @ CENTRE_PX
    eye_open = np.ones(num_frames)
    moment = rng.uniform(0.2, 1.6) * fps
    while moment < num_frames:
        eye_open *= 1 - np.exp(-(((np.arange(num_frames) - moment) / (0.07 * fps)) ** 2))
        moment += rng.uniform(1.4, 3.5) * fps
    words = 0.5 + 0.5 * np.sin(np.cumsum(rng.uniform(5, 13, num_frames)) / fps * 2)
    talk = words * np.clip(0.55 + 0.6 * _smooth_noise(rng, num_frames, fps * 0.4), 0, 1)
    return Motion(np.concatenate([linear, offset[..., None]], 2), eye_open, talk)


def random_light(frame_size: int, seed: int) -> np.ndarray:
    """Return a factor for each pixel: brighter on one side, and of a warm or a cold colour.

    It is `(frame_size, frame_size, 3) float32`.
    """
    rng = np.random.default_rng([seed, 3])
    angle, warmth = rng.uniform(np.pi, 2 * np.pi), rng.uniform(-0.07, 0.09)
    ramp = np.linspace(-1, 1, frame_size)
    side = ramp[None, :] * np.cos(angle) + ramp[:, None] * np.sin(angle) * 0.5
    light = rng.uniform(0.82, 1.08) * (1 + rng.uniform(0.05, 0.25) * side)
    return (light[..., None] * [1 + warmth, 1, 1 - warmth]).astype(np.float32)


def _lay_over(frame: np.ndarray, sprite: np.ndarray, matrix: np.ndarray) -> None:
    """Lay a sprite, moved by `matrix`, over an RGB frame, float32, in place."""
    size = (frame.shape[1], frame.shape[0])
    layer = cv2.warpAffine(sprite, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    frame *= 1 - layer[..., 3:] / np.float32(255)
    frame += layer[..., :3]


def _smooth_noise(rng: np.random.Generator, length: int, period: float) -> np.ndarray:
    """Return a smooth random curve, `(length,)` in about -1..1, that turns about every `period`."""
    knots = rng.uniform(-1, 1, int(length / period) + 4)
    where = np.arange(length) / period + rng.uniform(0, 1)
    share = (1 - np.cos((where % 1) * np.pi)) / 2
    return knots[where.astype(int)] * (1 - share) + knots[where.astype(int) + 1] * share


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a wall with boxes in front, out of focus, `(size, size, 3) float32` RGB."""
    base = mix(rng.uniform(50, 210, 3), (128, 128, 128), 0.4)
    image: np.ndarray = np.full((size, size, 3), base, np.uint8)
    for _ in range(rng.integers(0, 40)):
        colour = mix(base, rng.uniform(40, 230, 3), 0.5)
        x, y, width = (rng.uniform(0, 1, 3) * size).astype(int).tolist()
        cv2.rectangle(image, (x, y), (x + width // 6, y + size // 3), colour, cv2.FILLED)
    return cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.006, 0.018)).astype(np.float32)
