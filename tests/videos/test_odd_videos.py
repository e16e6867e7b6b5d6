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


def test_absurd_frame_rates_still_give_faces(videos, tmp_path, mp4, avi):
    contents = {
        "no_rate_1.avi": damaged.avi_with_frame_rate(avi, 0, 0, 0),
        "no_rate_2.avi": damaged.avi_with_frame_rate(avi, 40_000, 1, 0),
        "no_rate_3.avi": damaged.avi_with_frame_rate(avi, 2**32 - 1, 1, 25),
        "fast_1.mp4": damaged.mp4_with_frame_rate(mp4, 10**9, 1),
        "fast_2.mp4": damaged.mp4_with_frame_rate(mp4, 90, 0),
        "years_apart.mp4": damaged.mp4_with_frame_rate(mp4, 1, 10**6),
        "years_apart.avi": damaged.avi_with_frame_rate(avi, 40_000, 2**32 - 1, 1),
    }
    for name, content in contents.items():
        (videos / name).write_bytes(content)
    rows = make_faces(videos, tmp_path / "faces", face_size=32)
    for name, row in rows.items():
        assert row["status"] == "ok", name
        times_sec = [float(box["time_sec"]) for box in boxes_of(tmp_path / "faces", name)]
        assert times_sec == sorted(times_sec), name
        if name.startswith("no_rate"):
            assert row["frames_read"] == NUM_FRAMES
            assert times_sec[-1] == pytest.approx(0.76)
        if name.startswith("years_apart"):
            assert row["frames_read"] == 1


def test_faces_are_found_in_a_time_lapse_of_one_frame_in_two_seconds(videos, tmp_path, avi):
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, 2_000_000, 2, 1))
    row = make_faces(videos, tmp_path / "faces", capture_sec=20)["a.avi"]
    assert (row["status"], row["frames_read"], row["fps"]) == ("ok", 10, "0.50")


# Pictures of odd form


@pytest.mark.slow
@pytest.mark.parametrize(
    ("matrix", "store"),
    [
        ((0, 1, -1, 0), lambda frames: np.rot90(frames, 1, axes=(1, 2))),
        ((-1, 0, 0, -1), lambda frames: np.rot90(frames, 2, axes=(1, 2))),
        ((0, -1, 1, 0), lambda frames: np.rot90(frames, 3, axes=(1, 2))),
        ((-1, 0, 0, 1), lambda frames: frames[:, :, ::-1]),
        ((1, 0, 0, -1), lambda frames: frames[:, ::-1]),
        ((0, 1, 1, 0), lambda frames: frames.swapaxes(1, 2)),
    ],
    ids=["90", "180", "270", "mirrored", "upside down", "transposed"],
)
def test_a_film_that_is_stored_turned_or_mirrored_gives_upright_faces(
    videos, tmp_path, head_frames, matrix, store
):
    """A phone stores what its sensor saw and writes into the header how to show it."""
    ramp = np.linspace(-40, 40, SIZE).astype(int)  # so that no turn of the head looks like another
    upright = head_frames[:NUM_FRAMES].astype(int)
    upright[..., 0] += ramp
    upright[..., 2] += ramp[:, None]
    upright = np.clip(upright[:, :, 8:-8], 0, 255).astype(np.uint8)
    sample_data.write_video(videos / "turned.mp4", store(upright), FPS)
    content = damaged.mp4_displayed((videos / "turned.mp4").read_bytes(), *matrix)
    (videos / "turned.mp4").write_bytes(content)
    sample_data.write_video(videos / "upright.mp4", upright, FPS)
    row = make_faces(videos, tmp_path / "faces")["turned.mp4"]
    assert (row["status"], row["width"], row["height"]) == ("ok", SIZE - 16, SIZE)
    turned, same = (crops_of(tmp_path / "faces", f"{name}.mp4") for name in ("turned", "upright"))
    assert len(turned) == len(same) == NUM_FRAMES
    for wrong in (turned[9][::-1], turned[9][:, ::-1], np.rot90(turned[9])):
        assert difference(turned[9], same[9]) < difference(wrong, same[9]) / 2


@pytest.mark.slow
def test_odd_sizes_and_grey_films_give_whole_square_faces(videos, tmp_path, head_frames):
    frames = np.stack([cv2.resize(frame, (163, 163)) for frame in head_frames[:NUM_FRAMES]])
    sizes = {"a.avi": (161, 163), "b.avi": (159, 97), "c.avi": (99, 160)}
    for name, (width, height) in sizes.items():
        left, top = (163 - width) // 2, (163 - height) // 2
        part = frames[:, top : top + height, left : left + width]
        damaged.write_as(videos / name, part, FPS, backend=cv2.CAP_OPENCV_MJPEG)
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in head_frames[:NUM_FRAMES]])
    for fourcc in ("MJPG", "FFV1", "Y800"):
        damaged.write_as(videos / f"grey_{fourcc}.avi", grey, FPS, fourcc)
    rows = make_faces(videos, tmp_path / "faces", face_size=64)
    for name, row in rows.items():
        assert (row["status"], row["frames_read"]) == ("ok", NUM_FRAMES), name
        crops = crops_of(tmp_path / "faces", name)
        assert [crop.shape for crop in crops] == [(64, 64, 3)] * NUM_FRAMES
        if name.startswith("grey"):
            assert np.ptp(crops[0].astype(int), axis=2).max() <= 6
            assert np.std(crops[0]) > 10
        else:
            assert (row["width"], row["height"]) == sizes[name]
