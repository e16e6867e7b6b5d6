"""What every script keeps to: outputs, exit codes, signals, standard output, odd surroundings."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import rows_of, write_metadata

import deepfake_detector
import evaluate
import predict
import processing
import sample_data
from deepfake_detector.files import temporary_folder
from deepfake_detector.scoring.trained_model import PRETRAINED

ROOT = Path(__file__).parents[2]
SCRIPTS = ("processing", "train", "evaluate", "predict", "sample_data")


def start(script, *words, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    options["env"] = options.get("env", os.environ).copy()
    options["env"].pop("TF_CPP_MIN_LOG_LEVEL", None)  # which would have TensorFlow talk
    command = [sys.executable, str(ROOT / f"{script}.py"), *map(str, words)]
    return subprocess.Popen(command, **options)


def errors_of(text):
    """Return what stderr holds next to notes, such as that on a metadata.json among videos."""
    return [line for line in text.splitlines() if not line.startswith("note: ")]


def outcome_of(script, *words, **options):
    process = start(script, *words, **options)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


@pytest.fixture
def own_model(tmp_path):
    """A copy of the model that comes with this project, which tests may try to destroy."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.keras", "settings.json"):
        shutil.copy(PRETRAINED / name, run / name)
    return run


# Nothing of the user's is overwritten


@pytest.mark.parametrize("option", ["--json", "--csv"])
@pytest.mark.parametrize("name", ["model.keras", "settings.json"])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_result_in_the_place_of_the_model_left_no_model(
    own_model, one_head, option, name, more, capsys
):
    """`predict.py --json run/model.keras` exited 0, and the model was gone."""
    path = own_model / name
    before = path.read_bytes()
    words = [str(one_head), "--model", str(own_model), option, str(path), *more]
    assert predict.main(words) == 2
    assert f"error: {option} {path} is what this command reads" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_csv_and_json_of_one_name_lost_one_of_the_two(one_head, tmp_path, capsys):
    path = str(tmp_path / "scores")
    assert predict.main([str(one_head), "--csv", path, "--json", path]) == 2
    assert "--csv and --json name the same path" in capsys.readouterr().err


def test_a_csv_that_was_not_written_here_is_not_replaced(one_head, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("filename,label\na.mp4,1\n")
    assert predict.main([str(one_head), "--csv", str(labels)]) == 2
    assert (
        "does not look like a file of this command; give another path, or --o"
        in capsys.readouterr().err
    )
    assert labels.read_text() == "filename,label\na.mp4,1\n"


def test_metadata_of_the_videos_is_not_replaced_by_results(one_head, capsys):
    before = (one_head / "metadata.json").read_text()
    assert predict.main([str(one_head), "--json", str(one_head / "metadata.json")]) == 2
    assert (one_head / "metadata.json").read_text() == before


def test_a_path_that_cannot_be_written_is_said_before_a_video_is_scored(one_head, tmp_path, capsys):
    """After 200 videos, with exit code 2 and the name of a hidden file."""
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "scores.csv"
    assert predict.main([str(one_head), "--csv", str(path)]) == 2
    shown = capsys.readouterr()
    assert f"error: cannot write to --csv {path}" in shown.err
    assert ".partial" not in shown.err
    assert shown.out == ""


def test_an_evaluation_does_not_go_into_the_folder_of_faces(sample_faces, tmp_path, capsys):
    words = ["--data", str(sample_faces), "--out"]
    assert evaluate.main([*words, str(sample_faces)]) == 2
    assert "is what this command reads" in capsys.readouterr().err
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "metrics.json").write_text('{"mine": 1}')
    assert evaluate.main([*words, str(tmp_path / "report")]) == 2
    assert (tmp_path / "report" / "metrics.json").read_text() == '{"mine": 1}'


def test_faces_do_not_go_into_the_folder_of_a_model(one_head, own_model, capsys):
    """With --overwrite the settings.json of the model was replaced by that of faces."""
    before = (own_model / "settings.json").read_bytes()
    words = ["--location", str(one_head), "--save-path", str(own_model), "--overwrite"]
    assert processing.main(words) == 2
    assert (
        "settings.json is there, and does not look like a file of this command"
        in capsys.readouterr().err
    )
    assert (own_model / "settings.json").read_bytes() == before


def test_videos_are_not_made_below_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert sample_data.main(["--out", str(tmp_path / "file" / "videos")]) == 2
    assert "error: cannot write to --out" in capsys.readouterr().err


# Programs can rely on it


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_its_version(script):
    code, out, error = outcome_of(script, "--version")
    assert (code, out, error) == (0, f"deepfake-detector {deepfake_detector.__version__}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_wrong_arguments_are_a_line_of_json_too(script):
    code, out, _ = outcome_of(script, "--json-summary")
    assert code == 2
    assert json.loads(out)["exit_code"] == 2
    assert "required" in json.loads(out)["error"]


def test_an_error_is_a_line_of_json_too(tmp_path, capsys):
    words = ["--location", str(tmp_path / "none"), "--save-path", str(tmp_path), "--json-summary"]
    assert processing.main(words) == 2
    shown = capsys.readouterr()
    assert f"error: {json.loads(shown.out)['error']}\n" == shown.err


def test_settings_of_faces_and_of_synthetic_videos_have_the_version(sample_videos, sample_faces):
    for path in (sample_faces / "settings.json", sample_videos / "sample_settings.json"):
        assert json.loads(path.read_text())["version"] == deepfake_detector.__version__


# Standard output


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="has no such shell")
def test_a_closed_standard_output_is_no_lack_of_room(one_head, run, tmp_path):
    """`>&-` said: make room in the temporary folder."""
    words = f"{one_head} --model {run} --csv {tmp_path / 'a.csv'}"
    shell = f"{sys.executable} {ROOT / 'predict.py'} {words} >&-"
    done = subprocess.run(
        ["sh", "-c", f"unset TF_CPP_MIN_LOG_LEVEL; {shell}"], capture_output=True, text=True
    )
    assert done.returncode in {0, 1}  # a drawn head may have no face
    assert errors_of(done.stderr) == []
    assert (tmp_path / "a.csv").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
@pytest.mark.parametrize("script", ["predict", "sample_data"])
def test_a_full_standard_output_is_named(script, one_head, run, tmp_path):
    words = {
        "predict": [one_head, "--model", run],
        "sample_data": ["--out", tmp_path / "made", "--num-people", 2],
    }
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code, _, error = outcome_of(script, *words[script], stdout=full)
    assert code == {"predict": 2, "sample_data": 1}[script]  # whether something was done
    assert errors_of(error) == ["error: standard output: No space left on device"]


# Signals


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize("delay_sec", [0.5, 2.5])
@pytest.mark.parametrize("script", ["predict", "evaluate"])
def test_a_signal_ends_a_script_in_a_line_at_every_moment(
    script, number, code, word, delay_sec, sample_videos, sample_faces, tmp_path, monkeypatch
):
    """Predict took 13 seconds, and left predict-* behind after SIGTERM."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = {
        "predict": [sample_videos, "--json", tmp_path / "x.json"],
        "evaluate": ["--data", sample_faces, "--out", tmp_path / "report"],
    }
    # Tests that a shell runs in the background are started with Ctrl-C ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = start(script, *words[script])
    finally:
        signal.signal(signal.SIGINT, former)
    time.sleep(delay_sec)
    process.send_signal(number)
    started = time.monotonic()
    _, error = process.communicate()
    assert process.returncode == code
    assert errors_of(error) == [f"{word}: what was finished until now is kept"]
    assert time.monotonic() - started < 6  # 3 on a machine that does nothing else
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("predict-")]


def test_folders_of_dead_processes_are_cleared(tmp_path, monkeypatch):
    """They filled the disk in production."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead, alive = tmp_path / f"predict-{child.pid}-x", tmp_path / f"predict-{os.getpid()}-x"
    foreign = tmp_path / "predict-something"
    for folder in (dead, alive, foreign):
        folder.mkdir()
    with temporary_folder("predict") as own:
        assert not dead.exists()
        assert alive.exists() and foreign.exists()
        assert own.name.startswith(f"predict-{os.getpid()}-")
    assert not own.exists()


# Surroundings


@pytest.mark.slow
@pytest.mark.parametrize("script", ["processing", "evaluate", "predict", "sample_data"])
def test_no_home_no_room_no_unicode_no_current_folder_is_quiet(
    script, sample_videos, sample_faces, run, tmp_path
):
    words = {
        "processing": ["--location", sample_videos, "--save-path", tmp_path / "faces"],
        "evaluate": ["--data", sample_faces, "--model", run, "--out", tmp_path / "report"],
        "predict": [*sorted(sample_videos.glob("*.mp4"))[:2], "--model", run, "--workers", 1],
        "sample_data": ["--out", tmp_path / "videos", "--num-people", 2],
    }
    surroundings = {"HOME": "/dev/null/home", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}
    code, _, error = outcome_of(
        script, *words[script], env={**os.environ, **surroundings}, cwd="/proc"
    )
    assert (code, errors_of(error)) == (0, [])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes there")
def test_a_video_with_an_umlaut_was_a_traceback_where_file_names_are_ascii(one_head, tmp_path):
    shutil.move(one_head / "head.mp4", one_head / "gesicht_ü.mp4")
    write_metadata(one_head, {"gesicht_ü.mp4": "REAL"})
    surroundings = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}
    words = ["--location", one_head, "--save-path", tmp_path / "faces", "--workers", 1]
    code, out, error = outcome_of("processing", *words, env={**os.environ, **surroundings})
    assert (code, errors_of(error)) == (0, [])
    assert out.isascii()
    (row,) = rows_of(tmp_path / "faces" / "manifest.csv")
    assert (row["filename"], row["status"]) == ("gesicht_ü.mp4", "ok")
    assert (tmp_path / "faces" / "gesicht_ü.mp4" / "000.jpeg").is_file()
