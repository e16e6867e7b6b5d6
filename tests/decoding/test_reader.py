"""Frames are taken by the clock of the video itself; pictures are videos, too."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import sample_data
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.reader import UnreadableError, open_video
from deepfake_detector.face_dataset.boxes import crop_names


def read(path: Path, capture_sec: float = 60, fps: float | None = None) -> list[Frame]:
    with open_video(path) as reader:
        return list(reader.frames(capture_sec, fps))


def grey(level: int, size: int = 32) -> np.ndarray:
    return np.full((size, size, 3), level, np.uint8)


@pytest.mark.parametrize("fps", [10, 25, 50])
def test_one_second_is_one_second_at_any_frame_rate(tmp_path, head_frames, fps):
    """The seed takes 60 frames for a second whatever the video's rate."""
    sample_data.write_video(tmp_path / "a.mp4", np.concatenate([head_frames] * 3), fps=fps)
    assert len(read(tmp_path / "a.mp4", capture_sec=1)) == fps


def test_fps_keeps_that_many_frames_a_second_spread_evenly(tmp_path, head_frames):
    sample_data.write_video(tmp_path / "a.mp4", head_frames, fps=25)
    kept = read(tmp_path / "a.mp4", fps=5)
    assert [frame.index for frame in kept] == [0, 5, 10, 15, 20]
    assert [round(frame.time_sec, 2) for frame in kept] == [0, 0.2, 0.4, 0.6, 0.8]
    assert len(read(tmp_path / "a.mp4", fps=100)) == 25  # there are no more


def test_a_thousand_crops_still_sort_by_name():
    assert crop_names(1001) == sorted(crop_names(1001)) == [f"{i:04d}.jpeg" for i in range(1001)]
    assert crop_names(1) == ["000.jpeg"]


# Pictures


def test_a_picture_is_a_video_of_one_frame(tmp_path, head_frames):
    cv2.imwrite(str(tmp_path / "photo.png"), head_frames[0][:, :, ::-1])
    (frame,) = read(tmp_path / "photo.png")
    assert (frame.index, frame.time_sec) == (0, 0.0)
    assert np.array_equal(frame.image_bgr[:, :, ::-1], head_frames[0])


def test_a_folder_of_numbered_pictures_is_a_video_in_the_order_of_the_numbers(tmp_path):
    for number in (1, 2, 9, 10, 11, 100):
        cv2.imwrite(str(tmp_path / f"shot2_frame{number}.png"), grey(number))
    (tmp_path / "notes.txt").write_text("no picture")
    frames = read(tmp_path)
    assert [int(frame.image_bgr.mean()) for frame in frames] == [1, 2, 9, 10, 11, 100]
    assert frames[-1].time_sec == pytest.approx(5 / 25)
    (tmp_path / "shot2_frame9.png").write_bytes(b"\x89PNG\r\n")  # costs no other
    with open_video(tmp_path) as reader:
        assert len(list(reader.frames(60, None))) == 5
        assert reader.damage == "1 of 6 pictures cannot be read, the first is shot2_frame9.png"


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_an_animated_picture_is_a_video_by_its_own_clock_or_refused(tmp_path, suffix):
    """Only the first picture of a WebP or PNG was looked at."""
    path = tmp_path / f"a{suffix}"
    animation = cv2.Animation()
    animation.frames = [grey(level) for level in (50, 120, 200)]
    animation.durations = np.array([100, 300, 100])
    if not cv2.imwriteanimation(str(path), animation):
        pytest.skip(f"this OpenCV writes no animated {suffix}")
    if suffix != ".gif":
        with pytest.raises(UnreadableError, match="an animated WebP or PNG"):
            read(path)
        return
    frames = read(path)
    levels = [float(frame.image_bgr.mean()) for frame in frames]
    assert levels == pytest.approx([50, 120, 200], abs=4)
    assert [frame.time_sec for frame in frames] == pytest.approx([0, 0.1, 0.4], abs=0.01)


def test_a_photograph_with_a_film_behind_it_is_whole(tmp_path):
    """Phones put some seconds of film behind a JPEG, whose bytes looked like the start of more."""
    path = tmp_path / "PXL_1.MP.jpg"
    cv2.imwrite(str(path), grey(90))
    content = path.read_bytes()
    padded = content[:2] + b"\xff\xff" + content[2:]  # any number of FF may stand before a marker
    for whole in (content, padded):
        path.write_bytes(whole + b"ftypmp42 \xff\xda and no end")
        assert len(read(path)) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_that_is_cut_off_is_not_filled_up(tmp_path, head_frames, suffix):
    """OpenCV returns a whole picture, the rest of it grey or black."""
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), head_frames[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableError, match="a picture that is cut off|not a picture OpenCV can"):
        read(path)
    path.write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(UnreadableError, match="not a picture OpenCV can read"):
        read(path)
