"""The metrics, compared with values computed by hand."""

import math

import numpy as np
import pytest

from deepfake_detector.scoring import metrics
from deepfake_detector.scoring.calibration import OperatingPoint

# Five real and five fake videos; sorted by score: r r f r r | r f f f f at threshold 0.5.
LABELS = np.array([0, 0, 1, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.35, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9])


def test_auc_is_the_share_of_real_fake_pairs_in_the_right_order():
    # The fake at 0.3 loses against three real ones: 22 of 25 pairs are right.
    assert metrics.video_metrics(LABELS, SCORES)["roc_auc"] == pytest.approx(22 / 25)


def test_accuracy_counts_a_score_of_one_half_as_fake():
    assert metrics.video_metrics(LABELS, SCORES)["accuracy"] == pytest.approx(8 / 10)
    assert metrics.accuracy(np.array([0, 1]), np.array([0.5, 0.5])) == 0.5


def test_verdicts_are_counted_by_label():
    found = metrics.verdict_metrics(LABELS, SCORES, OperatingPoint(fake_from=0.7, real_below=0.4))
    assert found["verdicts"]["real"] == {"REAL": 3, "UNCERTAIN": 2, "FAKE": 0}
    assert found["verdicts"]["fake"] == {"REAL": 1, "UNCERTAIN": 0, "FAKE": 4}
    assert (found["false_positive_rate"], found["false_negative_rate"]) == (0, 1 / 5)
    fakes = metrics.verdict_metrics(np.array([1]), np.array([0.9]), OperatingPoint(0.5, 0.5))
    assert (fakes["false_positive_rate"], fakes["false_negative_rate"]) == (None, 0)


def test_log_loss_is_the_mean_of_minus_log_of_the_right_probability():
    found = metrics.video_metrics(np.array([1, 0]), np.array([0.8, 0.4]))
    assert found["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)


def test_a_certain_and_wrong_score_costs_much_but_not_infinitely():
    found = metrics.video_metrics(np.array([1, 0]), np.array([0.0, 0.0]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-7) / 2, rel=1e-3)


def test_average_precision_by_hand():
    # Ranked f f r f: precision 1, 1 and 3/4 at the three fakes.
    found = metrics.video_metrics(np.array([1, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 0.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 1.0),
        (LABELS, SCORES, 0.2),  # at 0.6: one of five wrong on either side
        ([0, 1], [0.5, 0.5], 0.5),  # half-way along a straight line
    ],
)
def test_equal_error_rate_by_hand(labels, scores, expected):
    assert metrics.equal_error_rate(np.array(labels), np.array(scores)) == pytest.approx(expected)


def test_one_class_only_gives_the_metrics_that_exist():
    found = metrics.video_metrics(np.array([1, 1]), np.array([0.9, 0.4]))
    assert found["roc_auc"] is found["eer"] is found["average_precision"] is None
    assert found["accuracy"] == 0.5
    assert metrics.reliability(np.array([1, 1]), np.array([0.9, 0.4]))["ece"] is None


def test_ece_by_hand():
    labels = np.array([0, 1, 1, 0, 0, 1])
    scores = np.array([0.1, 0.1, 0.9, 0.9, 0.4, 0.8])
    found = metrics.reliability(labels, scores, num_bins=2)
    # Below a half: 0.1, 0.1 and 0.4, one of three is fake. Above: 0.9, 0.9, 0.8, two of three.
    assert found["ece"] == pytest.approx((abs(0.2 - 1 / 3) + abs(2.6 / 3 - 2 / 3)) / 2)
    assert [round(found["bins"][number]["score"], 3) for number in (0, 1)] == [0.2, 0.867]


def test_scores_that_are_frequencies_have_no_ece():
    rng = np.random.default_rng(0)
    scores = rng.random(40_000)
    labels = (rng.random(40_000) < scores).astype(int)
    assert metrics.reliability(labels, scores)["ece"] < 0.01
    assert metrics.reliability(labels, scores**3)["ece"] > 0.1


def test_a_rare_class_has_the_same_weight_in_the_ece_as_in_the_calibration():
    labels = np.array([0, 0, 1, 1])
    scores = np.array([0.2, 0.4, 0.3, 0.9])
    again = np.array([0, 0, 0, 1, 1, 1, 2, 3])  # three times as many real videos
    once = metrics.reliability(labels, scores, 5)["ece"]
    assert metrics.reliability(labels[again], scores[again], 5)["ece"] == pytest.approx(once)


@pytest.mark.parametrize(("videos", "bins"), [(4, 2), (30, 3), (149, 14), (150, 15), (9_000, 15)])
def test_few_videos_share_fewer_bins(videos, bins):
    labels = np.arange(videos) % 2
    assert metrics.reliability(labels, np.linspace(0, 1, videos))["num_bins"] == bins
