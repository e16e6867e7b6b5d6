"""One video in, the faces of its windows out: what predict.py scores.

    found = read_video(Path("a.mp4"), folder, FaceSettings(), num_frames=8, whole=True)
    found.verdict.windows[0].faces[0]       # a Face without scores
    found.clips[0][0].clip                  # the paths of its crops

A window is `capture_sec` seconds of a video, as long as what the model was trained on: those up to
the first one that shows a face, or with `whole` all. Faces are found and cut out by
faces/following.py, as for a folder of faces. Only crops that some clip is made of are kept, so
neither memory nor the folder grows much with the length of the video. No TensorFlow.
"""

import itertools
import math
import pickle
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import av.error
import cv2
import numpy as np

from deepfake_detector.clips.sampling import sample_positions
from deepfake_detector.console import one_line
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.decoding.reader import Reader
from deepfake_detector.face_dataset.boxes import Crop
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces.extraction import too_slow
from deepfake_detector.faces.following import FaceSearch, FaceWindow, TimeLimit, TooSlowError
from deepfake_detector.files import written_whole
from deepfake_detector.verdicts.verdict import ClipFrame, Face, Moment, Verdict, Window

MOTION_STEP_SEC, MOTION_SIDE, MOTION_PERCENTILE = 0.5, 96, 99.8
MOMENT_SEC = 1.0  # length of the clip of a moment, and twice the time between two moments
PART_SUFFIX = ".part"
ROUNDING_SEC = 1e-6  # by which two times that should be equal may differ


class FaceClips(NamedTuple):
    """The files of one face in one window, in order; a path may be there twice."""

    folder: Path  # with the boxes of all frames in boxes.csv
    clip: list[str]  # paths of the crops of the clip that is scored
    moments: list[list[str]]  # the same for each moment


Clips = list[list[FaceClips]]  # clips[i][j] is of windows[i].faces[j]


@dataclass(frozen=True)
class Reading:
    """What reading a video gave."""

    verdict: Verdict  # without scores and without a decision; `problem` says what went wrong
    clips: Clips = field(default_factory=list)
    folder: Path | None = None  # of all crops

    def behind(self, earlier: "Reading") -> "Reading":
        """Return what is known when the windows before these are `earlier`."""
        windows = (*earlier.verdict.windows, *self.verdict.windows)
        verdict = replace(self.verdict, windows=windows)
        return replace(self, verdict=verdict, clips=[*earlier.clips, *self.clips])

    def without_crops(self) -> "Reading":
        """Return what was read, and delete the crops of its windows, which are scored."""
        for face in itertools.chain.from_iterable(self.clips):
            shutil.rmtree(face.folder, ignore_errors=True)
        return replace(self, clips=[])

    def hand_on(self, folder: Path) -> None:
        """Write some windows of a long video for `take_parts`, before the rest is read."""
        with written_whole(folder / f"{time.monotonic_ns():020d}{PART_SUFFIX}") as partial:
            partial.write_bytes(pickle.dumps(self))


def take_parts(folder: Path) -> Iterator[Reading]:
    """Yield the parts that are ready in the folder of all videos, in order, and delete them."""
    for path in sorted(folder.glob(f"*/[0-9]*{PART_SUFFIX}"), key=lambda path: path.name):
        yield pickle.loads(path.read_bytes())  # noqa: S301  written by our own process
        path.unlink()


class Motion:
    """How much the picture changes from half second to half second, in grey levels (0..255).

    That of the cells of a coarse grid that change most, so a small face that speaks counts; and the
    median over time, so the cuts of a slideshow do not. Stills are at 0 to 3, or up to 10 if they
    are compressed hard; of 120 real videos of people the calmest is at 14.
    """

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._slot, self._last_sec = -1, 0.0
        self._changes: list[tuple[float, float]] = []  # time of the first of two, and the change

    def watch(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield the frames, and compare those that are half a second apart; forget others."""
        self._last, self._slot = None, -1
        self._changes.clear()
        for frame in frames:
            slot = int(frame.time_sec / MOTION_STEP_SEC + ROUNDING_SEC)
            if slot != self._slot:
                size = (MOTION_SIDE, MOTION_SIDE)
                small = cv2.resize(frame.grey, size, interpolation=cv2.INTER_AREA).astype(float)
                if self._last is not None:
                    change = np.abs(small - self._last)
                    level = float(np.percentile(change, MOTION_PERCENTILE))
                    self._changes.append((self._last_sec, level))
                self._last, self._slot, self._last_sec = small, slot, frame.time_sec
            yield frame

    def since(self, start_sec: float) -> float | None:
        """Return the motion from a time to the last frame that was looked at, and forget it; None
        if that is less than half a second."""
        levels = [level for time_sec, level in self._changes if time_sec >= start_sec - 1e-3]
        self._changes.clear()
        return round(float(np.median(levels)), 3) if levels else None


def read_video(
    path: Path,
    folder: Path,
    settings: FaceSettings,
    num_frames: int,
    whole: bool = False,
    moments: bool = False,
    timeout_sec: float = math.inf,
    done: Mapping[str, int] = {},  # noqa: B006  it is only read
    part_sec: float = math.inf,
) -> Reading:
    """Return the windows of a video, with clips of `num_frames` crops in a new folder in `folder`.

    With `moments`, also clips of a second of each face, half a second apart. After `timeout_sec`,
    with `whole` for one window, the rest is given up. What was read before a failure is kept. The
    first windows, as many as `done` says for the path, are left out. Every `part_sec` seconds of
    the video a part is handed on, see `take_parts`; the reading is then of the rest. Raises OSError
    if crops cannot be written; everything else is a `problem` of the verdict.
    """
    started = time.perf_counter()
    crops_folder = Path(tempfile.mkdtemp(dir=folder))
    windows: list[Window] = []
    clips: list[list[FaceClips]] = []
    facts = Verdict(str(path))
    try:
        motion, limit = Motion(), TimeLimit(timeout_sec)
        with FaceSearch(path, settings, crops_folder, limit, motion.watch) as search:
            try:
                for found in search.windows(whole, done.get(str(path), 0)):
                    window, of_faces = _window(found, motion, num_frames, moments)
                    windows.append(window)
                    clips.append(of_faces)
                    if window.end_sec - windows[0].start_sec >= part_sec:
                        part = replace(facts, windows=tuple(windows))
                        Reading(part, clips).hand_on(crops_folder)
                        windows, clips = [], []
                    frame_sec = _frame_sec(path, search.reader)
                    facts = replace(facts, read_sec=found.times_sec[-1] + frame_sec)
            finally:
                facts = replace(
                    facts,
                    no_face_note=search.no_face_note if facts.read_sec or windows else "",
                    turned_degrees=search.orientation.degrees,
                )
                facts = _with_facts_of(search.reader, facts)
    except TooSlowError:
        facts = replace(facts, problem=too_slow(timeout_sec))
    except (UnreadableError, cv2.error, av.error.FFmpegError, MemoryError) as error:
        facts = replace(facts, problem=one_line(error))
    verdict = replace(
        facts,
        read_sec=round(facts.read_sec, 3),
        seconds=time.perf_counter() - started,
        windows=tuple(windows),
    )
    return Reading(verdict, clips, crops_folder)


def _frame_sec(path: Path, reader: Reader) -> float:
    """Return how long the last frame is shown; 0 for a single picture, which has no length."""
    return 0.0 if is_picture(path) and math.isnan(reader.header_sec) else 1 / reader.fps


def _with_facts_of(reader: Reader, facts: Verdict) -> Verdict:
    """Return the verdict with what the file says about itself."""
    video_sec = _known(reader.header_sec)
    if reader.ended and not reader.damage and facts.read_sec:
        video_sec = round(facts.read_sec, 3)  # headers round, and count the sound
    return replace(facts, fps=_known(reader.fps), video_sec=video_sec, problem=reader.damage)


def _known(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _window(
    found: FaceWindow, motion: Motion, num_frames: int, with_moments: bool
) -> tuple[Window, list[FaceClips]]:
    """Return a window and the clips of its faces; delete the crops that no clip is made of."""
    faces, clips = [], []
    for crops in found.faces:
        clip = [crops[position] for position in sample_positions(len(crops), num_frames)]
        moments = _moments(crops, num_frames) if with_moments else []
        paths = [[str(crop.path) for crop in of_moment] for _, of_moment in moments]
        clips.append(FaceClips(crops[0].path.parent, [str(crop.path) for crop in clip], paths))
        kept = set(clips[-1].clip).union(*paths)
        for crop in crops:
            if str(crop.path) not in kept:
                crop.path.unlink()
        faces.append(_face(crops, clip, [time_sec for time_sec, _ in moments]))
    with_face = {crop.index for crops in found.faces for crop in crops if _is_found(crop)}
    window = Window(
        start_sec=round(found.start_sec, 3),
        end_sec=round(found.times_sec[-1], 3),
        frames=len(found.times_sec),
        frames_with_face=len(with_face),
        motion=motion.since(found.start_sec),
        faces=tuple(faces),
    )
    return window, clips


def _face(crops: Sequence[Crop], clip: Sequence[Crop], moments_sec: Sequence[float]) -> Face:
    """Return a face without scores, which has these crops."""
    return Face(
        score=math.nan,
        start_sec=round(crops[0].time_sec, 3),
        end_sec=round(crops[-1].time_sec, 3),
        frames=len(crops),
        detected=sum(map(_is_found, crops)),
        clip=tuple(
            ClipFrame(
                crop.index,
                round(crop.time_sec, 3),
                tuple(round(float(side), 1) for side in crop.box_xywh),
                crop.source,
            )
            for crop in clip
        ),
        moments=tuple(Moment(round(time_sec, 3), math.nan) for time_sec in moments_sec),
    )


def _is_found(crop: Crop) -> bool:
    """Return whether a face was detected there, or the frame taken as-is."""
    return crop.source != "averaged"


def _moments(crops: Sequence[Crop], num_frames: int) -> list[tuple[float, list[Crop]]]:
    """Return the middle of each moment in seconds and the crops of its clip.

    The clips are a second long, half a second apart; a face of less than a second has one.
    """
    times_sec = np.array([crop.time_sec for crop in crops])
    last_start = times_sec[-1] - MOMENT_SEC
    starts = np.arange(times_sec[0], last_start + ROUNDING_SEC, MOMENT_SEC / 2)
    moments = []
    for start_sec in starts if len(starts) else times_sec[:1]:
        first = int(np.searchsorted(times_sec, start_sec - ROUNDING_SEC))
        count = int(np.searchsorted(times_sec, start_sec + MOMENT_SEC + ROUNDING_SEC)) - first
        if count < 1:  # a gap in the clock of the video
            continue
        of_moment = [crops[first + position] for position in sample_positions(count, num_frames)]
        moments.append((float(times_sec[first : first + count].mean()), of_moment))
    return moments
