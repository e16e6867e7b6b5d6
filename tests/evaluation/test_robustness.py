"""Altered faces: what is scored, and that it is always the same."""

import numpy as np
import pytest

from deepfake_detector.evaluation import robustness


@pytest.fixture
def crops(head_frames) -> np.ndarray:
    return head_frames[:4, 30:130, 30:130]


@pytest.mark.parametrize("name", robustness.ALTERATIONS)
def test_every_alteration_keeps_shape_and_type_and_is_the_same_again(crops, name):
    odd = crops[:, :99, :97]
    altered, again = (robustness.ALTERATIONS[name](odd) for _ in range(2))
    assert (altered.shape, altered.dtype) == ((4, 99, 97, 3), np.uint8)
    assert np.array_equal(altered, again)
    assert (np.abs(altered.astype(float) - odd).mean() > 0.5) == (name != "clean")


def test_noise_differs_from_frame_to_frame(crops):
    grey = np.full_like(crops, 128)
    noisy = robustness.noisy(grey).astype(float) - 128
    assert noisy.std() == pytest.approx(robustness.NOISE_SIGMA, rel=0.05)
    assert np.abs(noisy[0] - noisy[1]).mean() > 5
