"""How well detectors find fakes of people, sources and methods they have never seen.

    python -m benchmarks.accuracy --data faces --out runs
    python -m benchmarks.accuracy --data faces more_faces --extra more_real_faces photographs \\
        --experiment leave-source-out --seeds 0 1 2 --out runs -- --epochs 20
    python -m benchmarks.accuracy --data faces more_faces --experiment leave-source-out \\
        --only model mesonet blur --model pretrained/model.keras --peer-weights weights --out runs

Goes in: folders that processing.py wrote, those of --data to test and train on, those of --extra
with more real people (videos or photographs) to train on. Comes out: tables, and in the folder of
--out a run folder for each training, accuracy.md with the tables and accuracy.json with the scores
of all videos. Arguments after `--` go to train.py. The same command again resumes: a finished
training is scored again, not repeated. Another command with the same data and seeds adds its
detectors to the tables.

The experiments (folds.py):

    folds              cross-validation: each person in one fold only, trained on the other folds
    leave-source-out   tested on one data set, trained on all others (sources.py); data sets with
                       too few videos are left out together, as "others"
    leave-method-out   each fold again without the fakes of one method, and tested on these

The detectors (detectors.py, predecessor.py, mesonet.py):

    ours        train.py, with the arguments after `--`. What it starts from (train.py --from) must
                not have seen the test videos: that is not checked
    baseline    the predecessor's network with its own training
    blur        no network: how blurred the inside of the face is
    source      no pixels: the share of fakes among the training videos of the same source
    model       a trained model as it is, that of --model
    mesonet     MesoNet with each of the weights in --peer-weights

How to read the tables: each video has the score of its highest-scoring face.

    AUC (95 %)         of pairs that one network scored (metrics.py), mean over the seeds; the
                       interval is a bootstrap over groups of people
    mean of the folds  every fold counts the same
    all videos pooled  scores of all networks of a seed together, as those of one detector
    source, method     real and fake videos of the source; fakes of the method against all real
                       videos of their folds
    FPR, TPR           at the threshold that the training chose: real videos predicted fake, and
                       fakes predicted fake; the log loss is of the calibrated scores
    predicts           AUC of the score for the source, among videos of one label: 0.5 is right
    files              AUC of the label by size, rate and face width alone, without any pixels
    altered            the same faces after JPEG, at half resolution, after H.264
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from deepfake_detector.console import UserError, command, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.files import write_text
from deepfake_detector.scoring.video_scores import highest_scoring

with quiet_tensorflow():
    from benchmarks.accuracy import detectors, predecessor

import numpy as np

from benchmarks.accuracy import folds, sources, tables
from benchmarks.accuracy import metrics as accuracy_metrics
from benchmarks.accuracy.detectors import ALTERED, CLEAN, CannotTrain, Prepare, Prepared
from benchmarks.accuracy.folds import About, Fold, Videos
from benchmarks.accuracy.metrics import FoldScores

FOLDS, SOURCE_OUT, METHOD_OUT = EXPERIMENTS = ("folds", "leave-source-out", "leave-method-out")
DETECTORS = ("ours", "baseline", "blur", "source", "model", "mesonet")
DEFAULT_DETECTORS = DETECTORS[:4]
FORMER_NAMES = {"seed": "baseline", "control": "blur"}
RESULT_NAME, TABLES_NAME = "accuracy.json", "accuracy.md"
ALTERATIONS = (CLEAN, *ALTERED)
MOST_EXTRAS = 100  # of which the score in training is measured


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of faces to test and to train on",
    )
    add(
        "--extra",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of faces of more real people, to train on",
    )
    add("--out", type=Path, default=Path("demo/accuracy"), metavar="DIR", help="(%(default)s)")
    add("--experiment", nargs="+", choices=EXPERIMENTS, default=[FOLDS], help=f"({FOLDS})")
    add(
        "--only",
        nargs="+",
        type=lambda name: FORMER_NAMES.get(name, name),
        choices=[*DETECTORS, METHOD_OUT],
        default=DEFAULT_DETECTORS,
        metavar="DETECTOR",
        help=f"detectors to test, of {' '.join(DETECTORS)} ({' '.join(DEFAULT_DETECTORS)})",
    )
    add("--as", dest="name", metavar="NAME", help="name of ours, or of model, in the tables")
    add("--model", type=Path, metavar="FILE", help="model.keras of the detector `model`")
    add("--peer-weights", type=Path, metavar="DIR", help="folder of the .h5 files of MesoNet")
    add("--sources", type=Path, metavar="CSV", help="table video,source, before the metadata")
    add("--folds", type=int, default=3, metavar="N", help="(%(default)s)")
    add("--seeds", type=int, nargs="+", default=[0], help="of the folds and of train.py (0)")
    add("--seed", type=int, nargs=1, dest="seeds", default=[0], help=argparse.SUPPRESS)
    return parser


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; `recipe` are those for train.py. Ends with a message where they are
    wrong, raises UserError where one lacks another."""
    split_at = words.index("--") if "--" in words else len(words)
    args = main_arguments().parse_args(words[:split_at])
    args.recipe = list(words[split_at + 1 :])
    detectors.read_options(args.recipe, seed=0)
    if METHOD_OUT in args.only:  # the former way to ask for the experiment
        args.experiment = [METHOD_OUT] if set(args.only) == {METHOD_OUT} else [FOLDS, METHOD_OUT]
        args.only = [name for name in args.only if name != METHOD_OUT] or ["ours"]
    for name, option in (("model", "model"), ("mesonet", "peer_weights")):
        if name in args.only and getattr(args, option) is None:
            raise UserError(f"--only {name} needs --{option.replace('_', '-')}")
    return args


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = read_arguments(list(sys.argv[1:] if argv is None else argv))
    listed_sources = sources.read_sources(args.sources) if args.sources else None
    videos = folds.list_videos(args.data, args.extra, listed_sources)
    # TensorFlow warns of functions that are traced again, as each fold's network is.
    detectors.tf.get_logger().setLevel("ERROR")
    prepare = preparations(args, videos)
    print_videos(videos)
    for experiment in args.experiment:
        dealt = {seed: dealt_folds(experiment, videos, args.folds, seed) for seed in args.seeds}
        print(tables.of_folds(f"{experiment}, seed {args.seeds[0]}", dealt[args.seeds[0]], videos))
        for name, prepare_fold in prepare.items():
            if experiment == SOURCE_OUT and name == "source":
                print("the source tells nothing of a source that was left out: no such baseline")
                continue
            results = run(args.out / experiment, name, prepare_fold, dealt, videos)
            if results:
                write(args, experiment, name, results, videos)
    print(f"every score: {args.out / RESULT_NAME}; tables: {args.out / TABLES_NAME}")
    return 0


def print_videos(videos: Videos) -> None:
    every_face = [*videos.faces, *videos.extras]
    print(tables.of_sources(videos))
    print(tables.of_files(accuracy_metrics.aucs_of_files(every_face, videos.about)))
    for reason, count in videos.unused.items():
        if count:
            print(f"{count} videos of --extra are not used: {reason}")


def dealt_folds(experiment: str, videos: Videos, num_folds: int, seed: int) -> list[Fold]:
    """Return the folds of an experiment."""
    if experiment == SOURCE_OUT:
        return folds.leave_source_out(videos)
    dealt = folds.deal(videos, num_folds, seed)
    return dealt if experiment == FOLDS else folds.leave_method_out(videos, dealt)


def preparations(args: argparse.Namespace, videos: Videos) -> dict[str, Prepare]:
    """Return what prepares each detector for a fold, by its name in the tables."""
    faces, settings = videos.faces, videos.face_settings
    known: dict[str, Prepare] = {
        "ours": lambda fold, out, seed: detectors.prepare_ours(
            fold, out, seed, settings, args.recipe
        ),
        "baseline": lambda fold, out, seed: predecessor.prepare(
            fold, out, settings, predecessor.Recipe(seed=seed)
        ),
        "source": lambda fold, out, seed: detectors.prepare_source(fold, videos.about),
    }
    if len(folds.all_sources(videos.about)) < 2 and "source" in args.only:
        print("the metadata.json of --data names no two sources, so that baseline is left out")
        del known["source"]
    chosen = {name: known[name] for name in args.only if name in known}
    if "blur" in args.only:
        chosen["blur"] = always(detectors.prepare_blur(faces))
    if "model" in args.only:
        chosen["model"] = always(detectors.prepare_model(args.model, faces))
    named = next((name for name in ("ours", "model") if name in chosen), None)
    if args.name and named:
        chosen = {args.name if name == named else name: of for name, of in chosen.items()}
    if "mesonet" in args.only:
        paths = sorted(args.peer_weights.glob("Meso*.h5"))
        if not paths:
            raise UserError(f"{args.peer_weights} holds no Meso*.h5; give the folder of weights")
        for path in paths:
            chosen[path.stem] = always(detectors.prepare_mesonet(path, faces))
    return chosen


def always(prepared: Prepared) -> Prepare:
    """Return a preparation of a detector that does not depend on the fold."""
    return lambda fold, out, seed: prepared


def run(
    out: Path,
    name: str,
    prepare: Prepare,
    dealt: Mapping[int, Sequence[Fold]],
    videos: Videos,
) -> list[FoldScores]:
    """Return the scores of a detector in all folds of all seeds; a fold that it cannot train on is
    skipped with a word."""
    results = []
    for seed, folds_of_seed in dealt.items():
        for number, fold in enumerate(folds_of_seed, start=1):
            print(f"{name}, seed {seed}, {number} of {len(folds_of_seed)}: {fold.folder}")
            try:
                prepared = prepare(
                    fold, out / folds.slug(name) / f"seed-{seed}" / fold.folder, seed
                )
            except CannotTrain as error:
                print(f"skipped: {error}")
                continue
            measured = measure(fold, seed, prepared, videos.about)
            results += [measured] if measured.tested else []
    return results


def measure(
    fold: Fold,
    seed: int,
    prepared: Prepared,
    about: Mapping[sources.Key, About],
    alterations: Sequence[str] = ALTERATIONS,
) -> FoldScores:
    """Score the test videos of a fold under each of `alterations`, and its training videos."""
    test = [face for face in fold.test if face.video_key not in prepared.seen]
    own = [face for face in prepared.trained_on if not about[face.video_key].extra]
    extras = [face for face in prepared.trained_on if about[face.video_key].extra]
    trained = [*own, *extras[:: max(1, -(-len(extras) // MOST_EXTRAS))]]
    # Both in one call, because its start takes long.
    clean = prepared.score([*test, *trained], (CLEAN,))[CLEAN]
    altered = [name for name in alterations if name != CLEAN]
    face_scores = {CLEAN: clean[: len(test)], **prepared.score(test, altered)}
    tested: list[About] = []
    scores: dict[str, np.ndarray] = {}
    for name, of_faces in face_scores.items():
        tested, scores[name] = of_videos(test, of_faces, about)
    trained_on, train_scores = of_videos(trained, clean[len(test) :], about)
    return FoldScores(
        seed,
        fold.name,
        tested,
        scores,
        trained_on,
        train_scores,
        prepared.threshold,
        prepared.seconds,
    )


def of_videos(
    tracks: Sequence[FaceTrack], scores: np.ndarray, about: Mapping[sources.Key, About]
) -> tuple[list[About], np.ndarray]:
    """Return what is known of each video, and the highest score of its faces."""
    highest = highest_scoring([track.video_key for track in tracks], scores)
    return [about[key] for key in highest], scores[list(highest.values())]


# What is kept


def write(
    args: argparse.Namespace,
    experiment: str,
    name: str,
    results: Sequence[FoldScores],
    videos: Videos,
) -> None:
    """Add the metrics of a detector to accuracy.json, and write and print the tables."""
    found = accuracy_metrics.of_detector(results)
    print(tables.of_detector(f"{experiment}: {name}", found))
    result = read_result(args, videos)
    saved = found | {"train.py": args.recipe, "videos": every_score(results)}
    result["experiments"].setdefault(experiment, {})[name] = saved
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / RESULT_NAME, json.dumps(result, indent=1) + "\n")
    texts = [tables.of_sources(videos)]
    for title, by_name in result["experiments"].items():
        texts.append(tables.comparison(title, by_name))
        texts += [tables.of_detector(f"{title}: {one}", of) for one, of in by_name.items()]
    write_text(args.out / TABLES_NAME, "\n".join(texts))
    if len(result["experiments"][experiment]) > 1:
        print(tables.comparison(experiment, result["experiments"][experiment]))


def read_result(args: argparse.Namespace, videos: Videos) -> dict:
    """Return the content of accuracy.json, empty where there is none for this data."""
    of_run = {
        "data": [str(folder) for folder in args.data],
        "videos": sorted(f"{known.data}/{known.video}" for known in videos.about.values()),
        "folds": args.folds,
        "seeds": args.seeds,
    }
    try:
        result = json.loads((args.out / RESULT_NAME).read_text(encoding="utf-8"))
        if all(result[name] == value for name, value in of_run.items()):
            return result
        print(f"{args.out / RESULT_NAME} is of other data, folds or seeds, and is replaced")
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {**of_run, "experiments": {}}


def every_score(results: Sequence[FoldScores]) -> list[dict[str, object]]:
    """Return a row for each video and fold."""
    rows: list[dict[str, object]] = []
    for result in results:
        place = {"seed": result.seed, "fold": result.name}
        for index, video in enumerate(result.tested):
            scores = {altered: float(of[index]) for altered, of in result.scores.items()}
            rows.append({**place, "split": "test", **asdict(video), "scores": scores})
        for video, score in zip(result.trained, result.train_scores.tolist(), strict=True):
            rows.append({**place, "split": "training", **asdict(video), "scores": {CLEAN: score}})
    return rows


if __name__ == "__main__":
    sys.exit(main())
