"""The command processing.py: what it prints, refuses, and does on Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, read_rgb, write_metadata

import processing
import sample_data


@pytest.mark.slow
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
    assert "no index file calls real or fake, left out: 1 (.mp4 1): unlisted.mp4" in printed


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
    words = ["--location", videos, "--save-path", out, "--workers", "1", "--contact-sheet"]
    assert processing.main([str(word) for word in words]) == 0
    (page,) = out.glob("contact_sheet_*.jpeg")
    assert f"contact sheet: {page}" in capsys.readouterr().out
    sheet = read_rgb(page).astype(int)
    assert sheet.shape == (2 * 96, 300 + 12 * 96, 3)
    red = (sheet[..., 0] > 200) & (sheet[..., 1] < 90) & (sheet[..., 2] < 90)
    assert red[:96].any()  # covered.mp4
    assert not red[96:].any()


@pytest.mark.slow
def test_command_with_nothing_usable_is_an_error(tmp_path, capsys):
    write_metadata(tmp_path, {"gone.mp4": "REAL"})
    arguments = ["--location", str(tmp_path), "--save-path", str(tmp_path / "faces")]
    assert processing.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: no faces in 1 video; ")


def test_wrong_path_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert processing.main(["--location", str(tmp_path / "x"), "--save-path", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.slow
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
    assert (
        f"shard is {shard!r}; it must be a part and the number of parts, such as 2/8"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "faces").exists()


def test_a_shard_without_videos_is_no_error(one_head, tmp_path):
    words = ["--location", str(one_head), "--save-path", str(tmp_path / "faces")]
    assert processing.main([*words, "--shard", "2/2"]) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no Ctrl-C to send there")
@pytest.mark.parametrize("sync_sec", [0, 30])
def test_ctrl_c_stops_with_one_line_and_an_index_that_fits_the_folders(
    sample_videos, tmp_path, sync_sec
):
    """On a slow disk the index came after os.sync(), for which an interrupted run has no time."""
    sync = f"import os, time\nos.sync = lambda: time.sleep({sync_sec})\n"
    (tmp_path / "sitecustomize.py").write_text(sync)
    out = tmp_path / "faces"
    words = ["--location", sample_videos, "--save-path", out, "--workers", "2"]
    run = subprocess.Popen(
        [sys.executable, "processing.py", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
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
    folders = sorted(path.name for path in out.glob("person_*"))
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


@pytest.mark.slow
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
