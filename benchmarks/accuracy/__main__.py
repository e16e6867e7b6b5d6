"""How well detectors find fakes of people and sources they have never seen.

    python -m benchmarks.accuracy --data faces --out runs
    python -m benchmarks.accuracy --data faces more_faces --extra more_real_faces photographs \\
        --experiment leave-source-out --seeds 0 1 2 --out runs -- --epochs 20
    python -m benchmarks.accuracy --data faces more_faces --experiment leave-source-out \\
        --only model blur --model pretrained/model.keras --out runs

Input: folders that processing.py wrote, those of --data to test and train on, those of --extra with
more real people (videos or photographs) to train on. Output: tables, and in the folder of --out a
run folder for each training, accuracy.md with the tables and accuracy.json with the scores of all
videos. Arguments after `--` go to train.py. The same command again resumes: a finished training is
scored again, not repeated. Another command with the same data and seeds adds its detectors to the
tables.

The experiments (folds.py):

    folds              cross-validation: each person in one fold only, trained on the other folds
    leave-source-out   tested on one data set, trained on all others (sources.py); data sets with
                       too few videos are left out together, as "others"

The detectors (detectors.py):

    ours    train.py, with the arguments after `--`. What it starts from (train.py --from) must not
            have seen the test videos: that is not checked
    blur    no network: how blurred the inside of the face is
    model   a trained model as it is, that of --model

How to read the tables: each video has the score of its highest-scoring face.

    AUC (95 %)         of pairs that one network scored (metrics.py), mean over the seeds; the
                       interval is a bootstrap over groups of people
    mean of the folds  every fold counts the same
    all videos pooled  scores of all networks of a seed together, as those of one detector
    pairs of one       real and fake videos of the same source: nothing to recognise but the
    source             forgery
    source             its real and fake videos
    family, method     its fakes against all real videos of their folds; families as the metadata
                       name them
    FPR, TPR           at the score from which the model says FAKE: real videos predicted fake, and
                       fakes predicted fake; the log loss is of the calibrated scores
    altered            the same faces after JPEG, at half resolution, after H.264
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepfake_detector.console import UserError, command, quiet_tensorflow

EXPERIMENTS = FOLDS, SOURCE_OUT = ("folds", "leave-source-out")
DETECTORS = ("ours", "blur", "model")
RESULT_NAME, TABLES_NAME = "accuracy.json", "accuracy.md"


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; `recipe` are those for train.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    folders: dict[str, Any] = {"type": Path, "nargs": "+", "metavar": "DIR"}
    add("--data", **folders, required=True, help="folders of faces to test and to train on")
    add("--extra", **folders, default=[], help="folders of faces of more real people, to train on")
    add("--out", type=Path, default=Path("demo/accuracy"), metavar="DIR", help="(%(default)s)")
    add("--experiment", choices=EXPERIMENTS, default=FOLDS, help="(%(default)s)")
    add("--only", nargs="+", choices=DETECTORS, default=DETECTORS[:2], help="(ours blur)")
    add("--as", dest="name", metavar="NAME", help="name of ours, or of model, in the tables")
    add("--model", type=Path, metavar="FILE", help="model.keras of the detector `model`")
    add("--folds", type=int, default=3, metavar="N", help="(%(default)s)")
    add("--seeds", type=int, nargs="+", default=[0], help="of the folds and of train.py (0)")
    add("--validation-share", type=float, default=0.15, help="of the training (%(default)s)")
    split_at = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:split_at])
    args.recipe = list(words[split_at + 1 :])
    if "model" in args.only and args.model is None:
        raise UserError("--only model needs --model")
    return args


if __name__ == "__main__":
    read_arguments(sys.argv[1:])  # --help is answered before the slow imports

with quiet_tensorflow():
    from benchmarks.accuracy import detectors

import numpy as np

from benchmarks.accuracy import folds, tables
from benchmarks.accuracy import metrics as accuracy_metrics
from benchmarks.accuracy.detectors import ALTERED, CLEAN, CannotTrain, Prepare, Prepared
from benchmarks.accuracy.folds import Fold, Videos
from benchmarks.accuracy.metrics import FoldScores
from deepfake_detector.files import write_text
from deepfake_detector.scoring.clip_scorer import highest_scoring_tracks


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = read_arguments(list(sys.argv[1:] if argv is None else argv))
    videos = folds.list_videos(args.data, args.extra)
    print(tables.of_sources(videos))
    folds_of_seeds = {seed: make_folds(args, videos, seed) for seed in args.seeds}
    first = folds_of_seeds[args.seeds[0]]
    print(tables.of_folds(f"{args.experiment}, seed {args.seeds[0]}", first, videos))
    for name, prepare in preparations(args, videos).items():
        results = []
        for seed, dealt in folds_of_seeds.items():
            out = args.out / args.experiment / name / f"seed-{seed}"
            results += run(name, prepare, dealt, seed, out, videos)
        if results:
            write(args, name, results, videos)
    print(f"every score: {args.out / RESULT_NAME}; tables: {args.out / TABLES_NAME}")
    return 0


def make_folds(args: argparse.Namespace, videos: Videos, seed: int) -> list[Fold]:
    if args.experiment == SOURCE_OUT:
        return folds.leave_source_out(videos)
    return folds.deal(videos, args.folds, seed)


def preparations(args: argparse.Namespace, videos: Videos) -> dict[str, Prepare]:
    """Return what prepares each detector for a fold, by its name in the tables."""
    chosen: dict[str, Prepare] = {}
    if "ours" in args.only:
        chosen[args.name or "ours"] = lambda fold, out, seed: detectors.prepare_ours(
            fold, out, seed, args.validation_share, args.recipe
        )
    if "blur" in args.only:
        chosen["blur"] = lambda fold, out, seed: Prepared(detectors.score_blur)
    if "model" in args.only:
        model = detectors.prepare_model(args.model, videos.tracks)
        name = args.name if args.name and "ours" not in args.only else "model"
        chosen[name] = lambda fold, out, seed: model
    return chosen


def run(
    name: str, prepare: Prepare, dealt: Sequence[Fold], seed: int, out: Path, videos: Videos
) -> list[FoldScores]:
    """Return the scores of a detector in all folds of a seed; a fold that it cannot train on is
    skipped with a message."""
    results = []
    for number, fold in enumerate(dealt, start=1):
        print(f"{name}, seed {seed}, {number} of {len(dealt)}: {fold.name}")
        try:
            prepared = prepare(fold, out / fold.folder, seed)
        except CannotTrain as error:
            print(f"skipped: {error}")
            continue
        measured = measure(fold, seed, prepared, videos)
        results += [measured] if measured.tested else []
    return results


def measure(fold: Fold, seed: int, prepared: Prepared, videos: Videos) -> FoldScores:
    """Score the test videos of a fold, as they are and under each alteration."""
    tracks = [track for track in fold.test if track.video_key not in prepared.seen]
    tested: list[folds.About] = []
    scores: dict[str, np.ndarray] = {}
    for name, of_tracks in prepared.score(tracks, (CLEAN, *ALTERED)).items():
        highest = highest_scoring_tracks(tracks, of_tracks)
        tested = [videos.about[tracks[index].video_key] for index in highest]
        scores[name] = of_tracks[highest]
    return FoldScores(seed, fold.name, tested, scores, prepared.threshold)


# What is kept


def write(
    args: argparse.Namespace, name: str, results: Sequence[FoldScores], videos: Videos
) -> None:
    """Add the metrics of a detector to accuracy.json, and write and print the tables."""
    found = accuracy_metrics.of_detector(results)
    print(tables.of_detector(f"{args.experiment}: {name}", found))
    result = read_result(args, videos)
    saved = found | {"train.py": args.recipe, "videos": every_score(results)}
    result["experiments"].setdefault(args.experiment, {})[name] = saved
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / RESULT_NAME, json.dumps(result, indent=1) + "\n")
    texts = [tables.of_sources(videos)]
    for title, by_name in result["experiments"].items():
        texts.append(tables.comparison(title, by_name))
        texts += [tables.of_detector(f"{title}: {one}", of) for one, of in by_name.items()]
    write_text(args.out / TABLES_NAME, "\n".join(texts))
    if len(result["experiments"][args.experiment]) > 1:
        print(tables.comparison(args.experiment, result["experiments"][args.experiment]))


def read_result(args: argparse.Namespace, videos: Videos) -> dict:
    """Return the content of accuracy.json, empty if there is none for this data."""
    of_run = {
        "data": [str(folder) for folder in args.data],
        "videos": sorted(f"{known.data}/{known.video}" for known in videos.about.values()),
        "folds": args.folds,
        "seeds": args.seeds,
    }
    path = args.out / RESULT_NAME
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
        if of_run.items() <= result.items():
            return result
        print(f"{path} is of other data, folds or seeds, and is replaced")
    return {**of_run, "experiments": {}}


def every_score(results: Sequence[FoldScores]) -> list[Mapping[str, object]]:
    """Return a row for each video and fold."""
    rows: list[Mapping[str, object]] = []
    for result in results:
        for index, video in enumerate(result.tested):
            scores = {altered: float(of[index]) for altered, of in result.scores.items()}
            place = {"seed": result.seed, "fold": result.name}
            rows.append({**place, **asdict(video), "scores": scores})
    return rows


if __name__ == "__main__":
    sys.exit(main())
