"""Looks through a video for faces, window by window, and cuts them out.

    with FaceSearch(path, FaceSettings(), folder, TimeLimit(270)) as search:
        for window in search.windows():
            ...                             # FaceWindow: its times, and the crops of each face

A window is `capture_sec` seconds of a video, counted from its start. If the first one shows no
face, the next is looked at, and so on: extraction takes the first window with a face, prediction
that one or all of them.
"""

import contextlib
import functools
import itertools
import math
import shutil
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.face_dataset.boxes import Crop, crop_names, write_boxes
from deepfake_detector.face_dataset.settings import AS_IS, FaceSettings
from deepfake_detector.faces.crops import Square, central_square, crop_square, write_crop
from deepfake_detector.faces.detector import Detector
from deepfake_detector.faces.orientation import NUM_FRAMES, Orientation, find_orientation, turned
from deepfake_detector.faces.tracker import FaceTracker
from deepfake_detector.faces.tracklets import FaceBoxes

WINDOW_NAME = "window_{:05d}"  # of the folder of a window
MISSED_SHARE = 0.02  # of the frames of a face; if it is detected in all others, it is upright
# Of the frames of a window, enough for five seconds of 1080p. Beyond that the oldest are dropped,
# and the video is read a second time: the result is the same.
MAX_BYTES = 512 << 20


class TooSlowError(Exception):
    """A video took longer than its time limit."""


class TimeLimit:
    """Seconds of work, from now on, after which a video is given up."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        self._end = time.perf_counter() + self._seconds

    def watch(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield the frames; raises TooSlowError when the time is over."""
        for frame in frames:
            if time.perf_counter() > self._end:
                raise TooSlowError
            yield frame


class FrameBuffer:
    """Keeps the last frames of a window: where a smoothed box lies depends on later frames."""

    def __init__(self):
        # Of each frame of the window:
        self.sizes: list[tuple[int, int]] = []  # (height, width)
        self.indices: list[int] = []  # in the video
        self.times_sec: list[float] = []  # in the video
        self.frames: deque[Frame] = deque()  # the last ones
        self._bytes = 0

    def add_frame(self, frame: Frame) -> None:
        self.sizes.append(frame.size)
        self.indices.append(frame.index)
        self.times_sec.append(frame.time_sec)
        self.frames.append(frame)
        self._bytes += frame.pixels.nbytes
        while self._bytes > MAX_BYTES:
            self._bytes -= self.frames.popleft().pixels.nbytes


@dataclass(frozen=True)
class FaceWindow:
    """Some seconds of a video, and the crops of each face in them, the main face first.

    Each face has a folder `face_0`, `face_1`, ... with its crops and boxes.csv.
    """

    start_sec: float
    times_sec: list[float]  # of its frames
    frame_size: tuple[int, int]  # (height, width) of the last one
    faces: list[list[Crop]]

    @property
    def folders(self) -> list[Path]:
        """The folder of each face."""
        return [crops[0].path.parent for crops in self.faces]


class FaceSearch:
    """Looks through a video for faces; `with` closes it. Crops go into new folders in `folder`.

    Raises UnreadableError if it is not a video.
    """

    def __init__(
        self,
        path: Path,
        settings: FaceSettings,
        folder: Path,
        limit: TimeLimit,
        watch: Callable[[Iterator[Frame]], Iterator[Frame]] = iter,
    ):
        self.reader = open_video(path)
        self.num_frames = 0  # looked at
        self.orientation = Orientation()
        self._path, self._settings = path, settings
        self._folder, self._limit = folder, limit
        self._watch = watch  # what else looks at the frames
        self._end_sec, self._last_sec = 0.0, 0.0  # of the windows and of the frames looked at
        self._first_face_sec: float | None = None  # start of the first window with a face

    def __enter__(self) -> "FaceSearch":
        return self

    def __exit__(self, *error: object) -> None:
        self.reader.close()

    def windows(self, whole: bool = False, done: int = 0) -> Iterator[FaceWindow]:
        """Yield the windows up to the first one with a face, at most `search_sec` seconds.

        With `whole` yield all windows but the first `done` ones, which are known already; each has
        a time limit of its own. If the first one shows no steady face, it is found out which way up
        people are, and the video read again with that turn. Raises UnreadableError if no frame can
        be read or a second reading differs, TooSlowError, and OSError if crops cannot be written.
        """
        for number, window in self._windows(whole, done):
            if number == 0:
                self.orientation = self._orientation_of(window)
                if self.orientation.quarters:
                    shutil.rmtree(self._folder / WINDOW_NAME.format(0), ignore_errors=True)
                    self.reader.close()
                    self.reader, self.num_frames = open_video(self._path), 0
                    self._first_face_sec = None
                    yield from (
                        each for number, each in self._windows(whole, done) if number >= done
                    )
                    return
            if number >= done:
                yield window

    def _orientation_of(self, window: FaceWindow) -> Orientation:
        """Return the orientation of a window; if no face is steady in it, a few frames are looked
        at again for that."""
        main = window.faces[0] if window.faces else []
        missed = sum(crop.source != "detected" for crop in main)
        is_steady = bool(main) and missed <= max(1, MISSED_SHARE * len(main))
        if self._settings.faces == AS_IS or is_steady:
            return Orientation()
        num_frames = len(window.times_sec)
        chosen = {(2 * number + 1) * num_frames // (2 * NUM_FRAMES) for number in range(NUM_FRAMES)}
        frames = itertools.islice(self._frames(self._settings.search_end_sec), num_frames)
        few = [frame for position, frame in enumerate(frames) if position in chosen]
        return find_orientation(few, _detector(threading.get_ident()))

    def _windows(self, whole: bool, done: int) -> Iterator[tuple[int, FaceWindow]]:
        """Yield windows with their numbers: the first, and those that are not done."""
        search_end_sec = math.inf if whole else self._settings.search_end_sec
        frames = self.reader.frames(search_end_sec, self._settings.fps)
        frames = self._limit.watch(turned(frames, self.orientation.quarters))
        # Frames that were not kept come in a second reading, which follows behind.
        with contextlib.closing(self._frames(search_end_sec)) as frames_again:
            of_windows = split(self._watch(frames), self._settings.capture_sec)
            for number, (start_sec, of_window) in enumerate(of_windows):
                if 0 < number < done:
                    deque(of_window, maxlen=0)
                    continue
                folder = self._folder / WINDOW_NAME.format(number)
                is_late = number > 0 and not whole
                window = self._window(start_sec, of_window, frames_again, folder, is_late)
                self.num_frames += len(window.times_sec)
                self._last_sec = window.times_sec[-1]
                self._end_sec = min(start_sec + self._settings.capture_sec, search_end_sec)
                if window.faces and self._first_face_sec is None:
                    self._first_face_sec = start_sec
                yield number, window
                if whole:
                    self._limit.restart()
                elif window.faces:
                    return

    @property
    def no_face_note(self) -> str:
        """Where no face was found; empty if the first window has one."""
        if self._first_face_sec is not None:
            start = f"{self._first_face_sec:.1f} seconds"
            later = self._first_face_sec > 0
            return f"no face in the first {start}; faces from {start} on" if later else ""
        if not self.reader.ended:
            return f"no face in the first {self._end_sec:.1f} seconds"
        if self.num_frames == 1:
            return "no face in its only frame"
        its = "its " if self._settings.fps is None else ""
        length_sec = self._last_sec + 1 / min(self.reader.fps, self._settings.fps or math.inf)
        return f"no face in any of {its}{self.num_frames} frames ({length_sec:.1f} seconds)"

    def _window(
        self,
        start_sec: float,
        frames: Iterator[Frame],
        frames_again: Iterator[Frame],
        folder: Path,
        is_late: bool,
    ) -> FaceWindow:
        """Return a window, with the crops of its faces in the new `folder`.

        Before a window that `is_late` no face was seen, so its main face begins with a detection.
        """
        folder.mkdir()
        faces, buffer = follow(frames, self._settings)
        if is_late and faces:
            faces[0] = faces[0].from_first_detection()
        cut_again = self._limit.watch(frames_again)
        crops = cut_faces(faces, buffer, self._settings, folder, cut_again)
        if not faces:
            shutil.rmtree(folder, ignore_errors=True)
        return FaceWindow(start_sec, buffer.times_sec, buffer.sizes[-1], crops)

    def _frames(self, end_sec: float) -> Generator[Frame, None, None]:
        """Yield the frames again, upright; the video is opened when the first is asked for."""
        with open_video(self._path) as reader:
            yield from turned(reader.frames(end_sec, self._settings.fps), self.orientation.quarters)


def split(frames: Iterator[Frame], window_sec: float) -> Iterator[tuple[float, Iterator[Frame]]]:
    """Yield start and frames of each window that has any; use them up before the next."""
    ahead = next(frames, None)

    def until(end_sec: float) -> Iterator[Frame]:
        nonlocal ahead
        while ahead is not None and ahead.time_sec <= end_sec - 1e-6:
            yield ahead
            ahead = next(frames, None)

    while ahead is not None:
        # As a Reader ends the first window, or a frame at its very end would be in none.
        start_sec = int((max(0.0, ahead.time_sec) + 2e-6) / window_sec) * window_sec
        yield start_sec, until(start_sec + window_sec)


def follow(frames: Iterator[Frame], settings: FaceSettings) -> tuple[list[FaceBoxes], FrameBuffer]:
    """Return the faces in these frames, and the frames for their crops.

    The one way from frames to faces, in extraction and in prediction. Taken as-is, the only face is
    the central square of each frame.
    """
    buffer = FrameBuffer()
    if settings.faces == AS_IS:
        for frame in frames:
            buffer.add_frame(frame)
        boxes = np.array([central_square(*size).box_xywh for size in buffer.sizes])
        return [FaceBoxes(0, boxes, np.zeros(len(boxes), bool))], buffer
    tracker = FaceTracker(_detector(threading.get_ident()), settings.faces)
    for frame in frames:
        tracker.add_frame(frame)
        buffer.add_frame(frame)
    return tracker.faces(), buffer


@functools.cache
def _detector(thread: int) -> Detector:
    """Return the detector of this thread: two threads cannot use the same cascades at once."""
    return Detector()


def cut_faces(
    faces: Sequence[FaceBoxes],
    buffer: FrameBuffer,
    settings: FaceSettings,
    folder: Path,
    frames_again: Iterator[Frame],
) -> list[list[Crop]]:
    """Cut each face out into a new folder in `folder` and return its crops.

    Frames that the buffer does not hold are taken from `frames_again`, which are read no further
    than needed. Raises UnreadableError if a frame does not come again.
    """
    as_is = settings.faces == AS_IS
    margin_ratio = 0.0 if as_is else settings.margin_ratio
    found: list[list[Crop]] = []
    squares: dict[int, list[tuple[Path, Square]]] = defaultdict(list)  # by index of the frame
    for number, face in enumerate(faces):
        face_folder = folder / f"face_{number}"
        face_folder.mkdir()
        crops = []
        for order, name in enumerate(crop_names(len(face.boxes))):
            position, box = face.first + order, face.boxes[order]
            source = AS_IS if as_is else "detected" if face.detected[order] else "averaged"
            path, index = face_folder / name, buffer.indices[position]
            # Plain numbers: a row of an array would keep the boxes of all frames in memory.
            box_xywh = tuple(map(float, box))
            crops.append(Crop(path, index, buffer.times_sec[position], box_xywh, source))
            square = crop_square(box, margin_ratio, *buffer.sizes[position])
            squares[index].append((path, square))
        write_boxes(crops, face_folder)
        found.append(crops)
    frames = itertools.chain(buffer.frames, frames_again)
    while squares:
        frame = next(frames, None)
        if frame is None:
            raise UnreadableError("it changed, or decodes differently, when it is read again")
        for path, square in squares.pop(frame.index, ()):
            write_crop(path, square.cut(frame), settings)
    return found
