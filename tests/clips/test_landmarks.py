"""Landmarks: masks that lie on a part of the face and move with it, and faces warped by them."""

import cv2
import numpy as np
import pytest

from deepfake_detector.clips import face_masks, landmarks, self_blending
from deepfake_detector.clips.face_swaps import swap
from deepfake_detector.console import UserError

SIDE = 112
# Where the parts lie in the crops of processing.py: middle and half of width and height.
PLACES = {
    landmarks.OVAL: (0.5, 0.55, 0.25, 0.3),
    landmarks.BROWS: (0.5, 0.36, 0.17, 0.02),
    landmarks.LEFT_EYE: (0.6, 0.42, 0.05, 0.02),
    landmarks.RIGHT_EYE: (0.4, 0.42, 0.05, 0.02),
    landmarks.NOSE: (0.5, 0.52, 0.04, 0.08),
    landmarks.LIPS: (0.5, 0.67, 0.09, 0.04),
}
MIDDLES_Y = {
    "hull": 0.58, "inner": 0.53, "oval": 0.55, "lower": 0.7, "mouth": 0.67, "eyes": 0.39,
    "nose": 0.58,
}  # fmt: skip


@pytest.fixture
def marks() -> np.ndarray:
    """The landmarks of a face that looks at the camera, `(468, 2) float32`."""
    points = np.tile(np.float32([0.5, 0.55]), (468, 1))
    for part, (x, y, half_width, half_height) in PLACES.items():
        angle = np.linspace(0, 2 * np.pi, len(part), endpoint=False)
        ring = np.column_stack([x + half_width * np.sin(angle), y - half_height * np.cos(angle)])
        points[list(part)] = ring
    return points


@pytest.fixture
def frames() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(noise, (0, 0), 1.5)] * 2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", face_masks.MARKED_SHARES)
def test_a_mask_lies_on_its_part_of_the_face_and_moves_with_it(kind, frames, marks, monkeypatch):
    monkeypatch.setattr(face_masks, "MARKED_SHARES", {kind: 1.0})
    two = np.stack([marks, marks + np.float32([0.1, 0.05])])
    for seed in range(10):
        first, moved = face_masks.random_masks(frames, rng(seed), two)
        assert first.max() == pytest.approx(1, abs=0.05) and first.min() >= 0
        y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        places = [[np.average(axis, weights=mask) for axis in (x, y)] for mask in (first, moved)]
        assert places[0] == pytest.approx([0.5, MIDDLES_Y[kind]], abs=0.06)
        assert np.subtract(*places[::-1]) == pytest.approx([0.1, 0.05], abs=0.02)


def test_landmarks_of_one_face_get_to_where_those_of_the_other_are(marks):
    """A dot on the mouth of the source is found on the mouth of the target."""
    target = marks * 0.9 + np.float32([0.02, 0.08])  # smaller, and elsewhere
    target[list(landmarks.LIPS)] += np.float32([0.0, 0.03])  # and the mouth is lower
    source = np.zeros((SIDE, SIDE, 3), np.uint8)
    lips = marks[list(landmarks.LIPS)].mean(axis=0)
    cv2.circle(source, tuple(int(v) for v in lips * SIDE), 4, (255, 255, 255), -1)
    source_xy = landmarks.source_positions(target, marks, (SIDE, SIDE))
    warped = cv2.remap(source, source_xy, None, cv2.INTER_LINEAR)
    y, x = np.nonzero(warped[..., 0] > 128)
    expected = target[list(landmarks.LIPS)].mean(axis=0) * SIDE
    assert [x.mean(), y.mean()] == pytest.approx(expected, abs=1.5)


def test_equal_landmarks_leave_every_pixel_in_place(marks):
    source_xy = landmarks.source_positions(marks, marks, (30, 40))
    y, x = np.mgrid[0:30, 0:40]
    assert np.allclose(source_xy, np.dstack([x, y]), atol=1e-2)


def test_another_expression_moves_mouth_and_eyes_and_nothing_else(marks):
    changed = landmarks.other_expression(np.stack([marks] * 2), rng())
    moved = np.abs(changed - marks).max(axis=(0, 2)) > 1e-6
    parts = {*landmarks.LIPS, *landmarks.LEFT_EYE, *landmarks.RIGHT_EYE}
    assert set(np.flatnonzero(moved)) <= parts and moved.sum() > len(parts) / 2


def test_fakes_by_landmarks_change_the_face_and_leave_the_border_alone(frames, marks, monkeypatch):
    monkeypatch.setattr(landmarks, "SHARE", 1.0)
    monkeypatch.setattr(landmarks, "find", lambda clip: np.stack([marks] * len(clip)))
    for seed in range(20):
        target, blend, _ = self_blending.blend(frames, rng(seed), with_landmarks=True)
        fake = swap(frames, frames[:, ::-1], rng(seed), with_landmarks=True)
        for made, below in ((blend, target), (fake, frames)):
            changed = np.abs(made.astype(int) - below).max(axis=(0, 3))
            assert changed.max() > 5 and changed[:4].max() <= 3 and changed[:, :4].max() <= 3


def test_a_face_without_landmarks_is_blended_all_the_same(frames, monkeypatch):
    monkeypatch.setattr(landmarks, "find", lambda clip: None)
    target, blend, _ = self_blending.blend(frames, rng(1), with_landmarks=True)
    assert not np.array_equal(target, blend)
    assert not np.array_equal(swap(frames, frames[:, ::-1], rng(1), with_landmarks=True), frames)


def test_without_the_package_a_training_by_landmarks_is_refused(monkeypatch):
    monkeypatch.setattr(landmarks, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="pip install"):
        landmarks.check_installed()


@pytest.mark.skipif(landmarks.network_path() is None, reason="mediapipe is not installed")
def test_no_landmarks_are_found_where_there_is_no_face():
    assert landmarks.find(np.full((1, SIDE, SIDE, 3), 128, np.uint8)) is None
