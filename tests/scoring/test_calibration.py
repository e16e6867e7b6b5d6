"""Calibration: scores that are frequencies, limits that keep their promise, honest doubt."""

import numpy as np
import pytest

from deepfake_detector.console import UserError
from deepfake_detector.scoring import calibration, metrics
from deepfake_detector.scoring.calibration import PointOptions


def well_ordered(count, seed=0):
    """Labels and right scores of `count` videos of each class, with an AUC of 0.82."""
    labels = np.repeat([0, 1], count)
    logits = np.random.default_rng(seed).normal((labels - 0.5) * 1.3**2, 1.3)
    return labels, 1 / (1 + np.exp(-logits))


def altered(scores, slope, offset):
    return calibration.apply(scores, {"slope": slope, "offset": offset})


@pytest.mark.parametrize(("slope", "offset"), [(0.5, 0.0), (1.0, 0.0), (4.0, 0.0), (1.0, 1.5)])
def test_what_the_logits_of_a_model_are_off_by_is_found(slope, offset):
    labels, scores = well_ordered(5_000)
    found = calibration.fit(labels, altered(scores, slope, offset))
    assert found == pytest.approx((1 / slope, -offset / slope), abs=0.15)


def test_a_few_videos_do_not_make_right_scores_much_worse():
    """On the demo a temperature from 24 videos took the ECE from 0.04 to 0.11."""
    labels, fresh = well_ordered(2_000, seed=99)
    changes = []
    for seed in range(40):
        calibrated = altered(fresh, *calibration.fit(*well_ordered(10, seed)))
        changes.append(metrics.log_loss(labels, calibrated) - metrics.log_loss(labels, fresh))
    assert np.median(changes) < 0.02


def test_calibrated_scores_keep_their_order():
    scores = np.array([0.0, 0.01, 0.5, 0.9, 1.0])
    calibrated = altered(scores, 0.5, 1.0)
    assert (np.diff(calibrated) > 0).all()
    assert calibrated[2] == pytest.approx(0.731, abs=0.001)  # e to 1
    assert calibrated[3] == pytest.approx(0.891, abs=0.001)  # 3 times e to 1
    for nothing in ({"slope": 1.0, "offset": 0.0}, None):
        assert (calibration.apply(scores, nothing) == scores).all()
    labels, scores = well_ordered(20)
    assert calibration.fit(1 - labels, scores)[0] > 0  # worse than chance


def test_a_rare_class_has_the_same_weight_as_a_frequent_one():
    labels, scores = well_ordered(2_000)
    again = np.concatenate([np.arange(len(labels)), *[np.flatnonzero(labels == 1)] * 4])
    once = calibration.fit(labels, scores)
    assert calibration.fit(labels[again], scores[again]) == pytest.approx(once, abs=0.01)


def test_a_few_videos_separated_without_an_error_do_not_make_all_scores_0_or_1():
    """The steepest slope was best for them, and one error later cost a log loss of ten."""
    labels, scores = np.repeat([0, 1], 12), np.repeat([0.3, 0.7], 12)
    assert 0.7 < altered(np.array([0.7]), *calibration.fit(labels, scores))[0] < 0.98


def point_of(real, fake, **options):
    """The operating point of a model with these calibrated scores of validation videos."""
    scores = {"real_scores": sorted(real), "fake_scores": sorted(fake)}
    return calibration.operating_point({"calibration": scores}, PointOptions(**options))


@pytest.mark.parametrize("rates", [(0.1, 0.2), (0.05, 0.05), (0.01, 0.5)])
def test_both_limits_keep_their_promise_on_the_videos_they_come_from(rates):
    labels, scores = well_ordered(500)
    found = calibration.calibrate(labels, altered(scores, 2.0, 0.5))
    point = calibration.operating_point({"calibration": found}, PointOptions(*rates))
    calibrated = calibration.apply(altered(scores, 2.0, 0.5), found)
    assert point.real_below < point.fake_from
    for wrong, rate, asked in (
        (calibrated[labels == 0] >= point.fake_from, point.false_positives, rates[0]),
        (calibrated[labels == 1] < point.real_below, point.false_negatives, rates[1]),
    ):
        assert asked - 0.01 <= wrong.mean() <= asked
        assert rate.rate == pytest.approx(wrong.mean(), abs=0.003)
        assert rate.low < rate.rate < rate.high


def test_a_score_between_the_limits_is_uncertain():
    point = calibration.OperatingPoint(fake_from=0.7, real_below=0.3)
    verdicts = [point.verdict(score) for score in (0.0, 0.299, 0.3, 0.699, 0.7, 1.0)]
    assert verdicts == ["REAL", "REAL", "UNCERTAIN", "UNCERTAIN", "FAKE", "FAKE"]


def test_classes_that_are_far_apart_leave_little_uncertain():
    point = point_of(np.linspace(0, 0.2, 20), np.linspace(0.8, 1, 20))
    assert 0.3 < point.real_below < point.fake_from < 0.7
    assert point.fake_from - point.real_below < 0.06
    assert (point.false_positives.errors, point.false_negatives.errors) == (0, 0)


def test_equal_scores_are_on_one_side_of_a_limit():
    point = point_of([0.4] * 30, [0.4] * 30)
    assert point.real_below < 0.4 < point.fake_from
    assert (point.false_positives.errors, point.false_negatives.errors) == (0, 0)


def test_one_limit_can_be_given_instead():
    point = point_of(np.linspace(0, 0.6, 20), np.linspace(0.4, 1, 20), threshold=0.5)
    assert (point.fake_from, point.real_below) == (0.5, 0.5)
    assert point.false_positives.errors == point.false_negatives.errors > 0


def test_a_rate_that_is_too_small_to_be_seen_has_no_error_on_the_validation_videos():
    point = point_of(np.linspace(0, 0.6, 20), np.linspace(0.4, 1, 20), max_false_positive_rate=0.01)
    assert 0.6 < point.fake_from < 1
    assert (point.false_positives.errors, point.false_positives.high > 0.1) == (0, True)


def test_few_validation_videos_promise_nothing():
    few = calibration.calibrate(np.array([0, 1] * 4), np.linspace(0.1, 0.9, 8))
    assert (few["slope"], few["offset"]) == (1, 0)
    assert "4 real" in few["reason"]
    point = calibration.operating_point({"calibration": few})
    assert (point.fake_from, point.real_below) == pytest.approx((2 / 3, 1 / 3))
    assert point.false_positives.videos == 4
    assert calibration.operating_point({}) == calibration.OperatingPoint(
        pytest.approx(2 / 3), pytest.approx(1 / 3)
    )


def test_a_model_validated_on_no_fakes_still_knows_its_false_positive_rate():
    found = calibration.calibrate(np.zeros(30, int), np.linspace(0.05, 0.6, 30))
    point = calibration.operating_point({"calibration": found})
    assert point.false_negatives is None
    assert point.false_positives.rate == pytest.approx(0.1)


@pytest.mark.parametrize(
    "wrong", [{"max_false_positive_rate": 0}, {"max_false_negative_rate": 1}, {"threshold": 2}]
)
def test_a_rate_or_a_threshold_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        PointOptions(**wrong)


def test_an_interval_of_no_error_in_twelve_reaches_to_a_quarter():
    assert calibration.share_interval(0, 12) == pytest.approx([0, 0.265], abs=0.001)
    assert calibration.share_interval(12, 12) == pytest.approx([0.735, 1], abs=0.001)
    assert calibration.share_interval(5, 50) == pytest.approx([0.033, 0.218], abs=0.001)
