"""One video in, the faces of its windows out: what predict.py scores.

    found = find_faces(Path("a.mp4"), folder, FaceSettings(), num_frames=8, whole=True)

A window is `capture_sec` seconds of a video, as long as what the model was trained on: the first
one, or with `whole` one after the other to the end. Each is treated as if it were a video, by the
very functions of extraction.py. The crops go below `folder`, and only those stay that some clip is
made of, so neither memory nor the folder grows much with the length of the video. No TensorFlow.
"""

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av.error
import cv2
import numpy as np

from deepfake_detector.clips.sampling import sample_positions
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.face_dataset.boxes import Crop, write_face
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import extraction

MOMENT_SEC = 1.0  # length of the clips of a timeline, and twice the time between two of them


@dataclass(frozen=True)
class Moment:
    """A short clip of a face, for a score that changes over time."""

    time_sec: float  # its middle
    paths: tuple[str, ...]  # of its crops, one for each frame of a clip


@dataclass(frozen=True)
class WindowFace:
    """One face in one window: the crops of its clip, in order, some of them perhaps repeated."""

    number: int  # 0 is the main face of the window
    folder: Path  # of the crops, with the boxes of all frames in boxes.csv
    start_sec: float  # of its first frame; the main face has a box in every frame of the window
    end_sec: float  # of its last
    num_frames: int
    detected: int  # frames; in the others the box is averaged
    crops: tuple[Crop, ...]
    moments: tuple[Moment, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(str(crop.path) for crop in self.crops)


@dataclass(frozen=True)
class Window:
    """Some seconds of a video, with the faces found in them."""

    number: int  # counts the windows that have frames, from 0
    start_sec: float
    end_sec: float  # of its last frame
    frames: int
    frames_with_face: int  # in which at least one face was detected
    faces: tuple[WindowFace, ...]


@dataclass
class VideoFaces:
    """What reading a video gave. `problem` says why there are no windows, or no more of them."""

    windows: list[Window] = field(default_factory=list)
    problem: str = ""
    fps: float = 0.0
    seconds: float = 0.0  # taken
    folder: Path | None = None  # of all crops

    @property
    def frames(self) -> int:
        return sum(window.frames for window in self.windows)

    @property
    def frames_with_face(self) -> int:
        return sum(window.frames_with_face for window in self.windows)


def find_faces(
    path: Path,
    folder: Path,
    settings: FaceSettings,
    num_frames: int,
    whole: bool = False,
    timeline: bool = False,
    timeout_sec: float = math.inf,
) -> VideoFaces:
    """Return the windows of a video, with clips of `num_frames` crops in a new folder in `folder`.

    With `timeline`, also short clips of each face, half a second apart. After `timeout_sec` for one
    window the rest is given up. Raises OSError where crops cannot be written; everything else is a
    `problem`.
    """
    started = time.perf_counter()
    own_folder = Path(tempfile.mkdtemp(dir=folder))
    found = VideoFaces(folder=own_folder)
    capture_sec = math.inf if whole else settings.capture_sec
    reading = _WindowReader(path, own_folder, settings, num_frames, timeline, timeout_sec)
    try:
        found.problem = reading.read(capture_sec, found)
    except extraction.TooSlowError:
        found.problem = extraction.too_slow(timeout_sec)["reason"]
    except (UnreadableError, cv2.error, av.error.FFmpegError, MemoryError) as error:
        found.problem = " ".join(str(error).split()) or repr(error)
    found.seconds = time.perf_counter() - started
    return found


@dataclass(frozen=True)
class _WindowReader:
    """Reads one video window by window, so that what was read before a failure is kept."""

    path: Path
    folder: Path  # of the crops of all windows
    settings: FaceSettings
    num_frames: int  # of a clip
    timeline: bool
    timeout_sec: float  # for one window

    def read(self, capture_sec: float, found: VideoFaces) -> str:
        """Fill in `found`; return what is wrong with the video, which often is nothing."""
        # Squares that were not foreseen are cut in a second reading, which follows behind.
        again = contextlib.closing(self._frames_again(capture_sec))
        with open_video(self.path) as reader, again as frames_again:
            found.fps = reader.fps
            frames = reader.frames(capture_sec, self.settings.fps)
            for start_sec, of_window in _split(frames, self.settings.capture_sec):
                number = len(found.windows)
                followed, folder = self._follow(of_window, frames_again, number)
                found.windows.append(self._window(number, start_sec, followed, folder))
        return reader.damage

    def _frames_again(self, capture_sec: float) -> Generator[Frame, None, None]:
        """Yield the frames of the video, which is not opened before the first is asked for."""
        with open_video(self.path) as reader:
            yield from reader.frames(capture_sec, self.settings.fps)

    def _follow(
        self, frames: Iterator[Frame], frames_again: Iterator[Frame], number: int
    ) -> tuple[extraction.Followed, Path]:
        """Return the faces of one window, all cut out, and the folder of their crops."""
        deadline = time.perf_counter() + self.timeout_sec
        folder = self.folder / f"window_{number:05d}"
        folder.mkdir()
        frames = extraction.in_time(frames, deadline)
        followed = extraction.follow(frames, self.settings, folder)
        wanted = followed.squares_to_cut()
        if wanted:
            followed.cut(extraction.in_time(frames_again, deadline), wanted)
        return followed, folder

    def _window(
        self, number: int, start_sec: float, followed: extraction.Followed, folder: Path
    ) -> Window:
        with_face: set[int] = set()
        faces = []
        crops_of_faces = followed.crops()
        # Where one face hides another, both may have the same crop.
        place = Path.rename if len(crops_of_faces) == 1 else shutil.copyfile
        for order, crops in enumerate(crops_of_faces):
            with_face.update(crop.index for crop in crops if crop.source == "detected")
            face_folder = folder / f"face_{order}"
            write_face(crops, face_folder, place)
            faces.append(self._face(order, crops, face_folder))
        for unused in folder.glob("*.jpeg"):
            unused.unlink()
        times_sec = followed.tracker.times_sec
        return Window(
            number, start_sec, times_sec[-1], len(times_sec), len(with_face), tuple(faces)
        )

    def _face(self, number: int, crops: Sequence[Crop], folder: Path) -> WindowFace:
        """Return a face whose crops are in `folder`, and delete those that no clip is made of."""
        placed = [
            # A row of an array would keep the boxes of all frames alive.
            Crop(path, crop.index, crop.time_sec, tuple(map(float, crop.box_xywh)), crop.source)
            for path, crop in zip(sorted(folder.glob("*.jpeg")), crops, strict=True)
        ]
        chosen = [placed[order] for order in sample_positions(len(placed), self.num_frames)]
        moments = _moments(placed, self.num_frames) if self.timeline else ()
        kept = {str(crop.path) for crop in chosen}.union(*(moment.paths for moment in moments))
        for crop in placed:
            if str(crop.path) not in kept:
                crop.path.unlink()
        return WindowFace(
            number,
            folder,
            crops[0].time_sec,
            crops[-1].time_sec,
            num_frames=len(crops),
            detected=sum(crop.source == "detected" for crop in crops),
            crops=tuple(chosen),
            moments=moments,
        )


def _split(frames: Iterator[Frame], window_sec: float) -> Iterator[tuple[float, Iterator[Frame]]]:
    """Yield start and frames of each window that has any; use them up before the next."""
    ahead = next(frames, None)

    def until(end_sec: float) -> Iterator[Frame]:
        nonlocal ahead
        while ahead is not None and ahead.time_sec <= end_sec - 1e-6:
            yield ahead
            ahead = next(frames, None)

    while ahead is not None:
        # As VideoReader ends the first window, or a frame at its very end would be in none.
        number = int((max(0.0, ahead.time_sec) + 2e-6) / window_sec)
        yield number * window_sec, until((number + 1) * window_sec)


def _moments(crops: Sequence[Crop], num_frames: int) -> tuple[Moment, ...]:
    """Return clips of a second each, half a second apart; one of all crops where they are fewer."""
    times_sec = np.array([crop.time_sec for crop in crops])
    last_start = times_sec[-1] - MOMENT_SEC
    starts = np.arange(times_sec[0], last_start + 1e-6, MOMENT_SEC / 2)
    if not len(starts):
        starts = times_sec[:1]
    moments = []
    for start_sec in starts:
        first = int(np.searchsorted(times_sec, start_sec - 1e-6))
        count = int(np.searchsorted(times_sec, start_sec + MOMENT_SEC + 1e-6)) - first
        if count < 1:  # a gap in the clock of the video
            continue
        paths = tuple(str(crops[first + i].path) for i in sample_positions(count, num_frames))
        middle_sec = float(times_sec[first : first + count].mean())
        moments.append(Moment(middle_sec, paths))
    return tuple(moments)
