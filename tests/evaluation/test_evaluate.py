"""evaluate.py as it is called: which videos it scores, and what it leaves behind."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import read_rgb

import evaluate
from deepfake_detector.console import UserError
from deepfake_detector.evaluation.robustness import ALTERATIONS
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.splits import SPLITS
from deepfake_detector.files import text_cell
from deepfake_detector.scoring.video_scores import highest_scoring_tracks

ROOT = Path(__file__).parents[2]


def face(name, label=0, source_group=None, people=(), video=None):
    video = video or name
    return FaceTrack(name, name, label, 9, 3, video, source_group or video, people=tuple(people))


def evaluated(run, faces, out, *flags):
    """Without timelines unless asked for: they take as long as the scores."""
    command = ["--model", str(run / "model.keras"), "--data", str(faces), "--out", str(out)]
    return evaluate.main([*command, "--strips", "0", "--json-summary", *flags])


@pytest.mark.slow
def test_report_scores_every_unseen_video_once(
    run, sample_faces, tmp_path, capsys, charts_are_drawn
):
    assert evaluated(run, sample_faces, tmp_path / "report", "--strips", "100") == 0
    printed = capsys.readouterr().out
    assert "12 of 16 videos left out: used in training" in printed
    result = json.loads(printed.splitlines()[-1])
    assert result == json.loads((tmp_path / "report" / "metrics.json").read_text())
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    test_names = json.loads((run / "split.json").read_text())["test"]
    assert [row["filename"] for row in rows] == sorted(test_names)
    assert list(rows[0]) == ["filename", "label", "score", "face", "data"]
    assert all(row["face"] == row["filename"] for row in rows)
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert result["videos"] == len(rows) == 4
    charts = {path.stem: path for path in (tmp_path / "report" / "charts").glob("*.png")}
    names = {"roc", "precision_recall", "reliability", "scores", "confusion", "faces"}
    assert charts.keys() == names
    assert all(min(read_rgb(path).shape[:2]) > 300 for path in charts.values())
    assert "too few for an interval: videos of 2 originals" in printed
    assert result["intervals"]["roc_auc"] is None


@pytest.mark.slow
def test_python_and_the_command_give_the_same_metrics_and_files(run, sample_faces, tmp_path):
    assert evaluated(run, sample_faces, tmp_path / "command", "--operating-point", "half") == 0
    result = evaluate.evaluate(
        run / "model.keras",
        str(sample_faces),
        tmp_path / "python",
        operating_point="half",
        strips=0,
    )
    assert result == json.loads((tmp_path / "python" / "metrics.json").read_text())
    names = [
        {file.relative_to(out) for file in out.rglob("*") if file.is_file()}
        for out in (tmp_path / "command", tmp_path / "python")
    ]
    assert names[0] == names[1]
    for name in ("metrics.json", "predictions.csv", "report.html"):
        of_command, of_python = (tmp_path / out / name for out in ("command", "python"))
        assert of_command.read_bytes() == of_python.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "some"}, "split is 'some'; it must be one of unseen"),
        ({"operating_point": "best"}, "operating_point is 'best'; it must be one of equal-error"),
        ({"operating_point": "false-alarms-1"}, "the model has no operating point fpr-1"),
        ({"strips": -1}, "strips is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_a_wrong_option_in_python_is_a_user_error(run, tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        evaluate.evaluate(run / "model.keras", "faces", tmp_path / "report", **options)


def test_former_names_of_options_still_work_and_are_not_shown():
    words = ["--model", "m", "--data", "d", "--out", "o", "--part", "all"]
    args = evaluate.arguments().parse_args([*words, "--operating-point", "false-alarms-5"])
    assert (args.split, args.operating_point) == ("all", "fpr-5")
    assert "--part" not in evaluate.arguments().format_help()
    assert evaluate.arguments().parse_args(words[:-2]).split == "unseen"
    assert evaluate.SPLIT_CHOICES[2:] == SPLITS


def test_help_needs_no_tensorflow():
    script = "import sys; sys.argv[1:] = ['--help']; import runpy\n"
    script += "try: runpy.run_path('evaluate.py', run_name='__main__')\n"
    script += "except SystemExit: print(sorted({'tensorflow', 'sklearn', 'matplotlib', 'scipy'} & "
    script += "sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "--robustness" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr == ""


def test_the_score_of_a_video_is_that_of_its_highest_scoring_face():
    faces = [face("a.mp4"), face("a.mp4#1", video="a.mp4"), face("a.mp4#2", video="a.mp4")]
    faces += [face("b.mp4", 1), face("b.mp4#1", 1, video="b.mp4")]
    highest = highest_scoring_tracks(faces, [0.2, 0.7, 0.1, 0.4, 0.4])
    assert [faces[index].name for index in highest] == ["a.mp4#1", "b.mp4"]


@pytest.mark.slow
def test_a_video_with_two_faces_is_one_row_that_names_the_highest_scoring_one(
    run, sample_faces, tmp_path
):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    metadata = json.loads((faces / "metadata.json").read_text())
    names = ["person_000.mp4", "person_001.mp4", "person_002.mp4"]
    for name in names:
        shutil.copytree(faces / "person_000.mp4", faces / f"{name}#1")
        metadata[f"{name}#1"] = metadata[name] | {"video": name}
    (faces / "metadata.json").write_text(json.dumps(metadata))
    assert evaluated(run, faces, tmp_path / "report", "--split", "all") == 0
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == [name for name in metadata if "#" not in name]
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["videos"] == 16
    assert all(row["face"].removesuffix("#1") == row["filename"] for row in rows)
    scores = {row["filename"]: float(row["score"]) for row in rows}
    # The further face of each is that of this person, so none of them scores lower.
    assert min(scores[name] for name in names) >= scores["person_000.mp4"] - 1e-5


@pytest.mark.slow
def test_scores_do_not_depend_on_the_batch_size(run, sample_faces, tmp_path):
    reports = []
    for size in ("3", "16"):
        evaluated(run, sample_faces, tmp_path / size, "--split", "all", "--batch-size", size)
        reports.append(json.loads((tmp_path / size / "metrics.json").read_text()))
    assert reports[0]["videos"] == reports[1]["videos"] == 16
    assert reports[0]["log_loss"] == pytest.approx(reports[1]["log_loss"], abs=1e-4)


def test_faces_made_with_other_settings_are_refused_with_both_values(
    run,
    sample_faces,
    tmp_path,
    capsys,
):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    settings = json.loads((faces / "settings.json").read_text()) | {"margin_ratio": 0.1}
    (faces / "settings.json").write_text(json.dumps(settings))
    assert evaluated(run, faces, tmp_path / "report") == 2
    assert "--margin 0.1 (the model expects: 0.3)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda run: (run / "model.keras").unlink(), "without its model.keras; the same train"),
        (lambda run: (run / "model.keras").write_bytes(b"junk"), "cannot be opened as a Keras"),
        (lambda run: (run / "settings.json").unlink(), "has no settings.json next to it"),
        (lambda run: (run / "settings.json").write_text("[]"), "is not the file that train.py"),
        (lambda run: (run / "split.json").unlink(), "--split all scores every video"),
        (lambda run: (run / "split.json").write_text("[]"), "--split all scores every video"),
    ],
)
def test_a_damaged_run_folder_is_one_sentence(
    run,
    sample_faces,
    tmp_path,
    capsys,
    damage,
    sentence,
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    damage(copy)
    assert evaluated(copy, sample_faces, tmp_path / "report") == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_batch_of_nothing_is_one_sentence(run, sample_faces, tmp_path, capsys):
    assert evaluated(run, sample_faces, tmp_path / "report", "--batch-size", "0") == 2
    assert "--batch-size is 0; it must be at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_can_be_calibrated_on_the_videos_of_its_user(run, sample_faces, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = json.loads((copy / "settings.json").read_text())
    assert evaluated(copy, sample_faces, tmp_path / "report", "--split", "all", "--calibrate") == 0
    assert "calibrated on 16 videos" in capsys.readouterr().out
    after = json.loads((copy / "settings.json").read_text())
    assert after["calibration"]["real"] == after["calibration"]["fake"] == 8
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"calibration", "operating_points"}
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["threshold"] == 0.5  # of before


def test_nobody_seen_in_training_is_scored_and_nothing_the_split_left_out(tmp_path, capsys):
    faces = [
        face("left_out.mp4", people=["Dan"]),
        face("of_an_original.mp4", 1, source_group="trained.mp4"),
        face("same_person.mp4", people=["Bob", "Eve"]),
        face("stranger.mp4", people=["Eve"]),
        face("trained.mp4", people=["Ann"]),
        face("trained.mp4#1", people=["Ann"], video="trained.mp4"),
        face("validated.mp4", people=["Bob"]),
    ]
    names = {"train": ["trained.mp4"], "validation": ["validated.mp4"], "test": []}
    names["left_out"] = ["left_out.mp4"]
    (tmp_path / "split.json").write_text(json.dumps(names))
    chosen = evaluate.choose_split(faces, tmp_path / "model.keras", "unseen")
    assert [video.name for video in chosen] == ["stranger.mp4"]
    assert "5 of 6 videos left out" in capsys.readouterr().out


def test_the_shipped_model_has_seen_none_of_the_videos_of_a_user(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate.trained_model, "PRETRAINED", tmp_path)
    faces = [face("a.mp4"), face("b.mp4", 1)]
    assert evaluate.choose_split(faces, tmp_path / "model.keras", "unseen") == faces
    assert "the card of the model says what it was trained on" in capsys.readouterr().out


def test_nothing_unseen_is_one_sentence(run, sample_faces, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    names = json.loads((copy / "split.json").read_text())
    seen = {"train": [name for part in names.values() for name in part], "validation": []}
    (copy / "split.json").write_text(json.dumps(seen | {"test": []}))
    assert evaluated(copy, sample_faces, tmp_path / "report") == 2
    assert "none of 16 videos is one that the model has not seen" in capsys.readouterr().err


@pytest.mark.slow
def test_several_folders_are_one_table_with_a_row_each_and_one_for_all(
    run, sample_faces, tmp_path, capsys
):
    # Compressed again, for instance: the same names, other crops.
    shutil.copytree(sample_faces, tmp_path / "again")
    data = ("--data", str(sample_faces), str(tmp_path / "again"))
    command = ["--model", str(run / "model.keras"), *data, "--out", str(tmp_path / "report")]
    command += ["--split", "all", "--robustness", "--strips", "3", "--json-summary"]
    assert evaluate.main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["videos"] == 32
    assert result["intervals"]["originals"] == 8  # the same originals in both
    first, second, both = result["groups"]["data"]
    assert first["roc_auc"] == second["roc_auc"] == both["roc_auc"] == result["roc_auc"]
    assert both["roc_auc_interval"] == result["intervals"]["roc_auc"]
    clean, *altered = result["robustness"]
    assert clean["roc_auc"] == result["roc_auc"]
    assert clean["log_loss"] == pytest.approx(result["log_loss"], abs=1e-6)
    assert [row["name"] for row in altered] == list(ALTERATIONS)[1:]
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["data"] for row in rows} == {str(sample_faces), str(tmp_path / "again")}
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == page.count("image/jpeg") == 3
    assert page.count('<tr role="row">') == 1 + 32


def test_a_folder_named_twice_is_one_sentence(run, sample_faces, tmp_path, capsys):
    model, out = str(run / "model.keras"), str(tmp_path / "report")
    twice = [str(sample_faces), f"{sample_faces}/../{sample_faces.name}"]
    assert evaluate.main(["--model", model, "--data", *twice, "--out", out]) == 2
    assert "--data names a folder twice" in capsys.readouterr().err


def test_a_name_that_is_a_path_is_refused(run, sample_faces, tmp_path, capsys):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    shutil.copytree(faces / "person_000.mp4", tmp_path / "outside")
    metadata = json.loads((faces / "metadata.json").read_text())
    (faces / "metadata.json").write_text(json.dumps(metadata | {"../outside": {"label": "REAL"}}))
    assert evaluated(run, faces, tmp_path / "report") == 2
    assert "'../outside', which is a path" in capsys.readouterr().err


@pytest.mark.slow
def test_names_that_are_formulas_or_markup_stay_text(run, sample_faces, tmp_path, capsys):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    metadata = json.loads((faces / "metadata.json").read_text())
    name = '=HYPERLINK("x")<script>alert(1)<'  # a slash cannot be in a name
    (faces / "person_000.mp4").rename(faces / name)
    metadata[name] = metadata.pop("person_000.mp4")
    for entry in metadata.values():
        entry |= {"method": "[/red] <b>"} if entry["label"] == "FAKE" else {}
    (faces / "metadata.json").write_text(json.dumps(metadata))
    assert evaluated(run, faces, tmp_path / "report", "--split", "all") == 0
    assert "[/red] <b>" in capsys.readouterr().out
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        names = [row["filename"] for row in csv.DictReader(file)]
    assert f"'{name}" in names
    assert text_cell(name) in names
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert "=HYPERLINK(&#34;x&#34;)&lt;script&gt;" in page
