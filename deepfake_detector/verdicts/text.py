"""Verdicts as text: the lines on the screen, CSV, and what a verdict means in sentences.

say_lines(header_lines(task))
say(line_of(verdict))
write_text(path, csv_text([("a.mp4", verdict)]))
meaning_of(verdict.verdict, task.rule.point), weakness_of(task.model_settings)
"""

import csv
import io
from collections.abc import Iterable, Mapping

from deepfake_detector.console import counted, printable
from deepfake_detector.face_dataset.settings import AS_IS
from deepfake_detector.files import text_cell
from deepfake_detector.scoring import trained_model
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.verdicts.options import Task
from deepfake_detector.verdicts.verdict import FAKE, REAL, UNCERTAIN, UNREADABLE, Verdict

CSV_COLUMNS = (
    *("filename", "status", "score", "fake_from", "real_below", "read_sec", "video_sec"),
    *("frames", "frames_with_face", "warnings", "note", "model", "trained_on"),
)
MIN_PROMISED = 10  # videos of a class, to say how often its verdict is wrong
MIN_USEFUL_AUC = 0.6  # of a method that is found at all


# On the screen


def header_lines(task: Task) -> list[str]:
    """Return which model it is, what its verdicts mean, and the heads of the columns."""
    point = task.rule.point
    return [
        *trained_model.describe(task.model_path, task.model_settings),
        f"From a score of {point.fake_from:.3f} on: FAKE. {meaning_of(FAKE, point)}",
        f"Below {point.real_below:.3f}: REAL, no sign of a fake found. {meaning_of(REAL, point)}",
        weakness_of(task.model_settings),
        f"{'verdict':<10}  score   face  seconds  video",
    ]


def line_of(verdict: Verdict) -> str:
    """Return the line of a video: verdict, score, share of frames with a face, seconds of the video
    that were looked at, path and note."""
    score = score_text(verdict.score) or "-"
    share = AS_IS if is_as_is(verdict) else f"{verdict.face_share:.0%}"
    seconds = f"{verdict.read_sec:.1f}"
    if verdict.verdict == UNREADABLE:
        share = seconds = "-"
    line = f"{verdict.verdict:<10}  {score:>5}  {share:>5}  {seconds:>7}  {verdict.path}"
    return f"{line} ({verdict.note})" if verdict.note else line


def progress_line(videos: Iterable[Verdict]) -> str:
    """Return how far long videos are scored."""
    states = [
        f"{each.path}: {each.windows[-1].end_sec / 60:.1f} minutes scored"
        for each in videos
        if each.windows
    ]
    return ", ".join(states) or "reading; the scores of a minute come together"


def is_as_is(verdict: Verdict) -> bool:
    """Return whether nothing was detected, because the frames were taken as faces."""
    return any(frame.source == AS_IS for face in verdict.faces for frame in face.clip)


def score_text(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def title_of(verdict: Verdict) -> str:
    """Return verdict and score: "FAKE 0.912"."""
    return f"{words_of(verdict.verdict)} {score_text(verdict.score)}".strip()


def words_of(verdict: str) -> str:
    """Return a verdict for people: a low score is no proof that a video is real."""
    return "No sign of a fake" if verdict == REAL else verdict


def model_of(verdict: Verdict) -> str:
    """Return the name of the model and what it was trained on."""
    trained_on = f", trained on {verdict.trained_on}" if verdict.trained_on else ""
    return printable(f"{verdict.model_name}{trained_on}")


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
    values = {**vars(verdict), "warnings": " ".join(verdict.warnings)}
    score = "" if verdict.score is None else f"{verdict.score:.6f}"
    return [text_cell(name), verdict.verdict, score, *(_cell(values[c]) for c in CSV_COLUMNS[3:])]


def _cell(value: object) -> str:
    if isinstance(value, str):
        return text_cell(printable(value))
    return "" if value is None else f"{value:.6g}"


# What the verdicts mean


def meaning_of(verdict: str, point: OperatingPoint) -> str:
    """Return which scores get FAKE, REAL or UNCERTAIN, and how often that is wrong."""
    if verdict == UNCERTAIN:
        return "Many real videos and many fakes score in between, so the score does not tell."
    if verdict == FAKE:
        rate, whom, scores = point.false_positives, "real videos", "this high"
    else:
        rate, whom, scores = point.false_negatives, "fakes", "this low"
    if rate is None or rate.videos < MIN_PROMISED:
        few = f"measured on only {counted(rate.videos, 'video')}" if rate else "none was measured"
        return f"How many {whom} score {scores} is not known: {few}."
    interval = f"{100 * rate.low:.0f} to {100 * rate.high:.0f} with 95 % confidence"
    return (
        f"Of 100 {whom}, about {100 * rate.rate:.0f} ({interval}) score {scores}; measured on "
        f"{rate.videos} that the model was not trained on."
    )


def weakness_of(settings: Mapping) -> str:
    """Return which methods the model cannot find, by its settings.json."""
    aucs: Mapping[str, float] = settings.get("auc_by_method") or {}
    weak = sorted((auc, method) for method, auc in aucs.items() if auc < MIN_USEFUL_AUC)
    if not weak:
        return "It finds the methods that it was trained on, and others much less often."
    named = ", ".join(f"{method} ({auc:.2f})" for auc, method in weak)
    return f"It hardly finds: {named}; by AUC, of which 1 is best, and 0.5 as good as guessing."
