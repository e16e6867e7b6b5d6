"""Fakes made from real faces: what is left alone, what is altered, and for how many frames."""

import cv2
import numpy as np
import pytest

from deepfake_detector import images
from deepfake_detector.clips import self_blending


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Four frames of a still picture with detail everywhere, `(4, 112, 112, 3) uint8`."""
    noise = np.random.default_rng(0).integers(0, 255, (112, 112, 3), np.uint8)
    soft = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 30, 220, cv2.NORM_MINMAX)
    return np.stack([soft] * 4)


def blends(frames, count=40):
    return [self_blending.blend(frames, np.random.default_rng(seed)) for seed in range(count)]


def test_target_and_blend_are_clips_like_the_one_given_which_is_left_alone(frames):
    before = frames.copy()
    for target, blend, masks in blends(frames, 10):
        assert target.shape == blend.shape == frames.shape
        assert target.dtype == blend.dtype == np.uint8
        assert masks.shape == frames.shape[:3]
        assert masks.min() >= 0 and 0.4 < masks.max() <= 1
    assert np.array_equal(frames, before)


def test_the_same_seed_gives_the_same_fake_and_another_one_another(frames):
    first, again, other = (
        self_blending.blend(frames, np.random.default_rng(seed))[1] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_blend_differs_from_its_target_within_the_mask_and_nowhere_else(frames):
    for target, blend, masks in blends(frames):
        difference = np.abs(blend.astype(int) - target).max(axis=3)
        assert difference[masks > 0.4].mean() > 1
        assert difference[masks == 0].max() <= 1  # rounding


def test_the_mask_lies_on_the_middle_of_the_face_and_leaves_the_border_alone(frames):
    masks = np.stack([masks[0] for _, _, masks in blends(frames)])
    assert masks[:, :8].max() < 0.05 and masks[:, :, :8].max() < 0.05
    assert masks.mean(axis=0)[56:80, 44:68].min() > 0.4


def test_the_altered_side_is_mostly_the_face_that_is_put_in(frames):
    """Of a network that is to look for faces smoother than what is around them."""
    left_alone = [np.array_equal(target, frames) for target, _, _ in blends(frames, 100)]
    assert np.mean(left_alone) == pytest.approx(self_blending.SOURCE_ALTERED_SHARE, abs=0.1)


def test_every_second_clip_flickers_and_the_others_stay_still(frames):
    def shakes(blend):
        return not all(np.array_equal(blend[0], frame) for frame in blend[1:])

    assert 0.3 < np.mean([shakes(blend) for _, blend, _ in blends(frames, 60)]) < 0.7


@pytest.mark.parametrize("size", [(48, 64), (160, 160)])
def test_frames_of_any_size_can_be_blended(size):
    frames = np.full((2, *size, 3), 128, np.uint8)
    target, blend, masks = self_blending.blend(frames, np.random.default_rng(0))
    assert target.shape == blend.shape == frames.shape
    assert masks.shape == (2, *size)


def test_a_clip_of_one_frame_can_be_blended(frames):
    assert self_blending.blend(frames[:1], np.random.default_rng(0))[1].shape == (1, 112, 112, 3)


# The changes


def test_a_colour_that_changes_nothing_changes_nothing(frames):
    assert np.array_equal(images.colour(1, 0)(frames[0]), frames[0])
    assert np.array_equal(images.tone(1)(frames[0]), frames[0])


def test_without_saturation_all_is_grey_of_the_same_brightness():
    red = np.full((4, 4, 3), (200, 40, 40), np.uint8)
    grey = images.colour(1, 0, saturation=0)(red)
    assert np.ptp(grey, axis=2).max() <= 1
    assert grey.mean() == pytest.approx(0.299 * 200 + 0.701 * 40, abs=1)


def test_resampling_takes_detail_away_and_sharpening_adds_some(frames):
    def detail(frame):
        return cv2.Laplacian(frame, cv2.CV_32F).std()

    smooth = images.resampled(frames[0], 2.0)
    sharp = images.sharpened(frames[0], 1.0, 0.5)
    assert detail(smooth) < 0.8 * detail(frames[0])
    assert detail(sharp) > 1.2 * detail(frames[0])
    assert smooth.shape == sharp.shape == frames[0].shape


def test_noise_is_grey_and_the_same_on_every_frame():
    grey = np.full((64, 64, 3), 100, np.uint8)
    noisy = images.noise(4.0, seed=3)(grey)
    assert noisy.astype(float).std() == pytest.approx(4, abs=0.5)
    assert np.ptp(noisy, axis=2).max() == 0
    assert np.array_equal(noisy, images.noise(4.0, seed=3)(grey))
