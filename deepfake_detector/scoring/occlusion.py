"""Occlusion maps: which parts of a face, and which frames, a score rests on.

    effects = occlusion_map(scorer.score_clips, clip)

A grey square hides one part of the face after another, and the change of the score shows how much
that part contributes (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks",
ECCV 2014, arXiv:1311.2901). The square is at the same place in every frame of the clip: the crops
follow the face, so it hides the same part of the face in all frames. Arrays in, arrays out.
"""

from collections.abc import Callable, Iterator

import numpy as np

from deepfake_detector.scoring import calibration

GREY = 128  # the middle of the pixel values, which the models scale to 0
PATCH_SHARE = 0.25  # side of the square, as a share of the side of the face
POSITIONS = 9  # of the square, along each side
CLIPS_AT_ONCE = 16


def occlusion_map(
    score: Callable[[np.ndarray], np.ndarray],
    clip: np.ndarray,
    patch_share: float = PATCH_SHARE,
    positions: int = POSITIONS,
) -> np.ndarray:
    """Return what each part of the face adds to the logit of the score, `(height, width) float64`.

    `clip` is `(num_frames, height, width, 3) uint8`; `score` maps clips `(n, *clip.shape)` to
    scores `(n,)`, 0..1. Positive values raise the score. The value of a pixel is the mean over the
    squares that cover it.
    """
    height, width = clip.shape[1:3]
    squares = list(_squares(height, width, patch_share, positions))
    effects = _effects(score, clip, [(slice(None), *square) for square in squares])
    total, covered = np.zeros((height, width)), np.zeros((height, width))
    for square, effect in zip(squares, effects, strict=True):
        total[square] += effect
        covered[square] += 1
    return total / covered


def frame_effects(score: Callable[[np.ndarray], np.ndarray], clip: np.ndarray) -> np.ndarray:
    """Return what each frame adds to the logit of the score, `(num_frames,) float64`: the change
    when that frame alone is grey."""
    return _effects(score, clip, [(frame,) for frame in range(len(clip))])


def _squares(
    height: int, width: int, patch_share: float, positions: int
) -> Iterator[tuple[slice, slice]]:
    """Yield squares that cover all pixels; the first and the last of a row touch the edges."""
    patch_height = max(1, round(height * patch_share))
    patch_width = max(1, round(width * patch_share))
    for top in np.linspace(0, height - patch_height, positions).round().astype(int):
        for left in np.linspace(0, width - patch_width, positions).round().astype(int):
            yield slice(top, top + patch_height), slice(left, left + patch_width)


def _effects(
    score: Callable[[np.ndarray], np.ndarray], clip: np.ndarray, hidden: list[tuple]
) -> np.ndarray:
    """Return how much the logit falls when each of the `hidden` parts (indices) is grey."""
    logits = []
    for start in range(0, len(hidden), CLIPS_AT_ONCE):
        part = hidden[start : start + CLIPS_AT_ONCE]
        clips = np.repeat(clip[None], len(part), axis=0)
        for occluded, where in zip(clips, part, strict=True):
            occluded[where] = GREY
        logits.append(calibration.logits(score(clips)))
    return calibration.logits(score(clip[None]))[0] - np.concatenate(logits)
