"""Writes MP4 files that browsers play: H.264 pictures, and the sound of the video they are made of.

    with VideoWriter(Path("out.mp4"), fps=25, size=(640, 480), sound_of=Path("in.mp4")) as writer:
        writer.write(image_bgr, time_sec=0.0)

Sound is copied as it is, if MP4 can hold it and browsers play it; other sound is left out.
https://pyav.basswood-io.com/docs/stable/
"""

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from deepfake_detector.images import CAN_ENCODE_H264, H264_ENCODER

ENCODER_OPTIONS = {"crf": "20", "preset": "veryfast"}
COPIED_SOUND = ("aac", "mp3")
CLOCK = Fraction(1, 90_000)
BT709, LIMITED_RANGE = 1, 1  # AVCOL_SPC_BT709, AVCOL_RANGE_MPEG: what players assume
MAX_FPS = 1000.0


class VideoWriter:
    """An MP4 file that is written frame by frame; `size` is (width, height), both even.

    Raises OSError if it cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], sound_of: Path | None = None):
        if not CAN_ENCODE_H264:
            raise OSError(0, "this PyAV has no encoder of H.264; install it with pip", str(path))
        fps = min(fps, MAX_FPS)
        self._frame_sec, self._last_pts = 1 / fps, -1
        # Players begin before all is there.
        options = {"movflags": "faststart"}
        self._out = av.open(f"file:{path.absolute()}", "w", format="mp4", options=options)
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._out.add_stream(H264_ENCODER, rate=rate, options=ENCODER_OPTIONS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = CLOCK
        stream.codec_context.colorspace = BT709
        stream.codec_context.color_range = LIMITED_RANGE
        self._stream = stream
        self._sound = _Sound(sound_of, self._out) if sound_of is not None else None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._out.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.copy(self._out, end_sec=float(self._last_pts * CLOCK) + self._frame_sec)
        finally:
            self._out.close()

    def write(self, image_bgr: np.ndarray, time_sec: float) -> None:
        """Append a picture, `(height, width, 3) uint8`, shown from a time on; times ascend."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE
        )
        self._last_pts = max(self._last_pts + 1, round(time_sec / CLOCK))
        frame.pts, frame.time_base = self._last_pts, CLOCK
        frame.duration = round(self._frame_sec / CLOCK)
        self._out.mux(self._stream.encode(frame))


class _Sound:
    """The sound of a video as a stream of the copy; none if it cannot be read or copied."""

    def __init__(self, path: Path, out: av.container.OutputContainer):
        self._target: AudioStream | None = None
        with contextlib.suppress(av.error.FFmpegError):
            self._source = av.open(f"file:{path.absolute()}")
            sound = self._source.streams.best("audio")
            if isinstance(sound, AudioStream) and sound.codec_context.name in COPIED_SOUND:
                self._sound = sound
                self._target = out.add_stream_from_template(sound)

    def copy(self, out: av.container.OutputContainer, end_sec: float) -> None:
        """Write the sound from the first frame of the video on, until `end_sec` later."""
        if self._target is None:
            return
        pictures = self._source.streams.best("video")
        start_sec = float((pictures.start_time or 0) * (pictures.time_base or 0)) if pictures else 0
        time_base = self._sound.time_base or CLOCK
        with contextlib.suppress(av.error.FFmpegError), self._source:
            for packet in self._source.demux(self._sound):
                if packet.pts is None or not packet.size:
                    continue
                packet.pts = packet.dts = packet.pts - round(start_sec / time_base)
                if packet.pts * time_base >= end_sec:
                    break
                if packet.pts >= 0:
                    packet.stream = self._target
                    out.mux(packet)
