"""Every kind of damaged video: each has its row and its reason, and costs no other video."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import damaged_videos as damaged
import numpy as np
import pytest
from conftest import write_metadata
from odd_videos import FPS, NUM_FRAMES, boxes_of, crops_of, listing, make_faces

import processing

# Name of the video -> status, words of the reason; more of these in decoding/test_diagnosis.py.
NO_FACES = {
    "gone.mp4": ("missing", "it is listed, but there is no such file"),
    "broken_link.mp4": ("missing", "a link to a file that is not there"),
    "folder.mp4": ("unreadable", "a folder without numbered pictures"),
    "pipe.mp4": ("unreadable", "not a file"),
    "empty.mp4": ("unreadable", "the file is empty"),
    "no_moov.mp4": ("unreadable", "its index (the moov atom) is missing"),
    "no_frame.avi": ("unreadable", "cut off before its first whole frame"),
    "two_pixels.avi": ("no_face", "no face in any of its"),
}


def write_bad_videos(folder: Path, mp4: bytes, avi: bytes) -> None:
    (folder / "broken_link.mp4").symlink_to("nowhere.mp4")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "empty.mp4").touch()
    (folder / "no_moov.mp4").write_bytes(damaged.cut_before_moov(mp4))
    (folder / "no_frame.avi").write_bytes(avi[: avi.index(b"movi") + 4])
    damaged.write_as(folder / "two_pixels.avi", np.full((5, 2, 2, 3), 120, np.uint8), FPS)


@pytest.fixture(scope="module")
def bad_run(mp4, avi, tmp_path_factory) -> SimpleNamespace:
    """One run over all videos of NO_FACES and a good one in their middle."""
    root = tmp_path_factory.mktemp("bad")
    videos, faces = root / "videos", root / "deep" / "faces"
    videos.mkdir()
    write_bad_videos(videos, mp4, avi)
    (videos / "good.mp4").write_bytes(mp4)
    write_metadata(videos, dict.fromkeys(["good.mp4", *NO_FACES], "REAL"))
    before = listing(videos)
    rows = {row["filename"]: row for row in processing.processing(videos, faces, face_size=32)}
    return SimpleNamespace(root=root, videos=videos, faces=faces, before=before, rows=rows)


@pytest.mark.parametrize("name", NO_FACES)
def test_a_video_without_faces_has_one_row_that_says_what_is_wrong_with_it(bad_run, name):
    status, words = NO_FACES[name]
    assert bad_run.rows[name]["status"] == status
    assert words in bad_run.rows[name]["reason"]


def test_bad_videos_cost_no_good_one_and_nothing_else_is_written_or_changed(bad_run):
    assert bad_run.rows.keys() == {"good.mp4", *NO_FACES}
    row = bad_run.rows["good.mp4"]
    assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", NUM_FRAMES)
    assert len(crops_of(bad_run.faces, "good.mp4")) == NUM_FRAMES
    assert list(json.loads((bad_run.faces / "metadata.json").read_text())) == ["good.mp4"]
    assert [path.name for path in bad_run.faces.iterdir() if path.is_dir()] == ["good.mp4"]
    assert listing(bad_run.videos) == bad_run.before
    assert {path.name for path in bad_run.root.iterdir()} == {"videos", "deep"}
    assert [path.name for path in (bad_run.root / "deep").iterdir()] == ["faces"]


# Good as far as they go


# Videos that end before the last frame their header promises.
END_EARLY = ("cut.mp4", "cut.avi", "cut.mkv", "promises_more.mp4", "promises_more.avi")


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
        "promises_fewer.avi": damaged.avi_with_frame_count(avi, 3),
        "lists_fewer.mp4": damaged.mp4_with_frame_count(mp4, 9),
        "hole.mp4": damaged.overwrite_middle(mp4),
        "hole.avi": damaged.overwrite_middle(avi),
    }
    for name, content in contents.items():
        (videos / name).write_bytes(content)
    rows = make_faces(videos, faces, face_size=32)
    return SimpleNamespace(videos=videos, faces=faces, rows=rows)


@pytest.mark.parametrize("name", END_EARLY)
def test_a_video_that_ends_early_gives_the_frames_that_decode_and_says_so(early_run, name):
    """Counts come from what was decoded, not from the header."""
    row = early_run.rows[name]
    assert row["status"] == "ok"
    assert len(crops_of(early_run.faces, name)) == row["detected"] + row["averaged"]
    promised = 1000 if name.startswith("promises") else NUM_FRAMES
    assert row["frames_read"] == NUM_FRAMES if promised == 1000 else 5 <= row["frames_read"] < 20
    says = f"ends after [0-9]+ of the {promised} frames its header promises"
    if name == "cut.mkv":  # its header promises no number of frames
        says = r"damaged \(FFmpeg: File ended prematurely\)"
    assert re.search(says, row["reason"])


def test_a_video_cut_behind_what_was_asked_for_is_as_good_as_whole(early_run, tmp_path):
    rows = make_faces(early_run.videos, tmp_path / "faces", capture_sec=0.2, face_size=32)
    for name in END_EARLY:
        row = rows[name]
        assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", 5), name


def test_a_header_of_too_few_frames_does_not_end_the_video_but_an_index_does(early_run):
    """The frames of an mp4 are found by its index alone."""
    for name, count in (("promises_fewer.avi", NUM_FRAMES), ("lists_fewer.mp4", 9)):
        row = early_run.rows[name]
        assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", count), name


def test_noise_in_the_middle_is_a_cut_and_the_longer_part_has_the_face(early_run):
    for name in ("hole.mp4", "hole.avi"):
        row = early_run.rows[name]
        assert (row["status"], row["frames_read"] >= 8) == ("ok", True)
        indices = [int(box["frame"]) for box in boxes_of(early_run.faces, name)]
        assert indices == list(range(indices[0], indices[0] + len(indices)))
        assert len(indices) == len(crops_of(early_run.faces, name)) >= 8
