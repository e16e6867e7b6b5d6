"""Calibration: scores that are frequencies, thresholds that keep their promise, honest doubt."""

import numpy as np
import pytest

from deepfake_detector.console import UserError
from deepfake_detector.scoring import calibration, metrics


def overconfident(count, temperature, seed=0):
    """Labels and the scores of a model that is too confident by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(int)
    return labels, 1 / (1 + np.exp(-logits * temperature))


def well_ordered(count, seed=0):
    """Labels and right scores of `count` videos of each class, with an AUC of 0.82."""
    labels = np.repeat([0, 1], count)
    logits = np.random.default_rng(seed).normal((labels - 0.5) * 1.3**2, 1.3)
    return labels, 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_slope_a_model_is_off_by_is_found(temperature):
    slope, offset = calibration.fit(*overconfident(20_000, temperature))
    assert slope == pytest.approx(1 / temperature, rel=0.1)
    assert offset == pytest.approx(0, abs=0.1)


def test_scores_that_are_all_too_high_are_moved_back():
    labels, scores = well_ordered(2_000)
    shifted = 1 / (1 + np.exp(-calibration.logits(scores) - 1.5))
    _, offset = calibration.fit(labels, shifted)
    assert offset == pytest.approx(-1.5, abs=0.15)


def test_a_few_videos_do_not_make_right_scores_worse():
    """On the demo a temperature from 24 videos took the ECE from 0.04 to 0.11."""
    labels, fresh = well_ordered(2_000, seed=99)
    changes = []
    for seed in range(40):
        slope, offset = calibration.fit(*well_ordered(10, seed))
        calibrated = calibration.apply(fresh, {"slope": slope, "offset": offset})
        changes.append(metrics.log_loss(labels, calibrated) - metrics.log_loss(labels, fresh))
    assert np.mean(changes) < 0.005


def test_calibrated_scores_keep_their_order():
    scores = np.array([0.0, 0.01, 0.5, 0.9, 1.0])
    calibrated = calibration.apply(scores, {"slope": 0.5, "offset": 1.0})
    assert (np.diff(calibrated) > 0).all()
    assert calibrated[2] == pytest.approx(0.731, abs=0.001)  # e to 1
    assert calibrated[3] == pytest.approx(0.891, abs=0.001)  # 3 times e to 1
    assert (calibration.apply(scores, {"slope": 1.0, "offset": 0.0}) == scores).all()
    assert (calibration.apply(scores, None) == scores).all()


def test_the_temperature_of_an_older_model_still_calibrates():
    scores = np.array([0.5, 0.9])
    calibrated = calibration.apply(scores, {"temperature": 3.0, "real": 12, "fake": 12})
    assert calibrated == pytest.approx([0.5, 0.675], abs=0.001)  # 9 to 1, cube root: 2.08 to 1
    assert (calibration.apply(scores, {"temperature": None}) == scores).all()


def test_a_rare_class_has_the_same_weight_as_a_frequent_one():
    labels, scores = overconfident(4_000, 2.0)
    again = np.concatenate([np.arange(len(labels)), *[np.flatnonzero(labels == 1)] * 4])
    once = calibration.fit(labels, scores)
    assert calibration.fit(labels[again], scores[again]) == pytest.approx(once, abs=0.01)


def test_a_few_videos_separated_without_an_error_do_not_make_all_scores_0_or_1():
    """The steepest slope was best for them, and one error later cost a log loss of ten."""
    labels, scores = np.repeat([0, 1], 12), np.repeat([0.3, 0.7], 12)
    slope, offset = calibration.fit(labels, scores)
    calibrated = calibration.apply(np.array([0.7]), {"slope": slope, "offset": offset})[0]
    assert 0.7 < calibrated < 0.98


def test_operating_points_keep_their_promise_on_the_videos_they_come_from():
    labels, scores = overconfident(1_000, 2.0)
    found = calibration.calibrate(labels, scores)
    calibrated = calibration.apply(scores, found["calibration"])
    for name, share in calibration.FALSE_POSITIVE_RATES.items():
        point = found["operating_points"][name]
        rate = (calibrated[labels == 0] >= point["threshold"]).mean()
        assert share - 0.01 <= rate <= share
        assert point["false_positive_rate"] == pytest.approx(rate)
        low, high = point["false_positive_rate_interval"]
        assert low < rate < high
    equal = found["operating_points"]["equal-error"]
    assert equal["false_positive_rate"] == pytest.approx(equal["false_negative_rate"], abs=0.01)


def test_too_few_videos_give_a_reason_instead_of_a_number():
    labels = np.array([0, 1] * 4)
    found = calibration.calibrate(labels, np.linspace(0.1, 0.9, 8))
    assert (found["calibration"]["slope"], found["calibration"]["offset"]) == (1, 0)
    assert "validation videos: 4 real and 4 fake" in found["calibration"]["reason"]
    points = found["operating_points"]
    assert points.pop("half")["threshold"] == 0.5
    assert all(point["threshold"] is None for point in points.values())
    labels = np.array([0, 1] * 30)
    points = calibration.calibrate(labels, np.linspace(0.1, 0.9, 60))["operating_points"]
    assert points["equal-error"]["threshold"] is not None
    assert points["fpr-5"]["threshold"] is not None
    assert "30 real validation videos" in points["fpr-1"]["reason"]


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
    with pytest.raises(UserError, match="no operating point fpr-1: few"):
        calibration.operating_point(settings, "fpr-1")
    with pytest.raises(UserError, match="its settings.json has none of this name"):
        calibration.operating_point({}, "equal-error")


def test_operating_points_of_an_older_model_have_their_names_of_today():
    old = {"threshold": 0.9, "real_called_fake": 0.04, "fake_called_real": 0.2}
    settings = {"operating_points": {"false-alarms-5": old}}
    point = calibration.operating_point(settings, "false-alarms-5")
    assert (point.name, point.threshold, point.false_positive_rate) == ("fpr-5", 0.9, 0.04)
    assert point.uncertain is None
    assert calibration.operating_points(settings)["fpr-5"] == {
        "threshold": 0.9,
        "false_positive_rate": 0.04,
        "false_negative_rate": 0.2,
    }


def test_perfectly_separated_scores_get_a_threshold_between_the_classes():
    labels, scores = np.repeat([0, 1], 20), np.repeat([0.2, 0.8], 20)
    found = calibration.calibrate(labels, scores)
    threshold = found["operating_points"]["equal-error"]["threshold"]
    low, high = calibration.apply(np.array([0.2, 0.8]), found["calibration"])
    assert low < threshold < high


def test_a_single_video_does_not_move_the_threshold_from_one_gap_to_the_next():
    """With twelve videos of a class the threshold came out as 0.81 or 0.3, by one video."""
    thresholds = []
    for seed in range(40):
        labels, scores = well_ordered(12, seed)
        found = calibration.calibrate(labels, scores)["operating_points"]["equal-error"]
        thresholds.append(found["threshold"])
    assert np.mean(thresholds) == pytest.approx(0.5, abs=0.05)
    assert np.std(thresholds) < 0.08


@pytest.mark.parametrize("threshold", ["equal-error", "half"])
def test_the_uncertain_band_narrows_with_the_number_of_videos(threshold):
    widths = []
    for count in (5, 20, 100, 1_000):
        found = calibration.calibrate(*well_ordered(count))
        point = found["operating_points"][threshold]
        low, high = point["uncertain"]
        assert low < point["threshold"] < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.2
    assert 0.04 < widths[-1] < 0.08


def test_nine_of_ten_scores_outside_of_the_band_are_on_their_side_of_the_threshold():
    """Where the right probability would say otherwise, the verdict is UNCERTAIN."""
    wrong, far = 0, 0
    for seed in range(30):
        labels, scores = well_ordered(20, seed)
        point = calibration.calibrate(labels, scores)
        band = point["operating_points"]["half"]["uncertain"]
        right = np.array([0.42, 0.45, 0.55, 0.58])
        shown = calibration.apply(right, point["calibration"])
        decided = ~calibration.is_uncertain(shown, band)
        wrong += (decided & ((shown >= 0.5) != (right >= 0.5))).sum()
        far += len(right)
    assert wrong / far < 0.1


def test_a_model_validated_on_no_fakes_has_a_wide_band_and_a_false_positive_rate():
    found = calibration.calibrate(np.zeros(30, int), np.linspace(0.05, 0.6, 30))
    point = calibration.operating_point(found)
    assert (point.name, point.false_negative_rate) == ("half", None)
    assert point.false_positive_rate == pytest.approx(0.2, abs=0.05)
    assert point.false_positive_rate_interval[1] > 0.3
    assert point.uncertain[0] < 0.36


def test_an_interval_of_no_error_in_twelve_reaches_to_a_quarter():
    assert calibration.share_interval(0, 12) == pytest.approx([0, 0.265], abs=0.001)
    assert calibration.share_interval(12, 12) == pytest.approx([0.735, 1], abs=0.001)
    assert calibration.share_interval(5, 50) == pytest.approx([0.033, 0.218], abs=0.001)


def test_scores_that_are_all_the_same_are_no_crash():
    found = calibration.calibrate(np.repeat([0, 1], 20), np.full(40, 0.7))
    assert found["operating_points"]["equal-error"]["threshold"] == pytest.approx(0.55, abs=0.05)


def test_one_validation_video_was_videos_and_twelve_were_fewer_than_five():
    """ "1 real validation videos, and 5% of them must be at least 1", "1 real and 12 fake
    validation videos, fewer than 5 of each"."""
    labels = np.array([0] + [1] * 12)
    points = calibration.calibrate(labels, np.linspace(0.1, 0.9, 13))["operating_points"]
    assert points["fpr-5"]["reason"] == "1 real validation video, and it takes 20 to see 5% of them"
    assert points["equal-error"]["reason"] == (
        "validation videos: 1 real and 12 fake, and it takes 5 of each"
    )
