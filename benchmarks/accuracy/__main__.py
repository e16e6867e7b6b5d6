"""How well the trained detector tells fakes of people it has never seen: a cross-validation.

    python -m benchmarks.accuracy --data faces
    python -m benchmarks.accuracy --data faces --extra more_real_faces --out runs -- --epochs 20
    python -m benchmarks.accuracy --data faces --only leave-method-out --out runs

Goes in: what processing.py wrote, and folders of faces of more real people to train on. Comes out:
tables, and in the folder of --out a run folder per fold and accuracy.json with every score of the
parts that ran. What stands behind `--` goes to train.py. The same command again goes on where it
was stopped: a fold that is finished is scored again, not trained again.

The videos of --data are dealt to folds, everybody in one only (folds.py); each fold is tested by a
network that was trained on the others and on the extra videos, real ones only, without those of
people it is tested on. Three others stand beside train.py, on the same folds (baselines.py):

    seed           the predecessor's network in its own training
    control        no network: how blurred the inside of a face is
    source         no pixels: the share of fakes in training among videos of the same `source` of
                   the metadata, where that names two

How to read the tables: AUCs are of videos, each told by its most suspicious face.

    fold AUC       mean over the folds, because scores of two networks do not compare
    pooled         AUC of ranks within the folds, pooled; its interval is over groups of people
    by method      fakes of a method against all real test videos, by the same ranks
    tells source   AUC of the score for the source among videos of one label and fold: 0.5 is as it
                   should be, else the score is about codec and size as well
    tells extras   the same for real videos of --data against extra ones, in training
    files          AUC of the label by size, rate and face width alone; no pixel was looked at
    altered        the same faces under JPEG and at half resolution: what rests on the traces of one
                   source goes with them

leave-method-out trains each fold again without the fakes of a method and tests on just these.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
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

DETECTORS = ("ours", "seed", "control", "source")
LEAVE_OUT = "leave-method-out"
RESULT_NAME = "accuracy.json"
CHANGES = (CLEAN, *ALTERED)
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
        choices=[*DETECTORS, LEAVE_OUT],
        default=DETECTORS,
        help=f"parts to run ({' '.join(DETECTORS)})",
    )
    add("--seed", type=int, default=0, help="deals the folds, and is train.py's (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    split_at = words.index("--") if "--" in words else len(words)
    args = main_arguments().parse_args(words[:split_at])
    settings, options = baselines.read_options(words[split_at + 1 :], args.seed)
    videos = folds.list_videos(args.data, args.extra)
    dealt = folds.deal(videos, args.folds, args.seed)
    # TensorFlow warns of a function traced anew, and each fold has a network of its own.
    baselines.tf.get_logger().setLevel("ERROR")
    prepare = preparations(args.out, videos, settings, options, args.seed)
    result = {"detectors": {}, "folds": args.folds, "seed": args.seed, "training": asdict(settings)}
    result["files"] = accuracy_metrics.aucs_of_files([*videos.faces, *videos.extras], videos.about)
    print_videos(videos, dealt)
    print_files(result["files"], bool(videos.extras))
    for name in chosen_detectors(args.only, videos.about):
        scores = []
        for fold in dealt:
            print(f"{name}, fold {fold.number} of {len(dealt)}")
            prepared = prepare[name](fold, f"{name}/fold-{fold.number}")
            scores.append(measure(fold, prepared))
        found = accuracy_metrics.of_detector(scores, videos.about, CHANGES)
        print_detector(name, found)
        result["detectors"][name] = found | {"videos": every_score(scores, videos.about)}
        write(args.out, result)
    if LEAVE_OUT in args.only:
        result[LEAVE_OUT] = leave_method_out(dealt, videos.about, prepare["ours"])
        print_left_out(result[LEAVE_OUT], result["detectors"].get("ours"))
    print_beside(result["detectors"])
    print(f"every score: {write(args.out, result)}")
    return 0


def chosen_detectors(only: Sequence[str], about: Mapping[str, folds.About]) -> list[str]:
    """Return which of DETECTORS to run: that by source needs two of them."""
    two_sources = len(folds.all_sources(about)) > 1
    if "source" in only and not two_sources:
        print("the metadata.json of --data name no two sources, so that control is left out")
    return [name for name in DETECTORS if name in only and (name != "source" or two_sources)]


def preparations(
    out: Path,
    videos: folds.Videos,
    settings: "baselines.train.TrainSettings",
    options: "baselines.train.RunOptions",
    seed: int,
) -> dict[str, Prepare]:
    """Return what prepares each of DETECTORS for a fold, in a folder of that name in `out`."""
    recipe = baselines.SeedRecipe(seed=seed)
    return {
        "ours": lambda fold, name: baselines.prepare_ours(
            fold, out / name, videos.face_settings, settings, options
        ),
        "seed": lambda fold, name: baselines.prepare_seed(
            fold, out / name, videos.face_settings, recipe
        ),
        "control": lambda fold, name: baselines.prepare_control(fold),
        "source": lambda fold, name: baselines.prepare_source(fold, videos.about),
    }


def measure(fold: folds.Fold, prepared: Prepared, changes: Sequence[str] = CHANGES) -> FoldScores:
    """Score the test videos of a fold, under each of `changes`, and those that were trained on."""
    tested, test_scores = [], {}
    # Those of both in one go: it is the start that takes long.
    clean = prepared.score([*fold.test, *prepared.trained_on], (CLEAN,))[CLEAN]
    altered = [name for name in changes if name != CLEAN]
    face_scores = {CLEAN: clean[: len(fold.test)], **prepared.score(fold.test, altered)}
    for name, scores in face_scores.items():
        tested, test_scores[name] = of_videos(fold.test, scores)
    trained, train_scores = of_videos(prepared.trained_on, clean[len(fold.test) :])
    return FoldScores(fold.number, tested, test_scores, trained, train_scores, prepared.seconds)


def of_videos(faces: Sequence[FaceTrack], scores: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the names of the videos, sorted, and the score of the face that speaks for each."""
    decisive = list(highest_scoring([face.video for face in faces], scores).values())
    return [faces[index].video for index in decisive], scores[decisive]


def leave_method_out(
    dealt: Sequence[folds.Fold],
    about: Mapping[str, folds.About],
    train_ours: Prepare,
) -> dict[str, dict]:
    """Return figures for each method, of networks that saw no fake of it.

    Folds without a fake of the method, or with too few others to train on, are passed over. Raises
    UserError where the metadata name less than two methods.
    """
    methods = folds.all_methods(about)
    if len(methods) < 2:
        raise UserError(
            f"{LEAVE_OUT} needs fakes of two methods at least, and the metadata.json of --data "
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
                    print(f"passed over: {error}")
        if scores:
            found = accuracy_metrics.of_detector(scores, about, (CLEAN,))
            result[method] = found | {"videos": every_score(scores, about)}
    return result


def every_score(
    results: Sequence[FoldScores], about: Mapping[str, folds.About]
) -> list[dict[str, object]]:
    """Return a row for each video and fold, for accuracy.json."""
    rows = []
    for result in results:
        for index, name in enumerate(result.tested):
            scores = {change: float(of[index]) for change, of in result.test_scores.items()}
            place = {"video": name, "fold": result.number, "part": "test"}
            rows.append({**place, **asdict(about[name]), "scores": scores})
        for name, score in zip(result.trained, result.train_scores.tolist(), strict=True):
            place = {"video": name, "fold": result.number, "part": "training"}
            rows.append({**place, **asdict(about[name]), "scores": {CLEAN: score}})
    return rows


def write(out: Path, result: Mapping) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RESULT_NAME, json.dumps(dict(result), indent=1) + "\n")
    return out / RESULT_NAME


# Tables


def print_videos(videos: folds.Videos, dealt: Sequence[folds.Fold]) -> None:
    print_table(
        "folds; no original and no person is on both sides", folds.rows(dealt, videos.about)
    )
    for reason, count in videos.passed_over.items():
        if count:
            print(f"{count} videos of --extra are not used: {reason}")


def print_files(aucs: Mapping[str, tuple[float | None, float | None]], with_extras: bool) -> None:
    rows = [
        (name, shown(own) + (f", with the extra videos {shown(joined)}" if with_extras else ""))
        for name, (own, joined) in aucs.items()
    ]
    print_table("files: AUC of the label by what is known without the pixels", rows)


def print_detector(name: str, found: Mapping) -> None:
    """Print all figures of a detector."""
    rows = []
    columns = (found["test"], found["training"], found["training_of_data"], found["minutes"])
    for number, (test, training, of_data, minutes) in enumerate(zip(*columns, strict=True), 1):
        text = f"test {shown(test)}, training {shown(training)}"
        if found["extras"] is not None:
            text += f" (without extra videos {shown(of_data)})"
        rows.append((f"fold {number}", f"{text}, {minutes:.1f} min"))
    rows.append(("fold AUC", mean_and_folds(found["test"])))
    rows.append(("fold AUC in training", mean_and_folds(found["training"])))
    rows += [(change, mean_and_folds(aucs)) for change, aucs in found["altered"].items()]
    pooled = found["pooled"]
    interval = pooled["reason"] or "no interval"
    if pooled["interval"]:
        interval = "95 % {:.3f} to {:.3f}".format(*pooled["interval"])
    rows.append(("pooled", f"{shown(pooled['roc_auc'])} ({interval})"))
    for method, of_method in found["methods"].items():
        rows.append(
            (f"by method: {method}", f"{shown(of_method['roc_auc'])} ({of_method['fakes']} fakes)")
        )
    for label, aucs in found["sources"].items():
        rows += [(f"tells source, {label}: {s}", shown(auc)) for s, auc in aucs.items()]
    if not found["sources"]:
        rows.append(("tells source", "the metadata name no two"))
    if found["extras"] is not None:
        rows.append(("tells extras", shown(found["extras"])))
    print_table(name, rows)


def print_left_out(found: Mapping[str, Mapping], ours: Mapping | None) -> None:
    rows = []
    for method, of_method in found.items():
        text = f"fold AUC {mean_and_folds(of_method['test'])}, "
        text += f"pooled {shown(of_method['pooled']['roc_auc'])}"
        if ours and method in ours["methods"]:
            text += f" ({shown(ours['methods'][method]['roc_auc'])} with the method in training)"
        rows.append((method, f"{text}, {sum(of_method['minutes']):.1f} min"))
    print_table("methods no fake of which was in training", rows)


def print_beside(found_by: Mapping[str, Mapping]) -> None:
    """Print the detectors beside each other; nothing where there is one."""
    if len(found_by) < 2:
        return

    def beside(tell: Callable[[Mapping], str]) -> str:
        return ", ".join(f"{name} {tell(found)}" for name, found in found_by.items())

    def mean_of(values: Callable[[Mapping], Sequence]) -> Callable[[Mapping], str]:
        return lambda found: shown(accuracy_metrics.mean(values(found)))

    rows = [
        ("fold AUC", beside(mean_of(lambda found: found["test"]))),
        ("fold AUC in training", beside(mean_of(lambda found: found["training"]))),
    ]
    for change in ALTERED:
        rows.append((change, beside(mean_of(lambda found, c=change: found["altered"][c]))))
    rows.append(("pooled", beside(lambda found: shown(found["pooled"]["roc_auc"]))))
    rows.append(("minutes of training", beside(lambda found: f"{sum(found['minutes']):.1f}")))
    print_table("beside each other", rows)


def mean_and_folds(aucs: Sequence[float | None]) -> str:
    return f"{shown(accuracy_metrics.mean(aucs))} ({', '.join(map(shown, aucs))})"


def shown(auc: float | None) -> str:
    return "-" if auc is None else f"{auc:.3f}"


if __name__ == "__main__":
    sys.exit(main())
