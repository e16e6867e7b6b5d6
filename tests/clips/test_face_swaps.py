"""Face swaps: whose face is taken, where it goes, and in which colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake_detector.clips.face_swaps import NO_DONOR, LookAlikes, swap
from deepfake_detector.face_dataset.face_tracks import FaceTrack

SIDE = 112


def face(skin_rgb: tuple[int, int, int], nose_x: float = 0.5) -> np.ndarray:
    """Return a drawn face that looks at the camera, or to one side, `(SIDE, SIDE, 3) uint8`."""
    picture = np.full((SIDE, SIDE, 3), (90, 110, 130), np.uint8)
    place = lambda x, y: (round(x * SIDE), round(y * SIDE))  # noqa: E731
    cv2.ellipse(picture, place(0.5, 0.55), place(0.27, 0.36), 0, 0, 360, skin_rgb, -1)
    shade = tuple(round(0.5 * value) for value in skin_rgb)
    for x in (nose_x - 0.12, nose_x + 0.12):
        cv2.circle(picture, place(x, 0.44), 5, shade, -1)
    cv2.ellipse(picture, place(nose_x, 0.68), place(0.09, 0.03), 0, 0, 360, shade, -1)
    cv2.ellipse(picture, place(nose_x, 0.57), place(0.03, 0.07), 0, 0, 360, shade, -1)
    return cv2.GaussianBlur(picture, (0, 0), 1.5)


LIGHT, DARK = (225, 185, 165), (110, 75, 55)


@pytest.fixture
def write_track(tmp_path):
    def write(name: str, picture: np.ndarray, people: tuple[str, ...] = ()) -> FaceTrack:
        folder = tmp_path / name
        folder.mkdir()
        cv2.imwrite(str(folder / "000.jpeg"), picture[..., ::-1])
        return FaceTrack(name, str(folder), 0, 1, 3, name, name, people=people)

    return write


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_donor_looks_alike_and_is_somebody_else(write_track):
    tracks = [
        write_track("light", face(LIGHT)),
        write_track("dark", face(DARK)),
        write_track("dark to the left", face(DARK, nose_x=0.36)),
        write_track("light too", face((215, 180, 160))),
        write_track("dark too", face((118, 80, 60))),
    ]
    look_alikes = LookAlikes(tracks)
    found = [tracks[look_alikes.donor_of(index, rng())].name for index in range(2)]
    assert found == ["light too", "dark too"]


def test_a_person_gives_no_face_to_himself_in_another_video_and_a_fake_to_nobody(write_track):
    ann = [write_track(name, face(LIGHT), ("Ann",)) for name in ("a", "b")]
    fake = FaceTrack("c", ann[0].folder, 1, 1, 3, "c", "c")
    assert LookAlikes([*ann, fake]).donor_of(0, rng()) == NO_DONOR


def test_a_candidate_whose_crop_is_lost_or_damaged_is_passed_over(write_track):
    tracks = [write_track(name, face(LIGHT)) for name in ("a", "gone", "damaged", "b")]
    Path(tracks[1].crop_path(0)).unlink()
    Path(tracks[2].crop_path(0)).write_bytes(b"no picture")
    look_alikes = LookAlikes(tracks)
    assert look_alikes.donor_of(0, rng()) == 3
    assert look_alikes.donor_of(1, rng()) == NO_DONOR


def test_a_swap_puts_the_face_of_the_donor_into_the_middle_and_leaves_the_border_alone():
    frames, donor = np.stack([face(LIGHT)] * 2), np.stack([face(LIGHT, nose_x=0.44)] * 2)
    changed = np.stack([
        np.abs(swap(frames, donor, rng(seed)).astype(int) - frames).max(axis=(0, 3))
        for seed in range(30)
    ])  # fmt: skip
    assert changed[:, :6].max() <= 3 and changed[:, :, :6].max() <= 3  # the colours are rounded
    assert np.median(changed[:, 40:85, 35:75].max(axis=(1, 2))) > 20


def test_the_same_seed_gives_the_same_swap_and_all_frames_of_a_still_clip_are_alike():
    frames, donor = np.stack([face(LIGHT)] * 3), np.stack([face(DARK)] * 3)
    first, again, other = (swap(frames, donor, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first[0], first[2])


def test_the_donor_gets_the_colours_of_the_target():
    frames, donor = face(LIGHT)[None], face(DARK)[None]
    cheek = slice(60, 66), slice(34, 42)
    kept = frames[0][cheek].mean()
    swapped = np.median([swap(frames, donor, rng(seed))[0][cheek].mean() for seed in range(30)])
    assert abs(swapped - kept) < 0.3 * abs(donor[0][cheek].mean() - kept)


def test_the_donor_is_moved_to_where_the_face_is():
    """The same person 5 pixels aside: nothing but the alterations is left to be seen."""
    frames = face(LIGHT)[None]
    aside = np.roll(frames, 5, axis=2)

    def change(donor):
        swaps = [swap(frames, donor, rng(seed)).astype(int) for seed in range(30)]
        return np.median([np.abs(swapped - frames)[0, 40:85, 35:75].mean() for swapped in swaps])

    assert change(aside) < 0.35 * np.abs(aside.astype(int) - frames)[0, 40:85, 35:75].mean()


@pytest.mark.parametrize("size", [(48, 64), (160, 160)])
def test_donors_of_another_size_and_faces_without_detail_can_be_swapped(size):
    frames = np.full((2, *size, 3), 128, np.uint8)
    swapped = swap(frames, np.full((2, 32, 32, 3), 90, np.uint8), rng())
    assert swapped.shape == frames.shape
    assert swapped.dtype == np.uint8
