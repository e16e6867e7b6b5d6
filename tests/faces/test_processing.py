"""From videos to folders of faces: the contract on disk, sampling by time, and bad input."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb, write_metadata

import processing
import sample_data
from deepfake_detector import parallel
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.manifest import new_row
from deepfake_detector.videos.metadata import Video
from deepfake_detector.videos.reader import VideoReader

ROOT = Path(__file__).parents[2]


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def one_head(tmp_path, head_frames) -> Path:
    """A folder with one real video of 25 frames at 25 frames a second."""
    folder = tmp_path / "videos"
    folder.mkdir()
    sample_data.write_video(folder / "head.mp4", head_frames, fps=25)
    return write_metadata(folder, {"head.mp4": "REAL"})


# The contract on disk


def test_the_seeds_call_makes_a_folder_of_numbered_square_rgb_jpegs(one_head, tmp_path):
    out = tmp_path / "faces"
    processing.processing(location=str(one_head), save_path=str(out), capture_sec=5, num_vids=500)
    frames = sorted((out / "head.mp4").glob("*.jpeg"))
    assert [frame.name for frame in frames] == [f"{i:03d}.jpeg" for i in range(25)]
    assert read_rgb(frames[0]).shape == (224, 224, 3)
    assert json.loads((out / "metadata.json").read_text()) == {
        "head.mp4": {"label": "REAL", "split": "train", "original": None}
    }
    settings = json.loads((out / "settings.json").read_text())
    assert settings["capture_sec"] == 5
    assert settings["face_size"] == 224
    assert settings["margin_ratio"] == 0.3
    assert settings["contract"] == 2


def test_boxes_csv_has_a_row_for_every_written_frame(one_head, tmp_path):
    processing.processing(location=one_head, save_path=tmp_path / "faces")
    rows = rows_of(tmp_path / "faces" / "head.mp4" / "boxes.csv")
    assert list(rows[0]) == ["frame", "time_sec", "x", "y", "w", "h", "source"]
    assert [int(row["frame"]) for row in rows] == list(range(25))
    assert float(rows[24]["time_sec"]) == pytest.approx(24 / 25, abs=0.002)
    assert {row["source"] for row in rows} <= {"detected", "averaged"}
    assert all(0 < float(row["w"]) < SIZE for row in rows)


def test_colours_are_not_swapped(tmp_path, head_frames):
    """OpenCV thinks in BGR; a reader of the JPEG must find the red that was drawn."""
    tinted = head_frames.astype(np.int16) + [60, 0, -60]
    videos = tmp_path / "videos"
    videos.mkdir()
    sample_data.write_video(videos / "a.mp4", np.clip(tinted, 0, 255).astype(np.uint8), fps=25)
    processing.processing(write_metadata(videos, {"a.mp4": "REAL"}), tmp_path / "faces")
    face = read_rgb(tmp_path / "faces" / "a.mp4" / "000.jpeg").astype(float)
    assert face[..., 0].mean() > face[..., 2].mean() + 60


def test_manifest_counts_what_was_read_detected_and_averaged(one_head, tmp_path):
    (row,) = processing.processing(location=one_head, save_path=tmp_path / "faces")
    (written,) = rows_of(tmp_path / "faces" / "manifest.csv")
    assert written == {name: str(value) for name, value in row.items()}
    assert (row["status"], row["width"], row["height"], row["fps"]) == ("ok", SIZE, SIZE, "25.00")
    assert row["frames_read"] == row["detected"] + row["averaged"] == 25


def test_sources_are_only_read(sample_videos, tmp_path):
    before = tree(sample_videos)
    processing.processing(sample_videos, tmp_path / "faces", num_vids=1)
    assert tree(sample_videos) == before


def test_a_second_folder_is_merged_into_the_same_faces(one_head, tmp_path, head_frames):
    other = tmp_path / "other"
    other.mkdir()
    sample_data.write_video(other / "two.mp4", head_frames[:5], fps=25)
    write_metadata(other, {"two.mp4": "FAKE"})
    processing.processing(one_head, tmp_path / "faces")
    processing.processing(other, tmp_path / "faces")
    merged = json.loads((tmp_path / "faces" / "metadata.json").read_text())
    assert {name: entry["label"] for name, entry in merged.items()} == {
        "head.mp4": "REAL",
        "two.mp4": "FAKE",
    }
    assert len(rows_of(tmp_path / "faces" / "manifest.csv")) == 2


def test_two_processes_write_the_same_faces_as_one(sample_videos, sample_faces, tmp_path):
    processing.processing(sample_videos, tmp_path / "faces", face_size=64, workers=2)
    one, two = tree(sample_faces), tree(tmp_path / "faces")
    one.pop("manifest.csv"), two.pop("manifest.csv")  # holds seconds
    assert one == two


# Sampling by the video's own clock


def frames_of(path: Path, capture_sec: float, fps: float | None) -> list[tuple[int, float]]:
    """Return index and time of the frames that are kept."""
    with VideoReader(path) as reader:
        return [(frame.index, frame.time_sec) for frame in reader.frames(capture_sec, fps)]


@pytest.mark.parametrize(("fps", "expected"), [(10, 10), (25, 25), (50, 50)])
def test_one_second_is_one_second_at_any_frame_rate(tmp_path, head_frames, fps, expected):
    """The seed takes 60 frames for a second whatever the video's rate."""
    frames = np.concatenate([head_frames] * 4)
    sample_data.write_video(tmp_path / "a.mp4", frames, fps=fps)
    kept = frames_of(tmp_path / "a.mp4", capture_sec=1, fps=None)
    assert len(kept) == expected


def test_fps_keeps_that_many_frames_a_second_spread_evenly(tmp_path, head_frames):
    sample_data.write_video(tmp_path / "a.mp4", head_frames, fps=25)
    kept = frames_of(tmp_path / "a.mp4", capture_sec=5, fps=5)
    assert [index for index, _ in kept] == [0, 5, 10, 15, 20]
    assert [round(time_sec, 2) for _, time_sec in kept] == [0, 0.2, 0.4, 0.6, 0.8]


def test_asking_for_more_frames_than_there_are_keeps_all(tmp_path, head_frames):
    sample_data.write_video(tmp_path / "a.mp4", head_frames, fps=25)
    assert len(frames_of(tmp_path / "a.mp4", capture_sec=5, fps=100)) == 25


def test_a_thousand_frames_still_sort_by_name(tmp_path, head_frames):
    small = np.stack([cv2.resize(frame, (96, 96)) for frame in head_frames])
    sample_data.write_video(tmp_path / "long.mp4", np.concatenate([small] * 41)[:1001], fps=50)
    write_metadata(tmp_path, {"long.mp4": "REAL"})
    processing.processing(tmp_path, tmp_path / "faces", capture_sec=60, face_size=16)
    names = sorted(path.name for path in (tmp_path / "faces" / "long.mp4").glob("*.jpeg"))
    assert names == [f"{i:04d}.jpeg" for i in range(1001)]


# Bad videos: named, with a reason, and nothing else lost


def damaged(folder: Path, good: bytes) -> dict[str, tuple[str, str]]:
    """Write one file of each kind of damage; return the expected status and reason by name."""
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    (folder / "header_only.mp4").write_bytes(good[:200])
    (folder / "folder.mp4").mkdir()
    return {
        "empty.mp4": ("unreadable", "is empty"),
        "text.mp4": ("unreadable", "text, not a video"),
        "header_only.mp4": ("unreadable", "cut off"),
        "folder.mp4": ("unreadable", "not a file"),
        "gone.mp4": ("missing", "no such file"),
        "../escape.mp4": ("invalid_entry", "is a path"),
    }


def test_bad_videos_do_not_stop_the_run_and_each_has_its_reason(one_head, tmp_path):
    expected = damaged(one_head, (one_head / "head.mp4").read_bytes())
    write_metadata(one_head, {"head.mp4": "REAL"} | dict.fromkeys(expected, "FAKE"))
    out = tmp_path / "deep" / "faces"
    rows = {row["filename"]: row for row in processing.processing(one_head, out)}
    assert rows.keys() == {"head.mp4", *expected}
    for name, (status, reason) in expected.items():
        assert rows[name]["status"] == status, name
        assert reason in rows[name]["reason"], name
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["head.mp4"]
    assert list(json.loads((out / "metadata.json").read_text())) == ["head.mp4"]
    assert not list(tmp_path.rglob("escape*"))


def die_on_purpose(video):
    """Stands in for a decoder that crashes: the process is gone, without an exception."""
    if video.name.startswith("deadly"):
        os._exit(139)
    return new_row(video) | {"status": "ok"}


def test_a_video_that_kills_its_worker_costs_no_other_video(tmp_path):
    names = [f"{i}.mp4" for i in range(20)] + ["deadly_1.mp4", "deadly_2.mp4"]
    videos = [Video(name, tmp_path / name) for name in sorted(names)]
    rows, deaths = [], []

    def record_death(video, seconds):
        deaths.append(video)

    parallel.run_in_processes(die_on_purpose, videos, rows.append, record_death, workers=2)
    assert sorted(row["filename"] for row in rows) == sorted(names)[:20]
    assert sorted(video.name for video in deaths) == ["deadly_1.mp4", "deadly_2.mp4"]


def test_a_video_cut_off_in_the_middle_gives_the_frames_that_decode(tmp_path, head_frames):
    """Counts come from what was decoded, not from the header."""
    whole = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter_fourcc(*"MJPG"), 25, (SIZE, SIZE))
    for frame in head_frames:
        writer.write(frame[:, :, ::-1])
    writer.release()
    data = whole.read_bytes()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "cut.avi").write_bytes(data[: len(data) // 2])
    write_metadata(tmp_path / "videos", {"cut.avi": "REAL"})
    (row,) = processing.processing(tmp_path / "videos", tmp_path / "faces")
    assert row["status"] == "ok"
    assert 5 <= row["frames_read"] < 25
    assert len(list((tmp_path / "faces" / "cut.avi").glob("*.jpeg"))) == row["frames_read"]


def test_a_video_without_a_face_is_a_status_of_its_own_and_gets_no_folder(tmp_path):
    grey = np.full((12, 96, 96, 3), 120, np.uint8)
    sample_data.write_video(tmp_path / "wall.mp4", grey, fps=12)
    write_metadata(tmp_path, {"wall.mp4": "REAL"})
    (row,) = processing.processing(tmp_path, tmp_path / "faces")
    assert (row["status"], row["frames_read"], row["detected"]) == ("no_face", 12, 0)
    assert not (tmp_path / "faces" / "wall.mp4").exists()


def test_unwritable_or_full_disk_stops_with_one_sentence_and_keeps_what_was_done(
    sample_videos, tmp_path, monkeypatch
):
    real_write, written = Path.write_bytes, []

    def write_until_full(path, data):
        written.append(path)
        if len(written) > 25:
            raise OSError(28, "No space left on device")
        return real_write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_until_full)
    with pytest.raises(UserError, match="No space left on device.*finished videos are kept"):
        processing.processing(sample_videos, tmp_path / "faces", face_size=32)
    kept = json.loads((tmp_path / "faces" / "metadata.json").read_text())
    assert len(kept) == 2  # ten frames each
    assert {
        p.name for p in (tmp_path / "faces").iterdir() if p.is_dir() and p.name[0] != "."
    } == set(kept)


# A second run


def test_a_second_run_leaves_finished_videos_alone(sample_videos, sample_faces):
    def stamps():
        return {path: path.stat().st_mtime_ns for path in sample_faces.rglob("*.jpeg")}

    before = stamps()
    rows = processing.processing(sample_videos, sample_faces, face_size=64)
    assert stamps() == before
    assert len(rows) == 16


def test_a_run_that_was_killed_is_finished_by_the_same_command(
    sample_videos, tmp_path, sample_faces
):
    out = tmp_path / "faces"
    processing.processing(sample_videos, out, face_size=64, num_vids=3)
    half_done = out / ".work-killed" / "person_000"
    half_done.mkdir(parents=True)
    (half_done / "000.jpeg").write_bytes(b"half")
    with (out / "manifest.csv").open("a") as file:
        file.write("person_001.mp4,somewhere,o")  # the line the kill cut short
    processing.processing(sample_videos, out, face_size=64)
    finished, expected = tree(out), tree(sample_faces)
    finished.pop("manifest.csv"), expected.pop("manifest.csv")
    assert finished == expected


def test_a_manifest_with_other_columns_is_made_again_instead_of_crashing(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    manifest = tmp_path / "faces" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("bytes", "weight"))
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "ok"
    assert rows_of(manifest) == [{name: str(value) for name, value in row.items()}]


def test_other_settings_on_old_faces_are_refused_with_both_values(sample_videos, sample_faces):
    with pytest.raises(UserError, match=r"face_size=64 \(asked for: 96\)"):
        processing.processing(sample_videos, sample_faces, face_size=96)


def test_videos_that_moved_to_another_disk_are_not_done_again(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    before = (tmp_path / "faces" / "head.mp4" / "000.jpeg").stat().st_mtime_ns
    moved = one_head.rename(tmp_path / "other_disk")
    processing.processing(moved, tmp_path / "faces")
    assert (tmp_path / "faces" / "head.mp4" / "000.jpeg").stat().st_mtime_ns == before


def test_faces_stay_when_their_video_is_deleted_afterwards(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    (one_head / "head.mp4").unlink()
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "ok"
    assert "head.mp4" in json.loads((tmp_path / "faces" / "metadata.json").read_text())


def test_a_video_replaced_by_one_without_a_face_loses_its_old_faces(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces")
    grey = np.full((12, 96, 96, 3), 120, np.uint8)
    sample_data.write_video(one_head / "head.mp4", grey, fps=12)
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "no_face"
    assert not (tmp_path / "faces" / "head.mp4").exists()


def test_another_video_of_the_same_name_does_not_replace_the_first(one_head, tmp_path, head_frames):
    processing.processing(one_head, tmp_path / "faces")
    part_2 = tmp_path / "part_2"
    part_2.mkdir()
    sample_data.write_video(part_2 / "head.mp4", head_frames[:9], fps=25)
    with pytest.raises(UserError, match="holds the faces of another head.mp4, from .*videos"):
        processing.processing(write_metadata(part_2, {"head.mp4": "REAL"}), tmp_path / "faces")


def test_an_interrupted_overwrite_leaves_no_mixture(sample_videos, tmp_path, monkeypatch):
    out = tmp_path / "faces"
    processing.processing(sample_videos, out, face_size=32)
    real_process, done = processing.process_video, []

    def stop_after_three(task, **words):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task.video.name)
        return real_process(task, **words)

    monkeypatch.setattr(processing, "process_video", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        processing.processing(sample_videos, out, face_size=48, overwrite=True)
    assert list(json.loads((out / "metadata.json").read_text())) == sorted(done)
    monkeypatch.undo()
    processing.processing(sample_videos, out, face_size=48)
    assert {read_rgb(path).shape for path in out.glob("*/*.jpeg")} == {(48, 48, 3)}


def test_overwrite_makes_the_faces_again(one_head, tmp_path):
    processing.processing(one_head, tmp_path / "faces", face_size=64)
    processing.processing(one_head, tmp_path / "faces", face_size=32, overwrite=True)
    assert read_rgb(tmp_path / "faces" / "head.mp4" / "000.jpeg").shape == (32, 32, 3)


def test_a_folder_that_holds_something_else_is_not_touched(one_head, tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter_1.txt").write_text("precious")
    with pytest.raises(UserError, match="is not empty and holds no settings.json"):
        processing.processing(one_head, out)
    assert [path.name for path in out.iterdir()] == ["chapter_1.txt"]


def test_faces_cannot_be_saved_among_the_videos(one_head):
    with pytest.raises(UserError, match="apart from the videos"):
        processing.processing(one_head, one_head)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"capture_sec": 0}, "capture_sec is 0.0"),
        ({"fps": -1}, "fps is -1"),
        ({"face_size": 4}, "face_size is 4"),
        ({"margin_ratio": -0.5}, "margin_ratio is -0.5"),
        ({"num_vids": 0}, "num_vids is 0"),
    ],
)
def test_impossible_settings_are_one_sentence(one_head, tmp_path, words, sentence):
    with pytest.raises(UserError, match=sentence):
        processing.processing(one_head, tmp_path / "faces", **words)


# The command


def test_command_ends_with_a_summary_that_names_every_video_without_faces(
    one_head, tmp_path, capsys
):
    (one_head / "text.mp4").write_text("no video")
    (one_head / "unlisted.mp4").touch()
    write_metadata(one_head, {"head.mp4": "REAL", "text.mp4": "FAKE"})
    arguments = ["--location", str(one_head), "--save-path", str(tmp_path / "f"), "--workers", "1"]
    assert processing.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "videos ok" in printed
    assert "frames detected" in printed
    assert "no faces: text.mp4: unreadable" in printed
    assert "unlisted.mp4 stands in no metadata.json" in printed


def test_contact_sheet_has_a_strip_for_every_video_and_marks_averaged_frames(
    tmp_path, head_frames, capsys
):
    videos, out = tmp_path / "videos", tmp_path / "faces"
    videos.mkdir()
    covered = np.array(head_frames)
    covered[10:15] = 127  # no face for a moment
    sample_data.write_video(videos / "seen.mp4", head_frames, fps=25)
    sample_data.write_video(videos / "covered.mp4", covered, fps=25)
    write_metadata(videos, {"seen.mp4": "REAL", "covered.mp4": "FAKE"})
    words = ["--location", videos, "--save-path", out, "--workers", "1", "--contact-sheet"]
    assert processing.main([str(word) for word in words]) == 0
    (page,) = out.glob("contact_sheet_*.jpeg")
    assert f"contact sheet: {page}" in capsys.readouterr().out
    sheet = read_rgb(page).astype(int)
    assert sheet.shape == (2 * 96, 300 + 12 * 96, 3)
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 90) & (sheet[..., 2] < 90)
    assert red[:96].any()  # covered.mp4
    assert not red[96:].any()


def test_command_with_nothing_usable_is_an_error(tmp_path, capsys):
    write_metadata(tmp_path, {"gone.mp4": "REAL"})
    arguments = ["--location", str(tmp_path), "--save-path", str(tmp_path / "faces")]
    assert processing.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: none of 1 videos gave any faces")


def test_wrong_path_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert processing.main(["--location", str(tmp_path / "x"), "--save-path", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_another_layout_is_recognised_printed_and_told_apart_by_name(tmp_path, head_frames, capsys):
    for kind in ("real", "fake/swap"):
        folder = tmp_path / "mine" / kind
        folder.mkdir(parents=True)
        sample_data.write_video(folder / "a.mp4", head_frames[:9], fps=25)
    out = tmp_path / "faces"
    words = ["--location", str(tmp_path / "mine"), "--save-path", str(out), "--workers", "1"]
    assert processing.main(words) == 0
    assert "mine: layout real-fake" in capsys.readouterr().out
    assert json.loads((out / "metadata.json").read_text()) == {
        "fake__swap__a.mp4": {
            "label": "FAKE",
            "split": "train",
            "original": "real__a.mp4",
            "method": "swap",
        },
        "real__a.mp4": {"label": "REAL", "split": "train", "original": None},
    }
    assert processing.main([*words, "--layout", "celebdf"]) == 2
    assert "is not laid out as celebdf" in capsys.readouterr().err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "half", "1/0", "1"])
def test_a_shard_that_is_none_is_one_sentence(one_head, tmp_path, capsys, shard):
    words = ["--location", str(one_head), "--save-path", str(tmp_path / "faces")]
    assert processing.main([*words, "--shard", shard]) == 2
    assert f"shard is {shard!r}; give part/parts, such as 2/8" in capsys.readouterr().err
    assert not (tmp_path / "faces").exists()


def test_a_shard_without_videos_is_no_error(one_head, tmp_path):
    words = ["--location", str(one_head), "--save-path", str(tmp_path / "faces")]
    assert processing.main([*words, "--shard", "2/2"]) == 0


def test_ctrl_c_stops_with_one_line_and_an_index_that_fits_the_folders(sample_videos, tmp_path):
    out = tmp_path / "faces"
    words = ["--location", sample_videos, "--save-path", out, "--workers", "2"]
    command = [sys.executable, "processing.py", *map(str, words)]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored by all they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while run.poll() is None and not list(out.glob("person_*")):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 130
    assert run.stderr.read() == "interrupted: what was finished until now is kept\n"
    folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert list(json.loads((out / "metadata.json").read_text())) == folders
    assert 0 < len(folders) < 16


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close differently there")
def test_a_reader_that_has_seen_enough_gets_no_traceback(one_head, tmp_path):
    words = ["processing.py", "--location", one_head, "--save-path", tmp_path / "faces"]
    run = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait() in {1, 141}  # rich ends with 1 when it is the one to notice


def test_a_damaged_video_leaves_the_terminal_alone(one_head, tmp_path):
    """OpenCV and FFmpeg write warnings of their own to stderr."""
    whole = (one_head / "head.mp4").read_bytes()
    (one_head / "cut.mp4").write_bytes(whole[:300])
    write_metadata(one_head, {"head.mp4": "REAL", "cut.mp4": "FAKE"})
    for workers in (None, 1):
        call = f"processing.processing({str(one_head)!r}, {str(tmp_path)!r} + '/faces_{workers}', "
        script = f"import processing\nif __name__ == '__main__': {call}workers={workers})"
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert run.stderr == ""


def test_processing_does_not_import_tensorflow():
    """Worker processes import it again; TensorFlow would cost each of them seconds."""
    check = "import processing, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
