"""Videos with odd clocks, frame rates, sizes, rotations and colours give the right faces."""

from pathlib import Path

import cv2
import damaged_videos as damaged
import numpy as np
import pytest
from conftest import SIZE
from odd_videos import FPS, NUM_FRAMES, boxes_of, crops_of, difference, make_faces

import sample_data


@pytest.fixture
def videos(tmp_path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


# Time


def test_a_variable_frame_rate_is_cut_and_timed_by_the_real_clock(videos, tmp_path, mp4):
    """Ten frames in 0.2 s, then ten at 0.1 s each: the mean rate of the header tells neither."""
    durations_sec = [0.02] * 10 + [0.1] * 10
    (videos / "a.mp4").write_bytes(damaged.mp4_with_uneven_frames(mp4, durations_sec))
    row = make_faces(videos, tmp_path / "faces", capture_sec=0.5)["a.mp4"]
    shown_sec = np.cumsum([0, *durations_sec[:-1]])
    expected = shown_sec[shown_sec < 0.5 - 1e-6]
    assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", len(expected))
    boxes = boxes_of(tmp_path / "faces", "a.mp4")
    assert [float(box["time_sec"]) for box in boxes] == pytest.approx(expected, abs=0.001)
    assert len(crops_of(tmp_path / "faces", "a.mp4")) == len(boxes)


def test_frames_a_second_are_counted_by_the_real_clock(videos, tmp_path, mp4):
    durations_sec = [0.02] * 10 + [0.1] * 10
    (videos / "a.mp4").write_bytes(damaged.mp4_with_uneven_frames(mp4, durations_sec))
    make_faces(videos, tmp_path / "faces", fps=5)
    boxes = boxes_of(tmp_path / "faces", "a.mp4")
    shown_sec = [float(box["time_sec"]) for box in boxes]
    assert shown_sec == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0], abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("microsec", "scale", "rate"),
    [(0, 0, 0), (40_000, 1, 0), (40_000, 0, 25), (0, 1, 25), (2**32 - 1, 1, 25)],
)
def test_an_avi_without_a_usable_frame_rate_is_read_whole(
    videos, tmp_path, avi, microsec, scale, rate
):
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, microsec, scale, rate))
    row = make_faces(videos, tmp_path / "faces")["a.avi"]
    assert (row["status"], row["frames_read"]) == ("ok", NUM_FRAMES)
    assert float(boxes_of(tmp_path / "faces", "a.avi")[-1]["time_sec"]) == pytest.approx(0.76)


@pytest.mark.parametrize(("ticks_a_second", "ticks_a_frame"), [(10**9, 1), (2**32 - 1, 1), (90, 0)])
def test_an_absurd_frame_rate_still_gives_faces(
    videos, tmp_path, mp4, ticks_a_second, ticks_a_frame
):
    content = damaged.mp4_with_frame_rate(mp4, ticks_a_second, ticks_a_frame)
    (videos / "a.mp4").write_bytes(content)
    row = make_faces(videos, tmp_path / "faces")["a.mp4"]
    assert row["status"] == "ok"
    assert 1 <= row["frames_read"] <= NUM_FRAMES
    times_sec = [float(box["time_sec"]) for box in boxes_of(tmp_path / "faces", "a.mp4")]
    assert times_sec == sorted(times_sec)


def test_frames_years_apart_are_cut_after_the_first(videos, tmp_path, mp4, avi):
    (videos / "a.mp4").write_bytes(damaged.mp4_with_frame_rate(mp4, 1, 10**6))
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, 40_000, 2**32 - 1, 1))
    rows = make_faces(videos, tmp_path / "faces")
    assert {(row["status"], row["frames_read"]) for row in rows.values()} == {("ok", 1)}


def test_faces_are_found_in_a_time_lapse_of_one_frame_in_two_seconds(videos, tmp_path, avi):
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, 2_000_000, 2, 1))
    row = make_faces(videos, tmp_path / "faces", capture_sec=20)["a.avi"]
    assert (row["status"], row["frames_read"], row["fps"]) == ("ok", 10, "0.50")


# Pictures of odd form


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_film_from_a_turned_phone_gives_upright_faces(videos, tmp_path, head_frames, degrees):
    """The phone stores what its sensor saw and writes into the header how to turn it."""
    upright = head_frames[:NUM_FRAMES, :, 8:-8]
    stored = np.rot90(upright, k=degrees // 90, axes=(1, 2))
    sample_data.write_video(videos / "turned.mp4", stored, FPS)
    content = damaged.mp4_rotated((videos / "turned.mp4").read_bytes(), degrees)
    (videos / "turned.mp4").write_bytes(content)
    sample_data.write_video(videos / "upright.mp4", upright, FPS)
    rows = make_faces(videos, tmp_path / "faces")
    assert rows["turned.mp4"]["status"] == "ok"
    assert (rows["turned.mp4"]["width"], rows["turned.mp4"]["height"]) == (SIZE - 16, SIZE)
    turned, same = (crops_of(tmp_path / "faces", f"{name}.mp4") for name in ("turned", "upright"))
    assert len(turned) == len(same) == NUM_FRAMES
    assert difference(turned[9], same[9]) < difference(np.flipud(turned[9]), same[9]) / 2


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(161, 163), (159, 97), (99, 160), (131, 131)])
def test_odd_sizes_give_whole_square_faces(videos, tmp_path, head_frames, width, height):
    frames = np.stack([cv2.resize(frame, (163, 163)) for frame in head_frames[:NUM_FRAMES]])
    left, top = (163 - width) // 2, (163 - height) // 2
    frames = frames[:, top : top + height, left : left + width]
    damaged.write_as(videos / "odd.avi", frames, FPS, backend=cv2.CAP_OPENCV_MJPEG)
    row = make_faces(videos, tmp_path / "faces", face_size=64)["odd.avi"]
    assert (row["status"], row["width"], row["height"]) == ("ok", width, height)
    crops = crops_of(tmp_path / "faces", "odd.avi")
    assert [crop.shape for crop in crops] == [(64, 64, 3)] * NUM_FRAMES


@pytest.mark.slow
@pytest.mark.parametrize("fourcc", ["MJPG", "FFV1", "Y800"])
def test_a_film_in_grey_gives_grey_faces(videos, tmp_path, head_frames, fourcc):
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in head_frames[:NUM_FRAMES]])
    damaged.write_as(videos / "grey.avi", grey, FPS, fourcc)
    row = make_faces(videos, tmp_path / "faces")["grey.avi"]
    assert (row["status"], row["frames_read"]) == ("ok", NUM_FRAMES)
    face = crops_of(tmp_path / "faces", "grey.avi")[0].astype(int)
    assert np.ptp(face, axis=2).max() <= 6
    assert np.std(face) > 10


@pytest.mark.slow
def test_two_frames_of_8k_give_faces(videos, tmp_path, head_frames):
    frames = np.zeros((2, 4320, 7680, 3), np.uint8)
    for frame, small in zip(frames, head_frames, strict=False):
        frame[:, 1680:6000] = cv2.resize(small, (4320, 4320), interpolation=cv2.INTER_LINEAR)
    damaged.write_as(videos / "8k.avi", frames, FPS)
    row = make_faces(videos, tmp_path / "faces")["8k.avi"]
    assert (row["status"], row["width"], row["height"]) == ("ok", 7680, 4320)
    assert len(crops_of(tmp_path / "faces", "8k.avi")) == 2
