"""Photographs that look like frames of a video."""

import cv2
import numpy as np
import pytest

from deepfake_detector import images
from deepfake_detector.clips import filming

needs_encoder = pytest.mark.skipif(
    not images.CAN_ENCODE_H264, reason="this build of FFmpeg has no H.264 encoder"
)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A clip of four equal frames full of detail, `(4, 64, 64, 3) uint8`."""
    return np.stack([np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)] * 4)


def filmed(photograph, seed):
    return filming.filmed(photograph, np.random.default_rng(seed))


@needs_encoder
def test_a_photograph_mostly_loses_detail_and_moves(photograph):
    clips = [filmed(photograph, seed) for seed in range(40)]
    changed = [clip for clip in clips if not np.array_equal(clip, photograph)]
    assert len(changed) / len(clips) == pytest.approx(filming.FILMED_SHARE, abs=0.15)
    for clip in changed:
        assert clip.shape == photograph.shape and clip.dtype == np.uint8
    assert np.mean([np.array_equal(clip[0], clip[-1]) for clip in changed]) < 0.3
    assert np.mean([clip.std() for clip in changed]) < 0.8 * photograph.std()


def test_the_same_seed_films_alike(photograph):
    assert np.array_equal(filmed(photograph, 3), filmed(photograph, 3))


def test_without_an_encoder_photographs_stay_photographs(photograph, monkeypatch):
    monkeypatch.setattr(images, "CAN_ENCODE_H264", False)
    assert all(np.array_equal(filmed(photograph, seed), photograph) for seed in range(5))


@needs_encoder
def test_a_higher_rate_factor_loses_more_and_odd_sides_stay_odd(photograph):
    frames = photograph[:, :63, :61]
    errors = []
    for crf in (10, 25, 40):
        changed = images.h264(frames, crf)
        assert changed.shape == frames.shape
        errors.append(np.abs(changed.astype(int) - frames).mean())
    assert errors == sorted(errors)


@needs_encoder
def test_the_same_frames_differed_from_one_encoding_to_the_next():
    """On processors with AVX-512: 8 results of 20, and scores that could not be repeated."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (200, 200, 3)).astype(np.uint8), (0, 0), 4)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)
    frames = np.stack([scene[3 * k :, 2 * k :][:160, :160] for k in range(8)])
    results = set()
    for _ in range(20):
        for size in (300_000, 100_000, 20_000):  # the encoder gets memory that is not empty
            rng.integers(0, 256, size).astype(np.uint8)
        results.add(images.h264(frames, 35).tobytes())
    assert len(results) == 1
