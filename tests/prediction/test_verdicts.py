"""From scores to a verdict, and the tables it goes into."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from deepfake_detector.console import printable
from deepfake_detector.face_dataset.boxes import Crop
from deepfake_detector.prediction.outputs import csv_text, lines_of_threshold
from deepfake_detector.prediction.results import plain_result
from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.verdicts import Rule, judge
from deepfake_detector.prediction.windows import Moment, VideoFaces, Window, WindowFace
from deepfake_detector.scoring.calibration import OperatingPoint

RULE = Rule(threshold=0.6, window_sec=5.0)


def window(number: int, num_faces: int = 1, seconds: float = 5.0, frames: int = 10) -> Window:
    start_sec, end_sec = 5.0 * number, 5.0 * number + seconds
    crops = (Crop(Path("000.jpeg"), 3, 0.12, [1.26, 2, 3, 4], "detected"),)
    moments = (Moment(0.5, ("000.jpeg",)),)
    faces = tuple(
        WindowFace(face, Path("face"), start_sec, end_sec, frames, frames, crops, moments)
        for face in range(num_faces)
    )
    return Window(number, start_sec, end_sec, frames, frames - 1, faces)


def judged(windows, scores, rule=RULE, **facts):
    found = VideoFaces(list(windows), **facts)
    places = [(window, face) for window in windows for face in window.faces]
    faces = [ScoredFace(*p, score, (score,)) for p, score in zip(places, scores, strict=True)]
    return judge(Path("a.mp4"), found, faces, rule)


def test_a_score_of_the_threshold_is_fake():
    assert judged([window(0)], [0.6]).verdict == "FAKE"
    assert judged([window(0)], [0.599]).verdict == "REAL"


@pytest.mark.parametrize(
    ("score", "verdict"),
    [(0.8, "FAKE"), (0.7, "FAKE"), (0.69, "UNCERTAIN"), (0.51, "UNCERTAIN"), (0.5, "REAL")],
)
def test_a_score_too_close_to_the_threshold_is_uncertain(score, verdict):
    result = judged([window(0)], [score], Rule(0.6, 5.0, uncertain=[0.5, 0.7]))
    assert (result.verdict, result.score) == (verdict, score)
    assert plain_result(result).uncertain == (0.5, 0.7)


def test_the_highest_scoring_face_decides_although_another_is_less_uncertain():
    rule = Rule(0.6, 5.0, uncertain=[0.5, 0.7])
    result = judged([window(0, num_faces=2), window(1)], [0.1, 0.65, 0.2], rule)
    assert (result.verdict, result.score) == ("UNCERTAIN", 0.65)
    assert "1 of 2 windows at or above the threshold" in result.note


def test_the_header_says_how_many_real_videos_score_above_the_threshold():
    point = OperatingPoint(
        "equal-error", 0.52, [0.44, 0.6], 0.09, [0.03, 0.2], validation_videos={"real": 52}
    )
    assert lines_of_threshold(point) == [
        "threshold 0.52 (equal-error): about 9 % of real videos score above it (95 %: 3 to 20 %, "
        "from 52 real videos that it was not trained on)",
        "scores between 0.44 and 0.6 are too close to it: UNCERTAIN",
    ]
    old = OperatingPoint("equal-error", 0.814, false_positive_rate=0.0)
    assert lines_of_threshold(old) == ["threshold 0.814 (equal-error)"]


def test_the_highest_scoring_face_decides_and_is_named():
    result = judged([window(0, num_faces=3)], [0.2, 0.7, 0.1])
    assert (result.verdict, result.score) == ("FAKE", 0.7)
    assert result.note == "face 2 of 3"


def test_the_highest_scoring_window_decides_and_is_named():
    result = judged([window(0), window(1), window(2)], [0.1, 0.8, 0.3])
    assert (result.verdict, result.score) == ("FAKE", 0.8)
    assert result.note == "5.0 to 10.0 s; 1 of 3 windows at or above the threshold"


@pytest.mark.parametrize(("scores", "expected"), [([0.1, 0.8, 0.3], 0.3), ([0.1, 0.8], 0.8)])
def test_the_median_window_decides_where_asked_for(scores, expected):
    rule = Rule(0.6, 5.0, windows="median")
    assert judged([window(i) for i in range(len(scores))], scores, rule).score == expected


def test_a_short_rest_at_the_end_does_not_decide_unless_it_has_the_only_face():
    windows = [window(0), window(1, seconds=1.0)]
    assert judged(windows, [0.1, 0.9]).score == 0.1
    assert judged([window(0, num_faces=0), windows[1]], [0.9]).score == 0.9
    assert judged([window(0), window(1, seconds=4.0)], [0.1, 0.9]).score == 0.9


def test_no_face_is_a_verdict_of_its_own_and_has_no_score():
    result = judged([window(0, num_faces=0)], [], no_face_note="no face in the first 5.0 seconds")
    assert (result.verdict, result.score) == ("NO FACE", None)
    assert result.note == "no face in the first 5.0 seconds"


@pytest.mark.parametrize(
    ("frames", "note"), [(1, "from 1 frame only"), (4, "from 4 frames only"), (5, "")]
)
def test_a_verdict_from_a_handful_of_frames_says_so(frames, note):
    """A photograph, or a broken clock: 3 frames at the start and the rest ten seconds later."""
    assert judged([window(0, frames=frames)], [0.7]).note == note


def test_what_cannot_be_read_has_a_reason_and_no_score():
    result = judged([], [], problem="the file is empty")
    assert (result.verdict, result.score, result.note) == ("UNREADABLE", None, "the file is empty")
    assert plain_result(result).face_share == 0


def test_the_share_of_faces_counts_detected_frames_over_all_windows():
    result = judged([window(0), window(1)], [0.1, 0.1])
    assert plain_result(result).face_share == pytest.approx(18 / 20)


def test_a_cell_that_looks_like_a_formula_stays_text():
    text = csv_text([("=1+1.mp4", 0.25), ("@a.mp4", 0.5), ("two\nlines, b.mp4", 1 / 3)])
    assert text.startswith("filename,label\n'=1+1.mp4,0.250000\n'@a.mp4,0.5")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[3] == ["two\nlines, b.mp4", "0.333333"]


def test_a_name_can_neither_break_its_line_nor_move_the_cursor():
    shown = printable("a\nb\x1b[2J\udc80 ビデオ.mp4")
    assert shown == "a\\nb\\x1b[2J\\udc80 ビデオ.mp4"


def test_the_json_entry_holds_windows_faces_times_and_boxes():
    result = judged([window(0, num_faces=2)], [0.2, 0.7])
    entry = json.loads(json.dumps(dataclasses.asdict(plain_result(result))))
    assert (entry["verdict"], entry["score"]) == ("FAKE", 0.7)
    assert entry["decided_by"] == {"window": 0, "face": 1}
    face = entry["windows"][0]["faces"][1]
    assert face["crops"] == [
        {"frame": 3, "time_sec": 0.12, "box_xywh": [1.3, 2, 3, 4], "source": "detected"}
    ]
    assert face["moments"] == [{"time_sec": 0.5, "score": 0.7}]
