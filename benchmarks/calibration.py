"""Whether calibration helps, also with few videos: log loss and ECE of scores it was not fitted on.

    python -m benchmarks.calibration
    python -m benchmarks.calibration --predictions report/predictions.csv

Simulated logits are of two normal distributions that are right, with an AUC of 0.82, and are then
made wrong in a known way. `before` are these scores, `old` is the temperature that version 1.0
fitted, `now` is scoring/calibration.py; `change` is from before to now, with its standard error.
`unequal` is how far both error rates are apart at the threshold of equal errors. Real scores are
split into halves at random again and again: one half to fit, the other to measure.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from deepfake_detector.console import UserError, command
from deepfake_detector.scoring import calibration, metrics

DISTANCE = 1.3  # d of the simulated logits
CASES = {  # slope and offset of the logits
    "right": (1, 0),
    "over-confident by 3": (3, 0),
    "under-confident by 0.4": (0.4, 0),
    "shifted": (1, 1.5),
}
SIZES = (10, 20, 40, 100, 400)  # videos of each class
FRESH = 1000  # videos of each class to measure on
COLUMNS = "{:<22}{:>8} | {:>6} {:>6} {:>6} {:>15} | {:>6} {:>6} {:>6} | {:>6} {:>6}"
HEAD = f"{'':30} | {'log loss':<36} | {'ECE':<20} | unequal\n" + COLUMNS.format(
    "scores", "a class", "before", "old", "now", "change", "before", "old", "now", "old", "now"
)
Sample = tuple[np.ndarray, np.ndarray]  # labels and raw scores, (num_videos,) each


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200, help="repetitions (%(default)s)")
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="of evaluate.py")
    args = parser.parse_args(argv)
    print(HEAD)
    if args.predictions:
        labels, scores = read_predictions(args.predictions)
        least, pairs = int(np.min(np.bincount(labels))) // 2, halves(labels, scores, args.draws)
        print_row(args.predictions.parent.name, least, pairs)
        return 0
    for name, case in CASES.items():
        for size in SIZES:
            print_row(name, size, simulated(size, case, args.draws))
    return 0


def simulated(size: int, case: tuple[float, float], draws: int) -> Iterator[tuple[Sample, Sample]]:
    """Yield videos to fit on, `size` of each class, and fresh ones to measure on."""
    rng = np.random.default_rng(size)
    for _ in range(draws):
        both = []
        for count in (size, FRESH):
            labels = np.repeat([0, 1], count)
            right = rng.normal((labels - 0.5) * DISTANCE**2, DISTANCE)
            both.append((labels, 1 / (1 + np.exp(-case[0] * right - case[1]))))
        yield both[0], both[1]


def halves(labels: np.ndarray, scores: np.ndarray, draws: int) -> Iterator[tuple[Sample, Sample]]:
    """Yield both halves of the videos, split at random within each class."""
    rng = np.random.default_rng(0)
    for _ in range(draws):
        order = np.lexsort([rng.random(len(labels)), labels])  # class by class
        yield (labels[order[::2]], scores[order[::2]]), (labels[order[1::2]], scores[order[1::2]])


def read_predictions(path: Path) -> Sample:
    """Return labels and scores of a predictions.csv; raises UserError for another file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(int(row["label"]), float(row["score"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no predictions.csv of evaluate.py: {error!r}") from error
    labels = np.array([label for label, _ in rows], int)
    least = 2 * calibration.LEAST_VIDEOS
    if min(np.bincount(labels, minlength=2)) < least:
        raise UserError(f"{path} has fewer than {least} videos of a class; evaluate more")
    return labels, np.array([score for _, score in rows])


def print_row(name: str, size: int, pairs: Iterator[tuple[Sample, Sample]]) -> None:
    rows = np.array([compare(*pair) for pair in pairs])
    changes = rows[:, 2] - rows[:, 0]
    change = f"{changes.mean():+.3f} ± {changes.std() / math.sqrt(len(rows)):.3f}"
    values = [f"{mean:.3f}" for mean in rows.mean(axis=0)]
    print(COLUMNS.format(name, size, *values[:3], change, *values[3:]), flush=True)


def compare(fitted: Sample, fresh: Sample) -> list[float]:
    """Return log losses, ECEs and distances of both error rates, of the columns of the table."""
    labels, raw_scores = fresh
    found = calibration.calibrate(*fitted)
    temperature = {"temperature": fit_temperature(*fitted)}
    every = [calibration.apply(raw_scores, c) for c in (None, temperature, found["calibration"])]
    old_threshold = midpoint_threshold(fitted[0], calibration.apply(fitted[1], temperature))
    threshold = found["operating_points"][calibration.EQUAL_ERROR]["threshold"]
    return [
        *(metrics.log_loss(labels, scores) for scores in every),
        *(metrics.reliability(labels, scores)["ece"] for scores in every),
        inequality(labels, every[1], old_threshold),
        inequality(labels, every[2], threshold),
    ]


def inequality(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    above = scores >= threshold
    return abs(float(above[labels == 0].mean()) - float(1 - above[labels == 1].mean()))


def fit_temperature(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the temperature of version 1.0: the best one, with labels smoothed as by Platt."""
    counts = np.bincount(labels)[labels]
    margins = np.where(labels == 1, 1, -1) * calibration.logits(scores)
    smoothing = 1 / (counts + 2)

    def loss(log_temperature: float) -> float:
        scaled = margins / math.exp(log_temperature)
        return float(np.sum((np.logaddexp(0, -scaled) + smoothing * scaled) / counts))

    return math.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)


def midpoint_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the threshold of version 1.0: half-way between two scores, where rates are equal."""
    edges = np.unique(np.concatenate([[0.0], scores, [1.0]]))
    thresholds = (edges[1:] + edges[:-1]) / 2
    real, fake = (np.sort(scores[labels == label]) for label in (0, 1))
    false_positives = 1 - np.searchsorted(real, thresholds) / len(real)
    false_negatives = np.searchsorted(fake, thresholds) / len(fake)
    return float(thresholds[np.argmin(np.abs(false_positives - false_negatives))])


if __name__ == "__main__":
    sys.exit(main())
