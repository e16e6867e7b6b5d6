"""Videos in, windows out: the same faces as processing.py makes, and no more files than needed."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb, write_metadata

import processing
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import following
from deepfake_detector.verdicts.reading import Motion, Reading, read_video
from deepfake_detector.verdicts.rule import MIN_MOTION
from sample_data import write_video

SETTINGS = FaceSettings(capture_sec=1.0, face_size=64)


@pytest.fixture
def video(tmp_path, head_frames) -> Path:
    """A head for 2.4 seconds at 25 frames a second."""
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / "a.mp4"
    write_video(path, np.concatenate([head_frames, head_frames, head_frames[:10]]), fps=25)
    return path


def contents(found: Reading) -> list[bytes]:
    """The crops of the clip of the only face in the first window."""
    (face,) = found.clips[0]
    return [Path(path).read_bytes() for path in face.clip]


@pytest.mark.parametrize("whole", [False, True])
def test_the_first_window_has_the_very_crops_that_processing_makes(tmp_path, video, whole):
    write_metadata(video.parent, {"a.mp4": "REAL"})
    processing.processing(video.parent, tmp_path / "faces", capture_sec=1.0, face_size=64)
    made = sorted((tmp_path / "faces" / "a.mp4").glob("*.jpeg"))
    found = read_video(video, tmp_path, SETTINGS, num_frames=25, whole=whole)
    assert contents(found) == [path.read_bytes() for path in made]


def test_a_whole_video_is_in_windows_of_the_trained_length(tmp_path, video):
    found = read_video(video, tmp_path, SETTINGS, num_frames=4, whole=True)
    assert [w.frames for w in found.verdict.windows] == [25, 25, 10]
    assert [w.start_sec for w in found.verdict.windows] == [0, 1, 2]
    assert [w.end_sec for w in found.verdict.windows] == pytest.approx([0.96, 1.96, 2.36])
    assert [w.frames_with_face for w in found.verdict.windows] == [25, 25, 10]
    indices = [frame.frame for w in found.verdict.windows for frame in w.faces[0].clip]
    assert indices == [3, 9, 15, 21, 28, 34, 40, 46, 51, 53, 56, 58]


def test_windows_that_need_a_second_reading_get_their_own_frames(tmp_path, head_frames):
    """Nothing can be seen at the start of a second, so its crops are cut when the face is known."""
    frames = np.concatenate([head_frames] * 3)
    frames[25:33] = frames[50:58] = 120
    write_video(tmp_path / "a.mp4", frames, fps=25)
    found = read_video(tmp_path / "a.mp4", tmp_path, SETTINGS, 25, whole=True)
    for window, of_window in zip(found.verdict.windows[1:], found.clips[1:], strict=True):
        (face,), (of_face,) = window.faces, of_window
        assert [frame.source for frame in face.clip[:8]] == ["averaged"] * 8
        assert all(np.ptp(read_rgb(path)) < 10 for path in of_face.clip[:8])
        assert all(np.ptp(read_rgb(path)) > 100 for path in of_face.clip[8:])


def test_only_crops_of_some_clip_stay_however_long_the_video(tmp_path, video):
    found = read_video(video, tmp_path, SETTINGS, num_frames=4, whole=True)
    assert len(list(found.folder.rglob("*.jpeg"))) == 3 * 4
    assert found.without_crops().clips == []
    assert not list(found.folder.rglob("*.jpeg"))


def test_moments_are_a_second_long_and_half_a_second_apart(tmp_path, video):
    settings = FaceSettings(capture_sec=2.0, face_size=64)
    found = read_video(video, tmp_path, settings, num_frames=4, moments=True)
    (face,) = found.verdict.windows[0].faces
    assert [moment.time_sec for moment in face.moments] == pytest.approx([0.5, 1.0], abs=0.05)
    assert all(Path(path).is_file() for paths in found.clips[0][0].moments for path in paths)


def test_a_broken_clock_leaves_few_frames_in_the_first_window(tmp_path, head_frames):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = head_frames.shape[1:3]
        for number, image_rgb in enumerate(head_frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_rgb), format="rgb24")
            frame.pts = number if number < 3 else number + 250
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = read_video(tmp_path / "a.mp4", tmp_path, SETTINGS, num_frames=4)
    (window,) = found.verdict.windows
    assert [face.frames for face in window.faces] == [3]
    assert window.end_sec == pytest.approx(0.08)


def test_a_failure_in_the_middle_keeps_the_windows_before_it(tmp_path, video, monkeypatch):
    follow = following.follow

    def fail_in_the_second(frames, settings):
        calls.append(settings)
        if len(calls) > 1:
            raise cv2.error("bad\nframe")
        return follow(frames, settings)

    calls: list = []
    monkeypatch.setattr(following, "follow", fail_in_the_second)
    found = read_video(video, tmp_path, SETTINGS, num_frames=4, whole=True)
    assert (len(found.verdict.windows), found.verdict.problem) == (1, "bad frame")


def test_windows_without_a_face_leave_no_crops_behind(tmp_path, head_frames):
    grey = np.full((25, SIZE, SIZE, 3), 120, np.uint8)
    write_video(tmp_path / "late.mp4", np.concatenate([grey, head_frames]), fps=25)
    settings = FaceSettings(capture_sec=0.5, face_size=64)
    found = read_video(tmp_path / "late.mp4", tmp_path, settings, num_frames=4)
    assert [len(window.faces) for window in found.verdict.windows] == [0, 0, 1]
    assert [path.name for path in found.folder.iterdir()] == ["window_00002"]
    assert len(list(found.folder.rglob("*.jpeg"))) == 4
    assert found.verdict.no_face_note.endswith("faces from 1.0 seconds on")


def test_a_file_that_is_no_video_says_why(tmp_path):
    (tmp_path / "a.mp4").write_text("words")
    found = read_video(tmp_path / "a.mp4", tmp_path, SETTINGS, num_frames=4)
    assert (found.verdict.windows, found.verdict.problem) == ((), "text, not a video")
    found = read_video(tmp_path / "b.mp4", tmp_path, SETTINGS, num_frames=4)
    assert (found.verdict.windows, found.verdict.problem) == ((), "no such file")


def test_a_video_that_takes_too_long_is_given_up(tmp_path, video):
    found = read_video(video, tmp_path, SETTINGS, num_frames=4, timeout_sec=0)
    assert not found.verdict.windows
    assert "--timeout-sec" in found.verdict.problem


@pytest.mark.parametrize("cuts", [(), (30, 60)])
def test_the_cuts_of_a_slideshow_are_no_motion_and_speech_is(head_frames, cuts):
    still = np.repeat(head_frames[:1], 100, axis=0)
    for cut in cuts:
        still[cut:] = 255 - still[cut:]
    assert motion_of(still) < MIN_MOTION
    assert motion_of(np.concatenate([head_frames] * 4)[::5]) > MIN_MOTION


def motion_of(images: np.ndarray) -> float:
    frames = (frame_of_image(image, number, number / 25) for number, image in enumerate(images))
    motion = Motion()
    assert len(list(motion.watch(frames))) == len(images)
    return motion.since(0.0)
