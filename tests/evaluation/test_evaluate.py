"""evaluate.py as it is called: which videos it scores, and what it leaves behind."""

import csv
import json
import shutil

import pytest
from conftest import read_rgb

import evaluate
from deepfake_detector.console import UserError
from deepfake_detector.evaluation.robustness import ALTERATIONS
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import read_settings
from deepfake_detector.files import text_cell


def face(name, label=0, source_group=None, people=(), video=None):
    video = video or name
    known = {"people": tuple(people), "content": f"content of {video}"}
    return FaceTrack(name, name, label, 9, 3, video, source_group or video, **known)


def evaluated(run, faces, out, *flags):
    command = ["--model", str(run / "model.keras"), "--data", str(faces), "--out", str(out)]
    return evaluate.main([*command, "--json-summary", *flags])


def predictions(report):
    with (report / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def changed_copy(faces, folder, change):
    """A copy of a folder of faces, its metadata changed."""
    shutil.copytree(faces, folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    change(metadata)
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


@pytest.mark.slow
def test_report_scores_every_unseen_video_once(
    run, sample_faces, tmp_path, capsys, charts_are_drawn
):
    assert evaluated(run, sample_faces, tmp_path / "report") == 0
    printed = capsys.readouterr().out
    assert "12 of 16 videos left out: used in training" in printed
    result = json.loads(printed.splitlines()[-1])
    assert result == json.loads((tmp_path / "report" / "metrics.json").read_text())
    rows = predictions(tmp_path / "report")
    test_names = json.loads((run / "split.json").read_text())["test"]
    assert [row["filename"] for row in rows] == sorted(test_names)
    assert list(rows[0]) == ["filename", "label", "score", "face", "data"]
    assert all(row["face"] == row["filename"] for row in rows)
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert result["videos"] == len(rows) == 4
    charts = {path.stem: path for path in (tmp_path / "report" / "charts").glob("*.png")}
    assert charts.keys() == {"roc", "reliability", "scores"}
    assert all(min(read_rgb(path).shape[:2]) > 300 for path in charts.values())
    assert "too few for an interval: videos of 2 originals" in printed
    assert result["intervals"]["roc_auc"] is None


@pytest.mark.slow
def test_python_scores_like_the_command_and_prints_nothing_if_quiet(
    run, sample_faces, tmp_path, capsys
):
    flags = ("--threshold", "0.5", "--split", "all")
    assert evaluated(run, sample_faces, tmp_path / "command", *flags) == 0
    options = {"threshold": 0.5, "split": "all"}
    model, faces, out = run / "model.keras", str(sample_faces), tmp_path / "python"
    capsys.readouterr()
    result = evaluate.evaluate(model, faces, out, quiet=True, **options)
    assert not capsys.readouterr().out
    assert result["videos"] == 16
    of_command = json.loads((tmp_path / "command" / "metrics.json").read_text())
    assert result.keys() == of_command.keys()
    assert result["log_loss"] == pytest.approx(of_command["log_loss"], abs=1e-4)
    names = [{path.name for path in (tmp_path / of).rglob("*")} for of in ("command", "python")]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "some"}, "split is 'some'; it must be one of unseen"),
        ({"max_false_positive_rate": 10}, "max_false_positive_rate is 10; it must be above 0"),
    ],
)
def test_a_wrong_option_is_a_user_error(run, tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        evaluate.evaluate(run / "model.keras", "faces", tmp_path / "report", **options)


@pytest.mark.slow
def test_a_video_with_two_faces_is_one_row_that_names_the_highest_scoring_one(
    run, sample_faces, tmp_path
):
    names = ["person_000.mp4", "person_001.mp4", "person_002.mp4"]

    def add_faces(metadata):
        for name in names:
            shutil.copytree(sample_faces / "person_000.mp4", tmp_path / "faces" / f"{name}#1")
            metadata[f"{name}#1"] = metadata[name] | {"video": name}

    faces = changed_copy(sample_faces, tmp_path / "faces", add_faces)
    assert evaluated(run, faces, tmp_path / "report", "--split", "all") == 0
    rows = predictions(tmp_path / "report")
    assert len(rows) == 16
    assert all(row["face"].removesuffix("#1") == row["filename"] for row in rows)
    scores = {row["filename"]: float(row["score"]) for row in rows}
    # The further face of each is that of this person, so none of them scores lower.
    assert min(scores[name] for name in names) >= scores["person_000.mp4"] - 1e-5


def test_faces_made_with_other_settings_are_refused_with_both_values(
    run, sample_faces, tmp_path, capsys
):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    settings = json.loads((faces / "settings.json").read_text()) | {"margin_ratio": 0.1}
    (faces / "settings.json").write_text(json.dumps(settings))
    assert evaluated(run, faces, tmp_path / "report") == 2
    assert "--margin 0.1 (the model expects: 0.3)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run / "model.keras").unlink(),
        lambda run: (run / "model.keras").write_bytes(b"junk"),
        lambda run: (run / "settings.json").unlink(),
        lambda run: (run / "settings.json").write_text("[]"),
        lambda run: (run / "split.json").unlink(),
        lambda run: (run / "split.json").write_text("[]"),
    ],
)
def test_a_damaged_run_folder_is_one_sentence(run, sample_faces, tmp_path, capsys, damage):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    damage(copy)
    assert evaluated(copy, sample_faces, tmp_path / "report") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_a_model_can_be_calibrated_on_the_videos_of_its_user(run, sample_faces, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = json.loads((copy / "settings.json").read_text())
    assert evaluated(copy, sample_faces, tmp_path / "report", "--split", "all", "--calibrate") == 0
    printed = capsys.readouterr().out
    assert "not calibrated on 10 of 16 videos, which the model was trained on" in printed
    assert "calibrated on 6 videos" in printed
    after = json.loads((copy / "settings.json").read_text())
    assert len(after["calibration"]["real_scores"]) == len(after["calibration"]["fake_scores"]) == 3
    assert {name for name in after if after[name] != before.get(name)} <= {
        *("calibration", "operating_point", "auc_by_method")
    }
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["fake_from"] == before["operating_point"]["fake_from"]  # the earlier one


def test_a_model_is_not_calibrated_on_videos_that_it_was_trained_on(
    run, sample_faces, tmp_path, capsys
):
    """Nor if these have another name by now."""

    def rename(metadata):
        trained = json.loads((run / "split.json").read_text())["train"]
        for number, name in enumerate(trained):
            (tmp_path / "faces" / name).rename(tmp_path / "faces" / f"renamed_{number}.mp4")
            metadata[f"renamed_{number}.mp4"] = metadata.pop(name)
        for name in set(metadata) - {f"renamed_{number}.mp4" for number in range(len(trained))}:
            del metadata[name]

    faces = changed_copy(sample_faces, tmp_path / "faces", rename)
    options = ("--split", "all", "--calibrate")
    assert evaluated(run, faces, tmp_path / "report", *options) == 2
    assert "trained on all of these 10 videos" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_nobody_seen_in_training_is_scored_and_nothing_the_split_left_out(tmp_path, capsys):
    faces = [
        face("left_out.mp4", people=["Dan"]),
        face("of_an_original.mp4", 1, source_group="trained.mp4"),
        face("same_person.mp4", people=["Bob", "Eve"]),
        face("same_person_elsewhere.mp4", people=["Flo"]),
        face("stranger.mp4", people=["Eve"]),
        face("trained.mp4", people=["Ann"]),
        face("trained.mp4#1", people=["Ann"], video="trained.mp4"),
        face("validated.mp4", people=["Bob"]),
    ]
    split = {"train": "trained", "validation": "validated", "left_out": "left_out"}
    saved = {
        # As it was called in training.
        name: {
            f"old_{stem}.mp4": {
                "label": 0,
                "content": f"content of {stem}.mp4",
                "people": ["Flo"] if stem == "trained" else [],
            }
        }
        for name, stem in split.items()
    }
    (tmp_path / "split.json").write_text(json.dumps({"test": {}, **saved}))
    chosen = evaluate.choose_split(faces, tmp_path / "model.keras", "unseen")
    assert [video.name for video in chosen] == ["stranger.mp4"]
    assert "6 of 7 videos left out" in capsys.readouterr().out
    with pytest.raises(UserError, match="none of 1 video is unseen"):
        evaluate.choose_split(faces[:1], tmp_path / "model.keras", "unseen")


def test_the_shipped_model_has_seen_none_of_the_videos_of_a_user(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate.trained_model, "PRETRAINED", tmp_path)
    faces = [face("a.mp4"), face("b.mp4", 1)]
    assert evaluate.choose_split(faces, tmp_path / "model.keras", "unseen") == faces
    assert "the card of the model says what it was trained on" in capsys.readouterr().out


@pytest.mark.slow
def test_names_of_another_folder_are_other_videos_and_one_content_has_one_label(
    sample_faces, tmp_path
):
    settings = {"faces": read_settings(sample_faces)}

    def others(metadata):
        for entry in metadata.values():
            entry["content"] += " of another video"

    def swapped(metadata):
        for entry in metadata.values():
            entry["label"] = {"REAL": "FAKE", "FAKE": "REAL"}[entry["label"]]

    strangers = changed_copy(sample_faces, tmp_path / "others", others)
    tracks = evaluate.list_tracks([sample_faces, strangers], settings)
    first, second = ({t.source_group for t in tracks if t.folder.startswith(str(folder))}
                     for folder in (sample_faces, strangers))  # fmt: skip
    assert first and second and first.isdisjoint(second)
    opposite = changed_copy(sample_faces, tmp_path / "opposite", swapped)
    with pytest.raises(UserError, match="are the same video, labelled real and fake"):
        evaluate.list_tracks([sample_faces, opposite], settings)


@pytest.mark.slow
def test_several_folders_are_one_table_with_a_row_each_and_one_for_all(
    run, sample_faces, tmp_path, capsys
):
    # Compressed again, for instance: the same names, other crops.
    shutil.copytree(sample_faces, tmp_path / "again")
    data = ("--data", str(sample_faces), str(tmp_path / "again"))
    command = ["--model", str(run / "model.keras"), *data, "--out", str(tmp_path / "report")]
    command += ["--split", "all", "--robustness", "--json-summary"]
    assert evaluate.main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["videos"] == 32
    assert result["intervals"]["originals"] == 8  # the same originals in both
    first, second = result["groups"]["data"]
    assert first["roc_auc"] == second["roc_auc"] == result["roc_auc"]
    clean, *altered = result["robustness"]
    assert clean["roc_auc"] == result["roc_auc"]
    assert clean["log_loss"] == pytest.approx(result["log_loss"], abs=1e-6)
    assert [row["name"] for row in altered] == list(ALTERATIONS)[1:]
    rows = predictions(tmp_path / "report")
    assert {row["data"] for row in rows} == {str(sample_faces), str(tmp_path / "again")}
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("image/jpeg") == 32
    assert page.count('<tr role="row">') == 1 + 32


def test_a_folder_named_twice_is_one_sentence(run, sample_faces, tmp_path, capsys):
    model, out = str(run / "model.keras"), str(tmp_path / "report")
    twice = [str(sample_faces), f"{sample_faces}/../{sample_faces.name}"]
    assert evaluate.main(["--model", model, "--data", *twice, "--out", out]) == 2
    assert "--data names a folder twice" in capsys.readouterr().err


@pytest.mark.slow
def test_names_that_are_formulas_or_markup_stay_text(run, sample_faces, tmp_path, capsys):
    name = '=HYPERLINK("x")<script>alert(1)<'  # a slash cannot be in a name

    def rename(metadata):
        (tmp_path / "faces" / "person_000.mp4").rename(tmp_path / "faces" / name)
        metadata[name] = metadata.pop("person_000.mp4")
        for entry in metadata.values():
            entry |= {"method": "[/red] <b>"} if entry["label"] == "FAKE" else {}

    faces = changed_copy(sample_faces, tmp_path / "faces", rename)
    assert evaluated(run, faces, tmp_path / "report", "--split", "all") == 0
    assert "[/red] <b>" in capsys.readouterr().out
    names = [row["filename"] for row in predictions(tmp_path / "report")]
    assert text_cell(name) == f"'{name}" in names
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "=HYPERLINK(&#34;x&#34;)&lt;script&gt;" in page
