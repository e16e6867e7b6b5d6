"""What the names of videos say about people and originals, and the names that their faces get."""

import json
import os

import pytest
from conftest import list_videos, make_files, write_metadata
from odd_videos import listing

import processing
from deepfake_detector.videos.metadata import find_source_groups

# People and originals


@pytest.mark.parametrize("prefix", ["", "SCLBD__", "a__b__"])
@pytest.mark.parametrize(
    ("real", "fake", "people"),
    [
        ("469", "469_481", ["youtube 469", "youtube 481"]),
        ("id13_0011", "id13_id10_0011", ["id13", "id10"]),
        ("01__walking", "01_02__walking__YVGY8LOK", ["actor 01", "actor 02"]),
    ],
)
def test_names_of_benchmarks_say_who_is_in_real_and_fake_folders(
    tmp_path, prefix, real, fake, people
):
    make_files(tmp_path, f"real/{prefix}{real}.mp4", f"fake/{prefix}{fake}.mp4")
    fake_video, real_video = list_videos([tmp_path])
    assert fake_video.entry["people"] == people
    assert real_video.entry["people"] == people[:1]
    assert fake_video.entry["original"] == real_video.name


def test_people_and_originals_are_the_same_in_two_locations(tmp_path):
    """The numbers of FaceForensics++ are no names on their own."""
    make_files(tmp_path, "one/real/469.mp4", "two/fake/469_481.mp4", "two/real/20.mp4")
    assert "people" not in list_videos([tmp_path / "one"])[0].entry
    fake, other, real = list_videos([tmp_path / "one", tmp_path / "two"])
    assert fake.entry["people"] == ["youtube 469", "youtube 481"]
    assert real.entry["people"] == ["youtube 469"]
    assert "people" not in other.entry
    assert fake.entry["original"] == real.name


# The names of their faces


def test_a_name_is_the_path_below_the_location_whatever_order_they_are_given_in(tmp_path):
    for part in ("part_0", "part_1"):
        folder = make_files(tmp_path / part, "a.mp4", "fake/b.mp4")
        write_metadata(folder, {"a.mp4": "REAL", f"{part}.mp4": "REAL"})
    folders = [tmp_path / "part_0", tmp_path / "part_1"]
    names = ["part_0.mp4", "part_0__a.mp4", "part_0__fake__b.mp4"]
    names += [name.replace("0", "1") for name in names]
    for locations in (folders, folders[::-1], [tmp_path], [folders[1], tmp_path, folders[1]]):
        assert [video.name for video in list_videos(locations)] == names
    alone = [video.name for video in list_videos(folders[:1])]
    assert alone == ["a.mp4", "fake__b.mp4", "part_0.mp4"]


def test_names_differ_without_case_since_some_disks_compare_so(tmp_path):
    """On such a disk the faces of a.mp4 took the place of those of A.mp4."""
    one = make_files(tmp_path / "one", "real/A.mp4", "fake/b.mp4", "fake/B.mp4")
    other = make_files(tmp_path / "other", "real/a.mp4")
    for locations in ([one, other], [other, one]):
        assert sorted(video.name for video in list_videos(locations)) == [
            "fake__B.mp4", "fake__b__2.mp4", "one__real__A.mp4", "other__real__a.mp4",
        ]  # fmt: skip


def test_two_files_whose_paths_give_one_name_are_two_videos(tmp_path):
    make_files(tmp_path, "real/a/b.mp4", "real/a__b.mp4", "fake/c.mp4")
    names = ["fake__c.mp4", "real__a__b.mp4", "real__a__b__2.mp4"]
    assert [video.name for video in list_videos([tmp_path])] == names


ODD_NAMES = [
    "two words.mp4", " ", 'it\'s "quoted".mp4', "two\nlines.mp4", "carriage\r\nreturn.mp4",
    "tab\there.mp4", "видео.mp4", "ビデオ.mp4", "😀.mp4", "-rf.mp4", "no_suffix",
    "UPPER.MP4", "a%03d.mp4", "a*?[x].mp4", "12:30.mp4", "file:a.mp4", "comma,semi;.mp4", "=1.mp4",
    "$(true) `true` & | .mp4",
]  # fmt: skip
RENAMED = {
    ".hidden.mp4": "_hidden.mp4",
    "#1.mp4": "_1.mp4",
    "e\u0301.mp4": "\xe9.mp4",  # a letter and its accent on their own
    os.fsdecode(b"f\xff.mp4"): "f\xff.mp4",  # Windows-1252
    "x" * 250 + ".mp4": None,  # too long for a folder: the start and a hash
    "y" * 240 + ".mp4": None,
}


def test_every_name_that_a_file_can_have_comes_through_and_is_known_again(tmp_path, mp4):
    videos, faces = tmp_path / "videos" / "real", tmp_path / "faces"
    videos.mkdir(parents=True)
    for number, name in enumerate([*ODD_NAMES, *RENAMED]):
        (videos / name).write_bytes(mp4 + bytes(number))  # each of other content

    def run() -> dict[str, dict]:
        words = {"capture_sec": 0.05, "face_size": 16}
        index = [{"path": name, "label": "REAL"} for name in [*ODD_NAMES, *RENAMED]]
        (videos / "metadata.json").write_text(json.dumps(index))
        return {row["filename"]: row for row in processing.processing(videos, faces, **words)}

    rows = run()
    assert {row["status"] for row in rows.values()} == {"ok"}
    plain = {name for name in RENAMED.values() if name} | set(ODD_NAMES)
    long = rows.keys() - plain
    assert rows.keys() >= plain and len(long) == 2
    assert all(len(name.encode()) <= 240 and name[:180] in ("x" * 180, "y" * 180) for name in long)
    assert json.loads((faces / "metadata.json").read_text()).keys() == rows.keys()
    before = listing(faces)
    assert run() == {name: {key: str(row[key]) for key in row} for name, row in rows.items()}
    after = listing(faces)
    assert {name for name in after if "/" in name and before.get(name) != after[name]} == set()


def test_names_with_a_path_in_them_touch_nothing_outside(tmp_path, mp4, capsys):
    videos, out = make_files(tmp_path / "videos"), tmp_path / "deep" / "er" / "faces"
    videos.mkdir()
    precious = tmp_path / "deep" / "x.mp4"
    precious.mkdir(parents=True)
    (precious / "000.jpeg").write_bytes(b"precious")
    (tmp_path / "x.mp4").write_bytes(mp4)
    (videos / "good.mp4").write_bytes(mp4)
    names = [
        "../x.mp4", "../../x.mp4", "a/../../x.mp4", "sub/x.mp4", str(precious), "/abs/x.mp4",
        "..\\..\\x.mp4", "C:\\x.mp4", "\\\\server\\share\\x.mp4", "..", ".", "", "nul\0.mp4",
        "metadata.json", ".lock", ".work-1", "a.mp4#1", "half\ud83d.mp4",
    ]  # fmt: skip
    write_metadata(videos, {"good.mp4": "REAL"} | dict.fromkeys(names, "FAKE"))
    before = listing(tmp_path)
    rows = {row["filename"]: row for row in processing.processing(videos, out, face_size=16)}
    assert rows.pop("good.mp4")["status"] == "ok"
    statuses = [row["status"] for row in rows.values()]
    assert len(statuses) == 7 and set(statuses) == {"missing", "unreadable"}
    assert {"_lock", "_work-1", "a.mp4_1"} <= rows.keys()
    assert all(row["reason"] for row in rows.values())
    assert "11 names in" in capsys.readouterr().out
    after = listing(tmp_path)
    assert {name for name in after if not name.startswith("deep/er")} == before.keys()
    assert (precious / "000.jpeg").read_bytes() == b"precious"
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["good.mp4"]


def test_one_real_video_at_two_qualities_is_one_source_group(tmp_path):
    make_files(tmp_path, "real/c23/a.mp4", "real/c40/a.mp4", "real/c23/b.mp4", "fake/c40/a_x.mp4")
    entries = {video.name: video.entry for video in list_videos([tmp_path])}
    groups = find_source_groups(entries)
    assert groups["real__c23__a.mp4"] == groups["real__c40__a.mp4"] == groups["fake__c40__a_x.mp4"]
    assert groups["real__c23__b.mp4"] != groups["real__c23__a.mp4"]


def test_numbers_of_sequences_are_no_names(tmp_path):
    """WildDeepfake: fake 0 was taken for a fake of real 0."""
    names = [f"{kind}/{number}/{frame}.png" for kind in ("real", "fake") for number in (0, 1)
             for frame in (1, 2)]  # fmt: skip
    make_files(tmp_path, *names)
    assert {video.entry["original"] for video in list_videos([tmp_path])} == {None}
