"""Every kind of damaged video: each has its row and its reason, and costs no other video."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import damaged_videos as damaged
import numpy as np
import pytest
from conftest import write_metadata
from odd_videos import FPS, NUM_FRAMES, boxes_of, crops_of, listing, make_faces

import processing
import sample_data

# Name of the video -> status, words of the reason.
NO_FACES = {
    "gone.mp4": ("missing", "it is listed, but there is no such file"),
    "broken_link.mp4": ("missing", "a link to a file that is not there"),
    "folder.mp4": ("unreadable", "a folder without numbered pictures"),
    "pipe.mp4": ("unreadable", "not a file"),
    "locked.mp4": ("unreadable", "no permission to read it"),
    "empty.mp4": ("unreadable", "the file is empty"),
    "zeros.mp4": ("unreadable", "all zero bytes"),
    "text.mp4": ("unreadable", "text, not a video"),
    "page.mp4": ("unreadable", "an HTML page, not a video"),
    "lfs.mp4": ("unreadable", "a Git LFS pointer"),
    "zip.mp4": ("unreadable", "a zip archive, not a video"),
    "picture.mp4": ("unreadable", "a picture that is cut off or damaged"),
    "noise.mp4": ("unreadable", "not a video FFmpeg can decode a frame of"),
    "cut_header.mp4": ("unreadable", "cut off in its header"),
    "cut_header.avi": ("unreadable", "not a video FFmpeg can decode a frame of"),
    "cut_header.mkv": ("unreadable", "cut off in its header"),
    "no_moov.mp4": ("unreadable", "its index (the moov atom) is missing"),
    "half_a_moov.mp4": ("unreadable", "cut off in its header or its index"),
    "no_frame.mp4": ("unreadable", "cut off before its first whole frame"),
    "no_frame.avi": ("unreadable", "cut off before its first whole frame"),
    "sound.mp4": ("unreadable", "sound only, no picture"),
    "sound_wav.mp4": ("unreadable", "sound only, no picture"),
    "sixteen.mp4": ("no_face", "no face in any of its"),
    "two_pixels.avi": ("no_face", "no face in any of its"),
    "wall.mp4": ("no_face", "no face in any of its"),
}
# Videos that end before the last frame their header promises.
END_EARLY = ("cut.mp4", "cut.avi", "cut.mkv", "promises_more.mp4", "promises_more.avi")


@pytest.fixture
def videos(tmp_path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


# Without faces, and why


def write_what_is_no_file(folder: Path) -> None:
    (folder / "broken_link.mp4").symlink_to("nowhere.mp4")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "locked.mp4").write_bytes(b"secret")
    (folder / "locked.mp4").chmod(0)


def write_other_kinds_of_file(folder: Path, picture_rgb: np.ndarray) -> None:
    jpeg = cv2.imencode(".jpeg", picture_rgb)[1].tobytes()
    contents = {
        "empty.mp4": b"",
        "zeros.mp4": bytes(100_000),
        "text.mp4": b"this is no video\n" * 50,
        "page.mp4": b"<!DOCTYPE html>\n<html><title>Sign in to download</title></html>",
        "lfs.mp4": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "zip.mp4": b"PK\x03\x04" + bytes(200),
        "picture.mp4": jpeg[:100],
        "noise.mp4": np.random.default_rng(0).bytes(5000),
        "sound.mp4": damaged.mp4_with_sound_only(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    damaged.write_wav(folder / "sound_wav.mp4")


def write_cut_off(folder: Path, mp4: bytes, avi: bytes, mkv: bytes) -> None:
    in_front = damaged.moov_first(mp4)
    contents = {
        "cut_header.mp4": in_front[:500],
        "cut_header.avi": avi[:300],
        "cut_header.mkv": mkv[:100],
        "no_moov.mp4": damaged.cut_before_moov(mp4),
        "half_a_moov.mp4": mp4[:-400],
        "no_frame.mp4": in_front[: in_front.index(b"mdat") + 4],
        "no_frame.avi": avi[: avi.index(b"movi") + 4],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def write_without_a_face(folder: Path) -> None:
    grey = np.full((5, 96, 96, 3), 120, np.uint8)
    sample_data.write_video(folder / "wall.mp4", grey, FPS)
    sample_data.write_video(folder / "sixteen.mp4", grey[:, :16, :16], FPS)
    damaged.write_as(folder / "two_pixels.avi", grey[:, :2, :2], FPS)


@pytest.fixture(scope="module")
def bad_run(mp4, avi, mkv, head_frames, tmp_path_factory) -> SimpleNamespace:
    """One run over all videos of NO_FACES and a good one in their middle."""
    root = tmp_path_factory.mktemp("bad")
    videos, faces = root / "videos", root / "deep" / "faces"
    videos.mkdir()
    write_what_is_no_file(videos)
    write_other_kinds_of_file(videos, head_frames[0])
    write_cut_off(videos, mp4, avi, mkv)
    write_without_a_face(videos)
    (videos / "good.mp4").write_bytes(mp4)
    write_metadata(videos, dict.fromkeys(["good.mp4", *NO_FACES], "REAL"))
    before = listing(videos)
    rows = processing.processing(videos, faces)
    return SimpleNamespace(root=root, videos=videos, faces=faces, before=before, rows=rows)


def only_row(run: SimpleNamespace, name: str) -> dict:
    (row,) = (row for row in run.rows if row["filename"] == name)
    if name == "locked.mp4" and os.access(run.videos / name, os.R_OK):
        pytest.skip("whoever runs this may read everything")
    return row


@pytest.mark.parametrize("name", NO_FACES)
def test_a_video_without_faces_has_one_row_with_its_status(bad_run, name):
    row = only_row(bad_run, name)
    assert row["status"] == NO_FACES[name][0]
    assert row["reason"]
    assert not (bad_run.faces / name).exists()


@pytest.mark.parametrize("name", NO_FACES)
def test_the_reason_says_what_is_wrong_with_it(bad_run, name):
    assert NO_FACES[name][1] in only_row(bad_run, name)["reason"]


def test_a_good_video_among_bad_ones_is_done_all_the_same(bad_run):
    row = only_row(bad_run, "good.mp4")
    assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", NUM_FRAMES)
    assert len(crops_of(bad_run.faces, "good.mp4")) == NUM_FRAMES
    assert list(json.loads((bad_run.faces / "metadata.json").read_text())) == ["good.mp4"]


def test_bad_videos_are_only_read_and_nothing_is_written_elsewhere(bad_run):
    assert listing(bad_run.videos) == bad_run.before
    assert {path.name for path in bad_run.root.iterdir()} == {"videos", "deep"}
    assert [path.name for path in (bad_run.root / "deep").iterdir()] == ["faces"]
    folders = [path.name for path in bad_run.faces.iterdir() if path.is_dir()]
    assert folders == ["good.mp4"]


# Good as far as they go


@pytest.fixture(scope="module")
def early_run(mp4, avi, mkv, tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("early")
    videos, faces = root / "videos", root / "faces"
    videos.mkdir()
    contents = {
        "cut.mp4": damaged.cut(damaged.moov_first(mp4), 0.5),
        "cut.avi": damaged.cut(avi, 0.5),
        "cut.mkv": damaged.cut(mkv, 0.5),
        "promises_more.mp4": damaged.mp4_with_frame_count(mp4, 1000),
        "promises_more.avi": damaged.avi_with_frame_count(avi, 1000),
        "hole.mp4": damaged.overwrite_middle(mp4),
        "hole.avi": damaged.overwrite_middle(avi),
    }
    for name, content in contents.items():
        (videos / name).write_bytes(content)
    return SimpleNamespace(videos=videos, faces=faces, rows=make_faces(videos, faces))


@pytest.mark.parametrize("name", END_EARLY)
def test_a_video_that_ends_early_gives_the_frames_that_decode(early_run, name):
    """Counts come from what was decoded, not from the header."""
    row = early_run.rows[name]
    assert row["status"] == "ok"
    assert len(crops_of(early_run.faces, name)) == row["frames_read"]
    if name.startswith("cut"):
        assert 5 <= row["frames_read"] < NUM_FRAMES
    else:
        assert row["frames_read"] == NUM_FRAMES


@pytest.mark.parametrize("name", END_EARLY)
def test_a_video_that_ends_early_says_so(early_run, name):
    row = early_run.rows[name]
    promised = 1000 if name.startswith("promises") else NUM_FRAMES
    if name == "cut.mkv":  # its header promises no number of frames
        assert row["reason"] == "damaged (FFmpeg: File ended prematurely)"
    else:
        assert re.search(
            f"ends after [0-9]+ of the {promised} frames its header promises", row["reason"]
        )


def test_a_video_cut_behind_what_was_asked_for_is_as_good_as_whole(early_run, tmp_path):
    rows = make_faces(early_run.videos, tmp_path / "faces", capture_sec=0.2)
    for name in END_EARLY:
        assert (rows[name]["status"], rows[name]["reason"]) == ("ok", ""), name
        assert rows[name]["frames_read"] == 5


@pytest.mark.slow
def test_a_header_that_promises_too_few_frames_does_not_end_the_video(videos, tmp_path, avi):
    for count in (0, 1, 3):
        (videos / f"{count}.avi").write_bytes(damaged.avi_with_frame_count(avi, count))
    rows = make_faces(videos, tmp_path / "faces")
    assert {row["frames_read"] for row in rows.values()} == {NUM_FRAMES}
    assert {(row["status"], row["reason"]) for row in rows.values()} == {("ok", "")}


def test_an_index_of_fewer_frames_is_taken_at_its_word(videos, tmp_path, mp4):
    """The frames of an mp4 are found by its index alone."""
    (videos / "a.mp4").write_bytes(damaged.mp4_with_frame_count(mp4, 9))
    row = make_faces(videos, tmp_path / "faces")["a.mp4"]
    assert (row["status"], row["frames_read"]) == ("ok", 9)


@pytest.mark.parametrize("name", ["hole.mp4", "hole.avi"])
def test_noise_in_the_middle_leaves_the_frames_before_it(early_run, name):
    row = early_run.rows[name]
    assert row["status"] == "ok"
    assert len(crops_of(early_run.faces, name)) == row["frames_read"] >= 8


def test_noise_in_the_middle_leaves_the_frames_behind_it(early_run):
    assert early_run.rows["hole.mp4"]["frames_read"] >= NUM_FRAMES - 3
    assert int(boxes_of(early_run.faces, "hole.mp4")[-1]["frame"]) >= NUM_FRAMES - 3


def test_an_avi_that_only_opencvs_own_reader_opens_is_a_row_and_no_crash(videos, tmp_path, avi):
    """FFmpeg refuses the header; OpenCV's reader of MJPG says it decoded a frame and gives None."""
    lost_header = avi.replace(b"strf", b"xtrf")
    third = [part.start() for part in re.finditer(rb"\xff\xd8\xff", lost_header)][2]
    (videos / "a.avi").write_bytes(damaged.patch(lost_header, third, ">H", 0))
    (videos / "good.avi").write_bytes(avi)
    rows = make_faces(videos, tmp_path / "faces")
    assert (rows["a.avi"]["status"], rows["good.avi"]["status"]) == ("unreadable", "ok")


def test_a_video_of_one_frame_gives_one_face(videos, tmp_path, head_frames):
    sample_data.write_video(videos / "one.mp4", head_frames[:1], FPS)
    row = make_faces(videos, tmp_path / "faces")["one.mp4"]
    assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", 1)
    assert len(crops_of(tmp_path / "faces", "one.mp4")) == 1
