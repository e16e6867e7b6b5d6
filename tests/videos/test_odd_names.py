"""File names and metadata entries of every kind: each video has its row, nothing else changes."""

import json
import os
import stat
from pathlib import Path

import pytest
from conftest import write_metadata
from odd_videos import listing, make_faces

import processing


@pytest.fixture
def videos(tmp_path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


# Names

ODD_NAMES = [
    "two words.mp4",
    " ",
    'it\'s "quoted".mp4',
    "two\nlines.mp4",
    "carriage\r\nreturn.mp4",
    "tab\there.mp4",
    "видео.mp4",
    "ビデオ.mp4",
    "😀.mp4",
    "e\u0301.mp4",  # a letter and its accent on their own
    "-rf.mp4",
    ".hidden.mp4",
    "no_suffix",
    "UPPER.MP4",
    "a%03d.mp4",
    "a*?[x].mp4",
    "12:30.mp4",
    "file:a.mp4",
    "comma,semi;.mp4",
    "=1+1.mp4",
    "$(true) `true` & | .mp4",
    "x" * 240 + ".mp4",
]


def test_every_name_that_a_file_can_have_comes_through(videos, tmp_path, mp4):
    for name in ODD_NAMES:
        (videos / name).write_bytes(mp4)
    rows = make_faces(videos, tmp_path / "faces", capture_sec=0.2, face_size=32)
    index = json.loads((tmp_path / "faces" / "metadata.json").read_text(encoding="utf-8"))
    assert set(rows) == set(index) == set(ODD_NAMES)
    for name in ODD_NAMES:
        assert rows[name]["status"] == "ok", name
        assert len(list((tmp_path / "faces" / name).glob("*.jpeg"))) == 5, name


@pytest.mark.slow
def test_a_second_run_knows_odd_names_again(videos, tmp_path, mp4):
    for name in ODD_NAMES:
        (videos / name).write_bytes(mp4)
    make_faces(videos, tmp_path / "faces", capture_sec=0.2, face_size=32)
    before = listing(tmp_path / "faces")
    make_faces(videos, tmp_path / "faces", capture_sec=0.2, face_size=32)
    after = listing(tmp_path / "faces")
    assert {name for name in after if "/" in name and before[name] != after[name]} == set()


@pytest.mark.parametrize("num_bytes", [200, 250])
def test_the_longest_names_come_through(videos, tmp_path, mp4, num_bytes):
    name = "x" * (num_bytes - 4) + ".mp4"
    (videos / name).write_bytes(mp4)
    (videos / "good.mp4").write_bytes(mp4)
    rows = make_faces(videos, tmp_path / "faces")
    assert (rows[name]["status"], rows["good.mp4"]["status"]) == ("ok", "ok")


def test_a_listed_name_too_long_for_any_file_is_a_row(videos, tmp_path, mp4):
    (videos / "good.mp4").write_bytes(mp4)
    write_metadata(videos, {"good.mp4": "REAL", "x" * 300 + ".mp4": "FAKE"})
    good, long = processing.processing(videos, tmp_path / "faces")
    assert (good["status"], long["status"]) == ("ok", "invalid_entry")


def test_a_listed_name_with_half_a_character_is_a_row(videos, tmp_path, mp4):
    """JSON can say what no UTF-8 file can hold."""
    (videos / "good.mp4").write_bytes(mp4)
    write_metadata(videos, {"good.mp4": "REAL", "half\ud83d.mp4": "FAKE"})
    good, half = processing.processing(videos, tmp_path / "faces")
    assert good["status"] == "ok"
    assert half["status"] in {"missing", "invalid_entry"}


def test_a_name_with_a_colon_in_the_current_folder_is_no_address(
    videos, tmp_path, mp4, monkeypatch
):
    (videos / "12:30.mp4").write_bytes(mp4)
    write_metadata(videos, {"12:30.mp4": "REAL"})
    monkeypatch.chdir(videos)
    (row,) = processing.processing(".", tmp_path / "faces")
    assert row["status"] == "ok"


@pytest.mark.parametrize("name", [".manifest.csv.partial", ".good.mp4.partial"])
def test_a_video_named_like_a_partial_file_of_ours_takes_nothing_away(videos, tmp_path, mp4, name):
    (videos / name).write_bytes(mp4)
    (videos / "good.mp4").write_bytes(mp4)
    rows = make_faces(videos, tmp_path / "faces", capture_sec=0.2)
    assert rows["good.mp4"]["status"] == "ok"
    for listed in json.loads((tmp_path / "faces" / "metadata.json").read_text()):
        assert (tmp_path / "faces" / listed).is_dir(), listed


def test_a_link_to_a_good_video_is_a_good_video(videos, tmp_path, mp4):
    (tmp_path / "elsewhere.bin").write_bytes(mp4)
    (videos / "link.mp4").symlink_to(tmp_path / "elsewhere.bin")
    rows = make_faces(videos, tmp_path / "faces")
    assert rows["link.mp4"]["status"] == "ok"
    assert stat.S_ISLNK((videos / "link.mp4").lstat().st_mode)


def test_a_link_into_a_folder_one_may_not_enter_is_a_row(videos, tmp_path, mp4):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "a.mp4").write_bytes(mp4)
    (videos / "good.mp4").write_bytes(mp4)
    (videos / "link.mp4").symlink_to(tmp_path / "private" / "a.mp4")
    (tmp_path / "private").chmod(0)
    if os.access(videos / "link.mp4", os.R_OK):
        pytest.skip("whoever runs this may read everything")
    try:
        rows = make_faces(videos, tmp_path / "faces")
    finally:
        (tmp_path / "private").chmod(0o700)
    assert rows["good.mp4"]["status"] == "ok"
    assert (rows["link.mp4"]["status"], rows["link.mp4"]["reason"]) == (
        "unreadable",
        "no permission to read it",
    )


# Entries of the metadata that lead elsewhere


def test_names_with_a_path_in_them_touch_nothing_outside(videos, tmp_path, mp4):
    out, precious = tmp_path / "deep" / "er" / "faces", tmp_path / "deep" / "x.mp4"
    precious.mkdir(parents=True)
    (precious / "000.jpeg").write_bytes(b"precious")
    (tmp_path / "x.mp4").write_bytes(mp4)
    (videos / "good.mp4").write_bytes(mp4)
    names = [
        "../x.mp4",
        "../../x.mp4",
        "a/../../x.mp4",
        "sub/x.mp4",
        "./good.mp4",
        str(precious),
        "/abs/x.mp4",
        "..\\..\\x.mp4",
        "C:\\x.mp4",
        "\\\\server\\share\\x.mp4",
        "..",
        ".",
        "",
        "nul\0.mp4",
        "metadata.json",
        "manifest.csv",
        "settings.json",
    ]
    write_metadata(videos, {"good.mp4": "REAL"} | dict.fromkeys(names, "FAKE"))
    before = listing(tmp_path)
    rows = {row["filename"]: row for row in processing.processing(videos, out)}
    assert rows.keys() == {"good.mp4", *(name.replace("\0", "\\0") for name in names)}
    assert rows.pop("good.mp4")["status"] == "ok"
    assert {row["status"] for row in rows.values()} == {"invalid_entry"}
    after = listing(tmp_path)
    outside = {name: found for name, found in after.items() if not name.startswith("deep/er")}
    assert outside.keys() == before.keys()
    assert (precious / "000.jpeg").read_bytes() == b"precious"
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["good.mp4"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("really", "the label is 'really'"),
        ({"split": "train"}, "it has no label"),
        ({"label": 1}, "the label is 1"),
        ({"label": ["FAKE"]}, "the label is ['FAKE']"),
        ({"label": "FAKE", "original": ["a.mp4"]}, "the original is not the name of a video"),
        (["FAKE"], 'the entry is ["FAKE"], not an object'),
        (None, "the entry is null, not an object"),
    ],
)
def test_an_entry_without_a_usable_label_is_a_row_with_its_reason(
    videos, tmp_path, mp4, entry, reason
):
    for name in ("good.mp4", "odd.mp4"):
        (videos / name).write_bytes(mp4)
    write_metadata(videos, {"good.mp4": "REAL", "odd.mp4": entry})
    good, odd = processing.processing(videos, tmp_path / "faces", capture_sec=0.1)
    assert good["status"] == "ok"
    assert odd["status"] == "invalid_entry"
    assert reason in odd["reason"]


def test_a_list_of_other_files_is_not_read_as_one_of_them(videos, tmp_path, mp4):
    """FFmpeg opens what the list names, and gave the frames of another video for its own."""
    (videos / "good.mp4").write_bytes(mp4)
    (videos / "list.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (videos / "stream.mp4").write_text("#EXTM3U\n#EXTINF:1,\ngood.mp4\n")
    rows = make_faces(videos, tmp_path / "faces")
    assert rows["good.mp4"]["status"] == "ok"
    for name in ("list.mp4", "stream.mp4"):
        assert rows[name]["status"] == "unreadable"
        assert rows[name]["reason"] == "a list of other files to play, not a video"
