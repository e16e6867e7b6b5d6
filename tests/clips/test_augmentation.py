"""What is done to the frames of a clip: size, window, light, compression."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from deepfake_detector.clips import augmentation

UNALTERED = np.array([0, 0.9, 0, 0, 0, *[0.5] * 2, 0.9, 0, *[0.5] * 3, *[0.9] * 3], np.float32)


@pytest.fixture
def frames() -> np.ndarray:
    """Six frames of soft colours, `(6, 80, 80, 3) uint8`."""
    noise = np.random.default_rng(0).integers(0, 255, (6, 80, 80, 3), np.uint8)
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 4) for frame in noise])
    return cv2.normalize(soft.reshape(-1, 240), None, 40, 200, cv2.NORM_MINMAX).reshape(soft.shape)


def numbers_for(**changes: float) -> np.ndarray:
    """Return random numbers that alter nothing, but for those named."""
    names = ["phase", "flip", "crop", "crop_y", "crop_x", "brightness", "contrast", "compress"]
    names += ["quality", "gamma", "saturation", "hue", "detail", "amount", "noise"]
    numbers = UNALTERED.copy()
    for name, value in changes.items():
        numbers[names.index(name)] = value
    return numbers


def test_frames_of_the_right_size_are_left_as_they_are(frames):
    assert np.array_equal(augmentation.fit(frames, (80, 80)), frames)
    assert np.array_equal(augmentation.fit(frames, (80, 80), UNALTERED), frames)


@pytest.mark.parametrize("img_size", [(64, 64), (64, 48), (80, 80), (100, 90), (32, 32), (24, 20)])
def test_resizing_is_close_to_that_of_tensorflow(frames, img_size):
    """Whoever serves a saved model may have nothing else."""
    clip = augmentation.fit(frames, img_size)
    assert clip.shape == (6, *img_size, 3)
    assert clip.dtype == np.uint8
    expected = tf.image.resize(frames, img_size, antialias=True).numpy()
    assert np.abs(clip - expected).mean() < 1


@pytest.mark.parametrize("img_size", [(80, 80), (64, 48)])
def test_the_frames_given_are_not_written_on(frames, img_size):
    before = frames.copy()
    augmentation.fit(frames, img_size, numbers_for(flip=0.1, brightness=0.9, compress=0.0))
    assert np.array_equal(frames, before)


def test_a_flip_mirrors_left_and_right(frames):
    flipped = augmentation.fit(frames, (80, 80), numbers_for(flip=0.1))
    assert np.array_equal(flipped, frames[:, :, ::-1])


def test_a_window_lies_where_the_random_numbers_say(frames):
    window = augmentation.fit(frames, (70, 70), numbers_for(crop=0.8, crop_y=0.5, crop_x=0.99))
    assert np.array_equal(window, frames[:, 5:75, 9:79])  # 0.88 of 80 pixels are 70


def test_light_and_contrast_move_all_pixels_of_a_clip_alike(frames):
    lighter = augmentation.fit(frames, (80, 80), numbers_for(brightness=0.75)).astype(int)
    assert np.unique(lighter - frames).tolist() == [10]
    stronger = augmentation.fit(frames, (80, 80), numbers_for(contrast=0.9))
    expected = (frames - frames.mean()) * 1.2 + frames.mean()
    assert np.abs(stronger - np.clip(expected, 0, 255)).max() < 1


def test_light_ends_at_black_and_white():
    grey = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (0, 250)])
    assert augmentation.fit(grey, (16, 16), numbers_for(brightness=1.0)).max() == 255
    assert augmentation.fit(grey, (16, 16), numbers_for(brightness=0.0)).min() == 0


def test_compression_changes_little_and_leaves_red_red(frames):
    compressed = augmentation.fit(frames, (80, 80), numbers_for(compress=0.0)).astype(int)
    difference = np.abs(compressed - frames)
    assert 0 < difference.mean() < 5
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    colour = augmentation.fit(red, (32, 32), numbers_for(compress=0.0)).mean(axis=(0, 1, 2))
    assert colour == pytest.approx([200, 0, 0], abs=5)


@pytest.mark.parametrize(
    "changes",
    [{"gamma": 0.7}, {"saturation": 0.0}, {"hue": 0.9}, {"detail": 0.4}, {"noise": 0.1}],
)
def test_every_further_alteration_changes_the_pixels_but_not_the_picture(frames, changes):
    changed = augmentation.fit(frames, (80, 80), numbers_for(**changes)).astype(float)
    assert 0.2 < np.abs(changed - frames).mean() < 25
    assert np.corrcoef(changed.ravel(), frames.ravel())[0, 1] > 0.8


def test_resampling_blurs_and_sharpening_sharpens():
    noise = np.random.default_rng(0).integers(90, 160, (1, 64, 64, 3), np.uint8)

    def detail(**changes):
        return augmentation.fit(noise, (64, 64), numbers_for(**changes)).std()

    resampled, blurred, sharpened = (detail(detail=share, amount=0.5) for share in (0.1, 0.4, 0.5))
    assert max(resampled, blurred) < noise.std() < sharpened
