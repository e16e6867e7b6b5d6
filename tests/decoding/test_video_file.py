"""A video is read as a player shows it: its clock, whole pictures, square pixels, its colours."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from encoded_videos import INTERLACED, encode

from deepfake_detector.decoding.frame import Frame, PlanarPixels
from deepfake_detector.decoding.reader import UnreadableError, open_video

HEIGHT, WIDTH = 96, 128


def read(path: Path, capture_sec: float = 60) -> list[Frame]:
    """Return the frames of a video that is not damaged."""
    with open_video(path) as reader:
        frames = list(reader.frames(capture_sec, None))
        assert reader.damage == ""
        return frames


def grey_frames(levels) -> np.ndarray:
    """Frames of one grey level each: whoever mixes frames up is found out."""
    return np.stack([np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in levels])


@pytest.fixture(scope="module")
def frames_rgb(head_frames) -> np.ndarray:
    return np.stack([cv2.resize(frame, (WIDTH, HEIGHT)) for frame in head_frames[:12]])


# Interlaced video


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg2video", ".mpg"), ("libx264", ".m2ts")])
def test_interlaced_video_gives_its_own_pictures_and_not_those_of_the_video_before(
    tmp_path, codec, suffix
):
    """OpenCV 4.13 and 4.14 return what is in the buffer, often of another video, and say True."""
    fake = encode(tmp_path / "fake.mp4", grey_frames([200] * 10))
    levels = [40, 60, 80, 100, 120, 140, 160, 180]
    path = tmp_path / f"real{suffix}"
    encode(path, grey_frames(levels), codec=codec, flags=INTERLACED)
    assert np.mean([frame.image_bgr.mean() for frame in read(fake)]) == pytest.approx(200, abs=3)
    means = [float(frame.image_bgr.mean()) for frame in read(path)]
    assert means == pytest.approx(levels, abs=6)


def test_interlaced_video_has_no_combs_where_something_moves(tmp_path):
    """The two fields of a frame are taken at two times, and a moving edge is in two places."""
    frames = grey_frames([30] * 10)
    for number, frame in enumerate(frames):
        frame[0::2, 8 * number : 8 * number + 40] = 220
        frame[1::2, 8 * number + 4 : 8 * number + 44] = 220
    shown = read(encode(tmp_path / "a.mpg", frames, codec="mpeg2video", flags=INTERLACED))
    rows = shown[5].grey[20:76].astype(int)
    assert len(shown) == 10
    assert np.abs(rows[1:] - rows[:-1]).mean() < 4  # 10 with combs


# Time


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".flv"])
def test_time_counts_from_the_first_picture_and_longer_sound_is_no_damage(
    tmp_path, frames_rgb, suffix
):
    """The number of frames was an estimate: the length of the sound times the frame rate."""
    times_sec = (0 if suffix == ".flv" else 6) + np.arange(12) / 25
    path = encode(tmp_path / f"late{suffix}", frames_rgb, times_sec, sound_sec=8)
    assert len(read(path)) == 12
    times_sec = [frame.time_sec for frame in read(path, capture_sec=0.3)]
    assert times_sec == pytest.approx(np.arange(8) / 25, abs=0.002)


def test_a_variable_frame_rate_is_not_called_damaged_and_keeps_its_times(tmp_path, frames_rgb):
    times_sec = [0, 0.04, 0.08, 0.12, 0.2, 0.3, 0.5, 0.9, 1.0, 1.04, 1.5, 2.5]
    path = encode(tmp_path / "a.mkv", frames_rgb, times_sec)
    assert [frame.time_sec for frame in read(path)] == pytest.approx(times_sec, abs=0.002)


def test_what_a_browser_records_is_not_damaged_because_it_was_stopped(tmp_path, frames_rgb):
    """It is written as it goes, without lengths, and its last block may be incomplete."""
    recorded, stopped = tmp_path / "recorded.webm", tmp_path / "stopped.webm"
    with av.open(str(recorded), "w", options={"live": "1"}) as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in frames_rgb:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))
    stopped.write_bytes(recorded.read_bytes()[:-20])
    assert [len(read(recorded)), len(read(stopped))] == [12, 11]


# Form


@pytest.mark.parametrize(
    ("pixel_aspect", "size"),
    [
        (Fraction(16, 11), (96, 186)),
        (Fraction(8, 9), (108, 128)),
        (Fraction(301, 300), (96, 128)),  # how some writers round
    ],
)
def test_pixels_that_are_not_square_are_stretched_as_players_do(
    tmp_path, frames_rgb, pixel_aspect, size
):
    (first, *_) = read(encode(tmp_path / "a.mp4", frames_rgb, pixel_aspect=pixel_aspect))
    assert first.size == first.image_bgr.shape[:2] == first.grey.shape == size


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_colours_are_right_in_every_format_and_in_every_part(tmp_path, frames_rgb, pix_fmt):
    """Only the surroundings of a face are converted to colour; odd corners share chroma samples."""
    path = encode(tmp_path / "a.mkv", frames_rgb, pix_fmt=pix_fmt, options={"crf": "8"})
    frame = read(path)[5]
    assert np.abs(frame.image_bgr[:, :, ::-1].astype(int) - frames_rgb[5]).mean() < 4
    assert isinstance(frame.pixels, PlanarPixels) == (not pix_fmt.endswith("10le"))
    for left, top, right, bottom in [(11, 7, 90, 71), (20, 30, 61, 50), (33, 9, 34, 10)]:
        inside = frame.pixels.bgr(left, top, right, bottom)
        assert np.array_equal(inside, frame.image_bgr[top:bottom, left:right])


def test_a_frame_outlives_the_frames_after_it(tmp_path):
    levels = list(range(20, 220, 10))
    with open_video(encode(tmp_path / "a.mkv", grey_frames(levels))) as reader:
        frames = list(reader.frames(60, None))
    means = [float(frame.pixels.bgr(12, 12, 40, 40).mean()) for frame in frames]
    assert means == pytest.approx(levels, abs=4)


def test_a_matrix_of_colours_that_ffmpeg_cannot_undo_does_not_end_the_video(tmp_path, frames_rgb):
    path = encode(tmp_path / "a.mp4", frames_rgb, options={"x264-params": "colormatrix=bt2020c"})
    frame = read(path)[5]
    assert np.abs(frame.image_bgr[:, :, ::-1].astype(int) - frames_rgb[5]).mean() < 12


def test_an_encrypted_video_is_not_called_damaged(tmp_path, frames_rgb):
    key = {"encryption_key": "0123456789abcdef" * 2, "encryption_kid": "fedcba9876543210" * 2}
    path = encode(
        tmp_path / "a.mp4",
        frames_rgb,
        container_options={"encryption_scheme": "cenc-aes-ctr", **key},
    )
    with pytest.raises(UnreadableError, match="encrypted"):
        read(path)


def test_the_cover_of_a_piece_of_music_is_no_video(tmp_path, frames_rgb):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("mp3", rate=44_100)
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(frames_rgb[0], format="rgb24")))
        silence = np.zeros((1, 2 * 1152), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
        frame.rate, frame.pts = 44_100, 0
        container.mux([*sound.encode(frame), *sound.encode(), *cover.encode()])
    with pytest.raises(UnreadableError, match="sound only, no picture"):
        open_video(path)
