"""Frames of a judged video with boxes and scores drawn in."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.face_dataset.boxes import Crop, write_face
from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.verdicts import JudgedVideo, Rule, judge
from deepfake_detector.prediction.windows import Moment, VideoFaces, Window, WindowFace
from deepfake_detector.results.annotated_video import (
    FAKE_BGR,
    REAL_BGR,
    UNCERTAIN_BGR,
    Canvas,
    caption_of,
    score_at,
    title_of,
)
from deepfake_detector.scoring.trained_model import ModelOrigin

BOX = (100.0, 200.0, 150.0, 150.0)


def scored_face(number: int, start_sec: float, score: float, folder: Path) -> ScoredFace:
    """One face of one frame in a window of 5 seconds."""
    index = round(start_sec * 25)
    crop = Crop(folder / "a.jpeg", index, start_sec, BOX, "detected")
    write_face([crop], folder / f"window_{number}", lambda source, target: target.touch())
    face = WindowFace(0, folder / f"window_{number}", start_sec, start_sec, 1, 1, (crop,))
    return ScoredFace(Window(number, start_sec, start_sec + 0.04, 1, 1, (face,)), face, score)


def judged(faces: list[ScoredFace], uncertain: tuple[float, float] | None = None) -> JudgedVideo:
    found = VideoFaces([face.window for face in faces])
    rule = Rule(threshold=0.5, window_sec=5.0, uncertain=uncertain)
    return judge(Path("a.mp4"), found, faces, rule)


def edge_colour(picture: np.ndarray) -> list[int]:
    """Return the colour in the middle of the left side of the box."""
    x, y, _, height = map(int, BOX)
    return picture[y + height // 2, x].tolist()


def test_each_window_has_its_own_boxes_also_after_a_gap_in_the_clock(tmp_path):
    faces = [scored_face(0, 0.0, 0.2, tmp_path), scored_face(1, 20.0, 0.9, tmp_path)]
    canvas = Canvas(judged(faces), (480, 640))
    colours = [
        edge_colour(canvas.draw(frame_of_image(np.zeros((480, 640, 3), np.uint8), index, time_sec)))
        for index, time_sec in ((0, 0.0), (1, 0.04), (500, 20.0))
    ]
    assert colours == [list(REAL_BGR), [0, 0, 0], list(FAKE_BGR)]


def test_what_is_too_close_to_call_has_one_colour_in_word_box_and_timeline(tmp_path):
    video = judged([scored_face(0, 0.0, 0.55, tmp_path)], uncertain=(0.4, 0.6))
    canvas = Canvas(video, (480, 640))
    picture = canvas.draw(frame_of_image(np.zeros((480, 640, 3), np.uint8), 0, 0.1))
    assert video.verdict == "UNCERTAIN"
    assert edge_colour(picture) == picture[9, 9].tolist() == list(UNCERTAIN_BGR)
    strip = picture[480 : 480 + 86].reshape(-1, 3)
    assert (strip == UNCERTAIN_BGR).all(axis=1).any()
    assert not (strip == FAKE_BGR).all(axis=1).any()


def test_a_score_between_two_moments_lies_on_the_line_between_them(tmp_path):
    face = scored_face(0, 0.0, 0.2, tmp_path)
    assert score_at(face, 3.0) == 0.2
    moments = (Moment(1.0, ()), Moment(2.0, ()))
    window_face = WindowFace(0, tmp_path, 0.0, 3.0, 1, 1, (), moments)
    face = ScoredFace(face.window, window_face, 0.2, (0.4, 0.8))
    assert [score_at(face, time_sec) for time_sec in (0, 1.25, 3)] == pytest.approx([0.4, 0.5, 0.8])


def test_a_box_is_not_red_under_a_green_banner_although_a_moment_is_above(tmp_path):
    face = scored_face(0, 0.0, 0.802, tmp_path)
    moments = (Moment(0.0, ()), Moment(1.0, ()))
    window_face = dataclasses.replace(face.face, moments=moments, end_sec=1.0)
    window = dataclasses.replace(face.window, faces=(window_face,))
    face = ScoredFace(window, window_face, 0.802, (0.99, 0.7))
    rule = Rule(threshold=0.811, window_sec=5.0)
    video = judge(Path("a.mp4"), VideoFaces([window]), [face], rule)
    picture = Canvas(video, (480, 640)).draw(
        frame_of_image(np.zeros((480, 640, 3), np.uint8), 0, 0.0)
    )
    assert title_of(video) == "REAL 0.802"
    assert edge_colour(picture) == picture[9, 9].tolist() == list(REAL_BGR)
    assert not (picture == FAKE_BGR).all(axis=-1).any()
    assert "close to the threshold 0.811" in caption_of(video)[1]


def test_an_annotated_copy_of_5_seconds_says_of_how_many(tmp_path):
    face = scored_face(0, 0.0, 0.148, tmp_path)
    found = VideoFaces(
        [dataclasses.replace(face.window, end_sec=4.96)], frame_sec=0.04, video_sec=120.0
    )
    model = ModelOrigin("run/model.keras", "2 videos of synthetic people", True)
    video = judge(Path("a.mp4"), found, [face], Rule(0.5, 5.0), model=model)
    assert caption_of(video) == [
        "5.0 of 120.0 seconds, 1 frame, face in 100%; threshold 0.5",
        "from 1 frame only",
        "model run, trained on 2 videos of synthetic people",
        "it was trained on drawings, so its scores say nothing about real people",
    ]
    narrow = Canvas(video, (480, 320)).caption
    assert narrow.shape[1] == 480
    assert narrow.max() > 150  # there are letters
