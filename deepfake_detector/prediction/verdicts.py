"""From the scores of faces to one verdict a video, and its form in CSV and JSON.

    judged = judge("a.mp4", found, scores, moment_scores, Rule(threshold=0.5, window_sec=5.0))

FAKE or REAL as the decisive face's score is at or above the threshold or below it, NO FACE where
there is none in any window, UNREADABLE where there is no video to look at. The latter two have no
score: none is made up for them. No TensorFlow and no pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.prediction.windows import VideoFaces, Window, WindowFace

FAKE, REAL, NO_FACE, UNREADABLE = VERDICTS = ("FAKE", "REAL", "NO FACE", "UNREADABLE")
WINDOW_RULES = ("worst", "median")


@dataclass(frozen=True)
class Rule:
    """How scores become a verdict."""

    threshold: float  # of the calibrated score; at or above it is fake
    window_sec: float  # length of a whole window
    windows: str = "worst"  # or "median": which window decides
    operating_point: str = "half"  # name of the threshold


@dataclass(frozen=True)
class JudgedFace:
    window: Window
    face: WindowFace
    score: float
    moment_scores: tuple[float, ...] = ()  # one for each of `face.moments`


@dataclass(frozen=True)
class Judged:
    """One video with its verdict; `score` is None where there is none."""

    path: Path
    verdict: str
    found: VideoFaces
    faces: tuple[JudgedFace, ...] = ()  # of all windows, in order
    decisive: JudgedFace | None = None
    suspicious_windows: int = 0  # those at or above the threshold
    seconds: float = 0.0

    @property
    def score(self) -> float | None:
        return self.decisive.score if self.decisive else None

    @property
    def face_share(self) -> float:
        """Of the frames looked at, those in which a face was detected, 0..1; averaged boxes do not
        count."""
        return self.found.frames_with_face / max(1, self.found.frames)

    @property
    def note(self) -> str:
        """What else there is to say about the verdict, in words; often nothing."""
        if self.verdict == NO_FACE:
            return "; ".join(filter(None, ["no face in any frame", self.found.problem]))
        notes = []
        if self.decisive is not None:
            number, count = self.decisive.face.number, len(self.decisive.window.faces)
            windows = len({face.window.number for face in self.faces})
            if count > 1:
                notes.append(f"face {number + 1} of {count}")
            if windows > 1:
                window = self.decisive.window
                notes.append(f"{window.start_sec:.1f} to {window.end_sec:.1f} s")
                notes.append(f"{self.suspicious_windows} of {windows} windows suspicious")
        return "; ".join([*notes, *filter(None, [self.found.problem])])


def judge(
    path: Path,
    found: VideoFaces,
    scores: Sequence[float],
    moment_scores: Sequence[Sequence[float]],
    rule: Rule,
    seconds: float = 0.0,
) -> Judged:
    """Return the verdict on a video, from the calibrated scores of its faces, window by window.

    A window's score is that of its most suspicious face, because one forged face makes a video a
    fake however genuine the others are. Of several windows the `worst` decides, that of the highest
    score, or the `median` one (of an even number the higher of the two in the middle). A last
    window shorter than half of the others does not decide, unless it is the only one with a face:
    the model was trained on whole ones. The first of equal scores decides.
    """
    if not found.windows:
        return Judged(path, UNREADABLE, found, seconds=seconds)
    faces = tuple(
        JudgedFace(window, face, float(score), tuple(map(float, of_moments)))
        for (window, face), score, of_moments in zip(
            faces_of(found), scores, moment_scores, strict=True
        )
    )
    if not faces:
        return Judged(path, NO_FACE, found, seconds=seconds)
    worst: dict[int, JudgedFace] = {}
    for face in faces:
        if face.score > worst.setdefault(face.window.number, face).score:
            worst[face.window.number] = face
    deciding = [face for face in worst.values() if not _is_stump(face.window, found, rule)]
    deciding = sorted(deciding or worst.values(), key=lambda face: -face.score)
    decisive = deciding[0 if rule.windows == "worst" else (len(deciding) - 1) // 2]
    suspicious = sum(face.score >= rule.threshold for face in worst.values())
    verdict = FAKE if decisive.score >= rule.threshold else REAL
    return Judged(path, verdict, found, faces, decisive, suspicious, seconds)


def faces_of(found: VideoFaces) -> list[tuple[Window, WindowFace]]:
    """Return the faces of all windows in the order in which they are scored."""
    return [(window, face) for window in found.windows for face in window.faces]


def _is_stump(window: Window, found: VideoFaces, rule: Rule) -> bool:
    last = window is found.windows[-1] and window.number > 0
    return last and window.end_sec - window.start_sec < rule.window_sec / 2
