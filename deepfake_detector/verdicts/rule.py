"""From the scores of faces to a verdict: which face decides, and what makes it less sure.

    verdict = decide(scored, Rule(OperatingPoint(fake_from=0.6, real_below=0.4), window_sec=5.0))
    verdict.verdict, verdict.score      # "REAL", 0.23
    verdict.warnings                    # {"part-of-video": "only 5.0 of 120.0 seconds"}

FAKE or REAL by the score of the deciding face; UNCERTAIN if it is between the two limits, or if it
is not clear which way up the people are; NO FACE if no window shows one; UNREADABLE if there is no
video to look at. The latter two have no score. No TensorFlow, no pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deepfake_detector.console import counted
from deepfake_detector.faces.orientation import orientation_note
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.scoring.trained_model import SYNTHETIC_WARNING
from deepfake_detector.verdicts.verdict import FAKE, NO_FACE, UNCERTAIN, UNREADABLE, Verdict, Window

MIN_SHARE_READ = 0.9  # of a video's seconds; a verdict from less says so
MIN_FRAMES = 5  # a verdict from fewer says so
MIN_SHARE_WITH_FACE = 0.5  # of the frames of a window; what is found in fewer may not be a face
MIN_SHARE_AGREEING = 0.5  # of the moments, with the same verdict
MIN_MOTION = 5.0  # in grey levels; below it a video is a still picture, see reading.Motion
SYNTHETIC_MODEL = "synthetic-model"  # a warning that the header says once, so no note has it


@dataclass(frozen=True)
class Rule:
    """How scores become a verdict."""

    point: OperatingPoint  # which scores are FAKE and REAL
    window_sec: float  # length of a full window
    is_synthetic: bool = False  # the model has seen synthetic people only


def limits_of(verdict: Verdict) -> OperatingPoint:
    """Return the limits by which a verdict was decided, for other scores in it."""
    return OperatingPoint(verdict.fake_from, verdict.real_below)


def decide(scored: Verdict, rule: Rule) -> Verdict:
    """Return the verdict on a video whose faces have scores; an earlier decision is replaced."""
    decided = replace(
        scored,
        verdict=NO_FACE if scored.windows else UNREADABLE,
        fake_from=rule.point.fake_from,
        real_below=rule.point.real_below,
        warnings={},
    )
    place = _deciding_place(scored.windows, rule)
    if place is not None:
        window_index, face_index = place
        window = scored.windows[window_index]
        score = window.faces[face_index].score
        decided = replace(
            decided,
            verdict=UNCERTAIN if scored.turned_degrees is None else rule.point.verdict(score),
            score=score,
            window_index=window_index,
            face_index=face_index,
            motion=window.motion,
        )
        decided = replace(decided, warnings=_warnings(decided, rule))
    return replace(decided, note="; ".join(_notes(decided)))


def _deciding_place(windows: Sequence[Window], rule: Rule) -> tuple[int, int] | None:
    """Return the indices of the deciding window and of its face, None without any face.

    The highest-scoring face of a window decides for it, because one forged face makes a video a
    fake, however genuine the others are; and so does the highest-scoring window for a video. A last
    window shorter than half of the others does not decide, unless it is the only one with a face:
    the model was trained on full ones. The first of equal scores decides.
    """
    places = []  # of the highest-scoring face of each window: score, window, face
    for window_index, window in enumerate(windows):
        if window.faces:
            scores = [face.score for face in window.faces]
            places.append((max(scores), window_index, scores.index(max(scores))))
    if len(places) > 1 and places[-1][1] == len(windows) - 1:
        last = windows[-1]
        if last.end_sec - last.start_sec < rule.window_sec / 2:
            places.pop()
    return max(places, key=lambda place: place[0])[1:] if places else None


def _warnings(decided: Verdict, rule: Rule) -> dict[str, str]:
    """Return what makes a verdict less sure than its score, by names that docs/python_api.md
    lists."""
    window, face = decided.deciding_window, decided.deciding_face
    if window is None or face is None:
        return {}
    found: dict[str, str] = {}
    if decided.turned_degrees != 0:
        found["turned"] = orientation_note(decided.turned_degrees)
    if decided.video_sec and 0 < decided.read_sec < MIN_SHARE_READ * decided.video_sec:
        found["part-of-video"] = f"only {seconds_read(decided)} judged"
    if face.frames < MIN_FRAMES:
        found["few-frames"] = f"only {counted(face.frames, 'frame')} judged"
    elif window.motion is not None and window.motion < MIN_MOTION:
        found["still"] = "a still picture throughout"
    share = face.detected / max(1, window.frames)
    if share < MIN_SHARE_WITH_FACE:
        found["few-faces"] = f"detected in only {share:.0%} of the frames, perhaps no face"
    agreeing = sum(rule.point.verdict(each.score) == decided.verdict for each in face.moments)
    moments = len(face.moments)
    if decided.verdict != UNCERTAIN and agreeing < MIN_SHARE_AGREEING * moments:
        verb = "agrees" if agreeing == 1 else "agree"
        found["unsteady"] = f"only {agreeing} of {moments} moments {verb}"
    if rule.is_synthetic:
        found[SYNTHETIC_MODEL] = SYNTHETIC_WARNING
    return found


def _notes(decided: Verdict) -> list[str]:
    """Return which face and window decided, and what to know about the verdict."""
    notes = [words for name, words in decided.warnings.items() if name != SYNTHETIC_MODEL]
    window = decided.deciding_window
    if window is not None and decided.face_index is not None:
        if len(window.faces) > 1:
            notes.append(f"face {decided.face_index + 1} of {len(window.faces)}")
        above, with_face = fake_windows(decided)
        if with_face > 1:
            notes.append(f"{window.start_sec:.1f} to {window.end_sec:.1f} s")
            notes.append(f"{above} of {with_face} windows {FAKE}")
    return [*notes, *filter(None, (decided.no_face_note, decided.problem))]


def fake_windows(decided: Verdict) -> tuple[int, int]:
    """Return how many windows are FAKE by their score, and how many have a face."""
    scores = [max(face.score for face in each.faces) for each in decided.windows if each.faces]
    return sum(score >= decided.fake_from for score in scores), len(scores)


def seconds_read(verdict: Verdict) -> str:
    """Return how many seconds were looked at: "5.0 of 120.0 seconds", "5.0 seconds" if that is
    nearly all or if the length is not known."""
    if verdict.video_sec and verdict.read_sec < MIN_SHARE_READ * verdict.video_sec:
        return f"{verdict.read_sec:.1f} of {verdict.video_sec:.1f} seconds"
    return f"{verdict.read_sec:.1f} seconds"
