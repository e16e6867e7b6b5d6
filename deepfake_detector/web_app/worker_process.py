"""The process that does the work of the page: reads videos, scores them, draws.

Jobs come in through a pipe, and what happens goes out through it, one object after the other, the
last of them a `Done`. TensorFlow is loaded in a thread, so that the first video is read meanwhile.
"""

import concurrent.futures
import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import av.error
import cv2
import numpy as np

from deepfake_detector.console import UserError, counted
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.prediction.judging import judge_faces
from deepfake_detector.prediction.scores import ScoredFace, explain_crops, load_scorer
from deepfake_detector.prediction.task import Task
from deepfake_detector.prediction.verdicts import JudgedVideo, Rule
from deepfake_detector.prediction.windows import find_faces
from deepfake_detector.results.annotated_video import annotate_picture, annotate_video
from deepfake_detector.results.page import occlusion_overlay

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer

COPY_OF_VIDEO, COPY_OF_PICTURE = "annotated.mp4", "annotated.png"
REPORT_SEC = 0.25  # between two reports of progress


@dataclass(frozen=True)
class JudgeJob:
    """Judge a video or a picture, and draw a copy with what was seen."""

    path: Path
    folder: Path  # for the crops and the copy, which stay there
    rule: Rule  # of the verdict
    whole: bool = False  # all of it, or the first seconds
    longest_sec: float = math.inf  # a longer video is refused, if `whole`


@dataclass(frozen=True)
class ExplainJob:
    """Find out what in a face its score rests on, at one moment."""

    face: ScoredFace
    moment: int  # index into `face.face.moments`


@dataclass(frozen=True)
class Progress:
    """What is being done, and which share of it is done, 0..1; None where that is not known."""

    words: str
    share: float | None = None


@dataclass(frozen=True)
class Drawn:
    """The copy of a video, or in words why there is none."""

    path: Path | None
    note: str = ""


@dataclass(frozen=True)
class Explained:
    """The face with the map over it, a JPEG."""

    picture: bytes


@dataclass(frozen=True)
class Refused:
    """A sentence about what cannot be done."""

    sentence: str


@dataclass(frozen=True)
class Done:
    """There is no more to come of a job."""


Job = JudgeJob | ExplainJob
Event = Progress | JudgedVideo | Drawn | Explained | Refused
Say = Callable[[object], None]  # sends an event to the page


def serve(connection: Connection, task: Task) -> None:
    """Do the jobs that come through `connection`, until it is closed."""
    say = connection.send
    with concurrent.futures.ThreadPoolExecutor(1) as meanwhile:
        loading = meanwhile.submit(_load_warm_scorer, task)
        with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
            while True:
                job = connection.recv()
                try:
                    if isinstance(job, JudgeJob):
                        _judge(job, replace(task, rule=job.rule, whole=job.whole), loading, say)
                    else:
                        _explain(job, loading, say)
                except UserError as error:
                    say(Refused(str(error)))
                say(Done())


def _load_warm_scorer(task: Task) -> "ClipScorer":
    """Return the scorer with its graphs traced: the first video is to wait no longer than the
    second."""
    scorer = load_scorer(task.model_path, task.model_settings)
    scorer.score_clips(np.zeros((1, scorer.num_frames, *scorer.img_size, 3), np.uint8))
    return scorer


def _judge(job: JudgeJob, task: Task, loading: "Future[ClipScorer]", say: Say) -> None:
    too_long = _too_long(job) if job.whole else ""
    if too_long:
        say(Refused(too_long))
        return
    limit_sec = None if task.whole else task.face_settings.capture_sec
    found = find_faces(
        job.path,
        job.folder,
        task.face_settings,
        task.model_settings["num_frames"],
        task.whole,
        timeline=True,
        timeout_sec=task.timeout_sec,
        on_frame=_FrameReport(say, limit_sec),
    )
    if not loading.done():
        say(Progress("loading the model"))
    scorer = loading.result()
    say(Progress(f"scoring {counted(sum(len(w.faces) for w in found.windows), 'face')}"))
    judged = judge_faces(job.path, found, scorer, task)
    say(judged)
    if judged.deciding_face is not None:
        say(Progress("drawing a copy with what was seen"))
        say(_draw_copy(judged, job.folder))


def _too_long(job: JudgeJob) -> str:
    """Return a sentence where a video is longer than may be looked at; often nothing."""
    try:
        with open_video(job.path) as reader:
            length_sec = reader.header_sec
    except UnreadableError:  # which the verdict will say
        return ""
    if not length_sec > job.longest_sec:
        return ""
    return (
        f"it is {length_sec:.0f} seconds long, and this page looks at all of a video up to "
        f"{job.longest_sec:.0f} seconds; untick that, or cut it"
    )


class _FrameReport:
    """Says now and then how far reading has come."""

    def __init__(self, say: Say, limit_sec: float | None):
        self._say, self._limit_sec = say, limit_sec
        self._last = 0.0

    def __call__(self, time_sec: float) -> None:
        now = time.monotonic()
        if now - self._last < REPORT_SEC:
            return
        self._last, limit_sec = now, self._limit_sec
        if limit_sec is None:
            self._say(Progress(f"looking for faces: {time_sec:.1f} seconds read"))
        elif time_sec < limit_sec:
            words = f"looking for faces: {time_sec:.1f} of {limit_sec:.0f} seconds read"
            self._say(Progress(words, time_sec / limit_sec))
        else:
            self._say(Progress(f"no face so far: {time_sec:.0f} seconds read"))


def _draw_copy(judged: JudgedVideo, folder: Path) -> Drawn:
    try:
        if is_picture(judged.path):
            annotate_picture(judged, folder / COPY_OF_PICTURE)
            return Drawn(folder / COPY_OF_PICTURE)
        note = annotate_video(judged, folder / COPY_OF_VIDEO)
        return Drawn(folder / COPY_OF_VIDEO, note)
    except (OSError, UnreadableError, cv2.error, av.error.FFmpegError) as error:
        return Drawn(None, " ".join(str(error).split()))


def _explain(job: ExplainJob, loading: "Future[ClipScorer]", say: Say) -> None:
    say(Progress("finding out what the score rests on"))
    paths = job.face.face.moments[job.moment].paths
    say(Explained(occlusion_overlay(explain_crops(loading.result(), paths))))
