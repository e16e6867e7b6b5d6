"""Writes mp4 files that browsers play: H.264 pictures, and the sound of the video they are made of.

    with VideoWriter(Path("out.mp4"), fps=25, size=(640, 480), sound_of=Path("in.mp4")) as writer:
        writer.write(image_bgr, time_sec=0.0)
    print(writer.note)          # what could not be done, or nothing

Where FFmpeg has no encoder of H.264 here, OpenCV writes MPEG-4 without sound, which few browsers
play. https://pyav.basswood-io.com/docs/stable/
"""

import contextlib
import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

H264_ENCODERS = ("libx264", "libopenh264")
H264_OPTIONS = {"libx264": {"crf": "20", "preset": "veryfast"}}
COPIED_SOUND = ("aac", "mp3")  # what mp4 holds and every browser plays
BIT_RATE, MOST_RATE = 128_000, 48_000  # of sound that is encoded again
CLOCK = Fraction(1, 90_000)
BT709, LIMITED_RANGE = 1, 1  # AVCOL_SPC_BT709, AVCOL_RANGE_MPEG: what players assume
MOST_FPS = 1000.0
NO_H264 = "MPEG-4 pictures and no sound, which few browsers play: there is no H.264 encoder here"
DISK_ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


class VideoWriter:
    """An mp4 file that is written frame by frame; `size` is (width, height), both even.

    Raises OSError where it cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], sound_of: Path | None = None):
        self.note = ""
        self._frame_sec = 1 / min(fps, MOST_FPS)
        encoder = next(filter(_is_there, H264_ENCODERS), None)
        if encoder is None:
            self.note = NO_H264
            self._pictures: _H264 | _Mpeg4 = _Mpeg4(path, fps, size)
            return
        sound = Sound(sound_of) if sound_of is not None else None
        self._pictures = _H264(path, encoder, fps, size, sound)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._pictures.close()
        self.note = self.note or self._pictures.note

    def write(self, image_bgr: np.ndarray, time_sec: float) -> None:
        """Append a picture, `(height, width, 3) uint8`, shown from a time on; times ascend."""
        self._pictures.write(image_bgr, time_sec, time_sec + self._frame_sec)


class _H264:
    def __init__(
        self, path: Path, encoder: str, fps: float, size: tuple[int, int], sound: "Sound | None"
    ):
        self._out = av.open(
            f"file:{path.absolute()}", "w", format="mp4", options={"movflags": "faststart"}
        )
        rate = Fraction(min(fps, MOST_FPS)).limit_denominator(1001)
        stream = self._out.add_stream(encoder, rate=rate, options=H264_OPTIONS.get(encoder, {}))
        if not isinstance(stream, VideoStream):
            raise OSError(0, f"{encoder} is no encoder of video", str(path))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = CLOCK
        stream.codec_context.colorspace = BT709
        stream.codec_context.color_range = LIMITED_RANGE
        self._stream, self._sound, self._last_pts = stream, sound, -1
        if sound is not None:
            sound.open(self._out)

    @property
    def note(self) -> str:
        return self._sound.note if self._sound else ""

    def write(self, image_bgr: np.ndarray, time_sec: float, end_sec: float) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED_RANGE
        )
        self._last_pts = max(self._last_pts + 1, round(time_sec / CLOCK))
        frame.pts, frame.time_base = self._last_pts, CLOCK
        frame.duration = round((end_sec - time_sec) / CLOCK)
        self._out.mux(self._stream.encode(frame))
        if self._sound is not None:
            self._sound.write_until(end_sec)

    def close(self) -> None:
        try:
            self._out.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish()
        finally:
            self._out.close()


class _Mpeg4:
    note = ""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]):
        # A time base of more than 16 bits is refused, and odd rates such as 29.97003 need one.
        fps = round(min(fps, MOST_FPS), 2)
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(path.absolute()), cv2.CAP_FFMPEG, code, fps, size)
        if not self._writer.isOpened():
            raise OSError(0, "OpenCV cannot write an mp4 there", str(path.parent))

    def write(self, image_bgr: np.ndarray, time_sec: float, end_sec: float) -> None:
        self._writer.write(image_bgr)

    def close(self) -> None:
        self._writer.release()


class Sound:
    """The sound of a video, from its first frame on: copied, or encoded again as AAC.

    `note` says where it had to be left out.
    """

    def __init__(self, path: Path):
        self.note = ""
        self._path = path
        self._source: av.container.InputContainer | None = None
        self._packets: Iterator[tuple[float, av.Packet]] = iter(())
        self._ahead: tuple[float, av.Packet] | None = None
        self._out: av.container.OutputContainer | None = None

    def open(self, out: av.container.OutputContainer) -> None:
        """Give `out` a stream of sound, if there is any in the video."""
        with self._noted():
            self._source = av.open(f"file:{self._path.absolute()}")
            source = self._source.streams.best("audio")
            if not isinstance(source, AudioStream):
                return
            pictures = self._source.streams.best("video")
            start_sec = _start_sec(pictures) if isinstance(pictures, VideoStream) else 0.0
            if source.codec_context.name in COPIED_SOUND:
                target = out.add_stream_from_template(source)
                self._packets = self._copied(source, target, start_sec)
            else:
                target = out.add_stream("aac", rate=min(MOST_RATE, source.rate or MOST_RATE))
                target.layout = "mono" if source.codec_context.channels == 1 else "stereo"
                target.bit_rate = BIT_RATE
                self._packets = self._encoded(source, target, start_sec)
            self._out = out
            self._ahead = next(self._packets, None)

    def write_until(self, end_sec: float) -> None:
        """Write the sound that is heard before a time, in seconds since the first frame."""
        with self._noted():
            while self._out is not None and self._ahead and self._ahead[0] < end_sec - 0.01:
                self._out.mux(self._ahead[1])
                self._ahead = next(self._packets, None)

    def finish(self) -> None:
        self._ahead = None
        if self._source is not None:
            self._source.close()

    def _copied(
        self, source: AudioStream, target: AudioStream, start_sec: float
    ) -> Iterator[tuple[float, av.Packet]]:
        time_base = source.time_base or CLOCK
        shift = round(start_sec / time_base)
        for packet in self._demuxed(source):
            if packet.pts is None or packet.size == 0:
                continue
            packet.pts, packet.dts = packet.pts - shift, (packet.dts or packet.pts) - shift
            if packet.pts >= 0:
                packet.stream = target
                yield float(packet.pts * time_base), packet

    def _encoded(
        self, source: AudioStream, target: AudioStream, start_sec: float
    ) -> Iterator[tuple[float, av.Packet]]:
        for packet in self._demuxed(source):
            for frame in source.codec_context.decode(packet):
                if not frame.time_base:
                    continue
                frame.pts = (frame.pts or 0) - round(start_sec / frame.time_base)
                if frame.pts < 0:
                    continue
                yield from _timed(target.encode(frame))
        yield from _timed(target.encode(None))

    def _demuxed(self, source: AudioStream) -> Iterator[av.Packet]:
        if self._source is not None:
            yield from self._source.demux(source)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Leave the sound out where something about it fails; a full disk is another matter."""
        try:
            yield
        except (av.error.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            self.note = f"no sound ({' '.join(str(error).split())})"
            self._ahead = None


def _timed(packets: list[av.Packet]) -> Iterator[tuple[float, av.Packet]]:
    for packet in packets:
        yield float((packet.pts or 0) * packet.time_base), packet


def _start_sec(stream: VideoStream) -> float:
    return float((stream.start_time or 0) * (stream.time_base or CLOCK))


def _is_there(encoder: str) -> bool:
    try:
        av.codec.Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True
