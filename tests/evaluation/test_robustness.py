"""Altered faces and timelines: what is scored, and that it is always the same."""

import numpy as np
import pytest
from grey_videos import SETTINGS, brightness_model, write_grey_video

from deepfake_detector.evaluation import robustness, timelines
from deepfake_detector.face_dataset.boxes import frame_times
from deepfake_detector.scoring.clip_scorer import ClipScorer


@pytest.fixture
def crops(head_frames) -> np.ndarray:
    return head_frames[:4, 30:130, 30:130]


def test_every_alteration_keeps_shape_and_type_and_is_the_same_again(crops):
    found = robustness.alter_all(crops[:, :99, :97])  # odd sizes, too
    assert found.shape == (len(robustness.ALTERATIONS), 4, 99, 97, 3)
    assert found.dtype == np.uint8
    assert (found == robustness.alter_all(crops[:, :99, :97])).all()
    for name, altered in zip(robustness.ALTERATIONS, found, strict=True):
        distance = np.abs(altered.astype(float) - found[0]).mean()
        assert (distance > 0.5) == (name != "clean"), name


def test_noise_differs_from_frame_to_frame(crops):
    grey = np.full_like(crops, 128)
    noisy = robustness.noisy(grey).astype(float) - 128
    assert noisy.std() == pytest.approx(robustness.NOISE_SIGMA, rel=0.05)
    assert np.abs(noisy[0] - noisy[1]).mean() > 5


@pytest.fixture
def brightness():
    return ClipScorer(brightness_model(), SETTINGS, batch_size=4)


def test_a_timeline_rises_where_the_video_does(brightness, tmp_path):
    face = write_grey_video(tmp_path / "v", [20] * 30 + [220] * 10)
    (points,) = timelines.score_timelines(brightness, [face])
    assert len(points) == timelines.MAX_WINDOWS
    assert points[0].score == pytest.approx(20 / 255, abs=0.01)
    assert points[-1].score == pytest.approx(220 / 255, abs=0.01)
    assert points[0].time_sec == pytest.approx(0.45)  # frames 0 to 9, ten a second
    assert points[-1].time_sec == pytest.approx(3.45)


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 10, 31, 32, 40, 150])
def test_windows_lie_within_the_video_and_reach_both_ends(num_frames):
    found = timelines.windows_of(num_frames, clip_frames=8)
    assert found[0][0] == 0
    assert found[-1][0] + found[-1][1] == num_frames or len(found) == 1
    assert 1 <= len(found) <= timelines.MAX_WINDOWS
    assert len(set(found)) == len(found)
    assert all(length == min(num_frames, max(8, round(num_frames / 4))) for _, length in found)


def test_a_timeline_without_boxes_has_times_all_the_same(brightness, tmp_path):
    face = write_grey_video(tmp_path / "v", [0] * 9)
    (tmp_path / "v" / "boxes.csv").write_text("frame,time_sec\n0,never\n")
    assert frame_times(face).tolist() == [number / 25 for number in range(9)]
    (tmp_path / "v" / "boxes.csv").unlink()
    assert len(timelines.score_timelines(brightness, [face])[0]) == 7
    assert timelines.score_timelines(brightness, []) == []
