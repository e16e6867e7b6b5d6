"""Calibration: a temperature that makes scores frequencies, thresholds that keep their promise."""

import numpy as np
import pytest

from deepfake_detector.console import UserError
from deepfake_detector.scoring import calibration


def overconfident(count, temperature, seed=0):
    """Labels and the scores of a model that is too confident by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(int)
    return labels, 1 / (1 + np.exp(-logits * temperature))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_temperature_a_model_is_off_by_is_found(temperature):
    assert calibration.fit_temperature(*overconfident(20_000, temperature)) == pytest.approx(
        temperature, rel=0.1
    )


def test_calibrated_scores_keep_their_order_and_one_half():
    scores = np.array([0.0, 0.01, 0.5, 0.9, 1.0])
    calibrated = calibration.apply(scores, {"temperature": 3.0})
    assert (np.diff(calibrated) > 0).all()
    assert calibrated[2] == 0.5
    assert calibrated[3] == pytest.approx(0.675, abs=0.001)  # 9 to 1, cube root: 2.08 to 1
    assert (calibration.apply(scores, {"temperature": None}) == scores).all()
    assert (calibration.apply(scores, None) == scores).all()


def test_a_rare_class_has_the_same_weight_as_a_frequent_one():
    labels, scores = overconfident(4_000, 2.0)
    again = np.concatenate([np.arange(len(labels)), *[np.flatnonzero(labels == 1)] * 4])
    once = calibration.fit_temperature(labels, scores)
    assert calibration.fit_temperature(labels[again], scores[again]) == pytest.approx(
        once, rel=1e-3
    )


def test_a_few_videos_separated_without_an_error_do_not_make_all_scores_0_or_1():
    """The lowest temperature was best for them, and one error later cost a log loss of ten."""
    labels, scores = np.repeat([0, 1], 12), np.repeat([0.3, 0.7], 12)
    temperature = calibration.fit_temperature(labels, scores)
    calibrated = calibration.apply(np.array([0.7]), {"temperature": temperature})[0]
    assert calibrated == pytest.approx(1 - 1 / 14, abs=0.001)


def test_operating_points_keep_their_promise_on_the_videos_they_come_from():
    labels, scores = overconfident(1_000, 2.0)
    found = calibration.calibrate(labels, scores)
    calibrated = calibration.apply(scores, found["calibration"])
    for name, share in calibration.FALSE_POSITIVE_RATES.items():
        point = found["operating_points"][name]
        rate = (calibrated[labels == 0] >= point["threshold"]).mean()
        assert share - 0.01 <= rate <= share
        assert point["false_positive_rate"] == pytest.approx(rate)
    equal = found["operating_points"]["equal-error"]
    assert equal["false_positive_rate"] == pytest.approx(equal["false_negative_rate"], abs=0.01)


def test_too_few_videos_give_a_reason_instead_of_a_number():
    labels = np.array([0, 1] * 7)
    found = calibration.calibrate(labels, np.linspace(0.1, 0.9, 14))
    assert found["calibration"]["temperature"] is None
    assert "7 real and 7 fake validation videos" in found["calibration"]["reason"]
    assert all(point["threshold"] is None for point in found["operating_points"].values())
    labels = np.array([0, 1] * 30)
    points = calibration.calibrate(labels, np.linspace(0.1, 0.9, 60))["operating_points"]
    assert points["equal-error"]["threshold"] is not None
    assert points["fpr-5"]["threshold"] is not None
    assert "30 real validation videos" in points["fpr-1"]["reason"]


def test_the_threshold_is_that_of_equal_errors_or_one_half_or_the_one_asked_for():
    points = {
        "equal-error": {"threshold": 0.4},
        "fpr-1": {"threshold": None, "reason": "few"},
    }
    settings = {"operating_points": points}
    assert calibration.threshold_of(settings) == ("equal-error", 0.4)
    assert calibration.threshold_of(settings, "half") == ("half", 0.5)
    assert calibration.threshold_of({}) == ("half", 0.5)
    with pytest.raises(UserError, match="no operating point fpr-1: few"):
        calibration.threshold_of(settings, "fpr-1")
    with pytest.raises(UserError, match="trained before there were any"):
        calibration.threshold_of({}, "equal-error")


def test_operating_points_of_an_older_model_have_their_names_of_today():
    old = {"threshold": 0.9, "real_called_fake": 0.04, "fake_called_real": 0.2}
    settings = {"operating_points": {"false-alarms-5": old}}
    assert calibration.threshold_of(settings, "fpr-5") == ("fpr-5", 0.9)
    assert calibration.threshold_of(settings, "false-alarms-5") == ("fpr-5", 0.9)
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
