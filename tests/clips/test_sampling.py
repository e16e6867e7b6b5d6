"""Which frames make a clip: one rule for training, scoring, prediction and strips."""

import numpy as np
import pytest

from deepfake_detector.clips.sampling import clip_paths, sample_positions, whole_video_paths
from deepfake_detector.face_dataset.face_tracks import FaceTrack


def track(num_frames, digits=3):
    return FaceTrack("a.mp4", "faces/a.mp4", 0, num_frames, digits, "a.mp4", "a.mp4")


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 25, 149, 1001])
@pytest.mark.parametrize("num_frames", [1, 3, 8, 30])
def test_positions_are_in_order_within_the_video_and_spread_evenly(count, num_frames):
    positions = sample_positions(count, num_frames)
    assert len(positions) == num_frames
    assert positions == sorted(positions)
    assert positions[0] >= 0 and positions[-1] < count
    if count >= num_frames:
        assert len(set(positions)) == num_frames
        assert np.ptp(np.diff(positions)) <= 1 if num_frames > 1 else True


def test_a_frame_is_taken_from_the_middle_of_each_share():
    assert sample_positions(9, 3) == [1, 4, 7]
    assert sample_positions(4, 2) == [1, 3]


def test_the_phase_says_where_in_its_share_a_frame_is_taken():
    assert sample_positions(9, 3, phase=0.0) == [0, 3, 6]
    assert sample_positions(9, 3, phase=0.99) == [2, 5, 8]


def test_a_video_shorter_than_a_clip_repeats_frames():
    assert sample_positions(2, 5) == [0, 0, 1, 1, 1]


def test_paths_are_the_crops_of_the_frames():
    assert clip_paths(track(9), 3) == [
        b"faces/a.mp4/001.jpeg",
        b"faces/a.mp4/004.jpeg",
        b"faces/a.mp4/007.jpeg",
    ]
    assert clip_paths(track(5000, digits=4), 1) == [b"faces/a.mp4/2500.jpeg"]


def test_whole_videos_are_rows_of_an_array_also_where_there_are_none():
    assert whole_video_paths([track(9), track(2)], 3).shape == (2, 3)
    assert whole_video_paths([], 3).shape == (0, 3)
