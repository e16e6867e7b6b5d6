"""Boxes, tracks, averages and crops, on arrays alone."""

import cv2
import numpy as np
import pytest

import faces


def track(positions, box, shot=0):
    return faces.Track(shot, [faces.Hit(p, np.array(box, np.float32)) for p in positions])


def seconds(count, fps=10):
    return np.arange(count) / fps


def test_gap_between_hits_gets_the_time_weighted_average_of_the_boxes_around_it():
    boxes = np.array([[0, 0, 10, 10], [0] * 4, [0] * 4, [0] * 4, [40, 20, 30, 30]], np.float32)
    detected = np.array([True, False, False, False, True])
    filled = faces.average_missing(boxes, detected, seconds(5), np.zeros(5))
    assert filled[2] == pytest.approx([20, 10, 20, 20])  # half-way
    assert filled[1] == pytest.approx([10, 5, 15, 15])  # a quarter of the way
    assert np.array_equal(filled[[0, 4]], boxes[[0, 4]])


def test_frames_before_the_first_and_after_the_last_hit_get_the_mean_of_the_nearest_three():
    boxes = np.zeros((7, 4), np.float32)
    boxes[2:5, 0] = [30, 60, 90]
    detected = np.array([False, False, True, True, True, False, False])
    filled = faces.average_missing(boxes, detected, seconds(7), np.zeros(7))
    assert filled[[0, 1, 5, 6], 0] == pytest.approx([60, 60, 60, 60])


def test_average_does_not_reach_over_a_cut_while_the_shot_has_hits_of_its_own():
    boxes = np.array([[10, 10, 5, 5], [0] * 4, [0] * 4, [90, 90, 5, 5]], np.float32)
    detected = np.array([True, False, False, True])
    filled = faces.average_missing(boxes, detected, seconds(4), np.array([0, 0, 1, 1]))
    assert filled[:, 0] == pytest.approx([10, 10, 90, 90])


def test_smoothing_takes_out_jitter_but_not_a_cut():
    boxes = np.full((40, 4), 50, np.float32)
    boxes[::2, 0] += 4
    boxes[20:, 0] += 100
    shots = np.repeat([0, 1], 20)
    smoothed = faces.smooth(boxes, seconds(40, fps=30), shots)
    assert np.ptp(smoothed[3:17, 0]) < 1
    assert np.ptp(smoothed[23:37, 0]) < 1
    assert smoothed[20, 0] - smoothed[19, 0] == pytest.approx(100, abs=3)


def test_main_face_is_the_largest_and_longest_track():
    small_and_long = track(range(30), [0, 0, 20, 20])
    large_and_long = track(range(2, 28), [100, 0, 60, 60])
    large_and_short = track(range(4), [0, 100, 80, 80])
    tracks = [small_and_long, large_and_short, large_and_long]
    chosen = faces.choose_tracks(tracks, [0] * 30)
    assert chosen[0].hits[0].box_xywh[0] == 100


def test_hits_seen_once_or_twice_are_no_face():
    assert faces.choose_tracks([track([3, 9], [0, 0, 50, 50])], [0] * 30) == []
    assert faces.main_face([track([3], [0, 0, 50, 50])], list(seconds(30)), [0] * 30) is None


def test_a_video_of_one_frame_needs_one_hit_only():
    boxes, detected = faces.main_face([track([0], [5, 5, 50, 50])], [0.0], [0])
    assert boxes[0] == pytest.approx([5, 5, 50, 50])
    assert detected.tolist() == [True]


def test_a_shirt_found_while_the_face_is_turned_away_does_not_become_the_face():
    face_before, face_after = (
        track(range(10), [50, 0, 40, 40]),
        track(range(20, 30), [52, 0, 40, 40]),
    )
    shirt = track(range(11, 18), [50, 200, 70, 70])
    chosen = faces.choose_tracks([face_before, shirt, face_after], [0] * 30)
    assert sorted(t.first for t in chosen) == [face_before.first, face_after.first]


def test_after_a_cut_the_face_may_be_anywhere():
    first, second = (
        track(range(10), [0, 0, 40, 40]),
        track(range(10, 20), [200, 90, 25, 25], shot=1),
    )
    assert len(faces.choose_tracks([first, second], [0] * 10 + [1] * 10)) == 2


def test_a_hit_that_jumps_or_has_the_wrong_size_is_averaged_instead():
    hits = track(range(20), [50, 50, 40, 40]).hits
    hits[7] = faces.Hit(7, np.array([90, 50, 40, 40], np.float32))
    hits[12] = faces.Hit(12, np.array([40, 40, 60, 60], np.float32))
    boxes, detected = faces.main_face([faces.Track(0, hits)], list(seconds(20)), [0] * 20)
    assert np.flatnonzero(~detected).tolist() == [7, 12]
    assert boxes == pytest.approx(np.tile([50, 50, 40, 40], (20, 1)))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((40, 40, 20, 20), (34, 34, 32)),  # 30 % on every side
        ((0, 0, 20, 20), (0, 0, 32)),  # moved inwards at the corner
        ((85, 85, 20, 20), (68, 68, 32)),
        ((10, 10, 90, 90), (0, 0, 100)),  # larger than the frame: as large as it goes
    ],
)
def test_crops_stay_square_and_inside_the_frame(box, expected):
    assert faces.crop_square(box, 0.3, 100, 100) == expected


def test_crop_of_a_wide_frame_is_limited_by_its_height():
    assert faces.crop_square((100, 10, 90, 90), 0.3, 100, 400) == (95, 0, 100)


def test_crop_is_not_distorted():
    image = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(image, (150, 100), 30, (255, 255, 255), -1)
    crop = faces.crop_face(image, np.array([120, 70, 60, 60]), 0.3, 96)
    assert crop.shape == (96, 96, 3)
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=1)
    assert rows.mean() == pytest.approx(47.5, abs=1)


def test_tracker_finds_the_drawn_face_in_every_frame_and_follows_it(head_frames):
    tracker = faces.FaceTracker(faces.load_cascade())
    for index, frame in enumerate(head_frames):
        tracker.add_frame(frame[:, :, ::-1], index / 25)
    boxes, detected = faces.main_face(tracker.tracks, tracker.times_sec, tracker.shots)
    assert boxes.shape == (25, 4)
    assert detected.mean() > 0.9
    assert boxes[:, 2].min() > 0.25 * head_frames.shape[2]


def test_a_search_for_large_faces_only_passes_small_ones_over(head_frames):
    cascade = faces.load_cascade()
    frame = np.ascontiguousarray(head_frames[0][:, :, ::-1])
    small = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    canvas = np.hstack(
        [frame, cv2.copyMakeBorder(small, 0, len(small), 0, 0, cv2.BORDER_REPLICATE)]
    )
    both = faces.search_frame(canvas, cascade)
    (large,) = faces.search_frame(canvas, cascade, smallest_side=1.3 * min(both[:, 2]))
    assert len(both) == 2
    assert large[2] > min(both[:, 2])


def test_a_cut_starts_a_new_shot_and_the_new_face_is_found_at_once(head_frames):
    other_side = head_frames[:, ::-1, ::-1] // 2  # upside down: no face there
    tracker = faces.FaceTracker(faces.load_cascade())
    frames = [*head_frames[:8], *other_side[:8], *head_frames[8:16]]
    for index, frame in enumerate(frames):
        tracker.add_frame(np.ascontiguousarray(frame[:, :, ::-1]), index / 25)
    assert tracker.shots == [0] * 8 + [1] * 8 + [2] * 8
    hits = [hit.position for track in tracker.tracks for hit in track.hits]
    assert 16 in hits


def test_no_face_in_noise():
    noise = np.random.default_rng(0).integers(0, 255, (10, 120, 120, 3), np.uint8)
    tracker = faces.FaceTracker(faces.load_cascade())
    for index, frame in enumerate(noise):
        tracker.add_frame(frame, index / 25)
    assert faces.main_face(tracker.tracks, tracker.times_sec, tracker.shots) is None


def test_opencv_5_without_cascades_gives_one_sentence_with_the_remedy(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(
        RuntimeError, match=r"no CascadeClassifier; install .*opencv-python>=4\.8,<5"
    ):
        faces.load_cascade()


def test_missing_cascade_file_gives_one_sentence_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(RuntimeError, match="came without .*frontalface_alt2.*; install"):
        faces.load_cascade()
