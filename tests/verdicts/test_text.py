"""Verdicts as lines, tables and sentences."""

import csv
import io

from some_verdicts import verdict, window

from deepfake_detector.scoring.calibration import ErrorRate, OperatingPoint
from deepfake_detector.verdicts.text import (
    csv_text,
    line_of,
    meaning_of,
    progress_line,
    weakness_of,
)

POINT = OperatingPoint(0.6, 0.4, ErrorRate(6, 62, 0.036, 0.199), ErrorRate(1, 8, 0.003, 0.527))


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_has_verdict_score_faces_seconds_and_note():
    line = line_of(verdict(window(0, 0.148), video_sec=120.0))
    assert line == "REAL        0.148    90%      5.0  a.mp4 (only 5.0 of 120.0 seconds judged)"
    assert line_of(verdict(problem="empty")).split() == ["UNREADABLE", *"---", "a.mp4", "(empty)"]


def test_a_long_video_says_how_far_it_is():
    assert progress_line([verdict(window(11, 0.2))]) == "a.mp4: 1.0 minutes scored"
    assert progress_line([verdict()]) == "reading; the scores of a minute come together"


def test_a_row_has_what_the_verdict_rests_on():
    scored = verdict(window(0, 0.7, moments=(0.4, 0.9)), video_sec=120.0)
    first, second = rows_of(csv_text([("a.mp4", scored), ("b.mp4", verdict(problem="empty"))]))
    assert (first["status"], first["score"], first["fake_from"]) == ("FAKE", "0.700000", "0.6")
    assert (first["read_sec"], first["video_sec"], first["frames"]) == ("5", "120", "10")
    assert (first["warnings"], first["model"]) == ("part-of-video", "run/model.keras")
    assert (second["score"], second["video_sec"], second["note"]) == ("", "", "empty")


def test_a_cell_that_looks_like_a_formula_stays_text():
    found = verdict(window(0, 1 / 3), problem="=1+1")
    named = [(name, found) for name in ("=1+1.mp4", "@a.mp4", "two\nlines, b.mp4")]
    rows = rows_of(csv_text(named))
    assert [row["filename"] for row in rows] == ["'=1+1.mp4", "'@a.mp4", "two\nlines, b.mp4"]
    assert rows[0]["note"] == "'=1+1"


def test_next_to_a_verdict_stands_how_often_that_one_is_wrong():
    assert meaning_of("FAKE", POINT) == (
        "Of 100 real videos, about 10 (4 to 20 with 95 % confidence) score this high; measured on "
        "62 that the model was not trained on."
    )
    assert "measured on only 8 videos" in meaning_of("REAL", POINT)
    assert "100" not in meaning_of("UNCERTAIN", POINT)
    assert "not known" in meaning_of("FAKE", OperatingPoint(0.6, 0.4))


def test_methods_that_the_model_does_not_find_are_named():
    settings = {"auc_by_method": {"face swap": 0.9, "lip sync": 0.38, "talking head": 0.31}}
    assert "talking head (0.31), lip sync (0.38);" in weakness_of(settings)
    assert "swap" not in weakness_of(settings)
    assert "much less often" in weakness_of({})
