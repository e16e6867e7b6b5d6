"""Reads the frames of a video one by one, by the video's own clock. The file is only read.

    with VideoReader(path) as reader:
        for frame in reader.frames(capture_sec=5, fps=None):
            ...

Headers are often wrong about length and frame rate, so only frames that decode count.
"""

import math
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

# FFmpeg and OpenCV write about every damaged video to stderr; the manifest says it better. FFmpeg's
# level is read when the first video is opened, OpenCV's own when it is imported, perhaps before us.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

FALLBACK_FPS = 30.0  # for a header without a usable frame rate
# After a damaged packet the next ones may decode, so only this many failures in a row are the end.
# At the end of a whole file they take less than a millisecond.
FAILURES_AT_THE_END = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and its place in the video."""

    index: int  # from 0
    time_sec: float
    image_bgr: np.ndarray  # (height, width, 3) uint8; overwritten when the next frame is read


class VideoReader:
    """An open video; `with` closes it.

    After the last frame, `ended` says whether the video itself came to an end.
    """

    def __init__(self, path: Path):
        # FFmpeg alone: OpenCV's other readers open pictures and patterns of file names. One
        # thread, because the workers share the cores already and every thread holds frames.
        backend, options = cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]
        if backend not in cv2.videoio_registry.getStreamBackends():
            backend, options = cv2.CAP_ANY, []
        # An absolute path, or FFmpeg takes "12:30.mp4" for an address on the network.
        self._capture = cv2.VideoCapture(str(path.absolute()), backend, options)
        header_fps = self._capture.get(cv2.CAP_PROP_FPS)
        usable = math.isfinite(header_fps) and 0 < header_fps <= 1000
        self.fps = header_fps if usable else FALLBACK_FPS
        self.ended = False
        self.grabbed = 0  # frames that were there to be decoded

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *error: object) -> None:
        self._capture.release()

    @property
    def missing_frames(self) -> int:
        """Frames that the header promises beyond those found; 0 where it says nothing usable."""
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        usable = math.isfinite(promised) and 0 < promised < 1e8
        return max(0, int(promised) - self.grabbed) if usable else 0

    def frames(
        self, capture_sec: float, fps: float | None, wanted: Collection[int] | None = None
    ) -> Iterator[Frame]:
        """Yield the frames of the first `capture_sec` seconds, at most `fps` a second (None: all).

        With `wanted`, only frames of these indices, and no further than the last of them. Nothing
        is yielded for a file that is no video. All frames share one image.
        """
        frame_sec = 1 / self.fps
        time_sec, last_slot, image_bgr = -frame_sec, -1, None
        last_wanted = max(wanted, default=-1) if wanted is not None else math.inf
        for index in self._grab():
            clock_sec = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # The clock of the container; a frame without a usable time follows the last one.
            usable = math.isfinite(clock_sec) and clock_sec > time_sec
            time_sec = clock_sec if usable else time_sec + frame_sec
            if time_sec > capture_sec - 1e-6 or index > last_wanted:
                return
            slot = index if fps is None else math.floor(time_sec * fps + 1e-6)
            if slot == last_slot:
                continue
            last_slot = slot
            if wanted is not None and index not in wanted:
                continue
            # Into the same memory each time: fresh pages for every frame cost a tenth of decoding.
            decoded, image_bgr = self._capture.retrieve(image_bgr)
            if decoded and image_bgr is not None:
                yield Frame(index, time_sec, image_bgr)
        self.ended = True

    def _grab(self) -> Iterator[int]:
        """Yield the index of each frame that is ready to be decoded."""
        index, failures = -1, 0
        while failures < FAILURES_AT_THE_END:
            index += 1
            if self._capture.grab():
                failures = 0
                self.grabbed += 1
                yield index
            else:
                failures += 1
