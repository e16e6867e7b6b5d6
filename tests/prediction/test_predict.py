"""Videos in, verdicts out, through the command as users run it."""

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SIZE, read_rgb

import evaluate
import predict
from deepfake_detector import __version__, parallel
from deepfake_detector.console import UserError
from deepfake_detector.prediction import verdicts
from deepfake_detector.prediction.task import prepare_task
from deepfake_detector.scoring import trained_model
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos import search
from sample_data import write_video


def predicted(run: Path, *words, workers: int = 0) -> int:
    command = ["--model", str(run / "model.keras"), "--workers", str(workers), *map(str, words)]
    return predict.main(command)


def lines_of(printed: str) -> list[str]:
    """Return the lines about videos."""
    return [line for line in printed.splitlines() if line.startswith(verdicts.VERDICTS)]


def changed(run: Path, copy: Path, **settings) -> Path:
    """Return a copy of a run with other settings next to its model."""
    shutil.copytree(run, copy)
    stored = json.loads((copy / "settings.json").read_text())
    (copy / "settings.json").write_text(json.dumps(stored | settings))
    return copy


@pytest.fixture
def quick_run(run, tmp_path) -> Path:
    """A run whose model was trained on 0.2 seconds."""
    faces = json.loads((run / "settings.json").read_text())["faces"] | {"capture_sec": 0.2}
    return changed(run, tmp_path / "quick_run", faces=faces)


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory, head_frames) -> Path:
    """A video of two people, two seconds long."""
    other = draw_frames(people.random_person(seed=3), 25, SIZE, 25, seed=3)
    frames = np.concatenate([head_frames, np.stack(list(other))], axis=2)
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    write_video(path, np.concatenate([frames, frames[::-1]]), fps=25)
    return path


# Scores


@pytest.mark.slow
def test_a_video_gets_the_score_that_processing_and_evaluate_give_it(
    run, sample_videos, sample_faces, tmp_path, capsys
):
    calibration = {"temperature": 0.7, "real": 12, "fake": 12}
    run = changed(run, tmp_path / "run", calibration=calibration)
    where = ["--data", str(sample_faces), "--part", "all", "--out", str(tmp_path / "report")]
    assert evaluate.main(["--model", str(run / "model.keras"), *where]) == 0
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        expected = {row["filename"]: float(row["score"]) for row in csv.DictReader(file)}
    assert predicted(run, sample_videos, "--json", tmp_path / "all.json") == 0
    videos = json.loads((tmp_path / "all.json").read_text())["videos"]
    scores = {Path(video["path"]).name: video["score"] for video in videos}
    assert len(scores) == 16
    assert scores == pytest.approx(expected, abs=1e-6)
    assert len(lines_of(capsys.readouterr().out)) == 16


@pytest.mark.slow
def test_every_face_is_scored_and_the_line_says_which_decided(run, two_heads, tmp_path, capsys):
    assert predicted(run, two_heads, "--json", tmp_path / "a.json") == 0
    (line,) = lines_of(capsys.readouterr().out)
    (video,) = json.loads((tmp_path / "a.json").read_text())["videos"]
    faces = video["windows"][0]["faces"]
    assert len(faces) == 2
    assert video["score"] == max(face["score"] for face in faces)
    deciding = video["decided_by"]["face"]
    assert [face["face"] for face in faces] == [1, 2]
    assert faces[deciding - 1]["score"] == video["score"]
    assert line.endswith(f"face {deciding} of 2)")
    sides = [face["crops"][0]["box_xywh"][0] > SIZE for face in faces]
    assert sorted(sides) == [False, True]


@pytest.mark.slow
def test_the_main_face_alone_is_scored_where_asked_for(run, two_heads, tmp_path):
    assert predicted(run, two_heads, "--faces", "main", "--json", tmp_path / "a.json") == 0
    (video,) = json.loads((tmp_path / "a.json").read_text())["videos"]
    assert len(video["windows"][0]["faces"]) == 1


@pytest.mark.slow
def test_a_whole_video_is_scored_in_windows(quick_run, two_heads, tmp_path, capsys):
    command = (two_heads, "--faces", "main", "--json", tmp_path / "a.json")
    assert predicted(quick_run, *command) == 0
    (first,) = json.loads((tmp_path / "a.json").read_text())["videos"]
    assert predicted(quick_run, *command, "--whole") == 0
    (whole,) = json.loads((tmp_path / "a.json").read_text())["videos"]
    assert (first["frames"], whole["frames"]) == (5, 50)
    ((alone,), (with_others,)) = (video["windows"][0]["faces"] for video in (first, whole))
    # Scored with nine other clips: the last digit may differ.
    assert with_others["score"] == pytest.approx(alone["score"], abs=1e-6)
    with_others["score"] = alone["score"]
    assert whole["windows"][0] == first["windows"][0]
    assert [window["start_sec"] for window in whole["windows"]] == pytest.approx(
        np.arange(10) * 0.2, abs=1e-3
    )
    scores = [window["faces"][0]["score"] for window in whole["windows"] if window["faces"]]
    assert whole["score"] == max(scores)
    assert "of 10 windows at or above the threshold" in capsys.readouterr().out


@pytest.mark.slow
def test_python_gives_one_plain_object_per_video_with_the_scores_of_the_command(
    run, two_heads, sample_videos, tmp_path, capsys
):
    words = tmp_path / "words.mp4"
    words.write_text("words")
    videos = [words, two_heads, sample_videos / "person_000.mp4"]
    assert predicted(run, *videos, "--json", tmp_path / "a.json") == 1
    by_command = json.loads((tmp_path / "a.json").read_text())["videos"]
    capsys.readouterr()
    by_function = predict.predict(run / "model.keras", videos, timeline=True)
    assert capsys.readouterr().out == ""
    plain = json.loads(json.dumps([dataclasses.asdict(video) for video in by_function]))
    for video in [*plain, *by_command]:
        del video["seconds"]
    assert plain == by_command
    assert [video.path for video in by_function] == [str(path) for path in videos]
    assert (by_function[0].verdict, by_function[0].note) == ("UNREADABLE", "text, not a video")
    assert by_function[1].score == max(face.score for face in by_function[1].faces)


@pytest.mark.slow
def test_python_takes_the_options_of_the_command(quick_run, two_heads):
    options = {"faces": "main", "whole": True, "windows": "median", "operating_point": "half"}
    (video,) = predict.predict(str(quick_run / "model.keras"), str(two_heads), **options)
    scores = sorted((face.score for face in video.faces), reverse=True)
    assert (len(video.windows), len(scores), video.threshold) == (10, 10, 0.5)
    assert video.score == scores[4]
    assert video.faces[0].moments == ()


@pytest.mark.slow
def test_an_operating_point_moves_the_threshold_and_nothing_else(run, sample_videos, tmp_path):
    points = {"false-alarms-5": {"threshold": 1.0}}
    strict = changed(run, tmp_path / "strict", operating_points=points)
    video = sample_videos / "person_000.mp4"
    results = []
    for words in (["half"], ["false-alarms-5"]):
        predicted(strict, video, "--json", tmp_path / "a.json", "--operating-point", *words)
        results.append(json.loads((tmp_path / "a.json").read_text()))
    assert [result["threshold"] for result in results] == [0.5, 1.0]
    assert results[0]["videos"][0]["score"] == results[1]["videos"][0]["score"]
    assert results[1]["videos"][0]["verdict"] == "REAL"


@pytest.mark.slow
def test_the_shipped_model_needs_no_option_and_a_close_score_is_no_verdict(
    run, sample_videos, tmp_path, monkeypatch, capsys
):
    rates = {"false_positive_rate": 0.1, "false_positive_rate_interval": [0.02, 0.27]}
    point = {"threshold": 0.5, "uncertain": [0.0, 1.0], "validation_videos": {"real": 30}}
    shipped = changed(
        run,
        tmp_path / "pretrained",
        trained_on="drawings",
        operating_points={"equal-error": point | rates},
    )
    (shipped / "MODEL_CARD.md").touch()
    monkeypatch.setattr(trained_model, "PRETRAINED", shipped)
    video = str(sample_videos / "person_000.mp4")
    assert predict.main([video, "--workers", "0", "--json", str(tmp_path / "a.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[:6] == [
        f"model {shipped / 'model.keras'}, which comes with this project",
        "trained on drawings",
        "note: it was trained on drawings, so its scores say nothing about real people",
        f"its card is {shipped / 'MODEL_CARD.md'}",
        "threshold 0.5 (equal-error): about 10 % of real videos score above it (95 %: 2 to 27 %, "
        "from 30 real videos that it was not trained on)",
        "scores between 0 and 1 are too close to it: UNCERTAIN",
    ]
    assert lines_of(printed)[-1].startswith("UNCERTAIN   0.")
    assert "\n1 video: 1 UNCERTAIN;" in printed
    written = json.loads((tmp_path / "a.json").read_text())
    assert (written["contract"], written["version"]) == (2, __version__)
    assert written["operating_point"] == "equal-error"
    assert written["false_positive_rate_interval"] == [0.02, 0.27]
    assert written["videos"][0]["uncertain"] == [0, 1]
    (from_python,) = predict.predict(videos=video)
    assert (from_python.verdict, from_python.uncertain) == ("UNCERTAIN", (0, 1))


# Bad videos, odd names


@pytest.fixture
def mixture(tmp_path, sample_videos) -> Path:
    """A folder of good and bad videos with names that are awkward to print."""
    folder = tmp_path / "mixture"
    (folder / "deep" / "er").mkdir(parents=True)
    good = (sample_videos / "person_000.mp4").read_bytes()
    for name in ("=1+1.mp4", "two\nlines.mp4", "deep/er/видео и слова.mp4", ".hidden.mp4"):
        (folder / name).write_bytes(good)
    (folder / "cut.mp4").write_bytes(good[: len(good) // 2])
    (folder / "empty.mp4").touch()
    (folder / "words.mp4").write_text("words")
    (folder / "metadata.json").write_text('{"listed.mp4": {"label": "FAKE"}}')
    write_video(folder / "grey.mp4", np.full((10, 64, 64, 3), 120, np.uint8), fps=20)
    return folder


@pytest.mark.slow
def test_every_video_is_one_line_and_bad_ones_stop_nothing(quick_run, mixture, tmp_path, capsys):
    tables = ("--csv", tmp_path / "out" / "a.csv", "--json", tmp_path / "a.json")
    assert predicted(quick_run, mixture, mixture / "gone.mp4", *tables, "--json-summary") == 1
    printed = capsys.readouterr().out
    lines = lines_of(printed)
    assert len(lines) == 8
    ends = {
        "cut.mp4": "(its index (the moov atom) is missing: cut off before its end, or still being",
        "empty.mp4": "UNREADABLE      -      -",
        "words.mp4": "(text, not a video)",
        "gone.mp4": "(no such file)",
        "grey.mp4": "(no face in any of its 10 frames (0.5 seconds))",
        "two\\nlines.mp4": "100%",
        "видео и слова.mp4": "100%",
    }
    for name, words in ends.items():
        (line,) = [line for line in lines if name in line]
        assert words in line
    assert lines[5].startswith("NO FACE         -     0%") or "grey" not in lines[5]
    summary = json.loads(printed.splitlines()[-1])
    assert (summary["videos"], summary["no_face"], summary["unreadable"]) == (8, 1, 4)
    assert summary["fake"] + summary["real"] + summary["uncertain"] == 3
    with (tmp_path / "out" / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = {row["filename"]: row["score"] for row in rows}
    assert list(rows[0])[:3] == ["filename", "status", "score"]
    assert scores["empty.mp4"] == scores["grey.mp4"] == scores["gone.mp4"] == ""
    assert scores["'=1+1.mp4"] == scores["two\nlines.mp4"] == scores["видео и слова.mp4"] != ""
    assert [row["status"] for row in rows] == [line.split("  ")[0] for line in lines]
    entries = json.loads((tmp_path / "a.json").read_text())["videos"]
    assert [entry["verdict"] for entry in entries] == [line.split("  ")[0] for line in lines]
    assert [e["score"] for e in entries if e["verdict"] in ("NO FACE", "UNREADABLE")] == [None] * 5


@pytest.mark.slow
@pytest.mark.parametrize(("words", "label"), [(["--no-face-score", "0.25"], 0.25), ([], 0.5)])
def test_there_is_never_a_silent_half(quick_run, mixture, tmp_path, capsys, words, label):
    words = ("--csv", tmp_path / "a.csv", "--csv-format", "dfdc", *words)
    assert predicted(quick_run, mixture / "grey.mp4", *words) == 1
    assert (tmp_path / "a.csv").read_text() == f"filename,label\ngrey.mp4,{label:.6f}\n"
    note = f"note: a.csv has the label {label:g} for 1 video without a score (--no-face-score)\n"
    assert capsys.readouterr().err == note


@pytest.mark.slow
def test_a_video_given_twice_is_scored_once(quick_run, sample_videos, tmp_path, capsys):
    video = sample_videos / "person_000.mp4"
    (tmp_path / "link.mp4").symlink_to(video)
    assert predicted(quick_run, video, tmp_path / "link.mp4", video) == 0
    captured = capsys.readouterr()
    assert len(lines_of(captured.out)) == 1
    assert captured.err.count("is given twice and scored once") == 2


def test_two_videos_of_one_name_get_different_names(tmp_path):
    paths = [Path("x/a.mp4"), Path("y/a.mp4"), Path("y/b\n.mp4")]
    assert search.shortest_names(paths) == ["x/a.mp4", "y/a.mp4", "b\n.mp4"]
    assert search.file_stems(paths) == ["a.mp4", "a.mp4_2", "b_.mp4"]


@pytest.mark.slow
def test_a_video_that_kills_its_reader_is_a_line(quick_run, sample_videos, monkeypatch, capsys):
    def die_at_the_first(job, items, record, record_death, *machines):
        record_death(items[0], 1.5)
        record_death(items[1], 1e6)
        record(job(items[2]))

    monkeypatch.setattr(parallel, "run_in_processes", die_at_the_first)
    videos = [sample_videos / f"person_00{number}.mp4" for number in (0, 1, 2)]
    assert predicted(quick_run, *videos, workers=1) == 1
    first, second, third = lines_of(capsys.readouterr().out)
    assert first.startswith("UNREADABLE")
    assert "the process that read it died" in first
    assert second.startswith("UNREADABLE")
    assert "took longer than 425 seconds; give it more with --timeout-sec" in second
    assert "person_002" in third


@pytest.mark.slow
def test_lines_come_in_the_order_of_the_videos(quick_run, sample_videos, monkeypatch, capsys):
    def backwards(job, items, record, record_death, *machines):
        for item in reversed(items):
            record(job(item))

    monkeypatch.setattr(parallel, "run_in_processes", backwards)
    videos = [sample_videos / f"person_00{number}.mp4" for number in (2, 0, 1)]
    assert predicted(quick_run, *videos, workers=1) == 0
    order = [line.split("/")[-1].split()[0] for line in lines_of(capsys.readouterr().out)]
    assert order == ["person_002.mp4", "person_000.mp4", "person_001.mp4"]


@pytest.mark.slow
def test_an_interrupted_run_writes_what_it_has(quick_run, sample_videos, tmp_path, monkeypatch):
    def stop_after_one(job, items, record, record_death, *machines):
        record(job(items[0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "run_in_processes", stop_after_one)
    assert predicted(quick_run, sample_videos, "--csv", tmp_path / "a.csv", workers=1) == 130
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


@pytest.mark.slow
def test_what_is_scored_stays_scored_and_the_results_are_those_of_one_run(
    quick_run, mixture, tmp_path, monkeypatch, capsys
):
    words = ("--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    words += ("--html", tmp_path / "a.html")
    assert predicted(quick_run, mixture, *words) == 1
    whole, table, lines = results_of(tmp_path, capsys)
    page = (tmp_path / "a.html").read_text()
    assert page.count("<article ") == len(lines)
    begun: list[int] = []

    def stop_after_three(job, items, record, record_death, *machines):
        for item in items[:3]:
            begun.append(item[1])
            record(job(item))
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "run_in_processes", stop_after_three)
    assert predicted(quick_run, mixture, *words, "--resume", workers=1) == 130
    assert predicted(quick_run, mixture, *words, "--resume", workers=1) == 130
    assert len(begun) == len(set(begun)) == 6
    assert (tmp_path / "a.json.unfinished.jsonl").is_file()
    capsys.readouterr()
    monkeypatch.undo()
    assert predicted(quick_run, mixture, *words, "--resume") == 1
    assert results_of(tmp_path, capsys) == (whole, table, lines)
    assert (tmp_path / "a.html").read_text() == page
    assert not list(tmp_path.glob("*.unfinished*"))


@pytest.mark.slow
def test_a_page_that_alone_is_asked_for_was_empty(quick_run, mixture, tmp_path, capsys):
    assert predicted(quick_run, mixture, "--html", tmp_path / "a.html") == 1
    page = (tmp_path / "a.html").read_text()
    assert page.count("<article ") == len(lines_of(capsys.readouterr().out)) > 0
    assert not list(tmp_path.glob("*.unfinished*"))


def results_of(folder: Path, capsys) -> tuple[dict, str, list[str]]:
    """Return the JSON but for the seconds that each video took, the CSV and the lines."""
    whole = json.loads((folder / "a.json").read_text())
    for video in whole["videos"]:
        del video["seconds"]
    return whole, (folder / "a.csv").read_text(), lines_of(capsys.readouterr().out)


@pytest.mark.slow
def test_a_result_that_cannot_be_written_costs_neither_the_other_nor_the_verdicts(
    quick_run, sample_videos, tmp_path, monkeypatch, capsys
):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deepfake_detector.results.outputs.write_text", fail)
    words = ("--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    assert predicted(quick_run, sample_videos / "person_000.mp4", *words) == 1
    assert len(json.loads((tmp_path / "a.json").read_text())["videos"]) == 1
    kept = tmp_path / "a.json.unfinished.jsonl"
    assert len(kept.read_bytes().splitlines()) == 2
    assert capsys.readouterr().err == (
        f"error: could not write {tmp_path / 'a.csv'} (No space left on device); its results "
        f"are in {kept}: make room, and give --resume\n"
    )


@pytest.mark.slow
def test_the_json_file_is_what_json_writes(quick_run, mixture, tmp_path):
    predicted(quick_run, mixture, "--json", tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert text == json.dumps(json.loads(text), indent=1) + "\n"


@pytest.mark.slow
def test_a_reader_that_fails_ends_the_run_with_its_error(
    quick_run, sample_videos, monkeypatch, capsys
):
    def fail_after_one(job, items, record, record_death, *machines):
        record(job(items[0]))
        raise OSError(28, "No space left on device", f"{tempfile.gettempdir()}/predict-x")

    monkeypatch.setattr(parallel, "run_in_processes", fail_after_one)
    assert predicted(quick_run, sample_videos, workers=1) == 2
    captured = capsys.readouterr()
    assert len(lines_of(captured.out)) == 1
    where = tempfile.gettempdir()
    assert f"temporary files to {where}: No space left on device; make room" in captured.err


@pytest.mark.slow
def test_whoever_stops_early_stops_the_reading(quick_run, sample_videos, monkeypatch):
    begun = []

    def read_all(job, items, record, record_death, *machines):
        for item in items:
            begun.append(item)
            record(job(item))

    monkeypatch.setattr(parallel, "run_in_processes", read_all)
    task = prepare_task(quick_run / "model.keras", workers=1)
    verdicts = predict.judge_videos(task, sorted(sample_videos.glob("*.mp4")))
    next(verdicts)
    verdicts.close()
    assert 1 <= len(begun) <= 4


# Wrong arguments


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--csv-format", "dfdc"], "--csv-format says what is in the file of --csv"),
        (["--no-face-score", "0.3", "--csv", "a.csv"], "give --csv-format dfdc too"),
        (
            ["--no-face-score", "2", "--csv", "a.csv", "--csv-format", "dfdc"],
            "--no-face-score is 2; it must be from 0 to 1",
        ),
        (["--resume"], "--resume finds what is scored next to the file of --json, --csv or --html"),
        (["--explain"], "--explain draws into the folder of --annotate or the page of --html"),
        (["--windows", "median"], "--windows says which window decides with --whole"),
        (["--workers", "-1"], "workers is -1"),
        (["--timeout-sec", "0"], "--timeout-sec is 0"),
        (["--operating-point", "false-alarms-1"], "no operating point fpr-1"),
    ],
)
def test_a_wrong_argument_is_one_sentence(run, sample_videos, capsys, words, sentence):
    assert predicted(run, sample_videos, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_result_in_the_place_of_a_video_or_a_folder_is_refused(
    run, sample_videos, tmp_path, capsys
):
    video = tmp_path / "a.mp4"
    shutil.copy(sample_videos / "person_000.mp4", video)
    assert predicted(run, video, "--csv", video) == 2
    assert "is what this command reads" in capsys.readouterr().err
    assert predicted(run, video, "--json", tmp_path) == 2
    assert "is a folder; give the path of a file" in capsys.readouterr().err
    assert video.read_bytes() == (sample_videos / "person_000.mp4").read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": -1}, "workers is -1"),
        ({"timeout_sec": 0}, "timeout_sec is 0"),
        ({"faces": "some"}, "faces is 'some'"),
        ({"windows": "first"}, "windows is 'first'; it must be one of worst, median"),
        ({"operating_point": "x"}, "no operating point x"),
    ],
)
def test_a_wrong_option_from_python_is_a_user_error(run, sample_videos, options, sentence):
    with pytest.raises(UserError, match=sentence):
        predict.predict(run / "model.keras", sample_videos, **options)


def test_a_video_in_the_place_of_the_model_is_one_sentence():
    with pytest.raises(UserError, match="no videos were given"):
        predict.predict("holiday.mp4")


def test_help_reads_as_the_docstring(capsys):
    with pytest.raises(SystemExit) as stopped:
        predict.main(["--help"])
    assert stopped.value.code == 0
    assert predict.__doc__.strip() in capsys.readouterr().out


def test_a_folder_without_videos_is_one_sentence(run, tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert predicted(run, tmp_path) == 2
    assert "no video in there" in capsys.readouterr().err


def test_a_model_of_other_faces_is_refused_with_both_values(run, sample_videos, tmp_path, capsys):
    faces = json.loads((run / "settings.json").read_text())["faces"]
    old = changed(run, tmp_path / "old", faces=faces | {"contract": 1})
    assert predicted(old, sample_videos) == 2
    assert "2 (the model expects: 1)" in capsys.readouterr().err


def test_settings_of_other_faces_than_any_are_one_sentence(run, sample_videos, tmp_path, capsys):
    for number, faces in enumerate(([], {"contract": 2, "colour": "blue"})):
        odd = changed(run, tmp_path / f"odd_{number}", faces=faces)
        assert predicted(odd, sample_videos) == 2
        error = capsys.readouterr().err
        assert "its faces cannot be understood" in error or "was trained on faces" in error


def test_a_model_that_brings_code_along_is_not_opened(run, sample_videos, tmp_path, capsys):
    clip = tf.keras.Input((3, 32, 32, 3))
    x = tf.keras.layers.Lambda(lambda x: tf.reduce_mean(x, axis=(1, 2, 3, 4))[:, None])(clip)
    copy = changed(run, tmp_path / "copy")
    tf.keras.Model(clip, x).save(copy / "model.keras")
    earlier = "filename,status,score\n"
    (tmp_path / "a.csv").write_text(earlier)
    assert predicted(copy, sample_videos / "person_000.mp4", "--csv", tmp_path / "a.csv") == 2
    assert (tmp_path / "a.csv").read_text() == earlier
    assert "cannot be opened as a Keras model" in capsys.readouterr().err


# Pictures


def frames_of(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


@pytest.mark.slow
def test_annotate_draws_a_copy_with_boxes_and_a_chart(
    quick_run, two_heads, tmp_path, capsys, charts_are_drawn
):
    out = tmp_path / "pictures"
    words = ("--annotate", out, "--explain", "--whole", "--json", tmp_path / "a.json")
    assert predicted(quick_run, two_heads, *words) == 0
    assert capsys.readouterr().err == ""
    assert sorted(path.name for path in out.iterdir()) == [
        "two.mp4_annotated.mp4",
        "two.mp4_occlusion.png",
        "two.mp4_timeline.png",
    ]
    frames = frames_of(out / "two.mp4_annotated.mp4")
    assert len(frames) == 50
    height, width = frames[0].shape[:2]
    assert (width, height > 240 + 72) == (480, True)  # below the timeline is the caption
    (video,) = json.loads((tmp_path / "a.json").read_text())["videos"]
    face = video["windows"][0]["faces"][0]
    x, y, w, h = (round(side * 1.5) for side in face["crops"][0]["box_xywh"])
    edge = frames[face["crops"][0]["frame"]][y + h // 4 : y + h // 2, x - 1 : x + 2].mean((0, 1))
    # Of fakes red, of what is uncertain orange, with more red than green; of real faces green.
    assert np.argmax(edge) == (2 if face["score"] > video["uncertain"][0] else 1)
    # The strip below moves on: more of it is bright at the end.
    assert frames[-1][240:312].mean() > frames[0][240:312].mean()
    for name in ("timeline", "occlusion"):
        assert read_rgb(out / f"two.mp4_{name}.png").shape[1] == 1000


def test_pictures_of_an_earlier_run_are_not_judged(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("a.mp4", "pictures/a.mp4_annotated.mp4"):
        (tmp_path / name).touch()
    assert search.find_videos([tmp_path], tmp_path / "pictures") == [tmp_path / "a.mp4"]


@pytest.mark.slow
def test_a_copy_that_cannot_be_made_costs_no_verdict(
    quick_run, sample_videos, tmp_path, monkeypatch, capsys, charts_are_drawn
):
    def fail(*args, **options):
        raise cv2.error("no encoder")

    monkeypatch.setattr("deepfake_detector.results.annotated_video.VideoWriter", fail)
    video = tmp_path / "$x ビデオ$.mp4"  # neither a formula nor letters that the font has
    shutil.copy(sample_videos / "person_000.mp4", video)
    assert predicted(quick_run, video, "--annotate", tmp_path / "pictures") == 0
    captured = capsys.readouterr()
    assert len(lines_of(captured.out)) == 1
    assert captured.err == f"note: {video}: drawing it failed: no encoder\n"
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == [
        f"{video.name}_timeline.png"
    ]


# Processes


def test_processes_that_read_videos_do_without_tensorflow():
    """Each of them imports predict.py first; TensorFlow would cost each of them seconds. So does
    --help, which also need not wait for charts."""
    heavy = {"tensorflow", "keras", "matplotlib", "sklearn"}
    check = f"import predict, sys; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


@pytest.mark.slow
def test_the_command_shares_videos_out_to_processes_and_keeps_the_screen_clean(
    run, sample_videos, tmp_path
):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, str(ROOT / "predict.py"), "--model", str(run / "model.keras")]
    videos = [sample_videos / f"person_00{number}.mp4" for number in range(3)]
    command += [*map(str, videos), "--workers", "2", "--json-summary", "--json", "all.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["videos"] == 3
    assert predicted(run, *videos, "--json", tmp_path / "alone.json") == 0
    one, other = (
        json.loads((tmp_path / name).read_text())["videos"] for name in ("all.json", "alone.json")
    )
    assert [v["score"] for v in one] == pytest.approx([v["score"] for v in other], abs=1e-6)
