"""Which videos there are, in every layout: what a user can get wrong, and what that says."""

from pathlib import Path

import pytest
from conftest import list_videos, write_metadata

from deepfake_detector.console import UserError
from deepfake_detector.videos import layouts
from deepfake_detector.videos.listing import choose_videos, parse_shard, read_locations, take_shard


def test_videos_come_sorted_with_label_1_for_fake(tmp_path):
    write_metadata(tmp_path, {"b.mp4": "REAL", "a.mp4": "FAKE"})
    videos = list_videos([tmp_path])
    assert [(video.name, video.label) for video in videos] == [("a.mp4", 1), ("b.mp4", 0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{not json", "is not valid JSON"),
        ("[1, 2]", "holds a JSON list; it must be an object"),
    ],
)
def test_unusable_metadata_is_one_sentence_that_names_the_file(tmp_path, text, sentence):
    (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        list_videos([tmp_path])
    assert str(tmp_path) in str(caught.value)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere is not there"):
        list_videos([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("name", "entry", "problem"),
    [
        ("../../evil.mp4", "REAL", "is a path"),
        ("/etc/evil.mp4", "REAL", "is a path"),
        ("..\\evil.mp4", "REAL", "is a path"),
        ("..", "REAL", "is a path"),
        ("manifest.csv", "REAL", "one of our own files"),
        ("a.mp4", {"label": "MAYBE"}, "label is 'MAYBE', not FAKE or REAL"),
        ("a.mp4", {}, "it has no label"),
        ("a.mp4", {"label": "FAKE", "original": 7}, "original is not the name"),
        ("a.mp4", {"label": "FAKE", "people": "Ann"}, "people are not a list of names"),
        ("a.mp4#1", "REAL", "ends like that of a further face"),
        ("a" * 250 + ".mp4", "REAL", "longer than 250 bytes"),
        ("half\ud83d.mp4", "REAL", "half a character"),
        (".lock", "REAL", "one of our own files"),
        (".manifest.csv.partial", "REAL", "one of our own files"),
    ],
)
def test_unusable_entries_stay_in_the_list_with_their_problem(tmp_path, name, entry, problem):
    write_metadata(tmp_path, {name: entry})
    (video,) = list_videos([tmp_path])
    assert problem in video.problem


def test_an_entry_that_is_no_object_has_a_problem(tmp_path):
    write_metadata(tmp_path, {"a.mp4": {"label": "REAL"}, "b.mp4": 5})
    assert [bool(video.problem) for video in list_videos([tmp_path])] == [False, True]


def test_the_same_name_in_two_parts_gets_the_path_and_the_folder_of_the_location(tmp_path):
    folders = [tmp_path / "part_0", tmp_path / "part_1"]
    for folder in folders:
        folder.mkdir()
        write_metadata(folder, {"a.mp4": "REAL", f"{folder.name}.mp4": "REAL"})
    names = ["part_0.mp4", "part_0__a.mp4", "part_1.mp4", "part_1__a.mp4"]
    assert [video.name for video in list_videos(folders)] == names
    assert [video.name for video in list_videos([tmp_path])] == names
    assert [video.name for video in list_videos([*folders, tmp_path, folders[0]])] == names


# The layouts


def make_files(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def entries(folder: Path, layout: str | None = None) -> dict[str, dict]:
    videos = list_videos([folder], layout)
    assert not [video.problem for video in videos if video.problem]
    assert all(video.path.is_file() for video in videos)
    return {video.name: dict(video.entry) for video in videos}


def test_dfdc_parts_are_found_in_the_folders_that_their_archives_unpack_to(tmp_path):
    for number, name in enumerate(("a.mp4", "b.mp4")):
        part = tmp_path / f"dfdc_train_part_{number}" / f"dfdc_train_part_{number}"
        make_files(part, name, "extra.mp4")
        write_metadata(part, {name: "REAL"})
    assert layouts.recognise(tmp_path) == "dfdc"
    assert list(entries(tmp_path)) == ["a.mp4", "b.mp4"]
    assert [path.parent.name for path in read_locations([tmp_path]).without_label] == [
        "dfdc_train_part_0",
        "dfdc_train_part_1",
    ]


def test_a_folder_of_faces_beside_the_videos_is_not_taken_for_a_part(tmp_path):
    make_files(tmp_path, "faces/settings.json", "faces/manifest.csv", "videos/a.mp4")
    for name in ("faces", "videos"):
        write_metadata(tmp_path / name, {"a.mp4": "REAL"})
    assert [video.path.parent.name for video in list_videos([tmp_path])] == ["videos"]


def faceforensics(root: Path) -> Path:
    return make_files(
        root,
        "original_sequences/youtube/c23/videos/000.mp4",
        "original_sequences/youtube/c40/videos/000.mp4",
        "original_sequences/youtube/c23/videos/.hidden.mp4",
        "original_sequences/youtube/c23/videos/notes.txt",
        "original_sequences/actors/c23/videos/01__walking_outside.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4",
        "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking_outside__YVGY8LOK.mp4",
    )


def test_faceforensics_names_tell_method_original_and_people(tmp_path):
    assert layouts.recognise(faceforensics(tmp_path)) == "faceforensics"
    assert read_locations([tmp_path]).without_label == []
    assert entries(tmp_path) == {
        "DeepFakeDetection__c23__01_02__walking_outside__YVGY8LOK.mp4": {
            "label": "FAKE",
            "split": "train",
            "original": "actors__c23__01__walking_outside.mp4",
            "people": ["actor 01", "actor 02"],
            "method": "DeepFakeDetection",
        },
        "Deepfakes__c23__000_003.mp4": {
            "label": "FAKE",
            "split": "train",
            "original": "youtube__c23__000.mp4",
            "people": ["youtube 000", "youtube 003"],
            "method": "Deepfakes",
        },
        "actors__c23__01__walking_outside.mp4": {
            "label": "REAL",
            "split": "train",
            "original": None,
            "people": ["actor 01"],
        },
        "youtube__c23__000.mp4": {
            "label": "REAL",
            "split": "train",
            "original": None,
            "people": ["youtube 000"],
        },
        "youtube__c40__000.mp4": {
            "label": "REAL",
            "split": "train",
            "original": None,
            "people": ["youtube 000"],
        },
    }


def test_originals_of_faceforensics_that_are_elsewhere_have_the_name_they_get_there(tmp_path):
    """Originals and fakes may be processed one after the other, from two disks."""
    make_files(tmp_path, "manipulated_sequences/Deepfakes/c40/videos/000_003.mp4")
    (entry,) = entries(tmp_path).values()
    assert entry["original"] == "youtube__c40__000.mp4"


@pytest.mark.parametrize("place", [".", "splits", "dataset/splits"])
def test_official_faceforensics_splits_mark_originals_and_fakes(tmp_path, place):
    faceforensics(tmp_path)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "train.json").write_text('[["720", "672"]]')
    (tmp_path / place / "val.json").write_text('[["000", "003"]]')
    splits = {name: entry["split"] for name, entry in entries(tmp_path).items()}
    assert splits["youtube__c23__000.mp4"] == splits["Deepfakes__c23__000_003.mp4"] == "validation"
    assert splits["actors__c23__01__walking_outside.mp4"] == "train"


@pytest.mark.parametrize("text", ["{oops", '{"000": "003"}', '["000", "003"]'])
def test_a_damaged_split_file_is_named(tmp_path, text):
    (faceforensics(tmp_path) / "test.json").write_text(text)
    with pytest.raises(UserError, match=r"test.json is no JSON list of pairs such as .*\"720\""):
        list_videos([tmp_path])


def test_celebdf_names_tell_people_and_the_testing_list_marks_videos(tmp_path):
    make_files(
        tmp_path,
        "Celeb-real/id0_0000.mp4",
        "Celeb-synthesis/id0_id1_0000.mp4",
        "YouTube-real/00000.mp4",
    )
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00000.mp4\r\n0 Celeb-synthesis/id0_id1_0000.mp4\n\n"
    )
    assert layouts.recognise(tmp_path) == "celebdf"
    assert entries(tmp_path) == {
        "00000.mp4": {"label": "REAL", "split": "test", "original": None},
        "id0_0000.mp4": {
            "label": "REAL",
            "split": "train",
            "original": None,
            "people": ["id0"],
        },
        "id0_id1_0000.mp4": {
            "label": "FAKE",
            "split": "test",
            "original": "id0_0000.mp4",
            "people": ["id0", "id1"],
            "method": "Celeb-synthesis",
        },
    }


def test_plain_real_and_fake_folders_pair_fakes_with_real_videos_by_name(tmp_path):
    make_files(
        tmp_path,
        "Real/a.mp4",
        "Real/sub/b.mov",
        "FAKE/a.mp4",
        "FAKE/swap/b_by_someone.mp4",
        "FAKE/swap/c.mp4",
    )
    assert layouts.recognise(tmp_path) == "real-fake"
    found = entries(tmp_path)
    assert {name: (e["label"], e["original"], e.get("method")) for name, e in found.items()} == {
        "fake__a.mp4": ("FAKE", "real__a.mp4", None),
        "fake__swap__b_by_someone.mp4": ("FAKE", "real__sub__b.mov", "swap"),
        "fake__swap__c.mp4": ("FAKE", None, "swap"),
        "real__a.mp4": ("REAL", None, None),
        "real__sub__b.mov": ("REAL", None, None),
    }


def test_two_files_whose_paths_give_one_name_are_two_videos(tmp_path):
    make_files(tmp_path, "real/a/b.mp4", "real/a__b.mp4", "fake/c.mp4")
    assert list(entries(tmp_path)) == ["fake__c.mp4", "real__a__b.mp4", "real__a__b__2.mp4"]


def test_strange_file_names_are_taken_but_not_those_of_further_faces(tmp_path):
    make_files(tmp_path, "real/a\tb.mp4", "fake/c.mp4", "real/d.mp4")
    (tmp_path / "real" / "e.mp4#1.mp4").touch()
    (tmp_path / "real" / "sub.mp4").mkdir()
    (tmp_path / "real" / b"f\xff.mp4".decode("utf-8", "surrogateescape")).touch()
    names = list(entries(tmp_path))
    assert names == [
        "fake__c.mp4",
        "real__a\tb.mp4",
        "real__d.mp4",
        "real__e.mp4#1.mp4",
        "real__f?.mp4",
    ]


def test_a_folder_without_labels_was_answered_by_ten_lines_with_backslashes(tmp_path):
    """The layouts, as a tree whose line breaks a terminal shows as \\n."""
    make_files(tmp_path, "a.mp4", "holiday/b.mp4")
    with pytest.raises(
        UserError, match="nothing says what is real .*, which holds 2 videos; na"
    ) as told:
        list_videos([tmp_path])
    assert f"list the videos in a {tmp_path / 'videos.csv'}" in str(told.value)
    assert "\n" not in str(told.value)


def test_an_empty_folder_is_not_asked_for_a_layout(tmp_path):
    with pytest.raises(UserError, match="holds no videos; give a folder of videos"):
        list_videos([tmp_path])


@pytest.mark.parametrize(
    ("layout", "lacking"),
    [
        ("dfdc", "it holds no metadata.json, nor do the folders below it"),
        ("faceforensics", "no folder original_sequences or manipulated_sequences"),
        ("celebdf", "no folder Celeb-real or Celeb-synthesis or YouTube-real"),
        ("real-fake", "not laid out as real-fake: it holds no folder fake$"),
        ("kinetics", "layout is 'kinetics'; it must be one of .*dfdc"),
    ],
)
def test_a_layout_that_the_folder_does_not_have_names_what_is_missing(tmp_path, layout, lacking):
    make_files(tmp_path, "real/a.mp4")
    with pytest.raises(UserError, match=lacking):
        list_videos([tmp_path], layout)


def test_a_given_layout_wins_over_the_one_recognised(tmp_path):
    make_files(tmp_path, "real/a.mp4", "fake/b.mp4")
    write_metadata(tmp_path, {"c.mp4": "REAL"})
    assert layouts.recognise(tmp_path) == "dfdc"
    assert list(entries(tmp_path, "real-fake")) == ["fake__b.mp4", "real__a.mp4"]
    assert read_locations([tmp_path], "real-fake").without_label == []


# A choice of them


def test_num_vids_is_per_class_reproducible_and_takes_only_videos_that_are_there(tmp_path):
    names = [f"{kind}_{i}.mp4" for kind in ("fake", "real") for i in range(6)]
    write_metadata(tmp_path, {name: name[:4].upper() for name in [*names, "real_lost.mp4"]})
    for name in names:
        (tmp_path / name).touch()
    videos = list_videos([tmp_path])
    chosen = choose_videos(videos, 4, seed=3)
    assert sorted(video.label for video in chosen) == [0] * 4 + [1] * 4
    assert chosen == choose_videos(videos, 4, seed=3)
    assert chosen != choose_videos(videos, 4, seed=4)
    assert "real_lost.mp4" not in [v.name for v in choose_videos(videos, 7, seed=0)]


def test_videos_on_disk_that_no_metadata_lists_are_reported(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    for name in ("a.mp4", "extra.MOV", "notes.txt"):
        (tmp_path / name).touch()
    assert read_locations([tmp_path]).without_label == [tmp_path / "extra.MOV"]


def test_shards_are_disjoint_keep_families_together_and_leave_nothing_out(tmp_path):
    metadata = {f"real_{i}.mp4": "REAL" for i in range(7)}
    for i in range(7):
        metadata[f"fake_{i}.mp4"] = {"label": "FAKE", "original": f"real_{i}.mp4"}
        metadata[f"again_{i}.mp4"] = {"label": "FAKE", "original": f"fake_{i}.mp4"}
    metadata["odd.mp4"] = "MAYBE"
    videos = list_videos([write_metadata(tmp_path, metadata)])
    shards = [take_shard(videos, part, 3) for part in (1, 2, 3)]
    assert sorted(v.name for part in shards for v in part) == [v.name for v in videos]
    for part in shards:
        digits = [video.name[-5] for video in part if not video.problem]
        assert all(digits.count(digit) == 3 for digit in digits)
    assert take_shard(videos, 1, 1) == videos


def test_shards_are_asked_for_as_part_of_so_many(tmp_path):
    assert parse_shard("2/8") == (2, 8)
    for text in ("0/8", "9/8", "2", "2/", "a/b", "-1/2", ""):
        with pytest.raises(UserError, match=rf"shard is '{text}'; it must be a part and"):
            parse_shard(text)
    with pytest.raises(UserError, match="shard is '3/2'"):
        take_shard([], 3, 2)
