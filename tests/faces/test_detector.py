"""Finding faces in a frame and cutting them out, on arrays alone."""

import cv2
import numpy as np
import pytest

from deepfake_detector.console import UserError
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.faces.crops import crop_square, resize_face
from deepfake_detector.faces.detector import PROFILE_BACK, PROFILE_SIZE, Detector, Look


@pytest.mark.parametrize(
    ("box", "frame", "expected"),
    [
        ((40, 40, 20, 20), (100, 100), (34, 34, 32)),  # 30 % on every side
        ((0, 0, 20, 20), (100, 100), (0, 0, 32)),  # moved inwards at the corner
        ((85, 85, 20, 20), (100, 100), (68, 68, 32)),
        ((10, 10, 90, 90), (100, 100), (0, 0, 100)),  # larger than the frame: as large as it goes
        ((100, 10, 90, 90), (100, 400), (95, 0, 100)),  # height and width
    ],
)
def test_crops_stay_square_and_inside_the_frame(box, frame, expected):
    assert crop_square(box, 0.3, *frame) == expected


def test_crop_is_not_distorted():
    image = np.zeros((200, 300, 3), np.uint8)
    cv2.circle(image, (150, 100), 30, (255, 255, 255), -1)
    crop = resize_face(crop_square((120, 70, 60, 60), 0.3, 200, 300).cut(frame_of_image(image)), 96)
    assert crop.shape == (96, 96, 3)
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=1)
    assert rows.mean() == pytest.approx(47.5, abs=1)


def test_opencv_without_cascades_is_one_sentence_with_the_remedy(monkeypatch, tmp_path):
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"install .*python>=4\.11"):
        patch.delattr(cv2, "CascadeClassifier")  # OpenCV 5
        Detector()
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(UserError, match="came without .*frontalface_alt2.*; install"):
        Detector()


@pytest.mark.parametrize("side", [300, 52, 25])
def test_a_known_face_is_found_again_at_any_size(head_frames, side):
    """Its surroundings are shrunk for the search; boxes come back in pixels of the frame."""
    frame, detector = np.ascontiguousarray(head_frames[0][:, :, ::-1]), Detector()
    x, y, w, _ = max(
        detector.search_frame(frame_of_image(frame), 1).tolist(), key=lambda box: box[2]
    )
    scale = side / w
    enlarged = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    known = np.array([x, y, w, w], np.float32) * scale
    moved = known + [0.1 * side, 0, 0, 0]
    (found,) = detector.search_near(frame_of_image(enlarged), moved, 0.3, 1.2)
    assert found == pytest.approx(known, abs=0.12 * side)


class SeesBrightPatches:
    """Stands in for the cascade of profiles: sees a bright patch, in the left half only."""

    def detectMultiScale(self, grey, **words):
        bright = np.argwhere(grey > 200)
        if len(bright) < 9 or bright[:, 1].mean() > grey.shape[1] / 2:
            return ()
        top, left = bright.min(axis=0)
        bottom, right = bright.max(axis=0)
        return np.array([[left, top, right - left + 1, bottom - top + 1]], np.int32)


@pytest.mark.parametrize("left", [60, 130])
def test_a_profile_gives_the_box_that_a_frontal_face_would(left):
    """Found directly or in the mirror, larger than the frontal box and further back."""
    detector = Detector()
    detector._profile = SeesBrightPatches()
    frame = np.zeros((200, 220, 3), np.uint8)
    frame[80:120, left : left + 40] = 255
    known = np.array([90, 80, 40, 40], np.float32)
    (found,) = detector.search_near(frame_of_image(frame), known, 1, 1.4, Look.TURNED)
    side = 40 / PROFILE_SIZE
    ahead = -1 if left == 60 else 1
    centre = left + 20 + ahead * PROFILE_BACK * side
    assert found[0] + found[2] / 2 == pytest.approx(centre, abs=1)
    assert found[2] == pytest.approx(side, abs=1)
