"""One video: read once, every face in a folder of its own, boxes shared with its fakes."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb, write_metadata

import processing
import sample_data
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.faces import crop_buffer, extraction, following


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of the faces with its bytes; the manifest holds seconds, which differ."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.name not in {"manifest.csv", ".lock"}
    }


def boxes_of(folder: Path) -> list[dict]:
    with (folder / "boxes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def readings(monkeypatch) -> list[Path]:
    """The videos opened, once for each time."""
    opened, real_reader = [], extraction.open_video

    def open_and_note(path):
        opened.append(path)
        return real_reader(path)

    for module in (extraction, following):
        monkeypatch.setattr(module, "open_video", open_and_note)
    return opened


def with_a_pause(frames: np.ndarray, start: int, end: int) -> np.ndarray:
    """Blur away the face from frame `start` to `end - 1`; to cover it would look like a cut."""
    frames = frames.copy()
    for frame in frames[start:end]:
        frame[:] = cv2.GaussianBlur(frame, (0, 0), SIZE / 10)
    return frames


def write_real(folder: Path, frames: np.ndarray, fps: int = 25) -> Path:
    folder.mkdir(exist_ok=True)
    sample_data.write_video(folder / "a.mp4", frames, fps=fps)
    return write_metadata(folder, {"a.mp4": "REAL"})


# Once


def test_a_video_is_read_once(tmp_path, head_frames, readings):
    videos = write_real(tmp_path / "videos", np.concatenate([head_frames] * 3))
    (row,) = processing.processing(videos, tmp_path / "faces")
    assert row["status"] == "ok"
    assert readings == [videos / "a.mp4"]


def test_a_short_pause_needs_no_second_reading(tmp_path, head_frames, readings):
    frames = with_a_pause(np.concatenate([head_frames] * 2), 20, 28)
    videos = write_real(tmp_path / "videos", frames)
    (row,) = processing.processing(videos, tmp_path / "faces")
    assert row["averaged"] >= 6
    assert len(readings) == 1


@pytest.mark.slow
def test_a_pause_longer_than_memory_is_filled_by_a_second_reading(
    tmp_path, head_frames, readings, monkeypatch
):
    monkeypatch.setattr(crop_buffer, "WAITING_BYTES", 1 << 20)  # as 1080p frames fill the default
    frames = with_a_pause(np.concatenate([head_frames] * 4), 20, 70)
    videos = write_real(tmp_path / "videos", frames)
    (row,) = processing.processing(videos, tmp_path / "faces")
    assert row["frames_read"] == len(boxes_of(tmp_path / "faces" / "a.mp4")) == 100
    assert len(readings) == 2


@pytest.mark.slow
@pytest.mark.parametrize("pause", [(0, 0), (0, 6), (20, 28), (20, 70)])
@pytest.mark.parametrize("which", ["main", "all"])
def test_crops_cut_early_are_those_cut_afterwards(tmp_path, head_frames, monkeypatch, pause, which):
    """What is foreseen while reading saves time and changes nothing."""
    videos = write_real(
        tmp_path / "videos", with_a_pause(np.concatenate([head_frames] * 4), *pause)
    )
    processing.processing(videos, tmp_path / "foreseen", faces=which)
    monkeypatch.setattr(crop_buffer.CropBuffer, "add_frame", remember_size_only)
    processing.processing(videos, tmp_path / "afterwards", faces=which)
    assert tree(tmp_path / "foreseen") == tree(tmp_path / "afterwards")


def remember_size_only(buffer, frame):
    buffer._files.frame_sizes.append(frame.size)


def test_little_memory_for_waiting_frames_changes_nothing(tmp_path, head_frames, monkeypatch):
    videos = write_real(tmp_path / "videos", with_a_pause(head_frames, 10, 14))
    processing.processing(videos, tmp_path / "much")
    monkeypatch.setattr(crop_buffer, "WAITING_BYTES", 50_000)
    processing.processing(videos, tmp_path / "little")
    assert tree(tmp_path / "much") == tree(tmp_path / "little")


# Several faces


@pytest.fixture
def two_heads(tmp_path, head_frames) -> Path:
    """A video of two people, the right one there from frame 10 to frame 44."""
    left = np.concatenate([head_frames] * 2)
    right = np.full_like(left, 120)
    right[10:45] = left[10:45, :, ::-1]
    return write_real(tmp_path / "videos", np.concatenate([left, right], axis=2))


def test_with_all_every_face_gets_a_folder_with_the_label_of_its_video(two_heads, tmp_path):
    out = tmp_path / "faces"
    (row,) = processing.processing(two_heads, out, faces="all")
    assert row["faces"] == 2
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == ["a.mp4", "a.mp4#1"]
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["a.mp4#1"] == metadata["a.mp4"] | {"video": "a.mp4"}
    main, further = boxes_of(out / "a.mp4"), boxes_of(out / "a.mp4#1")
    assert len(main) == 50
    assert int(further[0]["frame"]) >= 10
    assert int(further[-1]["frame"]) <= 44
    assert np.mean([float(line["x"]) for line in further]) > SIZE
    assert read_rgb(out / "a.mp4#1" / "000.jpeg").shape == (224, 224, 3)


def test_the_pipeline_reads_further_faces_as_faces_of_the_same_video(two_heads, tmp_path):
    processing.processing(two_heads, tmp_path / "faces", faces="all")
    one, other = list_faces(tmp_path / "faces")
    assert (one.video, other.video) == ("a.mp4", "a.mp4")
    assert one.source_group == other.source_group


def test_main_faces_are_refused_where_all_faces_are(two_heads, tmp_path):
    processing.processing(two_heads, tmp_path / "faces", faces="all")
    with pytest.raises(UserError, match=r"--faces all \(asked for: main\)"):
        processing.processing(two_heads, tmp_path / "faces")


def test_a_second_run_redoes_a_video_that_lost_one_of_its_faces(two_heads, tmp_path):
    out = tmp_path / "faces"
    processing.processing(two_heads, out, faces="all")
    whole = tree(out)
    for path in (out / "a.mp4#1").iterdir():
        path.unlink()
    (out / "a.mp4#1").rmdir()
    processing.processing(two_heads, out, faces="all")
    assert tree(out) == whole


def test_faces_of_an_earlier_file_do_not_stay_behind(two_heads, tmp_path, head_frames):
    out = tmp_path / "faces"
    processing.processing(two_heads, out, faces="all")
    sample_data.write_video(two_heads / "a.mp4", head_frames, fps=25)  # one head now
    (row,) = processing.processing(two_heads, out, faces="all")
    assert row["faces"] == 1
    assert [p.name for p in out.iterdir() if p.is_dir()] == ["a.mp4"]
    assert list(json.loads((out / "metadata.json").read_text())) == ["a.mp4"]


# Boxes of the original


@pytest.fixture
def original_and_fake(tmp_path, head_frames) -> Path:
    """A real video, and a fake of it in which Haar finds no face."""
    folder = write_real(tmp_path / "videos", head_frames)
    hidden = np.full_like(head_frames, 120)
    sample_data.write_video(folder / "0_fake.mp4", hidden, fps=25)
    fake = {"label": "FAKE", "split": "train", "original": "a.mp4"}
    return write_metadata(folder, {"a.mp4": "REAL", "0_fake.mp4": fake})


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 2])
def test_a_fake_is_cut_along_the_boxes_of_its_original(original_and_fake, tmp_path, workers):
    out = tmp_path / "faces"
    rows = processing.processing(original_and_fake, out, share_boxes=True, workers=workers)
    assert [(row["status"], row["boxes_from"]) for row in rows] == [("ok", "a.mp4"), ("ok", "")]
    assert boxes_of(out / "0_fake.mp4") == boxes_of(out / "a.mp4")


def test_boxes_are_found_again_in_a_fake_with_other_frames(
    original_and_fake, tmp_path, head_frames
):
    sample_data.write_video(original_and_fake / "0_fake.mp4", head_frames[:20], fps=25)
    rows = processing.processing(original_and_fake, tmp_path / "faces", share_boxes=True)
    assert [(row["status"], row["boxes_from"]) for row in rows] == [("ok", ""), ("ok", "")]
    assert len(boxes_of(tmp_path / "faces" / "0_fake.mp4")) == 20


def test_shared_boxes_give_the_pixels_that_own_boxes_would(tmp_path, head_frames):
    """Cut along its own boxes as they stand in boxes.csv, a video has the same crops."""
    folder = write_real(tmp_path / "videos", head_frames)
    (folder / "copy.mp4").write_bytes((folder / "a.mp4").read_bytes())
    copy = {"label": "FAKE", "split": "train", "original": "a.mp4"}
    write_metadata(folder, {"a.mp4": "REAL", "copy.mp4": copy})
    _, row = processing.processing(folder, tmp_path / "faces", share_boxes=True)
    assert row["boxes_from"] == "a.mp4"
    of_original = tree(tmp_path / "faces" / "a.mp4")
    del of_original["background.txt"]  # it finds originals, and this one is known
    assert tree(tmp_path / "faces" / "copy.mp4") == of_original


BOXES_HEADER = "frame,time_sec,x,y,w,h,source\n"


@pytest.mark.parametrize(
    "content", ["broken", BOXES_HEADER, f"{BOXES_HEADER}x,0,1,1,1,1,averaged\n"]
)
def test_damaged_boxes_of_an_original_ended_the_run_with_a_traceback(
    original_and_fake, head_frames, tmp_path, content
):
    sample_data.write_video(original_and_fake / "0_fake.mp4", head_frames, fps=25)
    out = tmp_path / "faces"
    processing.processing(original_and_fake, out, share_boxes=True)
    (out / "a.mp4" / "boxes.csv").write_text(content)
    shutil.rmtree(out / "0_fake.mp4")
    rows = processing.processing(original_and_fake, out, share_boxes=True)
    assert [(row["status"], row["boxes_from"]) for row in rows] == [("ok", ""), ("ok", "")]
