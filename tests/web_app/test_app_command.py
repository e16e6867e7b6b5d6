"""python app.py: what it refuses, and what it says about who can reach the page."""

import socket

import pytest

import app
from deepfake_detector.web_app.address import is_this_machine_only, listen, say_address


def test_a_model_that_is_not_there_is_said_before_anything_starts(tmp_path, capsys):
    assert app.main(["--model", str(tmp_path / "none.keras")]) == 2
    assert "none.keras; give --model" in capsys.readouterr().err


def test_a_damaged_model_is_said_before_anything_starts(tmp_path, capsys):
    settings = (app.trained_model.PRETRAINED / "settings.json").read_text()
    (tmp_path / "settings.json").write_text(settings)
    (tmp_path / "model.keras").write_bytes(b"no model")
    assert app.main(["--model", str(tmp_path)]) == 2
    assert "model.keras is damaged; give another one with --model" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_with_what_to_do(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert app.main(["--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--port {port}" in line and "give another port, or 0 for a free one" in line


@pytest.mark.parametrize("words", [["--port", "70000"], ["--host", "no.such.host.invalid"]])
def test_an_address_that_is_none_is_said(words, capsys):
    assert app.main(words) == 2
    assert capsys.readouterr().err.startswith("error: cannot listen at --host")


def test_the_page_is_for_this_machine_unless_asked_otherwise(capsys):
    assert app.app_arguments().parse_args([]).host == "127.0.0.1"
    say_address("127.0.0.1", 7860, no_browser=True)
    printed = capsys.readouterr()
    assert "http://127.0.0.1:7860" in printed.out and not printed.err
    say_address("0.0.0.0", 7860, no_browser=True)
    assert "everybody who reaches this machine" in capsys.readouterr().err
    assert [is_this_machine_only(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert not is_this_machine_only("0.0.0.0") and not is_this_machine_only("192.168.0.7")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--upload-mb", "0"], "--upload-mb is 0; it must be 1 or more"),
        (["--longest-sec", "nan"], "--longest-sec is nan; it must be a number of seconds above 0"),
    ],
)
def test_a_limit_that_is_none_is_said(words, sentence, capsys):
    assert app.main(words) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_port_0_takes_a_free_one():
    with listen("127.0.0.1", 0) as one, listen("127.0.0.1", 0) as other:
        assert one.getsockname()[1] != other.getsockname()[1]


def test_each_operating_point_that_the_model_has_can_be_chosen():
    tasks = app.tasks_of(None)
    assert list(tasks) == ["equal-error", "fpr-5", "half"]  # there were too few videos for fpr-1
    assert tasks["fpr-5"].rule.threshold > tasks["equal-error"].rule.threshold
