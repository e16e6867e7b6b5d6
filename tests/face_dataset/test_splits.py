"""Which faces there are and which split each is in: nothing leaks between training and test."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import list_videos, make_files

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


def track(name, label=0, original=None, split="train", people=(), video=None):
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
    tracks = []
    for i in range(num_originals):
        tracks.append(track(f"real_{i}.mp4", 0, f"real_{i}.mp4"))
        tracks += [track(f"fake_{i}_{k}.mp4", 1, f"real_{i}.mp4") for k in range(fakes_each)]
    return tracks


def celeb_df(num_people=12, videos_each=3):
    """Return videos as Celeb-DF has them: of everybody, with everybody else's face on it, and of
    people without a number."""
    tracks = [track(f"{i:05d}.mp4") for i in range(num_people)]
    for i, k in itertools.product(range(num_people), range(videos_each)):
        original = f"id{i}_{k:04d}.mp4"
        tracks.append(track(original, people=[f"id{i}"]))
        tracks += [
            track(f"id{i}_id{j}_{k:04d}.mp4", 1, original, people=[f"id{i}", f"id{j}"])
            for j in range(num_people)
            if j != i
        ]
    return tracks


def with_official_test(tracks, *names):
    """Return the videos; those whose name starts with one of `names` are official test videos."""
    return [replace(t, split="test" if t.name.startswith(names) else "train") for t in tracks]


def people_of(tracks):
    return {person for track in tracks for person in track.people}


def faces_of(folder: Path, metadata: dict) -> dict[str, FaceTrack]:
    for name, entry in metadata.items():
        make_files(folder, f"{name}/000.jpeg")
        entry.setdefault("label", "REAL")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return {face.name: face for face in list_faces(folder)}


# Groups and people


def test_a_chain_of_originals_is_one_source_group_and_a_group_key_is_a_person(tmp_path):
    faces = faces_of(
        tmp_path,
        {
            "a.mp4": {"original": "b.mp4"},
            "b.mp4": {"original": "c.mp4"},
            "c.mp4": {},
            "d.mp4": {"group": "person 1"},
            "e.mp4": {"group": "person 1", "original": None},
            "f.mp4": {"original": "not in the folder.mp4"},
            "g.mp4": {"original": "not in the folder.mp4"},
        },
    )
    source_groups = {name: face.source_group for name, face in faces.items()}
    assert len({source_groups[name] for name in ("a.mp4", "b.mp4", "c.mp4")}) == 1
    assert source_groups["f.mp4"] == source_groups["g.mp4"]
    assert len(set(source_groups.values())) == 4
    assert faces["d.mp4"].people == faces["e.mp4"].people == ("group person 1",)


def test_people_are_compared_without_case_and_space_and_near_spellings_are_not_guessed(tmp_path):
    people = {"a": ["Ann  Lee", "JOSÉ"], "b": [" ann lee", "jose\u0301"], "c": ["Anne Lee"]}
    faces = faces_of(tmp_path, {f"{name}.mp4": {"people": who} for name, who in people.items()})
    assert faces["a.mp4"].people == faces["b.mp4"].people == ("ann lee", "josé")
    assert faces["c.mp4"].people == ("anne lee",)


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


# The split


@pytest.mark.parametrize(("originals", "bundles"), [(40, 2000), (200, 40)])
def test_split_keeps_originals_together_and_the_shares_about_right(monkeypatch, originals, bundles):
    monkeypatch.setattr(splits_module, "MOST_BUNDLES", bundles)
    tracks = dfdc_part(originals)
    splits = split_tracks(tracks, 0.15, 0.15, seed=0)
    assert splits == split_tracks(tracks, 0.15, 0.15, seed=0)
    assert splits != split_tracks(tracks, 0.15, 0.15, seed=1)
    homes = {}
    for split, members in splits.items():
        for member in members:
            assert homes.setdefault(member.source_group, split) == split
    assert sum(map(len, splits.values())) == len(tracks)
    for split in ("validation", "test"):
        assert len(splits[split]) / len(tracks) == pytest.approx(0.15, abs=0.06)
        assert np.mean([member.label for member in splits[split]]) == pytest.approx(0.75, abs=0.05)


def test_official_splits_are_kept():
    tracks = dfdc_part(10) + [track("held_out.mp4", 1, split="test"), track("r.mp4", split="test")]
    splits = split_tracks(tracks, seed=0)
    assert [member.name for member in splits["test"]] == ["held_out.mp4", "r.mp4"]
    assert splits["validation"]


def test_splits_that_leak_are_refused_with_the_names():
    tracks = [*dfdc_part(5), track("sly_fake.mp4", 1, "real_0.mp4", split="test")]
    with pytest.raises(UserError, match=r"\(test, train\): .*real_0.mp4, sly_fake.mp4; give"):
        split_tracks(tracks)
    ann_1, ann_2 = track("ann_1.mp4", people=["Ann"]), track("ann_2.mp4", people=["Ann", "Bob"])
    with pytest.raises(UserError, match=r"\(test, train\): ann_1.mp4, ann_2.mp4; give"):
        check_no_leak({"train": [ann_1], "validation": [], "test": [ann_2]})


@pytest.mark.parametrize("split", ["validation", "test"])
def test_too_few_originals_for_a_split_are_one_sentence(split):
    """A share of 0 is advised only where it is allowed: an epoch is chosen by validation."""
    everyone_is_ann = [replace(member, people=("Ann",)) for member in dfdc_part(5)]
    for tracks in (dfdc_part(1), everyone_is_ann):
        with pytest.raises(UserError, match=f"cannot choose a {split} split from") as told:
            split_tracks(tracks, test_share=0.0 if split == "validation" else 0.15)
        assert ("--test-share 0" in str(told.value)) == (split == "test")
        assert "validation-share" not in str(told.value)


# People


def test_people_who_were_swapped_in_pairs_stay_together():
    tracks = []
    for one in range(0, 40, 2):
        for target, source in ((one, one + 1), (one + 1, one)):
            original, both = f"{target}.mp4", [f"p{target}", f"p{source}"]
            tracks.append(track(original, people=both[:1]))
            tracks.append(track(f"{target}_{source}.mp4", 1, original, people=both))
    splits = split_tracks(tracks, seed=0)
    assert splits.pop("left_out") == []
    for split, others in itertools.permutations(splits.values(), 2):
        assert split
        assert people_of(split).isdisjoint(people_of(others))


def test_people_are_chosen_where_everybody_was_swapped_with_everybody():
    tracks = celeb_df()
    # Of these fakes the original is not in the folder, and nobody is in both.
    pair = [track(f"{i}.mp4", 1, "gone.mp4", people=[f"id{i}"]) for i in (0, 1)]
    for seed in range(3):
        splits = split_tracks([*tracks, *pair], 0.2, 0.2, seed)
        assert len({name for name in SPLITS for t in splits[name] if t in pair}) <= 1
        left_out = splits.pop("left_out")
        for split, others in itertools.permutations(splits.values(), 2):
            assert {member.label for member in split} == {0, 1}
            assert people_of(split).isdisjoint(people_of(others))
        assert len(tracks) + 2 == len(left_out) + sum(map(len, splits.values()))


def test_people_of_official_test_videos_are_in_no_video_of_training():
    tracks = with_official_test(celeb_df(), "id0_0", "id1_0", "id0_id1_", "id1_id0_0000", "00000")
    splits = split_tracks(tracks, 0.2, seed=0)
    assert splits["test"] == [member for member in tracks if member.split == "test"]
    assert people_of(splits["train"] + splits["validation"]) == {f"id{i}" for i in range(2, 12)}
    assert "id1_id0_0001.mp4" in [member.name for member in splits["left_out"]]


def test_official_splits_that_show_everybody_are_refused_with_the_way_out():
    tracks = with_official_test(celeb_df(), *[f"id{i}_0000" for i in range(12)])
    with pytest.raises(
        UserError, match=r"left in the train split are 12 real and 0 .*--ignore-official-split"
    ):
        split_tracks(tracks)
    assert split_tracks(without_official_splits(tracks))["train"]
    tracks = with_official_test(celeb_df(), *[f"id{i}_0000" for i in range(10)])
    with pytest.raises(UserError, match=r"cannot choose a validation split.*--ignore-official"):
        split_tracks(tracks)


def test_people_of_benchmarks_in_real_and_fake_folders_stay_on_one_side(tmp_path):
    """Names of FaceForensics++ and Celeb-DF: 7 of 11 people were in several splits."""
    real = "469 481 033 097 id13_0011 id10_0000 id2_0001 id3_0002"
    fake = "469_481 481_469 033_097 097_033 id13_id10_0011 id10_id13_0000 id2_id3_0001 id3_id2_0002"
    for kind, names in {"real": real, "fake": fake}.items():
        make_files(tmp_path, *(f"videos/{kind}/prefix__{name}.mp4" for name in names.split()))
    videos = list_videos([tmp_path / "videos"])
    tracks = list(faces_of(tmp_path / "faces", {v.name: dict(v.entry) for v in videos}).values())
    splits = split_tracks(tracks, 0.25, 0.25, seed=0)
    for one, other in itertools.combinations(SPLITS, 2):
        assert splits[one] and splits[other]
        assert people_of(splits[one]).isdisjoint(people_of(splits[other]))
    assert what_is_known(tracks)[1] == ""


# What is known


def test_only_what_is_known_is_claimed():
    """The claim about the split, and which videos show nobody knows whom."""
    fake = track("fake.mp4", 1)
    nothing = [track("real.mp4"), fake, replace(fake, name="fake.mp4#1")]
    one_named = [track("a.mp4", people=["Ann"]), track("b.mp4", 1, "a.mp4"), track("c.mp4")]
    for tracks, claim, unknown in (
        (celeb_df()[12:], "no original and no person", ""),
        (dfdc_part(5, 2), "no original", "15 of 15 videos"),
        (one_named, "no original and no known person", "2 of 3 videos"),  # whose face has b?
        (nothing, "no known original", "2 of 2 videos"),
    ):
        claimed, warning = what_is_known(tracks)
        assert claimed == f"{claim} is in two of them"
        assert warning.startswith(f"who is in {unknown} is not known") if unknown else not warning
        assert warning.endswith("the original of 1 of 1 fake") == (tracks is nothing)
