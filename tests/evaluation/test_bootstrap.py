"""Intervals: they contain the metric, and depend on originals, not on copies of videos."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepfake_detector.evaluation import bootstrap


def synthetic(num_groups, copies=1, seed=0):
    """A real and a fake video of each original, each `copies` times over."""
    rng = np.random.default_rng(seed)
    source_groups = np.repeat([f"{number}.mp4" for number in range(num_groups)], 2 * copies)
    labels = np.tile(np.repeat([0, 1], copies), num_groups)
    scores = np.repeat(rng.random(2 * num_groups), copies) * 0.6 + 0.4 * labels
    return labels, scores, source_groups


def test_an_interval_contains_its_metric_and_is_the_same_again():
    labels, scores, source_groups = synthetic(40)
    found = bootstrap.intervals(labels, scores, source_groups)
    low, high = found["roc_auc"]
    assert low < roc_auc_score(labels, scores) < high
    assert 0 < found["log_loss"][0] < found["log_loss"][1]
    assert found["originals"] == 40
    assert found == bootstrap.intervals(labels, scores, source_groups)


def test_more_originals_make_it_narrower_and_copies_of_videos_do_not():
    widths = {}
    for name, sizes in {"few": (20,), "many": (320,), "copied": (20, 16)}.items():
        low, high = bootstrap.intervals(*synthetic(*sizes))["roc_auc"]
        widths[name] = high - low
    assert widths["many"] < 0.5 * widths["few"]
    assert widths["copied"] == pytest.approx(widths["few"], rel=0.05)


def test_the_auc_of_a_resample_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60) / 9  # with many ties
    counts = rng.integers(0, 4, (5, 60)).astype(float)
    expected = [roc_auc_score(labels, scores, sample_weight=row) for row in counts]
    found = bootstrap.weighted_aucs(labels, scores, counts, np.arange(60))
    assert found == pytest.approx(expected)


def test_too_few_originals_give_a_reason_instead_of_an_interval():
    labels, scores, source_groups = synthetic(9, copies=50)
    found = bootstrap.intervals(labels, scores, source_groups)
    assert found["roc_auc"] is found["log_loss"] is None
    assert "videos of 9 originals in the rarer class, and it takes 10" in found["reason"]


def test_one_class_has_an_interval_of_log_loss_only():
    labels, scores, source_groups = synthetic(30)
    fake = labels == 1
    found = bootstrap.intervals(labels[fake], scores[fake], source_groups[fake])
    assert found["roc_auc"] is None
    assert found["log_loss"] is not None


def test_resamples_in_chunks_give_what_one_chunk_gives(monkeypatch):
    whole = bootstrap.intervals(*synthetic(30))
    monkeypatch.setattr(bootstrap, "MAX_COUNTS", 60 * 7)
    assert bootstrap.intervals(*synthetic(30)) == whole
