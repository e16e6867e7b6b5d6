"""The default network's view of a frame: maps of detail."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

import model as networks


@pytest.fixture(scope="module")
def maps():
    """From a frame `(64, 64, 3)` to its maps `(16, 16, 18)`."""
    image = tf.keras.Input((64, 64, 3))
    network = tf.keras.Model(image, networks._detail_maps(image))
    return lambda frame: network(frame[None].astype(np.float32))[0].numpy()


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (64, 64, 3)).astype(np.uint8)


def test_a_cell_of_four_by_four_pixels_has_eighteen_figures(maps, frame):
    assert maps(frame).shape == (16, 16, 18)
    assert maps(frame).mean(axis=(0, 1)) == pytest.approx(np.zeros(18), abs=1e-5)


def test_more_light_on_the_whole_frame_changes_nothing_but_rounding(maps, frame):
    lighter = frame * np.float32(1.2)
    difference = np.abs(maps(lighter) - maps(frame))[..., 3:]  # without the colour
    assert difference.max() < 0.2  # where there is next to no detail
    assert difference.mean() < 0.01
    assert maps(frame + np.float32(20)) == pytest.approx(maps(frame), abs=1e-3)


def test_a_face_smoother_than_its_surroundings_stands_out_where_it_is(maps, frame):
    blurred = frame.copy()
    blurred[16:48, 16:48] = cv2.GaussianBlur(frame, (0, 0), 1.5)[16:48, 16:48]
    fine = maps(blurred)[..., 3:8].mean(axis=-1)  # the finest octave
    inside, outside = fine[5:11, 5:11], np.delete(fine, range(3, 13), axis=0)
    assert inside.max() < outside.min()
