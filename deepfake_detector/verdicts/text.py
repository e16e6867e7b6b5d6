"""Verdicts as text: the lines on the screen, CSV, and how often the model errs in sentences.

say_lines(header_lines(task))
say(line_of(verdict))
write_text(path, csv_text([("a.mp4", verdict)]))
threshold_sentences(task.operating_point), error_sentence(task.operating_point)
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from deepfake_detector.console import printable
from deepfake_detector.face_dataset.settings import AS_IS
from deepfake_detector.files import text_cell
from deepfake_detector.scoring import trained_model
from deepfake_detector.scoring.calibration import Interval, OperatingPoint
from deepfake_detector.verdicts.options import Task
from deepfake_detector.verdicts.verdict import UNCERTAIN, UNREADABLE, Verdict

CSV_COLUMNS = (
    *("filename", "status", "score", "threshold", "read_sec", "video_sec", "frames"),
    *("frames_with_face", "lowest_moment_score", "highest_moment_score", "warnings", "note"),
    *("model", "trained_on"),
)


# On the screen


def header_lines(task: Task) -> list[str]:
    """Return which model it is, what its threshold means, and the heads of the columns."""
    point = task.operating_point
    return [
        *trained_model.describe(task.model_path, task.model_settings),
        f"threshold {point.threshold:.3g} ({point.name})",
        *threshold_sentences(point),
        f"{'verdict':<10}  score   face  seconds  video",
    ]


def line_of(verdict: Verdict) -> str:
    """Return the line of a video: verdict, score, share of frames with a face, seconds of the video
    that were looked at, path and note."""
    score = "-" if verdict.score is None else score_text(verdict)
    share = AS_IS if is_as_is(verdict) else f"{verdict.face_share:.0%}"
    seconds = f"{verdict.read_sec:.1f}"
    if verdict.verdict == UNREADABLE:
        share = seconds = "-"
    line = f"{verdict.verdict:<10}  {score:>5}  {share:>5}  {seconds:>7}  {verdict.path}"
    return f"{line} ({verdict.note})" if verdict.note else line


def is_as_is(verdict: Verdict) -> bool:
    """Return whether nothing was detected, because the frames were taken as faces."""
    return any(frame.source == AS_IS for face in verdict.faces for frame in face.clip)


def score_text(verdict: Verdict, score: float | None = None) -> str:
    """Return the score of a verdict, or another score on its scale, with at least 3 digits: as many
    as it takes to see on which side of the threshold it is."""
    score = verdict.score if score is None else score
    threshold = verdict.threshold
    if score is None or threshold is None:
        return ""
    for digits in range(3, 9):
        shown = round(score, digits)
        if (shown >= round(threshold, 3)) == (score >= threshold):
            return f"{score:.{digits}f}"
    return f"{score:.9f}"


def title_of(verdict: Verdict) -> str:
    """Return verdict and score: "FAKE 0.912"."""
    return f"{verdict.verdict} {score_text(verdict)}".strip()


def model_of(verdict: Verdict) -> str:
    """Return the name of the model and what it was trained on."""
    trained_on = f", trained on {verdict.trained_on}" if verdict.trained_on else ""
    return printable(f"{Path(verdict.model).parent.name}{trained_on}")


# Tables


def csv_text(named: Iterable[tuple[str, Verdict]]) -> str:
    """Return a line of CSV for each video, given with its name; what is not known is empty.

    Texts are guarded as `files.text_cell` says.
    """
    text = io.StringIO()
    rows = (_row(name, verdict) for name, verdict in named)
    csv.writer(text, lineterminator="\n").writerows([CSV_COLUMNS, *rows])
    return text.getvalue()


def _row(name: str, verdict: Verdict) -> list[str]:
    moments = verdict.moment_scores
    values = {
        **vars(verdict),
        "lowest_moment_score": min(moments, default=None),
        "highest_moment_score": max(moments, default=None),
        "warnings": " ".join(verdict.warnings),
    }
    score = "" if verdict.score is None else f"{verdict.score:.6f}"
    return [text_cell(name), verdict.verdict, score, *(_cell(values[c]) for c in CSV_COLUMNS[3:])]


def _cell(value: object) -> str:
    if isinstance(value, str):
        return text_cell(printable(value))
    return "" if value is None else f"{value:.6g}"


# How often the model errs


def threshold_sentences(point: OperatingPoint) -> list[str]:
    """Return what the threshold and UNCERTAIN mean."""
    rate, counts = point.false_positive_rate, point.validation_videos
    if rate is None:
        sentences = ["How many real videos score above the threshold was not measured."]
    else:
        about = _of_a_hundred(rate, point.false_positive_rate_interval)
        on = f", measured on {counts['real']} that it was not trained on" if counts else ""
        sentences = [f"Of 100 real videos, {about} score above the threshold{on}."]
    if point.uncertain:
        low, high = point.uncertain
        sentences.append(
            f"A score between {low:.3g} and {high:.3g} may be on the wrong side: {UNCERTAIN}."
        )
    return sentences


def error_sentence(point: OperatingPoint) -> str:
    """Return both error rates, if they were measured."""
    real, fake = point.false_positive_rate, point.false_negative_rate
    if real is None or fake is None:
        return (
            "The model makes mistakes; how often was not measured. A verdict is a hint, not proof."
        )
    of_real = _of_a_hundred(real, point.false_positive_rate_interval)
    of_fake = _of_a_hundred(fake, point.false_negative_rate_interval)
    counts = point.validation_videos
    on = f", measured on {counts['real']} real and {counts['fake']} fake videos" if counts else ""
    return (
        f"The model makes mistakes: of 100 real videos {of_real} score as fakes, and of 100 fakes "
        f"{of_fake} score as real{on}. A verdict is a hint, not proof."
    )


def _of_a_hundred(rate: float, interval: Interval | None) -> str:
    about = f"about {100 * rate:.0f}"
    if interval is None:
        return about
    return f"{about} ({100 * interval[0]:.0f} to {100 * interval[1]:.0f} with 95 % confidence)"
