"""The accuracy benchmark: nobody on both sides of a fold, metrics of what can be compared."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import baselines, folds
from benchmarks.accuracy import metrics as accuracy_metrics
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring import metrics
from tests.conftest import TINY

METHODS = ("Deepfakes", "Face2Face")


def face(name, label=0, original=None, people=(), folder="faces"):
    return FaceTrack(
        name,
        f"{folder}/{name}",
        label,
        num_frames=10,
        digits=3,
        video=name,
        source_group=original or name,
        people=tuple(people),
    )


def videos_of(faces, extras=(), methods=None):
    """Return videos as list_videos does, their fakes of the methods named."""
    entries = {one.name: {"method": (methods or {}).get(one.name)} for one in [*faces, *extras]}
    about = folds.describe(faces, extras, entries)
    return folds.Videos(list(faces), list(extras), about, {}, {})


@pytest.fixture
def people():
    """Six groups, of one to three originals with a fake of each of two methods."""
    faces, methods = [], {}
    for group in range(6):
        for original in range(1 + group % 3):
            name = f"real_{group}_{original}.mp4"
            faces.append(face(name, people=[f"group {group}"]))
            for method in METHODS:
                fake = f"{method}_{group}_{original}.mp4"
                faces.append(face(fake, 1, name, [f"group {group}"]))
                methods[fake] = method
    return faces, methods


def keys_of(faces):
    return set().union(*(one.group_keys for one in faces))


# Folds


@pytest.mark.parametrize("seed", range(5))
def test_no_person_is_on_both_sides_of_a_fold_and_every_video_is_tested_once(people, seed):
    faces, _ = people
    dealt = folds.deal(videos_of(faces), 3, seed)
    for fold in dealt:
        assert keys_of(fold.test).isdisjoint(keys_of(fold.rest))
        assert {one.label for one in fold.test} == {0, 1}
        assert len(fold.test) + len(fold.rest) == len(faces)
    assert sorted(one.name for fold in dealt for one in fold.test) == sorted(
        one.name for one in faces
    )


def test_the_seed_chooses_the_folds(people):
    videos = videos_of(people[0])

    def first(seed):
        return sorted(one.name for one in folds.deal(videos, 3, seed)[0].test)

    assert first(1) == first(1)
    assert len({tuple(first(seed)) for seed in range(8)}) > 1


def test_extra_videos_of_people_of_the_test_are_left_out(people):
    extras = [
        face("again.mp4", people=["group 0"], folder="more"),
        # Known to be of group 0 only over the first one.
        face("friend.mp4", people=["friend"], folder="more"),
        face("together.mp4", people=["group 0", "friend"], folder="more"),
        face("stranger.mp4", people=["stranger"], folder="more"),
    ]
    for fold in folds.deal(videos_of(people[0], extras), 3, seed=0):
        tests_group = "person/group 0" in keys_of(fold.test)
        trained = {one.name for one in fold.rest if one.folder.startswith("more")}
        assert trained == ({"stranger.mp4"} if tests_group else {one.name for one in extras})
        assert fold.left_out == (3 if tests_group else 0)
        assert not any(one.folder.startswith("more") for one in fold.test)


def test_more_folds_than_groups_is_one_sentence(people):
    with pytest.raises(UserError, match="give --folds from 2 to 6"):
        folds.deal(videos_of(people[0]), 7, seed=0)


def test_a_method_left_out_is_tested_but_never_trained_on(people):
    videos = videos_of(*people[:1], methods=people[1])
    assert folds.all_methods(videos.about) == list(METHODS)
    fold = folds.without_method(folds.deal(videos, 3, 0)[0], "Deepfakes", videos.about)
    assert {one.name.split("_")[0] for one in fold.test} == {"Deepfakes", "real"}
    assert {one.name.split("_")[0] for one in fold.rest} == {"Face2Face", "real"}


def copy_of(faces: Path, folder: Path, change=lambda name, entry: entry) -> Path:
    """Return a folder of links to the same faces, its metadata changed."""
    folder.mkdir()
    metadata = json.loads((faces / "metadata.json").read_text())
    for name in metadata:
        (folder / name).symlink_to(faces / name)
    for name in ("settings.json", "manifest.csv"):
        (folder / name).write_bytes((faces / name).read_bytes())
    changed = {name: change(name, entry) for name, entry in metadata.items()}
    (folder / "metadata.json").write_text(json.dumps(changed))
    return folder


def test_extra_folders_give_real_videos_of_new_names_only(sample_faces, tmp_path):
    same = copy_of(sample_faces, tmp_path / "same")
    videos = folds.list_videos(sample_faces, [same])
    assert (len(videos.faces), len(videos.extras)) == (16, 0)
    assert videos.unused == {"with a name of an earlier folder": 16, "fake": 0}
    # As if half of the people were in another folder.
    half = {f"person_{number:03d}" for number in range(4)}
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    mine = copy_of(sample_faces, tmp_path / "mine")
    kept = {name: entry for name, entry in metadata.items() if name[:10] in half}
    (mine / "metadata.json").write_text(json.dumps(kept))
    videos = folds.list_videos(mine, [sample_faces])
    assert (len(videos.faces), len(videos.extras)) == (8, 4)
    assert videos.unused == {"with a name of an earlier folder": 8, "fake": 4}
    assert all(one.label == 0 for one in videos.extras)
    assert videos.about["person_007.mp4"].extra


def test_a_source_group_reaches_over_folders(sample_faces, tmp_path):
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    mine = copy_of(sample_faces, tmp_path / "mine")
    del metadata["person_003.mp4"]
    (mine / "metadata.json").write_text(json.dumps(metadata))
    videos = folds.list_videos(mine, [sample_faces])
    assert [one.name for one in videos.extras] == ["person_003.mp4"]
    for fold in folds.deal(videos, 3, seed=0):
        tests_fake = any(one.name.startswith("person_003") for one in fold.test)
        assert fold.left_out == int(tests_fake)


def test_extra_faces_of_other_settings_are_refused(sample_faces, tmp_path):
    other = copy_of(sample_faces, tmp_path / "other")
    settings = json.loads((other / "settings.json").read_text())
    (other / "settings.json").write_text(json.dumps(settings | {"margin_ratio": 0.5}))
    with pytest.raises(UserError, match="margin_ratio"):
        folds.list_videos(sample_faces, [other])


# Metrics


def results_of(*scored):
    """Return fold scores, of `{name: score}` each, trained on nothing."""
    return [
        accuracy_metrics.FoldScores(
            number, list(scores), {"clean": np.array(list(scores.values()))}, [], np.zeros(0), 60.0
        )
        for number, scores in enumerate(scored, start=1)
    ]


def about_of(*names, source=None):
    """Return what is known of real_... and other, fake videos."""
    return {
        name: folds.About(int(not name.startswith("real")), name, None, source, False)
        for name in names
    }


def test_folds_in_perfect_order_pool_to_one_whatever_their_scores_and_mix():
    low = {"real_a": 0.01, "fake_b": 0.02, "fake_c": 0.03, "fake_d": 0.04}
    high = {"real_e": 0.91, "real_f": 0.92, "real_g": 0.93, "fake_h": 0.94}
    about = about_of(*low, *high)
    pooled = accuracy_metrics.pool(results_of(low, high), about, "clean")
    assert metrics.roc_auc(pooled.labels, pooled.ranks) == 1
    assert metrics.roc_auc(pooled.labels, pooled.scores) < 0.6
    assert accuracy_metrics.balanced_ranks(pooled.labels, np.zeros(8)) == pytest.approx(0.5)


def test_pairs_of_two_folds_are_not_compared():
    marked, folds_of = np.array([1, 0, 1, 0]), np.array([1, 1, 2, 2])
    assert accuracy_metrics.pair_auc(marked, np.array([0.2, 0.1, 0.9, 0.8]), folds_of) == 1
    assert accuracy_metrics.pair_auc(marked, np.array([0.2, 0.1, 0.7, 0.8]), folds_of) == 0.5
    assert accuracy_metrics.pair_auc(marked, np.zeros(4), np.arange(4)) is None


def test_a_score_that_predicts_the_source_is_found_out():
    scores = {"real_a": 0.1, "real_b": 0.2, "real_c": 0.8, "real_d": 0.9}
    about = about_of("real_a", "real_b", source="YouTube")
    about |= about_of("real_c", "real_d", source="studio")
    pooled = accuracy_metrics.pool(results_of(scores), about, "clean")
    assert accuracy_metrics.by_source(pooled) == {"real": {"YouTube": 0.0}}


def test_the_blur_baseline_rises_with_blur(head_frames):
    crops = head_frames[:3]
    blurred = np.stack([cv2.GaussianBlur(crop, (0, 0), 2) for crop in crops])
    assert baselines.blur_of(blurred) > baselines.blur_of(crops)


def test_the_source_alone_scores_by_the_share_of_its_fakes_in_training():
    faces = [face("a.mp4"), face("b.mp4", 1), face("c.mp4", 1), face("d.mp4")]
    sources = {"a.mp4": "x", "b.mp4": "x", "c.mp4": "y", "d.mp4": None}
    about = {
        one.name: folds.About(one.label, one.name, None, sources[one.name], False) for one in faces
    }
    prepared = baselines.prepare_source(folds.Fold(1, [], faces[:3], 0), about)
    assert prepared.score(faces, ["clean"])["clean"] == pytest.approx([0.5, 0.5, 1, 2 / 3])


# The whole benchmark


@pytest.fixture(scope="module")
def named_faces(sample_faces, tmp_path_factory):
    """The sample faces with two methods and two sources."""

    def named(name, entry):
        even = int(name[7:10]) % 2 == 0
        fake = {"method": METHODS[even]} if entry["label"] == "FAKE" else {}
        return entry | fake | {"source": "even" if even else "odd"}

    return copy_of(sample_faces, tmp_path_factory.mktemp("named") / "faces", named)


@pytest.mark.slow
def test_a_tiny_run_prints_all_tables_and_resumes(named_faces, tmp_path, capsys):
    out = tmp_path / "runs"
    words = ["--data", str(named_faces), "--folds", "2", "--out", str(out), "--only", "ours"]
    recipe = [
        "--",
        *TINY,
        "--epochs",
        "1",
        "--validation-share",
        "0.3",
        "--architecture",
        "baseline",
    ]
    # control: the former name of blur
    assert accuracy.main([*words, "control", "source", *recipe]) == 0
    text = capsys.readouterr().out
    for shown in ("folds;", "files:", "ours", "blur", "fold AUC", "half resolution"):
        assert shown in text
    for shown in ("by method: Face2Face", "predicts source, fake: even", "comparison"):
        assert shown in text
    result = json.loads((out / accuracy.RESULT_NAME).read_text())
    assert set(result["detectors"]) == {"ours", "blur", "source"}
    scored = [row for row in result["detectors"]["ours"]["videos"] if row["split"] == "test"]
    assert len(scored) == 16
    assert set(scored[0]["scores"]) == set(accuracy.ALTERATIONS)

    assert accuracy.main([*words, *recipe]) == 0
    assert capsys.readouterr().out.count("holds this run already") == 2
    again = json.loads((out / accuracy.RESULT_NAME).read_text())
    assert again["detectors"]["ours"] == result["detectors"]["ours"]


def test_every_method_left_out_has_networks_of_its_own(named_faces):
    videos = folds.list_videos(named_faces)
    prepared = {}

    def prepare(fold, name):
        prepared[name] = {videos.about[face.video].method for face in fold.rest}
        return baselines.prepare_blur(fold)

    found = accuracy.leave_method_out(folds.deal(videos, 2, seed=0), videos.about, prepare)
    assert prepared == {
        f"without/{number}-{method}/fold-{fold}": {None, *METHODS} - {method}
        for number, method in enumerate(METHODS, start=1)
        for fold in (1, 2)
    }
    assert {method: set(of["methods"]) for method, of in found.items()} == {
        method: {method} for method in METHODS
    }


def test_a_fold_of_too_few_people_without_a_method_is_skipped(named_faces, tmp_path, capsys):
    metadata = json.loads((named_faces / "metadata.json").read_text())
    two_people = {
        name: entry
        for name, entry in metadata.items()
        if name.startswith(("person_000", "person_001"))
    }
    few = copy_of(named_faces, tmp_path / "few")
    (few / "metadata.json").write_text(json.dumps(two_people))
    words = ["--data", str(few), "--folds", "2", "--out", str(tmp_path / "runs")]
    assert accuracy.main([*words, "--only", "leave-method-out"]) == 0
    assert "skipped: fold" in capsys.readouterr().out


@pytest.mark.slow
def test_the_predecessor_is_trained_once_and_not_taken_for_another_recipe(named_faces, tmp_path):
    fold = folds.deal(folds.list_videos(named_faces), 2, seed=0)[0]
    recipe = baselines.BaselineRecipe(num_frames=2, img_size=16, epochs=1)
    first = baselines.prepare_baseline(fold, tmp_path / "run", {}, recipe)
    assert first.trained_on == fold.rest
    again = baselines.prepare_baseline(fold, tmp_path / "run", {}, recipe)
    assert again.seconds == first.seconds
    scores = [prepared.score(fold.test, ["clean"])["clean"] for prepared in (first, again)]
    assert scores[0] == pytest.approx(scores[1])
    with pytest.raises(UserError, match="differs in training"):
        longer = baselines.BaselineRecipe(num_frames=2, img_size=16, epochs=2)
        baselines.prepare_baseline(fold, tmp_path / "run", {}, longer)


def test_too_many_folds_end_with_exit_code_two(named_faces, tmp_path, capsys):
    words = ["--data", str(named_faces), "--folds", "9", "--out", str(tmp_path / "runs")]
    assert accuracy.main(words) == 2
    assert "cannot be split into 9 folds" in capsys.readouterr().err
