"""From videos to folders of faces: the contract on disk, and bad input."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb, rows_of, tree, write_metadata

import processing
import sample_data
from deepfake_detector import parallel
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.manifest import new_row
from deepfake_detector.videos.metadata import Video

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


@pytest.mark.slow
def test_two_processes_write_the_same_faces_as_one(sample_videos, sample_faces, tmp_path):
    processing.processing(sample_videos, tmp_path / "faces", face_size=64, workers=2)
    one, two = tree(sample_faces), tree(tmp_path / "faces")
    one.pop("manifest.csv"), two.pop("manifest.csv")  # holds seconds
    assert one == two


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
        "folder.mp4": ("unreadable", "a folder without numbered pictures"),
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


@pytest.mark.slow
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
    with pytest.raises(UserError, match="No space left on device.*keeps the finished videos"):
        processing.processing(sample_videos, tmp_path / "faces", face_size=32)
    kept = json.loads((tmp_path / "faces" / "metadata.json").read_text())
    assert len(kept) == 2  # ten frames each
    assert {
        p.name for p in (tmp_path / "faces").iterdir() if p.is_dir() and p.name[0] != "."
    } == set(kept)
