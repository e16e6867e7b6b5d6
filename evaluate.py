"""Evaluates a model: one score per video, metrics with intervals, charts and a report.

Input: a model.keras with its settings.json (by default the one that comes with this project), and
folders of faces. Output, in the report folder:

    report.html       everything on one page, with faces and the largest errors first; needs no
                      network
    metrics.json      the metrics, with 95 % intervals
    predictions.csv   filename,label,score,face,data: 1 = fake, score = P(fake); a name that a
                      spreadsheet would take for a formula has an apostrophe in front
    charts/           roc.png  reliability.png  scores.png

    python evaluate.py --model run/model.keras --data faces --out report
    python evaluate.py --model run/model.keras --data dfdc celebdf --robustness --out report

If a video has several faces, its score is that of the highest-scoring one, and `face` in
predictions.csv is the folder of that face.

By default only unseen videos are scored: not those that the model was trained or validated on, nor
others of the same originals or people. So the same folder can serve for training and evaluation.
Videos are recognised by their content, whatever their name and folder.

--robustness scores the same faces again after JPEG and H.264 compression, at half and quarter
resolution, blurred, noisy and dark.

--calibrate fits the calibration on those of these videos that the model was not trained on, and
writes it into the settings.json of the model, for the next evaluation and for predict.py. This
report still shows the metrics before that.
"""

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deepfake_detector import __version__
from deepfake_detector.console import (
    ArgumentError,
    ArgumentParser,
    UserError,
    add_output_arguments,
    add_settings,
    command,
    counted,
    notes_on,
    quiet_tensorflow,
    say,
    say_lines,
    setting,
    settings_from,
    silence,
)
from deepfake_detector.files import check_output
from deepfake_detector.scoring import calibration
from deepfake_detector.scoring.trained_model import add_model_argument
from deepfake_detector.videos.metadata import connected_groups

UNSEEN, ALL = "unseen", "all"
MIN_FAKES = 5  # of a method, to say how well it is found
SPLIT_CHOICES = (UNSEEN, ALL)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(calibration.PointOptions):
    """How to evaluate. Raises UserError for a value out of range."""

    split: str = setting(
        UNSEEN,
        "videos to score: those the model has not seen, or all (%(default)s)",
        choices=SPLIT_CHOICES,
    )
    robustness: bool = setting(
        False, "also score altered faces, which takes about ten times as long"
    )
    calibrate: bool = setting(
        False,
        "then calibrate the model on these videos: replaces the calibration in its settings.json",
    )
    overwrite: bool = setting(False, "also replace files that evaluate.py did not write")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split not in SPLIT_CHOICES:
            raise ArgumentError("split", self.split, f"one of {', '.join(SPLIT_CHOICES)}")


def main_arguments() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    add_model_argument(parser)
    add("--data", type=Path, nargs="+", required=True, metavar="DIR", help="folders of faces")
    add("--out", type=Path, required=True, metavar="DIR", help="report folder")
    add_settings(parser, EvaluateOptions)
    add_output_arguments(parser, verbose="messages of TensorFlow")
    return parser


if __name__ == "__main__":
    main_arguments().parse_args()  # --help and wrong arguments are answered before the slow imports

with quiet_tensorflow():
    import numpy as np
    import tensorflow as tf

    from deepfake_detector.evaluation import bootstrap, groups, outputs
    from deepfake_detector.evaluation.robustness import robustness_table
    from deepfake_detector.evaluation.videos import ScoredVideo, labels_and_scores, score_videos
    from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
    from deepfake_detector.face_dataset.settings import SETTINGS_NAME
    from deepfake_detector.face_dataset.splits import LEFT_OUT, SPLITS, what_is_known
    from deepfake_detector.scoring import metrics, model_file, trained_model
    from deepfake_detector.scoring.calibration import OperatingPoint
    from deepfake_detector.scoring.clip_scorer import ClipScorer


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    options = vars(settings_from(args, EvaluateOptions))
    result = evaluate(args.model, args.data, args.out, **options)
    if args.json_summary:
        print(json.dumps(result))
    return 0


def evaluate(
    model: Path | str | None,
    data: Path | str | Sequence[Path | str],
    out: Path | str,
    quiet: bool = False,
    **options: object,
) -> dict:
    """Evaluate a model on folders of faces, print its metrics and write the report folder `out`.

    Returns what metrics.json holds. `model` is None for the one that comes with this project;
    `options` are fields of `EvaluateOptions`, such as `split="all"`. With `quiet` nothing is
    printed.

    Raises UserError for an option out of range, a model or a folder that cannot be read, faces
    that were not made for the model, a split without videos, and an `out` that cannot be written.
    """
    chosen = EvaluateOptions(**options)  # type: ignore[arg-type]
    model, out = trained_model.find_model(model), Path(out)
    folders = [Path(data)] if isinstance(data, str | Path) else [Path(folder) for folder in data]
    settings = trained_model.read_model_settings(model)
    inputs = [model, model.parent / SETTINGS_NAME, *folders]
    is_report = lambda folder: (folder / outputs.METRICS_NAME).is_file()  # noqa: E731
    check_output("--out", out, inputs, is_report, is_folder=True, overwrite=chosen.overwrite)
    point = calibration.operating_point(settings, chosen)
    with silence() if quiet else contextlib.nullcontext():
        listed = list_tracks(folders, settings)
        tracks = choose_split(listed, model, chosen.split)
        untrained = not_trained_on(tracks, model) if chosen.calibrate else set()
        strategy = tf.distribute.MirroredStrategy()
        with strategy.scope():
            network = model_file.load(model, settings)
        scorer = ClipScorer(network, settings, strategy)

        videos = score_videos(scorer, tracks)
        result = {"version": __version__, **all_metrics(videos, point), "leak_warning": None}
        if chosen.split != ALL:
            result["leak_warning"] = leak_warning(listed, model)
        if chosen.robustness:
            result["robustness"] = robustness_table(scorer, tracks)
        outputs.print_metrics(result, outputs.write(out, videos, result, model))
        if chosen.calibrate:
            calibrate(model, settings, [v for v in videos if v.track.video_key in untrained])
    return result


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
    first_of: dict[str, FaceTrack] = {}  # of each content
    for track in tracks:
        first = first_of.setdefault(track.content or track.folder, track)
        if first.label != track.label:
            raise UserError(
                f"{first.folder} and {track.folder} are the same video, labelled real and fake; "
                "correct one label and run processing.py again"
            )
    copies = [t.folder for t in tracks if first_of[t.content or t.folder].video_key != t.video_key]
    say_lines(notes_on(copies, "of a video that another folder holds, too", "face track"))
    # A name means something in its own folder only, the content everywhere.
    groups = connected_groups(
        {t.folder: [f"{t.video_key[0]}/{t.source_group}", f"content {t.content or t.folder}"]
         for t in tracks}
    )  # fmt: skip
    return [replace(track, source_group=groups[track.folder]) for track in tracks]


def choose_split(tracks: Sequence[FaceTrack], model: Path, split: str) -> list[FaceTrack]:
    """Return the tracks of all videos, or of the unseen ones.

    A video is unseen if the model was neither trained nor validated on it, if it shares no original
    and no person with a video that was, and if the split did not leave it out. Raises UserError
    if no video is left.
    """
    if split == ALL:
        return list(tracks)
    if model.parent == trained_model.PRETRAINED:
        # Whoever got it from us has other videos.
        say("note: all videos are scored; the card of the model says what it was trained on")
        return list(tracks)
    trained = read_split(model.parent / trained_model.SPLIT_NAME)
    seen = [*trained["train"], *trained["validation"]]
    contents, left_out = ({e["content"] for e in some} for some in (seen, trained[LEFT_OUT]))
    seen_keys = {f"person/{person}" for entry in seen for person in entry["people"]}.union(
        *(track.group_keys for track in tracks if track.content in contents)
    )
    chosen = [
        track
        for track in tracks
        if track.content not in left_out and seen_keys.isdisjoint(track.group_keys)
    ]
    total, kept = (len({track.video_key for track in some}) for some in (tracks, chosen))
    if not kept:
        raise UserError(
            f"none of {counted(total, 'video')} is unseen; --split all scores every video, also "
            "those that the model was trained on"
        )
    if kept < total:
        say(
            f"note: {total - kept} of {counted(total, 'video')} left out: used in training, or of "
            "the same originals or people"
        )
    return chosen


def leak_warning(tracks: Sequence[FaceTrack], model: Path) -> str | None:
    """Return in a sentence what is not known of these videos and of those trained on, or None."""
    warning = what_is_known(tracks, "in training and here")[1]
    path = model.parent / trained_model.SPLIT_NAME
    if warning or not path.exists():
        return warning or None
    trained = read_split(path)["train"]
    nobody = sum(not entry["people"] for entry in trained)
    if not nobody:
        return None
    return (
        f"who is in {nobody:,} of {counted(len(trained), 'face track')} that the model was trained "
        "on is not known, so a person may be in training and here"
    )


def not_trained_on(tracks: Sequence[FaceTrack], model: Path) -> set[tuple[str, str]]:
    """Return the video keys of the tracks whose videos the model was not trained on, and say how
    many it was. Raises UserError if it was trained on all of them."""
    path = model.parent / trained_model.SPLIT_NAME
    if not path.exists():
        say(f"note: {path} is missing, so some of these videos may have been trained on")
    trained = {entry["content"] for entry in read_split(path)["train"]} if path.exists() else set()
    every = {track.video_key for track in tracks}
    found = {track.video_key for track in tracks if track.content not in trained}
    if not found:
        raise UserError(
            f"the model was trained on all of these {counted(len(every), 'video')}, and would be "
            "calibrated as if it knew everybody; give --calibrate other videos"
        )
    if len(found) < len(every):
        say(
            f"note: not calibrated on {len(every) - len(found)} of {counted(len(every), 'video')}, "
            "which the model was trained on"
        )
    return found


def calibrate(model: Path, settings: Mapping, videos: Sequence[ScoredVideo]) -> None:
    """Calibrate the model on these videos, and note how well it finds each method."""
    labels, _ = labels_and_scores(videos)
    raw_scores = np.array([video.raw_score for video in videos])
    aucs = {
        row["name"]: round(row["roc_auc"], 3)
        for row in groups.group_metrics(videos)["method"]
        if row["fake"] >= MIN_FAKES and row["roc_auc"] is not None
    }
    settings = {**settings, "auc_by_method": aucs}
    model_file.save_calibration(model, settings, labels, raw_scores)
    say(f"calibrated on {counted(len(videos), 'video')}: {model.parent / SETTINGS_NAME}")


def read_split(path: Path) -> dict[str, list[dict]]:
    """Return `content` and `people` of the face tracks of each split, and of those left out, from
    split.json. Raises UserError if it cannot be read.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return {
            split: [
                {"content": entry["content"], "people": entry.get("people", [])}
                for entry in saved[split].values()
            ]
            for split in (*SPLITS, LEFT_OUT)
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError(
            f"{path} cannot be read, which says what the model has seen; --split all scores every "
            "video"
        ) from None


def all_metrics(videos: Sequence[ScoredVideo], point: OperatingPoint) -> dict:
    """Return what metrics.json holds, without the robustness."""
    labels, scores = labels_and_scores(videos)
    reliability = metrics.reliability(labels, scores)
    return {
        **metrics.video_metrics(labels, scores),
        **metrics.verdict_metrics(labels, scores, point),
        "synthetic": sum(video.track.is_synthetic for video in videos),
        "ece": reliability["ece"],
        "ece_bins": reliability["num_bins"],
        "intervals": bootstrap.intervals(labels, scores, [v.track.source_group for v in videos]),
        "groups": groups.group_metrics(videos),
    }


if __name__ == "__main__":
    sys.exit(main())
