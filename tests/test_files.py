"""Files that are whole or not there, and text that stays text in a spreadsheet."""

import pytest

from deepfake_detector.files import text_cell, written_whole

HOSTILE = ["=1+1.mp4", "+a", "-a.mp4", "@SUM(A1)", "\t=1", "'=1", "''+1", '=cmd|"/c calc"!A1']
HARMLESS = ["a.mp4", "it's.mp4", "'quoted'", "", "a=b", "1.mp4", "'"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text):
    assert text_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_names_stay_as_they_are(text):
    assert text_cell(text) == text


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError), written_whole(path) as partial:
        partial.write_text("half")
        raise ValueError
    assert path.read_text() == "old"
    with written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(ValueError), written_whole(tmp_path / "export") as partial:
        partial.mkdir()
        (partial / "half").touch()
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_name_ends_like_the_final_one(tmp_path):
    with written_whole(tmp_path / "model.keras") as partial:
        partial.touch()
        assert partial.suffix == ".keras"
