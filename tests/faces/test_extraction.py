"""One video: read once, every face in a folder of its own, faces that come late, pictures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import SIZE, read_rgb, rows_of, tree, write_metadata

import processing
import sample_data
from deepfake_detector.console import UserError
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.faces import following
from deepfake_detector.faces.following import split


def boxes_of(folder: Path) -> list[dict]:
    return rows_of(folder / "boxes.csv")


@pytest.fixture
def readings(monkeypatch) -> list[Path]:
    """The videos opened, once for each time."""
    opened, real_reader = [], following.open_video

    def open_and_note(path):
        opened.append(path)
        return real_reader(path)

    monkeypatch.setattr(following, "open_video", open_and_note)
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


# Read once


def test_a_video_with_a_steady_face_is_read_once(tmp_path, head_frames, readings):
    videos = write_real(tmp_path / "videos", np.concatenate([head_frames] * 2))
    (row,) = processing.processing(videos, tmp_path / "faces")
    assert (row["status"], row["averaged"]) == ("ok", 0)
    assert readings == [videos / "a.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize(("which", "pause"), [("main", (15, 40)), ("all", (20, 28))])
def test_crops_kept_while_reading_are_those_of_a_second_reading(
    tmp_path, head_frames, monkeypatch, which, pause
):
    """What is foreseen saves time and changes nothing, however little memory there is for it."""
    frames = with_a_pause(np.concatenate([head_frames] * 2), *pause)
    videos = write_real(tmp_path / "videos", frames)
    results = []
    for name, max_bytes in (("all", 192 << 20), ("some", 1 << 20)):
        monkeypatch.setattr(following, "MAX_BYTES", max_bytes)
        processing.processing(videos, tmp_path / name, faces=which)
        assert len(boxes_of(tmp_path / name / "a.mp4")) == 50
        results.append(tree(tmp_path / name))
        del results[-1]["manifest.csv"]
    assert results[0] == results[1]


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
    one, other = list_faces(out)
    assert (one.video, one.source_group) == (other.video, other.source_group) == ("a.mp4", "a.mp4")
    with pytest.raises(UserError, match=r"--faces all \(asked for: main\)"):
        processing.processing(two_heads, out)


def test_a_lost_face_is_made_again_and_one_of_an_earlier_file_goes(
    two_heads, tmp_path, head_frames
):
    out = tmp_path / "faces"
    processing.processing(two_heads, out, faces="all")
    whole = tree(out)
    for path in (out / "a.mp4#1").iterdir():
        path.unlink()
    (out / "a.mp4#1").rmdir()
    processing.processing(two_heads, out, faces="all")
    assert tree(out).keys() == whole.keys()
    sample_data.write_video(two_heads / "a.mp4", head_frames, fps=25)  # one head now
    (row,) = processing.processing(two_heads, out, faces="all")
    assert row["faces"] == 1
    assert [p.name for p in out.iterdir() if p.is_dir()] == ["a.mp4"]
    assert list(json.loads((out / "metadata.json").read_text())) == ["a.mp4"]


# Faces that come late


def late_video(folder: Path, head_frames: np.ndarray, grey_frames: int) -> Path:
    """Write a video that is grey at first and then shows a head for a second; 25 a second."""
    grey = np.full((grey_frames, SIZE, SIZE, 3), 120, np.uint8)
    return write_real(folder, np.concatenate([grey, head_frames]))


def test_a_face_after_the_first_seconds_is_found_and_the_row_says_from_when_on(
    tmp_path, head_frames
):
    videos = late_video(tmp_path / "videos", head_frames, 50)
    (row,) = processing.processing(videos, tmp_path / "faces", capture_sec=1)
    assert row["status"] == "ok"
    assert row["reason"] == "no face in the first 2.0 seconds; faces from 2.0 seconds on"
    assert row["frames_read"] == 75
    assert row["detected"] + row["averaged"] == 25
    boxes = boxes_of(tmp_path / "faces" / "a.mp4")
    assert [int(box["frame"]) for box in boxes] == list(range(50, 75))
    assert float(boxes[0]["time_sec"]) == pytest.approx(2.0, abs=0.002)
    assert np.ptp(read_rgb(tmp_path / "faces" / "a.mp4" / "000.jpeg")) > 100


def test_late_faces_are_those_that_the_same_seconds_at_the_start_would_give(tmp_path, head_frames):
    """A window does not know what came before it, and crops begin with the face, not the wall."""
    for name, grey_frames in (("early", 0), ("late", 25), ("between", 35)):
        folder = late_video(tmp_path / name, head_frames, grey_frames)
        processing.processing(folder, tmp_path / f"faces_{name}", capture_sec=1)
    early, late, between = (
        boxes_of(tmp_path / f"faces_{name}" / "a.mp4") for name in ("early", "late", "between")
    )
    for one, other in zip(early, late, strict=True):
        assert all(abs(float(one[side]) - float(other[side])) <= 3 for side in "xywh")
    assert between[0]["source"] == "detected"
    assert 35 <= int(between[0]["frame"]) <= 45


@pytest.mark.parametrize(
    ("grey_frames", "search_sec", "fps", "reason"),
    [
        (75, 0, None, "no face in the first 1.0 seconds"),
        (75, 2.5, 5, "no face in the first 2.5 seconds"),
        (30, 60, None, "no face in any of its 30 frames (1.2 seconds)"),
        (30, 60, 5, "no face in any of 6 frames (1.2 seconds)"),
    ],
)
def test_no_face_says_how_far_was_looked_and_gets_no_folder(
    tmp_path, head_frames, grey_frames, search_sec, fps, reason
):
    frames = head_frames if grey_frames == 75 else head_frames[:0]
    videos, out = late_video(tmp_path / "videos", frames, grey_frames), tmp_path / "faces"
    (row,) = processing.processing(videos, out, capture_sec=1, fps=fps, search_sec=search_sec)
    assert (row["status"], row["reason"]) == ("no_face", reason)
    assert not [path for path in out.iterdir() if path.is_dir()]


def test_windows_count_from_the_start_of_the_video_also_after_a_gap_in_its_clock():
    times_sec = (0, 0.04, 11, 15)
    frames = (
        frame_of_image(np.zeros((2, 2, 3), np.uint8), index, time_sec)
        for index, time_sec in enumerate(times_sec)
    )
    windows = [(start, [frame.index for frame in of]) for start, of in split(frames, 5.0)]
    assert windows == [(0, [0, 1]), (10, [2]), (15, [3])]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_video_that_is_turned_without_saying_so_gives_upright_faces(
    tmp_path, head_frames, quarters
):
    """Players show it lying on its side; the cascades found a chin, or nothing."""
    write_real(tmp_path / "upright", head_frames)
    write_real(tmp_path / "turned", np.rot90(head_frames, quarters, axes=(1, 2)))
    (row,) = processing.processing(tmp_path / "turned", tmp_path / "faces")
    assert (row["status"], row["turned"]) == ("ok", 90 * quarters)
    assert row["reason"] == f"turned by {90 * quarters} degrees to show the people upright"
    processing.processing(tmp_path / "upright", tmp_path / "same")
    found, same = (boxes_of(tmp_path / name / "a.mp4")[9] for name in ("faces", "same"))
    assert all(abs(float(found[side]) - float(same[side])) <= 6 for side in "xywh")


def test_a_head_that_leans_before_a_portrait_on_its_side_is_not_turned(tmp_path, head_frames):
    """A guitar and playing cards were a steadier face than a singer who had leaned over it."""
    size = head_frames.shape[1]
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), 30, 1.0)
    leaning = [cv2.warpAffine(frame, matrix, (size, size)) for frame in head_frames]
    portrait = np.rot90(head_frames[:1].repeat(len(leaning), axis=0), axes=(1, 2))
    write_real(tmp_path / "videos", np.concatenate([leaning, portrait], axis=2))
    (row,) = processing.processing(tmp_path / "videos", tmp_path / "faces")
    assert row["turned"] == ""


# Pictures


@pytest.fixture
def pictures(tmp_path, head_frames) -> Path:
    """A photograph of a head, one of none, one that is broken, and the frames of a clip."""
    root = tmp_path / "videos" / "real"
    (root / "clip_1").mkdir(parents=True)
    cv2.imwrite(str(root / "photo.png"), head_frames[0][:, :, ::-1])
    wide = np.zeros((100, 180, 3), np.uint8)
    wide[:, 40:140] = 0, 128, 255  # a bright square in the middle
    cv2.imwrite(str(root / "wide.png"), wide)
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    for number in range(12):
        cv2.imwrite(f"{root}/clip_1/frame_{number}.png", head_frames[number][:, :, ::-1])
    cv2.imwrite(f"{root}/clip_1/frame_12.png", wide)
    return tmp_path / "videos"


def test_photographs_and_folders_of_frames_are_videos(tmp_path, pictures):
    faces = tmp_path / "faces"
    rows = {row["filename"]: row for row in processing.processing(pictures, faces, face_size=64)}
    assert {name: (row["status"], row["frames_read"]) for name, row in rows.items()} == {
        "real__broken.jpg": ("unreadable", ""),
        "real__clip_1": ("ok", 13),
        "real__photo.png": ("ok", 1),
        "real__wide.png": ("no_face", 1),
    }
    assert rows["real__broken.jpg"]["reason"] == "not a picture OpenCV can read"
    assert rows["real__wide.png"]["reason"] == "no face in its only frame"
    (box,) = boxes_of(faces / "real__photo.png")
    assert (box["frame"], box["time_sec"], box["source"]) == ("0", "0.000", "detected")
    times_sec = [float(box["time_sec"]) for box in boxes_of(faces / "real__clip_1")]
    assert times_sec == pytest.approx(np.arange(12) / 25)  # the last one is of another shot
    assert [(t.num_frames, t.is_photograph) for t in list_faces(faces)] == [(12, False), (1, True)]


def test_faces_taken_as_they_are_need_no_detection(tmp_path, pictures, capsys):
    faces = tmp_path / "faces"
    words = ["--location", str(pictures), "--save-path", str(faces), "--faces", "as-is"]
    assert processing.main([*words, "--face-size", "64", "--workers", "0", "--json-summary"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["frames"] == {"detected": 0, "averaged": 0, "as-is": 15}
    (box,) = boxes_of(faces / "real__wide.png")
    assert [float(box[side]) for side in "xywh"] == [40, 0, 100, 100]
    assert box["source"] == "as-is"
    crop = read_rgb(faces / "real__wide.png" / "000.jpeg").astype(int)
    assert np.abs(crop - [255, 128, 0]).max() < 6  # all of the square, no margin
    sides = {box["w"] for box in boxes_of(faces / "real__clip_1")}
    assert sides == {f"{SIZE:.1f}", "100.0"}
