"""Metrics of groups: which videos are in a row, and which ones they are compared with."""

import numpy as np
import pytest

from deepfake_detector.evaluation import groups
from deepfake_detector.evaluation.videos import ScoredVideo, score_videos
from deepfake_detector.face_dataset.face_tracks import FaceTrack


def video(name, label, score, method="", collection="", data="faces"):
    known = {"method": method, "collection": collection}
    track = FaceTrack(name, f"{data}/{name}", label, 9, 3, name, name, **known)
    return ScoredVideo(track, score, score)


VIDEOS = [
    video("r0", 0, 0.2, collection="a"),
    video("r1", 0, 0.6, collection="b"),
    video("f0", 1, 0.5, "Deepfakes", "a"),
    video("f1", 1, 0.9, "Deepfakes", "b"),
    video("f2", 1, 0.1, "FaceSwap", "c"),
]


def by_name(rows):
    return {row["name"]: row for row in rows}


def test_fakes_of_a_method_are_compared_with_all_real_videos():
    found = by_name(groups.group_metrics(VIDEOS)["method"])
    assert found.keys() == {"Deepfakes", "FaceSwap"}
    deepfakes = found["Deepfakes"]
    assert deepfakes["roc_auc"] == 3 / 4  # of four pairs, 0.5 against 0.6 is wrong
    assert (deepfakes["real"], deepfakes["fake"]) == (0, 2)
    assert deepfakes["compared_with"] == "all real"
    assert deepfakes["accuracy"] == 1.0
    assert deepfakes["log_loss"] == pytest.approx(-np.log([0.5, 0.9]).mean())
    assert found["FaceSwap"]["roc_auc"] == 0


def test_collections_are_compared_within_themselves_where_they_have_both_classes():
    found = by_name(groups.group_metrics(VIDEOS)["collection"])
    assert found.keys() == {"a", "b", "c"}
    assert found["a"]["compared_with"] is None
    assert found["a"]["roc_auc"] == 1.0
    assert found["c"]["compared_with"] == "all real"


def test_folders_of_faces_have_a_row_each():
    videos = [video("a", 0, 0.1), video("b", 1, 0.9)]
    videos += [video("a", 0, 0.9, data="more"), video("b", 1, 0.1, data="more")]
    rows = groups.group_metrics(videos)["data"]
    assert [(row["name"], row["roc_auc"]) for row in rows] == [("faces", 1.0), ("more", 0.0)]


def test_a_table_without_information_is_empty():
    videos = [video("a", 0, 0.1), video("b", 1, 0.9)]
    found = groups.group_metrics(videos)
    assert found == {"method": [], "collection": [], "data": []}


def test_one_class_only_has_no_auc_anywhere():
    found = groups.group_metrics(VIDEOS[2:])
    assert all(row["roc_auc"] is None for rows in found.values() for row in rows)


class FixedScores:
    """Gives the scores it was made with, and calibrates a score to half of it."""

    def __init__(self, raw_scores):
        self.raw_scores = np.array(raw_scores)

    def score_tracks(self, tracks):
        return self.raw_scores

    def calibrated(self, raw_scores):
        return raw_scores / 2


def test_a_video_has_the_score_of_its_highest_scoring_face():
    tracks = [
        FaceTrack(name, f"faces/{name}", 1, 9, 3, name.split("#")[0], "f0")
        for name in ("f0", "f0#1", "f1")
    ]
    first, second = score_videos(FixedScores([0.1, 0.9, 0.5]), tracks)
    assert (first.track.name, first.raw_score, first.score) == ("f0#1", 0.9, 0.45)
    assert (second.name, second.data, second.error) == ("f1", "faces", 0.75)


def test_a_method_with_control_characters_is_one_line_of_text():
    videos = [video("a", 0, 0.1), video("b", 1, 0.9, "Face\x1b[2J\nSwap \ud800")]
    (row,) = groups.group_metrics(videos)["method"]
    assert row["name"] == r"Face\x1b[2J Swap \ud800"
