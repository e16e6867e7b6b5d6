"""Files of the same content are one video, whatever they are called and wherever they lie."""

from pathlib import Path

import pytest
from conftest import write_metadata

from deepfake_detector.videos.content import PART_BYTES, content_of, stamp_of
from deepfake_detector.videos.listing import Listing, read_locations, select_videos
from deepfake_detector.videos.metadata import find_source_groups


def write(root: Path, contents: dict[str, str]) -> Path:
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def names_of(listing: Listing) -> list[str]:
    return [video.name for video in listing.videos if not video.problem]


# Content


def test_content_is_the_bytes_and_not_the_name_nor_the_time(tmp_path):
    write(tmp_path, {"a.mp4": "one", "sub/b.mkv": "one", "c.mp4": "two", "empty.mp4": ""})
    of = {path.name: content_of(path) for path in tmp_path.rglob("*.m*")}
    assert of["a.mp4"] == of["b.mkv"] != of["c.mp4"]
    assert of["a.mp4"].startswith("3-")
    assert of["empty.mp4"] == content_of(tmp_path / "gone.mp4") == ""
    assert stamp_of(tmp_path / "a.mp4")[0] == 3
    assert stamp_of(tmp_path / "gone.mp4") is None


def test_content_of_a_folder_of_frames_is_that_of_its_pictures_in_order(tmp_path):
    write(tmp_path / "a", {"1.png": "x", "2.png": "yy", "notes.txt": "mine"})
    write(tmp_path / "b", {"f001.png": "x", "f002.png": "yy"})
    write(tmp_path / "c", {"1.png": "yy", "2.png": "x"})
    write(tmp_path / "d", {"1.png": "xy", "2.png": "y"})
    found = [content_of(tmp_path / name) for name in "abcd"]
    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.parametrize("place", [0, 3 * PART_BYTES // 2, 4 * PART_BYTES - 1])
def test_of_a_very_large_file_start_middle_and_end_count(tmp_path, place):
    for name in ("a.mp4", "b.mp4"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(4 * PART_BYTES)
            if name == "b.mp4":
                file.seek(place)
                file.write(b"x")
    assert content_of(tmp_path / "a.mp4") != content_of(tmp_path / "b.mp4")


# Copies


def test_copies_are_one_video_with_the_shortest_name_and_are_counted(tmp_path):
    write(tmp_path, {"real/a.mp4": "A", "real/a (1).mp4": "A", "fake/c.mp4": "C"})
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "real").symlink_to(tmp_path / "real")
    listing = read_locations([tmp_path])
    assert names_of(listing) == ["fake__c.mp4", "real__a.mp4"]
    assert listing.notes[-1] == (
        "note: 3 videos left out as copies of others, such as real__a (1).mp4, the same as "
        "real__a.mp4"
    )


def test_a_copy_of_a_test_video_is_not_trained_on(tmp_path):
    paths = ["train/real/a.mp4", "test/real/a_long_name.mp4"]
    write(tmp_path, dict.fromkeys(paths, "A") | {"train/fake/b.mp4": "B"})
    listing = read_locations([tmp_path])
    splits = {video.name: video.entry["split"] for video in listing.videos}
    assert splits == {"test__real__a_long_name.mp4": "test", "train__fake__b.mp4": "train"}


def test_the_video_that_is_kept_has_the_people_of_its_copies_and_is_the_original_of_their_fakes(
    tmp_path,
):
    write(tmp_path, {"a.mp4": "A", "copy.mp4": "A", "fake.mp4": "F"})
    write_metadata(
        tmp_path,
        {
            "a.mp4": {"label": "REAL", "people": ["Ann"]},
            "copy.mp4": {"label": "REAL", "people": ["Bob"]},
            "fake.mp4": {"label": "FAKE", "original": "copy.mp4"},
        },
    )
    real, fake = read_locations([tmp_path]).videos
    assert (real.name, real.entry["people"]) == ("a.mp4", ["Ann", "Bob"])
    assert fake.entry["original"] == "a.mp4"


def test_what_is_known_of_any_copy_keeps_it_on_the_side_of_its_original(tmp_path):
    """The copy with the shorter name had no original, and the fake left its source group."""
    write(tmp_path, {"real/a.mp4": "A", "real/b.mp4": "B", "real/c.mp4": "C"})
    write(tmp_path, {"fake/x.mp4": "X", "fake/a_1.mp4": "X", "fake/b_1.mp4": "X"})
    index = "path,people,group\nfake/b_1.mp4,Bob,g\nfake/x.mp4,,h\nfake/a_1.mp4,Ann,\n"
    (tmp_path / "videos.csv").write_text(index)
    entries = {video.name: video.entry for video in read_locations([tmp_path]).videos}
    fake = entries["fake__x.mp4"]
    assert (fake["original"], fake["further_originals"]) == ("real__a.mp4", ["real__b.mp4"])
    assert (fake["group"], fake["people"]) == ("h", ["Ann", "Bob", "group g"])
    groups = find_source_groups(entries)
    assert groups["real__a.mp4"] == groups["real__b.mp4"] == groups["fake__x.mp4"]
    assert groups["real__c.mp4"] == "real__c.mp4"


def test_copies_in_two_locations_are_one_video_in_any_order(tmp_path):
    """The same video under two names was trained on and tested on."""
    one = write(tmp_path / "one", {"real/a.mp4": "A", "fake/x.mp4": "X"})
    other = write(tmp_path / "other", {"real/holiday.mp4": "A", "fake/y.mp4": "Y"})
    found = [names_of(read_locations(places)) for places in ([one, other], [other, one])]
    assert found == [["fake__x.mp4", "fake__y.mp4", "real__a.mp4"]] * 2


def test_the_same_content_as_real_and_as_fake_is_used_as_neither(tmp_path):
    write(tmp_path, {"real/a.mp4": "A", "fake/b.mp4": "A", "real/c.mp4": "A", "fake/d.mp4": "D"})
    listing = read_locations([tmp_path])
    assert names_of(listing) == ["fake__d.mp4"]
    problems = {video.name: video.problem for video in listing.videos if video.problem}
    assert problems == {
        "fake__b.mp4": "the same content is labelled REAL as real__a.mp4",
        "real__a.mp4": "the same content is labelled FAKE as fake__b.mp4",
        "real__c.mp4": "the same content is labelled FAKE as fake__b.mp4",
    }
    assert "1 content labelled real and fake" in listing.notes[0]


def test_empty_files_are_not_copies_and_only_files_of_one_size_are_read(tmp_path, monkeypatch):
    write(tmp_path, {"real/a.mp4": "", "fake/b.mp4": "", "real/c.mp4": "C", "fake/d.mp4": "DD"})
    monkeypatch.setattr(Path, "open", None)  # nothing may be read
    assert len(names_of(read_locations([tmp_path]))) == 4


# A choice of them


def test_num_vids_is_per_class_reproducible_and_takes_only_videos_that_are_there(tmp_path):
    names = [f"{kind}_{i}.mp4" for kind in ("fake", "real") for i in range(6)]
    write(tmp_path, {name: name for name in names})
    write_metadata(tmp_path, {name: name[:4].upper() for name in [*names, "real_lost.mp4"]})
    videos = read_locations([tmp_path]).videos
    chosen = select_videos(videos, 4, seed=3)
    assert sorted(video.label for video in chosen) == [0] * 4 + [1] * 4
    assert chosen == select_videos(videos, 4, seed=3) != select_videos(videos, 4, seed=4)
    assert "real_lost.mp4" not in [v.name for v in select_videos(videos, 7, seed=0)]
