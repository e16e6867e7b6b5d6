"""Videos that browsers play, with the sound of the video that they are made of."""

import shutil
import subprocess
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


def write(path: Path, sound_of: Path | None, times_sec=None) -> VideoWriter:
    times_sec = np.arange(SECONDS * FPS) / FPS if times_sec is None else times_sec
    with VideoWriter(path, FPS, SIZE, sound_of) as writer:
        for time_sec in times_sec:
            image_bgr = np.full((SIZE[1], SIZE[0], 3), (0, 0, 200), np.uint8)
            writer.write(image_bgr, time_sec)
    return writer


def streams_of(path: Path) -> dict[str, tuple[str, float]]:
    """Return codec and seconds of each stream, by decoding all of it."""
    found = {}
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            if not getattr(container.streams, kind):
                continue
            stream = getattr(container.streams, kind)[0]
            frames = list(container.decode(stream))
            last_sec = 1 / FPS if kind == "video" else frames[-1].samples / frames[-1].sample_rate
            found[kind] = (stream.codec_context.name, frames[-1].time + last_sec - frames[0].time)
    return found


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "mp2"), ("mkv", "libopus")])
def test_a_copy_has_the_sound_of_the_seconds_that_it_shows(tmp_path, suffix, codec):
    source = video_with_sound(tmp_path / f"source.{suffix}", codec)
    writer = write(tmp_path / "copy.mp4", source)
    assert writer.note == ""
    streams = streams_of(tmp_path / "copy.mp4")
    assert [codec for codec, _ in streams.values()] == ["h264", "aac"]
    assert streams["video"][1] == pytest.approx(SECONDS, abs=0.01)
    assert streams["audio"][1] == pytest.approx(SECONDS, abs=0.1)


def test_a_browser_plays_the_pictures_and_begins_before_all_is_there(tmp_path):
    write(tmp_path / "copy.mp4", None)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        colour = next(container.decode(stream)).to_ndarray(format="rgb24").mean((0, 1))
    assert colour == pytest.approx([200, 0, 0], abs=8)
    content = (tmp_path / "copy.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert streams_of(tmp_path / "copy.mp4").keys() == {"video"}


def test_frames_stay_at_their_times(tmp_path):
    write(tmp_path / "copy.mp4", None, [0.0, 0.04, 1.5, 1.54])
    with av.open(str(tmp_path / "copy.mp4")) as container:
        times_sec = [frame.time for frame in container.decode(video=0)]
    assert times_sec == pytest.approx([0.0, 0.04, 1.5, 1.54], abs=1e-3)


def test_a_sound_that_cannot_be_read_is_left_out_with_a_note(tmp_path):
    (tmp_path / "words.mp4").write_text("words")
    writer = write(tmp_path / "copy.mp4", tmp_path / "words.mp4")
    assert writer.note.startswith("no sound (")
    assert streams_of(tmp_path / "copy.mp4").keys() == {"video"}


def test_without_an_encoder_of_h264_the_copy_is_mpeg4_and_a_note_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, "H264_ENCODERS", ("no_such_encoder",))
    writer = write(tmp_path / "copy.mp4", video_with_sound(tmp_path / "source.mp4"))
    assert "there is no H.264 encoder here" in writer.note
    assert streams_of(tmp_path / "copy.mp4")["video"][0] == "mpeg4"


def test_a_folder_that_is_not_there_is_an_error_and_no_note(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "gone" / "copy.mp4", None)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
def test_ffmpeg_finds_nothing_wrong_with_a_copy(tmp_path):
    write(tmp_path / "copy.mp4", video_with_sound(tmp_path / "source.mp4"))
    command = ["ffmpeg", "-v", "warning", "-i", str(tmp_path / "copy.mp4"), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
