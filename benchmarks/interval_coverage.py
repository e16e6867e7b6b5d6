"""How often the 95 % intervals of bootstrap.py contain the true AUC, and how long they take.

    python -m benchmarks.interval_coverage

Scores are random numbers of normal distributions whose AUC is known: of each original a real and
two fake videos, which share half of the variance. Intervals over originals are compared with
intervals over single videos; a good one contains the true value 95 times in 100.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from deepfake_detector.console import command, print_table
from deepfake_detector.evaluation import bootstrap

SHIFT = 1.0  # of fakes against real videos, in standard deviations of a video's logit
TRUE_AUC = NormalDist().cdf(SHIFT / np.sqrt(2))
LABELS_OF_ORIGINAL = np.array([0, 1, 1])


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000, help="data sets (%(default)s)")
    args = parser.parse_args(argv)
    rows = [(f"{n} originals", coverage(n, args.trials)) for n in (5, 10, 20, 40, 80, 160)]
    print_table(f"true AUC {TRUE_AUC:.3f}, {args.trials} data sets", rows)
    print_table("time of an interval, 2000 resamples", [(f"{n}", seconds(n)) for n in (100, 5000)])
    return 0


def synthetic_scores(num_originals: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores and source groups, `(3 * num_originals,)` each."""
    rng = np.random.default_rng(seed)
    source_groups = np.repeat(np.arange(num_originals), len(LABELS_OF_ORIGINAL))
    labels = np.tile(LABELS_OF_ORIGINAL, num_originals)
    shared = rng.normal(size=num_originals)[source_groups]
    logits = np.sqrt(0.5) * (shared + rng.normal(size=len(labels))) + SHIFT * labels
    return labels, 1 / (1 + np.exp(-logits)), source_groups


def coverage(num_originals: int, trials: int) -> str:
    """Return in which share of `trials` data sets the interval contains the true AUC, in words."""
    by_original: list[list[float]] = []
    by_video: list[list[float]] = []
    for seed in range(trials):
        labels, scores, source_groups = synthetic_scores(num_originals, seed)
        for found, names in ((by_original, source_groups), (by_video, np.arange(len(labels)))):
            # Also of fewer originals than evaluate.py accepts, to see why it does not.
            intervals = bootstrap.intervals(labels, scores, names, 500, least_originals=0)
            found.append(intervals["roc_auc"])
    shares = [
        np.mean([low <= TRUE_AUC <= high for low, high in found])
        for found in (by_original, by_video)
    ]
    width = np.mean([high - low for low, high in by_original])
    return f"contains it {shares[0]:.1%} (by video {shares[1]:.1%}), mean width {width:.3f}"


def seconds(num_videos: int) -> str:
    labels, scores, source_groups = synthetic_scores(num_videos // len(LABELS_OF_ORIGINAL), 0)
    started = time.perf_counter()
    bootstrap.intervals(labels, scores, source_groups)
    return f"{len(labels)} videos: {time.perf_counter() - started:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
