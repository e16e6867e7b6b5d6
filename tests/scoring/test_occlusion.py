"""Occlusion maps of models whose scores are known to come from one place."""

import numpy as np
import pytest

from deepfake_detector.scoring import occlusion


@pytest.fixture
def clip() -> np.ndarray:
    return np.full((4, 32, 32, 3), 200, np.uint8)


def score_of_a_corner(clips: np.ndarray) -> np.ndarray:
    """The brighter the upper left quarter of the frames, the higher the score."""
    return 0.1 + 0.8 * clips[:, :, :8, :8].mean(axis=(1, 2, 3, 4)) / 255


def test_the_map_is_positive_where_the_score_comes_from_and_zero_elsewhere(clip):
    effects = occlusion.occlusion_map(score_of_a_corner, clip)
    assert effects.shape == (32, 32)
    assert np.unravel_index(effects.argmax(), effects.shape) == (0, 0)
    assert effects[0, 0] == pytest.approx(
        logit(0.1 + 0.8 * 200 / 255) - logit(0.1 + 0.8 * 128 / 255)
    )
    assert np.all(effects[16:] == 0)


def test_what_lowers_the_score_is_negative(clip):
    effects = occlusion.occlusion_map(lambda clips: 1 - score_of_a_corner(clips), clip)
    assert effects[0, 0] < 0


def test_the_clip_itself_is_unchanged_and_few_clips_are_made_at_a_time(clip):
    counts = []

    def score(clips):
        counts.append(len(clips))
        return score_of_a_corner(clips)

    occlusion.occlusion_map(score, clip)
    assert np.all(clip == 200)
    assert max(counts) <= occlusion.CLIPS_AT_ONCE
    assert sum(counts) == occlusion.POSITIONS**2 + 1


def logit(score: float) -> float:
    return np.log(score / (1 - score))
