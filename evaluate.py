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

from console import (
    UserError,
    add_output_arguments,
    command,
    print_table,
    quiet_tensorflow,
)

with quiet_tensorflow():
    import tensorflow as tf

    import clip_scoring
    import robustness
    import run_folder
    import scoring
    import timelines
    import trained_model

import numpy as np

import bootstrap
import calibration
import evaluated_videos
import evaluation_files
import figures
import group_figures
import report
import splits
from evaluated_videos import EvaluatedVideo

MOST_GROUPS = 40  # rows of a printed table; metrics.json has all


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
        choices=["unseen", "all", *splits.PARTS],
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
        model = trained_model.load(args.model, settings)
    network = clip_scoring.Network(model, strategy, settings, args.batch_size)
    face_scores = scoring.score_faces(model, faces, settings, args.batch_size, strategy)

    decisive = decide(faces, face_scores)
    videos = describe(args.data, faces, decisive)
    raw_scores = face_scores[decisive]
    scores = calibration.apply(raw_scores, settings.get("calibration"))
    result = all_figures(videos, raw_scores, scores, threshold, operating_point)
    if args.robustness:
        decide_again = functools.partial(decide, faces)
        result["robustness"] = robustness.table(network, faces, decide_again)
    labels = np.array([video.label for video in videos])
    shown = evaluation_files.worst_first(labels, scores)[: args.strips]
    lines = timelines.score(network, [videos[index].face for index in shown])
    lines = dict(zip(shown, lines, strict=True))
    written = evaluation_files.write(
        args.out, videos, raw_scores, scores, result, lines, args.model
    )
    print_figures(result, written)
    if args.json_summary:
        print(json.dumps(result))
    return 0


def faces_of_folders(folders: Sequence[Path], settings: Mapping) -> list[splits.FaceTrack]:
    """Return the faces of all folders.

    Raises UserError for a folder that does not fit the model or is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("--data names a folder twice; its videos would count double")
    faces = []
    for folder in folders:
        trained_model.check_faces(folder, settings)
        faces += splits.list_faces(folder)
    return faces


def _folder(face: splits.FaceTrack) -> str:
    return str(Path(face.folder).parent)


def count_videos(faces: Sequence[splits.FaceTrack]) -> int:
    """Return how many videos the faces are of; two folders may each have one of the same name."""
    return len({(_folder(face), face.video) for face in faces})


def decide(faces: Sequence[splits.FaceTrack], raw_scores: np.ndarray) -> list[int]:
    """Return for each video the index of the face that speaks for it, folder by folder."""
    decisive = []
    of_folders: dict[str, list[int]] = {}
    for index, face in enumerate(faces):
        of_folders.setdefault(_folder(face), []).append(index)
    for own in of_folders.values():
        chosen = scoring.highest_scoring_faces([faces[index] for index in own], raw_scores[own])
        decisive += [own[index] for index in chosen]
    return decisive


def describe(
    data: Sequence[Path], faces: Sequence[splits.FaceTrack], decisive: Sequence[int]
) -> list[EvaluatedVideo]:
    """Return what is known of the videos, in the order of their `decisive` faces."""
    videos = []
    for folder in data:
        own = [face for face in faces if _folder(face) == str(folder)]
        chosen = [faces[index] for index in decisive if _folder(faces[index]) == str(folder)]
        videos += evaluated_videos.describe_folder(folder, chosen, own)
    return videos


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
    errors = figures.reliability(labels, scores)
    del errors["bins"]  # the chart shows them
    errors["before_temperature"] = figures.reliability(labels, raw_scores)["ece"]
    return {
        **figures.video_metrics(labels, scores, threshold, operating_point),
        "intervals": bootstrap.intervals(labels, scores, source_groups),
        "calibration_error": errors,
        "groups": group_figures.tables(videos, scores, threshold),
    }


def choose_part(
    videos: Sequence[splits.FaceTrack], model_path: Path, part: str
) -> list[splits.FaceTrack]:
    """Return the faces of the videos of a part of the run's split, or of those it has not seen.

    Unseen is a video that was neither trained nor validated on, that shares no original and no
    person with one that was, and that the split did not leave out. Raises UserError where nothing
    is left.
    """
    if part == "all":
        return list(videos)
    path = model_path.parent / run_folder.SPLIT_NAME
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        # Runs of before people were kept apart left nothing out.
        left_out = set(names.get(splits.LEFT_OUT, []))
        names = {part: set(names[part]) for part in splits.PARTS}
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


def print_figures(result: Mapping, written: Sequence[Path]) -> None:
    intervals, errors = result["intervals"], result["calibration_error"]

    def shown(name: str) -> str:
        if result[name] is None:
            return "needs real and fake videos"
        return f"{result[name]:.4f}{interval_words(intervals.get(name))}"

    ece = "needs real and fake videos"
    if errors["ece"] is not None:
        ece = f"{errors['ece']:.4f} ({errors['before_temperature']:.4f} before the temperature)"
    reason = intervals.get("reason")
    rows = [
        ("videos", f"{result['videos']} ({result['real']} real, {result['fake']} fake)"),
        ("log loss", shown("log_loss")),
        ("ROC AUC", shown("roc_auc")),
        ("average precision", shown("average_precision")),
        ("equal error rate", shown("eer")),
        (
            f"accuracy at {result['threshold']:.3g} ({result['operating_point']})",
            shown("accuracy"),
        ),
        (f"calibration error ({errors['num_bins']} bins)", ece),
        ("95 % intervals", reason or f"bootstrap over {intervals['originals']} originals"),
        ("real called real", str(result["real_called_real"])),
        ("real called fake", str(result["real_called_fake"])),
        ("fake called real", str(result["fake_called_real"])),
        ("fake called fake", str(result["fake_called_fake"])),
    ]
    rows += [("written", str(path)) for path in written]
    print_table("evaluation, one score per video", rows)
    for name, groups in result["groups"].items():
        print_groups(f"by {GROUP_WORDS[name]}", groups)
    print_robustness(result.get("robustness", []))


def interval_words(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3f} to {interval[1]:.3f})"


GROUP_WORDS = {
    "method": "method of manipulation",
    "location": "source folder",
    "faces": "number of faces in the video",
    "data": "folder of faces",
}


def print_groups(title: str, groups: Sequence[Mapping]) -> None:
    """Print a line per group; nothing where there is none."""
    if not groups:
        return
    rows = []
    for group in groups[:MOST_GROUPS]:
        auc = "  -  " if group["roc_auc"] is None else f"{group['roc_auc']:.3f}"
        against = f" against {group['compared_with']}" if group["compared_with"] else ""
        rows.append(
            (
                group["name"],
                f"{group['real']} real, {group['fake']} fake, "
                f"AUC {auc}{interval_words(group['roc_auc_interval'])}{against}, "
                f"log loss {group['log_loss']:.3f}, accuracy {group['accuracy']:.3f}",
            )
        )
    if len(groups) > MOST_GROUPS:
        rows.append((f"and {len(groups) - MOST_GROUPS} more", "see metrics.json"))
    print_table(title, rows)


def print_robustness(rows: Sequence[Mapping]) -> None:
    """Print AUC and log loss of altered faces beside the clean ones; nothing without rows."""
    if not rows:
        return
    lines = []
    for row in rows:
        auc = "AUC -"
        if row["roc_auc"] is not None:
            change = report.change(row["roc_auc"], rows[0]["roc_auc"])
            auc = f"AUC {row['roc_auc']:.3f} ({change})"
        lines.append((row["name"], f"{auc}, log loss {row['log_loss']:.3f}"))
    print_table("altered faces", lines)


if __name__ == "__main__":
    sys.exit(main())
