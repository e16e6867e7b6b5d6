"""A fake and the video that it was made from are found to belong together by their background."""

import json

import cv2
import numpy as np
import pytest

import processing
import sample_data
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.face_dataset.background import Background, find_originals
from deepfake_detector.face_dataset.boxes import Crop

HEIGHT, WIDTH, FACE_XYWH = 180, 320, (120, 40, 80, 80)


def room(seed: int) -> np.ndarray:
    """Return a picture with structure everywhere, `(HEIGHT, WIDTH, 3) uint8`."""
    blobs = np.random.default_rng(seed).integers(0, 255, (24, 40, 3), np.uint8)
    return cv2.resize(blobs, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def with_face(image: np.ndarray, seed: int) -> np.ndarray:
    x, y, w, h = FACE_XYWH
    image = image.copy()
    image[y : y + h, x : x + w] = np.random.default_rng(seed).integers(0, 255, (h, w, 3), np.uint8)
    return image


def hashes(images, face_xywh=FACE_XYWH) -> str:
    background, crops = Background(), []
    frames = (frame_of_image(image, number, float(number)) for number, image in enumerate(images))
    for frame in background.watch(frames):
        crops.append(Crop(None, frame.index, frame.time_sec, face_xywh, "detected"))
    return background.hashes([crops])


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpeg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def test_a_fake_is_matched_with_its_original_and_with_no_other():
    rooms = [[room(10 * video + moment) for moment in range(3)] for video in range(5)]
    reals = {
        f"real_{video}": hashes([with_face(image, video) for image in images])
        for video, images in enumerate(rooms)
    }
    fakes = {
        f"fake_{video}": hashes([compressed(with_face(image, 99), 30) for image in images])
        for video, images in enumerate(rooms)
    }
    fakes["fake_of_none"] = hashes([room(77), room(78), room(79)])
    assert find_originals(fakes, reals) == {f"fake_{n}": f"real_{n}" for n in range(5)}


def test_another_take_in_the_same_place_is_no_original():
    """The first moment agrees; a second later somebody has walked on."""
    real = hashes([room(1), room(2), room(3)])
    assert find_originals({"fake": hashes([room(1), room(8), room(9)])}, {"real": real}) == {}


@pytest.mark.parametrize("bars", [0, 40])
def test_even_walls_and_black_bars_match_nothing(bars):
    wall = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    wall[:, :bars] = wall[:, WIDTH - bars :] = 0
    same = hashes([wall] * 3)
    assert find_originals({"fake": same}, {"real": same}) == {}


def test_where_the_face_fills_the_frame_nothing_is_known():
    images = [room(number) for number in range(3)]
    same = hashes(images, face_xywh=(60, 0, 200, 180))
    assert find_originals({"fake": same}, {"real": same}) == {}


def test_videos_without_hashes_match_nothing():
    assert find_originals({"old": ""}, {"old": ""}) == {}
    assert find_originals({"new": hashes([room(1)])}, {}) == {}


def test_fakes_of_unknown_origin_get_their_original_when_faces_are_made(tmp_path, head_frames):
    """Nothing in the names says so: real/a.mp4 and fake/x.mp4."""
    for seed, (real, fake) in enumerate([("a", "x"), ("b", "y")]):
        frames = np.stack([room(seed)] * 10)
        frames[:, 10:170, 80:240] = [cv2.resize(head, (160, 160)) for head in head_frames[:10]]
        for folder, name in (("real", real), ("fake", fake)):
            (tmp_path / "videos" / folder).mkdir(parents=True, exist_ok=True)
            sample_data.write_video(tmp_path / "videos" / folder / f"{name}.mp4", frames, fps=25)
            frames = frames.copy()
            frames[:, 60:110, 130:190] = cv2.blur(frames[0, 60:110, 130:190], (9, 9))
    processing.processing(tmp_path / "videos", tmp_path / "faces")
    metadata = json.loads((tmp_path / "faces" / "metadata.json").read_text())
    assert metadata["fake__x.mp4"]["original"] == "real__a.mp4"
    assert metadata["fake__y.mp4"]["original"] == "real__b.mp4"
    assert metadata["fake__y.mp4"]["original_by"] == "background"
    assert not metadata["real__a.mp4"].get("original")
