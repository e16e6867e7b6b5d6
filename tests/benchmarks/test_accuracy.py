"""The accuracy benchmark: nobody on both sides of a fold, metrics of what can be compared."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import detectors, folds, mesonet, predecessor, sources
from benchmarks.accuracy import metrics as accuracy_metrics
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack
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


def videos_of(faces, extras=(), methods=None, named=None):
    """Return videos as list_videos does, of the methods and sources named."""
    entries = {
        one.video_key: {
            "method": (methods or {}).get(one.name),
            "source": (named or {}).get(one.name),
        }
        for one in [*faces, *extras]
    }
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
    without = folds.leave_method_out(videos, folds.deal(videos, 3, seed=0))
    assert [fold.name for fold in without] == [name for name in METHODS for _ in range(3)]
    assert len({fold.folder for fold in without}) == 6
    for fold in without:
        (other,) = set(METHODS) - {fold.name}
        assert {one.name.split("_")[0] for one in fold.test} == {fold.name, "real"}
        assert {one.name.split("_")[0] for one in fold.rest} == {other, "real"}


def of_source(name, count, folder="faces", people=()):
    """Return that many real videos of a source, and a fake of each."""
    faces = []
    for number in range(count):
        real = f"{name}_{number}.mp4"
        faces.append(face(real, people=people, folder=folder))
        faces.append(face(f"fake_{real}", 1, real, people, folder))
    return faces


def test_a_source_left_out_is_tested_and_neither_it_nor_its_people_are_trained_on():
    faces = [
        *of_source("UADFV", 3),
        *of_source("Celeb", 3),
        *of_source("SimSwap", 1, people=["in UADFV too"]),
        face("more of UADFV.mp4", people=["in UADFV too"]),
    ]
    extras = [face("photograph.jpg", folder="more"), face("UADFV photo.jpg", folder="more")]
    named = {
        one.name: next(n for n in ("UADFV", "Celeb", "SimSwap") if n in one.name)
        for one in [*faces, extras[1]]
    }
    dealt = folds.leave_source_out(videos_of(faces, extras, named=named))
    assert [fold.name for fold in dealt] == ["Celeb", "UADFV", folds.OTHERS]
    trained = {fold.name: {named.get(one.name, "photo") for one in fold.rest} for fold in dealt}
    assert trained == {
        "Celeb": {"UADFV", "SimSwap", "photo"},
        "UADFV": {"Celeb", "photo"},  # SimSwap shows one of its people
        folds.OTHERS: {"UADFV", "Celeb", "photo"},
    }
    assert {fold.name: fold.left_out for fold in dealt} == {"Celeb": 0, "UADFV": 2, "others": 1}
    assert {one.name for one in dealt[2].test} == {"SimSwap_0.mp4", "fake_SimSwap_0.mp4"}


def test_two_compressions_of_one_data_set_are_left_out_together():
    faces = [*of_source("c23", 3), *of_source("c40", 3), *of_source("other", 3)]
    named = {one.name: "FF++ c23" if "c23" in one.name else "FF++ c40" for one in faces[:12]}
    named |= {one.name: "other" for one in faces[12:]}
    dealt = folds.leave_source_out(videos_of(faces, named=named))
    assert {fold.name: len(fold.test) for fold in dealt} == {"FF++": 12, "other": 6}


def test_one_source_cannot_be_left_out(people):
    with pytest.raises(UserError, match="at least two sources"):
        folds.leave_source_out(videos_of(people[0]))


# Sources


def test_a_source_is_named_by_what_the_metadata_knows():
    entries = {
        "a.mp4": {"source": "Kept as it is"},
        "b.mp4": {"group": "cdf_13"},
        "b_fake.mp4": {"method": "Celeb-DF v2 improved autoencoder", "original": "b.mp4"},
        "c.mp4": {"group": "obama"},
        "c_fake.mp4": {"method": "FF++ Deepfakes c40", "original": "c.mp4"},
        "d.mp4": {"group": "ff_009"},
        "e.mp4": {"group": "dfdc_part6"},
        "f.mp4": {},
        "g.mp4": {"source": "overruled"},
    }
    found = sources.find_sources({("x", name): of for name, of in entries.items()}, {"g.mp4": "G"})
    assert list(found.values()) == [
        "Kept as it is",
        "Celeb-DF",
        "Celeb-DF",
        "FF++ c40",
        "FF++ c40",
        "FF++",
        "DFDC",
        None,
        "G",
    ]
    assert sources.dataset_of("FF++ c40") == "FF++"


def test_sources_can_be_listed_in_a_file(tmp_path):
    path = tmp_path / "sources.csv"
    path.write_text("video,source\na.mp4,UADFV\n")
    assert sources.read_sources(path) == {"a.mp4": "UADFV"}
    path.write_text("name\na.mp4\n")
    with pytest.raises(UserError, match="needs the columns"):
        sources.read_sources(path)


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
    videos = folds.list_videos([sample_faces], [same])
    assert (len(videos.faces), len(videos.extras)) == (16, 0)
    assert videos.unused == {"with a name of an earlier folder": 16, "fake": 0}
    # As if half of the people were in another folder.
    half = {f"person_{number:03d}" for number in range(4)}
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    mine = copy_of(sample_faces, tmp_path / "mine")
    kept = {name: entry for name, entry in metadata.items() if name[:10] in half}
    (mine / "metadata.json").write_text(json.dumps(kept))
    videos = folds.list_videos([mine], [sample_faces])
    assert (len(videos.faces), len(videos.extras)) == (8, 4)
    assert videos.unused == {"with a name of an earlier folder": 8, "fake": 4}
    assert all(one.label == 0 for one in videos.extras)
    assert videos.about[str(sample_faces), "person_007.mp4"].extra


def test_videos_of_one_name_in_two_folders_are_both_tested_in_the_same_fold(sample_faces, tmp_path):
    def other_people(name, entry):
        return entry | {"people": [f"other {name[:10]}"]}

    again = copy_of(sample_faces, tmp_path / "again", other_people)
    videos = folds.list_videos([sample_faces, again])
    assert len(videos.faces) == len(videos.about) == 32
    for fold in folds.deal(videos, 3, seed=0):
        assert keys_of(fold.test).isdisjoint(keys_of(fold.rest))
        folders = [Path(one.folder).parent for one in fold.test]
        assert folders.count(again) == folders.count(sample_faces)
    with pytest.raises(UserError, match="a folder twice"):
        folds.list_videos([sample_faces, sample_faces])


def test_a_source_group_reaches_over_folders(sample_faces, tmp_path):
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    mine = copy_of(sample_faces, tmp_path / "mine")
    del metadata["person_003.mp4"]
    (mine / "metadata.json").write_text(json.dumps(metadata))
    videos = folds.list_videos([mine], [sample_faces])
    assert [one.name for one in videos.extras] == ["person_003.mp4"]
    for fold in folds.deal(videos, 3, seed=0):
        tests_fake = any(one.name.startswith("person_003") for one in fold.test)
        assert fold.left_out == int(tests_fake)


def test_extra_faces_of_other_settings_are_refused(sample_faces, tmp_path):
    other = copy_of(sample_faces, tmp_path / "other")
    settings = json.loads((other / "settings.json").read_text())
    (other / "settings.json").write_text(json.dumps(settings | {"margin_ratio": 0.5}))
    with pytest.raises(UserError, match="--margin 0.5"):
        folds.list_videos([sample_faces], [other])


# Metrics


def about_of(name, source=None, method="Deepfakes"):
    """Return what is known of a real_... or other, fake video; the group is the last letter."""
    fake = not name.startswith("real")
    return folds.About("faces", name, int(fake), name[-1], method if fake else None, source, False)


def results_of(*scored, seeds=None, threshold=0.5, named=None):
    """Return fold scores, of `{name: score}` each, trained on nothing."""
    return [
        accuracy_metrics.FoldScores(
            (seeds or [0] * len(scored))[number],
            f"fold {number}",
            [about_of(name, (named or {}).get(name)) for name in scores],
            {"clean": np.array(list(scores.values()))},
            [],
            np.zeros(0),
            threshold,
            60.0,
        )
        for number, scores in enumerate(scored)
    ]


def test_folds_in_perfect_order_have_an_auc_of_one_whatever_their_scores():
    low = {"real_a": 0.01, "fake_b": 0.02, "fake_c": 0.03, "fake_d": 0.04}
    high = {"real_e": 0.91, "real_f": 0.92, "real_g": 0.93, "fake_h": 0.94}
    results = results_of(low, high)
    found = accuracy_metrics.of_detector(results)
    assert found["mean"]["roc_auc"] == found["methods"]["Deepfakes"]["roc_auc"] == 1
    assert found["pooled"]["roc_auc"] == (1 + 1 + 1 + 4) / 16
    assert (found["pooled"]["real"], found["pooled"]["fake"]) == (4, 4)
    assert found["pooled"]["false_positive_rate"] == 3 / 4
    assert found["pooled"]["true_positive_rate"] == 1 / 4


def test_seeds_are_averaged_and_counted_once():
    right, wrong = {"real_a": 0.1, "fake_b": 0.9}, {"real_a": 0.9, "fake_b": 0.1}
    found = accuracy_metrics.of_detector(results_of(right, wrong, seeds=[0, 1]))
    assert found["pooled"]["by_seed"] == [1, 0]
    assert found["pooled"]["roc_auc"] == 0.5
    assert (found["pooled"]["real"], found["pooled"]["fake"]) == (1, 1)


def test_scores_that_are_no_probabilities_have_no_log_loss():
    found = accuracy_metrics.of_detector(results_of({"real_a": -3, "fake_b": 7}, threshold=None))
    assert found["pooled"]["log_loss"] is found["pooled"]["false_positive_rate"] is None
    assert found["pooled"]["roc_auc"] == 1


def test_an_interval_needs_people_and_holds_the_auc():
    few = {"real_a": 0.1, "fake_a": 0.9}
    assert accuracy_metrics.of_detector(results_of(few))["pooled"]["interval"] is None
    rng = np.random.default_rng(0)
    many = {
        f"{label}_{letter}": rng.normal(shift)
        for label, shift in (("real", 0), ("fake", 1))
        for letter in "abcdefghijklmnopqrst"
    }
    pooled = accuracy_metrics.of_detector(results_of(many))["pooled"]
    low, high = pooled["interval"]
    assert 0.5 < low < pooled["roc_auc"] < high <= 1
    # A seed with the same scores adds no certainty.
    twice = accuracy_metrics.of_detector(results_of(many, many, seeds=[0, 1]))["pooled"]
    assert twice["interval"] == pooled["interval"]


def test_a_score_that_predicts_the_source_is_found_out():
    scores = {f"real_{letter}": number for number, letter in enumerate("abcdef")}
    named = {name: "YouTube" if name < "real_d" else "studio" for name in scores}
    found = accuracy_metrics.predicts(results_of(scores, named=named))
    assert found == {"real, YouTube": 0.0, "real, studio": 1.0}


def test_the_blur_baseline_rises_with_blur(head_frames):
    crops = head_frames[:3]
    blurred = np.stack([cv2.GaussianBlur(crop, (0, 0), 2) for crop in crops])
    assert detectors.blur_of(blurred) > detectors.blur_of(crops)


def test_the_source_alone_scores_by_the_share_of_its_fakes_in_training():
    faces = [face("a.mp4"), face("b.mp4", 1), face("c.mp4", 1), face("d.mp4")]
    named = {"a.mp4": "x", "b.mp4": "x", "c.mp4": "y"}
    about = videos_of(faces, named=named).about
    prepared = detectors.prepare_source(folds.Fold("fold 1", "1", [], faces[:3], 0), about)
    assert prepared.score(faces, ["clean"])["clean"] == pytest.approx([0.5, 0.5, 1, 2 / 3])


def test_photographs_are_trained_on_and_not_validated_on(people):
    faces, _ = people
    photographs = [
        replace(face(f"{number}.jpg", people=[f"group {number}"]), num_frames=1)
        for number in range(20)  # the first six people are in the videos, too
    ]
    splits = detectors.split_videos([*faces, *photographs], 0.3, seed=0)
    assert splits["validation"]
    assert all(one.num_frames > 1 for one in splits["validation"])
    assert keys_of(splits["train"]).isdisjoint(keys_of(splits["validation"]))
    assert 14 <= sum(one.num_frames == 1 for one in splits["train"]) < 20


@pytest.mark.parametrize("name", ["Meso4_DF", "MesoInception_F2F"])
def test_mesonet_takes_its_weights_in_the_order_they_were_made_in(name, tmp_path, head_frames):
    network = mesonet.mesoinception4() if "Inception" in name else mesonet.meso4()
    path = tmp_path / f"{name}.h5"
    write_keras_2_weights(network, path)
    score = mesonet.load(path)
    frames = np.stack([mesonet.prepare(crop) for crop in head_frames[:2]])
    assert frames.shape == (2, 256, 256, 3)
    assert 0 <= frames.min() < frames.max() <= 1.1  # cubic interpolation overshoots
    assert score(head_frames[:2]) == pytest.approx(1 - network.predict_on_batch(frames)[:, 0])


def write_keras_2_weights(network, path):
    """Write weights as Keras 2 did: a group for each layer, numbered from 1 on by kind."""
    with h5py.File(path, "w") as file:
        for layer in network.layers:
            kind, number = mesonet.order_made(layer.name)
            group = file.create_group(f"{kind}_{number + 1}")
            names = [f"{group.name}/{index}" for index in range(len(layer.weights))]
            for weight_name, weight in zip(names, layer.get_weights(), strict=True):
                file[weight_name] = weight
            group.attrs["weight_names"] = names


def test_other_weights_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "Meso4_DF.h5"
    write_keras_2_weights(mesonet.mesoinception4(), path)
    with pytest.raises(UserError, match="does not hold the weights of MesoNet"):
        mesonet.load(path)


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
    for shown in ("files:", "folds: ours", "mean of the folds", "half resolution"):
        assert shown in text
    for shown in ("method: Face2Face", "predicts fake, even", "| AUC | ours | source | blur |"):
        assert shown in text
    assert "mean of the folds" in (out / accuracy.TABLES_NAME).read_text()
    result = json.loads((out / accuracy.RESULT_NAME).read_text())["experiments"]["folds"]
    assert set(result) == {"ours", "blur", "source"}
    scored = [row for row in result["ours"]["videos"] if row["split"] == "test"]
    assert len(scored) == 16
    assert set(scored[0]["scores"]) == set(accuracy.ALTERATIONS)

    assert accuracy.main([*words, *recipe]) == 0
    assert capsys.readouterr().out.count("holds this run already") == 2
    again = json.loads((out / accuracy.RESULT_NAME).read_text())["experiments"]["folds"]
    assert again == result


@pytest.mark.slow
def test_a_source_is_left_out_and_a_trained_model_is_in_the_same_tables(
    named_faces, run, tmp_path, capsys
):
    out = tmp_path / "runs"
    words = ["--data", str(named_faces), "--experiment", "leave-source-out", "--out", str(out)]
    recipe = ["--", *TINY, "--validation-share", "0.3", "--architecture", "baseline"]
    only = ["--only", "ours", "source", "blur", "model", "--as", "tiny", "--model", str(run)]
    assert accuracy.main([*words, *only, *recipe]) == 0
    text = capsys.readouterr().out
    assert "no such baseline" in text
    assert "| AUC | tiny | blur | model |" in text
    found = json.loads((out / accuracy.RESULT_NAME).read_text())["experiments"]["leave-source-out"]
    assert list(found["tiny"]["folds"]) == ["even", "odd"]
    assert found["tiny"]["pooled"]["real"] == 8
    # Only the videos that its training has not seen.
    assert 0 < found["model"]["pooled"]["real"] < 8
    assert (out / "leave-source-out" / "tiny" / "seed-0" / "even" / "model.keras").exists()


def test_a_fold_of_too_few_people_is_skipped(named_faces, tmp_path, capsys):
    metadata = json.loads((named_faces / "metadata.json").read_text())
    two_people = {
        name: entry
        for name, entry in metadata.items()
        if name.startswith(("person_000", "person_001"))
    }
    few = copy_of(named_faces, tmp_path / "few")
    (few / "metadata.json").write_text(json.dumps(two_people))
    words = ["--data", str(few), "--folds", "2", "--out", str(tmp_path / "runs")]
    # leave-method-out as a detector: the former way to ask for the experiment
    assert accuracy.main([*words, "--only", "leave-method-out"]) == 0
    assert "skipped: Deepfakes" in capsys.readouterr().out


@pytest.mark.slow
def test_the_predecessor_is_trained_once_and_not_taken_for_another_recipe(named_faces, tmp_path):
    fold = folds.deal(folds.list_videos([named_faces]), 2, seed=0)[0]
    recipe = predecessor.Recipe(num_frames=2, img_size=16, epochs=1)
    first = predecessor.prepare(fold, tmp_path / "run", {}, recipe)
    assert first.trained_on == fold.rest
    again = predecessor.prepare(fold, tmp_path / "run", {}, recipe)
    assert again.seconds == first.seconds
    scores = [prepared.score(fold.test, ["clean"])["clean"] for prepared in (first, again)]
    assert scores[0] == pytest.approx(scores[1])
    with pytest.raises(UserError, match="differs in training"):
        longer = predecessor.Recipe(num_frames=2, img_size=16, epochs=2)
        predecessor.prepare(fold, tmp_path / "run", {}, longer)


def test_too_many_folds_end_with_exit_code_two(named_faces, tmp_path, capsys):
    words = ["--data", str(named_faces), "--folds", "9", "--out", str(tmp_path / "runs")]
    assert accuracy.main(words) == 2
    assert "cannot be split into 9 folds" in capsys.readouterr().err
