"""Addresses and cameras given as videos: what to do, in one sentence."""

from pathlib import Path

import pytest

import predict
import processing
from deepfake_detector.console import UserError
from deepfake_detector.scoring.trained_model import find_model
from deepfake_detector.videos import search
from deepfake_detector.videos.addresses import local_path

REMEDIES = {
    "https://example.org/a.mp4": "download it first, such as with: curl -LO 'https://example.org/",
    "HTTPS://example.org/watch?v=1": r"\(from a page: yt-dlp 'https://example.org/watch\?v=1'\)",
    "https:/example.org/a.mp4": "curl -LO 'https://example.org/a.mp4'",  # as pathlib leaves it
    "http://example.org/live.m3u8?key=1": "record it first.* -i 'http://example.org/live.m3u8",
    "s3://bucket/a.mp4": "is an address, and only files are read; download it first",
    "rtsp://camera.local/stream": "ffmpeg -t 10 -i 'rtsp://camera.local/stream' -c copy recording",
    "file:///home/ada/a.mp4": "give the path alone: /home/ada/a.mp4",
    "0": "no file or folder 0; if a camera is meant, record it first.* -i /dev/video0 camera.mkv",
    "/dev/video12": "-i /dev/video12 camera.mkv",
}


@pytest.mark.parametrize("place", REMEDIES)
def test_an_address_or_a_camera_is_told_how_to_become_a_file(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=REMEDIES[place]):
        search.find_videos([place])
    with pytest.raises(UserError, match=REMEDIES[place]):
        processing.processing(location=place, save_path=tmp_path / "faces")


def test_the_commands_say_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place = "https://example.org/a.mp4"
    assert processing.main(["--location", place, "--save-path", "faces"]) == 2
    monkeypatch.setattr(predict, "prepare_task", lambda *options: None)
    assert predict.main(["--model", "run", place]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"error: {place} is an address") for line in lines)


@pytest.mark.parametrize("name", ["0", "https:/a.mp4", "12:30.mp4", "note:/a.mp4"])
def test_a_file_that_is_called_so_is_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).touch()
    assert search.find_videos([name]) == [Path(name)]


@pytest.mark.parametrize("name", ["missing.mp4", "C:/videos/a.mp4", "2024", "12:30.mp4", "a" * 300])
def test_a_path_without_a_file_stays_a_path(name):
    assert local_path(name) == Path(name)


@pytest.mark.parametrize("place", ["https://example.org/a", Path("https://example.org/a")])
def test_an_address_is_shown_as_it_was_given(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for take in (local_path, find_model):
        with pytest.raises(UserError, match="\\Ahttps://example.org/a is an address"):
            take(place)
