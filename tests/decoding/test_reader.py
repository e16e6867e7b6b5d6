"""Frames are taken by the clock of the video itself."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import write_metadata

import processing
import sample_data
from deepfake_detector.decoding.reader import open_video


def frames_of(path: Path, capture_sec: float, fps: float | None) -> list[tuple[int, float]]:
    """Return index and time of the frames that are kept."""
    with open_video(path) as reader:
        return [(frame.index, frame.time_sec) for frame in reader.frames(capture_sec, fps)]


@pytest.mark.parametrize(("fps", "expected"), [(10, 10), (25, 25), (50, 50)])
def test_one_second_is_one_second_at_any_frame_rate(tmp_path, head_frames, fps, expected):
    """The seed takes 60 frames for a second whatever the video's rate."""
    frames = np.concatenate([head_frames] * 4)
    sample_data.write_video(tmp_path / "a.mp4", frames, fps=fps)
    kept = frames_of(tmp_path / "a.mp4", capture_sec=1, fps=None)
    assert len(kept) == expected


def test_fps_keeps_that_many_frames_a_second_spread_evenly(tmp_path, head_frames):
    sample_data.write_video(tmp_path / "a.mp4", head_frames, fps=25)
    kept = frames_of(tmp_path / "a.mp4", capture_sec=5, fps=5)
    assert [index for index, _ in kept] == [0, 5, 10, 15, 20]
    assert [round(time_sec, 2) for _, time_sec in kept] == [0, 0.2, 0.4, 0.6, 0.8]


def test_asking_for_more_frames_than_there_are_keeps_all(tmp_path, head_frames):
    sample_data.write_video(tmp_path / "a.mp4", head_frames, fps=25)
    assert len(frames_of(tmp_path / "a.mp4", capture_sec=5, fps=100)) == 25


@pytest.mark.slow
def test_a_thousand_frames_still_sort_by_name(tmp_path, head_frames):
    small = np.stack([cv2.resize(frame, (96, 96)) for frame in head_frames])
    sample_data.write_video(tmp_path / "long.mp4", np.concatenate([small] * 41)[:1001], fps=50)
    write_metadata(tmp_path, {"long.mp4": "REAL"})
    processing.processing(tmp_path, tmp_path / "faces", capture_sec=60, face_size=16)
    names = sorted(path.name for path in (tmp_path / "faces" / "long.mp4").glob("*.jpeg"))
    assert names == [f"{i:04d}.jpeg" for i in range(1001)]
