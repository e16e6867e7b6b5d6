"""Masks of a face or of a part of it."""

import cv2
import numpy as np
import pytest

from deepfake_detector.clips import face_masks


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """A skin-coloured ellipse before a blue wall, `(112, 112, 3) uint8` RGB."""
    frame = np.full((112, 112, 3), (40, 60, 160), np.uint8)
    cv2.ellipse(frame, (56, 58), (22, 38), 0, 0, 360, (205, 150, 125), -1)
    return frame


def masks(frame, count=60):
    return np.stack(
        [face_masks.random_masks(frame[None], np.random.default_rng(n))[0] for n in range(count)]
    )


def test_a_mask_covers_a_part_of_the_face_and_no_border(face):
    made = masks(face)
    assert made.dtype == np.float32 and made.min() >= 0
    assert np.allclose(made.max(axis=(1, 2)), 1, atol=0.02)
    assert made[:, :8].max() < 0.05 and made[:, :, :8].max() < 0.05
    shares = made.mean(axis=(1, 2))
    assert shares.min() < 0.05 < 0.2 < shares.max() < 0.45  # from mouths to whole faces


def test_the_outline_of_a_whole_face_ends_where_the_skin_does(face, monkeypatch):
    monkeypatch.setattr(face_masks, "OUTLINE_SHARE", 1.0)
    monkeypatch.setattr(face_masks, "OUTLINE_SHARES", {"hull": 1.0})
    wall = (face[:, :, 2] == 160)[None]
    by_shape, by_skin = (
        (made * wall).sum() / made.sum()
        for made in (_with_skin_share(face, monkeypatch, share) for share in (0.0, 1.0))
    )
    assert by_skin < 0.6 * by_shape


def _with_skin_share(face, monkeypatch, share):
    monkeypatch.setattr(face_masks, "SKIN_SHARE", share)
    return masks(face)


@pytest.mark.parametrize("kind", face_masks.OUTLINE_SHARES)
def test_every_kind_of_outline_lies_where_its_part_of_the_face_is(face, kind, monkeypatch):
    middle = {"hull": 0.56, "inner": 0.52, "lower": 0.68, "mouth": 0.67, "eyes": 0.42}[kind]
    monkeypatch.setattr(face_masks, "OUTLINE_SHARE", 1.0)
    monkeypatch.setattr(face_masks, "OUTLINE_SHARES", {kind: 1.0})
    rows = masks(face).sum(axis=(0, 2))
    assert np.average(np.arange(112), weights=rows) / 112 == pytest.approx(middle, abs=0.05)
