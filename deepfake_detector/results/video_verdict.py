"""A verdict as plain values: what `predict.predict` returns, and what files hold.

    video = plain_result(judged)
    entry = dataclasses.asdict(video)   # for json.dumps
    verdict_of(entry)                   # the way back

Numbers, strings and tuples only: nothing refers to a file that is gone, or to a class of another
module. Times are in seconds from the start of the video, scores are calibrated P(fake), 0..1.
Windows and faces are counted from 1, as on the screen and in the pictures.
"""

import math
from dataclasses import dataclass

from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.verdicts import JudgedVideo

# What verdicts depend on (`outputs._origin`) that is no option of its name.
OPTIONS = dict.fromkeys(("contract", "version"), "its version") | {
    "model_sha256": "the files of the model",
    "faces": "--faces, --search-sec or --detector",
    "rule": "--operating-point or --windows",
    "timeline": "--json or --annotate",
    "pictures": "--annotate",
}


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

    face: int  # from 1, the main face of the window
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

    window: int  # 1 is the start of the video
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
    note: str  # why there is no score, or what to know of the verdict, in words
    warnings: tuple[str, ...]  # what makes the verdict less sure: names in `verdicts.WARNINGS`
    decided_by: DecidedBy | None  # None without a face
    fps: float | None  # frames a second as the header says; None where it says nothing usable
    read_sec: float  # seconds from the start that were looked at; 0 of a picture
    video_sec: float | None  # length of the video; None where nothing says it
    frames: int  # that were looked at
    frames_with_face: int  # in which at least one face was detected, or taken as-is
    motion: float | None  # of the deciding window in grey levels, 0 is a still; None: not known
    lowest_moment_score: float | None  # of the deciding face along its window; None without a
    highest_moment_score: float | None  # timeline
    model: str  # path of the model
    trained_on: str  # in a few words; empty where nothing says it
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
        warnings=tuple(judged.warnings),
        decided_by=(
            DecidedBy(deciding.window.number + 1, deciding.face.number + 1) if deciding else None
        ),
        fps=_known(found.fps),
        read_sec=round(found.read_sec, 3),
        video_sec=_known(found.video_sec),
        frames=found.frames,
        frames_with_face=found.frames_with_face,
        motion=_known(deciding.window.motion) if deciding else None,
        lowest_moment_score=min(judged.moment_scores, default=None),
        highest_moment_score=max(judged.moment_scores, default=None),
        model=judged.model.path,
        trained_on=judged.model.trained_on,
        seconds=round(judged.seconds, 3),
        windows=tuple(
            WindowResult(
                window.number + 1,
                round(window.start_sec, 3),
                round(window.end_sec, 3),
                window.frames,
                window.frames_with_face,
                tuple(_face_result(face) for face in judged.faces if face.window is window),
            )
            for window in found.windows
        ),
    )


def verdict_of(entry: dict) -> VideoVerdict:
    """Return the verdict that `dataclasses.asdict` and JSON have made an entry of.

    Raises KeyError or TypeError for another entry.
    """
    decided_by, uncertain = entry["decided_by"], entry["uncertain"]
    windows = [
        WindowResult(**window | {"faces": tuple(map(_face_of, window["faces"]))})
        for window in entry["windows"]
    ]
    return VideoVerdict(
        **entry
        | {
            "uncertain": tuple(uncertain) if uncertain else None,
            "warnings": tuple(entry["warnings"]),
            "decided_by": DecidedBy(**decided_by) if decided_by else None,
            "windows": tuple(windows),
        }
    )


def _face_of(entry: dict) -> FaceResult:
    crops = [CropResult(**crop | {"box_xywh": tuple(crop["box_xywh"])}) for crop in entry["crops"]]
    moments = [MomentResult(**moment) for moment in entry["moments"]]
    return FaceResult(**entry | {"crops": tuple(crops), "moments": tuple(moments)})


def _known(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _face_result(scored: ScoredFace) -> FaceResult:
    face = scored.face
    return FaceResult(
        face.number + 1,
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
