"""Whether calibration helps, also with few videos: log loss and ECE of scores it was not fitted on.

    python -m benchmarks.calibration

Simulated logits are of two normal distributions that are right, with an AUC of 0.82, and are then
made wrong in a known way. `before` are these scores, and `after` are those of
scoring/calibration.py; `change` is that of the log loss, with its standard error. `FPR` and `FNR`
are the error rates at the operating point, whose limits are 0.1 and 0.2.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from deepfake_detector.console import command
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
COLUMNS = "{:<22}{:>8} | {:>6} {:>6} {:>15} | {:>6} {:>6} | {:>6} {:>6}"
HEAD = f"{'':30} | {'log loss':<29} | {'ECE':<13} | {'operating point':<13}\n" + COLUMNS.format(
    "scores", "a class", "before", "after", "change", "before", "after", "FPR", "FNR"
)
Sample = tuple[np.ndarray, np.ndarray]  # labels and raw scores, (num_videos,) each


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200, help="repetitions (%(default)s)")
    args = parser.parse_args(argv)
    print(HEAD)
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


def print_row(name: str, size: int, pairs: Iterator[tuple[Sample, Sample]]) -> None:
    rows = np.array([compare(*pair) for pair in pairs])
    changes = rows[:, 1] - rows[:, 0]
    change = f"{changes.mean():+.3f} ± {changes.std() / math.sqrt(len(rows)):.3f}"
    values = [f"{mean:.3f}" for mean in rows.mean(axis=0)]
    print(COLUMNS.format(name, size, *values[:2], change, *values[2:]), flush=True)


def compare(fitted: Sample, fresh: Sample) -> list[float]:
    """Return log losses, ECEs and both error rates, as the table has them."""
    labels, raw_scores = fresh
    found = calibration.calibrate(*fitted)
    scores = calibration.apply(raw_scores, found)
    point = calibration.operating_point({"calibration": found})
    return [
        *(metrics.log_loss(labels, of) for of in (raw_scores, scores)),
        *(metrics.reliability(labels, of)["ece"] for of in (raw_scores, scores)),
        (scores[labels == 0] >= point.fake_from).mean(),
        (scores[labels == 1] < point.real_below).mean(),
    ]


if __name__ == "__main__":
    sys.exit(main())
