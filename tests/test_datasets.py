"""Reading metadata.json: what a user can get wrong, and what each mistake says."""

import pytest
from conftest import write_metadata

import datasets
from console import UserError


def test_videos_come_sorted_with_label_1_for_fake(tmp_path):
    write_metadata(tmp_path, {"b.mp4": "REAL", "a.mp4": "FAKE"})
    videos = datasets.list_videos([tmp_path])
    assert [(video.name, video.label) for video in videos] == [("a.mp4", 1), ("b.mp4", 0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "holds no metadata.json"),
        ("{not json", "is not valid JSON"),
        ("[1, 2]", "holds a JSON list; it must be an object"),
    ],
)
def test_unusable_metadata_is_one_sentence_that_names_the_file(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        datasets.list_videos([tmp_path])
    assert str(tmp_path) in str(caught.value)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        datasets.list_videos([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("name", "entry", "problem"),
    [
        ("../../evil.mp4", "REAL", "is a path"),
        ("/etc/evil.mp4", "REAL", "is a path"),
        ("..\\evil.mp4", "REAL", "is a path"),
        ("..", "REAL", "is a path"),
        ("manifest.csv", "REAL", "one of our own files"),
        ("a.mp4", {"label": "MAYBE"}, "label is 'MAYBE', not FAKE or REAL"),
        ("a.mp4", {}, "label is None"),
        ("a.mp4", {"label": "FAKE", "original": 7}, "original is not the name"),
    ],
)
def test_unusable_entries_stay_in_the_list_with_their_problem(tmp_path, name, entry, problem):
    write_metadata(tmp_path, {name: entry})
    (video,) = datasets.list_videos([tmp_path])
    assert problem in video.problem


def test_an_entry_that_is_no_object_has_a_problem(tmp_path):
    write_metadata(tmp_path, {"a.mp4": {"label": "REAL"}, "b.mp4": 5})
    assert [bool(video.problem) for video in datasets.list_videos([tmp_path])] == [False, True]


def test_the_same_name_in_two_parts_is_refused_because_both_would_share_a_folder(tmp_path):
    folders = [tmp_path / "part_0", tmp_path / "part_1"]
    for folder in folders:
        folder.mkdir()
        write_metadata(folder, {"a.mp4": "REAL"})
    with pytest.raises(UserError, match=r"'a.mp4' is listed in both .*part_0 and .*part_1"):
        datasets.list_videos(folders)


def test_num_vids_is_per_class_reproducible_and_takes_only_videos_that_are_there(tmp_path):
    names = [f"{kind}_{i}.mp4" for kind in ("fake", "real") for i in range(6)]
    write_metadata(tmp_path, {name: name[:4].upper() for name in [*names, "real_lost.mp4"]})
    for name in names:
        (tmp_path / name).touch()
    videos = datasets.list_videos([tmp_path])
    drawn = datasets.choose_videos(videos, 4, seed=3)
    assert sorted(video.label for video in drawn) == [0] * 4 + [1] * 4
    assert drawn == datasets.choose_videos(videos, 4, seed=3)
    assert drawn != datasets.choose_videos(videos, 4, seed=4)
    assert "real_lost.mp4" not in [v.name for v in datasets.choose_videos(videos, 7, seed=0)]


def test_videos_on_disk_that_no_metadata_lists_are_reported(tmp_path):
    write_metadata(tmp_path, {"a.mp4": "REAL"})
    for name in ("a.mp4", "extra.MOV", "notes.txt"):
        (tmp_path / name).touch()
    assert datasets.unlisted_files([tmp_path]) == [tmp_path / "extra.MOV"]
