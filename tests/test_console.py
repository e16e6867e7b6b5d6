"""What all scripts print in the same way."""

import pytest

from deepfake_detector.console import ArgumentError, UserError, command, counted
from deepfake_detector.face_dataset.settings import FaceSettings


@pytest.mark.parametrize(
    ("wrong", "in_python", "typed"),
    [
        ({"margin_ratio": -1.0}, "margin_ratio is -1; it must be", "--margin is -1; it must be"),
        ({"capture_sec": 0.0}, "capture_sec is 0; it must", "--capture-sec is 0; it must"),
        ({"faces": ""}, "faces is ''; it must be main", "--faces is ''; it must be main"),
    ],
)
def test_an_option_was_named_as_nobody_types_it(wrong, in_python, typed, capsys):
    """`processing.py --margin -1` answered "margin_ratio is -1.0"."""
    with pytest.raises(UserError, match=in_python):
        FaceSettings(**wrong)
    assert command(lambda argv: FaceSettings(**wrong))([]) == 2
    assert capsys.readouterr().err.startswith(f"error: {typed}")


def test_seconds_without_end_are_not_called_too_few():
    """ "capture_sec is inf; it must be above 0 seconds"."""
    with pytest.raises(ArgumentError, match="inf; it must be a number of seconds above 0"):
        FaceSettings(capture_sec=float("inf"))


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 videos"), (1, "1 video"), (2, "2 videos"), (1000, "1,000 videos")]
)
def test_one_video_is_no_videos(number, text):
    assert counted(number, "video") == text
    assert counted(1, "person", "people") == "1 person"
