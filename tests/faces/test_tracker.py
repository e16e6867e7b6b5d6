"""Following faces through frames: tracklets, averages and smoothing, on arrays alone."""

import numpy as np
import pytest
from test_detector import SeesBrightPatches

from deepfake_detector.decoding.frame import Frame, frame_of_image
from deepfake_detector.faces import smoothing
from deepfake_detector.faces.detector import Detector, Look
from deepfake_detector.faces.main_face import choose_faces, find_faces
from deepfake_detector.faces.tracker import FaceTracker
from deepfake_detector.faces.tracklets import Detection, Tracklet


def frame_of_rgb(image_rgb: np.ndarray, time_sec: float) -> Frame:
    return frame_of_image(np.ascontiguousarray(image_rgb[:, :, ::-1]), time_sec=time_sec)


def tracklet(positions, box, shot=0):
    return Tracklet(shot, [Detection(p, np.array(box, np.float32)) for p in positions])


def seconds(count, fps=10):
    return np.arange(count) / fps


def choose(found, shots):
    """Return the tracklets of the main face."""
    return next(iter(choose_faces(found, seconds(len(shots)), shots, "main")), [])


def follow(frames_rgb, detector=None, fps=25, which="main") -> FaceTracker:
    """Return the tracker that has followed the faces of the frames."""
    tracker = FaceTracker(detector or Detector(), which)
    for index, frame in enumerate(frames_rgb):
        tracker.add_frame(frame_of_rgb(frame, index / fps))
    return tracker


def there_and_back(frames):
    return [*frames, *frames[::-1]] * 2


# Averages and smoothing


def test_a_gap_between_detections_gets_the_time_weighted_average_of_the_boxes_around_it():
    boxes = np.array([[0, 0, 10, 10], [0] * 4, [0] * 4, [0] * 4, [40, 20, 30, 30]], np.float32)
    detected = np.array([True, False, False, False, True])
    filled = smoothing.average_missing(boxes, detected, seconds(5))
    assert filled[2] == pytest.approx([20, 10, 20, 20])  # half-way
    assert filled[1] == pytest.approx([10, 5, 15, 15])  # a quarter of the way
    assert np.array_equal(filled[[0, 4]], boxes[[0, 4]])


def test_frames_before_the_first_and_after_the_last_detection_get_the_mean_of_the_nearest_three():
    boxes = np.zeros((7, 4), np.float32)
    boxes[2:5, 0] = [30, 60, 90]
    detected = np.array([False, False, True, True, True, False, False])
    filled = smoothing.average_missing(boxes, detected, seconds(7))
    assert filled[[0, 1, 5, 6], 0] == pytest.approx([60, 60, 60, 60])


def test_boxes_do_not_shake():
    boxes = np.full((20, 4), 50, np.float32)
    boxes[::2, 0] += 4
    smoothed = smoothing.smooth(boxes, seconds(20, fps=30))
    assert np.ptp(smoothed[3:17, 0]) < 1


def test_a_face_ends_at_a_cut():
    """Who is behind it is not known: crops and clips of one face were of two people."""
    first = tracklet(range(3, 10), [0, 0, 40, 40])
    second = tracklet(range(10, 25), [200, 90, 40, 40], shot=1)
    shots = [0] * 10 + [1] * 20
    (face,) = find_faces([first, second], seconds(30), shots)
    assert (face.first, len(face.boxes)) == (10, 20)  # all of its shot
    assert face.boxes[:, 0] == pytest.approx(200)
    found = find_faces([first, second], seconds(30), shots, "all")
    assert [(face.first, len(face.boxes)) for face in found] == [(10, 20)]


def test_a_person_far_away_after_a_close_up_is_a_face_too():
    """The size of a further face was compared with that of a face of another shot."""
    close_up = tracklet(range(15), [0, 0, 400, 400])
    far_away = tracklet(range(15, 30), [200, 90, 40, 40], shot=1)
    shots = [0] * 15 + [1] * 15
    assert len(find_faces([close_up, far_away], seconds(30), shots, "all")) == 2
    beside_it = tracklet(range(15, 30), [200, 90, 40, 40])
    assert len(find_faces([close_up, beside_it], seconds(30), [0] * 30, "all")) == 1


def test_a_detection_that_jumps_or_has_the_wrong_size_is_averaged_instead():
    detections = tracklet(range(20), [50, 50, 40, 40]).detections
    detections[7] = Detection(7, np.array([90, 50, 40, 40], np.float32))
    detections[12] = Detection(12, np.array([40, 40, 60, 60], np.float32))
    (face,) = find_faces([Tracklet(0, detections)], seconds(20), [0] * 20)
    assert np.flatnonzero(~face.detected).tolist() == [7, 12]
    assert face.boxes == pytest.approx(np.tile([50, 50, 40, 40], (20, 1)))


# From tracklets to faces


def test_main_face_is_the_largest_and_longest_tracklet():
    small_and_long = tracklet(range(30), [0, 0, 20, 20])
    large_and_long = tracklet(range(2, 28), [100, 0, 60, 60])
    large_and_short = tracklet(range(4), [0, 100, 80, 80])
    chosen = choose([small_and_long, large_and_short, large_and_long], [0] * 30)
    assert chosen[0].detections[0].box_xywh[0] == 100


def test_what_is_detected_once_or_twice_is_a_face_only_in_a_video_of_one_frame():
    assert find_faces([tracklet([3, 9], [0, 0, 50, 50])], seconds(30), [0] * 30) == []
    (face,) = find_faces([tracklet([0], [5, 5, 50, 50])], [0.0], [0])
    assert face.boxes[0] == pytest.approx([5, 5, 50, 50])
    assert face.detected.tolist() == [True]


def test_a_shirt_found_while_the_face_is_turned_away_does_not_become_the_face():
    before, after = tracklet(range(10), [50, 0, 40, 40]), tracklet(range(20, 30), [52, 0, 40, 40])
    shirt = tracklet(range(11, 18), [50, 200, 70, 70])
    chosen = choose([before, shirt, after], [0] * 30)
    assert sorted(t.first for t in chosen) == [before.first, after.first]


def test_a_second_person_is_a_face_of_its_own_when_all_are_asked_for():
    left, right = tracklet(range(30), [0, 0, 60, 60]), tracklet(range(5, 25), [200, 0, 40, 40])
    passer_by = tracklet(range(8, 13), [100, 50, 30, 30])  # half a second
    speck = tracklet(range(30), [300, 200, 9, 9])  # a pattern in the background, always there
    found = [left, right, passer_by, speck]
    main, further = find_faces(found, seconds(30), [0] * 30, "all")
    assert (main.first, len(main.boxes)) == (0, 30)
    assert (further.first, len(further.boxes)) == (5, 20)  # from its first detection to its last
    assert further.boxes[:, 0] == pytest.approx(200)
    assert len(find_faces(found, seconds(30), [0] * 30, "main")) == 1


# In frames


def test_a_cut_starts_a_new_shot_and_the_new_face_is_found_at_once(head_frames):
    other_side = head_frames[:, ::-1, ::-1] // 2  # upside down: no face there
    tracker = follow([*head_frames[:8], *other_side[:8], *head_frames[8:16]])
    assert tracker.shots == [0] * 8 + [1] * 8 + [2] * 8
    assert 16 in [detection.position for each in tracker.tracklets for detection in each.detections]


@pytest.mark.parametrize("fps", [0.2, 0.9, 5])
def test_frames_seconds_apart_are_followed_too(head_frames, fps):
    """With --fps 0.5, or in a time lapse, every frame seemed to end the tracklet before it."""
    (face,) = follow(head_frames[:6], fps=fps).faces()
    assert face.detected.all()


def test_a_face_in_a_dark_room_is_found_and_its_noise_is_none(head_frames):
    dark = [(frame * 0.02 + 4).astype(np.uint8) for frame in there_and_back(head_frames)]
    assert max(frame.max() for frame in dark) < 10
    (face,) = follow(dark).faces()
    assert face.detected.mean() > 0.6
    (in_light,) = follow(there_and_back(head_frames)).faces()
    off = face.boxes[face.detected] - in_light.boxes[face.detected]
    assert np.abs(off).max() < 0.25 * in_light.boxes[:, 2].mean()
    for level in (1, 255):
        noise = np.random.default_rng(0).integers(0, level + 1, (40, 120, 160, 3), np.uint8)
        assert follow(noise).faces() == []


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_a_face_cut_by_the_edge_of_the_frame_is_found(head_frames, edge):
    (face,) = follow(head_frames).faces()
    x, y, w, h = face.boxes.mean(axis=0).round().astype(int)
    shown = {
        "left": np.s_[:, x + w // 5 :],
        "right": np.s_[:, : x + w - w // 5],
        "top": np.s_[y + h // 5 :, :],
        "bottom": np.s_[: y + h - h // 10, :],
    }[edge]
    (found,) = follow([frame[shown] for frame in there_and_back(head_frames)]).faces()
    assert found.detected.mean() > 0.5


def test_a_profile_is_a_face_if_it_is_seen_for_longer_than_a_moment():
    detector = Detector()
    detector._profile = SeesBrightPatches()
    frames = np.full((75, 240, 320, 3), 40, np.uint8)
    frames[20:32, 80:140, 60:120] = 255  # four tenths of a second
    assert follow(frames, detector).faces() == []
    frames[:, 80:140, 60:120] = 255
    (face,) = follow(frames, detector).faces()
    assert face.detected.mean() > 0.5
    assert face.boxes[:, 1] + face.boxes[:, 3] / 2 == pytest.approx(110, abs=6)


# What the search costs


class Counting(Detector):
    """Notes how it was asked to look at whole frames."""

    def __init__(self):
        super().__init__()
        self.looks: list[tuple[Look, float]] = []

    def search_frame(self, frame, smallest_side, look=Look.PLAIN):
        self.looks.append((look, smallest_side))
        return super().search_frame(frame, smallest_side, look)


def test_a_face_that_is_always_seen_costs_no_other_look(head_frames):
    detector = Counting()
    assert follow(there_and_back(head_frames), detector).faces()
    assert {look for look, _ in detector.looks} == {Look.PLAIN}


def test_a_lost_face_does_not_cost_a_fine_search_in_every_frame():
    detector = Counting()
    follow(np.zeros((50, 360, 640, 3), np.uint8), detector)
    sides = [side for look, side in detector.looks if look is Look.PLAIN]
    assert sides.count(min(sides)) <= 4  # in two seconds
    assert sides.count(max(sides)) >= 15
    assert {look for look, _ in detector.looks} == set(Look)
