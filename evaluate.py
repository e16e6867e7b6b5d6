"""Evaluates a model: one score per video, metrics with intervals, charts and a report.

Input: a model.keras with its settings.json (by default the one that comes with this project), and
folders of faces. Output, in the report folder:

    report.html       everything on one page, with faces and the largest errors first; needs no
                      network
    metrics.json      the metrics, with 95 % intervals
    predictions.csv   filename,label,score,face,data: 1 = fake, score = P(fake); a name that a
                      spreadsheet would take for a formula has an apostrophe in front
    charts/           roc.png  precision_recall.png  reliability.png  scores.png  confusion.png
                      faces.png (most confident correct and most wrong predictions)

    python evaluate.py --model run/model.keras --data faces --out report
    python evaluate.py --model run/model.keras --data dfdc celebdf --robustness --out report

Where a video has several faces, its score is that of the highest-scoring face, and `face` in
predictions.csv is the folder of that face.

By default videos are left out that the model was trained or validated on, and others of the same
originals or people, so the same folder can serve for training and evaluation. Videos are recognised
by name: in further folders, a video with the name of one of them is left out too, and counts as the
same original.

--robustness scores the same faces again after JPEG and H.264 compression, at half and quarter
resolution, blurred, noisy and dark. In the DFDC challenge (arXiv:2006.07397) the best entry had an
accuracy of 82.6 % on the public test videos, and the best one on the hidden videos 65.2 % there.

--calibrate finds calibration and operating points on these videos and writes them into the
settings.json of the model, for the next evaluation and for predict.py. The metrics of this one are
of before.

With --json-summary the last line printed is one JSON object, the content of metrics.json.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector import __version__
from deepfake_detector.console import (
    ArgumentError,
    ArgumentParser,
    UserError,
    add_output_arguments,
    command,
    counted,
    quiet_tensorflow,
    say,
)
from deepfake_detector.scoring import calibration
from deepfake_detector.scoring.trained_model import add_model_argument

UNSEEN, ALL = "unseen", "all"
SPLIT_CHOICES = (UNSEEN, ALL, "train", "validation", "test")


def arguments() -> ArgumentParser:
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    add_model_argument(parser)
    add("--data", type=Path, nargs="+", required=True, metavar="DIR", help="folders of faces")
    add("--out", type=Path, required=True, metavar="DIR", help="report folder")
    add(
        "--split",
        choices=SPLIT_CHOICES,
        default=UNSEEN,
        help="videos to score: those the model has not seen, all, or one of its splits "
        "(%(default)s)",
    )
    add(
        "--operating-point",
        choices=calibration.OPERATING_POINTS,
        help="threshold of the predicted labels (equal-error; half for a model without it)",
    )
    add(
        "--robustness",
        action="store_true",
        help="also score altered faces, which takes about four times as long",
    )
    add(
        "--calibrate",
        action="store_true",
        help="then calibrate the model on these videos: replaces the calibration and the "
        "operating points in its settings.json",
    )
    add(
        "--strips",
        type=int,
        default=100,
        metavar="N",
        help="videos that report.html shows with faces and a score over time, largest errors "
        "first; each adds 7 KB and eight clips to score (%(default)s)",
    )
    add("--batch-size", type=int, default=16, help="clips scored at a time (%(default)s)")
    add_output_arguments(
        parser,
        verbose="messages of TensorFlow",
        overwrite="files in the report folder that are of no report",
    )
    return parser


if __name__ == "__main__":
    arguments().parse_args()  # --help and wrong arguments are answered before the slow imports

with quiet_tensorflow():
    import numpy as np
    import tensorflow as tf

    from deepfake_detector.evaluation import bootstrap, groups, outputs
    from deepfake_detector.evaluation.robustness import robustness_table
    from deepfake_detector.evaluation.timelines import score_timelines
    from deepfake_detector.evaluation.videos import (
        ScoredVideo,
        count_videos,
        labels_and_scores,
        largest_errors_first,
        score_videos,
    )
    from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
    from deepfake_detector.face_dataset.settings import SETTINGS_NAME
    from deepfake_detector.face_dataset.splits import LEFT_OUT, SPLITS, what_is_known
    from deepfake_detector.scoring import metrics, model_file, trained_model
    from deepfake_detector.scoring.calibration import OperatingPoint
    from deepfake_detector.scoring.clip_scorer import ClipScorer


@command
def main(argv: Sequence[str] | None = None) -> int:
    options = vars(arguments().parse_args(argv))
    json_summary, _ = options.pop("json_summary"), options.pop("verbose")
    result = evaluate(**options)
    if json_summary:
        print(json.dumps(result))
    return 0


def evaluate(
    model: Path | str | None,
    data: Path | str | Sequence[Path | str],
    out: Path | str,
    split: str = UNSEEN,
    operating_point: str | None = None,
    robustness: bool = False,
    calibrate: bool = False,
    strips: int = 100,
    batch_size: int = 16,
    overwrite: bool = False,
) -> dict:
    """Evaluate a model on folders of faces, print its metrics and write the report folder `out`.

    Returns what metrics.json holds. The arguments are those of the command: `model` is None for the
    one that comes with this project, `split` is one of SPLIT_CHOICES, `operating_point` one of
    calibration.OPERATING_POINTS, `calibrate` changes the settings.json of the model afterwards,
    `strips` is the number of videos shown with faces, and `batch_size` counts clips. `overwrite`
    also replaces files in `out` that are of no report.

    Raises UserError for an argument out of range, a model or a folder that cannot be read, faces
    that were not made for the model, a split without videos, and an `out` that cannot be written.
    """
    model, out = trained_model.find_model(model), Path(out)
    folders = [Path(data)] if isinstance(data, str | Path) else [Path(folder) for folder in data]
    check_options(split, operating_point, strips, batch_size)
    settings = trained_model.read_model_settings(model)
    inputs = [model, model.parent / SETTINGS_NAME, *folders]
    outputs.check_folder(out, inputs, overwrite)
    point = calibration.operating_point(settings, operating_point)
    listed = list_tracks(folders, settings)
    tracks = choose_split(listed, model, split)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        network = model_file.load(model, settings)
    scorer = ClipScorer(network, settings, strategy, batch_size)

    videos = score_videos(scorer, tracks, folders)
    result = {"version": __version__, **all_metrics(videos, point)}
    result["leak_warning"] = leak_warning(listed, split)
    if robustness:
        result["robustness"] = robustness_table(scorer, tracks)
    shown = largest_errors_first(videos)[:strips]
    timelines = score_timelines(scorer, [video.track for video in shown])
    strips_of_faces = dict(zip(shown, timelines, strict=True))
    written = outputs.write(out, videos, strips_of_faces, result, model)
    outputs.print_metrics(result, written)
    if calibrate:
        save_calibration(model, settings, videos)
    return result


def save_calibration(model: Path, settings: Mapping, videos: Sequence[ScoredVideo]) -> None:
    """Calibrate the model on these videos and write that into its settings.json."""
    labels = np.array([video.track.label for video in videos])
    raw_scores = np.array([video.raw_score for video in videos])
    model_file.save_calibration(model, settings, labels, raw_scores)
    say(f"calibrated on {counted(len(videos), 'video')}: {model.parent / SETTINGS_NAME}")


def check_options(split: str, operating_point: str | None, strips: int, batch_size: int) -> None:
    """Raise UserError for an option that is not one of its choices or out of range."""
    if split not in SPLIT_CHOICES:
        raise ArgumentError("split", split, f"one of {', '.join(SPLIT_CHOICES)}")
    points = calibration.OPERATING_POINTS
    if operating_point is not None and operating_point not in points:
        raise ArgumentError("operating_point", operating_point, f"one of {', '.join(points)}")
    if strips < 0:
        raise ArgumentError("strips", strips, "0 or more")
    if batch_size < 1:
        raise ArgumentError("batch_size", batch_size, "at least 1")


def list_tracks(folders: Sequence[Path], settings: Mapping) -> list[FaceTrack]:
    """Return the face tracks of all folders, folder by folder.

    Raises UserError for a folder that does not fit the model or is given twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(
            "--data names a folder twice, whose videos would count double; name it once"
        )
    tracks = []
    for folder in folders:
        trained_model.check_faces(folder, settings)
        tracks += list_faces(folder)
    return tracks


def choose_split(tracks: Sequence[FaceTrack], model: Path, split: str) -> list[FaceTrack]:
    """Return the tracks of one split of the model's run, of all videos, or of the unseen ones.

    A video is unseen if the model was neither trained nor validated on it, if it shares no original
    and no person with a video that was, and if the split did not leave it out. Raises UserError
    where no video is left.
    """
    if split == ALL:
        return list(tracks)
    if split == UNSEEN and model.parent == trained_model.PRETRAINED:
        # It has no split.json: whoever got it from us has other videos.
        print("note: all videos are scored; the card of the model says what it was trained on")
        return list(tracks)
    names = read_split(model.parent / trained_model.SPLIT_NAME)
    if split == UNSEEN:
        seen = names["train"] | names["validation"]
        seen_keys = set().union(*(track.group_keys for track in tracks if track.name in seen))
        chosen = [
            track
            for track in tracks
            if track.name not in names[LEFT_OUT] and seen_keys.isdisjoint(track.group_keys)
        ]
    else:
        chosen = [track for track in tracks if track.name in names[split]]
    total = count_videos(tracks)
    if not chosen:
        which = f"is in the {split} split of {model.parent}"
        if split == UNSEEN:
            which = "is one that the model has not seen"
        raise UserError(
            f"none of {counted(total, 'video')} {which}; --split all scores every video, also "
            "those that it was trained on"
        )
    left_out = total - count_videos(chosen)
    if split == UNSEEN and left_out:
        print(
            f"note: {left_out} of {counted(total, 'video')} left out: used in training, or of the "
            "same originals or people"
        )
    return chosen


def leak_warning(tracks: Sequence[FaceTrack], split: str) -> str | None:
    """Return what of these videos is not known, so that people of the training may be scored."""
    if split in {ALL, "train"}:
        return None
    return what_is_known(tracks, "in training and in this evaluation")[1] or None


def read_split(path: Path) -> dict[str, set[str]]:
    """Return the names of the face tracks of each split and of those left out, from split.json.

    Raises UserError where it cannot be read.
    """
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        # Runs of before people were kept apart left nothing out.
        return {LEFT_OUT: set(names.get(LEFT_OUT, [])), **{s: set(names[s]) for s in SPLITS}}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        what = "is damaged" if path.exists() else "is not there"
        raise UserError(
            f"{path} {what}, which says what the model has seen; --split all scores every video"
        ) from None


def all_metrics(videos: Sequence[ScoredVideo], point: OperatingPoint) -> dict:
    """Return what metrics.json holds, without the robustness."""
    labels, scores = labels_and_scores(videos)
    raw_scores = np.array([video.raw_score for video in videos])
    reliability = metrics.reliability(labels, scores)
    return {
        **metrics.video_metrics(labels, scores, point.threshold, point.name),
        **metrics.decided_metrics(labels, scores, point.threshold, point.uncertain),
        "ece": reliability["ece"],
        "ece_before_calibration": metrics.reliability(labels, raw_scores)["ece"],
        "ece_bins": reliability["num_bins"],
        "intervals": bootstrap.intervals(labels, scores, [v.track.source_group for v in videos]),
        "groups": groups.tables(videos, point.threshold),
    }


if __name__ == "__main__":
    sys.exit(main())
