"""From the scores of faces to one verdict a video, and what it rests on. No TensorFlow, no pixels.

    judged = judge(Path("a.mp4"), found, faces, Rule(threshold=0.5, window_sec=5.0))
    judged.basis        # "5.0 of 120.0 seconds, 125 frames, face in 100%"
    judged.warnings     # {"part-of-video": "only 5.0 of 120.0 seconds"}

FAKE or REAL as the score of the deciding face is at or above the threshold or below it, UNCERTAIN
where it is too close to it, NO FACE where there is none in any window, UNREADABLE where there is no
video to look at. The latter two have no score: none is made up for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.console import counted
from deepfake_detector.prediction.scores import Explanation, ScoredFace
from deepfake_detector.prediction.windows import VideoFaces, Window
from deepfake_detector.scoring.calibration import LEAST_BAND, Interval, is_uncertain, logits
from deepfake_detector.scoring.trained_model import SYNTHETIC_WARNING, ModelOrigin
from deepfake_detector.scoring.video_scores import highest_scoring

VERDICTS = ("FAKE", "UNCERTAIN", "REAL", "NO FACE", "UNREADABLE")
FAKE, UNCERTAIN, REAL, NO_FACE, UNREADABLE = VERDICTS
WINDOW_RULES = ("worst", "median")
# What makes a verdict less sure than its score. A verdict has a note about each.
SYNTHETIC_MODEL = "synthetic-model"
WARNINGS = (
    "part-of-video",
    "few-frames",
    "still",
    "few-faces",
    "unsteady",
    "near-threshold",
    SYNTHETIC_MODEL,
)
MOST_OF_IT = 0.9  # share of a video's seconds; whoever reads less says so
FEW_FRAMES = 5  # a verdict from fewer says so
FEW_FACES = 0.5  # share of the frames of a window; what is found in fewer may be no face
STEADY = 0.7  # share of the moments that are on the same side of the threshold as the verdict
STILL_GREY_LEVELS = 5.0  # motion below it: see `windows.Motion`


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
        return FAKE if self.is_fake(score) else REAL

    def is_fake(self, score: float) -> bool:
        """Return the side of the threshold."""
        return score >= self.threshold

    def distance(self, score: float) -> float:
        """Return how far a score is from the threshold, as a difference of logits."""
        one, other = logits(np.array([score, self.threshold]))
        return float(abs(one - other))


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
    model: ModelOrigin = ModelOrigin("")
    explanation: Explanation | None = None  # of the deciding face's score, where asked for

    @property
    def score(self) -> float | None:
        """Calibrated P(fake), 0..1; None where there is no face."""
        return self.deciding_face.score if self.deciding_face else None

    @property
    def warnings(self) -> dict[str, str]:
        """What makes the verdict less sure than its score, by the names in WARNINGS."""
        return thin_spots(self) if self.deciding_face is not None else {}

    @property
    def note(self) -> str:
        """Why there is no score, or which face and window decided and what makes that less sure;
        often nothing. What the model was trained on is said once, and not here."""
        return "; ".join(self.notes)

    @property
    def notes(self) -> list[str]:
        """The parts of the note."""
        notes = [words for name, words in self.warnings.items() if name != SYNTHETIC_MODEL]
        if self.deciding_face is not None:
            window, face = self.deciding_face.window, self.deciding_face.face
            num_windows = len({face.window.number for face in self.faces})
            if len(window.faces) > 1:
                notes.append(f"face {face.number + 1} of {len(window.faces)}")
            if num_windows > 1:
                notes.append(f"{window.start_sec:.1f} to {window.end_sec:.1f} s")
                notes.append(
                    f"{self.windows_at_or_above_threshold} of {num_windows} windows at or above "
                    "the threshold"
                )
        return [*notes, *filter(None, (self.found.no_face_note, self.found.problem))]

    @property
    def basis(self) -> str:
        """What the verdict rests on, in a line: seconds, frames, faces, steadiness."""
        found = self.found
        parts = [seconds_read(found)] if found.frame_sec else []
        parts.append(counted(found.frames, "frame"))
        if found.frames:
            parts.append(f"face in {found.frames_with_face / found.frames:.0%}")
        if len(self.moment_scores) > 1:
            low, high = min(self.moment_scores), max(self.moment_scores)
            parts.append(f"moments {low:.2f} to {high:.2f}")
        return ", ".join(parts)

    @property
    def moment_scores(self) -> tuple[float, ...]:
        """Scores of the deciding face along its window; empty where they were not asked for."""
        return self.deciding_face.moment_scores if self.deciding_face else ()


def thin_spots(judged: JudgedVideo) -> dict[str, str]:
    """Return the warnings about a verdict that has a score, in words by their names."""
    found, deciding = judged.found, judged.deciding_face
    if deciding is None:
        return {}
    face, rule = deciding.face, judged.rule
    spots: dict[str, str] = {}
    if found.frame_sec and found.read_sec < MOST_OF_IT * found.video_sec:
        spots["part-of-video"] = f"only {seconds_read(found)}"
    if face.num_frames < FEW_FRAMES:
        spots["few-frames"] = f"from {counted(face.num_frames, 'frame')} only"
    elif deciding.window.motion < STILL_GREY_LEVELS:
        spots["still"] = "a still picture throughout"
    share = face.detected / max(1, deciding.window.frames)
    if share < FEW_FACES:
        spots["few-faces"] = f"face in {share:.0%} of its frames, perhaps none at all"
    agreeing = sum(
        rule.is_fake(score) == rule.is_fake(deciding.score) for score in deciding.moment_scores
    )
    moments = len(deciding.moment_scores)
    if judged.verdict != UNCERTAIN and agreeing < STEADY * moments:
        spots["unsteady"] = (
            f"only {agreeing} of {moments} moments {'agrees' if agreeing == 1 else 'agree'}"
        )
    if rule.uncertain is None and rule.distance(deciding.score) < LEAST_BAND:
        spots["near-threshold"] = f"close to the threshold {rule.threshold:.3g}"
    if judged.model.is_synthetic:
        spots[SYNTHETIC_MODEL] = SYNTHETIC_WARNING
    return spots


def seconds_read(found: VideoFaces) -> str:
    """Return how much of a video was looked at, of how much where that is more or is known."""
    if found.read_sec < MOST_OF_IT * found.video_sec:
        return f"{found.read_sec:.1f} of {found.video_sec:.1f} seconds"
    return f"{found.read_sec:.1f} seconds"


def score_text(score: float, threshold: float) -> str:
    """Return a score with as many digits as it takes to see on which side of the threshold it is,
    3 at least."""
    for digits in range(3, 9):
        shown = round(score, digits)
        if (shown >= round(threshold, 3)) == (score >= threshold):
            return f"{score:.{digits}f}"
    return f"{score:.9f}"


def judge(
    path: Path,
    found: VideoFaces,
    faces: Sequence[ScoredFace],
    rule: Rule,
    seconds: float = 0.0,
    model: ModelOrigin = ModelOrigin(""),  # noqa: B008  it is frozen
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
        return JudgedVideo(path, verdict, rule, found, seconds=seconds, model=model)
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
        model,
    )


def _is_short_rest(window: Window, found: VideoFaces, rule: Rule) -> bool:
    last = window is found.windows[-1] and window.number > 0
    return last and window.end_sec - window.start_sec < rule.window_sec / 2
