"""Occlusion maps: which parts of a face a score rests on.

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


def occlusion_map(score: Callable[[np.ndarray], np.ndarray], clip: np.ndarray) -> np.ndarray:
    """Return what each part of the face adds to the logit of the score, `(height, width) float64`.

    `clip` is `(num_frames, height, width, 3) uint8`; `score` maps clips `(n, *clip.shape)` to
    scores `(n,)`, 0..1. Positive values raise the score. The value of a pixel is the mean over the
    squares that cover it.
    """
    height, width = clip.shape[1:3]
    squares = list(_squares(height, width))
    logit = calibration.logits(score(clip[None]))[0]
    total, covered = np.zeros((height, width)), np.zeros((height, width))
    for start in range(0, len(squares), CLIPS_AT_ONCE):
        hidden = squares[start : start + CLIPS_AT_ONCE]
        clips = np.repeat(clip[None], len(hidden), axis=0)
        for occluded, (rows, columns) in zip(clips, hidden, strict=True):
            occluded[:, rows, columns] = GREY
        for square, without in zip(hidden, calibration.logits(score(clips)), strict=True):
            total[square] += logit - without
            covered[square] += 1
    return total / covered


def _squares(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Yield squares that cover all pixels; the first and the last of a row touch the edges."""
    patch_height, patch_width = (max(1, round(side * PATCH_SHARE)) for side in (height, width))
    for top in np.linspace(0, height - patch_height, POSITIONS).round().astype(int):
        for left in np.linspace(0, width - patch_width, POSITIONS).round().astype(int):
            yield slice(top, top + patch_height), slice(left, left + patch_width)
