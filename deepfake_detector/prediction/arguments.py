"""The command line of predict.py: which options there are, and which of them cannot work together.

    args = main_arguments("what --help begins with").parse_args()
    check_arguments(args)

The options of the verdict itself are checked where they are used, in task.py.
"""

import argparse
import os
from pathlib import Path

from deepfake_detector.console import ArgumentError, ArgumentParser, UserError, add_output_arguments
from deepfake_detector.face_dataset.settings import AS_IS
from deepfake_detector.prediction.task import CSV_FORMATS, NO_FACE_SCORE, Destinations
from deepfake_detector.prediction.verdicts import WINDOW_RULES
from deepfake_detector.scoring import calibration
from deepfake_detector.scoring.trained_model import add_model_argument
from deepfake_detector.videos import search


def main_arguments(description: str | None) -> ArgumentParser:
    """Return the parser of the command line, whose --help begins with the `description`."""
    parser = ArgumentParser(description)
    add = parser.add_argument
    add("videos", nargs="+", metavar="VIDEO_OR_FOLDER", help="what to score")
    add_model_argument(parser)
    add(
        "--operating-point",
        type=calibration.current_name,
        choices=calibration.OPERATING_POINTS,
        help="threshold of a verdict (that of equal errors; a half where the model has none)",
    )
    add(
        "--faces",
        choices=["all", "main", AS_IS],
        help="score every face of a video, its main one only, or the central square of each frame "
        "as it is (all; as-is if the model was trained on such)",
    )
    add(
        "--search-sec",
        type=float,
        help="seconds that are searched for the first face (default: that of the model, mostly 60)",
    )
    add(
        "--pictures",
        choices=search.PICTURE_CHOICES,
        default="auto",
        help="numbered pictures in one folder: the frames of one video, or single pictures "
        "(%(default)s: by the folder's name)",
    )
    add(
        "--detector",
        metavar="yunet=FILE",
        help="the .onnx file of YuNet, for a model that was trained on faces found by it",
    )
    add("--whole", action="store_true", help="score all of a video, in windows")
    add(
        "--windows",
        choices=WINDOW_RULES,
        default="worst",
        help="which window decides with --whole: the highest-scoring one, or the one of the "
        "median score (%(default)s)",
    )

    add = parser.add_argument_group("results").add_argument
    add(
        "--csv", type=Path, metavar="FILE", help="a row per video: verdict, score, what it rests on"
    )
    add(
        "--csv-format",
        choices=CSV_FORMATS,
        default="columns",
        help="what the CSV has: columns of its own, or filename,label as Kaggle's DFDC asks for "
        "(%(default)s)",
    )
    add(
        "--no-face-score",
        type=float,
        metavar="P",
        help=f"with --csv-format dfdc, the label of a video without a score ({NO_FACE_SCORE})",
    )
    add("--json", type=Path, metavar="FILE", help="everything: windows, faces, times, boxes")
    add(
        "--html",
        type=Path,
        metavar="FILE",
        help="a page with each verdict, what it rests on, the faces at every moment, and how often "
        "the model errs; one file that loads nothing from the network",
    )
    add(
        "--resume",
        action="store_true",
        help="go on where the same command was stopped: what is scored stays scored",
    )
    add(
        "--annotate",
        type=Path,
        metavar="DIR",
        help="a copy of each video with boxes, scores and a timeline, and a chart of its scores",
    )
    add(
        "--explain",
        action="store_true",
        help="with --annotate or --html, a map of what in the deciding face the score rests on",
    )

    add = parser.add_argument_group("machine").add_argument
    add(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes that read videos; 0 reads them in this one (%(default)s)",
    )
    add(
        "--timeout-sec",
        type=float,
        help="seconds before a video, or with --whole a window, is given up (default: by the "
        "model's capture_sec and by --search-sec)",
    )
    add_output_arguments(
        parser,
        verbose="what TensorFlow says about the machine",
        overwrite="files that predict.py did not write",
    )
    return parser


def check_arguments(args: argparse.Namespace) -> None:
    """Raise UserError for arguments of the files that cannot work."""
    if args.csv_format != "columns" and args.csv is None:
        raise UserError("--csv-format says what is in the file of --csv; give that one too")
    if args.no_face_score is not None:
        if args.csv_format != "dfdc":
            raise UserError(
                "--no-face-score is the label of a video without a score in the form of DFDC; give "
                "--csv-format dfdc too"
            )
        if not 0 <= args.no_face_score <= 1:
            raise ArgumentError("no_face_score", args.no_face_score, "from 0 to 1")
    if args.windows != WINDOW_RULES[0] and not args.whole:
        raise UserError("--windows says which window decides with --whole; give that one too")
    if args.resume and Destinations(args.csv, args.json, html=args.html).unfinished is None:
        raise UserError(
            "--resume finds what is scored next to the file of --json, --csv or --html; give one "
            "of them"
        )
    if args.explain and args.annotate is None and args.html is None:
        raise UserError(
            "--explain draws into the folder of --annotate or the page of --html; give one of them"
        )
