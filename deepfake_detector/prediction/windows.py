"""One video in, the faces of its windows out: what predict.py scores.

    found = find_faces(Path("a.mp4"), folder, FaceSettings(), num_frames=8, whole=True)

A window is `capture_sec` seconds of a video, as long as what the model was trained on: the first
one that shows a face, or with `whole` one after the other to the end. Faces are found and cut out
by faces/following.py, as for a folder of faces. The crops go below `folder`, and only those stay
that some clip is made of, so neither memory nor the folder grows much with the length of the video.
No TensorFlow.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av.error
import cv2
import numpy as np

from deepfake_detector.clips.sampling import sample_positions
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.face_dataset.boxes import Crop, write_faces
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import extraction
from deepfake_detector.faces.following import FaceSearch, FaceWindow, TimeLimit, TooSlowError

MOTION_STEP_SEC, MOTION_SIDE, MOTION_PERCENTILE = 0.5, 96, 99.8
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
    detected: int  # frames, or taken as-is; in the others the box is averaged
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
    motion: float = math.nan  # see `Motion`; nan where the window is too short to say


@dataclass
class VideoFaces:
    """What reading a video gave. `problem` says why there are no windows, or no more of them."""

    windows: list[Window] = field(default_factory=list)
    problem: str = ""
    no_face_note: str = ""  # where no face was found, in words
    fps: float = 0.0
    frame_sec: float = 0.0  # length of a frame; 0 for a picture, and where no rate is known
    video_sec: float = math.nan  # length of the video; nan where nothing says it
    seconds: float = 0.0  # taken
    folder: Path | None = None  # of all crops

    @property
    def frames(self) -> int:
        return sum(window.frames for window in self.windows)

    @property
    def frames_with_face(self) -> int:
        return sum(window.frames_with_face for window in self.windows)

    @property
    def read_sec(self) -> float:
        """Seconds from the start of the video to the end of the last frame that was looked at."""
        return self.windows[-1].end_sec + self.frame_sec if self.windows else 0.0


class Motion:
    """How much the picture changes from half second to half second, in grey levels (0..255).

    That of the cells of a coarse grid that change most, so a small face that speaks counts; and the
    median over time, so the cuts of a slideshow do not. Stills are at 0 to 3, where they are
    compressed hard at up to 10; of 120 real videos of people the calmest is at 14.
    """

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._slot, self._last_sec = -1, 0.0
        self._changes: list[tuple[float, float]] = []  # when the first of two was, and how much

    def watch(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield the frames, and compare those that are half a second apart."""
        for frame in frames:
            slot = int(frame.time_sec / MOTION_STEP_SEC + 1e-6)
            if slot != self._slot:
                size = (MOTION_SIDE, MOTION_SIDE)
                small = cv2.resize(frame.grey, size, interpolation=cv2.INTER_AREA).astype(float)
                if self._last is not None:
                    change = np.abs(small - self._last)
                    level = float(np.percentile(change, MOTION_PERCENTILE))
                    self._changes.append((self._last_sec, level))
                self._last, self._slot, self._last_sec = small, slot, frame.time_sec
            yield frame

    def since(self, start_sec: float) -> float:
        """Return the motion from a time to the last frame that was looked at, and forget it; nan
        where that is less than half a second."""
        levels = [level for time_sec, level in self._changes if time_sec >= start_sec - 1e-3]
        self._changes.clear()
        return float(np.median(levels)) if levels else math.nan


def find_faces(
    path: Path,
    folder: Path,
    settings: FaceSettings,
    num_frames: int,
    whole: bool = False,
    timeline: bool = False,
    timeout_sec: float = math.inf,
    on_frame: Callable[[float], None] | None = None,
) -> VideoFaces:
    """Return the windows of a video, with clips of `num_frames` crops in a new folder in `folder`.

    They are those up to the first one with a face, or with `whole` all. With `timeline`, also
    short clips of each face, half a second apart. After `timeout_sec`, with `whole` for one window,
    the rest is given up. `on_frame` is called with the time of each frame in seconds, for who
    waits. Raises OSError where crops cannot be written; everything else is a
    `problem`.
    """
    started = time.perf_counter()
    own_folder = Path(tempfile.mkdtemp(dir=folder))
    found = VideoFaces(folder=own_folder)
    limit = TimeLimit(timeout_sec)
    reading = _WindowReader(path, own_folder, settings, num_frames, timeline, limit, on_frame)
    try:
        reading.read(whole, found)
    except TooSlowError:
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
    limit: TimeLimit
    on_frame: Callable[[float], None] | None = None

    def read(self, whole: bool, found: VideoFaces) -> None:
        """Fill in `found`; for errors see `FaceSearch.windows`."""
        with open_video(self.path) as reader:
            found.fps, found.video_sec = reader.fps, reader.header_sec
            has_clock = math.isfinite(reader.fps) and not is_picture(self.path)
            found.frame_sec = 1 / reader.fps if has_clock else 0.0
            motion = Motion()

            def watch(frames: Iterator[Frame]) -> Iterator[Frame]:
                for frame in motion.watch(frames):
                    if self.on_frame is not None:
                        self.on_frame(frame.time_sec)
                    yield frame

            search = FaceSearch(self.path, reader, self.settings, self.folder, self.limit, watch)
            try:
                for window in search.windows(whole):
                    motion_of_window = motion.since(window.start_sec)
                    found.windows.append(self._window(len(found.windows), window, motion_of_window))
            finally:
                found.no_face_note = search.no_face_note if found.windows else ""
            found.problem = reader.damage
            if reader.ended and not found.problem and found.frame_sec:
                found.video_sec = found.read_sec  # headers round, and count the sound

    def _window(self, number: int, window: FaceWindow, motion: float) -> Window:
        with_face = {
            crop.index for crops in window.faces for crop in crops if crop.source != "averaged"
        }
        face_folders = write_faces(window.faces, window.folder)
        faces = [
            self._face(order, crops, folder)
            for order, (crops, folder) in enumerate(zip(window.faces, face_folders, strict=True))
        ]
        for unused in window.folder.glob("*.jpeg"):
            unused.unlink()
        return Window(
            number,
            window.start_sec,
            window.times_sec[-1],
            len(window.times_sec),
            len(with_face),
            tuple(faces),
            motion,
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
            detected=sum(crop.source != "averaged" for crop in crops),
            crops=tuple(chosen),
            moments=moments,
        )


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
