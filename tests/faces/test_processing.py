"""processing.py, from Python and as a command: the contract on disk, what it prints and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SIZE, make_files, read_rgb, rows_of, tree, write_metadata

import processing
import sample_data
from deepfake_detector.console import UserError
from deepfake_detector.videos.content import content_of


def words_for(videos: Path, faces: Path, *more: str) -> list[str]:
    where = ["--location", str(videos), "--save-path", str(faces)]
    return [*where, "--workers", "1", *more]


# The contract on disk


def test_the_seeds_call_makes_a_folder_of_numbered_square_rgb_jpegs(one_head, tmp_path):
    out, sources = tmp_path / "faces", tree(one_head)
    (row,) = processing.processing(
        location=str(one_head), save_path=str(out), capture_sec=5, num_vids=500
    )
    frames = sorted((out / "head.mp4").glob("*.jpeg"))
    assert [frame.name for frame in frames] == [f"{i:03d}.jpeg" for i in range(25)]
    assert read_rgb(frames[0]).shape == (224, 224, 3)
    content = content_of(one_head / "head.mp4")
    assert json.loads((out / "metadata.json").read_text()) == {
        "head.mp4": {"label": "REAL", "split": "train", "original": None, "content": content}
    }
    settings = json.loads((out / "settings.json").read_text())
    named = {name: settings[name] for name in ("capture_sec", "face_size", "margin_ratio")}
    assert named == {"capture_sec": 5, "face_size": 224, "margin_ratio": 0.3}
    (written,) = rows_of(out / "manifest.csv")
    assert written == {name: str(value) for name, value in row.items()}
    assert (row["status"], row["width"], row["height"], row["fps"]) == ("ok", SIZE, SIZE, "25.00")
    assert row["frames_read"] == row["detected"] + row["averaged"] == 25
    assert tree(one_head) == sources  # only read
    boxes = rows_of(out / "head.mp4" / "boxes.csv")
    assert list(boxes[0]) == ["frame", "time_sec", "x", "y", "w", "h", "source"]
    assert [int(box["frame"]) for box in boxes] == list(range(25))
    assert float(boxes[24]["time_sec"]) == pytest.approx(24 / 25, abs=0.002)
    assert {box["source"] for box in boxes} <= {"detected", "averaged"}
    assert all(0 < float(box["w"]) < SIZE for box in boxes)


def test_colours_are_not_swapped(tmp_path, head_frames):
    """OpenCV thinks in BGR; a reader of the JPEG must find the red that was drawn."""
    tinted = head_frames.astype(np.int16) + [60, 0, -60]
    videos = tmp_path / "videos"
    videos.mkdir()
    sample_data.write_video(videos / "a.mp4", np.clip(tinted, 0, 255).astype(np.uint8), fps=25)
    processing.processing(write_metadata(videos, {"a.mp4": "REAL"}), tmp_path / "faces")
    face = read_rgb(tmp_path / "faces" / "a.mp4" / "000.jpeg").astype(float)
    assert face[..., 0].mean() > face[..., 2].mean() + 60


@pytest.mark.slow
def test_two_processes_write_the_same_faces_as_one(sample_videos, sample_faces, tmp_path):
    processing.processing(sample_videos, tmp_path / "faces", face_size=64, workers=2)
    one, two = tree(sample_faces), tree(tmp_path / "faces")
    one.pop("manifest.csv"), two.pop("manifest.csv")  # holds seconds
    assert one == two


def test_a_full_disk_stops_with_one_sentence_and_keeps_what_was_done(
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
    monkeypatch.undo()
    done = [row["filename"] for row in rows_of(tmp_path / "faces" / "manifest.csv")]
    assert len(done) == 2  # ten frames each
    folders = [path.name for path in (tmp_path / "faces").glob("person*")]
    assert sorted(folders) == sorted(done)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpeg")}
    assert len(processing.processing(sample_videos, tmp_path / "faces", face_size=32)) == 16
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_video_that_takes_too_long_is_a_row_that_says_so_and_is_tried_again(
    one_head, tmp_path, workers
):
    words = {"timeout_sec": 1e-6, "workers": workers}
    (row,) = processing.processing(one_head, tmp_path / "faces", **words)
    reason = "took longer than 1e-06 seconds; give it more with --timeout-sec"
    assert (row["status"], row["reason"]) == ("failed", reason)
    (row,) = processing.processing(one_head, tmp_path / "faces")
    assert row["status"] == "ok"


# The command


@pytest.mark.slow
def test_the_command_says_what_was_understood_and_names_every_video_without_faces(
    tmp_path, mp4, capsys
):
    videos = make_files(tmp_path / "mine", "other/unlisted.mp4", "fake/swap/a.mp4", "real/text.mp4")
    (videos / "real/text.mp4").write_text("no video")
    for path in ("real/a.mp4", "fake/swap/a.mp4"):
        (videos / path).write_bytes(mp4 + path.encode())
    words = words_for(videos, tmp_path / "faces", "--json-summary", "--capture-sec", "0.2")
    assert processing.main(words) == 0
    printed = capsys.readouterr().out
    assert "mine: 3 videos; folder words fake, real" in printed
    assert "no faces: real__text.mp4: unreadable: text, not a video" in printed
    assert "calls real or fake, left out: 1 (.mp4 1): other/unlisted.mp4" in printed
    summary = json.loads(printed.splitlines()[-1])
    assert summary["statuses"] == {"ok": 2, "unreadable": 1}
    entries = json.loads((tmp_path / "faces" / "metadata.json").read_text())
    assert {name: (e["label"], e["original"]) for name, e in entries.items()} == {
        "fake__swap__a.mp4": ("FAKE", "real__a.mp4"),
        "real__a.mp4": ("REAL", None),
    }


@pytest.mark.slow
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
    assert processing.main(words_for(videos, out, "--contact-sheet")) == 0
    (page,) = out.glob("contact_sheet_*.jpeg")
    assert f"contact sheet: {page}" in capsys.readouterr().out
    sheet = read_rgb(page).astype(int)
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 90) & (sheet[..., 2] < 90)
    half = len(sheet) // 2
    assert red[:half].any()  # covered.mp4
    assert not red[half:].any()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--location", "nowhere"], "error: nowhere does not exist; give a folder of videos\n"),
        (["--margin", "-1"], "error: --margin is -1; it must be a number from 0\n"),
        (["--num-vids", "3"], "error: no video to process: none that index files list is there"),
        ([], "error: no faces in 1 video; "),
    ],
)
def test_a_command_that_cannot_work_is_one_line_and_exit_code_2(tmp_path, capsys, words, sentence):
    write_metadata(tmp_path, {"gone.mp4": "REAL"})
    assert processing.main(words_for(tmp_path, tmp_path / "faces", *words)) == 2
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1


# Its processes


@pytest.mark.slow
@pytest.mark.parametrize("guard", ["", "if __name__ == '__main__': "])
def test_a_script_without_the_guard_of_a_main_module_is_told_which_line_to_add(
    one_head, tmp_path, guard
):
    """540 lines of tracebacks, exit code 0, and for every video "may crash the decoder". With the
    guard nothing is said: neither by OpenCV and FFmpeg about the damaged video."""
    (one_head / "cut.mp4").write_bytes((one_head / "head.mp4").read_bytes()[:300])
    write_metadata(one_head, {"head.mp4": "REAL", "cut.mp4": "FAKE"})
    call = f"processing.processing({str(one_head)!r}, {str(tmp_path / 'faces')!r}, workers=2)\n"
    script = tmp_path / "mine.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport processing\n{guard}{call}"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    if guard:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode != 0
        assert done.stderr.count("Traceback") == done.stderr.count("UserError: ") == 1
        assert 'put the call below the line  if __name__ == "__main__":' in done.stderr
    again = processing.processing(one_head, tmp_path / "faces")
    assert [row["status"] for row in again] == ["unreadable", "ok"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close differently there")
def test_a_reader_that_has_seen_enough_gets_no_traceback(one_head, tmp_path):
    run = subprocess.Popen(
        [sys.executable, "processing.py", *words_for(one_head, tmp_path / "faces")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait() in {1, 141}  # rich ends with 1 when it is the one to notice
