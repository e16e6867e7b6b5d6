"""Says how good a model is: one score per video, then the figures of the field.

Goes in: a model.keras with its settings.json, and folders of faces. Comes out, in the report
folder:

    report.html       all of it on one page, with the faces and worst mistakes first; needs no
                      network
    metrics.json      the figures, with 95 % intervals
    predictions.csv   filename,label,score,face,data: 1 = fake, score = P(fake); a name that a
                      spreadsheet would take for a formula has an apostrophe in front
    charts/           roc.png  precision_recall.png  reliability.png  scores.png  confusion.png
                      faces.png (the surest and the most mistaken verdicts)

    python evaluate.py --model run/model.keras --data faces --out report
    python evaluate.py --model run/model.keras --data dfdc celebdf --part all --robustness --out all

Where a video has several faces, the most suspicious one decides: its score is that of the video,
and `face` is its folder.

Videos the model was trained or validated on, and others of the same originals or people, are left
out, so the same folder can serve for training and evaluation. They are known by their names: with
several folders, a video of another folder that is called like one of them is left out too, and
counts as the same original.

With --robustness the same faces are scored again after JPEG compression, at half and quarter
resolution, blurred, noisy and dark. In the DFDC challenge (arXiv:2006.07397) the best entry had
82.6 % of the public test videos right, and the best one on the hidden videos 65.2 % of those.

With --json-summary the last line printed is one JSON object, that of metrics.json.
"""

import argparse
import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deepfake_detector.console import (
    UserError,
    add_output_arguments,
    command,
    quiet_tensorflow,
)
from deepfake_detector.evaluation import bootstrap, groups, outputs
from deepfake_detector.evaluation.tables import print_figures
from deepfake_detector.evaluation.videos import EvaluatedVideo, count_videos, decide, describe
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.splits import LEFT_OUT, SPLITS
from deepfake_detector.scoring import calibration, metrics, trained_model

with quiet_tensorflow():
    import tensorflow as tf

    from deepfake_detector.evaluation import robustness, timelines
    from deepfake_detector.scoring import model_file
    from deepfake_detector.scoring.clip_scorer import ClipScorer


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model.keras of a run")
    add("--data", type=Path, nargs="+", required=True, metavar="DIR", help="folders of faces")
    add("--out", type=Path, required=True, metavar="DIR", help="report folder")
    add(
        "--part",
        choices=["unseen", "all", *SPLITS],
        default="unseen",
        help="videos to score: those the model has not seen, all, or a part of its split "
        "(%(default)s)",
    )
    add(
        "--operating-point",
        choices=calibration.OPERATING_POINTS,
        help="threshold of a verdict (that of equal errors; a half where the model has none)",
    )
    add(
        "--robustness",
        action="store_true",
        help="score altered faces too, which takes about four times as long as the plain ones",
    )
    add(
        "--strips",
        type=int,
        default=100,
        metavar="N",
        help="videos that report.html shows with faces and a score over time, worst mistakes "
        "first; 7 KB and eight clips to score each (%(default)s)",
    )
    add("--batch-size", type=int, default=16, help="clips scored at a time (%(default)s)")
    add_output_arguments(parser, verbose="what TensorFlow has to say")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    if args.batch_size < 1:
        raise UserError(f"batch_size is {args.batch_size}; it must be at least 1")
    if args.strips < 0:
        raise UserError(f"strips is {args.strips}; it must be 0 or more")
    settings = trained_model.read_model_settings(args.model)
    operating_point, threshold = calibration.threshold_of(settings, args.operating_point)
    faces = choose_part(faces_of_folders(args.data, settings), args.model, args.part)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = model_file.load(args.model, settings)
    scorer = ClipScorer(model, settings, strategy, args.batch_size)
    face_scores = scorer.score_tracks(faces)

    decisive = decide(faces, face_scores)
    videos = describe(args.data, faces, decisive)
    raw_scores = face_scores[decisive]
    scores = scorer.calibrated(raw_scores)
    result = all_figures(videos, raw_scores, scores, threshold, operating_point)
    if args.robustness:
        decide_again = functools.partial(decide, faces)
        result["robustness"] = robustness.table(scorer, faces, decide_again)
    labels = np.array([video.label for video in videos])
    shown = outputs.worst_first(labels, scores)[: args.strips]
    lines = timelines.score(scorer, [videos[index].face for index in shown])
    lines = dict(zip(shown, lines, strict=True))
    written = outputs.write(args.out, videos, raw_scores, scores, result, lines, args.model)
    print_figures(result, written)
    if args.json_summary:
        print(json.dumps(result))
    return 0


def faces_of_folders(folders: Sequence[Path], settings: Mapping) -> list[FaceTrack]:
    """Return the faces of all folders.

    Raises UserError for a folder that does not fit the model or is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("--data names a folder twice; its videos would count double")
    faces = []
    for folder in folders:
        trained_model.check_faces(folder, settings)
        faces += list_faces(folder)
    return faces


def all_figures(
    videos: Sequence[EvaluatedVideo],
    raw_scores: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    operating_point: str = calibration.HALF,
) -> dict:
    """Return what goes into metrics.json, but for the robustness.

    `raw_scores` and calibrated `scores` are `(num_videos,)`.
    """
    labels = np.array([video.label for video in videos])
    source_groups = [video.face.source_group for video in videos]
    errors = metrics.reliability(labels, scores)
    del errors["bins"]  # the chart shows them
    errors["before_temperature"] = metrics.reliability(labels, raw_scores)["ece"]
    return {
        **metrics.video_metrics(labels, scores, threshold, operating_point),
        "intervals": bootstrap.intervals(labels, scores, source_groups),
        "calibration_error": errors,
        "groups": groups.tables(videos, scores, threshold),
    }


def choose_part(videos: Sequence[FaceTrack], model_path: Path, part: str) -> list[FaceTrack]:
    """Return the faces of the videos of a part of the run's split, or of those it has not seen.

    Unseen is a video that was neither trained nor validated on, that shares no original and no
    person with one that was, and that the split did not leave out. Raises UserError where nothing
    is left.
    """
    if part == "all":
        return list(videos)
    path = model_path.parent / trained_model.SPLIT_NAME
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        # Runs of before people were kept apart left nothing out.
        left_out = set(names.get(LEFT_OUT, []))
        names = {part: set(names[part]) for part in SPLITS}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path} cannot be read; --part all scores every video") from None
    total = count_videos(videos)
    if part == "unseen":
        seen = names["train"] | names["validation"]
        group_keys = set().union(*(video.group_keys for video in videos if video.name in seen))
        chosen = [
            v for v in videos if v.name not in left_out and group_keys.isdisjoint(v.group_keys)
        ]
        passed_over = total - count_videos(chosen)
        if passed_over:
            print(
                f"{passed_over} of {total} videos are left out: used in training, or of the same "
                "originals or people"
            )
    else:
        chosen = [video for video in videos if video.name in names[part]]
    if not chosen:
        raise UserError(
            f"none of {total} videos is in the part {part!r} of {path}; --part all scores "
            "every video, also those the model was trained on"
        )
    return chosen


if __name__ == "__main__":
    sys.exit(main())
