"""Says of videos whether they are deepfakes: one line a video, FAKE or REAL with its score.

Goes in: a model.keras with its settings.json, and videos, or folders that are searched for videos
at any depth. They are only read. Comes out, per video:

    FAKE        P(fake) is at or above the threshold of the model
    REAL        it is below
    NO FACE     it was read, and no face was found: there is no score
    UNREADABLE  it is no video, or none that can be read: there is no score

    python predict.py --model run/model.keras holiday.mp4 more_videos/

`face` is the share of frames in which a face was detected. Faces are cut out as the model's
settings say, by the code of processing.py, and every face in a video is scored: the most suspicious
one decides, and a video of several says which. The first seconds of a video are scored, as many as
the model was trained on; with --whole all of it in windows of that length, of which the most
suspicious decides. Every further window and face is one more chance of a false alarm: the model's
threshold is for one of each.

--csv writes the form of Kaggle's DFDC, `filename,label`, label = P(fake). It needs a number for
every video: one without a score gets --no-face-score. The name is the path as far as needed to tell
the videos apart. A name that begins with = + - or @ gets an apostrophe in front, so that it stays
text in a spreadsheet.

Exit code: 0 all videos were scored, 1 some could not be, 2 nothing was done for a wrong argument.
"""

import argparse
import concurrent.futures
import functools
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

import calibration
import extraction
import faces_folder
import processing
import trained_model
import verdict_pictures
import verdicts
import video_search
import video_windows
from console import UserError, add_output_arguments, command, progress, say
from faces_folder import FaceSettings
from verdicts import Judged, Rule
from video_windows import VideoFaces

if TYPE_CHECKING:
    import video_scoring

# No TensorFlow up here: every process that reads videos imports this file first.

EXIT_NOT_ALL_SCORED = 1


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("videos", type=Path, nargs="+", metavar="VIDEO_OR_FOLDER", help="what to score")
    add("--model", type=Path, required=True, metavar="FILE", help="model.keras of a run")
    add(
        "--operating-point",
        choices=calibration.OPERATING_POINTS,
        help="threshold of a verdict (that of equal errors; a half where the model has none)",
    )
    add(
        "--faces",
        choices=["all", "main"],
        default="all",
        help="score every face of a video, or its main one only (%(default)s)",
    )
    add("--whole", action="store_true", help="score all of a video, in windows")
    add(
        "--windows",
        choices=verdicts.WINDOW_RULES,
        default="worst",
        help="which window decides with --whole (%(default)s)",
    )

    add = parser.add_argument_group("results").add_argument
    add("--csv", type=Path, metavar="FILE", help="filename,label as Kaggle's DFDC has it")
    add(
        "--no-face-score",
        type=float,
        default=0.5,
        metavar="P",
        help="label in the CSV of a video without a score (%(default)s)",
    )
    add("--json", type=Path, metavar="FILE", help="everything: windows, faces, times, boxes")
    add(
        "--annotate",
        type=Path,
        metavar="DIR",
        help="a copy of each video with boxes, scores and a timeline, and a chart of its scores",
    )
    add(
        "--explain",
        action="store_true",
        help="with --annotate, a map of what in the most suspicious face the score rests on",
    )

    add = parser.add_argument_group("machine").add_argument
    add("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    add(
        "--timeout-sec",
        type=float,
        help="given up after so long, per video, or per window with --whole (by the model's "
        "capture_sec)",
    )
    add_output_arguments(parser, verbose="what TensorFlow says about the machine")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    check_arguments(args)
    if args.verbose:  # the imports are still to come
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    settings = trained_model.read_model_settings(args.model)
    operating_point, threshold = calibration.threshold_of(settings, args.operating_point)
    face_settings = replace(face_settings_of(settings, args.model), faces=args.faces)
    paths = video_search.find_videos(args.videos, args.annotate)
    prepare_output(args, paths)

    print(f"threshold {threshold:.3g} ({operating_point})")
    rule = Rule(threshold, face_settings.capture_sec, args.windows, operating_point)
    run = Run(args, settings, face_settings, rule, paths)
    started = time.perf_counter()
    try:
        run.judge_all()
    finally:
        run.write_tables()
    summary = run.summary(time.perf_counter() - started)
    summary |= {"operating_point": operating_point, "threshold": threshold}
    print_summary(summary)
    if args.json_summary:
        print(json.dumps(summary))
    return EXIT_NOT_ALL_SCORED if summary["no_face"] + summary["unreadable"] else 0


def check_arguments(args: argparse.Namespace) -> None:
    """Raise UserError for arguments that cannot work together."""
    if not 0 <= args.no_face_score <= 1:
        raise UserError(f"no_face_score is {args.no_face_score}; it must lie between 0 and 1")
    if args.workers is not None and args.workers < 0:
        raise UserError(f"workers is {args.workers}; it must be 0 or more")
    if args.explain and args.annotate is None:
        raise UserError("--explain draws into the folder of --annotate; give that one too")


def prepare_output(args: argparse.Namespace, videos: Sequence[Path]) -> None:
    """Make the folders that results go into, now and not after hours of work.

    Raises UserError where a result would take the place of a folder or of a video, OSError where a
    folder cannot be made.
    """
    taken = {path.resolve() for path in videos}
    for path in filter(None, [args.csv, args.json]):
        if path.is_dir() or path.resolve() in taken:
            raise UserError(f"{path} is a folder, or one of the videos; give a file of its own")
        path.parent.mkdir(parents=True, exist_ok=True)
    if args.annotate is not None:
        args.annotate.mkdir(parents=True, exist_ok=True)


def face_settings_of(settings: Mapping, model_path: Path) -> FaceSettings:
    """Return how faces are cut out for a model; raises UserError where this code cannot do so."""
    wanted = settings["faces"] if isinstance(settings["faces"], dict) else {}
    ours, known = asdict(FaceSettings()), ("contract", "detector")
    differences = faces_folder.setting_differences(
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
        self._stems = video_search.file_stems(self.paths)
        self.machines = processing.Machines(self.args.workers or 0, None, self.args.timeout_sec)
        # For a process to be ended; nobody knows how long a whole video is before it is read.
        of_video = self.machines.limit_sec(self.face_settings.capture_sec)
        self.limit_sec = math.inf if self.args.whole else of_video

    def judge_all(self) -> None:
        """Score all videos; lines are printed in the order of `paths`, as soon as they can be."""
        processing.check_detector()
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
            video_windows.find_faces_of,
            folder=folder,
            settings=self.face_settings,
            num_frames=self.settings["num_frames"],
            whole=self.args.whole,
            timeline=self.args.annotate is not None or self.args.json is not None,
            timeout_sec=self.machines.limit_sec(self.face_settings.capture_sec),
        )
        items = list(enumerate(self.paths))
        processing.run(job, items, record, record_death, self.machines, self.limit_sec)

    def _judge(self, number: int, found: VideoFaces, scorer: "video_scoring.ClipScorer") -> None:
        """Score what was found in a video and put it into all results."""
        started = time.perf_counter()
        faces = [face for _, face in verdicts.faces_of(found)]
        scores = scorer.score_paths([face.paths for face in faces])
        moment_scores = [
            scorer.score_paths([moment.paths for moment in face.moments]) for face in faces
        ]
        seconds = found.seconds + time.perf_counter() - started
        judged = verdicts.judge(
            self.paths[number], found, scores, moment_scores, self.rule, seconds
        )
        self._rows[number] = (judged.verdict, judged.score)
        if self.args.json is not None:
            self._entries[number] = verdicts.json_entry(judged)
        if self.args.annotate is not None and judged.decisive is not None:
            self._draw(number, judged, scorer)
        if found.folder is not None:
            shutil.rmtree(found.folder, ignore_errors=True)
        self._lines[number] = line_of(judged)
        while self._printed in self._lines:
            say(self._lines.pop(self._printed))
            self._printed += 1

    def _draw(self, number: int, judged: Judged, scorer: "video_scoring.ClipScorer") -> None:
        try:
            verdict_pictures.draw(
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
        names = video_search.shortest_names(self.paths)
        if self.args.csv is not None:
            rows = (
                (names[number], self.args.no_face_score if score is None else score)
                for number, (_, score) in sorted(self._rows.items())
            )
            faces_folder.write_text(self.args.csv, verdicts.csv_text(rows))
        if self.args.json is not None:
            about = {
                "model": str(self.args.model),
                "operating_point": self.rule.operating_point,
                "threshold": self.rule.threshold,
                "faces": asdict(self.face_settings),
                "videos": [entry for _, entry in sorted(self._entries.items())],
            }
            faces_folder.write_text(self.args.json, json.dumps(about, indent=1) + "\n")

    def summary(self, seconds: float) -> dict:
        """Return counts by verdict and the speed."""
        counts = Counter(verdict for verdict, _ in self._rows.values())
        return {
            "videos": len(self._rows),
            **{name.lower().replace(" ", "_"): counts[name] for name in verdicts.VERDICTS},
            "seconds": round(seconds, 2),
            "videos_per_second": round(len(self._rows) / seconds, 3),
        }


def load_scorer(model_path: Path, settings: Mapping) -> "video_scoring.ClipScorer":
    model = trained_model.load(model_path, settings)
    from video_scoring import ClipScorer

    return ClipScorer(model, settings)


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


if __name__ == "__main__":
    sys.exit(main())
