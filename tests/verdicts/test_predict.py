"""Videos in, verdicts out, through the command and the function as users call them."""

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, SIZE, read_rgb

import evaluate
import predict
from deepfake_detector.console import UserError
from deepfake_detector.parallel import Lost
from deepfake_detector.scoring import trained_model
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.verdicts.text import line_of
from deepfake_detector.verdicts.verdict import VERDICTS
from deepfake_detector.videos import search
from sample_data import write_video


def predicted(run: Path, *words, workers: int = 0) -> int:
    return predict.main(["--model", str(run), "--workers", str(workers), *map(str, words)])


def lines_of(printed: str) -> list[str]:
    """Return the lines about videos."""
    return [line for line in printed.splitlines() if line.startswith(VERDICTS)]


def logged(path: Path) -> list[dict]:
    """Return the verdicts in a log."""
    entries = map(json.loads, path.read_text().splitlines()[1:])
    return [entry["verdict"] for entry in entries if "verdict" in entry]


def changed(run: Path, copy: Path, **settings) -> Path:
    """Return a copy of a run with other settings next to its model."""
    shutil.copytree(run, copy)
    stored = json.loads((copy / "settings.json").read_text())
    faces = stored["faces"] | settings.pop("faces", {})
    (copy / "settings.json").write_text(json.dumps(stored | settings | {"faces": faces}))
    return copy


@pytest.fixture
def quick_run(run, tmp_path) -> Path:
    """A run whose model was trained on 0.2 seconds."""
    return changed(run, tmp_path / "quick_run", faces={"capture_sec": 0.2})


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory, head_frames) -> Path:
    """A video of two people, two seconds long."""
    other = draw_frames(people.random_person(seed=3), 25, SIZE, 25, seed=3)
    frames = np.concatenate([head_frames, np.stack(list(other))], axis=2)
    path = tmp_path_factory.mktemp("two") / "two.mp4"
    write_video(path, np.concatenate([frames, frames[::-1]]), fps=25)
    return path


@pytest.fixture
def late_face(tmp_path, head_frames) -> Path:
    """A video that is grey for two seconds and then shows a head for one."""
    grey = np.full((50, SIZE, SIZE, 3), 120, np.uint8)
    write_video(tmp_path / "late.mp4", np.concatenate([grey, head_frames]), fps=25)
    return tmp_path / "late.mp4"


@pytest.fixture
def mixture(tmp_path, sample_videos) -> Path:
    """A folder of good and bad videos with names that are awkward to print."""
    folder = tmp_path / "mixture"
    (folder / "deep" / "er").mkdir(parents=True)
    good = (sample_videos / "person_000.mp4").read_bytes()
    for name in ("=1+1.mp4", "two\nlines.mp4", "deep/er/видео и слова.mp4", ".hidden.mp4"):
        (folder / name).write_bytes(good)
    (folder / "cut.mp4").write_bytes(good[: len(good) // 2])
    (folder / "words.mp4").write_text("words")
    write_video(folder / "grey.mp4", np.full((10, 64, 64, 3), 120, np.uint8), fps=20)
    return folder


# Scores


@pytest.mark.slow
def test_a_video_gets_the_score_that_processing_and_evaluate_give_it(
    run, sample_videos, sample_faces, tmp_path
):
    calibration = {"slope": 1.4, "offset": 0.1, "real": 12, "fake": 12}
    run = changed(run, tmp_path / "run", calibration=calibration)
    where = ["--data", str(sample_faces), "--split", "all", "--out", str(tmp_path / "report")]
    assert evaluate.main(["--model", str(run / "model.keras"), *where]) == 0
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        expected = {row["filename"]: float(row["score"]) for row in csv.DictReader(file)}
    scores = {Path(video.path).name: video.score for video in predict.predict(run, sample_videos)}
    assert len(scores) == 16
    assert scores == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_every_face_is_scored_and_the_highest_decides(run, two_heads):
    (video,) = predict.predict(run, two_heads)
    (window,) = video.windows
    assert len(window.faces) == 2
    assert video.score == max(face.score for face in window.faces)
    assert sorted(face.clip[0].box_xywh[0] > SIZE for face in window.faces) == [False, True]
    (video,) = predict.predict(run, two_heads, faces="main")
    assert len(video.faces) == 1


@pytest.mark.slow
def test_a_whole_video_is_scored_in_windows(quick_run, two_heads):
    (first,) = predict.predict(quick_run, two_heads, faces="main")
    (whole,) = predict.predict(quick_run, two_heads, faces="main", whole=True)
    assert (first.frames, whole.frames) == (5, 50)
    # Scored with nine other clips: the last digit may differ.
    assert whole.faces[0].score == pytest.approx(first.faces[0].score, abs=1e-6)
    assert whole.faces[0].clip == first.faces[0].clip
    starts = [window.start_sec for window in whole.windows]
    assert starts == pytest.approx(np.arange(10) * 0.2, abs=1e-3)
    assert whole.score == max(face.score for face in whole.faces)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_long_video_that_was_stopped_goes_on_with_its_next_minute(
    quick_run, two_heads, tmp_path, monkeypatch, workers, capsys
):
    """240 seconds of a 4K video left nothing."""
    monkeypatch.setattr(predict, "PART_SEC", 0.5)
    log, words = tmp_path / "a.jsonl", ("--whole", "--workers", workers)
    assert predicted(quick_run, two_heads, *words, "--json", log) == 0
    header, *parts, last = log.read_text().splitlines(keepends=True)
    assert len(parts) >= 3 and "windows" in parts[0] and "verdict" in last
    (whole,) = logged(log)
    assert not any(face["moments"] for each in whole["windows"] for face in each["faces"])
    log.write_text(header + parts[0] + parts[1])
    seen = []
    read = predict.read_video
    monkeypatch.setattr(
        predict, "read_video", lambda *a, **b: seen.append(b["done"]) or read(*a, **b)
    )
    if workers == "0":
        assert predicted(quick_run, two_heads, *words, "--json", log) == 0
        assert list(seen[0].values()) == [6]
        (again,) = logged(log)
        del whole["seconds"], again["seconds"]
        assert again == whole


@pytest.mark.slow
def test_the_log_holds_what_python_returns(run, two_heads, tmp_path, capsys):
    words = tmp_path / "words.mp4"
    words.write_text("words")
    assert predicted(run, words, two_heads, "--json", tmp_path / "a.jsonl") == 1
    capsys.readouterr()
    by_function = predict.predict(run / "model.keras", [words, two_heads], moments=True)
    assert capsys.readouterr().out == ""
    plain = json.loads(json.dumps([dataclasses.asdict(video) for video in by_function]))
    by_command = logged(tmp_path / "a.jsonl")
    for video in [*plain, *by_command]:
        del video["seconds"]
    assert plain == by_command
    assert (by_function[0].verdict, by_function[0].note) == ("UNREADABLE", "text, not a video")
    assert by_function[1].deciding_face.moments and not by_function[1].jpegs


@pytest.mark.slow
def test_the_shipped_model_needs_no_option_and_a_close_score_is_uncertain(
    run, sample_videos, tmp_path, monkeypatch, capsys
):
    scores = {"real_scores": [0.001] * 18 + [0.999] * 2, "fake_scores": [0.002] * 2 + [0.998] * 8}
    known = {"trained_on": "cats", "calibration": scores}
    shipped = changed(run, tmp_path / "pretrained", **known)
    monkeypatch.setattr(trained_model, "PRETRAINED", shipped)
    video = str(sample_videos / "person_000.mp4")
    assert predict.main([video, "--workers", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"model {shipped / 'model.keras'}, which comes with this project\n")
    assert "trained on cats\n" in printed and "about 10 (1 to 32" in printed
    assert lines_of(printed)[-1].startswith("UNCERTAIN   0.")
    (strict,) = predict.predict(videos=video, threshold=1.0)
    assert (strict.verdict, strict.fake_from, strict.trained_on) == ("REAL", 1.0, "cats")


# Bad videos, odd names, runs that were stopped


@pytest.mark.slow
def test_every_video_is_one_line_and_bad_ones_stop_nothing(quick_run, mixture, tmp_path, capsys):
    tables = ("--csv", tmp_path / "out" / "a.csv", "--html", tmp_path / "a.html")
    assert predicted(quick_run, mixture, mixture / "gone.mp4", *tables, "--json-summary") == 1
    printed = capsys.readouterr().out
    lines = lines_of(printed)
    assert len(lines) == 7
    ends = {
        "cut.mp4": "(its index (the moov atom) is missing: cut off before its end",
        "words.mp4": "(text, not a video)",
        "gone.mp4": "(no such file)",
        "grey.mp4": "(no face in any of its 10 frames (0.5 seconds))",
        "two\\nlines.mp4": "100%",
        "видео и слова.mp4": "100%",
    }
    for name, words in ends.items():
        (line,) = [line for line in lines if name in line]
        assert words in line
    summary = json.loads(printed.splitlines()[-1])
    assert (summary["videos"], summary["no_face"], summary["unreadable"]) == (7, 1, 3)
    with (tmp_path / "out" / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = {row["filename"]: row["score"] for row in rows}
    assert scores["cut.mp4"] == scores["grey.mp4"] == scores["gone.mp4"] == ""
    assert scores["'=1+1.mp4"] == scores["two\nlines.mp4"] == scores["видео и слова.mp4"] != ""
    assert [row["status"] for row in rows] == [line.split("  ")[0] for line in lines]
    assert (tmp_path / "a.html").read_text().count("<article ") == 7


@pytest.mark.slow
def test_the_same_command_again_scores_the_other_videos_only(
    quick_run, sample_videos, tmp_path, monkeypatch, capsys
):
    words = ("--json", tmp_path / "a.jsonl", "--csv", tmp_path / "a.csv", "--faces", "main")
    assert predicted(quick_run, *sorted(sample_videos.glob("*.mp4"))[:3], *words) == 0
    before, lines = (tmp_path / "a.csv").read_text(), lines_of(capsys.readouterr().out)
    log = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_text("".join(log[:2]) + log[3][:40])  # killed in the third line
    read = []
    read_video = predict.read_video
    monkeypatch.setattr(
        predict, "read_video", lambda path, **how: read.append(path) or read_video(path, **how)
    )
    assert predicted(quick_run, *sorted(sample_videos.glob("*.mp4"))[:3], *words) == 0
    assert len(read) == 2
    assert lines_of(capsys.readouterr().out) == lines
    assert (tmp_path / "a.csv").read_text() == before
    assert predicted(quick_run, sample_videos, *words[:4]) == 2
    assert "differs in faces; give another path" in capsys.readouterr().err


@pytest.mark.slow
def test_a_video_that_kills_its_reader_is_a_line_and_lines_come_in_order(
    quick_run, sample_videos, monkeypatch, capsys
):
    def run_backwards(job, tasks, machines, limit_sec, tick_sec):
        yield tasks[2], Lost(False, 1.5)
        yield tasks[1], Lost(True, 1e6)
        yield tasks[0], job(tasks[0])

    monkeypatch.setattr(predict, "run_tasks", run_backwards)
    videos = [sample_videos / f"person_00{number}.mp4" for number in (2, 0, 1)]
    assert predicted(quick_run, *videos, workers=1) == 1
    first, second, third = lines_of(capsys.readouterr().out)
    assert "person_002" in first and not first.startswith("UNREADABLE")
    assert "took longer than" in second and second.startswith("UNREADABLE")
    assert "the process that read it died" in third and third.startswith("UNREADABLE")


@pytest.mark.slow
def test_a_video_given_twice_is_scored_once(quick_run, sample_videos, tmp_path, capsys):
    video = sample_videos / "person_000.mp4"
    (tmp_path / "link.mp4").symlink_to(video)
    assert len(predict.predict(quick_run, [video, tmp_path / "link.mp4", video])) == 1
    assert capsys.readouterr().err.count("is given twice and scored once") == 2


# Pictures, late faces, models of faces as they are


@pytest.mark.slow
def test_pictures_and_folders_of_frames_are_judged_and_drawn(run, head_frames, tmp_path, capsys):
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(head_frames):
        cv2.imwrite(str(tmp_path / "clip" / f"{number}.png"), frame[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "photo.png"), head_frames[0][:, :, ::-1])
    words = ("--annotate", tmp_path / "out", "--json", tmp_path / "a.jsonl")
    assert predicted(run, tmp_path / "photo.png", tmp_path / "clip", *words) == 0
    photo, clip = logged(tmp_path / "a.jsonl")
    assert (photo["frames"], photo["read_sec"], photo["score"] is not None) == (1, 0, True)
    assert "only 1 frame judged" in photo["note"]
    assert (clip["frames"], clip["read_sec"], clip["note"]) == (25, 1.0, "")
    names = ["clip_annotated.mp4", "photo.png_annotated.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    height, width = read_rgb(tmp_path / "out" / names[1]).shape[:2]
    assert (width, height > 480) == (480, True)  # below the picture is the caption
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_late_face_is_found_and_the_note_says_where(run, late_face, tmp_path):
    model = changed(run, tmp_path / "quick", faces={"capture_sec": 1.0})
    (video,) = predict.predict(model, late_face)
    assert video.note == "no face in the first 2.0 seconds; faces from 2.0 seconds on"
    assert (video.frames, video.frames_with_face, video.window_index) == (75, 25, 2)
    (video,) = predict.predict(model, late_face, search_sec=1.5)
    assert (video.verdict, video.note) == ("NO FACE", "no face in the first 1.5 seconds")
    assert video.read_sec == 1.52


@pytest.mark.slow
def test_a_model_of_faces_taken_as_they_are_takes_them_so(run, late_face, tmp_path):
    model = changed(run, tmp_path / "as_is", faces={"faces": "as-is", "capture_sec": 1.0})
    (video,) = predict.predict(model, late_face)
    assert line_of(video).split()[2] == "as-is"
    assert video.faces[0].clip[0].box_xywh == (0, 0, SIZE, SIZE)
    (video,) = predict.predict(model, late_face, faces="main")
    assert {frame.source for frame in video.faces[0].clip} <= {"detected", "averaged"}


# Wrong arguments


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--explain"], "--explain draws for --annotate or --html"),
        (["--workers", "-1"], "--workers is -1"),
        (["--timeout-sec", "0"], "--timeout-sec is 0"),
        (["--max-false-positive-rate", "10"], "--max-false-positive-rate is 10"),
    ],
)
def test_a_wrong_argument_is_one_sentence(run, sample_videos, capsys, words, sentence):
    assert predicted(run, sample_videos, *words) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_results_take_the_place_of_nothing_else(run, sample_videos, tmp_path, capsys):
    video, table = tmp_path / "a.mp4", tmp_path / "labels.csv"
    shutil.copy(sample_videos / "person_000.mp4", video)
    table.write_text("filename,label\n")
    for words, sentence in (
        (("--csv", video), "is what this command reads"),
        (("--json", tmp_path), "is a folder"),
        (("--csv", table), "was not written by this command"),
        (("--json", tmp_path / "x", "--html", tmp_path / "x"), "--json and --html are the same"),
    ):
        assert predicted(run, video, *words) == 2
        assert sentence in capsys.readouterr().err
    assert table.read_text() == "filename,label\n"


def test_a_wrong_option_from_python_is_a_user_error(run, sample_videos):
    with pytest.raises(UserError, match="workers is -1; it must be 0 or more"):
        predict.predict(run, sample_videos, workers=-1)
    with pytest.raises(UserError, match="no videos were given"):
        predict.predict("holiday.mp4")


# Copies and processes


@pytest.mark.slow
def test_annotate_draws_a_copy_with_boxes_and_an_occlusion_map(
    quick_run, two_heads, tmp_path, capsys
):
    out = tmp_path / "pictures"
    words = ("--annotate", out, "--explain", "--whole", "--json", tmp_path / "a.jsonl")
    assert predicted(quick_run, two_heads, *words) == 0
    assert capsys.readouterr().err == ""
    names = ["two.mp4_annotated.mp4", "two.mp4_occlusion.jpeg"]
    assert sorted(path.name for path in out.iterdir()) == names
    capture, frames = cv2.VideoCapture(str(out / names[0])), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == 50
    assert (frames[0].shape[1], frames[0].shape[0] > 240) == (480, True)
    (video,) = logged(tmp_path / "a.jsonl")
    face = video["windows"][0]["faces"][0]
    x, y, w, h = (round(side * 1.5) for side in face["clip"][0]["box_xywh"])
    edge = frames[face["clip"][0]["frame"]][y + h // 4 : y + h // 2, x - 1 : x + 2].mean((0, 1))
    # Of fakes red, of what is uncertain orange, with more red than green; of real faces green.
    assert np.argmax(edge) == (2 if face["score"] >= video["real_below"] else 1)
    assert search.find_videos([two_heads.parent], out) == [two_heads]


@pytest.mark.slow
def test_a_copy_that_cannot_be_made_costs_no_verdict(
    quick_run, sample_videos, tmp_path, monkeypatch, capsys
):
    def fail(*args, **options):
        raise cv2.error("no encoder")

    monkeypatch.setattr("deepfake_detector.verdicts.annotated_copy.VideoWriter", fail)
    video = sample_videos / "person_000.mp4"
    assert predicted(quick_run, video, "--annotate", tmp_path / "pictures") == 0
    captured = capsys.readouterr()
    assert len(lines_of(captured.out)) == 1
    assert captured.err == f"note: {video}: there is no annotated copy: no encoder\n"
    assert list((tmp_path / "pictures").iterdir()) == []


@pytest.mark.slow
def test_the_command_shares_videos_out_to_processes_and_keeps_the_screen_clean(
    run, sample_videos, tmp_path
):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, str(ROOT / "predict.py"), "--model", str(run / "model.keras")]
    videos = [sample_videos / f"person_00{number}.mp4" for number in range(3)]
    command += [*map(str, videos), "--workers", "2", "--json-summary", "--csv", "a.csv"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["videos"] == 3
    with (tmp_path / "a.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert scores == pytest.approx([v.score for v in predict.predict(run, videos)], abs=1e-6)
