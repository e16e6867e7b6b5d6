"""One call of predict.py: videos are read in processes, scored here, and told line by line."""

import argparse
import concurrent.futures
import functools
import json
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake_detector import parallel
from deepfake_detector.console import UserError, progress, quiet_tensorflow, say
from deepfake_detector.face_dataset.settings import FaceSettings, setting_differences
from deepfake_detector.faces import extraction
from deepfake_detector.faces.detector import check_detector
from deepfake_detector.files import write_text
from deepfake_detector.prediction import verdicts
from deepfake_detector.prediction.outputs import csv_text, json_entry
from deepfake_detector.prediction.pictures import draw
from deepfake_detector.prediction.verdicts import Judged, Rule
from deepfake_detector.prediction.windows import VideoFaces, find_faces_of
from deepfake_detector.videos import search

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer


def face_settings_of(settings: Mapping, model_path: Path) -> FaceSettings:
    """Return how faces are cut out for a model; raises UserError where this code cannot do so."""
    wanted = settings["faces"] if isinstance(settings["faces"], dict) else {}
    ours, known = asdict(FaceSettings()), ("contract", "detector")
    differences = setting_differences(
        {name: ours[name] for name in known},
        {name: wanted.get(name) for name in known},
        by="the model expects",
    )
    try:
        face_settings = FaceSettings(**wanted)
    except TypeError:
        differences = differences or "its settings.json names others"
    if differences:
        raise UserError(
            f"{model_path} was trained on faces that this version does not make: {differences}; "
            "train it anew"
        )
    return face_settings


@dataclass
class Run:
    """The scoring of some videos: what is done and what is still to come."""

    args: argparse.Namespace
    settings: Mapping  # of the model
    face_settings: FaceSettings
    rule: Rule
    paths: Sequence[Path]

    def __post_init__(self):
        self._rows: dict[int, tuple[str, float | None]] = {}  # verdict and score
        self._entries: dict[int, dict] = {}  # for the JSON file
        self._lines: dict[int, str] = {}  # that wait for those before them
        self._printed = 0
        self._stems = search.file_stems(self.paths)
        self.machines = parallel.Machines(self.args.workers or 0, None, self.args.timeout_sec)
        # For a process to be ended; nobody knows how long a whole video is before it is read.
        of_video = self.machines.limit_sec(self.face_settings.capture_sec)
        self.limit_sec = math.inf if self.args.whole else of_video

    def judge_all(self) -> None:
        """Score all videos; lines are printed in the order of `paths`, as soon as they can be."""
        check_detector()
        with (
            concurrent.futures.ThreadPoolExecutor(1) as meanwhile,
            tempfile.TemporaryDirectory(prefix="predict-", ignore_cleanup_errors=True) as folder,
            progress(len(self.paths), "scoring", "videos") as advance,
        ):
            # TensorFlow takes seconds to start, in which the first videos are read already.
            scorer = meanwhile.submit(load_scorer, self.args.model, self.settings)
            print(f"{'verdict':<10}  score   face  seconds  video")

            def record(result: tuple[int, VideoFaces]) -> None:
                self._judge(*result, scorer.result())
                advance()

            def record_death(item: tuple[int, Path], seconds: float) -> None:
                reason = "the process that read it died; the file may crash the decoder"
                if seconds > self.limit_sec:
                    reason = extraction.too_slow(self.limit_sec)["reason"]
                record((item[0], VideoFaces(readable=False, problem=reason, seconds=seconds)))

            try:
                self._read_videos(Path(folder), record, record_death)
            except BrokenPipeError:  # whoever reads our lines has seen enough
                raise
            except OSError as error:
                raise UserError(
                    f"cannot write to {error.filename or folder}: {error.strerror}; make room "
                    "there, or name another folder for temporary files with TMPDIR"
                ) from error

    def _read_videos(self, folder: Path, record: Callable, record_death: Callable) -> None:
        job = functools.partial(
            find_faces_of,
            folder=folder,
            settings=self.face_settings,
            num_frames=self.settings["num_frames"],
            whole=self.args.whole,
            timeline=self.args.annotate is not None or self.args.json is not None,
            timeout_sec=self.machines.limit_sec(self.face_settings.capture_sec),
        )
        items = list(enumerate(self.paths))
        parallel.run_tasks(job, items, record, record_death, self.machines, self.limit_sec)

    def _judge(self, number: int, found: VideoFaces, scorer: "ClipScorer") -> None:
        """Score what was found in a video and put it into all results."""
        started = time.perf_counter()
        faces = [face for _, face in verdicts.faces_of(found)]
        scores = score_crops(scorer, [face.paths for face in faces])
        moment_scores = [
            score_crops(scorer, [moment.paths for moment in face.moments]) for face in faces
        ]
        seconds = found.seconds + time.perf_counter() - started
        judged = verdicts.judge(
            self.paths[number], found, scores, moment_scores, self.rule, seconds
        )
        self._rows[number] = (judged.verdict, judged.score)
        if self.args.json is not None:
            self._entries[number] = json_entry(judged)
        if self.args.annotate is not None and judged.decisive is not None:
            self._draw(number, judged, scorer)
        if found.folder is not None:
            shutil.rmtree(found.folder, ignore_errors=True)
        self._lines[number] = line_of(judged)
        while self._printed in self._lines:
            say(self._lines.pop(self._printed))
            self._printed += 1

    def _draw(self, number: int, judged: Judged, scorer: "ClipScorer") -> None:
        try:
            draw(
                judged,
                self.args.annotate,
                self._stems[number],
                self.rule,
                self.args.whole,
                scorer if self.args.explain else None,
            )
        except (OSError, cv2.error) as error:
            reason = " ".join(str(getattr(error, "strerror", "") or error).split())
            say(f"note: {judged.path}: drawing it failed: {reason}", sys.stderr)

    def write_tables(self) -> None:
        """Write the CSV and the JSON file, of an interrupted run what is done."""
        if not self._rows:  # results of an earlier run are not worth less than none
            return
        names = search.shortest_names(self.paths)
        if self.args.csv is not None:
            rows = (
                (names[number], self.args.no_face_score if score is None else score)
                for number, (_, score) in sorted(self._rows.items())
            )
            write_text(self.args.csv, csv_text(rows))
        if self.args.json is not None:
            about = {
                "model": str(self.args.model),
                "operating_point": self.rule.operating_point,
                "threshold": self.rule.threshold,
                "faces": asdict(self.face_settings),
                "videos": [entry for _, entry in sorted(self._entries.items())],
            }
            write_text(self.args.json, json.dumps(about, indent=1) + "\n")

    def summary(self, seconds: float) -> dict:
        """Return counts by verdict and the speed."""
        counts = Counter(verdict for verdict, _ in self._rows.values())
        return {
            "videos": len(self._rows),
            **{name.lower().replace(" ", "_"): counts[name] for name in verdicts.VERDICTS},
            "seconds": round(seconds, 2),
            "videos_per_second": round(len(self._rows) / seconds, 3),
        }


def load_scorer(model_path: Path, settings: Mapping) -> "ClipScorer":
    with quiet_tensorflow():
        from deepfake_detector.scoring import model_file
        from deepfake_detector.scoring.clip_scorer import ClipScorer
    return ClipScorer(model_file.load(model_path, settings), settings)


def score_crops(scorer: "ClipScorer", clips: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the calibrated score of each clip, given as the paths of its crops, `(num_clips,)`.

    Raises UserError where a crop cannot be read.
    """
    if not clips:
        return np.zeros(0)
    import tensorflow as tf

    try:
        return scorer.calibrated(scorer.score_clips(scorer.load(clips)))
    except tf.errors.OpError as error:
        reason = next(filter(str.strip, error.message.splitlines()), "no reason given")
        raise UserError(
            f"the crops in the temporary folder cannot be read again: {reason}; make room "
            "there, or name another folder with TMPDIR"
        ) from error


def line_of(judged: Judged) -> str:
    """Return the one line about a video."""
    score = "-" if judged.score is None else f"{judged.score:.3f}"
    face = "-" if judged.verdict == verdicts.UNREADABLE else f"{judged.face_share:.0%}"
    words = f"{judged.verdict:<10}  {score:>5}  {face:>5}  {judged.seconds:>7.1f}  {judged.path}"
    return f"{words} ({judged.note})" if judged.note else words


def print_summary(summary: Mapping) -> None:
    names = {name: name.lower().replace(" ", "_") for name in verdicts.VERDICTS}
    counts = ", ".join(f"{summary[key]} {name}" for name, key in names.items() if summary[key])
    print(
        f"{summary['videos']} videos: {counts}; {summary['seconds']:.1f} seconds, "
        f"{summary['videos_per_second']:.2f} videos a second"
    )
