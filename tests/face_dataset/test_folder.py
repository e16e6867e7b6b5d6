"""A second run on a folder of faces: what it keeps, makes again, and refuses."""

import errno
import json
import shutil

import pytest
from conftest import read_rgb, tree, write_metadata

import processing
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset import folder as folder_module
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.face_dataset.folder import only_run
from deepfake_detector.face_dataset.manifest import (
    MANIFEST_FIELDS,
    append_row,
    read_manifest,
    write_index,
)


def test_a_run_that_was_killed_is_finished_by_the_same_command(
    sample_videos, tmp_path, sample_faces, capsys
):
    out = tmp_path / "faces"
    processing.processing(sample_videos, out, face_size=64, num_vids=3)
    assert "was stopped" not in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpeg")}
    half_done = out / ".work-killed" / "person_000"
    half_done.mkdir(parents=True)
    (half_done / "000.jpeg").write_bytes(b"half")
    with (out / "manifest.csv").open("ab") as file:
        file.write(b"\xff\xfe,,\nperson_001.mp4,somewhere,o")  # the line the kill cut short
    processing.processing(sample_videos, out, face_size=64)
    assert "an earlier run was stopped; what it had finished is kept" in capsys.readouterr().out
    finished, expected = tree(out), tree(sample_faces)
    finished.pop("manifest.csv"), expected.pop("manifest.csv")
    assert finished == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_line_that_a_kill_cut_short_swallows_no_other(tmp_path):
    """The rest of a torn line and the next row made one line, and both were lost."""
    write_index(tmp_path, {}, [])
    for name in ("a.mp4", "b.mp4"):
        append_row(tmp_path, dict.fromkeys(MANIFEST_FIELDS, "") | {"filename": name})
        with (tmp_path / "manifest.csv").open("a") as file:
            file.write("torn.mp4,some")
    assert sorted(read_manifest(tmp_path)) == ["a.mp4", "b.mp4"]


def test_faces_of_other_settings_are_refused_and_replaced_with_overwrite_alone(
    sample_videos, tmp_path
):
    out = tmp_path / "faces"
    processing.processing(sample_videos, out, face_size=32, num_vids=2)
    before = tree(out)
    with pytest.raises(UserError, match=r"--face-size 32 \(asked for: 48\).* all faces again with"):
        processing.processing(sample_videos, out, face_size=48)
    assert tree(out) == before
    processing.processing(sample_videos, out, face_size=48, overwrite=True, num_vids=1)
    assert len(list(out.glob("person*"))) == 2  # the faces of the others went, too
    assert {read_rgb(path).shape for path in out.glob("*/000.jpeg")} == {(48, 48, 3)}


def test_an_overwrite_that_is_killed_leaves_no_mixture(sample_videos, tmp_path, monkeypatch):
    out, done, real_job = tmp_path / "faces", [], processing.process_video
    processing.processing(sample_videos, out, face_size=32, num_vids=3)

    def stop_after_three(video, **words):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(video.name)
        return real_job(video, **words)

    monkeypatch.setattr(processing, "process_video", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        processing.processing(sample_videos, out, face_size=48, overwrite=True)
    monkeypatch.undo()
    assert json.loads((out / "metadata.json").read_text()) == {}
    processing.processing(sample_videos, out, face_size=48)
    assert {read_rgb(path).shape for path in out.glob("*/*.jpeg")} == {(48, 48, 3)}


def test_faces_stay_when_their_video_is_deleted_afterwards(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    (one_head / "head.mp4").unlink()
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "ok"
    assert [track.name for track in list_faces(tmp_path / "faces")] == ["head.mp4"]


# What is refused


def test_a_folder_that_holds_something_else_is_not_touched(one_head, tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter_1.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="thesis exists and was not written by this command"):
            processing.processing(one_head, out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["chapter_1.txt"]
    with pytest.raises(UserError, match="a folder of videos; give a folder of its own"):
        processing.processing(one_head, one_head)
    with pytest.raises(UserError, match="cannot write to --save-path .* is not writable"):
        processing.processing(one_head, out / "chapter_1.txt" / "faces")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"contract": 2, "face_size": 224}', "written by another version .* in another folder"),
        ("nonsense", "settings.json is damaged; .* in another folder with"),
        ("[1]", "settings.json is damaged"),
    ],
)
def test_faces_of_another_version_or_unknown_settings_are_refused(
    content, sentence, one_head, tmp_path
):
    faces = tmp_path / "faces"
    processing.processing(one_head, faces, face_size=32)
    (faces / "settings.json").write_text(content)
    header = "filename,location,bytes,status,reason\nhead.mp4,,1,ok,\n"
    (faces / "manifest.csv").write_text(header)
    before = tree(faces)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=sentence):
            processing.processing(one_head, faces, face_size=32, overwrite=overwrite)
    assert tree(faces) == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"capture_sec": 0}, "capture_sec is 0;"),
        ({"fps": -1}, "fps is -1"),
        ({"face_size": 4}, "face_size is 4"),
        ({"margin_ratio": -0.5}, "margin_ratio is -0.5"),
        ({"num_vids": 0}, "num_vids is 0"),
        ({"timeout_sec": 0}, "timeout_sec is 0"),
        ({"pictures": "all"}, "pictures is 'all'"),
    ],
)
def test_impossible_settings_are_one_sentence(one_head, tmp_path, words, sentence):
    with pytest.raises(UserError, match=sentence):
        processing.processing(one_head, tmp_path / "faces", **words)
    assert not (tmp_path / "faces").exists()


# How it is read


@pytest.mark.parametrize("content", ["nonsense", "[1]", '{"head.mp4": 5}', "\xff"])
def test_a_damaged_metadata_of_faces_is_one_sentence_and_made_again(content, one_head, tmp_path):
    faces = tmp_path / "faces"
    processing.processing(one_head, faces)
    (faces / "metadata.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="metadata.json is damaged; delete it, then run the same"):
        list_faces(faces)
    processing.processing(one_head, faces)
    assert [face.name for face in list_faces(faces)] == ["head.mp4"]


def test_what_is_no_folder_of_faces_says_what_it_is(one_head, tmp_path):
    with pytest.raises(UserError, match=f"folder of videos; .* --location {one_head} --save-pa"):
        list_faces(one_head)
    with pytest.raises(UserError, match="nowhere does not exist; give a folder of faces"):
        list_faces(tmp_path / "nowhere")
    write_metadata(tmp_path, {})
    with pytest.raises(UserError, match="holds no faces; make faces .*processing.py"):
        list_faces(tmp_path)


def test_a_damaged_folder_is_named_before_training_starts(one_head, tmp_path):
    """Faces of which there is a folder are not made again, so that has to go first."""
    faces = tmp_path / "faces"
    processing.processing(one_head, faces, face_size=32)
    (faces / "head.mp4" / "004.jpeg").unlink()
    with pytest.raises(UserError, match="not numbered .* delete this folder, then run the same"):
        list_faces(faces)
    shutil.rmtree(faces / "head.mp4")
    with pytest.raises(UserError, match="head.mp4 is listed .* gone; run the same processing.py"):
        list_faces(faces)
    processing.processing(one_head, faces, face_size=32)
    assert [face.num_frames for face in list_faces(faces)] == [25]


# Several runs


def test_a_second_run_on_one_folder_waits_for_its_turn(one_head, tmp_path):
    """The run that ended last took the videos of the other out of metadata.json."""
    out = tmp_path / "faces"
    with only_run(out, []) as work:
        with pytest.raises(UserError, match="another run is writing to .* wait until it has ended"):
            processing.processing(one_head, out)
        assert work.is_dir()
    assert not work.exists()
    assert processing.processing(one_head, out)[0]["status"] == "ok"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("no flock")]
)
def test_a_share_without_locks_is_one_sentence_that_names_the_file(
    one_head, tmp_path, monkeypatch, error
):
    def refuse(lock):
        raise error

    monkeypatch.setattr(folder_module.FileLock, "_acquire", refuse)
    with pytest.raises(UserError, match=r"faces/.lock cannot be locked .*; give a --save-path on"):
        processing.processing(one_head, tmp_path / "faces")
