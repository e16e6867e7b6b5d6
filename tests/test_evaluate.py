"""The figures, against values worked out by hand, and the report."""

import csv
import json
import math
import shutil

import numpy as np
import pytest

import evaluate
import scoring
from data_pipeline import FaceVideo

# Five real and five fake videos; sorted by score: r r f r r | r f f f f at threshold 0.5.
LABELS = np.array([0, 0, 1, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.35, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9])


def test_auc_is_the_share_of_real_fake_pairs_in_the_right_order():
    # The fake at 0.3 loses against three real ones: 22 of 25 pairs are right.
    assert evaluate.video_metrics(LABELS, SCORES)["roc_auc"] == pytest.approx(22 / 25)


def test_accuracy_and_confusion_count_a_score_of_the_threshold_as_fake():
    figures = evaluate.video_metrics(LABELS, SCORES, threshold=0.6)
    assert figures["accuracy"] == pytest.approx(8 / 10)
    assert figures["real_called_real"] == 4
    assert figures["real_called_fake"] == 1
    assert figures["fake_called_real"] == 1
    assert figures["fake_called_fake"] == 4


def test_log_loss_is_the_mean_of_minus_log_of_the_right_probability():
    figures = evaluate.video_metrics(np.array([1, 0]), np.array([0.8, 0.4]))
    assert figures["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)


def test_a_certain_and_wrong_score_costs_much_but_not_infinitely():
    figures = evaluate.video_metrics(np.array([1, 0]), np.array([0.0, 0.0]))
    assert figures["log_loss"] == pytest.approx(-math.log(1e-7) / 2, rel=1e-3)


def test_average_precision_by_hand():
    # Ranked f f r f: precision 1, 1 and 3/4 at the three fakes.
    figures = evaluate.video_metrics(np.array([1, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    assert figures["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 0.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 1.0),
        (LABELS, SCORES, 0.2),  # at 0.6: one of five wrong on either side
        ([0, 1], [0.5, 0.5], 0.5),  # half-way along a straight line
    ],
)
def test_equal_error_rate_by_hand(labels, scores, expected):
    assert evaluate.equal_error_rate(np.array(labels), np.array(scores)) == pytest.approx(expected)


def test_one_class_only_gives_the_figures_that_exist(capsys):
    figures = evaluate.video_metrics(np.array([1, 1]), np.array([0.9, 0.4]))
    assert figures["roc_auc"] is figures["eer"] is figures["average_precision"] is None
    assert figures["accuracy"] == 0.5
    evaluate.print_figures(figures, [])
    assert "needs real and fake videos" in capsys.readouterr().out


def face(name, label=0, family=None, people=(), video=None):
    video = video or name
    return FaceVideo(name, name, label, 9, 3, video, family or video, people=tuple(people))


def evaluated(run, faces, out, *flags):
    model = str(run / "model.keras")
    return evaluate.main(["--model", model, "--data", str(faces), "--out", str(out), *flags])


def test_report_scores_every_unseen_video_once(run, sample_faces, tmp_path, capsys):
    assert evaluated(run, sample_faces, tmp_path / "report") == 0
    printed = capsys.readouterr().out
    assert "12 of 16 videos are left out: used in training" in printed
    figures = json.loads(printed.splitlines()[-1])
    assert figures == json.loads((tmp_path / "report" / "metrics.json").read_text())
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    test_names = json.loads((run / "split.json").read_text())["test"]
    assert [row["filename"] for row in rows] == sorted(test_names)
    assert list(rows[0]) == ["filename", "label", "score", "face"]
    assert all(row["face"] == row["filename"] for row in rows)
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert figures["videos"] == len(rows) == 4
    for name in ("roc", "confusion", "faces"):
        assert (tmp_path / "report" / "charts" / f"{name}.png").stat().st_size > 1000


def test_the_most_suspicious_face_decides_for_its_video():
    faces = [face("a.mp4"), face("a.mp4#1", video="a.mp4"), face("a.mp4#2", video="a.mp4")]
    faces += [face("b.mp4", 1), face("b.mp4#1", 1, video="b.mp4")]
    decisive = scoring.decisive_faces(faces, np.array([0.2, 0.7, 0.1, 0.4, 0.4]))
    assert [faces[index].name for index in decisive] == ["a.mp4#1", "b.mp4"]


def test_a_video_with_two_faces_is_one_row_that_names_the_decisive_one(run, sample_faces, tmp_path):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    metadata = json.loads((faces / "metadata.json").read_text())
    names = ["person_000.mp4", "person_001.mp4", "person_002.mp4"]
    for name in names:
        shutil.copytree(faces / "person_000.mp4", faces / f"{name}#1")
        metadata[f"{name}#1"] = metadata[name] | {"video": name}
    (faces / "metadata.json").write_text(json.dumps(metadata))
    assert evaluated(run, faces, tmp_path / "report", "--part", "all") == 0
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == [name for name in metadata if "#" not in name]
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["videos"] == 16
    assert all(row["face"].removesuffix("#1") == row["filename"] for row in rows)
    scores = {row["filename"]: float(row["score"]) for row in rows}
    # The further face of each is that of this person, so none of them scores lower.
    assert min(scores[name] for name in names) >= scores["person_000.mp4"] - 1e-5


def test_scores_do_not_depend_on_the_batch_size(run, sample_faces, tmp_path):
    reports = []
    for size in ("3", "16"):
        evaluated(run, sample_faces, tmp_path / size, "--part", "all", "--batch-size", size)
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
    assert "margin_ratio=0.1 (the model expects: 0.3)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda run: (run / "model.keras").unlink(), "does not exist; train a model"),
        (lambda run: (run / "model.keras").write_bytes(b"junk"), "cannot be opened as a Keras"),
        (lambda run: (run / "settings.json").unlink(), "must stay beside its model"),
        (lambda run: (run / "settings.json").write_text("[]"), "must stay beside its model"),
        (lambda run: (run / "split.json").unlink(), "--part all scores every video"),
        (lambda run: (run / "split.json").write_text("[]"), "--part all scores every video"),
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
    assert "batch_size is 0; it must be at least 1" in capsys.readouterr().err


def test_nobody_seen_in_training_is_scored_and_nothing_the_split_left_out(tmp_path, capsys):
    faces = [
        face("left_out.mp4", people=["Dan"]),
        face("of_an_original.mp4", 1, family="trained.mp4"),
        face("same_person.mp4", people=["Bob", "Eve"]),
        face("stranger.mp4", people=["Eve"]),
        face("trained.mp4", people=["Ann"]),
        face("trained.mp4#1", people=["Ann"], video="trained.mp4"),
        face("validated.mp4", people=["Bob"]),
    ]
    names = {"train": ["trained.mp4"], "validation": ["validated.mp4"], "test": []}
    names["left_out"] = ["left_out.mp4"]
    (tmp_path / "split.json").write_text(json.dumps(names))
    chosen = evaluate.choose_part(faces, tmp_path / "model.keras", "unseen")
    assert [video.name for video in chosen] == ["stranger.mp4"]
    assert "5 of 6 videos are left out" in capsys.readouterr().out


def test_nothing_unseen_is_one_sentence(run, sample_faces, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    names = json.loads((copy / "split.json").read_text())
    seen = {"train": [name for part in names.values() for name in part], "validation": []}
    (copy / "split.json").write_text(json.dumps(seen | {"test": []}))
    assert evaluated(copy, sample_faces, tmp_path / "report") == 2
    assert "none of 16 videos is in the part 'unseen'" in capsys.readouterr().err
