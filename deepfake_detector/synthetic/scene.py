"""Films a synthetic person: how the head moves, what is behind it, the camera's light and noise.

frames = draw_frames(random_person(1), num_frames=25, frame_size=320, fps=25, seed=1)
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake_detector.synthetic.drawing import (
    CENTRE_PX,
    SUBPIXEL_BITS,
    UNIT_PX,
    Colour,
    lay_over,
    mix_colours,
    smooth_noise,
)
from deepfake_detector.synthetic.head import draw_expression, draw_head
from deepfake_detector.synthetic.people import Person

BACKGROUNDS = ("gradient", "blobs", "stripes", "bookshelf", "window", "panels")


@dataclass(frozen=True)
class Motion:
    """How a head moves; all but the matrices are `(num_frames,)`."""

    matrices: np.ndarray  # (num_frames, 2, 3) float64, pixels of the sprite to pixels of the frame
    eye_open: np.ndarray  # 0 = shut, 1 = open
    mouth_open: np.ndarray  # 0 = shut, 1 = wide open
    gaze: np.ndarray  # sideways, -1..1


@dataclass(frozen=True)
class Scene:
    """What stays the same throughout a video, apart from the person."""

    background: np.ndarray  # (height, width, 3) float32 RGB, 0..255
    body: np.ndarray  # (height, width, 4) uint8 premultiplied RGBA
    light: np.ndarray  # (height, width, 3) float32 factor
    light_direction: tuple[float, float]  # towards the light, x right, y down; length = strength
    defocus_px: float
    noise_level: float  # standard deviation in grey levels


def draw_frames(
    person: Person, num_frames: int, frame_size: int, fps: float, seed: int
) -> np.ndarray:
    """Return one talking person, `(num_frames, frame_size, frame_size, 3) uint8` RGB.

    The scene, the camera and the movement come from `seed`, at least 0; `frame_size` is in pixels.
    """
    motion = random_motion(num_frames, frame_size, fps, seed)
    scene = draw_scene(person, motion.matrices[0], frame_size, seed)
    head = draw_head(person, scene.light_direction)
    rng = np.random.default_rng([seed, 4])
    noise: np.ndarray = rng.normal(0, scene.noise_level, (frame_size + 32, frame_size + 32, 3))
    noise = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 0.55) * 1.5
    size = (frame_size, frame_size)
    frames = np.empty((num_frames, *size, 3), np.uint8)
    start = motion.matrices[0, :, :2] @ CENTRE_PX + motion.matrices[0, :, 2]
    for index, matrix in enumerate(motion.matrices):
        drift = (matrix[:, :2] @ CENTRE_PX + matrix[:, 2] - start) * 0.6
        shift = np.array([[1, 0, drift[0]], [0, 1, drift[1]]])
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
        top, left = rng.integers(0, 32, 2)  # another part of one noise field: fast, and still new
        frame = frame + noise[top : top + frame_size, left : left + frame_size]
        frames[index] = np.clip(frame + 0.5, 0, 255)
    return frames


def random_motion(num_frames: int, frame_size: int, fps: float, seed: int) -> Motion:
    """Return the smooth head movement, blinking and speech of one video."""
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


def draw_scene(person: Person, matrix: np.ndarray, frame_size: int, seed: int) -> Scene:
    """Return the background, clothing, light and camera of one video; `matrix` is the head's pose
    in the first frame."""
    rng = np.random.default_rng([seed, 3])
    background = _draw_background(rng, frame_size)
    angle, warmth = rng.uniform(np.pi, 2 * np.pi), rng.uniform(-0.07, 0.09)
    direction = np.cos(angle), np.sin(angle) * 0.5
    ramp = np.linspace(-1, 1, frame_size, dtype=np.float32)
    gradient = ramp[None, :] * direction[0] + ramp[:, None] * direction[1]
    light = 1 + rng.uniform(0.02, 0.14) * gradient[..., None]
    light = (
        light
        * np.float32(rng.uniform(0.82, 1.08))
        * np.array([1 + warmth, 1, 1 - warmth], np.float32)
    )
    strength = rng.uniform(0.02, 0.13)
    # Some cameras are out of focus, so that softness alone does not reveal a fake.
    defocus = rng.uniform(0.5, 1.3) if rng.uniform() < 0.45 else 0.0
    return Scene(
        background,
        _draw_body(person, matrix, frame_size),
        light.astype(np.float32),
        (direction[0] * strength, direction[1] * strength),
        defocus * frame_size / 320,
        rng.uniform(2.0, 7.0),
    )


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a background out of focus, `(size, size, 3) float32` RGB."""
    style = str(rng.choice(BACKGROUNDS))
    first, second = rng.uniform(60, 200, 3), rng.uniform(50, 215, 3)
    base = mix_colours(first, [first.mean()] * 3, 0.5)
    other = mix_colours(second, [second.mean()] * 3, 0.5)
    down = np.linspace(0, 1, size)[:, None, None]
    column = np.array(base) + np.subtract(other, base) * 0.5 * down
    image = np.ascontiguousarray(np.broadcast_to(column, (size, size, 3)), np.uint8)
    part = size / rng.uniform(4, 9)
    if style == "blobs":
        for _ in range(22):
            x, y = rng.integers(0, size, 2).tolist()
            colour = mix_colours(other, rng.uniform(60, 230, 3), 0.5)
            radius = int(size * rng.uniform(0.03, 0.11))
            cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA)
    elif style == "stripes":
        for left in np.arange(0, size, part * 0.7).tolist():
            _draw_box(image, left, 0, left + part * 0.3, size, other)
    elif style == "bookshelf":
        _draw_bookshelf(rng, image, part, base)
    elif style == "window":
        left = float(rng.choice([0.02, 0.6])) * size
        for pane in (0, 1):
            x = int(left + pane * size * 0.2)
            _draw_box(image, x, size * 0.05, x + int(size * 0.17), size * 0.6, (225, 232, 240))
    elif style == "panels":
        for left in np.arange(0, size, part * 1.6).tolist():
            corners = (int(left), int(size * 0.08)), (int(left + part * 1.4), int(size * 0.9))
            cv2.rectangle(image, *corners, other, max(1, size // 100), cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), size * rng.uniform(0.006, 0.018)).astype(np.float32)


def _draw_bookshelf(rng: np.random.Generator, image: np.ndarray, part: float, base: Colour) -> None:
    size = len(image)
    for top in np.arange(-part * rng.uniform(), size, part * 1.7).tolist():
        left = 0.0
        while left < size:
            width, drop = part * rng.uniform(0.15, 0.4), part * rng.uniform(0, 0.4)
            colour = mix_colours(rng.uniform(40, 190, 3), base, 0.4)
            _draw_box(image, left, top + drop, left + width, top + part * 1.5, colour)
            left += width * 1.1


def _draw_box(
    image: np.ndarray, left: float, top: float, right: float, bottom: float, colour: Colour
) -> None:
    corners = (int(left), int(top)), (int(right), int(bottom))
    cv2.rectangle(image, *corners, colour, cv2.FILLED)


def _draw_body(person: Person, matrix: np.ndarray, frame_size: int) -> np.ndarray:
    """Return neck, shoulders and collar, `(frame_size, frame_size, 4) uint8` premultiplied RGBA."""
    # Drawn at twice the size, then shrunk: edges come out smooth.
    body: np.ndarray = np.zeros((frame_size * 2, frame_size * 2, 4), np.uint8)
    dark, cloth = mix_colours(person.skin, (60, 24, 16), 0.45), person.clothing

    def fill(outline: list[list[float]], colour: Colour) -> None:
        sprite_px = np.array(outline) * UNIT_PX + CENTRE_PX
        frame_px = sprite_px @ matrix[:, :2].T + matrix[:, 2]
        points = np.round(frame_px * 2 * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(body, [points], (*colour, 255), cv2.LINE_AA, SUBPIXEL_BITS)

    curve = np.linspace(-1, 1, 31)
    top = 1.72 + 0.55 * np.abs(curve) ** 1.6 + 1.6 * np.clip(np.abs(curve) - 0.8, 0, 1)
    fill([*np.stack([curve * 2.3, top], 1).tolist(), [2.4, 5], [-2.4, 5]], cloth)
    neck = [[-0.56, 0.7], [0.56, 0.7], [0.62, 1.75], [0.3, 2.1], [-0.3, 2.1], [-0.62, 1.75]]
    fill(neck, dark)
    throat = [[-0.5, 1.5], [0.5, 1.5], [0.56, 1.78], [0.2, 2.05], [-0.2, 2.05], [-0.56, 1.78]]
    fill(throat, mix_colours(person.skin, dark, 0.45))
    if person.collar == 0:
        ring = [[-0.75, 1.72], [-0.3, 2.08], [0.3, 2.08], [0.75, 1.72], [0.4, 2.24], [-0.4, 2.24]]
        fill(ring, mix_colours(cloth, (0, 0, 0), 0.3))
    elif person.collar == 1:
        fill([[-0.5, 1.85], [0.5, 1.85], [0, 2.6]], mix_colours(person.skin, dark, 0.35))
    else:
        for side in (-1, 1):
            fill([[side * 0.7, 1.6], [side * 0.05, 2.2], [side * 0.45, 2.5]], (232, 232, 236))
    body = cv2.GaussianBlur(body, (0, 0), frame_size / 160)
    return cv2.resize(body, (frame_size, frame_size), interpolation=cv2.INTER_AREA)
