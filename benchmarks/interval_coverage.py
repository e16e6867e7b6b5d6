"""How often the 95 % intervals of bootstrap.py hold the true AUC, and how long they take.

    python -m benchmarks.interval_coverage

Scores are drawn from normal distributions whose AUC is known, a real and two fake videos of each
original, which share half of the variance. An interval is worth its name if it holds the true value
95 times in 100.
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
LABELS_OF_FAMILY = np.array([0, 1, 1])


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000, help="data sets drawn (%(default)s)")
    args = parser.parse_args(argv)
    bootstrap.LEAST_ORIGINALS = 0  # to see what it is that it keeps away
    rows = [(f"{n} originals", coverage(n, args.trials)) for n in (5, 10, 20, 40, 80, 160)]
    print_table(f"true AUC {TRUE_AUC:.3f}, {args.trials} data sets", rows)
    print_table("time of an interval, 2000 resamples", [(f"{n}", seconds(n)) for n in (100, 5000)])
    return 0


def draw(num_families: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores and source groups, `(3 * num_families,)` each."""
    rng = np.random.default_rng(seed)
    source_groups = np.repeat(np.arange(num_families), len(LABELS_OF_FAMILY))
    labels = np.tile(LABELS_OF_FAMILY, num_families)
    shared = rng.normal(size=num_families)[source_groups]
    logits = np.sqrt(0.5) * (shared + rng.normal(size=len(labels))) + SHIFT * labels
    return labels, 1 / (1 + np.exp(-logits)), source_groups


def coverage(num_families: int, trials: int) -> str:
    """Say in how many of `trials` data sets the true AUC lies within, and between which sides."""
    by_original, by_video = [], []
    for seed in range(trials):
        labels, scores, source_groups = draw(num_families, seed)
        for found, names in ((by_original, source_groups), (by_video, np.arange(len(labels)))):
            found.append(bootstrap.intervals(labels, scores, names, 500)["roc_auc"])
    shares = [
        np.mean([low <= TRUE_AUC <= high for low, high in found])
        for found in (by_original, by_video)
    ]
    width = np.mean([high - low for low, high in by_original])
    return f"holds it {shares[0]:.1%} (by video {shares[1]:.1%}), mean width {width:.3f}"


def seconds(num_videos: int) -> str:
    labels, scores, source_groups = draw(num_videos // len(LABELS_OF_FAMILY), 0)
    started = time.perf_counter()
    bootstrap.intervals(labels, scores, source_groups)
    return f"{len(labels)} videos: {time.perf_counter() - started:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
