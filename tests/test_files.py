"""Files that are whole or not there, outputs that replace nothing, text for a spreadsheet."""

import pytest

from deepfake_detector.console import UserError
from deepfake_detector.files import check_output, temporary_folder, text_cell, written_whole


def test_names_that_a_spreadsheet_would_run_begin_with_an_apostrophe_and_others_do_not():
    hostile = ["=1+1.mp4", "+a", "-a.mp4", "@SUM(A1)", "\t=1", "'=1", "''+1", '=cmd|"/c calc"!A1']
    assert [text_cell(text) for text in hostile] == [f"'{text}" for text in hostile]
    harmless = ["a.mp4", "it's.mp4", "'quoted'", "", "a=b", "1.mp4", "'"]
    assert [text_cell(text) for text in harmless] == harmless


def test_a_file_or_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with pytest.raises(ValueError), written_whole(path) as partial:
        partial.write_text("half")
        raise ValueError
    assert path.read_text() == "old"
    with written_whole(path) as partial:
        partial.write_text("new")
        assert (path.read_text(), partial.suffix) == ("old", ".keras")
    with pytest.raises(ValueError), written_whole(tmp_path / "export") as partial:
        partial.mkdir()
        (partial / "half").touch()
        raise ValueError
    assert [(found, found.read_text()) for found in tmp_path.iterdir()] == [(path, "new")]


def test_an_output_replaces_neither_an_input_nor_what_is_not_ours(tmp_path):
    video, notes, folder = tmp_path / "a.mp4", tmp_path / "notes.txt", tmp_path / "folder"
    video.touch(), notes.write_text("mine"), folder.mkdir()
    (tmp_path / "link.mp4").symlink_to(video)

    def refused(path, **words) -> str:
        with pytest.raises(UserError) as told:
            check_output("--csv", path, [video], **words)
        return str(told.value)

    assert "is what this command reads" in refused(tmp_path / "link.mp4", overwrite=True)
    assert "--overwrite to replace it" in refused(notes)
    assert "is a folder; give the path of a file" in refused(folder, overwrite=True)
    assert "is a file; give the path of a folder" in refused(notes, is_folder=True)
    assert "notes.txt is not writable" in refused(notes / "a.csv")
    for words in ({"overwrite": True}, {"is_ours": lambda path: path.read_text() == "mine"}):
        check_output("--csv", notes, [video], **words)
    check_output("--csv", folder, is_folder=True)  # it is empty
    check_output("--csv", tmp_path / "new" / "a.csv")


def test_a_temporary_folder_goes_and_so_do_those_of_killed_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "deepfake-test-dead").mkdir()
    with temporary_folder("test") as one, temporary_folder("test") as other:
        assert set(tmp_path.iterdir()) == {one, other}
    assert list(tmp_path.iterdir()) == []
