"""Following faces through frames: tracklets, averages and smoothing, on arrays alone."""

import numpy as np
import pytest

from deepfake_detector.decoding.frame import Frame, frame_of_image
from deepfake_detector.faces import smoothing
from deepfake_detector.faces.detector import PROFILE_SIZE, Detector, Look
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


def test_a_gap_between_detections_gets_the_time_weighted_average_of_the_boxes_around_it():
    boxes = np.array([[0, 0, 10, 10], [0] * 4, [0] * 4, [0] * 4, [40, 20, 30, 30]], np.float32)
    detected = np.array([True, False, False, False, True])
    filled = smoothing.average_missing(boxes, detected, seconds(5), np.zeros(5))
    assert filled[2] == pytest.approx([20, 10, 20, 20])  # half-way
    assert filled[1] == pytest.approx([10, 5, 15, 15])  # a quarter of the way
    assert np.array_equal(filled[[0, 4]], boxes[[0, 4]])


def test_frames_before_the_first_and_after_the_last_detection_get_the_mean_of_the_nearest_three():
    boxes = np.zeros((7, 4), np.float32)
    boxes[2:5, 0] = [30, 60, 90]
    detected = np.array([False, False, True, True, True, False, False])
    filled = smoothing.average_missing(boxes, detected, seconds(7), np.zeros(7))
    assert filled[[0, 1, 5, 6], 0] == pytest.approx([60, 60, 60, 60])


def test_average_does_not_reach_over_a_cut_while_the_shot_has_detections_of_its_own():
    boxes = np.array([[10, 10, 5, 5], [0] * 4, [0] * 4, [90, 90, 5, 5]], np.float32)
    detected = np.array([True, False, False, True])
    filled = smoothing.average_missing(boxes, detected, seconds(4), np.array([0, 0, 1, 1]))
    assert filled[:, 0] == pytest.approx([10, 10, 90, 90])


def test_smoothing_takes_out_jitter_but_not_a_cut():
    boxes = np.full((40, 4), 50, np.float32)
    boxes[::2, 0] += 4
    boxes[20:, 0] += 100
    shots = np.repeat([0, 1], 20)
    smoothed = smoothing.smooth(boxes, seconds(40, fps=30), shots)
    assert np.ptp(smoothed[3:17, 0]) < 1
    assert np.ptp(smoothed[23:37, 0]) < 1
    assert smoothed[20, 0] - smoothed[19, 0] == pytest.approx(100, abs=3)


def test_main_face_is_the_largest_and_longest_tracklet():
    small_and_long = tracklet(range(30), [0, 0, 20, 20])
    large_and_long = tracklet(range(2, 28), [100, 0, 60, 60])
    large_and_short = tracklet(range(4), [0, 100, 80, 80])
    found = [small_and_long, large_and_short, large_and_long]
    chosen = choose(found, [0] * 30)
    assert chosen[0].detections[0].box_xywh[0] == 100


def test_what_is_detected_once_or_twice_is_no_face():
    assert choose([tracklet([3, 9], [0, 0, 50, 50])], [0] * 30) == []
    assert find_faces([tracklet([3], [0, 0, 50, 50])], seconds(30), [0] * 30) == []


def test_a_video_of_one_frame_needs_one_detection_only():
    (face,) = find_faces([tracklet([0], [5, 5, 50, 50])], [0.0], [0])
    assert face.boxes[0] == pytest.approx([5, 5, 50, 50])
    assert face.detected.tolist() == [True]


def test_a_shirt_found_while_the_face_is_turned_away_does_not_become_the_face():
    face_before, face_after = (
        tracklet(range(10), [50, 0, 40, 40]),
        tracklet(range(20, 30), [52, 0, 40, 40]),
    )
    shirt = tracklet(range(11, 18), [50, 200, 70, 70])
    chosen = choose([face_before, shirt, face_after], [0] * 30)
    assert sorted(t.first for t in chosen) == [face_before.first, face_after.first]


def test_after_a_cut_the_face_may_be_anywhere():
    first, second = (
        tracklet(range(10), [0, 0, 40, 40]),
        tracklet(range(10, 20), [200, 90, 25, 25], shot=1),
    )
    assert len(choose([first, second], [0] * 10 + [1] * 10)) == 2


def test_a_detection_that_jumps_or_has_the_wrong_size_is_averaged_instead():
    detections = tracklet(range(20), [50, 50, 40, 40]).detections
    detections[7] = Detection(7, np.array([90, 50, 40, 40], np.float32))
    detections[12] = Detection(12, np.array([40, 40, 60, 60], np.float32))
    (face,) = find_faces([Tracklet(0, detections)], seconds(20), [0] * 20)
    assert np.flatnonzero(~face.detected).tolist() == [7, 12]
    assert face.boxes == pytest.approx(np.tile([50, 50, 40, 40], (20, 1)))


def test_tracker_finds_the_synthetic_face_in_every_frame_and_follows_it(head_frames, detector):
    tracker = FaceTracker(detector)
    for index, frame in enumerate(head_frames):
        tracker.add_frame(frame_of_rgb(frame, index / 25))
    (face,) = tracker.faces()
    assert face.boxes.shape == (25, 4)
    assert face.detected.mean() > 0.9
    assert face.boxes[:, 2].min() > 0.25 * head_frames.shape[2]


def test_a_cut_starts_a_new_shot_and_the_new_face_is_found_at_once(head_frames, detector):
    other_side = head_frames[:, ::-1, ::-1] // 2  # upside down: no face there
    tracker = FaceTracker(detector)
    frames = [*head_frames[:8], *other_side[:8], *head_frames[8:16]]
    for index, frame in enumerate(frames):
        tracker.add_frame(frame_of_rgb(frame, index / 25))
    assert tracker.shots == [0] * 8 + [1] * 8 + [2] * 8
    detections = [
        detection.position for tracklet in tracker.tracklets for detection in tracklet.detections
    ]
    assert 16 in detections


def test_no_face_in_noise(detector):
    noise = np.random.default_rng(0).integers(0, 255, (10, 120, 120, 3), np.uint8)
    tracker = FaceTracker(detector)
    for index, frame in enumerate(noise):
        tracker.add_frame(frame_of_rgb(frame, index / 25))
    assert tracker.faces() == []


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


def test_a_further_face_does_not_reach_over_a_cut():
    main = [tracklet(range(20), [0, 0, 60, 60]), tracklet(range(20, 40), [0, 0, 60, 60], shot=1)]
    other = [
        tracklet(range(20), [200, 0, 40, 40]),
        tracklet(range(20, 40), [90, 0, 40, 40], shot=1),
    ]
    found = find_faces([*main, *other], seconds(40), [0] * 20 + [1] * 20, "all")
    assert [(face.first, len(face.boxes)) for face in found] == [(0, 40), (0, 20), (20, 20)]


def test_two_people_side_by_side_are_two_faces(head_frames, detector):
    tracker = FaceTracker(detector, "all")
    for index, frame in enumerate(head_frames):
        both = np.hstack([frame, frame[:, ::-1]])
        tracker.add_frame(frame_of_rgb(both, index / 25))
    found = tracker.faces()
    assert len(found) == 2
    lefts = sorted(face.boxes[:, 0].mean() for face in found)
    assert lefts[0] < 160 < lefts[1]


def test_one_face_is_not_followed_twice(head_frames, detector):
    tracker = FaceTracker(detector, "all")
    tracker.add_frame(frame_of_rgb(head_frames[0], 0.0))
    detection = tracker.live[0].detections[0]
    nearby = Tracklet(0, [Detection(0, detection.box_xywh + [30, 0, 0, 0])])
    tracker.tracklets.append(nearby)
    tracker.live.append(nearby)
    for index in range(1, 8):
        tracker.add_frame(frame_of_rgb(head_frames[0], index / 25))
    assert tracker.live == tracker.tracklets[:1]
    assert len(tracker.faces()) == 1


@pytest.mark.parametrize("fps", [0.2, 0.9, 5])
def test_frames_seconds_apart_are_followed_too(head_frames, detector, fps):
    """With --fps 0.5, or in a time lapse, every frame seemed to end the tracklet before it."""
    tracker = FaceTracker(detector)
    for index, frame in enumerate(head_frames[:6]):
        tracker.add_frame(frame_of_rgb(frame, index / fps))
    (face,) = tracker.faces()
    assert face.detected.all()


def follow(frames_rgb, detector, fps=25):
    """Return the faces that a tracker finds in the frames."""
    tracker = FaceTracker(detector)
    for index, frame in enumerate(frames_rgb):
        tracker.add_frame(frame_of_rgb(np.ascontiguousarray(frame), index / fps))
    return tracker.faces()


def there_and_back(frames):
    return [*frames, *frames[::-1]] * 2


def test_a_face_in_a_dark_room_is_found(head_frames):
    dark = [(frame * 0.02 + 4).astype(np.uint8) for frame in there_and_back(head_frames)]
    assert max(frame.max() for frame in dark) < 10
    (face,) = follow(dark, Detector())
    assert face.detected.mean() > 0.6
    (in_light,) = follow(there_and_back(head_frames), Detector())
    off = face.boxes[face.detected] - in_light.boxes[face.detected]
    assert np.abs(off).max() < 0.25 * in_light.boxes[:, 2].mean()


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_a_face_cut_by_the_edge_of_the_frame_is_found(head_frames, edge):
    (face,) = follow(there_and_back(head_frames), Detector())
    x, y, w, h = face.boxes.mean(axis=0).round().astype(int)
    shown = {
        "left": np.s_[:, x + w // 5 :],
        "right": np.s_[:, : x + w - w // 5],
        "top": np.s_[y + h // 5 :, :],
        "bottom": np.s_[: y + h - h // 10, :],
    }[edge]
    cut = [frame[shown] for frame in there_and_back(head_frames)]
    (found,) = follow(cut, Detector())
    assert found.detected.mean() > 0.5


class SeesProfilesOnly:
    """Stands in for the profile cascade, which knows no synthetic heads: sees bright patches."""

    def detectMultiScale(self, grey, **words):
        bright = np.argwhere(grey > 200)
        if len(bright) < 9:
            return ()
        top, left = bright.min(axis=0)
        bottom, right = bright.max(axis=0)
        return np.array([[left, top, right - left + 1, bottom - top + 1]], np.int32)


def test_a_person_in_profile_from_the_first_frame_to_the_last_is_found():
    detector = Detector()
    detector._profile = SeesProfilesOnly()
    frame = np.full((240, 320, 3), 40, np.uint8)
    frame[80:140, 100:160] = 255
    (face,) = follow([frame] * 75, detector)
    assert face.detected.mean() > 0.5
    side = 60 / PROFILE_SIZE
    assert face.boxes[:, 2] == pytest.approx(side, abs=3)
    assert face.boxes[:, 1] + face.boxes[:, 3] / 2 == pytest.approx(110, abs=6)


def test_what_only_looks_like_a_profile_for_a_moment_is_no_face():
    detector = Detector()
    detector._profile = SeesProfilesOnly()
    frames = np.full((75, 240, 320, 3), 40, np.uint8)
    frames[20:32, 80:140, 100:160] = 255  # four tenths of a second
    assert follow(frames, detector) == []


@pytest.mark.parametrize("level", [1, 10, 255])
def test_no_face_in_the_noise_of_a_dark_room(level):
    noise = np.random.default_rng(0).integers(0, level + 1, (40, 120, 160, 3), np.uint8)
    assert follow(noise, Detector()) == []


class Counting(Detector):
    """Notes how it was asked to look at whole frames."""

    def __init__(self):
        super().__init__()
        self.looks: list[Look] = []

    def search_frame(self, frame, smallest_side, look=Look.PLAIN):
        self.looks.append(look)
        return super().search_frame(frame, smallest_side, look)


def test_a_face_that_is_always_seen_costs_no_other_look(head_frames):
    detector = Counting()
    assert follow(there_and_back(head_frames), detector)
    assert set(detector.looks) == {Look.PLAIN}


def test_other_looks_wait_half_a_second_in_a_window_late_in_a_video_too(head_frames):
    detector = Counting()
    tracker = FaceTracker(detector)
    for index in range(24):
        tracker.add_frame(frame_of_rgb(np.zeros((120, 160, 3), np.uint8), 60 + index / 25))
        others = [look for look in detector.looks if look is not Look.PLAIN]
        assert bool(others) == (index >= 13)


def test_a_face_found_by_a_plain_look_later_on_is_as_sure_as_any(head_frames):
    frames = there_and_back(head_frames)
    light = np.clip((np.arange(len(frames)) - 30) / 10, 0.02, 1)
    tracker = FaceTracker(Detector())
    for index, frame in enumerate(frames):
        image = (frame * light[index] + 4 * (1 - light[index])).astype(np.uint8)
        tracker.add_frame(frame_of_rgb(image, index / 25))
    assert tracker.tracklets[0].look is Look.PLAIN
    (face,) = tracker.faces()
    assert face.detected[50:].mean() > 0.9


def test_a_lost_face_does_not_cost_a_fine_search_in_every_frame():
    class Blind:
        """A detector that sees nothing and notes what was asked of it."""

        sides: list[float] = []

        def search_frame(self, frame, smallest_side, look=Look.PLAIN):
            if look is Look.PLAIN:
                self.sides.append(smallest_side)
            return np.zeros((0, 4), np.float32)

    tracker = FaceTracker(Blind())
    for index in range(50):
        tracker.add_frame(frame_of_rgb(np.zeros((720, 1280, 3), np.uint8), index / 25))
    finest = min(Blind.sides)
    assert Blind.sides.count(finest) <= 4  # in two seconds
    assert Blind.sides.count(max(Blind.sides)) >= 15
