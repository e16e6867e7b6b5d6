"""Videos that browsers play, with the sound of the video that they are made of."""

from pathlib import Path

import av
import numpy as np
import pytest

from deepfake_detector.decoding import video_writer
from deepfake_detector.decoding.video_writer import VideoWriter

SECONDS, FPS, SIZE = 2.0, 25, (64, 48)


def video_with_sound(path: Path, codec: str = "aac") -> Path:
    """Three seconds of a tone and of pictures."""
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("mpeg4", rate=FPS)
        pictures.width, pictures.height, pictures.pix_fmt = *SIZE, "yuv420p"
        sound = out.add_stream(codec, rate=48_000)
        sound.layout = "mono"
        for number in range(3 * FPS):
            image = np.full((SIZE[1], SIZE[0], 3), number, np.uint8)
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        wave = np.sin(np.arange(3 * 48_000) * 0.05).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux(sound.encode(frame))
        out.mux(pictures.encode(None))
        out.mux(sound.encode(None))
    return path


def write(path: Path, sound_of: Path | None = None, times_sec=None) -> Path:
    times_sec = np.arange(SECONDS * FPS) / FPS if times_sec is None else times_sec
    with VideoWriter(path, FPS, SIZE, sound_of) as writer:
        for time_sec in times_sec:
            writer.write(np.full((SIZE[1], SIZE[0], 3), (0, 0, 200), np.uint8), time_sec)
    return path


def seconds_of(path: Path) -> dict[str, float]:
    """Return the seconds of each stream, by decoding all of it."""
    found = {}
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            for stream in getattr(container.streams, kind):
                frames = list(container.decode(stream))
                found[kind] = frames[-1].time - frames[0].time
    return found


@pytest.mark.parametrize(("codec", "is_copied"), [("aac", True), ("libopus", False)])
def test_a_copy_has_the_sound_of_the_seconds_that_it_shows(tmp_path, codec, is_copied):
    copy = write(tmp_path / "copy.mp4", video_with_sound(tmp_path / "source.mkv", codec))
    seconds = seconds_of(copy)
    assert seconds["video"] == pytest.approx(SECONDS, abs=0.05)
    assert ("audio" in seconds) == is_copied
    if is_copied:
        assert seconds["audio"] == pytest.approx(SECONDS, abs=0.1)


def test_a_browser_plays_the_pictures_and_begins_before_all_is_there(tmp_path):
    copy = write(tmp_path / "copy.mp4")
    with av.open(str(copy)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        colour = next(container.decode(stream)).to_ndarray(format="rgb24").mean((0, 1))
    assert colour == pytest.approx([200, 0, 0], abs=8)
    assert copy.read_bytes().index(b"moov") < copy.read_bytes().index(b"mdat")


def test_frames_stay_at_their_times(tmp_path):
    times_sec = [0.0, 0.04, 1.5, 1.54]
    with av.open(str(write(tmp_path / "copy.mp4", None, times_sec))) as container:
        found = [frame.time for frame in container.decode(video=0)]
    assert found == pytest.approx(times_sec, abs=1e-3)


def test_a_sound_that_cannot_be_read_is_left_out(tmp_path):
    (tmp_path / "words.mp4").write_text("words")
    assert list(seconds_of(write(tmp_path / "copy.mp4", tmp_path / "words.mp4"))) == ["video"]


def test_a_copy_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "gone" / "copy.mp4")
    monkeypatch.setattr(video_writer, "CAN_ENCODE_H264", False)
    with pytest.raises(OSError, match="no encoder of H.264"):
        write(tmp_path / "copy.mp4")
