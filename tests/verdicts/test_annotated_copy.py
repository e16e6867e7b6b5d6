"""Frames of a judged video with boxes and scores drawn in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from some_verdicts import BAND, RULE, verdict, window

from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.face_dataset.boxes import Crop, write_boxes
from deepfake_detector.scoring.trained_model import SYNTHETIC_WARNING
from deepfake_detector.verdicts.annotated_copy import COLOURS_BGR, Canvas, caption_of, copies_of
from deepfake_detector.verdicts.reading import FaceClips

BOX = (100.0, 200.0, 150.0, 150.0)


@pytest.fixture
def clips(tmp_path):
    """The boxes of a face that is seen at 0, and again at 20 seconds, in one frame each."""
    made = []
    for number, time_sec in ((0, 0.0), (4, 20.0)):
        folder = tmp_path / f"window_{number}"
        folder.mkdir()
        write_boxes([Crop(folder / "0", round(time_sec * 25), time_sec, BOX, "detected")], folder)
        made.append([FaceClips(folder, [], [])])
    return made


def drawn(canvas: Canvas, index: int, time_sec: float) -> np.ndarray:
    return canvas.draw(frame_of_image(np.zeros((480, 640, 3), np.uint8), index, time_sec))


def edge_colour(picture: np.ndarray) -> tuple[int, ...]:
    """Return the colour in the middle of the left side of the box."""
    x, y, _, height = map(int, BOX)
    return tuple(picture[y + height // 2, x].tolist())


def test_each_window_has_its_own_boxes_also_after_a_gap_in_the_clock(clips):
    canvas = Canvas(verdict(window(0, 0.2), window(4, 0.9)), clips, (480, 640))
    times = ((0, 0.0), (1, 0.04), (500, 20.0))
    colours = [edge_colour(drawn(canvas, *time)) for time in times]
    assert colours == [COLOURS_BGR["REAL"], (0, 0, 0), COLOURS_BGR["FAKE"]]


@pytest.mark.parametrize(("score", "word"), [(0.55, "UNCERTAIN"), (0.3, "REAL"), (0.9, "FAKE")])
def test_the_verdict_and_the_box_have_one_colour(clips, score, word):
    found = verdict(window(0, score, moments=(0.99, 0.01)), rule=BAND)
    picture = drawn(Canvas(found, clips, (480, 640)), 0, 0.0)
    assert edge_colour(picture) == tuple(picture[9, 9].tolist()) == COLOURS_BGR[word]


def test_the_caption_says_what_the_verdict_rests_on(clips):
    rule = replace(RULE, is_synthetic=True)
    facts = {"video_sec": 120.0, "trained_on": "2 videos of synthetic people"}
    found = verdict(window(0, 0.1, frames=1), rule=rule, **facts)
    assert caption_of(found) == [
        "5.0 of 120.0 seconds, 1 frame; FAKE from 0.6",
        "only 5.0 of 120.0 seconds judged; only 1 frame judged",
        "run, trained on 2 videos of synthetic people",
        SYNTHETIC_WARNING,
    ]
    canvas = Canvas(found, clips, (480, 320))
    width, height = canvas.size
    assert (width, height > 720) == (480, True)


def test_copies_have_different_names():
    copies = copies_of([Path("x/a.mp4"), Path("y/a.mp4"), Path("b.png")], Path("out"))
    names = [copy.name for copy in copies.values()]
    assert names == ["a.mp4_annotated.mp4", "a.mp4_2_annotated.mp4", "b.png_annotated.png"]
