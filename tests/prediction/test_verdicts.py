"""From scores to a verdict, and the tables it goes into."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from deepfake_detector.console import printable
from deepfake_detector.face_dataset.boxes import Crop
from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.task import Destinations
from deepfake_detector.prediction.verdicts import WARNINGS, Rule, judge, score_text
from deepfake_detector.prediction.windows import Moment, VideoFaces, Window, WindowFace
from deepfake_detector.results.outputs import csv_text, dfdc_text, line_of, lines_of_threshold
from deepfake_detector.results.unfinished import UnfinishedResults
from deepfake_detector.results.video_verdict import plain_result, verdict_of
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.scoring.trained_model import ModelOrigin, describe, model_origin

RULE, MODEL = Rule(threshold=0.6, window_sec=5.0), ModelOrigin("model.keras")


def window(
    number: int, num_faces: int = 1, seconds: float = 5.0, frames: int = 10, num_moments: int = 1
) -> Window:
    start_sec, end_sec = 5.0 * number, 5.0 * number + seconds
    crops = (Crop(Path("000.jpeg"), 3, 0.12, [1.26, 2, 3, 4], "detected"),)
    moments = (Moment(0.5, ("000.jpeg",)),) * num_moments
    faces = tuple(
        WindowFace(face, Path("face"), start_sec, end_sec, frames, frames, crops, moments)
        for face in range(num_faces)
    )
    return Window(number, start_sec, end_sec, frames, frames - 1, faces)


def judged(windows, scores, rule=RULE, moments=(), model=MODEL, **facts):
    found = VideoFaces(list(windows), **facts)
    places = [(window, face) for window in windows for face in window.faces]
    faces = [
        ScoredFace(*p, score, tuple(moments) or (score,))
        for p, score in zip(places, scores, strict=True)
    ]
    return judge(Path("a.mp4"), found, faces, rule, model=model)


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


# What a verdict rests on


def test_a_verdict_about_5_of_120_seconds_says_so():
    result = judged([window(0)], [0.148], frame_sec=0.04, video_sec=120.0)
    assert result.warnings == {"part-of-video": "only 5.0 of 120.0 seconds"}
    plain = plain_result(result)
    assert line_of(plain).endswith("a.mp4 (only 5.0 of 120.0 seconds)")
    assert (plain.read_sec, plain.video_sec) == (5.04, 120.0)
    assert plain.warnings == ("part-of-video",)
    (row,) = csv.DictReader(io.StringIO(csv_text([("a.mp4", plain)])))
    assert row["status"] == "REAL"
    assert (row["read_sec"], row["video_sec"], row["frames"]) == ("5.04", "120", "10")
    assert (row["warnings"], row["model"]) == ("part-of-video", "model.keras")


def test_a_video_read_whole_with_a_face_throughout_has_no_note():
    assert judged([window(0)], [0.1], frame_sec=0.04, video_sec=5.04).note == ""


def test_without_a_length_in_the_container_only_what_was_read_is_said():
    result = judged([window(0)], [0.1], frame_sec=0.04)
    assert (result.note, plain_result(result).video_sec) == ("", None)
    assert result.basis == "5.0 seconds, 10 frames, face in 90%"


def test_letters_in_a_caption_taken_for_a_face_in_37_percent_of_the_frames_are_marked():
    with_face = window(0, frames=100)
    (face,) = with_face.faces
    face = dataclasses.replace(face, detected=37)
    result = judged([dataclasses.replace(with_face, faces=(face,))], [0.866])
    assert result.note == "face in 37% of its frames, perhaps none at all"


def test_a_still_picture_or_a_slideshow_is_no_plain_verdict():
    still = dataclasses.replace(window(0), motion=0.4)
    assert judged([still], [0.1]).note == "a still picture throughout"
    moving = dataclasses.replace(window(0), motion=20.0)
    assert judged([moving], [0.1]).note == ""
    photo = dataclasses.replace(window(0, frames=1), motion=0.0)
    assert list(judged([photo], [0.1]).warnings) == ["few-frames"]


def test_moments_on_the_other_side_of_the_threshold_are_counted():
    result = judged([window(0, num_moments=4)], [0.7], moments=[0.9, 0.8, 0.2, 0.1])
    assert result.note == "only 2 of 4 moments agree"
    plain = plain_result(result)
    assert (plain.lowest_moment_score, plain.highest_moment_score) == (0.1, 0.9)
    assert "moments 0.10 to 0.90" in result.basis


def test_a_near_miss_is_marked_also_where_the_model_has_no_band():
    rule = Rule(threshold=0.811, window_sec=5.0)
    assert judged([window(0)], [0.802], rule).note == "close to the threshold 0.811"
    assert judged([window(0)], [0.5], rule).note == ""


def test_a_number_never_looks_as_if_it_was_on_the_other_side_of_the_threshold():
    assert score_text(0.148, 0.811) == "0.148"
    assert score_text(0.4337, 0.43388) == "0.4337"
    assert score_text(0.8109, 0.8112) == "0.8109"


@pytest.mark.parametrize(
    ("names", "words", "synthetic"),
    [
        (["person_000.mp4", "person_000_face_033.mp4#1"], "2 videos of synthetic people", True),
        (["person_000.mp4", "holiday.mp4", "a.mp4"], "3 videos", False),
        (["one.mp4"], "1 video", False),
    ],
)
def test_a_model_trained_on_drawings_does_not_judge_people_without_a_word(
    tmp_path, names, words, synthetic
):
    (tmp_path / "split.json").write_text(json.dumps({"train": names}))
    origin = model_origin(tmp_path / "model.keras", {})
    assert (origin.trained_on, origin.is_synthetic) == (words, synthetic)
    lines = describe(tmp_path / "model.keras", {})
    assert lines[1] == f"trained on {words}"
    assert ("note: it was trained on drawings" in " ".join(lines)) == synthetic
    result = judged([window(0)], [0.1], model=origin)
    assert ("synthetic-model" in result.warnings) == synthetic
    assert result.note == ""  # the header says it once
    assert plain_result(result).trained_on == words


@pytest.mark.parametrize(
    ("real", "fake", "drawn", "words", "synthetic"),
    [
        (3, 2, 5, "3 real and 2 fake videos of synthetic people", True),
        (3, 1, 2, "3 real and 1 fake video, 2 of them of synthetic people", False),
        (70, 0, 0, "70 real videos and fakes made from them", False),
    ],
)
def test_what_a_model_was_trained_on_stands_in_its_settings(
    tmp_path, real, fake, drawn, words, synthetic
):
    counts = {"real": real, "fake": fake, "synthetic": drawn, "methods": ["Deepfakes"]}
    origin = model_origin(tmp_path / "model.keras", {"trained_on": counts})
    assert (origin.trained_on, origin.is_synthetic) == (words, synthetic)


def test_drawings_of_before_they_were_marked_are_recognised_by_their_names(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": ["person_000.mp4"]}))
    counts = {"real": 1, "fake": 0, "synthetic": 0, "methods": [], "collections": []}
    assert model_origin(tmp_path / "model.keras", {"trained_on": counts}).is_synthetic


def test_a_model_that_says_what_it_was_trained_on_is_quoted(tmp_path):
    assert model_origin(tmp_path / "model.keras", {"trained_on": "cats"}).trained_on == "cats"
    assert model_origin(tmp_path / "model.keras", {}).trained_on == ""


def test_warnings_are_those_that_the_docs_list():
    text = (Path(__file__).parents[2] / "docs" / "python_api.md").read_text()
    assert all(f"`{name}`" in text for name in WARNINGS)


# Going on with a stopped run


def some_verdict(path: Path):
    result = dataclasses.replace(judged([window(0, num_faces=2)], [0.2, 0.7]), path=path)
    return plain_result(result)


def test_a_verdict_comes_back_from_json_as_it_was(tmp_path):
    verdict = some_verdict(tmp_path / "a.mp4")
    assert verdict_of(json.loads(json.dumps(dataclasses.asdict(verdict)))) == verdict


def test_what_a_killed_run_has_written_is_taken_up_without_half_a_line(tmp_path, capsys):
    videos = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    for video in videos:
        video.write_bytes(b"x")
    place = tmp_path / "a.json.unfinished.jsonl"
    killed = UnfinishedResults(place, {"model": 1}, videos)
    for number in (2, 0):
        killed.add(number, some_verdict(videos[number]))
    with place.open("ab") as file:
        file.write(b'{"video": {"path": "b.m')
    again = UnfinishedResults(place, {"model": 1}, videos)
    assert [verdict is not None for verdict in again.take_up()] == [True, False, True]
    again.add(1, some_verdict(videos[1]))
    assert [entry["path"] for entry in again.entries()] == list(map(str, videos))
    assert len(place.read_bytes().splitlines()) == 4
    again.remove()
    assert not place.exists()
    assert capsys.readouterr().err == ""


def test_what_does_not_fit_is_scored_again(tmp_path, capsys):
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        video.write_bytes(b"x")
    place = tmp_path / "a.unfinished.jsonl"
    killed = UnfinishedResults(place, {"model": 1, "whole": False}, videos)
    for number in (0, 1):
        killed.add(number, some_verdict(videos[number]))
    videos[1].write_bytes(b"another one")
    taken_up = UnfinishedResults(place, {"model": 1, "whole": False}, videos).take_up()
    assert [verdict is not None for verdict in taken_up] == [True, False]
    other = UnfinishedResults(place, {"model": 1, "whole": True}, videos)
    assert other.take_up() == [None, None]
    assert (
        "is of another run, which differs in --whole; all is scored again"
        in capsys.readouterr().err
    )


def test_leftovers_of_a_stopped_run_are_not_silently_mixed_in(tmp_path, capsys):
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    place = tmp_path / "a.unfinished.jsonl"
    UnfinishedResults(place, {}, [video]).add(0, some_verdict(video))
    fresh = UnfinishedResults(place, {}, [video])
    fresh.add(0, some_verdict(video))
    assert len(list(fresh.entries())) == 1
    assert "1 verdict of a stopped run dropped; --resume would" in capsys.readouterr().err
    assert len(place.read_bytes().splitlines()) == 2


def test_what_cannot_be_read_has_a_reason_and_no_score():
    result = judged([], [], problem="the file is empty")
    assert (result.verdict, result.score, result.note) == ("UNREADABLE", None, "the file is empty")
    assert plain_result(result).face_share == 0


def test_the_share_of_faces_counts_detected_frames_over_all_windows():
    result = judged([window(0), window(1)], [0.1, 0.1])
    assert plain_result(result).face_share == pytest.approx(18 / 20)


def test_a_cell_that_looks_like_a_formula_stays_text():
    verdict = plain_result(judged([window(0)], [1 / 3], problem="=1+1"))
    named = [(name, verdict) for name in ("=1+1.mp4", "@a.mp4", "two\nlines, b.mp4")]
    text = dfdc_text(named, 0.5)
    assert text.startswith("filename,label\n'=1+1.mp4,0.333333\n'@a.mp4,0.3")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[3] == ["two\nlines, b.mp4", "0.333333"]
    rows = list(csv.DictReader(io.StringIO(csv_text(named))))
    assert [row["filename"] for row in rows] == ["'=1+1.mp4", "'@a.mp4", "two\nlines, b.mp4"]
    assert rows[0]["note"] == "'=1+1"


def test_a_name_can_neither_break_its_line_nor_move_the_cursor():
    shown = printable("a\nb\x1b[2J\udc80 ビデオ.mp4")
    assert shown == "a\\nb\\x1b[2J\\udc80 ビデオ.mp4"


def test_the_json_entry_holds_windows_faces_times_and_boxes():
    result = judged([window(0, num_faces=2)], [0.2, 0.7])
    entry = json.loads(json.dumps(dataclasses.asdict(plain_result(result))))
    assert (entry["verdict"], entry["score"]) == ("FAKE", 0.7)
    assert entry["decided_by"] == {"window": 1, "face": 2}
    assert result.note == "face 2 of 2"
    face = entry["windows"][0]["faces"][1]
    assert face["face"] == 2
    assert face["crops"] == [
        {"frame": 3, "time_sec": 0.12, "box_xywh": [1.3, 2, 3, 4], "source": "detected"}
    ]
    assert face["moments"] == [{"time_sec": 0.5, "score": 0.7}]


def test_other_options_were_named_as_attributes(tmp_path, capsys):
    """ "is of another run (model_sha256, rule): all is scored again"."""
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    place = tmp_path / "a.unfinished.jsonl"
    former = {"model_sha256": ["1"], "rule": 1, "timeout_sec": 3}
    UnfinishedResults(place, former, [video]).add(0, some_verdict(video))
    UnfinishedResults(place, dict.fromkeys(former, 2), [video]).take_up()
    words = "the files of the model, --operating-point or --windows, --timeout-sec; all is scored"
    assert f"is of another run, which differs in {words} again" in capsys.readouterr().err


def test_no_unfinished_file_is_tried_next_to_a_stream(tmp_path, capsys):
    """`--json /dev/stdout` noted that /dev/stdout.unfinished.jsonl cannot be written."""
    assert Destinations(json=Path("/dev/stdout")).unfinished is None
    of_csv = Destinations(json=Path("/dev/stdout"), csv=tmp_path / "a.csv").unfinished
    assert of_csv == tmp_path / "a.csv.unfinished.jsonl"
    kept = UnfinishedResults(None, {}, [tmp_path / "a.mp4"])
    assert kept.take_up() == [None]
    kept.add(0, some_verdict(tmp_path / "a.mp4"))
    assert [entry["path"] for entry in kept.entries()] == [str(tmp_path / "a.mp4")]
    kept.remove()
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err == ""


def test_resume_was_advised_to_somebody_who_had_given_it(tmp_path, capsys):
    """ "0 verdicts of a stopped run dropped; --resume would have taken them up"."""
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    place = tmp_path / "a.unfinished.jsonl"
    UnfinishedResults(place, {"whole": True}, [video]).add(0, some_verdict(video))
    other = UnfinishedResults(place, {"whole": False}, [video])
    other.take_up()
    other.add(0, some_verdict(video))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("differs in --whole; all is scored again")
