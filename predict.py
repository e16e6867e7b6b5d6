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
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deepfake_detector.console import UserError, add_output_arguments, command
from deepfake_detector.prediction import verdicts
from deepfake_detector.prediction.session import Run, face_settings_of, print_summary
from deepfake_detector.prediction.verdicts import Rule
from deepfake_detector.scoring import calibration, trained_model
from deepfake_detector.videos import search

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
        type=calibration.current_name,
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
    paths = search.find_videos(args.videos, args.annotate)
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


if __name__ == "__main__":
    sys.exit(main())
