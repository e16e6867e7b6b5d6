"""Pictures, folders of frames, late faces and few frames, through predict.py."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb

import predict
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.prediction.task import prepare_task
from deepfake_detector.prediction.windows import find_faces
from deepfake_detector.results.outputs import line_of
from deepfake_detector.scoring.trained_model import check_faces
from sample_data import write_video


@pytest.fixture
def photo(tmp_path, head_frames) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), head_frames[0][:, :, ::-1])
    return path


@pytest.fixture
def folder_of_frames(tmp_path, head_frames) -> Path:
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, frame in enumerate(head_frames):
        cv2.imwrite(str(folder / f"{number}.png"), frame[:, :, ::-1])
    return folder


@pytest.fixture
def late_face(tmp_path, head_frames) -> Path:
    """A video that is grey for two seconds and then shows a head for one."""
    grey = np.full((50, SIZE, SIZE, 3), 120, np.uint8)
    write_video(tmp_path / "late.mp4", np.concatenate([grey, head_frames]), fps=25)
    return tmp_path / "late.mp4"


def run_of(run: Path, copy: Path, **faces) -> Path:
    """Return the model of a copy of a run that was trained with other face settings."""
    shutil.copytree(run, copy)
    stored = json.loads((copy / "settings.json").read_text())
    stored["faces"] |= faces
    (copy / "settings.json").write_text(json.dumps(stored))
    return copy / "model.keras"


@pytest.mark.slow
def test_a_photograph_gets_a_verdict_that_says_it_rests_on_one_frame(run, photo, tmp_path, capsys):
    words = ["--model", str(run / "model.keras"), "--workers", "0", "--json", str(tmp_path / "a")]
    assert predict.main([*words, str(photo), "--annotate", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "photo.png (from 1 frame only" in captured.out
    assert captured.err == ""
    (video,) = json.loads((tmp_path / "a").read_text())["videos"]
    assert (video["frames"], video["read_sec"], video["score"] is not None) == (1, 0, 1)
    names = ["photo.png_annotated.png", "photo.png_timeline.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    height, width = read_rgb(tmp_path / "out" / names[0]).shape[:2]
    assert (width, height > 480) == (480, True)  # below the picture is the caption


@pytest.mark.slow
def test_a_folder_of_frames_is_scored_and_drawn_as_the_video_that_it_is(
    run, folder_of_frames, tmp_path
):
    words = ["--model", str(run / "model.keras"), "--workers", "0", "--json", str(tmp_path / "a")]
    assert predict.main([*words, str(folder_of_frames), "--annotate", str(tmp_path / "out")]) == 0
    (video,) = json.loads((tmp_path / "a").read_text())["videos"]
    assert (video["frames"], video["read_sec"], video["note"]) == (25, 1.0, "")
    names = ["clip_annotated.mp4", "clip_timeline.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


@pytest.mark.slow
def test_a_late_face_is_found_and_the_note_says_where(run, late_face, tmp_path):
    model = run_of(run, tmp_path / "quick", capture_sec=1.0)
    (video,) = predict.predict(model, late_face)
    assert video.note == "no face in the first 2.0 seconds; faces from 2.0 seconds on"
    assert (video.frames, video.frames_with_face) == (75, 25)
    assert [window.start_sec for window in video.windows] == [0, 1, 2]
    assert video.decided_by.window == 3
    (video,) = predict.predict(model, late_face, search_sec=1.5)
    assert (video.verdict, video.note) == ("NO FACE", "no face in the first 1.5 seconds")
    assert video.read_sec == 1.52


@pytest.mark.slow
def test_a_model_of_faces_taken_as_they_are_takes_them_so(run, late_face, tmp_path):
    model = run_of(run, tmp_path / "as_is", faces="as-is", capture_sec=1.0)
    (video,) = predict.predict(model, late_face)
    assert line_of(video).split()[2] == "as-is"
    (face,) = video.faces
    assert video.face_share == 1
    assert {crop.source for crop in face.crops} == {"as-is"}
    assert face.crops[0].box_xywh == (0, 0, SIZE, SIZE)
    (video,) = predict.predict(model, late_face, faces="main")
    assert {crop.source for crop in video.faces[0].crops} <= {"detected", "averaged"}


def test_a_model_made_before_there_was_a_search_searches_as_far_as_others(run, tmp_path):
    model = run_of(run, tmp_path / "old")
    stored = json.loads((model.parent / "settings.json").read_text())
    del stored["faces"]["search_sec"]
    (model.parent / "settings.json").write_text(json.dumps(stored))
    assert prepare_task(model).face_settings.search_sec == 60
    assert prepare_task(model, search_sec=7).face_settings.search_sec == 7


def test_faces_taken_as_they_are_are_evaluated_with_a_note(run, tmp_path, capsys):
    settings = json.loads((run / "settings.json").read_text())
    as_is = settings["faces"] | {"faces": "as-is", "margin_ratio": 0.0, "search_sec": 5.0}
    (tmp_path / "settings.json").write_text(json.dumps(as_is))
    check_faces(tmp_path, settings)
    assert "--faces as-is (the model expects: main)" in capsys.readouterr().out


def test_windows_without_a_face_leave_no_crops_behind(late_face, tmp_path):
    settings = FaceSettings(capture_sec=0.5, face_size=64)
    found = find_faces(late_face, tmp_path, settings, num_frames=4)
    assert [len(window.faces) for window in found.windows] == [0, 0, 0, 0, 1]
    assert [path.name for path in found.folder.iterdir()] == ["window_00004"]
    assert len(list(found.folder.rglob("*.jpeg"))) == 4
