"""Videos that browsers play."""

from pathlib import Path

import av
import numpy as np
import pytest

from deepfake_detector.decoding import video_writer
from deepfake_detector.decoding.video_writer import VideoWriter

SECONDS, FPS, SIZE = 2.0, 25, (64, 48)


def write(path: Path, times_sec=None) -> Path:
    times_sec = np.arange(SECONDS * FPS) / FPS if times_sec is None else times_sec
    with VideoWriter(path, FPS, SIZE) as writer:
        for time_sec in times_sec:
            writer.write(np.full((SIZE[1], SIZE[0], 3), (0, 0, 200), np.uint8), time_sec)
    return path


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
    with av.open(str(write(tmp_path / "copy.mp4", times_sec))) as container:
        found = [frame.time for frame in container.decode(video=0)]
    assert found == pytest.approx(times_sec, abs=1e-3)


def test_a_copy_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "gone" / "copy.mp4")
    monkeypatch.setattr(video_writer, "CAN_ENCODE_H264", False)
    with pytest.raises(OSError, match="no encoder of H.264"):
        write(tmp_path / "copy.mp4")
