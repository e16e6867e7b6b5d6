"""Verdicts as lines, tables and sentences."""

import csv
import dataclasses
import io

import pytest
from some_verdicts import verdict, window

from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.verdicts.text import (
    csv_text,
    error_sentence,
    line_of,
    score_text,
    threshold_sentences,
)

POINT = OperatingPoint(
    "equal-error", 0.5, (0.4, 0.6), 0.316, (0.2, 0.45), 0.37, (0.3, 0.4), {"real": 9, "fake": 8}
)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_has_verdict_score_faces_seconds_and_note():
    line = line_of(verdict(window(0, 0.148), video_sec=120.0))
    assert line == "REAL        0.148    90%      5.0  a.mp4 (only 5.0 of 120.0 seconds)"
    assert line_of(verdict(problem="empty")).split() == ["UNREADABLE", *"---", "a.mp4", "(empty)"]


@pytest.mark.parametrize(
    ("score", "threshold", "text"),
    [(0.148, 0.811, "0.148"), (0.4337, 0.43388, "0.4337"), (0.8109, 0.8112, "0.8109")],
)
def test_a_score_never_looks_as_if_it_was_on_the_other_side_of_the_threshold(
    score, threshold, text
):
    found = dataclasses.replace(verdict(window(0, 0.1)), threshold=threshold)
    assert score_text(found, score) == text


def test_a_row_has_what_the_verdict_rests_on():
    scored = verdict(window(0, 0.7, moments=(0.4, 0.9)), video_sec=120.0)
    first, second = rows_of(csv_text([("a.mp4", scored), ("b.mp4", verdict(problem="empty"))]))
    assert (first["status"], first["score"], first["threshold"]) == ("FAKE", "0.700000", "0.6")
    assert (first["read_sec"], first["video_sec"], first["frames"]) == ("5", "120", "10")
    assert (first["lowest_moment_score"], first["highest_moment_score"]) == ("0.4", "0.9")
    assert (first["warnings"], first["model"]) == ("part-of-video unsteady", "run/model.keras")
    assert (second["score"], second["video_sec"], second["note"]) == ("", "", "empty")


def test_a_cell_that_looks_like_a_formula_stays_text():
    found = verdict(window(0, 1 / 3), problem="=1+1")
    named = [(name, found) for name in ("=1+1.mp4", "@a.mp4", "two\nlines, b.mp4")]
    rows = rows_of(csv_text(named))
    assert [row["filename"] for row in rows] == ["'=1+1.mp4", "'@a.mp4", "two\nlines, b.mp4"]
    assert rows[0]["note"] == "'=1+1"


def test_the_error_rates_are_said_with_their_intervals():
    assert threshold_sentences(POINT) == [
        "Of 100 real videos, about 32 (20 to 45 with 95 % confidence) score above the threshold, "
        "measured on 9 that it was not trained on.",
        "A score between 0.4 and 0.6 may be on the wrong side: UNCERTAIN.",
    ]
    of_fakes = "of 100 fakes about 37 (30 to 40 with 95 % confidence) score as real"
    assert f"{of_fakes}, measured on 9 real and 8 fake videos" in error_sentence(POINT)


def test_a_model_that_knows_nothing_of_its_errors_says_so():
    half = OperatingPoint("half", 0.5)
    assert "was not measured" in threshold_sentences(half)[0]
    assert "was not measured" in error_sentence(half)
