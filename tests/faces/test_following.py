"""Faces that appear late: how far is looked, what is cut, and what the reason says."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import SIZE, read_rgb, rows_of, write_metadata

import processing
import sample_data
from deepfake_detector.console import UserError
from deepfake_detector.decoding.frame import Frame, frame_of_image
from deepfake_detector.face_dataset.settings import FaceSettings, setting_differences
from deepfake_detector.faces.following import split


def late_video(folder: Path, head_frames: np.ndarray, grey_frames: int, name="a.mp4") -> Path:
    """Write a video that is grey at first and then shows a head for a second; 25 a second."""
    folder.mkdir(exist_ok=True)
    grey = np.full((grey_frames, SIZE, SIZE, 3), 120, np.uint8)
    sample_data.write_video(folder / name, np.concatenate([grey, head_frames]), fps=25)
    return write_metadata(folder, {name: "REAL"})


def test_a_face_after_the_first_seconds_is_found_and_the_row_says_from_when_on(
    tmp_path, head_frames
):
    videos = late_video(tmp_path / "videos", head_frames, 50)
    (row,) = processing.processing(videos, tmp_path / "faces", capture_sec=1)
    assert row["status"] == "ok"
    assert row["reason"] == "no face in the first 2.0 seconds; faces from 2.0 seconds on"
    assert row["frames_read"] == 75
    assert row["detected"] + row["averaged"] == 25
    boxes = rows_of(tmp_path / "faces" / "a.mp4" / "boxes.csv")
    assert [int(box["frame"]) for box in boxes] == list(range(50, 75))
    assert float(boxes[0]["time_sec"]) == pytest.approx(2.0, abs=0.002)
    assert np.ptp(read_rgb(tmp_path / "faces" / "a.mp4" / "000.jpeg")) > 100


def test_late_crops_begin_with_the_face_and_not_with_the_wall_before_it(tmp_path, head_frames):
    videos = late_video(tmp_path / "videos", head_frames, 35)
    (row,) = processing.processing(videos, tmp_path / "faces", capture_sec=1)
    first, *_ = rows_of(tmp_path / "faces" / "a.mp4" / "boxes.csv")
    assert (row["status"], first["source"]) == ("ok", "detected")
    assert 35 <= int(first["frame"]) <= 45


def test_late_faces_are_those_that_the_same_seconds_at_the_start_would_give(tmp_path, head_frames):
    """A window does not know what came before it."""
    for name, grey_frames in (("early", 0), ("late", 25)):
        folder = late_video(tmp_path / name, head_frames, grey_frames)
        processing.processing(folder, tmp_path / f"faces_{name}", capture_sec=1)
    early, late = (
        rows_of(tmp_path / f"faces_{name}" / "a.mp4" / "boxes.csv") for name in ("early", "late")
    )
    for one, other in zip(early, late, strict=True):
        for side in "xywh":
            assert float(one[side]) == pytest.approx(float(other[side]), abs=3)


@pytest.mark.parametrize(
    ("search_sec", "fps", "reason"),
    [
        (0, None, "no face in the first 1.0 seconds"),
        (2, None, "no face in the first 2.0 seconds"),
        (2.5, None, "no face in the first 2.5 seconds"),
        (2.5, 5, "no face in the first 2.5 seconds"),
    ],
)
def test_no_face_says_how_far_was_looked(tmp_path, head_frames, search_sec, fps, reason):
    videos = late_video(tmp_path / "videos", head_frames, 75)
    out = tmp_path / "faces"
    (row,) = processing.processing(videos, out, capture_sec=1, fps=fps, search_sec=search_sec)
    assert (row["status"], row["reason"]) == ("no_face", reason)
    assert json.loads((out / "settings.json").read_text())["search_sec"] == search_sec
    assert not [path for path in out.iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("fps", "reason"),
    [
        (None, "no face in any of its 30 frames (1.2 seconds)"),
        (5, "no face in any of 6 frames (1.2 seconds)"),
    ],
)
def test_no_face_in_a_whole_video_says_so(tmp_path, fps, reason):
    videos = late_video(tmp_path / "videos", np.zeros((0, SIZE, SIZE, 3), np.uint8), 30)
    (row,) = processing.processing(videos, tmp_path / "faces", capture_sec=1, fps=fps)
    assert (row["status"], row["reason"]) == ("no_face", reason)


def test_a_fake_is_cut_along_an_original_whose_face_comes_late(tmp_path, head_frames):
    videos = late_video(tmp_path / "videos", head_frames, 25)
    sample_data.write_video(
        videos / "fake.mp4", np.full((50, SIZE, SIZE, 3), 120, np.uint8), fps=25
    )
    fake = {"label": "FAKE", "split": "train", "original": "a.mp4"}
    write_metadata(videos, {"a.mp4": "REAL", "fake.mp4": fake})
    out = tmp_path / "faces"
    _, row = processing.processing(videos, out, capture_sec=1, share_boxes=True)
    assert (row["status"], row["boxes_from"]) == ("ok", "a.mp4")
    assert row["reason"] == "faces from 1.0 seconds on, as in its original"
    assert rows_of(out / "fake.mp4" / "boxes.csv") == rows_of(out / "a.mp4" / "boxes.csv")


def test_a_longer_fake_of_a_late_original_is_searched_itself(tmp_path, head_frames):
    videos = late_video(tmp_path / "videos", head_frames[:20], 25)
    sample_data.write_video(videos / "fake.mp4", np.concatenate([head_frames] * 2), fps=25)
    fake = {"label": "FAKE", "split": "train", "original": "a.mp4"}
    write_metadata(videos, {"a.mp4": "REAL", "fake.mp4": fake})
    _, row = processing.processing(videos, tmp_path / "faces", capture_sec=1, share_boxes=True)
    assert (row["status"], row["boxes_from"]) == ("ok", "")


def test_faces_made_before_there_was_a_search_are_continued(tmp_path, head_frames):
    videos = late_video(tmp_path / "videos", head_frames, 0)
    processing.processing(videos, tmp_path / "faces")
    path = tmp_path / "faces" / "settings.json"
    old = json.loads(path.read_text())
    del old["search_sec"], old["version"]
    path.write_text(json.dumps(old))
    with pytest.raises(UserError, match=r"--search-sec 60 \(asked for: 5\)"):
        processing.processing(videos, tmp_path / "faces", search_sec=5)
    (row,) = processing.processing(videos, tmp_path / "faces")
    assert row["status"] == "ok"
    assert setting_differences(old, asdict(FaceSettings())) == ""


def test_a_search_that_is_none_is_one_sentence():
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(
            UserError, match="search_sec is .*; it must be a number of seconds from 0"
        ):
            FaceSettings(search_sec=seconds)


def test_windows_count_from_the_start_of_the_video_also_after_a_gap_in_its_clock():
    def frames(*times_sec):
        for index, time_sec in enumerate(times_sec):
            yield frame_of_image(np.zeros((2, 2, 3), np.uint8), index, time_sec)

    def indices(window: list[Frame]) -> list[int]:
        return [frame.index for frame in window]

    windows = [(start, indices(list(of))) for start, of in split(frames(0, 0.04, 11, 15), 5.0)]
    assert windows == [(0, [0, 1]), (10, [2]), (15, [3])]
