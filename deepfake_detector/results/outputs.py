"""What predict.py prints and writes: a line per video, CSV, JSON, pictures and a page.

outputs = Outputs(task, paths, Destinations(csv=Path("scores.csv")))
outputs.print_header()
outputs.add(number, judged)        # as the videos are done, in any order
outputs.write_tables()
outputs.finish()

Each verdict is in a file next to the JSON, CSV or HTML file as soon as it is there, so a run that
is killed can go on: `take_up`.
"""

import csv
import functools
import hashlib
import io
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import av.error
import cv2

from deepfake_detector import __version__
from deepfake_detector.console import counted, printable, say, say_lines
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.face_dataset.settings import AS_IS, SETTINGS_NAME
from deepfake_detector.files import text_cell, write_text, written_whole
from deepfake_detector.output_paths import check_outputs, write_all
from deepfake_detector.prediction.task import NO_FACE_SCORE, Destinations, Task, output_files
from deepfake_detector.prediction.verdicts import (
    UNCERTAIN,
    UNREADABLE,
    VERDICTS,
    JudgedVideo,
    score_text,
)
from deepfake_detector.results import page
from deepfake_detector.results.unfinished import UnfinishedResults
from deepfake_detector.results.video_verdict import VideoVerdict, plain_result
from deepfake_detector.scoring import trained_model
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.videos import search

CSV_COLUMNS = (
    "threshold",
    "read_sec",
    "video_sec",
    "frames",
    "frames_with_face",
    "lowest_moment_score",
    "highest_moment_score",
    "warnings",
    "note",
    "model",
    "trained_on",
)
JSON_CONTRACT = 2
NOWHERE = Destinations()


class Outputs:
    """The results of one call, printed and written.

    Folders are made now, and not after hours of work. Raises UserError where a result cannot be
    written, or would take the place of something that predict.py did not write, which `overwrite`
    allows; see `output_paths.check_outputs`.
    """

    def __init__(
        self,
        task: Task,
        paths: Sequence[Path],
        to: Destinations = NOWHERE,
        overwrite: bool = False,
    ):
        inputs = [*paths, task.model_path, task.model_path.parent / SETTINGS_NAME]
        check_outputs(output_files(to, search.file_stems(paths)), inputs, overwrite)
        files = (to.csv, to.json, to.html)
        for folder in (*(path and path.parent for path in files), to.pictures):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        self._task, self._paths, self._to = task, paths, to
        self._picture_stems = search.file_stems(paths)
        self._results: dict[int, VideoVerdict] = {}  # without windows, of which there are many
        self._unfinished = (
            UnfinishedResults(to.unfinished, _origin(task, to), paths) if any(files) else None
        )
        self._names = search.shortest_names(paths)
        self._taken_up = 0
        self._waiting_lines: dict[int, str] = {}  # for those of the videos before them
        self._printed = 0

    def print_header(self) -> None:
        task = self._task
        say_lines(trained_model.describe(task.model_path, task.model_settings))
        say_lines(lines_of_threshold(task.operating_point))
        print(f"{'verdict':<10}  score   face  seconds  video")

    def take_up(self) -> list[int]:
        """Print the verdicts that a stopped run has left; return those of the others."""
        verdicts = self._unfinished.take_up() if self._unfinished else [None] * len(self._paths)
        for number, verdict in enumerate(verdicts):
            if verdict is not None:
                self._keep(number, verdict)
        self._taken_up = len(self._results)
        if self._taken_up:
            say(f"note: {counted(self._taken_up, 'video')} scored before, taken up", sys.stderr)
        return [number for number, verdict in enumerate(verdicts) if verdict is None]

    def add(self, number: int, judged: JudgedVideo) -> None:
        """Draw the pictures of a video and print its line, when those before it are printed."""
        verdict = plain_result(judged)
        if self._to.pictures is not None and judged.deciding_face is not None:
            _draw(judged, self._to.pictures, self._picture_stems[number])
        if self._unfinished is not None:  # last: what is in there is not done again
            self._unfinished.add(number, verdict, self._section(number, judged))
        self._keep(number, verdict)

    @functools.cached_property
    def _model_words(self) -> page.ModelWords:
        return page.model_words(self._task)

    def _section(self, number: int, judged: JudgedVideo) -> str:
        """Return the part of the page that is about a video; it needs the crops."""
        if self._to.html is None:
            return ""
        return page.verdict_section(
            judged,
            self._model_words,
            name=self._names[number],
            prefix=page.prefix_of(self._paths[number]),
            maps=page.explained_moment(judged),
        )

    def _keep(self, number: int, verdict: VideoVerdict) -> None:
        self._results[number] = replace(verdict, windows=())
        self._waiting_lines[number] = line_of(verdict)
        while self._printed in self._waiting_lines:
            say(self._waiting_lines.pop(self._printed))
            self._printed += 1

    def write_tables(self) -> bool:
        """Write the CSV, the JSON and the HTML file, of an interrupted run what is done.

        Returns whether all could be written; where one could not, a sentence says which.
        """
        if not self._results:  # results of an earlier run are worth more than none
            return True
        writers = (
            (self._to.csv, self._write_csv),
            (self._to.json, self._write_json),
            (self._to.html, self._write_html),
        )
        failed = write_all(
            {path: functools.partial(write, path) for path, write in writers if path is not None}
        )
        for text in failed:
            kept, place = "", self._to.unfinished
            if place is not None and place.is_file():
                kept = f"; its results are in {place}: make room, and give --resume"
            say(f"error: could not write {text}{kept}", sys.stderr)
        return not failed

    def finish(self) -> None:
        """Delete what only a stopped run needs."""
        if self._unfinished is not None:
            self._unfinished.remove()

    def _write_csv(self, path: Path) -> None:
        named = [(self._names[number], self._results[number]) for number in sorted(self._results)]
        if self._to.csv_format == "columns":
            write_text(path, csv_text(named))
            return
        given = self._to.no_face_score
        label = NO_FACE_SCORE if given is None else given
        write_text(path, dfdc_text(named, label))
        without = sum(verdict.score is None for _, verdict in named)
        if without:
            print(f"note: {path.name} has the label {label:g} for {counted(without, 'video')} "
                  "without a score (--no-face-score)", file=sys.stderr)  # fmt: skip

    def _write_json(self, path: Path) -> None:
        head = json_head(self._task)
        entries = self._unfinished.entries() if self._unfinished else iter(())
        with written_whole(path) as partial, partial.open("w", encoding="utf-8") as file:
            # One entry at a time: those of many long videos are much to hold.
            file.write(json.dumps(head, indent=1).removesuffix("\n}") + ',\n "videos": [')
            for number, entry in enumerate(entries):
                text = textwrap.indent(json.dumps(entry, indent=1), "  ")
                file.write(f"{',' if number else ''}\n{text}")
            file.write("\n ]\n}\n")

    def _write_html(self, path: Path) -> None:
        contents = [
            page.Listed(result.verdict, self._names[number], page.prefix_of(self._paths[number]))
            for number, result in sorted(self._results.items())
        ]
        sections = self._unfinished.sections() if self._unfinished else iter(())
        page.write_page(path, sections, self._model_words, contents)

    def summary(self, seconds: float) -> dict:
        """Return counts by verdict, the speed and the threshold."""
        counts = Counter(result.verdict for result in self._results.values())
        return {
            "videos": len(self._results),
            **{_key(verdict): counts[verdict] for verdict in VERDICTS},
            "taken_up": self._taken_up,
            "seconds": round(seconds, 2),
            "videos_per_second": round((len(self._results) - self._taken_up) / seconds, 3),
            "operating_point": self._task.operating_point.name,
            "threshold": self._task.operating_point.threshold,
        }

    @staticmethod
    def print_summary(summary: Mapping) -> None:
        counts = [f"{summary[_key(name)]} {name}" for name in VERDICTS if summary[_key(name)]]
        print(
            f"{counted(summary['videos'], 'video')}: {', '.join(counts)}; "
            f"{summary['seconds']:.1f} seconds, {summary['videos_per_second']:.2f} videos a second"
        )


def json_head(task: Task) -> dict:
    """Return what the JSON says of the model and its threshold, above the videos."""
    point = asdict(task.operating_point)
    return {
        "contract": JSON_CONTRACT,
        "version": __version__,
        "model": task.model.path,
        "trained_on": task.model.trained_on,
        "operating_point": point.pop("name"),
        **point,
        "faces": task.face_settings.saved(),
    }


def _origin(task: Task, to: Destinations) -> dict:
    """Return what the results of a run depend on, next to the videos themselves."""
    files = (task.model_path, task.model_path.parent / SETTINGS_NAME)
    return {
        "contract": JSON_CONTRACT,
        "version": __version__,
        "model": task.model.path,
        "model_sha256": [hashlib.sha256(path.read_bytes()).hexdigest() for path in files],
        "faces": task.face_settings.saved(),
        "rule": asdict(task.rule),
        "whole": task.whole,
        "timeout_sec": task.timeout_sec,
        "timeline": to.timeline,
        "pictures": str(to.pictures) if to.pictures else None,
        "explain": to.explain,
        **({"html": True} if to.html else {}),  # results of before there was a page still fit
    }


def _key(verdict: str) -> str:
    return verdict.lower().replace(" ", "_")


def _draw(judged: JudgedVideo, folder: Path, stem: str) -> None:
    """Draw all pictures of a video; a failure is a note: the verdict stands without them."""
    # matplotlib takes half a second to import.
    from deepfake_detector.results.pictures import draw_pictures

    try:
        missing = draw_pictures(judged, folder, stem)
        if missing:
            say(f"note: {judged.path}: its copy has {missing}", sys.stderr)
    except (OSError, UnreadableError, cv2.error, av.error.FFmpegError) as error:
        reason = " ".join(str(getattr(error, "strerror", "") or error).split())
        say(f"note: {judged.path}: drawing it failed: {reason}", sys.stderr)


def lines_of_threshold(point: OperatingPoint) -> list[str]:
    """Return the threshold, and where they are known, how many real videos score above it and
    which scores are too close to it."""
    lines = [f"threshold {point.threshold:.3g} ({point.name})"]
    rate, interval = point.false_positive_rate, point.false_positive_rate_interval
    if rate is not None and interval and point.validation_videos:
        lines[0] += (
            f": about {100 * rate:.0f} % of real videos score above it (95 %: "
            f"{100 * interval[0]:.0f} to {100 * interval[1]:.0f} %, from "
            f"{counted(point.validation_videos['real'], 'real video')} that it was not trained on)"
        )
    if point.uncertain:
        low, high = point.uncertain
        lines.append(f"scores between {low:.3g} and {high:.3g} are too close to it: {UNCERTAIN}")
    return lines


def line_of(result: VideoVerdict) -> str:
    """Return the one line about a video: verdict, score, share of frames with a face, seconds of
    the video that were looked at, path and note."""
    score = "-" if result.score is None else score_text(result.score, result.threshold)
    share = "-" if result.verdict == UNREADABLE else f"{result.face_share:.0%}"
    if any(crop.source == AS_IS for face in result.faces for crop in face.crops):
        share = AS_IS  # nothing was detected
    seconds = "-" if result.verdict == UNREADABLE else f"{result.read_sec:.1f}"
    line = f"{result.verdict:<10}  {score:>5}  {share:>5}  {seconds:>7}  {result.path}"
    return f"{line} ({result.note})" if result.note else line


def csv_text(named: Iterable[tuple[str, VideoVerdict]]) -> str:
    """Return a line of CSV for each video, given with its name; without a score the cell is empty.

    Texts are guarded as `files.text_cell` says.
    """
    rows = [["filename", "status", "score", *CSV_COLUMNS]]
    for name, verdict in named:
        score = "" if verdict.score is None else f"{verdict.score:.6f}"
        values = asdict(verdict) | {"warnings": " ".join(verdict.warnings)}
        cells = [_cell(values[column]) for column in CSV_COLUMNS]
        rows.append([text_cell(name), verdict.verdict, score, *cells])
    return _table(rows)


def _cell(value: object) -> str:
    if isinstance(value, str):
        return text_cell(printable(value))
    return "" if value is None else f"{value:.6g}"


def dfdc_text(named: Iterable[tuple[str, VideoVerdict]], no_face_score: float) -> str:
    """Return `filename,label` lines, label = P(fake), as Kaggle's DFDC asks for; it has no empty
    labels."""
    rows = [["filename", "label"]]
    for name, verdict in named:
        label = no_face_score if verdict.score is None else verdict.score
        rows.append([text_cell(name), f"{label:.6f}"])
    return _table(rows)


def _table(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
