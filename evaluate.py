"""Says how good a model is: one score per video, then the figures of the field.

Goes in: a model.keras with its settings.json, and a folder of faces. Comes out, in the report
folder:

    metrics.json      the figures of the table
    predictions.csv   filename,label,score,face: 1 = fake, score = P(fake)
    charts/           roc.png  confusion.png  faces.png (the surest and the most mistaken verdicts)

    python evaluate.py --model run/model.keras --data faces --out report

Where a video has several faces, the most suspicious one decides: its score is that of the video,
and `face` is its folder.

Videos the model was trained or validated on, and others of the same originals or people, are left
out, so the same folder can serve for training and evaluation. The last line printed is one JSON
object with the figures.
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from console import UserError, command, print_table, quiet_tensorflow

with quiet_tensorflow():
    import tensorflow as tf

    import run_folder
    import scoring
    import trained_model

import numpy as np
from matplotlib.image import imread
from sklearn import metrics

import calibration
import charts
import datasets
import faces_folder
import splits

LOG_LOSS_CLIP = 1e-7  # a score of exactly 0 or 1 on the wrong side would cost infinitely much


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FILE", help="model.keras of a run")
    add("--data", type=Path, required=True, metavar="DIR", help="folder of faces")
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
    add("--batch-size", type=int, default=16, help="clips scored at a time (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    if args.batch_size < 1:
        raise UserError(f"batch_size is {args.batch_size}; it must be at least 1")
    settings = trained_model.read_settings(args.model)
    operating_point, threshold = calibration.threshold_of(settings, args.operating_point)
    trained_model.check_faces(args.data, settings)
    faces = choose_part(splits.list_faces(args.data), args.model, args.part)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = trained_model.load(args.model, settings)
    face_scores = scoring.score_faces(model, faces, settings, args.batch_size, strategy)

    decisive = scoring.decisive_faces(faces, face_scores)
    videos = [faces[index] for index in decisive]
    scores = calibration.apply(face_scores[decisive], settings.get("calibration"))
    labels = np.array([video.label for video in videos])
    figures = video_metrics(labels, scores, threshold, operating_point)
    written = write_report(args.out, videos, scores, figures)
    print_figures(figures, written)
    print(json.dumps(figures))
    return 0


def choose_part(
    videos: Sequence[splits.FaceVideo], model_path: Path, part: str
) -> list[splits.FaceVideo]:
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
    total = splits.count_videos(videos)
    if part == "unseen":
        seen = names["train"] | names["validation"]
        ties = set().union(*(video.ties for video in videos if video.name in seen))
        chosen = [v for v in videos if v.name not in left_out and ties.isdisjoint(v.ties)]
        passed_over = total - splits.count_videos(chosen)
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


def video_metrics(
    labels: np.ndarray,
    scores: np.ndarray,
    threshold: float = 0.5,
    operating_point: str = calibration.HALF,
) -> dict:
    """Return the figures of `labels` (0 or 1) and `scores` (0..1), both `(num_videos,)`.

    ROC AUC, average precision and equal error rate are None where only one class is there. A score
    at the threshold counts as fake. Log loss is of scores clipped to 1e-7 .. 1 - 1e-7.
    """
    verdicts = (scores >= threshold).astype(int)
    confusion = metrics.confusion_matrix(labels, verdicts, labels=[0, 1])
    clipped = np.clip(scores, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    both = len(set(labels.tolist())) == 2
    return {
        "level": "video",
        "videos": len(labels),
        "real": int((labels == 0).sum()),
        "fake": int((labels == 1).sum()),
        "log_loss": float(metrics.log_loss(labels, clipped, labels=[0, 1])),
        "roc_auc": float(metrics.roc_auc_score(labels, scores)) if both else None,
        "average_precision": (
            float(metrics.average_precision_score(labels, scores)) if both else None
        ),
        "eer": equal_error_rate(labels, scores) if both else None,
        "operating_point": operating_point,
        "threshold": threshold,
        "accuracy": float((verdicts == labels).mean()),
        "real_called_real": int(confusion[0, 0]),
        "real_called_fake": int(confusion[0, 1]),
        "fake_called_real": int(confusion[1, 0]),
        "fake_called_fake": int(confusion[1, 1]),
    }


def equal_error_rate(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the rate at which as large a share of real as of fake videos is called wrongly.

    Between two thresholds the ROC curve is taken as a straight line.
    """
    false_alarms, hits, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    misses = 1 - hits
    # false_alarms - misses rises from -1 to 1; the rate sought is where it crosses 0.
    after = int(np.argmax(false_alarms >= misses))
    before = after - 1
    gap_before = misses[before] - false_alarms[before]
    gap_after = false_alarms[after] - misses[after]
    share = gap_before / (gap_before + gap_after)
    return float(false_alarms[before] + share * (false_alarms[after] - false_alarms[before]))


def write_report(
    out: Path,
    videos: Sequence[splits.FaceVideo],
    scores: np.ndarray,
    figures: Mapping,
) -> list[Path]:
    """Write metrics.json, predictions.csv and the charts, and return their paths.

    `videos` are their decisive faces, and `scores` those of these, `(num_videos,)`.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        faces_folder.write_text(out / "metrics.json", json.dumps(dict(figures), indent=1) + "\n")
        with (out / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["filename", "label", "score", "face"])
            for face, score in zip(videos, scores, strict=True):
                table.writerow([face.video, face.label, f"{score:.6f}", face.name])
        drawn = write_charts(out, videos, scores, figures)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error}; give another --out") from error
    return [out / "metrics.json", out / "predictions.csv", *drawn]


def write_charts(
    out: Path,
    videos: Sequence[splits.FaceVideo],
    scores: np.ndarray,
    figures: Mapping,
) -> list[Path]:
    folder = out / "charts"
    counts = np.array(
        [
            [figures["real_called_real"], figures["real_called_fake"]],
            [figures["fake_called_real"], figures["fake_called_fake"]],
        ]
    )
    written = [charts.confusion_chart(folder / "confusion.png", counts, figures["threshold"])]
    labels = np.array([video.label for video in videos])
    if figures["roc_auc"] is not None:
        false_alarms, hits, _ = metrics.roc_curve(labels, scores)
        auc, n = figures["roc_auc"], figures["videos"]
        written.append(charts.roc_chart(folder / "roc.png", false_alarms, hits, auc, n))
    shown = surest_and_worst(labels, scores)
    rows = [(strip_title(videos[i], scores[i]), face_strip(videos[i])) for i in shown]
    return [*written, charts.faces_chart(folder / "faces.png", rows)]


def surest_and_worst(labels: np.ndarray, scores: np.ndarray, each: int = 2) -> list[int]:
    """Return the indices of the surest right verdicts on fake and on real videos, then of the most
    mistaken ones of both; fewer where there are fewer videos, none twice."""
    by_error = np.argsort(np.abs(scores - labels), kind="stable").tolist()
    fakes, reals = ([i for i in by_error if labels[i] == label][:each] for label in (1, 0))
    worst = [i for i in by_error if i not in {*fakes, *reals}][-each:]
    return [*fakes, *reals, *worst]


def strip_title(video: splits.FaceVideo, score: float) -> str:
    label = datasets.FAKE if video.label else datasets.REAL
    return f"{video.name}   label {label}   P(fake) {score:.3f}"


def face_strip(video: splits.FaceVideo, count: int = 8) -> list[np.ndarray]:
    """Return `count` faces spread over the video, `(face_size, face_size, 3) uint8` RGB each."""
    indices = np.linspace(0, video.num_frames - 1, count).astype(int)
    return [imread(f"{video.folder}/{index:0{video.digits}d}.jpeg") for index in indices]


def print_figures(figures: Mapping, written: Sequence[Path]) -> None:
    def shown(name: str) -> str:
        return "needs real and fake videos" if figures[name] is None else f"{figures[name]:.4f}"

    rows = [
        ("videos", f"{figures['videos']} ({figures['real']} real, {figures['fake']} fake)"),
        ("log loss", shown("log_loss")),
        ("ROC AUC", shown("roc_auc")),
        ("average precision", shown("average_precision")),
        ("equal error rate", shown("eer")),
        (
            f"accuracy at {figures['threshold']:.3g} ({figures['operating_point']})",
            shown("accuracy"),
        ),
        ("real called real", str(figures["real_called_real"])),
        ("real called fake", str(figures["real_called_fake"])),
        ("fake called real", str(figures["fake_called_real"])),
        ("fake called fake", str(figures["fake_called_fake"])),
    ]
    rows += [("written", str(path)) for path in written]
    print_table("evaluation, one score per video", rows)


if __name__ == "__main__":
    sys.exit(main())
