"""The verdict on one video, and what it rests on: Verdict > Window > Face > Moment.

    entry = dataclasses.asdict(verdict)     # for json.dumps
    verdict_of(entry)                       # the way back

Everything that shows a verdict is made of this tree. Scores are calibrated P(fake), 0..1. Times are
seconds from the start of the video. Positions count from 0, in the tree and in JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VERDICTS = ("FAKE", "UNCERTAIN", "REAL", "NO FACE", "UNREADABLE")
FAKE, UNCERTAIN, REAL, NO_FACE, UNREADABLE = VERDICTS
OCCLUSION = "occlusion"  # key of the map of what in the deciding face the score rests on


@dataclass(frozen=True)
class ClipFrame:
    """One frame of the clip that was scored."""

    frame: int  # its index in the video
    time_sec: float
    box_xywh: tuple[float, ...]  # of the face: left, top, width, height in pixels of the video
    source: str  # of the box: "detected", "averaged" from other frames, or "as-is": all of it


@dataclass(frozen=True)
class Moment:
    """The score of about one second of a face. It shows where to look, and decides nothing."""

    time_sec: float  # the middle of that second
    score: float


@dataclass(frozen=True)
class Face:
    """One face in one window."""

    score: float  # nan until it is scored
    start_sec: float  # of the first frame in which it was followed
    end_sec: float  # of the last
    frames: int  # in which it was followed
    detected: int  # frames in which it was detected, or taken as-is; in the others averaged
    clip: tuple[ClipFrame, ...]  # what was scored, in order; short tracks repeat frames
    moments: tuple[Moment, ...] = ()  # scores over time, if they were asked for


@dataclass(frozen=True)
class Window:
    """Some seconds of a video: as many as the model was trained on, fewer at the end."""

    start_sec: float
    end_sec: float  # of its last frame
    frames: int  # that were looked at
    frames_with_face: int  # in which at least one face was detected, or taken as-is
    motion: float | None  # see reading.Motion; None for a window too short to say
    faces: tuple[Face, ...]  # the main face first


@dataclass(frozen=True)
class Verdict:
    """The verdict on one video, and what it rests on."""

    path: str
    verdict: str = ""  # one of VERDICTS; "" until it is decided, see rule.py
    score: float | None = None  # of the deciding face; None without a face
    fake_from: float = 1.0  # a score at or above it is FAKE
    real_below: float = 0.0  # a score below it is REAL; between the two it is UNCERTAIN
    note: str = ""  # why there is no score, or what to know about the verdict
    warnings: dict[str, str] = field(default_factory=dict)  # what makes it less sure, by name
    window_index: int | None = None  # which window decided; None without a face
    face_index: int | None = None  # which face of that window
    fps: float | None = None  # frames a second as the header says; None if it says nothing usable
    read_sec: float = 0.0  # seconds from the start that were looked at; 0 for a picture
    video_sec: float | None = None  # length of the video; None if nothing says it
    frames: int = 0  # that were looked at
    frames_with_face: int = 0  # in which at least one face was detected, or taken as-is
    motion: float | None = None  # of the deciding window
    turned_degrees: int | None = 0  # clockwise, to be upright; None: not clear which way is up
    problem: str = ""  # why the video could not be read, or not to its end
    no_face_note: str = ""  # where no face was found
    model: str = ""  # path of the model
    model_name: str = ""  # for people
    trained_on: str = ""  # in a few words; "" if nothing says it
    seconds: float = 0.0  # that reading and scoring took
    windows: tuple[Window, ...] = ()  # in order; those up to the first with a face, or all
    # JPEGs for a page as base64, if they were asked for: faces by `moment_key`, and OCCLUSION.
    jpegs: dict[str, str] = field(default_factory=dict)

    @property
    def deciding_window(self) -> Window | None:
        return None if self.window_index is None else self.windows[self.window_index]

    @property
    def deciding_face(self) -> Face | None:
        window = self.deciding_window
        return None if window is None or self.face_index is None else window.faces[self.face_index]

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces of all windows, in order."""
        return tuple(face for window in self.windows for face in window.faces)

    @property
    def face_share(self) -> float:
        """Share of the frames looked at in which a face was detected, 0..1."""
        return self.frames_with_face / max(1, self.frames)


def moment_key(window_index: int, face_index: int, moment_index: int) -> str:
    """Return the key of the picture of a moment."""
    return f"{window_index}/{face_index}/{moment_index}"


def verdict_of(entry: Mapping[str, Any]) -> Verdict:
    """Return the verdict that `dataclasses.asdict` and JSON have made an entry of.

    Raises KeyError or TypeError for another entry.
    """
    return Verdict(**{**entry, "windows": tuple(map(window_of, entry["windows"]))})


def window_of(entry: Mapping[str, Any]) -> Window:
    """Return the window that `dataclasses.asdict` and JSON have made an entry of."""
    return Window(**{**entry, "faces": tuple(map(_face_of, entry["faces"]))})


def _face_of(entry: dict[str, Any]) -> Face:
    clip = (ClipFrame(**frame | {"box_xywh": tuple(frame["box_xywh"])}) for frame in entry["clip"])
    moments = (Moment(**moment) for moment in entry["moments"])
    return Face(**entry | {"clip": tuple(clip), "moments": tuple(moments)})
