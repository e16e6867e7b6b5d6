"""Every kind of odd or damaged video: each has its row and its reason, and costs no other video."""

import csv
import json
import os
import re
import stat
from pathlib import Path
from types import SimpleNamespace

import cv2
import damaged_videos as damaged
import numpy as np
import pytest
from conftest import SIZE, read_rgb, write_metadata

import processing
import sample_data

NUM_FRAMES, FPS = 20, 25

# Name of the video -> status, words of the reason.
NO_FACES = {
    "gone.mp4": ("missing", "listed in metadata.json, but no such file"),
    "broken_link.mp4": ("missing", "a link to a file that is not there"),
    "folder.mp4": ("unreadable", "a folder, not a file"),
    "pipe.mp4": ("unreadable", "not a file"),
    "locked.mp4": ("unreadable", "no permission to read it"),
    "empty.mp4": ("unreadable", "the file is empty"),
    "zeros.mp4": ("unreadable", "all zero bytes"),
    "text.mp4": ("unreadable", "text, not a video"),
    "page.mp4": ("unreadable", "an HTML page, not a video"),
    "lfs.mp4": ("unreadable", "a Git LFS pointer"),
    "zip.mp4": ("unreadable", "a zip archive, not a video"),
    "picture.mp4": ("unreadable", "a picture, not a video"),
    "noise.mp4": ("unreadable", "not a video OpenCV can decode a frame of"),
    "cut_header.mp4": ("unreadable", "cut off in its header"),
    "cut_header.avi": ("unreadable", "not a video OpenCV can decode a frame of"),
    "cut_header.mkv": ("unreadable", "not a video OpenCV can decode a frame of"),
    "no_moov.mp4": ("unreadable", "its index (the moov atom) is missing"),
    "half_a_moov.mp4": ("unreadable", "cut off in its index"),
    "no_frame.mp4": ("unreadable", "cut off before its first whole frame"),
    "no_frame.avi": ("unreadable", "not a video OpenCV can decode a frame of"),
    "sound.mp4": ("unreadable", "sound only, no picture"),
    "sound_wav.mp4": ("unreadable", "sound only, no picture"),
    "sixteen.mp4": ("no_face", "no face in any frame"),
    "two_pixels.avi": ("no_face", "no face in any frame"),
    "wall.mp4": ("no_face", "no face in any frame"),
}
# Videos that end before the last frame their header promises.
END_EARLY = ("cut.mp4", "cut.avi", "cut.mkv", "promises_more.mp4", "promises_more.avi")


def listing(folder: Path) -> dict[str, tuple]:
    """Return mode, size and time of change of everything below a folder, links not followed."""
    stats = {path: path.lstat() for path in sorted(folder.rglob("*"))}
    return {
        str(path.relative_to(folder)): (found.st_mode, found.st_size, found.st_mtime_ns)
        for path, found in stats.items()
    }


def boxes_of(faces: Path, name: str) -> list[dict]:
    with (faces / name / "boxes.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def crops_of(faces: Path, name: str) -> list[np.ndarray]:
    return [read_rgb(path) for path in sorted((faces / name).glob("*.jpeg"))]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def make_faces(videos: Path, faces: Path, **words) -> dict[str, dict]:
    """Run on all files of a folder and return the manifest rows by name."""
    names = sorted(path.name for path in videos.iterdir() if path.name != "metadata.json")
    write_metadata(videos, dict.fromkeys(names, "REAL"))
    return {row["filename"]: row for row in processing.processing(videos, faces, **words)}


@pytest.fixture(scope="module")
def mp4(head_frames, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    sample_data.write_video(path, head_frames[:NUM_FRAMES], FPS)
    return path.read_bytes()


@pytest.fixture(scope="module")
def avi(head_frames, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.avi"
    damaged.write_as(path, head_frames[:NUM_FRAMES], FPS)
    return path.read_bytes()


@pytest.fixture(scope="module")
def mkv(head_frames, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.mkv"
    damaged.write_as(path, head_frames[:NUM_FRAMES], FPS)
    return path.read_bytes()


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
    sentence = f"ends after {row['frames_read']} of the {promised} frames its header promises"
    assert row["reason"] == sentence


def test_a_video_cut_behind_what_was_asked_for_is_as_good_as_whole(early_run, tmp_path):
    rows = make_faces(early_run.videos, tmp_path / "faces", capture_sec=0.2)
    for name in END_EARLY:
        assert (rows[name]["status"], rows[name]["reason"]) == ("ok", ""), name
        assert rows[name]["frames_read"] == 5


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


# Time


def test_a_variable_frame_rate_is_cut_and_timed_by_the_real_clock(videos, tmp_path, mp4):
    """Ten frames in 0.2 s, then ten at 0.1 s each: the mean rate of the header tells neither."""
    durations_sec = [0.02] * 10 + [0.1] * 10
    (videos / "a.mp4").write_bytes(damaged.mp4_with_uneven_frames(mp4, durations_sec))
    row = make_faces(videos, tmp_path / "faces", capture_sec=0.5)["a.mp4"]
    shown_sec = np.cumsum([0, *durations_sec[:-1]])
    expected = shown_sec[shown_sec < 0.5 - 1e-6]
    assert (row["status"], row["reason"], row["frames_read"]) == ("ok", "", len(expected))
    boxes = boxes_of(tmp_path / "faces", "a.mp4")
    assert [float(box["time_sec"]) for box in boxes] == pytest.approx(expected, abs=0.001)
    assert len(crops_of(tmp_path / "faces", "a.mp4")) == len(boxes)


def test_frames_a_second_are_counted_by_the_real_clock(videos, tmp_path, mp4):
    durations_sec = [0.02] * 10 + [0.1] * 10
    (videos / "a.mp4").write_bytes(damaged.mp4_with_uneven_frames(mp4, durations_sec))
    make_faces(videos, tmp_path / "faces", fps=5)
    boxes = boxes_of(tmp_path / "faces", "a.mp4")
    shown_sec = [float(box["time_sec"]) for box in boxes]
    assert shown_sec == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0], abs=0.001)


@pytest.mark.parametrize(
    ("microsec", "scale", "rate"),
    [(0, 0, 0), (40_000, 1, 0), (40_000, 0, 25), (0, 1, 25), (2**32 - 1, 1, 25)],
)
def test_an_avi_without_a_usable_frame_rate_is_read_whole(
    videos, tmp_path, avi, microsec, scale, rate
):
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, microsec, scale, rate))
    row = make_faces(videos, tmp_path / "faces")["a.avi"]
    assert (row["status"], row["frames_read"]) == ("ok", NUM_FRAMES)
    assert float(boxes_of(tmp_path / "faces", "a.avi")[-1]["time_sec"]) == pytest.approx(0.76)


@pytest.mark.parametrize(("ticks_a_second", "ticks_a_frame"), [(10**9, 1), (2**32 - 1, 1), (90, 0)])
def test_an_absurd_frame_rate_still_gives_faces(
    videos, tmp_path, mp4, ticks_a_second, ticks_a_frame
):
    content = damaged.mp4_with_frame_rate(mp4, ticks_a_second, ticks_a_frame)
    (videos / "a.mp4").write_bytes(content)
    row = make_faces(videos, tmp_path / "faces")["a.mp4"]
    assert row["status"] == "ok"
    assert 1 <= row["frames_read"] <= NUM_FRAMES
    times_sec = [float(box["time_sec"]) for box in boxes_of(tmp_path / "faces", "a.mp4")]
    assert times_sec == sorted(times_sec)


def test_frames_years_apart_are_cut_after_the_first(videos, tmp_path, mp4, avi):
    (videos / "a.mp4").write_bytes(damaged.mp4_with_frame_rate(mp4, 1, 10**6))
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, 40_000, 2**32 - 1, 1))
    rows = make_faces(videos, tmp_path / "faces")
    assert {(row["status"], row["frames_read"]) for row in rows.values()} == {("ok", 1)}


def test_faces_are_found_in_a_time_lapse_of_one_frame_in_two_seconds(videos, tmp_path, avi):
    (videos / "a.avi").write_bytes(damaged.avi_with_frame_rate(avi, 2_000_000, 2, 1))
    row = make_faces(videos, tmp_path / "faces", capture_sec=20)["a.avi"]
    assert (row["status"], row["frames_read"], row["fps"]) == ("ok", 10, "0.50")


# Pictures of odd form


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_film_from_a_turned_phone_gives_upright_faces(videos, tmp_path, head_frames, degrees):
    """The phone stores what its sensor saw and writes into the header how to turn it."""
    upright = head_frames[:NUM_FRAMES, :, 8:-8]
    stored = np.rot90(upright, k=degrees // 90, axes=(1, 2))
    sample_data.write_video(videos / "turned.mp4", stored, FPS)
    content = damaged.mp4_rotated((videos / "turned.mp4").read_bytes(), degrees)
    (videos / "turned.mp4").write_bytes(content)
    sample_data.write_video(videos / "upright.mp4", upright, FPS)
    rows = make_faces(videos, tmp_path / "faces")
    assert rows["turned.mp4"]["status"] == "ok"
    assert (rows["turned.mp4"]["width"], rows["turned.mp4"]["height"]) == (SIZE - 16, SIZE)
    turned, same = (crops_of(tmp_path / "faces", f"{name}.mp4") for name in ("turned", "upright"))
    assert len(turned) == len(same) == NUM_FRAMES
    assert difference(turned[9], same[9]) < difference(np.flipud(turned[9]), same[9]) / 2


@pytest.mark.parametrize(("width", "height"), [(161, 163), (159, 97), (99, 160), (131, 131)])
def test_odd_sizes_give_whole_square_faces(videos, tmp_path, head_frames, width, height):
    frames = np.stack([cv2.resize(frame, (163, 163)) for frame in head_frames[:NUM_FRAMES]])
    left, top = (163 - width) // 2, (163 - height) // 2
    frames = frames[:, top : top + height, left : left + width]
    damaged.write_as(videos / "odd.avi", frames, FPS, backend=cv2.CAP_OPENCV_MJPEG)
    row = make_faces(videos, tmp_path / "faces", face_size=64)["odd.avi"]
    assert (row["status"], row["width"], row["height"]) == ("ok", width, height)
    crops = crops_of(tmp_path / "faces", "odd.avi")
    assert [crop.shape for crop in crops] == [(64, 64, 3)] * NUM_FRAMES


@pytest.mark.parametrize("fourcc", ["MJPG", "FFV1", "Y800"])
def test_a_film_in_grey_gives_grey_faces(videos, tmp_path, head_frames, fourcc):
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in head_frames[:NUM_FRAMES]])
    damaged.write_as(videos / "grey.avi", grey, FPS, fourcc)
    row = make_faces(videos, tmp_path / "faces")["grey.avi"]
    assert (row["status"], row["frames_read"]) == ("ok", NUM_FRAMES)
    face = crops_of(tmp_path / "faces", "grey.avi")[0].astype(int)
    assert np.ptp(face, axis=2).max() <= 6
    assert np.std(face) > 10


def test_two_frames_of_8k_give_faces(videos, tmp_path, head_frames):
    frames = np.zeros((2, 4320, 7680, 3), np.uint8)
    for frame, small in zip(frames, head_frames, strict=False):
        frame[:, 1680:6000] = cv2.resize(small, (4320, 4320), interpolation=cv2.INTER_LINEAR)
    damaged.write_as(videos / "8k.avi", frames, FPS)
    row = make_faces(videos, tmp_path / "faces")["8k.avi"]
    assert (row["status"], row["width"], row["height"]) == ("ok", 7680, 4320)
    assert len(crops_of(tmp_path / "faces", "8k.avi")) == 2


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
        ("real", "the label is 'real'"),
        ({"split": "train"}, "the label is None"),
        ({"label": 1}, "the label is 1"),
        ({"label": ["FAKE"]}, "the label is ['FAKE']"),
        ({"label": "FAKE", "original": ["a.mp4"]}, "the original is not the name of a video"),
        (["FAKE"], "the entry is ['FAKE'], not an object"),
        (None, "the entry is None, not an object"),
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
