"""One scorer for paths, clips and face tracks, on one device or more."""

from pathlib import Path

import numpy as np
import pytest
from grey_videos import NUM_FRAMES, SETTINGS, brightness_model, write_grey_video

from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError
from deepfake_detector.scoring.clip_scorer import ClipScorer

GREYS = (40, 80, 120, 160, 200)


@pytest.fixture
def tracks(tmp_path):
    return [write_grey_video(tmp_path / f"v{grey}", [grey] * 5) for grey in GREYS]


@pytest.fixture
def scorer():
    return ClipScorer(brightness_model(), SETTINGS, batch_size=4)


def test_tracks_and_clips_have_the_same_scores(scorer, tracks):
    paths = whole_video_paths(tracks, NUM_FRAMES)
    of_tracks = scorer.score_tracks(tracks)
    assert of_tracks == pytest.approx(np.array(GREYS) / 255, abs=0.005)
    assert scorer.score_clips(scorer.load(paths)) == pytest.approx(of_tracks, abs=1e-6)


def test_nothing_to_score_is_no_error(scorer):
    assert scorer.score_tracks([]).shape == (0,)
    assert scorer.score_clips(np.zeros((0, NUM_FRAMES, 16, 16, 3), np.uint8)).shape == (0,)


def test_altered_crops_are_scored_instead_of_those_on_disk(scorer, tracks):
    scores = scorer.score_tracks(tracks, alter=lambda crops: crops // 2)
    assert scores == pytest.approx(np.array(GREYS) / 510, abs=0.005)


def test_the_calibration_of_the_model_is_applied():
    settings = SETTINGS | {"calibration": {"slope": 1 / 3, "offset": 0.0}}
    scores = ClipScorer(brightness_model(), settings).calibrated(np.array([0.5, 0.9]))
    assert scores == pytest.approx([0.5, 0.675], abs=0.001)  # 9 to 1, cube root: 2.08 to 1


class TracedModel:
    """Counts how often Python runs it: once per graph."""

    def __init__(self):
        self.model = brightness_model()
        self.input_shape = self.model.input_shape
        self.times = 0

    def __call__(self, clips, training):
        self.times += 1
        return self.model(clips, training=training)


def test_a_graph_is_traced_once_however_many_clips_there_are(tracks):
    model = TracedModel()
    scorer = ClipScorer(model, SETTINGS, batch_size=2)
    for some in (tracks, tracks[:1], tracks[:3]):
        scorer.score_tracks(some)
    assert model.times == 1
    for some in (tracks, tracks[:1]):
        scorer.score_clips(scorer.load(whole_video_paths(some, NUM_FRAMES)))
    assert model.times == 2


def test_a_crop_that_is_cut_short_is_named(scorer, tracks):
    crop = Path(tracks[0].folder) / "002.jpeg"
    crop.write_bytes(crop.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"002\.jpeg, a crop of v40"):
        scorer.score_tracks(tracks)
