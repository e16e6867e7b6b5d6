"""From the scores of faces to a verdict, and what makes it less sure."""

import dataclasses
import json
from pathlib import Path

import pytest
from some_verdicts import BAND, RULE, verdict, window

from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.scoring.trained_model import SYNTHETIC_WARNING
from deepfake_detector.verdicts.rule import Rule, decide
from deepfake_detector.verdicts.verdict import verdict_of


def test_a_score_at_the_limit_is_fake():
    assert verdict(window(0, 0.6)).verdict == "FAKE"
    assert verdict(window(0, 0.599)).verdict == "REAL"


@pytest.mark.parametrize(
    ("score", "word"),
    [(0.8, "FAKE"), (0.7, "FAKE"), (0.69, "UNCERTAIN"), (0.5, "UNCERTAIN"), (0.49, "REAL")],
)
def test_a_score_between_the_limits_is_uncertain(score, word):
    found = verdict(window(0, score), rule=BAND)
    assert (found.verdict, found.score) == (word, score)
    assert (found.fake_from, found.real_below) == (0.7, 0.5)


def test_people_of_whom_it_is_not_clear_which_way_up_they_are_are_uncertain():
    found = verdict(window(0, 0.9), turned_degrees=None)
    assert (found.verdict, found.score, list(found.warnings)) == ("UNCERTAIN", 0.9, ["turned"])
    upside_down = verdict(window(0, 0.9), turned_degrees=180)
    assert (upside_down.verdict, list(upside_down.warnings)) == ("FAKE", ["turned"])


def test_the_highest_scoring_face_decides_and_is_named():
    found = verdict(window(0, 0.2, 0.7, 0.1))
    assert (found.verdict, found.score, found.face_index) == ("FAKE", 0.7, 1)
    assert found.note == "face 2 of 3"
    assert found.deciding_face.score == 0.7
    uncertain = verdict(window(0, 0.1, 0.65), window(1, 0.2), rule=BAND)
    assert (uncertain.verdict, uncertain.score) == ("UNCERTAIN", 0.65)


def test_the_highest_scoring_window_decides_and_is_named():
    found = verdict(window(0, 0.1), window(1, 0.8), window(2, 0.3))
    assert (found.verdict, found.score, found.window_index) == ("FAKE", 0.8, 1)
    assert found.note == "5.0 to 10.0 s; 1 of 3 windows FAKE"


def test_a_short_rest_at_the_end_does_not_decide_unless_it_has_the_only_face():
    rest = window(1, 0.9, seconds=1.0)
    assert verdict(window(0, 0.1), rest).score == 0.1
    assert verdict(window(0), rest).score == 0.9
    assert verdict(window(0, 0.1), window(1, 0.9, seconds=4.0)).score == 0.9
    assert verdict(window(0, 0.9, seconds=1.0)).score == 0.9


def test_without_a_face_or_a_video_there_is_no_score_but_a_reason():
    nobody = verdict(window(0), no_face_note="no face in the first 5.0 seconds")
    assert (nobody.verdict, nobody.score, nobody.window_index) == ("NO FACE", None, None)
    assert nobody.note == "no face in the first 5.0 seconds"
    nothing = verdict(problem="the file is empty", read_sec=0.0)
    assert (nothing.verdict, nothing.score, nothing.warnings) == ("UNREADABLE", None, {})
    assert nothing.note == "the file is empty"


def test_a_verdict_is_decided_again_with_other_limits():
    first = verdict(window(0, 0.55), video_sec=120.0)
    again = decide(first, Rule(OperatingPoint(0.5, 0.4), 5.0))
    assert (first.verdict, again.verdict, again.fake_from) == ("REAL", "FAKE", 0.5)
    assert (again.score, again.note) == (first.score, "only 5.0 of 120.0 seconds judged")
    assert decide(again, RULE) == first


# What makes it less sure


@pytest.mark.parametrize(
    ("frames", "note"), [(1, "only 1 frame judged"), (4, "only 4 frames judged"), (5, "")]
)
def test_a_verdict_from_a_handful_of_frames_says_so(frames, note):
    """A photograph, or a broken clock: 3 frames at the start and the rest ten seconds later."""
    assert verdict(window(0, 0.7, frames=frames)).note == note


def test_a_verdict_about_5_of_120_seconds_says_so():
    assert verdict(window(0, 0.1), video_sec=120.0).warnings == {
        "part-of-video": "only 5.0 of 120.0 seconds judged"
    }
    assert verdict(window(0, 0.1), video_sec=5.04).note == ""
    assert verdict(window(0, 0.1)).note == ""  # nothing says how long it is
    assert verdict(window(0, 0.1), read_sec=0.0, video_sec=0.0).note == ""  # a picture


def test_letters_in_a_caption_taken_for_a_face_in_37_percent_of_the_frames_are_marked():
    found = window(0, 0.866, frames=100)
    (face,) = found.faces
    found = dataclasses.replace(found, faces=(dataclasses.replace(face, detected=37),))
    assert verdict(found).note == "detected in only 37% of the frames, perhaps no face"


def test_a_still_picture_or_a_slideshow_is_marked():
    assert verdict(window(0, 0.1, motion=0.4)).note == "a still picture throughout"
    assert verdict(window(0, 0.1, motion=20.0)).note == ""
    assert list(verdict(window(0, 0.1, frames=1, motion=0.0)).warnings) == ["few-frames"]


def test_moments_with_another_verdict_are_counted():
    moments = (0.9, 0.3, 0.2, 0.1)
    found = verdict(window(0, 0.7, moments=moments))
    assert found.note == "only 1 of 4 moments agrees"
    assert verdict(window(0, 0.65, moments=moments), rule=BAND).note == ""


def test_a_model_of_synthetic_people_does_not_judge_people_without_a_word():
    found = verdict(window(0, 0.1), rule=dataclasses.replace(RULE, is_synthetic=True))
    assert found.warnings == {"synthetic-model": SYNTHETIC_WARNING}
    assert found.note == ""  # the header says it once


def test_the_late_first_face_and_the_damage_are_in_the_note():
    late = "no face in the first 5.0 seconds; faces from 5.0 seconds on"
    found = verdict(window(0), window(1, 0.1), no_face_note=late, problem="cut off")
    assert found.note == f"{late}; cut off"


# The tree


def test_a_verdict_comes_back_from_json_as_it_was():
    found = verdict(window(0, 0.2, 0.7, moments=(0.1, 0.3)), video_sec=120.0, rule=BAND)
    entry = json.loads(json.dumps(dataclasses.asdict(found)))
    assert verdict_of(entry) == found
    face = entry["windows"][0]["faces"][1]
    assert face["clip"] == [
        {"frame": 3, "time_sec": 0.12, "box_xywh": [1.3, 2, 3, 4], "source": "detected"}
    ]
    assert face["moments"][0] == {"time_sec": 0.5, "score": 0.1}


def test_the_share_of_faces_counts_detected_frames_over_all_windows():
    assert verdict(window(0, 0.1), window(1, 0.1)).face_share == pytest.approx(18 / 20)
    assert verdict(problem="empty").face_share == 0


def test_the_names_of_warnings_are_those_that_the_docs_list():
    text = (Path(__file__).parents[2] / "docs" / "python_api.md").read_text()
    source = (Path(__file__).parents[2] / "deepfake_detector/verdicts/rule.py").read_text()
    names = ["part-of-video", "few-frames", "still", "few-faces", "unsteady", "turned"]
    for name in [*names, "synthetic-model"]:
        assert f"`{name}`" in text and f'"{name}"' in source
