"""Finding faces in a frame and cutting them out, on arrays alone."""

import cv2
import numpy as np
import pytest

from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.faces.crops import crop_square, resize_face
from deepfake_detector.faces.detector import PROFILE_BACK, PROFILE_SIZE, Detector, Look


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
    assert crop_square(box, 0.3, 100, 100) == expected


def test_crop_of_a_wide_frame_is_limited_by_its_height():
    assert crop_square((100, 10, 90, 90), 0.3, 100, 400) == (95, 0, 100)


def test_crop_is_not_distorted():
    image = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(image, (150, 100), 30, (255, 255, 255), -1)
    crop = resize_face(crop_square((120, 70, 60, 60), 0.3, 200, 300).cut(frame_of_image(image)), 96)
    assert crop.shape == (96, 96, 3)
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=1)
    assert rows.mean() == pytest.approx(47.5, abs=1)


def test_a_search_for_large_faces_only_passes_small_ones_over(head_frames, detector):
    frame = np.ascontiguousarray(head_frames[0][:, :, ::-1])
    small = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    canvas = np.hstack(
        [frame, cv2.copyMakeBorder(small, 0, len(small), 0, 0, cv2.BORDER_REPLICATE)]
    )
    canvas = frame_of_image(canvas)
    both = detector.search_frame(canvas, smallest_side=1)
    (large,) = detector.search_frame(canvas, smallest_side=1.3 * min(both[:, 2]))
    assert len(both) == 2
    assert large[2] > min(both[:, 2])


def test_opencv_5_without_cascades_gives_one_sentence_with_the_remedy(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(
        RuntimeError, match=r"no CascadeClassifier; install .*opencv-python>=4\.8,<5"
    ):
        Detector()


def test_missing_cascade_file_gives_one_sentence_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(RuntimeError, match="came without .*frontalface_alt2.*; install"):
        Detector()


@pytest.mark.parametrize("side", [300, 52, 25])
def test_a_known_face_is_found_again_at_any_size(head_frames, detector, side):
    """Its surroundings are shrunk for the search; boxes come back in pixels of the frame."""
    frame = np.ascontiguousarray(head_frames[0][:, :, ::-1])
    x, y, w, _ = max(
        detector.search_frame(frame_of_image(frame), 1).tolist(), key=lambda box: box[2]
    )
    scale = side / w
    enlarged = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    known = np.array([x, y, w, w], np.float32) * scale
    moved = known + [0.1 * side, 0, 0, 0]
    (found,) = detector.search_near(frame_of_image(enlarged), moved, 0.3, 1.2)
    assert found == pytest.approx(known, abs=0.12 * side)


@pytest.mark.parametrize("left", [60, 130])
def test_a_profile_gives_the_box_that_a_frontal_face_would(left):
    """Found directly or in the mirror, larger than the frontal box and further back."""

    class SeesOneSide:
        """Stands in for the cascade of profiles: sees a bright patch in the left half only."""

        def detectMultiScale(self, grey, **words):
            bright = np.argwhere(grey > 200)
            if not len(bright) or bright[:, 1].mean() > grey.shape[1] / 2:
                return ()
            top, left = bright.min(axis=0)
            bottom, right = bright.max(axis=0)
            return np.array([[left, top, right - left + 1, bottom - top + 1]], np.int32)

    detector = Detector()
    detector._profile = SeesOneSide()
    frame = np.zeros((200, 220, 3), np.uint8)
    frame[80:120, left : left + 40] = 255
    known = np.array([90, 80, 40, 40], np.float32)
    (found,) = detector.search_near(frame_of_image(frame), known, 1, 1.4, Look.TURNED)
    side = 40 / PROFILE_SIZE
    ahead = -1 if left == 60 else 1
    centre = left + 20 + ahead * PROFILE_BACK * side
    assert found[0] + found[2] / 2 == pytest.approx(centre, abs=1)
    assert found[2] == pytest.approx(side, abs=1)
