"""From the scores of faces to one verdict a video. No TensorFlow and no pixels.

    judged = judge(Path("a.mp4"), found, faces, Rule(threshold=0.5, window_sec=5.0))

FAKE or REAL as the score of the deciding face is at or above the threshold or below it, UNCERTAIN
where it is too close to it, NO FACE where there is none in any window, UNREADABLE where there is no
video to look at. The latter two have no score: none is made up for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.prediction.scores import Explanation, ScoredFace
from deepfake_detector.prediction.windows import VideoFaces, Window
from deepfake_detector.scoring.calibration import Interval, is_uncertain
from deepfake_detector.scoring.video_scores import highest_scoring

VERDICTS = ("FAKE", "UNCERTAIN", "REAL", "NO FACE", "UNREADABLE")
FAKE, UNCERTAIN, REAL, NO_FACE, UNREADABLE = VERDICTS
WINDOW_RULES = ("worst", "median")
FEW_FRAMES = 5  # a verdict from fewer says so


@dataclass(frozen=True)
class Rule:
    """How scores become a verdict."""

    threshold: float  # of the calibrated score; at or above it is fake
    window_sec: float  # length of a full window
    windows: str = "worst"  # or "median": which window decides
    uncertain: Interval | None = None  # scores between these leave the verdict open

    def verdict(self, score: float) -> str:
        """Return FAKE, REAL or UNCERTAIN."""
        if is_uncertain(score, self.uncertain):
            return UNCERTAIN
        return FAKE if score >= self.threshold else REAL


@dataclass(frozen=True)
class JudgedVideo:
    """One video with its verdict, and the files that it came from."""

    path: Path
    verdict: str  # one of VERDICTS
    rule: Rule
    found: VideoFaces
    faces: tuple[ScoredFace, ...] = ()  # of all windows, in order
    deciding_face: ScoredFace | None = None
    windows_at_or_above_threshold: int = 0
    seconds: float = 0.0  # of reading and scoring
    explanation: Explanation | None = None  # of the deciding face's score, where asked for

    @property
    def score(self) -> float | None:
        """Calibrated P(fake), 0..1; None where there is no face."""
        return self.deciding_face.score if self.deciding_face else None

    @property
    def note(self) -> str:
        """Why there is no score, or which face and window decided and from how few frames; often
        nothing."""
        notes = []
        if self.deciding_face is not None:
            window, face = self.deciding_face.window, self.deciding_face.face
            if face.num_frames < FEW_FRAMES:
                plural = "" if face.num_frames == 1 else "s"
                notes.append(f"from {face.num_frames} frame{plural} only")
            num_windows = len({face.window.number for face in self.faces})
            if len(window.faces) > 1:
                notes.append(f"face {face.number + 1} of {len(window.faces)}")
            if num_windows > 1:
                notes.append(f"{window.start_sec:.1f} to {window.end_sec:.1f} s")
                notes.append(
                    f"{self.windows_at_or_above_threshold} of {num_windows} windows at or above "
                    "the threshold"
                )
        return "; ".join(filter(None, [*notes, self.found.no_face_note, self.found.problem]))


def judge(
    path: Path,
    found: VideoFaces,
    faces: Sequence[ScoredFace],
    rule: Rule,
    seconds: float = 0.0,
) -> JudgedVideo:
    """Return the verdict on a video, from the scores of its faces, window by window.

    The highest-scoring face of a window decides for it, because one forged face makes a video a
    fake, however genuine the others are. Of several windows the `worst` decides, that of the
    highest score, or the `median` one (of an even number the higher of the two in the middle). A
    last window shorter than half of the others does not decide, unless it is the only one with a
    face: the model was trained on full ones. The first of equal scores decides.
    """
    if not faces:
        verdict = NO_FACE if found.windows else UNREADABLE
        return JudgedVideo(path, verdict, rule, found, seconds=seconds)
    highest = highest_scoring(
        [face.window.number for face in faces], [face.score for face in faces]
    )
    of_windows = [faces[index] for index in highest.values()]
    candidates = [face for face in of_windows if not _is_short_rest(face.window, found, rule)]
    candidates = sorted(candidates or of_windows, key=lambda face: -face.score)
    deciding = candidates[0 if rule.windows == "worst" else (len(candidates) - 1) // 2]
    return JudgedVideo(
        path,
        rule.verdict(deciding.score),
        rule,
        found,
        tuple(faces),
        deciding,
        sum(face.score >= rule.threshold for face in of_windows),
        seconds,
    )


def _is_short_rest(window: Window, found: VideoFaces, rule: Rule) -> bool:
    last = window is found.windows[-1] and window.number > 0
    return last and window.end_sec - window.start_sec < rule.window_sec / 2
