"""Decodes a video file with PyAV, the binding of FFmpeg: pictures in order, as a player shows them.

Interlaced pictures are deinterlaced, turned ones turned upright, and those of pixels that are not
square are stretched. https://pyav.basswood-io.com/docs/stable/
"""

import contextlib
import functools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import av.filter
import av.logging
import cv2
import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.stream import Disposition

from deepfake_detector.console import printable
from deepfake_detector.decoding import diagnosis
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import (
    PLANAR_FORMATS,
    BgrPixels,
    Pixels,
    PlanarPixels,
    convert,
)

# FFmpeg's errors come to us instead of to stderr: the manifest says them better.
av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)
logging.getLogger("libav").addHandler(logging.NullHandler())

# After a damaged part of a file the next may be whole, so only this many failures to read a packet
# in a row are the end.
FAILURES_AT_THE_END = 100
# Pixels less off square than that are taken as square, and more off than that as a wrong header.
MIN_SQUEEZE, MAX_SQUEEZE = 1.01, 8.0
MAX_FPS = 1000  # beyond that a header is wrong
FALLBACK_FPS = 30.0  # of a video without a usable frame rate
Said = list[tuple[int, str, str]]  # level, name, message, as av.logging has it


@dataclass(frozen=True)
class Picture:
    """A decoded picture; its pixels are converted when they are asked for."""

    clock_sec: float  # by the clock of the container; nan without
    pixels: Callable[[], Pixels]


class VideoFile:
    """An open video file. Raises UnreadableError where there is no video to decode."""

    def __init__(self, path: Path):
        with av.logging.Capture() as said:
            try:
                # "file:", or FFmpeg takes "12:30.mp4" for an address on the network.
                self._container = av.open(f"file:{path.absolute()}")
            except (av.error.FFmpegError, OSError, ValueError) as error:
                words = error_words(error, said, last=True)
                raise UnreadableError(diagnosis.explain(path, words)) from error
        self._path = path
        self._packets, self._damaged_packets = 0, 0
        self._reached = 0  # the number of the last frame that was there, from 1
        self._words = ""  # the first that FFmpeg said about damage
        self._matrix: SideData | None = None  # by which players turn the pictures
        try:
            self._stream = self._choose_stream()
        except UnreadableError:
            self.close()
            raise
        # One thread, because the workers share the cores already and every thread holds pictures.
        self._stream.codec_context.thread_count = 1
        squeeze = float(self._stream.sample_aspect_ratio or 1)
        off_square = max(squeeze, 1 / squeeze) if squeeze > 0 else 1.0
        self._squeeze = squeeze if MIN_SQUEEZE < off_square < MAX_SQUEEZE else 1.0

    def close(self) -> None:
        self._container.close()

    @property
    def fps(self) -> float:
        """Frames a second as the header says, if that is usable."""
        stream = self._stream
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        return next((float(rate) for rate in rates if rate and 0 < rate <= MAX_FPS), FALLBACK_FPS)

    @property
    def header_sec(self) -> float:
        """Length in seconds as the header says, nan where it says nothing usable."""
        stream, container = self._stream, self._container
        if stream.duration and stream.time_base:
            length_sec = float(stream.duration * stream.time_base)
        else:
            length_sec = (container.duration or 0) / av.time_base
        return length_sec if length_sec > 0 else math.nan

    @property
    def is_moving(self) -> bool:
        """Whether this is more than a single picture, as far as FFmpeg knows without decoding."""
        kind = self._container.format.name
        return self._stream.codec_context.width > 0 and not kind.endswith("_pipe")

    def damage(self, at_the_end: bool) -> str:
        """Return what is wrong with what was read, as the decoder or the container says."""
        found = []
        if self._damaged_packets:
            found.append(f"damaged frames: {self._damaged_packets} of {self._packets}")
        # In other containers it is an estimate.
        counts = self._container.format.name[:3] in {"mov", "avi"}
        promised = self._stream.frames if counts else 0
        # One more or less is how writers count.
        if at_the_end and self._reached < promised - 1:
            found.append(f"ends after {self._reached} of the {promised} frames its header promises")
        if not found and self._words:
            found.append("damaged")
        return ", ".join(found) + (f" (FFmpeg: {self._words})" if self._words else "")

    def pictures(self) -> Iterator[Picture]:
        """Yield the pictures in the order in which they are shown.

        Raises UnreadableError at the end where there was none.
        """
        any_picture = False
        for decoded in deinterlaced(self._decode()):
            if not any_picture:
                # The first matrix holds for all, because a frame that was asked for it stays in
                # memory until Python collects cycles.
                self._matrix = decoded.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
            any_picture = True
            yield self._picture(decoded)
        if not self._packets:
            raise UnreadableError("cut off before its first whole frame")
        if not any_picture:
            words = self._words or self._stream.codec_context.name
            raise UnreadableError(diagnosis.explain(self._path, words))

    def _choose_stream(self) -> av.VideoStream:
        # The cover of a piece of music is a video stream of one picture.
        streams = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            if self._container.streams.audio:
                raise UnreadableError(diagnosis.SOUND)
            raise UnreadableError(diagnosis.explain(self._path, "no pictures in it"))
        best = self._container.streams.best("video")
        chosen = best if best in streams else streams[0]
        if chosen.codec_context is None:
            raise UnreadableError(f"{diagnosis.UNKNOWN} (its codec is unknown)")
        return chosen

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets, failures = self._container.demux(self._stream), 0
        while failures < FAILURES_AT_THE_END:
            with av.logging.Capture() as said:
                try:
                    packet = next(packets)
                except StopIteration:
                    self._listen(said)
                    return
                except av.error.FFmpegError as error:  # this part; the next one may be whole
                    packets, failures = self._container.demux(self._stream), failures + 1
                    self._listen(said, error)
                    continue
                if packet.has_sidedata("encryption_info"):
                    raise UnreadableError("encrypted (DRM): only its player can show it")
                failures = 0
                self._count(packet)
                damaged, decoded = packet.is_corrupt, []
                try:
                    decoded = packet.decode()
                except av.error.FFmpegError as error:
                    self._listen(said, error)
                    damaged = True
                self._damaged_packets += damaged or any(frame.is_corrupt for frame in decoded)
                self._listen(said)
            yield from decoded

    def _count(self, packet: av.Packet) -> None:
        self._packets += packet.size > 0
        self._reached = max(self._reached, self._packets)
        if packet.dts is not None and self._container.format.name == "avi":
            # The time stamps of an AVI are the numbers of its frames, those left out included.
            self._reached = max(self._reached, packet.dts + 1)

    def _listen(self, said: Said, error: Exception | None = None) -> None:
        """Keep the first words of FFmpeg about what it could not read."""
        words = error_words(error, said)
        # What a browser has recorded has no length in its header, and ends where it was stopped.
        if not (words.startswith("File ended prematurely") and math.isnan(self.header_sec)):
            self._words = self._words or words

    def _picture(self, decoded: av.VideoFrame) -> Picture:
        clock_sec = math.nan if decoded.time is None else decoded.time
        return Picture(clock_sec, functools.partial(self._pixels, decoded))

    def _pixels(self, decoded: av.VideoFrame) -> Pixels:
        is_shown_as_stored = self._matrix is None and self._squeeze == 1.0
        if decoded.format.name in PLANAR_FORMATS and is_shown_as_stored:
            return PlanarPixels(decoded)
        # No pixel is lost: the shorter side is stretched.
        width = round(decoded.width * max(1.0, self._squeeze))
        height = round(decoded.height * max(1.0, 1 / self._squeeze))
        image_bgr = convert(decoded, width, height)
        return BgrPixels(image_bgr if self._matrix is None else displayed(image_bgr, self._matrix))


def displayed(image: np.ndarray, matrix: SideData) -> np.ndarray:
    """Return a decoded picture as the display matrix of its video wants it: turned and mirrored.

    The matrix takes (x, y) to (a x + c y, b x + d y); of an angle in between the nearest quarter
    turn is taken (https://ffmpeg.org/doxygen/trunk/group__lavu__video__display.html).
    """
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    if abs(b) > abs(a):
        image, a, d = cv2.transpose(image), c, b
    if a < 0 or d < 0:
        image = cv2.flip(image, -1 if a < 0 and d < 0 else int(a < 0))
    return image


def error_words(error: Exception | None, said: Said, last: bool = False) -> str:
    """Return the first (or `last`) of what was said, or else what the error says; one line."""
    messages = [message for _, _, message in said]
    if not messages and error is not None:
        messages = [getattr(error, "strerror", None) or str(error)]  # without the path in it
    words = messages[-1 if last else 0] if messages else ""
    return printable(" ".join(words.split()))


def deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield whole pictures, at the same times: from the first interlaced one on by FFmpeg's bwdif
    filter, which looks one picture ahead (https://ffmpeg.org/ffmpeg-filters.html#bwdif)."""
    graph: av.filter.Graph | None = None
    form: tuple = ()
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        new_form = (frame.width, frame.height, frame.format.name)
        if graph is not None and new_form != form:
            yield from _filtered(graph, None)
        if graph is None or new_form != form:
            graph, form = _bwdif(frame), new_form
        yield from _filtered(graph, frame)
    if graph is not None:
        yield from _filtered(graph, None)


def _bwdif(frame: av.VideoFrame) -> av.filter.Graph:
    """Return a filter for pictures of this form; those that are not interlaced pass as they are."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _filtered(graph: av.filter.Graph, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
    """Yield what a filter has ready when it is given a frame, or with None all that is left."""
    graph.vpush(frame)
    with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            yield graph.vpull()
