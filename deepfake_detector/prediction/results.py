"""A verdict as plain values: what `predict.predict` returns, and what a JSON file holds.

    video = plain_result(judged)
    json.dumps(dataclasses.asdict(video))

Numbers, strings and tuples only: nothing refers to a file that is gone, or to a class of another
module. Times are in seconds from the start of the video, scores are calibrated P(fake), 0..1.
"""

import math
from dataclasses import dataclass

from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.verdicts import JudgedVideo


@dataclass(frozen=True)
class CropResult:
    """One crop of the clip that was scored."""

    frame: int  # its index in the video, from 0
    time_sec: float
    box_xywh: tuple[float, ...]  # of the face: left, top, width, height in pixels of the video
    source: str  # of the box: "detected", "averaged" from other frames, or "as-is": all of it


@dataclass(frozen=True)
class MomentResult:
    """The score of about one second of a face: it shows where to look, and decides nothing."""

    time_sec: float  # middle of the second
    score: float


@dataclass(frozen=True)
class FaceResult:
    """One face in one window."""

    face: int  # from 0, the main face of the window
    score: float
    start_sec: float  # of the first frame in which it was followed
    end_sec: float  # of the last
    frames: int  # in which it was followed
    detected: int  # frames in which it was detected, or taken as-is; in the others averaged
    crops: tuple[CropResult, ...]  # of the clip that was scored, in order
    moments: tuple[MomentResult, ...]  # scores over time; empty unless they were asked for


@dataclass(frozen=True)
class WindowResult:
    """Some seconds of a video: as many as the model was trained on, fewer at the end."""

    window: int  # 0 is the start of the video
    start_sec: float
    end_sec: float  # of its last frame
    frames: int  # that were looked at
    frames_with_face: int  # in which at least one face was detected
    faces: tuple[FaceResult, ...]  # the main face first


@dataclass(frozen=True)
class DecidedBy:
    """Which face of which window decided."""

    window: int
    face: int


@dataclass(frozen=True)
class VideoVerdict:
    """The verdict on one video, and what it rests on."""

    path: str
    verdict: str  # "FAKE", "UNCERTAIN", "REAL", "NO FACE" or "UNREADABLE"
    score: float | None  # that of the deciding face; None without a face
    threshold: float  # a score at or above it is FAKE
    uncertain: tuple[float, ...] | None  # ... but UNCERTAIN between these two; None: it never is
    note: str  # why there is no score, which of several faces and windows decided, how few frames
    decided_by: DecidedBy | None  # None without a face
    fps: float | None  # frames a second as the header says; None where it says nothing usable
    read_sec: float  # time of the last frame that was looked at
    frames: int  # that were looked at
    frames_with_face: int  # in which at least one face was detected, or taken as-is
    seconds: float  # that reading and scoring took
    windows: tuple[WindowResult, ...]  # in order; more than one only for a whole video

    @property
    def faces(self) -> tuple[FaceResult, ...]:
        """The faces of all windows, in order."""
        return tuple(face for window in self.windows for face in window.faces)

    @property
    def face_share(self) -> float:
        """Share of the frames looked at in which a face was detected, 0..1."""
        return self.frames_with_face / max(1, self.frames)


def plain_result(judged: JudgedVideo) -> VideoVerdict:
    """Return all that is known about a judged video, as plain values."""
    found, deciding = judged.found, judged.deciding_face
    return VideoVerdict(
        path=str(judged.path),
        verdict=judged.verdict,
        score=judged.score,
        threshold=judged.rule.threshold,
        uncertain=tuple(judged.rule.uncertain) if judged.rule.uncertain else None,
        note=judged.note,
        decided_by=DecidedBy(deciding.window.number, deciding.face.number) if deciding else None,
        fps=found.fps if math.isfinite(found.fps) else None,
        read_sec=round(found.windows[-1].end_sec, 3) if found.windows else 0.0,
        frames=found.frames,
        frames_with_face=found.frames_with_face,
        seconds=round(judged.seconds, 3),
        windows=tuple(
            WindowResult(
                window.number,
                round(window.start_sec, 3),
                round(window.end_sec, 3),
                window.frames,
                window.frames_with_face,
                tuple(_face_result(face) for face in judged.faces if face.window is window),
            )
            for window in found.windows
        ),
    )


def _face_result(scored: ScoredFace) -> FaceResult:
    face = scored.face
    return FaceResult(
        face.number,
        scored.score,
        round(face.start_sec, 3),
        round(face.end_sec, 3),
        face.num_frames,
        face.detected,
        tuple(
            CropResult(
                crop.index,
                round(crop.time_sec, 3),
                tuple(round(float(side), 1) for side in crop.box_xywh),
                crop.source,
            )
            for crop in face.crops
        ),
        tuple(
            MomentResult(round(moment.time_sec, 3), score)
            for moment, score in zip(face.moments, scored.moment_scores, strict=True)
        ),
    )
