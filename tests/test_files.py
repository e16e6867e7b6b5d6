"""Files that are whole or not there, and text that stays text in a spreadsheet."""

import subprocess
import sys
from pathlib import Path

import pytest

from deepfake_detector.console import UserError
from deepfake_detector.files import temporary_folder, text_cell, written_whole

ROOT = Path(__file__).parents[1]

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


def test_results_on_standard_output_emptied_the_file_that_it_went_to(tmp_path):
    """`predict.py --json /dev/stdout > all.txt` lost the lines that were printed before."""
    script = (
        "from pathlib import Path; from deepfake_detector.files import write_text; "
        "print('before'); write_text(Path('/dev/stdout'), 'result\\n'); print('after')"
    )
    with (tmp_path / "all.txt").open("w") as file:
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=file, check=True)
    assert (tmp_path / "all.txt").read_text() == "before\nresult\nafter\n"


def test_without_a_temporary_folder_no_list_of_python_is_shown(monkeypatch):
    """ "(No usable temporary directory found in ['/tmp', '/var/tmp', ...])"."""

    def no_folder(*args, **options):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.mkdtemp", no_folder)
    monkeypatch.setenv("TMPDIR", "/full")
    words = "neither /full nor the current one; .* with TMPDIR"
    with pytest.raises(UserError, match=words) as told, temporary_folder("predict"):
        pass
    assert "[" not in str(told.value)
