"""Altered faces: what is done to them, and that it is always the same."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError
from deepfake_detector.evaluation import robustness, timelines
from deepfake_detector.face_dataset.boxes import frame_times
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.clip_scorer import ClipScorer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def crops(head_frames) -> np.ndarray:
    return head_frames[:4, 30:130, 30:130]


def test_every_change_keeps_shape_and_type_and_is_the_same_again(crops):
    found = robustness.change(crops)
    assert found.shape == (len(robustness.CHANGES), *crops.shape)
    assert found.dtype == np.uint8
    assert (found == robustness.change(crops)).all()
    assert (found[0] == crops).all()


def test_every_change_but_clean_is_seen(crops):
    for name, changed in robustness.CHANGES.items():
        distance = np.abs(changed(crops).astype(float) - crops).mean()
        assert (distance > 0.5) == (name != "clean"), name


def test_worse_is_further_away(crops):
    def distance(changed):
        return np.abs(changed.astype(float) - crops).mean()

    by_quality = [distance(robustness.jpeg(crops, quality)) for quality in (75, 50, 30)]
    assert by_quality == sorted(by_quality)
    assert distance(robustness.smaller(crops, 2)) < distance(robustness.smaller(crops, 4))


def test_colours_keep_their_places(crops):
    for name, changed in robustness.CHANGES.items():
        before, after = crops.mean(axis=(0, 1, 2)), changed(crops).mean(axis=(0, 1, 2))
        factor = robustness.DARK_FACTOR if name == "dark" else 1
        assert after == pytest.approx(before * factor, abs=3), name


def test_noise_differs_from_frame_to_frame(crops):
    grey = np.full_like(crops, 128)
    noisy = robustness.noisy(grey).astype(float) - 128
    assert noisy.std() == pytest.approx(robustness.NOISE_SIGMA, rel=0.05)
    assert np.abs(noisy[0] - noisy[1]).mean() > 5


def write_video(folder, greys, side=32):
    folder.mkdir()
    for number, grey in enumerate(greys):
        frame = np.full((side, side, 3), grey, np.uint8)
        cv2.imwrite(f"{folder}/{number:03d}.jpeg", frame)
    lines = [f"{number},{number / 10},0,0,9,9,detected" for number in range(len(greys))]
    (folder / "boxes.csv").write_text("\n".join(["frame,time_sec,x,y,w,h,source", *lines]))
    return FaceTrack(folder.name, str(folder), 0, len(greys), 3, folder.name, folder.name)


@pytest.fixture
def brightness():
    """A model whose score is the mean brightness of the clip."""
    clip = tf.keras.Input((3, 16, 16, 3))
    mean = tf.keras.layers.GlobalAveragePooling3D()(tf.keras.layers.Rescaling(1 / 255)(clip))
    weights = [np.full((3, 1), 1 / 3), np.zeros(1)]
    dense = tf.keras.layers.Dense(1)
    model = tf.keras.Model(clip, dense(mean))
    dense.set_weights(weights)
    settings = {"num_frames": 3, "img_size": [16, 16], "faces": {"face_size": 32}}
    return ClipScorer(model, settings, batch_size=4)


def test_variants_of_every_clip_come_back_in_their_places(brightness, tmp_path):
    faces = [write_video(tmp_path / f"v{grey}", [grey] * 5) for grey in (40, 80, 120, 160, 200)]
    paths = whole_video_paths(faces, 3)
    scores = brightness.score_paths(
        paths, faces, lambda clip: np.stack([clip, clip // 2, clip // 4]), num_variants=3
    )
    expected = np.array([40, 80, 120, 160, 200])[:, None] / [255, 510, 1020]
    assert scores == pytest.approx(expected, abs=0.005)


def test_a_timeline_rises_where_the_video_does(brightness, tmp_path):
    face = write_video(tmp_path / "v", [20] * 30 + [220] * 10)
    (points,) = timelines.score(brightness, [face])
    assert len(points) == timelines.WINDOWS
    assert points[0].score == pytest.approx(20 / 255, abs=0.01)
    assert points[-1].score == pytest.approx(220 / 255, abs=0.01)
    assert points[0].time_sec == pytest.approx(0.45)  # frames 0 to 9, ten a second
    assert points[-1].time_sec == pytest.approx(3.45)


def test_the_crops_of_a_whole_video_are_those_of_its_verdict(tmp_path):
    face = write_video(tmp_path / "v", [0] * 9)
    (paths,) = whole_video_paths([face], 3)
    assert [path.decode()[-8:] for path in paths] == ["001.jpeg", "004.jpeg", "007.jpeg"]


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 10, 31, 32, 40, 150])
def test_windows_lie_within_the_video_and_reach_both_ends(num_frames):
    found = timelines.windows(num_frames, clip_frames=8)
    assert found[0][0] == 0
    assert found[-1][0] + found[-1][1] == num_frames or len(found) == 1
    assert 1 <= len(found) <= timelines.WINDOWS
    assert len(set(found)) == len(found)
    assert all(length == min(num_frames, max(8, round(num_frames / 4))) for _, length in found)


def test_a_timeline_without_boxes_has_times_all_the_same(brightness, tmp_path):
    face = write_video(tmp_path / "v", [0] * 9)
    (tmp_path / "v" / "boxes.csv").write_text("frame,time_sec\n0,never\n")
    assert frame_times(face).tolist() == [number / 25 for number in range(9)]
    (tmp_path / "v" / "boxes.csv").unlink()
    assert len(timelines.score(brightness, [face])[0]) == 7
    assert timelines.score(brightness, []) == []


def test_a_crop_that_is_cut_short_is_named(brightness, tmp_path):
    face = write_video(tmp_path / "v", [90] * 6)
    crop = tmp_path / "v" / "003.jpeg"
    crop.write_bytes(crop.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"003\.jpeg, a crop of v, is no JPEG"):
        brightness.score_paths(whole_video_paths([face], 3), [face])


ON_TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.evaluation import robustness
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.clip_scorer import ClipScorer

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
faces = [FaceTrack(path, path, 0, 5, 3, path, path) for path in sys.argv[1:]]
found = []
for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        clip = tf.keras.Input((3, 16, 16, 3))
        score = tf.keras.layers.GlobalAveragePooling3D()(tf.keras.layers.Rescaling(1 / 255)(clip))
        model = tf.keras.Model(clip, score[:, :1])
    settings = {"num_frames": 3, "img_size": [16, 16], "faces": {"face_size": 32}}
    scorer = ClipScorer(model, settings, strategy, batch_size=5)
    paths = whole_video_paths(faces, 3)
    variants = len(robustness.CHANGES)
    found.append(scorer.score_paths(paths, faces, robustness.change, variants))
assert strategy.num_replicas_in_sync == 2
assert found[0].shape == (3, variants)
np.testing.assert_allclose(*found, atol=1e-6)
"""


@pytest.mark.slow
def test_two_devices_score_altered_faces_as_one_does(tmp_path):
    faces = [write_video(tmp_path / f"v{grey}", [grey] * 5).folder for grey in (40, 120, 200)]
    command = [sys.executable, "-c", ON_TWO_DEVICES, *faces]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
