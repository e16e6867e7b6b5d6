"""Which faces there are and which split each is in: nothing leaks between training and test."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import list_videos

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset import splits as splits_module
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos, list_faces
from deepfake_detector.face_dataset.splits import (
    SPLITS,
    check_no_leak,
    split_tracks,
    what_is_known,
    without_official_splits,
)


def video(name, label=0, original=None, split="train", people=(), video=None):
    return FaceTrack(
        name,
        f"faces/{name}",
        label,
        num_frames=10,
        digits=3,
        video=video or name,
        source_group=original or name,
        split=split,
        people=tuple(people),
    )


def dfdc_part(num_originals=20, fakes_each=3):
    """Return videos as a part of DFDC has them: every original with a few fakes of it."""
    videos = []
    for i in range(num_originals):
        videos.append(video(f"real_{i}.mp4", 0, f"real_{i}.mp4"))
        videos += [video(f"fake_{i}_{k}.mp4", 1, f"real_{i}.mp4") for k in range(fakes_each)]
    return videos


# The folder of faces


def test_listed_faces_know_label_frames_and_group(sample_faces):
    faces = list_faces(sample_faces)
    assert len(faces) == 16
    assert [face.name for face in faces] == sorted(face.name for face in faces)
    fake = next(face for face in faces if face.label == 1)
    assert fake.name.startswith(fake.source_group.removesuffix(".mp4"))
    assert fake.num_frames == 10


@pytest.mark.parametrize("damage", ["folder gone", "no frames", "a frame missing"])
def test_a_damaged_folder_is_named_before_training_starts(sample_faces, tmp_path, damage):
    faces = tmp_path / "faces"
    shutil.copytree(sample_faces, faces)
    folder = faces / "person_000.mp4"
    if damage == "folder gone":
        shutil.rmtree(folder)
    else:
        for path in folder.glob("*.jpeg" if damage == "no frames" else "004.jpeg"):
            path.unlink()
    # Faces of which there is a folder are not made again.
    words = "is listed .* gone" if damage == "folder gone" else "not numbered .* delete this folder"
    with pytest.raises(UserError, match=f"person_000.mp4 .*{words}.* processing.py command again"):
        list_faces(faces)


def test_a_folder_without_faces_is_one_sentence(tmp_path):
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match="holds no faces; make faces .*processing.py"):
        list_faces(tmp_path)


# The split


def faces_of(folder: Path, metadata: dict) -> dict[str, FaceTrack]:
    for name, entry in metadata.items():
        (folder / name).mkdir()
        (folder / name / "000.jpeg").touch()
        entry.setdefault("label", "REAL")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return {face.name: face for face in list_faces(folder)}


def test_a_chain_of_originals_is_one_source_group_and_a_group_key_is_a_person(tmp_path):
    faces = faces_of(
        tmp_path,
        {
            "a.mp4": {"original": "b.mp4"},
            "b.mp4": {"original": "c.mp4"},
            "c.mp4": {},
            "d.mp4": {"group": "person 1"},
            "e.mp4": {"group": "person 1", "original": None},
            "f.mp4": {"original": "not in the folder.mp4", "people": ["Ann", "Bob"]},
            "g.mp4": {"original": "not in the folder.mp4"},
            "h.mp4": {},
        },
    )
    source_groups = {name: face.source_group for name, face in faces.items()}
    assert len({source_groups[name] for name in ("a.mp4", "b.mp4", "c.mp4")}) == 1
    assert source_groups["f.mp4"] == source_groups["g.mp4"]
    assert len(set(source_groups.values())) == 5
    assert faces["d.mp4"].people == faces["e.mp4"].people == ("group person 1",)
    assert faces["f.mp4"].people == ("Ann", "Bob")


def test_further_faces_belong_to_the_source_group_of_their_video(tmp_path):
    faces = faces_of(
        tmp_path,
        {
            "a.mp4": {},
            "a.mp4#1": {"video": "a.mp4"},
            "b.mp4": {"label": "FAKE", "original": "a.mp4"},
            "b.mp4#1": {"label": "FAKE", "original": "a.mp4", "video": "b.mp4"},
        },
    )
    assert {face.source_group for face in faces.values()} == {"a.mp4"}
    assert [face.video for face in faces.values()] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]
    assert count_videos(faces.values()) == 2


def test_split_keeps_originals_together_and_the_shares_about_right():
    videos = dfdc_part(num_originals=40)
    splits = split_tracks(videos, 0.15, 0.15, seed=0)
    homes = {}
    for split, members in splits.items():
        for member in members:
            assert homes.setdefault(member.source_group, split) == split
    assert sum(map(len, splits.values())) == len(videos)
    for split in ("validation", "test"):
        assert len(splits[split]) / len(videos) == pytest.approx(0.15, abs=0.06)
        assert np.mean([member.label for member in splits[split]]) == pytest.approx(0.75, abs=0.05)


def test_a_split_of_more_groups_than_are_bundled_is_as_balanced(monkeypatch):
    videos = dfdc_part(num_originals=200)
    monkeypatch.setattr(splits_module, "MOST_BUNDLES", 40)
    splits = split_tracks(videos, 0.15, 0.15, seed=0)  # checks that nothing leaks
    assert splits == split_tracks(videos, 0.15, 0.15, seed=0)
    assert sum(map(len, splits.values())) == len(videos)
    for split in ("validation", "test"):
        assert len(splits[split]) / len(videos) == pytest.approx(0.15, abs=0.03)
        assert np.mean([member.label for member in splits[split]]) == pytest.approx(0.75, abs=0.02)


def test_split_is_a_function_of_the_seed():
    videos = dfdc_part()
    assert split_tracks(videos, seed=5) == split_tracks(videos, seed=5)
    assert split_tracks(videos, seed=5) != split_tracks(videos, seed=6)


def test_official_splits_are_kept():
    videos = dfdc_part(10) + [video("held_out.mp4", 1, split="test"), video("r.mp4", split="test")]
    splits = split_tracks(videos, seed=0)
    assert [member.name for member in splits["test"]] == ["held_out.mp4", "r.mp4"]
    assert splits["validation"]


def test_official_splits_that_leak_are_refused_with_the_names():
    videos = [*dfdc_part(5), video("sly_fake.mp4", 1, "real_0.mp4", split="test")]
    with pytest.raises(
        UserError, match=r"of 1 original are on two sides.*real_0.mp4.*sly_fake.mp4"
    ):
        split_tracks(videos)


def test_too_few_originals_for_a_split_are_one_sentence():
    with pytest.raises(UserError, match="cannot choose a test split from 4 videos of 1 original:"):
        split_tracks(dfdc_part(num_originals=1))


def test_a_split_of_few_originals_is_larger_than_asked_rather_than_torn():
    splits = split_tracks(dfdc_part(num_originals=3), 0.15, 0, seed=0)
    assert [len(splits[split]) for split in ("train", "validation", "left_out")] == [8, 4, 0]


def test_a_share_of_zero_leaves_the_split_empty():
    assert split_tracks(dfdc_part(), 0.2, 0)["test"] == []


# People


def celeb_df(num_people=12, videos_each=3):
    """Return videos as Celeb-DF has them: of everybody, with everybody else's face on it, and of
    people without a number."""
    videos = [video(f"{i:05d}.mp4") for i in range(num_people)]
    for i in range(num_people):
        for k in range(videos_each):
            original = f"id{i}_{k:04d}.mp4"
            videos.append(video(original, people=[f"id{i}"]))
            videos += [
                video(f"id{i}_id{j}_{k:04d}.mp4", 1, original, people=[f"id{i}", f"id{j}"])
                for j in range(num_people)
                if j != i
            ]
    return videos


def test_a_few_large_groups_do_not_put_most_videos_into_validation():
    """Two people in a dozen videos each and four in two: 24 of 38 were validated on, 8 trained."""
    sizes = {"Ann": (2, 10), "Bob": (2, 10), "Cy": (3, 3), "Di": (1, 1)} | {
        name: (1, 1) for name in ("Ed", "Flo", "Gus")
    }
    videos = [
        video(f"{person}_{label}_{k}.mp4", label, people=[person])
        for person, counts in sizes.items()
        for label in (0, 1)
        for k in range(counts[label])
    ]
    splits = split_tracks(videos, seed=0)
    assert len(splits["train"]) > len(splits["validation"]) + len(splits["test"])


def with_official_test(videos, *names):
    """Return the videos; those whose name starts with one of `names` are official test videos."""
    return [replace(v, split="test" if v.name.startswith(names) else "train") for v in videos]


def people_of(videos):
    return {person for video in videos for person in video.people}


def test_people_who_were_swapped_in_pairs_stay_together():
    videos = []
    for one in range(0, 40, 2):
        for target, source in ((one, one + 1), (one + 1, one)):
            original = f"{target}.mp4"
            videos.append(video(original, people=[f"p{target}"]))
            videos.append(
                video(f"{target}_{source}.mp4", 1, original, people=[f"p{target}", f"p{source}"])
            )
    splits = split_tracks(videos, seed=0)
    assert splits.pop("left_out") == []
    for split, others in itertools.permutations(splits.values(), 2):
        assert split
        assert people_of(split).isdisjoint(people_of(others))


def test_people_are_chosen_where_everybody_was_swapped_with_everybody():
    videos = celeb_df()
    splits = split_tracks(videos, 0.2, 0.2, seed=0)
    assert splits == split_tracks(videos, 0.2, 0.2, seed=0)
    assert splits != split_tracks(videos, 0.2, 0.2, seed=1)
    left_out = splits.pop("left_out")
    for split, others in itertools.permutations(splits.values(), 2):
        assert {member.label for member in split} == {0, 1}
        assert people_of(split).isdisjoint(people_of(others))
    assert len(videos) == len(left_out) + sum(map(len, splits.values()))
    homes = {person: split for split, members in splits.items() for person in people_of(members)}
    assert all(len({homes[person] for person in video.people}) == 2 for video in left_out)


@pytest.mark.slow
def test_a_source_group_stays_together_also_where_people_are_chosen():
    """Of these fakes the original is not in the folder, and nobody is in both."""
    videos = celeb_df()
    videos += [
        video("a.mp4", 1, "gone.mp4", people=["id0"]),
        video("b.mp4", 1, "gone.mp4", people=["id1"]),
    ]
    for seed in range(20):
        splits = split_tracks(videos, 0.2, 0.2, seed)
        homes = {name for name in SPLITS for v in splits[name] if v.name in {"a.mp4", "b.mp4"}}
        assert len(homes) <= 1


def test_people_of_official_test_videos_are_in_no_video_of_training():
    videos = with_official_test(celeb_df(), "id0_0", "id1_0", "id0_id1_", "id1_id0_0000", "00000")
    splits = split_tracks(videos, 0.2, seed=0)
    assert splits["test"] == [member for member in videos if member.split == "test"]
    others = splits["train"] + splits["validation"]
    assert people_of(others) == {f"id{i}" for i in range(2, 12)}
    assert "id1_id0_0001.mp4" in [member.name for member in splits["left_out"]]


def test_official_splits_that_show_everybody_are_refused_with_the_way_out():
    videos = with_official_test(celeb_df(), *[f"id{i}_0000" for i in range(12)])
    with pytest.raises(
        UserError, match=r"left in the train split are 12 real and 0 .*--ignore-official-split"
    ):
        split_tracks(videos)
    assert split_tracks(without_official_splits(videos))["train"]


def test_official_splits_without_fakes_to_validate_on_are_refused_with_the_way_out():
    videos = with_official_test(celeb_df(), *[f"id{i}_0000" for i in range(10)])
    with pytest.raises(UserError, match=r"cannot choose a validation split.*--ignore-official"):
        split_tracks(videos)


def test_a_person_on_two_sides_is_a_leak_with_the_names_of_the_videos():
    splits = {
        "train": [video("ann_1.mp4", people=["Ann"])],
        "validation": [],
        "test": [video("ann_2.mp4", people=["Ann", "Bob"])],
    }
    with pytest.raises(UserError, match=r"of 1 person are on two sides.*ann_1.mp4, ann_2.mp4"):
        check_no_leak(splits)


def test_one_person_in_all_videos_is_one_sentence():
    videos = [replace(member, people=("Ann",)) for member in dfdc_part(5)]
    with pytest.raises(UserError, match="of 1 original: each class needs"):
        split_tracks(videos)


def test_a_few_clusters_of_swapped_people_do_not_make_a_split_far_too_large():
    """Whole groups would be a third of the videos each."""
    videos = []
    for cluster in "abc":
        for member in celeb_df(8):
            people = [cluster + person for person in member.people]
            videos.append(
                video(
                    cluster + member.name,
                    member.label,
                    cluster + member.source_group,
                    people=people,
                )
            )
    splits = split_tracks(videos, 0.15, 0.15, seed=0)
    assert len(splits["train"]) > 3 * len(splits["test"]) > 0


# What is known


def test_where_everybody_is_named_nobody_is_in_two_splits():
    claim, warning = what_is_known(celeb_df()[12:])
    assert (claim, warning) == ("no original and no person is in two of them", "")


def test_originals_alone_do_not_say_who_is_in_a_video():
    claim, warning = what_is_known(dfdc_part(5, 2))
    assert claim == "no original is in two of them"
    assert warning == ("who is in 15 of 15 videos is not known, so a person may be in two splits")


def test_where_nothing_is_known_nothing_is_claimed():
    videos = [video("real.mp4"), video("fake.mp4", 1), video("fake.mp4#1", 1, video="fake.mp4")]
    videos[2] = replace(videos[2], source_group="fake.mp4")
    claim, warning = what_is_known(videos, "in training and here")
    assert claim == "no known original is in two of them"
    assert warning == (
        "who is in 2 of 2 videos is not known, so a person may be in training and here; nor is "
        "the original of 1 of 1 fake"
    )


def test_a_video_whose_original_names_people_is_known():
    videos = [video("a.mp4", people=["Ann"]), video("b.mp4", 1, "a.mp4"), video("c.mp4")]
    assert what_is_known(videos) == (
        "no original and no known person is in two of them",
        "who is in 1 of 3 videos is not known, so a person may be in two splits",
    )


def test_people_of_benchmarks_in_real_and_fake_folders_stay_on_one_side(tmp_path):
    """Names of FaceForensics++ and Celeb-DF: 7 of 11 people were in several splits."""
    for kind, names in {
        "real": ["469", "481", "033", "097", "id13_0011", "id10_0000", "id2_0001", "id3_0002"],
        "fake": ["469_481", "481_469", "033_097", "097_033", "id13_id10_0011", "id10_id13_0000",
                 "id2_id3_0001", "id3_id2_0002"],
    }.items():  # fmt: skip
        (tmp_path / kind).mkdir()
        for name in names:
            (tmp_path / kind / f"prefix__{name}.mp4").touch()
    faces = tmp_path / "faces"
    faces.mkdir()
    tracks = faces_of(faces, {v.name: dict(v.entry) for v in list_videos([tmp_path])})
    splits = split_tracks(list(tracks.values()), 0.25, 0.25, seed=0)
    for one, other in itertools.combinations(SPLITS, 2):
        assert splits[one] and splits[other]
        assert people_of(splits[one]).isdisjoint(people_of(splits[other]))
    assert what_is_known(list(tracks.values()))[1] == ""


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_share_of_0_was_advised_where_it_is_refused(split):
    """`--validation-share 0` is: an epoch has to be chosen by something."""
    share = {"test_share": 0.0} if split == "validation" else {}
    lonely = [video("a.mp4")]
    with pytest.raises(UserError, match=f"cannot choose a {split} split") as told:
        split_tracks(lonely, **share)
    assert ("--test-share 0" in str(told.value)) == (split == "test")
    assert "validation-share" not in str(told.value)
