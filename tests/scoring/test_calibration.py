"""Calibration: scores that are frequencies, thresholds that keep their promise, honest doubt."""

import numpy as np
import pytest

from deepfake_detector.console import UserError
from deepfake_detector.scoring import calibration, metrics


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


def test_operating_points_keep_their_promise_on_the_videos_they_come_from():
    labels, scores = well_ordered(500)
    found = calibration.calibrate(labels, altered(scores, 2.0, 0.5))
    calibrated = calibration.apply(altered(scores, 2.0, 0.5), found["calibration"])
    for name, share in calibration.FALSE_POSITIVE_RATES.items():
        point = found["operating_points"][name]
        rate = (calibrated[labels == 0] >= point["threshold"]).mean()
        assert share - 0.01 <= rate <= share
        assert point["false_positive_rate"] == pytest.approx(rate)
        low, high = point["false_positive_rate_interval"]
        assert low < rate < high
    equal = found["operating_points"]["equal-error"]
    assert equal["false_positive_rate"] == pytest.approx(equal["false_negative_rate"], abs=0.02)


def test_too_few_videos_give_a_reason_instead_of_a_number():
    found = calibration.calibrate(np.array([0, 1] * 4), np.linspace(0.1, 0.9, 8))
    assert (found["calibration"]["slope"], found["calibration"]["offset"]) == (1, 0)
    assert "4 real and 4 fake" in found["calibration"]["reason"]
    points = found["operating_points"]
    assert points.pop("half")["threshold"] == 0.5
    assert all(point["threshold"] is None for point in points.values())
    points = calibration.calibrate(np.array([0, 1] * 30), np.linspace(0.1, 0.9, 60))
    thresholds = {name: p["threshold"] for name, p in points["operating_points"].items()}
    assert [name for name, value in thresholds.items() if value is None] == ["fpr-1"]


def test_the_threshold_is_that_of_equal_errors_or_one_half_or_the_one_asked_for():
    points = {
        "equal-error": {"threshold": 0.4, "uncertain": [0.3, 0.5], "of a later version": 1},
        "fpr-1": {"threshold": None, "reason": "few"},
    }
    settings = {"operating_points": points}
    assert calibration.operating_point(settings).name == "equal-error"
    assert calibration.operating_point(settings).uncertain == [0.3, 0.5]
    assert calibration.operating_point(settings, "half").threshold == 0.5
    assert calibration.operating_point({}) == calibration.OperatingPoint("half", 0.5)
    with pytest.raises(UserError, match="fpr-1: few"):
        calibration.operating_point(settings, "fpr-1")
    with pytest.raises(UserError, match="equal-error"):
        calibration.operating_point({}, "equal-error")


@pytest.mark.parametrize(("real", "fake"), [(0.2, 0.8), (0.7, 0.7), (0.0, 1.0)])
def test_separated_scores_get_a_threshold_between_the_classes_and_equal_ones_at_them(real, fake):
    found = calibration.calibrate(np.repeat([0, 1], 20), np.repeat([real, fake], 20))
    low, high = calibration.apply(np.array([real, fake]), found["calibration"])
    assert low - 0.01 < found["operating_points"]["equal-error"]["threshold"] < high + 0.01


def test_a_single_video_does_not_move_the_threshold_from_one_gap_to_the_next():
    """With twelve videos of a class the threshold came out as 0.81 or 0.3, by one video."""
    thresholds = [
        calibration.calibrate(*well_ordered(12, seed))["operating_points"]["equal-error"]
        for seed in range(40)
    ]
    assert np.mean([point["threshold"] for point in thresholds]) == pytest.approx(0.5, abs=0.05)
    assert np.std([point["threshold"] for point in thresholds]) < 0.08


@pytest.mark.parametrize("threshold", ["equal-error", "half"])
def test_the_uncertain_band_narrows_with_the_number_of_videos(threshold):
    widths = []
    for count in (5, 20, 100, 1_000):
        point = calibration.calibrate(*well_ordered(count))["operating_points"][threshold]
        low, high = point["uncertain"]
        assert low < point["threshold"] < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert 0.2 < widths[0] < 0.5
    assert 0.04 < widths[-1] < 0.08


def test_nine_of_ten_scores_outside_of_the_band_are_on_their_side_of_the_threshold():
    """If the right probability would say otherwise, the verdict is UNCERTAIN."""
    wrong, right = [], np.array([0.42, 0.45, 0.55, 0.58])
    for seed in range(30):
        found = calibration.calibrate(*well_ordered(20, seed))
        shown = calibration.apply(right, found["calibration"])
        decided = ~calibration.is_uncertain(shown, found["operating_points"]["half"]["uncertain"])
        wrong.append(decided & ((shown >= 0.5) != (right >= 0.5)))
    assert np.mean(wrong) < 0.1


def test_a_model_validated_on_no_fakes_has_a_wide_band_and_a_false_positive_rate():
    found = calibration.calibrate(np.zeros(30, int), np.linspace(0.05, 0.6, 30))
    point = calibration.operating_point(found)
    assert (point.name, point.false_negative_rate) == ("half", None)
    assert point.false_positive_rate == pytest.approx(0.2, abs=0.05)
    assert point.false_positive_rate_interval[1] > 0.3
    assert point.uncertain[0] < 0.4


def test_an_interval_of_no_error_in_twelve_reaches_to_a_quarter():
    assert calibration.share_interval(0, 12) == pytest.approx([0, 0.265], abs=0.001)
    assert calibration.share_interval(12, 12) == pytest.approx([0.735, 1], abs=0.001)
    assert calibration.share_interval(5, 50) == pytest.approx([0.033, 0.218], abs=0.001)
