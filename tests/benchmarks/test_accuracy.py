"""The accuracy benchmark: nobody on both sides of a fold, metrics of what can be compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import detectors, folds, sources
from benchmarks.accuracy import metrics as accuracy_metrics
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from tests.conftest import TINY


def face(name, label=0, original=None, people=(), folder="faces", source="", num_frames=10):
    path, group = f"{folder}/{name}", original or name
    track = FaceTrack(name, path, label, num_frames, 3, name, group, people=tuple(people))
    return replace(track, collection=source)


def of_source(name, count=3, people=(), source=None):
    """Return that many real videos of a source, and a fake of each."""
    names = [f"{name}_{number}.mp4" for number in range(count)]
    common = {"people": people, "source": source or name}
    real = [face(one, **common) for one in names]
    return real + [face(f"fake_{one}", 1, one, **common) for one in names]


def videos_of(tracks, extras=()):
    """Return videos as list_videos does."""
    entries = {track.video_key: {"source": track.collection} for track in [*tracks, *extras]}
    return folds.Videos(list(tracks), list(extras), folds.describe_videos(tracks, extras, entries))


@pytest.fixture
def people():
    """Six groups, of one to three originals with two fakes of each."""
    tracks = []
    for group in range(6):
        for original in range(1 + group % 3):
            name = f"real_{group}_{original}.mp4"
            tracks.append(face(name, people=[f"group {group}"]))
            for fake in (f"fake_{name}", f"another_{name}"):
                tracks.append(face(fake, 1, name, [f"group {group}"]))
    return tracks


def keys_of(tracks):
    return set().union(*(track.group_keys for track in tracks))


@pytest.mark.parametrize("seed", range(3))
def test_no_person_is_on_both_sides_of_a_fold_and_every_video_is_tested_once(people, seed):
    dealt = folds.deal(videos_of(people), 3, seed)
    for fold in dealt:
        assert keys_of(fold.test).isdisjoint(keys_of(fold.rest))
        assert {track.label for track in fold.test} == {0, 1}
        assert len(fold.test) + len(fold.rest) == len(people)
    tested = sorted(track.name for fold in dealt for track in fold.test)
    assert tested == sorted(track.name for track in people)
    with pytest.raises(UserError, match="give another --folds"):
        folds.deal(videos_of(people), 7, seed)


def test_extra_videos_of_people_of_the_test_are_left_out(people):
    extras = [
        face("again.mp4", people=["group 0"], folder="more"),
        # Known to be of group 0 only over the first one.
        face("friend.mp4", people=["friend"], folder="more"),
        face("together.mp4", people=["group 0", "friend"], folder="more"),
        face("stranger.mp4", people=["stranger"], folder="more"),
    ]
    for fold in folds.deal(videos_of(people, extras), 3, seed=0):
        tests_group = "person/group 0" in keys_of(fold.test)
        trained = {track.name for track in fold.rest if track.folder.startswith("more")}
        assert trained == ({"stranger.mp4"} if tests_group else {one.name for one in extras})
        assert fold.left_out == (3 if tests_group else 0)


def test_a_source_left_out_is_tested_and_neither_it_nor_its_people_are_trained_on():
    tracks = [
        *of_source("UADFV"),
        *of_source("Celeb c23", source="Celeb c23"),
        *of_source("Celeb c40", source="Celeb c40"),
        *of_source("SimSwap", 1, people=["in UADFV too"]),
        face("more of UADFV.mp4", people=["in UADFV too"], source="UADFV"),
    ]
    extras = [face("photograph.jpg"), face("UADFV photo.jpg", source="UADFV")]
    dealt = folds.leave_source_out(videos_of(tracks, extras))
    assert [fold.name for fold in dealt] == ["Celeb", "UADFV", folds.OTHERS]
    trained = {fold.name: {track.collection for track in fold.rest} for fold in dealt}
    assert trained == {
        "Celeb": {"UADFV", "SimSwap", ""},
        "UADFV": {"Celeb c23", "Celeb c40", ""},  # SimSwap shows one of its people
        folds.OTHERS: {"UADFV", "Celeb c23", "Celeb c40", ""},
    }
    assert {fold.name: fold.left_out for fold in dealt} == {"Celeb": 0, "UADFV": 2, "others": 1}
    with pytest.raises(UserError, match="at least two sources"):
        folds.leave_source_out(videos_of(of_source("one")))


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
    }
    found = sources.find_sources({("x", name): entry for name, entry in entries.items()})
    names = ["Kept as it is", "Celeb-DF", "Celeb-DF", "FF++ c40", "FF++ c40", "FF++", "DFDC", None]
    assert list(found.values()) == names


def copy_of(faces: Path, folder: Path, change=lambda name, entry: entry) -> Path:
    """Return a copy of a folder of faces, its metadata changed."""
    shutil.copytree(faces, folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    changed = {name: change(name, entry) for name, entry in metadata.items()}
    (folder / "metadata.json").write_text(json.dumps(changed))
    return folder


def test_folders_are_joined_by_name_and_extra_ones_give_new_real_videos_only(
    sample_faces, tmp_path
):
    again = copy_of(
        sample_faces, tmp_path / "again", lambda name, entry: entry | {"people": [name]}
    )
    assert folds.list_videos([sample_faces], [again]).extras == []
    videos = folds.list_videos([sample_faces, again])
    assert len(videos.tracks) == len(videos.about) == 32
    for fold in folds.deal(videos, 3, seed=0):
        assert keys_of(fold.test).isdisjoint(keys_of(fold.rest))
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    half = {name: entry for name, entry in metadata.items() if name < "person_004"}
    (again / "metadata.json").write_text(json.dumps(half))
    videos = folds.list_videos([again], [sample_faces])
    assert (len(videos.tracks), len(videos.extras)) == (8, 4)
    assert all(track.label == 0 for track in videos.extras)
    with pytest.raises(UserError, match="a folder twice"):
        folds.list_videos([again, again])


def results_of(*scored, seeds=None, threshold=0.5):
    """Return fold scores, of `{name: score}` each. The group is the last letter of a name, and what
    stands before a slash is the source."""

    def about_of(name):
        source, _, of_source = name.rpartition("/")
        fake = not of_source.startswith("real")
        method, family = ("Deepfakes", "swap") if fake else (None, "real")
        group = name[-1]
        return folds.About(
            "faces", name, int(fake), group, method, family, source or None, extra=False
        )

    return [
        accuracy_metrics.FoldScores(
            (seeds or [0] * len(scored))[number],
            f"fold {number}",
            [about_of(name) for name in scores],
            {"clean": np.array(list(scores.values()))},
            threshold,
        )
        for number, scores in enumerate(scored)
    ]


def test_folds_in_perfect_order_have_an_auc_of_one_whatever_their_scores():
    low = {"real_a": 0.01, "fake_b": 0.02, "fake_c": 0.03, "fake_d": 0.04}
    high = {"real_e": 0.91, "real_f": 0.92, "real_g": 0.93, "fake_h": 0.94}
    found = accuracy_metrics.of_detector(results_of(low, high))
    assert found["mean"]["roc_auc"] == found["methods"]["Deepfakes"]["roc_auc"] == 1
    assert found["pooled"]["roc_auc"] == (1 + 1 + 1 + 4) / 16
    assert (found["pooled"]["real"], found["pooled"]["fake"]) == (4, 4)
    assert found["pooled"]["false_positive_rate"] == 3 / 4
    assert found["pooled"]["true_positive_rate"] == 1 / 4


def test_a_detector_that_knows_sources_and_no_forgeries_is_right_by_chance_within_a_source():
    of_fakes = {"lab/real_a": 0.8, "lab/fake_b": 0.8, "lab/fake_c": 0.8}
    of_real_videos = {"news/real_d": 0.2, "news/real_e": 0.2, "news/fake_f": 0.2}
    found = accuracy_metrics.of_detector(results_of(of_fakes | of_real_videos | {"real_g": 0.1}))
    assert found["within"]["roc_auc"] == 0.5
    assert found["pooled"]["roc_auc"] > 0.7
    assert found["families"].keys() == {"swap"}
    assert (found["families"]["swap"]["real"], found["families"]["swap"]["fake"]) == (4, 3)
    assert accuracy_metrics.of_detector(results_of({"real_a": 0}))["within"]["roc_auc"] is None


def test_seeds_are_averaged_and_scores_that_are_no_probabilities_have_no_log_loss():
    right, wrong = {"real_a": 0.1, "fake_b": 0.9}, {"real_a": 0.9, "fake_b": 0.1}
    results = results_of(right, wrong, seeds=[0, 1], threshold=None)
    pooled = accuracy_metrics.of_detector(results)["pooled"]
    assert (pooled["by_seed"], pooled["roc_auc"]) == ([1, 0], 0.5)
    assert (pooled["real"], pooled["fake"]) == (1, 1)
    assert pooled["log_loss"] is pooled["false_positive_rate"] is None


def test_a_fold_is_trained_as_a_folder_of_faces_and_photographs_are_not_validated_on(
    sample_faces, tmp_path
):
    tracks = folds.list_videos([sample_faces]).tracks
    photographs = [
        replace(track, name=f"photo {n}", video=f"photo {n}", num_frames=1, source_group=f"{n}")
        for n, track in enumerate(track for track in tracks if not track.label)
    ]
    splits = detectors.split_videos([*tracks, *photographs], 0.3, seed=0)
    found = list_faces(detectors.write_faces(splits, tmp_path / "faces"))
    by_split = {of: [t for t in found if t.split == of] for of in ("train", "validation")}
    assert keys_of(by_split["train"]).isdisjoint(keys_of(by_split["validation"]))
    assert {t.label for t in by_split["validation"]} == {0, 1}
    assert not any("photo" in track.name for track in by_split["validation"])
    assert sum("photo" in track.name for track in by_split["train"]) == len(photographs)
    assert sum(track.label for track in found) == sum(track.label for track in tracks)
    assert all(cv2.imread(track.crop_path(0)) is not None for track in found)


@pytest.mark.thorough
def test_a_tiny_run_prints_all_tables_and_resumes(sample_faces, run, tmp_path, capsys):
    def named(name, entry):
        even = int(name[7:10]) % 2 == 0
        fake = {"method": ("Deepfakes", "Face2Face")[even]} if entry["label"] == "FAKE" else {}
        return entry | fake | {"source": "even" if even else "odd"}

    faces, out = copy_of(sample_faces, tmp_path / "faces", named), tmp_path / "runs"
    words = ["--data", str(faces), "--experiment", "leave-source-out", "--out", str(out)]
    words += ["--validation-share", "0.3", "--as", "tiny"]
    only = ["--only", "ours", "blur", "model", "--model", str(run)]
    assert accuracy.main([*words, *only, "--", *TINY]) == 0
    text = capsys.readouterr().out
    for shown in ("mean of the folds", "half resolution", "method: Face2Face"):
        assert shown in text
    assert "| AUC | tiny | blur | model |" in (out / accuracy.TABLES_NAME).read_text()
    found = json.loads((out / accuracy.RESULT_NAME).read_text())["experiments"]["leave-source-out"]
    assert list(found["tiny"]["folds"]) == ["even", "odd"]
    assert found["tiny"]["pooled"]["real"] == 8
    # Only the videos that its training has not seen.
    assert 0 < found["model"]["pooled"]["real"] < 8
    assert set(found["tiny"]["videos"][0]["scores"]) == {"clean", *detectors.ALTERED}
    model = out / "leave-source-out" / "tiny" / "seed-0" / "even" / "run" / "model.keras"
    made = model.stat().st_mtime_ns
    assert accuracy.main([*words, "--only", "ours", "--", *TINY]) == 0
    assert model.stat().st_mtime_ns == made
    assert accuracy.main([*words, "--only", "ours", "--", *TINY, "--batch-size", "999"]) == 0
    assert "skipped: even" in capsys.readouterr().out
