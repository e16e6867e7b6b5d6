"""What all scripts print in the same way, and settings that are written once."""

import argparse
from dataclasses import dataclass

import pytest

from deepfake_detector.console import (
    ArgumentError,
    UserError,
    add_settings,
    command,
    counted,
    say,
    setting,
    settings_from,
)


@dataclass(frozen=True)
class Settings:
    margin_ratio: float = setting(0.3, "space around the face", option="--margin")
    fps: float | None = setting(None, "frames a second (default: all)")
    overwrite: bool = setting(False, "replace files")
    quality: int = 95  # is no option

    def __post_init__(self):
        if self.margin_ratio < 0:
            raise ArgumentError("margin_ratio", self.margin_ratio, "a number from 0", "--margin")


def test_a_setting_is_written_once_and_is_option_argument_and_default(capsys):
    parser = argparse.ArgumentParser()
    add_settings(parser, Settings)
    assert settings_from(parser.parse_args([]), Settings) == Settings()
    args = parser.parse_args(["--margin", "0.5", "--fps", "5", "--overwrite"])
    assert settings_from(args, Settings) == Settings(0.5, 5.0, True)
    told = " ".join(parser.format_help().split())
    assert "--margin N space around the face (0.3)" in told
    assert "quality" not in told


def test_an_argument_out_of_its_range_is_named_as_it_was_given(capsys):
    """`--margin -1` was answered by "margin_ratio is -1.0"."""
    with pytest.raises(UserError, match="^margin_ratio is -1; it must be a number from 0"):
        Settings(-1.0)
    assert command(lambda argv: Settings(-1.0))([]) == 2
    assert capsys.readouterr().err == "error: --margin is -1; it must be a number from 0\n"


def test_an_error_of_the_system_is_one_line_with_the_file(capsys):
    def full_disk(argv):
        raise OSError(28, "No space left on device", "/disk/a.csv")

    assert command(full_disk)([]) == 2
    assert capsys.readouterr().err == "error: /disk/a.csv: No space left on device\n"


def test_what_is_printed_fits_one_line_of_any_terminal_and_counts_as_people_do(capsys):
    say("two\nlines \ud83d.mp4")
    assert capsys.readouterr().out == "two\\nlines \\ud83d.mp4\n"
    counts = [counted(number, "video") for number in (0, 1, 1000)]
    assert [*counts, counted(2, "person", "people")] == [
        "0 videos", "1 video", "1,000 videos", "2 people",
    ]  # fmt: skip
