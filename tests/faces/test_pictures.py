"""Pictures and folders of frames as videos, and crops that are taken as they are."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb, rows_of

from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.parallel import Machines
from deepfake_detector.videos.metadata import Video
from processing import extract, summarise


def rows_for(save_path: Path, *paths: Path, **settings) -> list[dict]:
    """Process these pictures and folders and return their rows."""
    videos = [Video(path.name, path, {"label": "REAL"}) for path in paths]
    settings = FaceSettings(face_size=64, **settings)
    return extract(videos, save_path, settings, Machines(), overwrite=False)[0]


def write_picture(path: Path, image_rgb: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), image_rgb[:, :, ::-1])
    return path


@pytest.fixture
def photo(tmp_path, head_frames) -> Path:
    return write_picture(tmp_path / "photos" / "photo.png", head_frames[0])


@pytest.fixture
def folder_of_frames(tmp_path, head_frames) -> Path:
    for number in range(12):
        path = write_picture(tmp_path / "photos" / f"frame_{number}.png", head_frames[number])
        (tmp_path / "clip").mkdir(exist_ok=True)
        path.rename(tmp_path / "clip" / path.name)
    return tmp_path / "clip"


@pytest.fixture
def wide(tmp_path) -> Path:
    """A picture without a face: black, with a bright square in the middle."""
    image = np.zeros((100, 180, 3), np.uint8)
    image[:, 40:140] = 255, 128, 0
    return write_picture(tmp_path / "photos" / "wide.png", image)


def test_a_photograph_is_a_video_of_one_frame(tmp_path, photo):
    (row,) = rows_for(tmp_path / "faces", photo)
    assert (row["status"], row["frames_read"], row["detected"]) == ("ok", 1, 1)
    assert (row["width"], row["height"]) == (SIZE, SIZE)
    (box,) = rows_of(tmp_path / "faces" / "photo.png" / "boxes.csv")
    assert (box["frame"], box["time_sec"], box["source"]) == ("0", "0.000", "detected")
    assert read_rgb(tmp_path / "faces" / "photo.png" / "000.jpeg").shape == (64, 64, 3)
    (track,) = list_faces(tmp_path / "faces")
    assert (track.label, track.num_frames) == (0, 1)


def test_a_folder_of_numbered_pictures_is_a_video_in_the_order_of_the_numbers(
    tmp_path, folder_of_frames
):
    (row,) = rows_for(tmp_path / "faces", folder_of_frames)
    assert (row["status"], row["frames_read"], row["fps"]) == ("ok", 12, "25.00")
    boxes = rows_of(tmp_path / "faces" / "clip" / "boxes.csv")
    assert [float(box["time_sec"]) for box in boxes] == pytest.approx(np.arange(12) / 25)


def test_a_photograph_without_a_face_is_a_row_with_a_reason(tmp_path, wide):
    (row,) = rows_for(tmp_path / "faces", wide)
    assert (row["status"], row["reason"]) == ("no_face", "no face in its only frame")


def test_pictures_that_cannot_be_read_are_rows_with_a_reason(tmp_path, photo):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (tmp_path / "empty").mkdir()
    broken, empty = rows_for(tmp_path / "faces", tmp_path / "broken.jpg", tmp_path / "empty")
    assert (broken["status"], broken["reason"]) == ("unreadable", "not a picture OpenCV can read")
    assert (empty["status"], empty["reason"]) == (
        "unreadable",
        "a folder without numbered pictures",
    )


def test_faces_taken_as_they_are_need_no_detection(tmp_path, wide):
    (row,) = rows_for(tmp_path / "faces", wide, faces="as-is")
    assert (row["status"], row["faces"], row["frames_read"]) == ("ok", 1, 1)
    assert (row["detected"], row["averaged"]) == ("", "")
    (box,) = rows_of(tmp_path / "faces" / "wide.png" / "boxes.csv")
    assert [float(box[side]) for side in "xywh"] == [40, 0, 100, 100]
    assert box["source"] == "as-is"
    crop = read_rgb(tmp_path / "faces" / "wide.png" / "000.jpeg").astype(int)
    assert np.abs(crop - [255, 128, 0]).max() < 6  # all of the square, no margin
    assert json.loads((tmp_path / "faces" / "settings.json").read_text())["faces"] == "as-is"


def test_the_summary_counts_frames_taken_as_they_are(tmp_path, wide, folder_of_frames):
    rows = rows_for(tmp_path / "faces", wide, folder_of_frames, faces="as-is")
    frames = summarise(rows, tmp_path / "faces", seconds=1.0)["frames"]
    assert frames == {"detected": 0, "averaged": 0, "as-is": 13}


def test_frames_of_different_sizes_are_each_taken_as_they_are(tmp_path, wide, head_frames):
    folder = tmp_path / "clip"
    folder.mkdir()
    write_picture(folder / "1.png", head_frames[0])
    wide.rename(folder / "2.png")
    (row,) = rows_for(tmp_path / "faces", folder, faces="as-is")
    assert row["frames_read"] == 2
    sides = [box["w"] for box in rows_of(tmp_path / "faces" / "clip" / "boxes.csv")]
    assert sides == [f"{SIZE:.1f}", "100.0"]
