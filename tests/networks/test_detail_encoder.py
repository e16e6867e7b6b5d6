"""The default network's view of a frame: maps of detail."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from deepfake_detector.networks.detail_encoder import MAX_DEVIATION, detail_maps

FINEST = slice(3, 8)  # the strengths of the finest octave
SPARSITY = 8  # of its brightness


@pytest.fixture(scope="module")
def maps():
    """From a frame `(128, 128, 3)` to its maps `(8, 8, 21)`."""
    image = tf.keras.Input((128, 128, 3))
    network = tf.keras.Model(image, detail_maps(image))
    return lambda frame: network(frame[None].astype(np.float32))[0].numpy()


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (128, 128, 3)).astype(np.uint8)


def test_a_block_of_sixteen_by_sixteen_pixels_has_twenty_one_features(maps, frame):
    assert maps(frame).shape == (8, 8, 21)
    assert maps(frame).mean(axis=(0, 1)) == pytest.approx(np.zeros(21), abs=1e-5)


def test_more_light_on_the_whole_frame_changes_nothing_but_rounding(maps, frame):
    lighter = frame * np.float32(1.2)
    difference = np.abs(maps(lighter) - maps(frame))[..., 3:]  # without the colour
    assert difference.max() < 0.1
    assert difference.mean() < 0.01
    assert maps(frame + np.float32(20)) == pytest.approx(maps(frame), abs=1e-3)


def test_a_face_smoother_than_its_surroundings_stands_out_where_it_is(maps, frame):
    blurred = frame.copy()
    blurred[32:96, 32:96] = cv2.GaussianBlur(frame, (0, 0), 1.5)[32:96, 32:96]
    fine = maps(blurred)[..., FINEST].mean(axis=-1)
    inside, outside = fine[2:6, 2:6], np.delete(fine, range(1, 7), axis=0)
    assert inside.max() < outside.min()


def test_what_lies_beyond_the_edge_of_the_picture_does_not_count(maps, frame):
    """Crops there are filled up with black; that band once weighed more than the face."""
    cut = frame.copy()
    cut[:, 96:] = 0  # two blocks of eight
    of_face, whole = maps(cut)[:, :5], maps(frame)[:, :6]
    assert not maps(cut)[:, 7].any()
    assert of_face == pytest.approx((whole - whole.mean(axis=(0, 1)))[:, :5], abs=0.3)


def test_a_frame_of_one_colour_has_no_features_and_no_block_counts_for_too_much(maps):
    plain = np.full((128, 128, 3), 90, np.uint8)
    assert not maps(plain).any()
    plain[40:48, 40:48] = np.random.default_rng(0).integers(0, 255, (8, 8, 3))
    assert np.abs(maps(plain)).max() <= MAX_DEVIATION


def test_a_few_edges_are_sparser_than_noise_of_the_same_strength(maps):
    frame = np.full((128, 128, 3), 128, np.uint8)
    frame[:, :64] = np.random.default_rng(0).normal(128, 8, (128, 64, 1))
    frame[8::16, 64:] = 255
    sparsity = maps(frame)[..., SPARSITY]  # low where detail is sparse
    assert sparsity[:, :4].min() > sparsity[:, 4:].max()
