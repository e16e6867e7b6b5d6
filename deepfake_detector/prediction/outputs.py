"""What predict.py prints and writes: a line per video, CSV, JSON and pictures.

outputs = Outputs(task, paths, csv_path=Path("scores.csv"))
outputs.print_header()
outputs.add(number, judged)        # as the videos are done, in any order
outputs.write_tables()
"""

import csv
import functools
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import av.error
import cv2

from deepfake_detector import __version__
from deepfake_detector.console import say, say_lines
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.face_dataset.settings import AS_IS, SETTINGS_NAME
from deepfake_detector.files import text_cell, write_text
from deepfake_detector.output_paths import (
    OutputFile,
    check_outputs,
    has_json_keys,
    is_chart,
    raise_incomplete,
    write_all,
)
from deepfake_detector.prediction.results import VideoVerdict, plain_result
from deepfake_detector.prediction.task import Task
from deepfake_detector.prediction.verdicts import UNCERTAIN, UNREADABLE, VERDICTS, JudgedVideo
from deepfake_detector.scoring import trained_model
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.videos import search


class Outputs:
    """The results of one call, printed and written.

    `picture_folder` is where the pictures of each video go; nothing is written where a path is
    None. Folders are made now, and not after hours of work. Raises UserError where a result cannot
    be written, or would take the place of something that predict.py did not write, which
    `overwrite` allows; see `output_paths.check_outputs`.
    """

    def __init__(
        self,
        task: Task,
        paths: Sequence[Path],
        csv_path: Path | None = None,
        no_face_score: float = 0.5,
        json_path: Path | None = None,
        picture_folder: Path | None = None,
        overwrite: bool = False,
    ):
        inputs = [*paths, task.model_path, task.model_path.parent / SETTINGS_NAME]
        check_outputs(
            _output_files(csv_path, json_path, picture_folder, search.file_stems(paths)),
            inputs,
            overwrite,
        )
        for folder in (
            csv_path and csv_path.parent,
            json_path and json_path.parent,
            picture_folder,
        ):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        self._task, self._paths = task, paths
        self._csv_path, self._no_face_score = csv_path, no_face_score
        self._json_path, self._picture_folder = json_path, picture_folder
        self._picture_stems = search.file_stems(paths)
        self._results: dict[int, VideoVerdict] = {}
        self._waiting_lines: dict[int, str] = {}  # for those of the videos before them
        self._printed = 0

    def print_header(self) -> None:
        task = self._task
        say_lines(trained_model.describe(task.model_path, task.model_settings))
        say_lines(lines_of_threshold(task.operating_point))
        print(f"{'verdict':<10}  score   face  seconds  video")

    def add(self, number: int, judged: JudgedVideo) -> None:
        """Draw the pictures of a video and print its line, when those before it are printed."""
        result = plain_result(judged)
        # Windows are only for the JSON file, and of many long videos they are much to keep.
        self._results[number] = result if self._json_path else replace(result, windows=())
        if self._picture_folder is not None and judged.deciding_face is not None:
            _draw(judged, self._picture_folder, self._picture_stems[number])
        self._waiting_lines[number] = line_of(result)
        while self._printed in self._waiting_lines:
            say(self._waiting_lines.pop(self._printed))
            self._printed += 1

    def write_tables(self) -> None:
        """Write the CSV and the JSON file, of an interrupted run what is done."""
        if not self._results:  # results of an earlier run are worth more than none
            return
        numbers = sorted(self._results)
        writers: dict[Path, Callable[[], None]] = {}
        if self._csv_path is not None:
            names = search.shortest_names(self._paths)
            scores = [self._results[number].score for number in numbers]
            labels = [self._no_face_score if score is None else score for score in scores]
            rows = zip((names[number] for number in numbers), labels, strict=True)
            writers[self._csv_path] = functools.partial(write_text, self._csv_path, csv_text(rows))
        if self._json_path is not None:
            point = asdict(self._task.operating_point)
            whole = {
                "version": __version__,
                "model": str(self._task.model_path),
                "trained_on": self._task.model_settings.get("trained_on"),
                "operating_point": point.pop("name"),
                **point,
                "faces": self._task.face_settings.saved(),
                "videos": [asdict(self._results[number]) for number in numbers],
            }
            writers[self._json_path] = functools.partial(
                write_text, self._json_path, json.dumps(whole, indent=1) + "\n"
            )
        raise_incomplete(write_all(writers))

    def summary(self, seconds: float) -> dict:
        """Return counts by verdict, the speed and the threshold."""
        counts = Counter(result.verdict for result in self._results.values())
        return {
            "videos": len(self._results),
            **{_key(verdict): counts[verdict] for verdict in VERDICTS},
            "seconds": round(seconds, 2),
            "videos_per_second": round(len(self._results) / seconds, 3),
            "operating_point": self._task.operating_point.name,
            "threshold": self._task.operating_point.threshold,
        }

    @staticmethod
    def print_summary(summary: Mapping) -> None:
        counts = [f"{summary[_key(name)]} {name}" for name in VERDICTS if summary[_key(name)]]
        print(
            f"{summary['videos']} videos: {', '.join(counts)}; {summary['seconds']:.1f} seconds, "
            f"{summary['videos_per_second']:.2f} videos a second"
        )


def _key(verdict: str) -> str:
    return verdict.lower().replace(" ", "_")


def _output_files(
    csv_path: Path | None, json_path: Path | None, picture_folder: Path | None, stems: Sequence[str]
) -> list[OutputFile]:
    """Return what will be written, and how earlier results are recognised as ours."""
    files = []
    if csv_path is not None:
        files.append(OutputFile("--csv", csv_path, _is_table_of_scores))
    if json_path is not None:
        keys = ("model", "operating_point")
        files.append(OutputFile("--json", json_path, lambda path: has_json_keys(path, *keys)))
    if picture_folder is not None:
        files.append(OutputFile("--annotate", picture_folder, is_folder=True))
        names = ("timeline.png", "occlusion.png", "annotated.png", "annotated.mp4")
        for stem in stems:
            # A chart is drawn first, with every annotated copy.
            is_ours = functools.partial(_is_next_to_chart, stem)
            files += [
                OutputFile("--annotate", picture_folder / f"{stem}_{name}", is_ours)
                for name in names
            ]
    return files


def _is_next_to_chart(stem: str, path: Path) -> bool:
    return is_chart(path.with_name(f"{stem}_timeline.png"))


def _is_table_of_scores(path: Path) -> bool:
    """Return whether predict.py wrote a CSV: its header, and in Kaggle's form scores with six
    decimals, which labels of other people are not."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            header, first = file.readline().strip(), file.readline().strip()
    except OSError:
        return False
    kaggle = header == "filename,label" and (not first or re.search(r",[01]\.\d{6}$", first))
    return bool(kaggle) or header.startswith("filename,status,score")


def _draw(judged: JudgedVideo, folder: Path, stem: str) -> None:
    """Draw all pictures of a video; a failure is a note: the verdict stands without them."""
    # matplotlib takes half a second to import.
    from deepfake_detector.prediction.pictures import draw_pictures

    try:
        draw_pictures(judged, folder, stem)
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
            f"{point.validation_videos['real']} real videos that it was not trained on)"
        )
    if point.uncertain:
        low, high = point.uncertain
        lines.append(f"scores between {low:.3g} and {high:.3g} are too close to it: {UNCERTAIN}")
    return lines


def line_of(result: VideoVerdict) -> str:
    """Return the one line about a video."""
    score = "-" if result.score is None else f"{result.score:.3f}"
    share = "-" if result.verdict == UNREADABLE else f"{result.face_share:.0%}"
    if any(crop.source == AS_IS for face in result.faces for crop in face.crops):
        share = AS_IS  # nothing was detected
    line = f"{result.verdict:<10}  {score:>5}  {share:>5}  {result.seconds:>7.1f}  {result.path}"
    return f"{line} ({result.note})" if result.note else line


def csv_text(rows: Iterable[tuple[str, float]]) -> str:
    """Return `filename,label` lines, label = P(fake), as Kaggle's DFDC asks for.

    Names are guarded as `files.text_cell` says.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["filename", "label"])
    for name, score in rows:
        table.writerow([text_cell(name), f"{score:.6f}"])
    return text.getvalue()
