"""Cells of a CSV: text stays text in a spreadsheet and comes back as it was."""

import csv

import pytest

import spreadsheet

HOSTILE = ["=1+1.mp4", "+a", "-a.mp4", "@SUM(A1)", "\t=1", "'=1", "''+1", '=cmd|"/c calc"!A1']
HARMLESS = ["a.mp4", "it's.mp4", "'quoted'", "", "a=b", "1.mp4", "'"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text):
    assert spreadsheet.text_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_names_stay_as_they_are(text):
    assert spreadsheet.text_cell(text) == text


@pytest.mark.parametrize("text", HOSTILE + HARMLESS)
def test_names_come_back_from_a_file(text, tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerow([spreadsheet.text_cell(text), "1"])
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.reader(file)
    assert spreadsheet.read_cell(row[0]) == text
