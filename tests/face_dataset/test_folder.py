"""A second run on a folder of faces: what it keeps, makes again, and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import read_rgb, rows_of, tree, write_metadata

import processing
import sample_data
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import list_faces


def test_a_second_run_leaves_finished_videos_alone(sample_videos, sample_faces):
    def stamps():
        return {path: path.stat().st_mtime_ns for path in sample_faces.rglob("*.jpeg")}

    before = stamps()
    rows = processing.processing(sample_videos, sample_faces, face_size=64)
    assert stamps() == before
    assert len(rows) == 16


def test_a_run_that_was_killed_is_finished_by_the_same_command(
    sample_videos, tmp_path, sample_faces
):
    out = tmp_path / "faces"
    processing.processing(sample_videos, out, face_size=64, num_vids=3)
    half_done = out / ".work-killed" / "person_000"
    half_done.mkdir(parents=True)
    (half_done / "000.jpeg").write_bytes(b"half")
    with (out / "manifest.csv").open("a") as file:
        file.write("person_001.mp4,somewhere,o")  # the line the kill cut short
    processing.processing(sample_videos, out, face_size=64)
    finished, expected = tree(out), tree(sample_faces)
    finished.pop("manifest.csv"), expected.pop("manifest.csv")
    assert finished == expected


def test_a_manifest_with_other_columns_is_made_again_instead_of_crashing(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    manifest = tmp_path / "faces" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("bytes", "weight"))
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "ok"
    assert rows_of(manifest) == [{name: str(value) for name, value in row.items()}]


def test_other_settings_on_old_faces_are_refused_with_both_values(sample_videos, sample_faces):
    with pytest.raises(UserError, match=r"--face-size 64 \(asked for: 96\)"):
        processing.processing(sample_videos, sample_faces, face_size=96)


def test_videos_that_moved_to_another_disk_are_not_done_again(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    before = (tmp_path / "faces" / "head.mp4" / "000.jpeg").stat().st_mtime_ns
    moved = one_head.rename(tmp_path / "other_disk")
    processing.processing(moved, tmp_path / "faces")
    assert (tmp_path / "faces" / "head.mp4" / "000.jpeg").stat().st_mtime_ns == before


def test_faces_stay_when_their_video_is_deleted_afterwards(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    (one_head / "head.mp4").unlink()
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "ok"
    assert "head.mp4" in json.loads((tmp_path / "faces" / "metadata.json").read_text())


def test_a_video_replaced_by_one_without_a_face_loses_its_old_faces(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    grey = np.full((12, 96, 96, 3), 120, np.uint8)
    sample_data.write_video(one_head / "head.mp4", grey, fps=12)
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "no_face"
    assert not (tmp_path / "faces" / "head.mp4").exists()


def test_another_video_of_the_same_name_does_not_replace_the_first(one_head, tmp_path, head_frames):
    processing.processing(one_head, tmp_path / "faces")
    part_2 = tmp_path / "part_2"
    part_2.mkdir()
    sample_data.write_video(part_2 / "head.mp4", head_frames[:9], fps=25)
    with pytest.raises(UserError, match="holds the faces of another head.mp4, from .*videos"):
        processing.processing(write_metadata(part_2, {"head.mp4": "REAL"}), tmp_path / "faces")


@pytest.mark.slow
def test_an_interrupted_overwrite_leaves_no_mixture(sample_videos, tmp_path, monkeypatch):
    out = tmp_path / "faces"
    processing.processing(sample_videos, out, face_size=32)
    real_process, done = processing.process_video, []

    def stop_after_three(task, **words):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task.video.name)
        return real_process(task, **words)

    monkeypatch.setattr(processing, "process_video", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        processing.processing(sample_videos, out, face_size=48, overwrite=True)
    assert list(json.loads((out / "metadata.json").read_text())) == sorted(done)
    monkeypatch.undo()
    processing.processing(sample_videos, out, face_size=48)
    assert {read_rgb(path).shape for path in out.glob("*/*.jpeg")} == {(48, 48, 3)}


def test_overwrite_makes_the_faces_again(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces", face_size=64)
    processing.processing(one_head, tmp_path / "faces", face_size=32, overwrite=True)
    assert read_rgb(tmp_path / "faces" / "head.mp4" / "000.jpeg").shape == (32, 32, 3)


def test_a_folder_that_holds_something_else_is_not_touched(one_head, tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter_1.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty and holds no settings.json"):
        processing.processing(one_head, out)
    assert [path.name for path in out.iterdir()] == ["chapter_1.txt"]


def test_faces_cannot_be_saved_among_the_videos(one_head):
    with pytest.raises(UserError, match="a folder of videos; give a folder of its own"):
        processing.processing(one_head, one_head)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"capture_sec": 0}, "capture_sec is 0;"),
        ({"fps": -1}, "fps is -1"),
        ({"face_size": 4}, "face_size is 4"),
        ({"margin_ratio": -0.5}, "margin_ratio is -0.5"),
        ({"num_vids": 0}, "num_vids is 0"),
    ],
)
def test_impossible_settings_are_one_sentence(one_head, tmp_path, words, sentence):
    with pytest.raises(UserError, match=sentence):
        processing.processing(one_head, tmp_path / "faces", **words)


def test_bytes_that_are_no_text_in_the_manifest_were_a_traceback(one_head, tmp_path):
    faces = tmp_path / "faces"
    processing.processing(one_head, faces)
    with (faces / "manifest.csv").open("ab") as file:
        file.write(b"\xff\xfe,,\n")
    (row,) = processing.processing(one_head, faces)
    assert row["status"] == "ok"


@pytest.mark.parametrize("content", ["nonsense", "[1]", '{"head.mp4": 5}', "\xff"])
def test_a_damaged_metadata_of_faces_was_to_be_downloaded_again(content, one_head, tmp_path):
    """Or a traceback; faces are not downloaded."""
    faces = tmp_path / "faces"
    processing.processing(one_head, faces)
    (faces / "metadata.json").write_text(content, encoding="latin-1")
    for read in (list_faces, lambda folder: processing.processing(one_head, folder)):
        with pytest.raises(UserError, match="metadata.json is damaged; delete it, then run the sa"):
            read(faces)
    (faces / "metadata.json").unlink()
    processing.processing(one_head, faces)
    assert [face.name for face in list_faces(faces)] == ["head.mp4"]


@pytest.mark.parametrize("content", ["nonsense", "[1]"])
def test_damaged_settings_were_to_be_made_by_the_command_that_refused_them(content, one_head):
    """ "make the faces again with processing.py", said processing.py."""
    faces = one_head / "faces"
    processing.processing(one_head, faces)
    (faces / "settings.json").write_text(content)
    with pytest.raises(UserError, match="settings.json is damaged; .* in another folder with"):
        processing.processing(one_head, faces)


def test_videos_in_the_place_of_faces_were_called_badly_numbered(one_head):
    """ "head.mp4 is listed in metadata.json, but its 0 frames are not numbered"."""
    with pytest.raises(UserError, match=f"folder of videos; .* --location {one_head} --save-pa"):
        list_faces(one_head)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("https://example.org/faces", "https://example.org/faces is an address"),
        ("nowhere", "nowhere is not there; give a folder of faces that processing.py wrote"),
    ],
)
def test_training_asked_for_a_folder_of_videos(place, sentence, tmp_path, monkeypatch):
    """ "https:/example.org/faces is not a folder; give a folder of videos"."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        list_faces(Path(place))
