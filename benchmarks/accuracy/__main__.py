"""How well the trained detector finds fakes of people it has never seen: a cross-validation.

    python -m benchmarks.accuracy --data faces
    python -m benchmarks.accuracy --data faces --extra more_real_faces --out runs -- --epochs 20
    python -m benchmarks.accuracy --data faces --only leave-method-out --out runs

Goes in: what processing.py wrote, and folders of faces of more real people to train on. Comes out:
tables, and in the folder of --out a run folder per fold, and accuracy.json with the scores of all
videos. Arguments after `--` go to train.py. The same command again resumes: a finished fold is
scored again, not trained again.

The videos of --data are split into folds, each person in one only (folds.py). A network is tested
on a fold after training on the other folds and on the extra videos: real ones only, without people
it is tested on. train.py is compared with three others on the same folds (baselines.py):

    ours           train.py
    baseline       the predecessor's network with its own training
    blur           no network: how blurred the inside of the face is
    source         no pixels: the share of fakes among the training videos of the same `source` of
                   the metadata, where that names two

How to read the tables: AUCs are of videos, each with the score of its highest-scoring face.

    fold AUC         mean over the folds, because scores of two networks are not comparable
    by method        fakes of a method against all real test videos, by ranks within the folds
    predicts source  AUC of the score for the source, among videos of one label and fold: 0.5 is
                     right, otherwise the score also depends on codec and size
    predicts extras  the same for real videos of --data against extra ones, in training
    files            AUC of the label by size, rate and face width alone, without any pixels
    altered          the same faces after JPEG and at half resolution

leave-method-out trains each fold again without the fakes of one method and tests on these only.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from deepfake_detector.console import UserError, command, print_table, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.files import write_text
from deepfake_detector.scoring.video_scores import highest_scoring

with quiet_tensorflow():
    from benchmarks.accuracy import baselines

import numpy as np

from benchmarks.accuracy import folds
from benchmarks.accuracy import metrics as accuracy_metrics
from benchmarks.accuracy.baselines import ALTERED, CLEAN, CannotTrain, Prepared
from benchmarks.accuracy.metrics import FoldScores

DETECTORS = ("ours", "baseline", "blur", "source")
FORMER_NAMES = {"seed": "baseline", "control": "blur"}
LEAVE_OUT = "leave-method-out"
RESULT_NAME = "accuracy.json"
ALTERATIONS = (CLEAN, *ALTERED)
Prepare = Callable[[folds.Fold, str], Prepared]


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of faces")
    add("--extra", type=Path, nargs="+", default=[], metavar="DIR", help="of more real people")
    add("--out", type=Path, default=Path("demo/accuracy"), metavar="DIR", help="(%(default)s)")
    add("--folds", type=int, default=3, metavar="N", help="(%(default)s)")
    add(
        "--only",
        nargs="+",
        type=lambda name: FORMER_NAMES.get(name, name),
        choices=[*DETECTORS, LEAVE_OUT],
        default=DETECTORS,
        help=f"detectors to test ({' '.join(DETECTORS)})",
    )
    add("--seed", type=int, default=0, help="of the folds and of train.py (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    split_at = words.index("--") if "--" in words else len(words)
    args = main_arguments().parse_args(words[:split_at])
    settings, options = baselines.read_options(words[split_at + 1 :], args.seed)
    videos = folds.list_videos(args.data, args.extra)
    dealt = folds.deal(videos, args.folds, args.seed)
    # TensorFlow warns of functions that are traced again, as each fold's network is.
    baselines.tf.get_logger().setLevel("ERROR")
    prepare = preparations(args.out, videos, settings, options, args.seed)
    result: dict = {
        "detectors": {},
        "folds": args.folds,
        "seed": args.seed,
        "training": asdict(settings),
    }
    result["files"] = accuracy_metrics.aucs_of_files([*videos.faces, *videos.extras], videos.about)
    print_videos(videos, dealt)
    print_files(result["files"], bool(videos.extras))
    for name in chosen_detectors(args.only, videos.about):
        scores = []
        for fold in dealt:
            print(f"{name}, fold {fold.number} of {len(dealt)}")
            prepared = prepare[name](fold, f"{name}/fold-{fold.number}")
            scores.append(measure(fold, prepared))
        found = accuracy_metrics.of_detector(scores, videos.about, ALTERATIONS)
        print_detector(name, found)
        result["detectors"][name] = found | {"videos": every_score(scores, videos.about)}
        write(args.out, result)
    if LEAVE_OUT in args.only:
        result[LEAVE_OUT] = leave_method_out(dealt, videos.about, prepare["ours"])
        print_left_out(result[LEAVE_OUT], result["detectors"].get("ours"))
    print_comparison(result["detectors"])
    print(f"every score: {write(args.out, result)}")
    return 0


def chosen_detectors(only: Sequence[str], about: Mapping[str, folds.About]) -> list[str]:
    """Return which of DETECTORS to test; "source" only where there are two sources."""
    two_sources = len(folds.all_sources(about)) > 1
    if "source" in only and not two_sources:
        print("the metadata.json of --data names no two sources, so that baseline is left out")
    return [name for name in DETECTORS if name in only and (name != "source" or two_sources)]


def preparations(
    out: Path,
    videos: folds.Videos,
    settings: "baselines.train.TrainSettings",
    options: "baselines.train.RunOptions",
    seed: int,
) -> dict[str, Prepare]:
    """Return what prepares each of DETECTORS for a fold, in a subfolder of `out` of that name."""
    recipe = baselines.BaselineRecipe(seed=seed)
    return {
        "ours": lambda fold, name: baselines.prepare_ours(
            fold, out / name, videos.face_settings, settings, options
        ),
        "baseline": lambda fold, name: baselines.prepare_baseline(
            fold, out / name, videos.face_settings, recipe
        ),
        "blur": lambda fold, name: baselines.prepare_blur(fold),
        "source": lambda fold, name: baselines.prepare_source(fold, videos.about),
    }


def measure(
    fold: folds.Fold, prepared: Prepared, alterations: Sequence[str] = ALTERATIONS
) -> FoldScores:
    """Score the training videos of a fold, and its test videos under each of `alterations`."""
    tested: list[str] = []
    test_scores: dict[str, np.ndarray] = {}
    # Both in one call, because its start takes long.
    clean = prepared.score([*fold.test, *prepared.trained_on], (CLEAN,))[CLEAN]
    altered = [name for name in alterations if name != CLEAN]
    face_scores = {CLEAN: clean[: len(fold.test)], **prepared.score(fold.test, altered)}
    for name, scores in face_scores.items():
        tested, test_scores[name] = of_videos(fold.test, scores)
    trained, train_scores = of_videos(prepared.trained_on, clean[len(fold.test) :])
    return FoldScores(fold.number, tested, test_scores, trained, train_scores, prepared.seconds)


def of_videos(tracks: Sequence[FaceTrack], scores: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the names of the videos, sorted, and the highest score of the faces of each."""
    highest = list(highest_scoring([track.video for track in tracks], scores).values())
    return [tracks[index].video for index in highest], scores[highest]


def leave_method_out(
    dealt: Sequence[folds.Fold],
    about: Mapping[str, folds.About],
    train_ours: Prepare,
) -> dict[str, dict]:
    """Return metrics for each method, of networks that saw no fake of it.

    Folds without a fake of the method, or with too few others to train on, are skipped. Raises
    UserError where the metadata names fewer than two methods.
    """
    methods = folds.all_methods(about)
    if len(methods) < 2:
        raise UserError(
            f"{LEAVE_OUT} needs fakes of at least two methods, and the metadata.json of --data "
            f"names {len(methods)}; give its fakes a `method`"
        )
    result = {}
    for number, method in enumerate(methods, start=1):
        short = re.sub(r"[^A-Za-z0-9]+", "-", method).strip("-")
        scores = []
        for fold in dealt:
            name = f"without/{number}-{short}/fold-{fold.number}"
            without = folds.without_method(fold, method, about)
            if without:
                print(f"without {method}, fold {fold.number} of {len(dealt)}")
                try:
                    scores.append(measure(without, train_ours(without, name), (CLEAN,)))
                except CannotTrain as error:
                    print(f"skipped: {error}")
        if scores:
            found = accuracy_metrics.of_detector(scores, about, (CLEAN,))
            result[method] = found | {"videos": every_score(scores, about)}
    return result


def every_score(
    results: Sequence[FoldScores], about: Mapping[str, folds.About]
) -> list[dict[str, object]]:
    """Return a row for each video and fold, for accuracy.json."""
    rows: list[dict[str, object]] = []
    for result in results:
        for index, name in enumerate(result.tested):
            scores = {altered: float(of[index]) for altered, of in result.test_scores.items()}
            place = {"video": name, "fold": result.number, "split": "test"}
            rows.append({**place, **asdict(about[name]), "scores": scores})
        for name, score in zip(result.trained, result.train_scores.tolist(), strict=True):
            place = {"video": name, "fold": result.number, "split": "training"}
            rows.append({**place, **asdict(about[name]), "scores": {CLEAN: score}})
    return rows


def write(out: Path, result: Mapping) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RESULT_NAME, json.dumps(dict(result), indent=1) + "\n")
    return out / RESULT_NAME


# Tables


def print_videos(videos: folds.Videos, dealt: Sequence[folds.Fold]) -> None:
    print_table(
        "folds; no known original and no known person is in two of them",
        folds.rows(dealt, videos.about),
    )
    for reason, count in videos.unused.items():
        if count:
            print(f"{count} videos of --extra are not used: {reason}")


def print_files(aucs: Mapping[str, tuple[float | None, float | None]], with_extras: bool) -> None:
    rows = [
        (name, shown(own) + (f", with the extra videos {shown(joined)}" if with_extras else ""))
        for name, (own, joined) in aucs.items()
    ]
    print_table("files: AUC of the label by what is known without pixels", rows)


def print_detector(name: str, found: Mapping) -> None:
    """Print all metrics of a detector."""
    rows = []
    columns = (found["test"], found["training"], found["minutes"])
    for number, (test, training, minutes) in enumerate(zip(*columns, strict=True), 1):
        text = f"test {shown(test)}, training {shown(training)}, {minutes:.1f} min"
        rows.append((f"fold {number}", text))
    rows.append(("fold AUC", mean_and_folds(found["test"])))
    rows.append(("fold AUC in training", mean_and_folds(found["training"])))
    rows += [(name, mean_and_folds(aucs)) for name, aucs in found["altered"].items()]
    for method, of_method in found["methods"].items():
        rows.append(
            (f"by method: {method}", f"{shown(of_method['roc_auc'])} ({of_method['fakes']} fakes)")
        )
    for label, aucs in found["sources"].items():
        rows += [(f"predicts source, {label}: {s}", shown(auc)) for s, auc in aucs.items()]
    if not found["sources"]:
        rows.append(("predicts source", "the metadata names no two"))
    if found["extras"] is not None:
        rows.append(("predicts extras", shown(found["extras"])))
    print_table(name, rows)


def print_left_out(found: Mapping[str, Mapping], ours: Mapping | None) -> None:
    rows = []
    for method, of_method in found.items():
        text = f"fold AUC {mean_and_folds(of_method['test'])}"
        if ours and method in ours["methods"]:
            text += f", with it in training {shown(ours['methods'][method]['roc_auc'])} by rank"
        rows.append((method, f"{text}, {sum(of_method['minutes']):.1f} min"))
    print_table("methods without a fake in training", rows)


def print_comparison(found_by_name: Mapping[str, Mapping]) -> None:
    """Print the detectors next to each other; nothing where there is only one."""
    if len(found_by_name) < 2:
        return

    def compared(values: Iterable[str]) -> str:
        return ", ".join(
            f"{name} {value}" for name, value in zip(found_by_name, values, strict=True)
        )

    found = list(found_by_name.values())
    rows = [
        ("fold AUC", compared(shown_mean(of["test"]) for of in found)),
        ("fold AUC in training", compared(shown_mean(of["training"]) for of in found)),
    ]
    for alteration in ALTERED:
        aucs = compared(shown_mean(of["altered"][alteration]) for of in found)
        rows.append((alteration, aucs))
    minutes = compared(f"{sum(of['minutes']):.1f}" for of in found)
    rows.append(("minutes of training", minutes))
    print_table("comparison", rows)


def mean_and_folds(aucs: Sequence[float | None]) -> str:
    return f"{shown_mean(aucs)} ({', '.join(map(shown, aucs))})"


def shown_mean(aucs: Sequence[float | None]) -> str:
    return shown(accuracy_metrics.mean(aucs))


def shown(auc: float | None) -> str:
    return "-" if auc is None else f"{auc:.3f}"


if __name__ == "__main__":
    sys.exit(main())
