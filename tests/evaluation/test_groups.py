"""Metrics of groups: which videos are in a row, and which ones they are compared with."""

import json

import numpy as np
import pytest

from deepfake_detector.evaluation import bootstrap, groups
from deepfake_detector.evaluation.videos import (
    NOT_NAMED,
    ScoredVideo,
    labels_and_scores,
    score_videos,
)
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.manifest import MANIFEST_FIELDS, MANIFEST_NAME


def video(name, label, score, method=None, location="/v/a", num_faces=1, data="faces"):
    track = FaceTrack(name, f"{data}/{name}", label, 9, 3, name, name)
    return ScoredVideo(track, score, score, data, method, location, num_faces, 0, 9)


VIDEOS = [
    video("r0", 0, 0.2),
    video("r1", 0, 0.6, location="/v/b", num_faces=2),
    video("f0", 1, 0.5, "Deepfakes"),
    video("f1", 1, 0.9, "Deepfakes", "/v/b"),
    video("f2", 1, 0.1, "FaceSwap", "/v/c"),
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


def test_source_folders_are_named_by_where_they_differ():
    found = by_name(groups.group_metrics(VIDEOS)["location"])
    assert found.keys() == {"v/a", "v/b", "v/c"}
    assert found["v/a"]["compared_with"] is None
    assert found["v/a"]["roc_auc"] == 1.0
    assert found["v/c"]["compared_with"] == "all real"


def test_numbers_of_faces_are_sorted_as_numbers():
    videos = [video(f"v{n}", n % 2, 0.1, num_faces=n) for n in (10, 9, 2)]
    rows = groups.group_metrics(videos)["faces"]
    assert [row["name"] for row in rows] == ["2", "9", "10"]


def test_folders_of_faces_have_a_row_each_and_one_for_all():
    videos = [video("a", 0, 0.1), video("b", 1, 0.9)]
    videos += [video("a", 0, 0.9, data="more"), video("b", 1, 0.1, data="more")]
    rows = groups.group_metrics(videos)["data"]
    assert [(row["name"], row["roc_auc"]) for row in rows] == [
        ("faces", 1.0),
        ("more", 0.0),
        ("all", 0.5),
    ]


def test_the_row_for_all_folders_has_the_interval_of_all_videos():
    scores = np.random.default_rng(0).random(60)
    videos = [video(f"{n}", n % 2, scores[n], data=("a", "b")[n % 3 == 0]) for n in range(60)]
    source_groups = [v.track.source_group for v in videos]
    headline = bootstrap.intervals(*labels_and_scores(videos), source_groups)
    row = groups.group_metrics(videos)["data"][-1]
    assert row["roc_auc_interval"] == headline["roc_auc"]
    assert row["roc_auc_interval"] is not None


def test_a_table_without_information_is_empty():
    videos = [video("a", 0, 0.1), video("b", 1, 0.9, NOT_NAMED)]
    found = groups.group_metrics(videos)
    assert found == {"method": [], "location": [], "faces": [], "data": []}


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


def test_method_location_and_boxes_come_from_the_files_next_to_the_faces(tmp_path):
    row = dict.fromkeys(MANIFEST_FIELDS, "") | {"filename": "f0", "location": "/v", "status": "ok"}
    row |= {"detected": "30", "averaged": "10"}
    rows = [",".join(MANIFEST_FIELDS), ",".join(row.values())]
    (tmp_path / MANIFEST_NAME).write_text("\n".join(rows))
    entry = {"label": "FAKE", "method": "Face\x1b[2J\nSwap \ud800"}
    (tmp_path / "metadata.json").write_text(json.dumps({"f0": entry, "f0#1": entry, "f1": {}}))
    tracks = [
        FaceTrack(name, str(tmp_path / name), 1, 9, 3, name.split("#")[0], "f0")
        for name in ("f0", "f0#1", "f1")
    ]
    known, unknown = score_videos(FixedScores([0.1, 0.9, 0.5]), tracks, [tmp_path])
    assert (known.track.name, known.raw_score, known.score) == ("f0#1", 0.9, 0.45)
    assert known.method == r"Face\x1b[2J Swap \ud800"  # no control characters
    assert (known.location, known.num_faces) == ("/v", 2)
    assert (known.frames_averaged, known.frames_total) == (10, 40)
    assert (unknown.method, unknown.location) == ("not named", "not known")
    assert unknown.frames_averaged is None
