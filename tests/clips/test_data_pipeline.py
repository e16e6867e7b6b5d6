"""From folders of faces to clips: the order of an epoch, the arrays that come out."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

import data_pipeline
from deepfake_detector.clips import loading, pairs
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import list_faces


@pytest.fixture
def numbered_faces(tmp_path) -> Path:
    """Faces whose grey level is ten times the number of the frame: a real one of 12 frames and a
    fake one of 3."""
    folder, metadata = tmp_path / "faces", {}
    for name, label, num_frames in (("long.mp4", "REAL", 12), ("short.mp4", "FAKE", 3)):
        (folder / name).mkdir(parents=True)
        for index in range(num_frames):
            image = np.full((32, 32, 3), 10 * index, np.uint8)
            cv2.imwrite(str(folder / name / f"{index:03d}.jpeg"), image)
        metadata[name] = {"label": label, "split": "train", "original": None}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


def test_the_call_of_the_predecessor_still_works(sample_faces):
    dataset = data_pipeline.build_dataset(
        file_loc=str(sample_faces), img_size=[48, 40], shuffle_buffer=800, batch_size=4
    )
    clips, labels, weights = next(iter(dataset))
    assert clips.shape == (4, 8, 48, 40, 3)
    assert clips.dtype == tf.uint8
    assert labels.shape == weights.shape == (4, 1)


@pytest.mark.parametrize("training", [True, False])
def test_every_axis_is_static_because_keras_goes_wrong_otherwise(sample_faces, training):
    dataset = data_pipeline.build_dataset(
        sample_faces, (32, 32), batch_size=4, num_frames=6, training=training
    )
    assert dataset.element_spec[0].shape == (4, 6, 32, 32, 3)


def test_frames_are_spread_over_the_video_and_repeated_in_order_where_it_is_short(numbered_faces):
    dataset = data_pipeline.build_dataset(numbered_faces, (32, 32), batch_size=2, num_frames=6)
    clips, labels, _ = next(iter(dataset))
    levels = np.round(clips.numpy().mean(axis=(2, 3, 4)) / 10).astype(int)
    assert levels[0].tolist() == [1, 3, 5, 7, 9, 11]  # 12 frames
    assert levels[1].tolist() == [0, 0, 1, 1, 2, 2]  # 3 frames
    assert labels.numpy().ravel().tolist() == [0, 1]


def test_no_frame_of_a_clip_is_a_silent_zero(sample_faces):
    """What a TensorArray whose write is not re-assigned gives."""
    for clips, _, _ in data_pipeline.build_dataset(sample_faces, (32, 32), batch_size=4):
        assert clips.numpy().max(axis=(2, 3, 4)).min() > 60


def test_clips_are_the_faces_on_disk_in_rgb(sample_faces):
    video = list_faces(sample_faces)[0]
    dataset = data_pipeline.build_dataset(
        tracks=[video], img_size=(64, 64), num_frames=10, batch_size=1
    )
    clip = next(iter(dataset))[0][0].numpy().astype(int)
    on_disk = cv2.imread(f"{video.folder}/003.jpeg")[:, :, ::-1].astype(int)
    assert np.abs(clip[3] - on_disk).mean() < 2  # two JPEG decoders


def test_padding_weighs_nothing_and_both_classes_weigh_the_same(sample_faces):
    faces = list_faces(sample_faces)
    reals, fakes = ([f for f in faces if f.label == label] for label in (0, 1))
    tracks = reals[:4] + fakes[:1]
    dataset = data_pipeline.build_dataset(tracks=tracks, img_size=(16, 16), batch_size=3)
    labels = np.concatenate([batch[1].numpy() for batch in dataset]).ravel()
    weights = np.concatenate([batch[2].numpy() for batch in dataset]).ravel()
    assert len(weights) == 6
    assert weights[5] == 0
    assert (weights * labels).mean() == pytest.approx(0.5)
    assert weights.mean() == pytest.approx(1)


def batches(sample_faces, count=4, **options):
    dataset = data_pipeline.build_dataset(
        sample_faces, (32, 32), batch_size=4, training=True, **options
    )
    return [clips.numpy() for clips, _ in dataset.take(count)]


def equal(batches, others):
    return all(np.array_equal(*pair) for pair in zip(batches, others, strict=True))


def test_training_clips_are_the_same_for_the_same_seed_and_differ_between_epochs(sample_faces):
    first = batches(sample_faces, 8, self_blend=0.5)
    assert equal(first[:2], batches(sample_faces, 2, self_blend=0.5))
    assert equal(first[4:6], batches(sample_faces, 2, self_blend=0.5, first_epoch=1))
    assert not np.array_equal(first[0], first[4])  # 8 pairs: an epoch is four batches
    assert not np.array_equal(first[0], batches(sample_faces, 1, self_blend=0.5, seed=1)[0])


@pytest.mark.slow
def test_an_epoch_of_more_steps_is_filled_with_further_rounds(sample_faces):
    longer = batches(sample_faces, 8, min_steps=6)
    assert equal(longer[:4], batches(sample_faces, 4))
    assert equal(longer[6:], batches(sample_faces, 2, min_steps=6, first_epoch=1))


def test_self_blends_of_real_videos_alone_are_labelled_as_fakes_and_differ_from_their_target(
    sample_faces,
):
    reals = [face for face in list_faces(sample_faces) if face.label == 0]
    options = {"tracks": reals, "img_size": (64, 64), "batch_size": 4, "self_blend": 1.0}
    dataset = data_pipeline.build_dataset(training=True, **options)
    for clips, labels in dataset.take(3):
        assert labels.numpy().ravel().tolist() == [0, 1, 0, 1]
        differences = np.abs(np.diff(clips.numpy().astype(int), axis=0))[::2]
        assert all(0 < difference.mean() < 30 for difference in differences)


def test_swaps_are_fakes_with_the_face_of_another_real_video(sample_faces, monkeypatch):
    monkeypatch.setattr(pairs, "SWAPPED_SHARE", 1.0)
    reals = [face for face in list_faces(sample_faces) if face.label == 0]
    options = {"img_size": (64, 64), "batch_size": 4, "self_blend": 1.0, "training": True}
    swaps, again, alone = (
        list(data_pipeline.build_dataset(tracks=tracks, **options).take(2))
        for tracks in (reals, reals, reals[:1] * 4)
    )
    for (clips, labels), (same, _), (of_one, _) in zip(swaps, again, alone, strict=True):
        assert labels.numpy().ravel().tolist() == [0, 1, 0, 1]
        assert np.array_equal(clips, same)
        for batch in (clips, of_one):  # where there is nobody else, it is a self-blend
            assert np.abs(np.diff(batch.numpy().astype(int), axis=0))[::2].mean() > 0


def test_validation_has_each_real_video_once_more_as_a_fake_always_the_same(sample_faces):
    faces = list_faces(sample_faces)[:6]
    num_reals = sum(face.label == 0 for face in faces)
    options = {"tracks": faces, "img_size": (32, 32), "batch_size": 3}
    dataset = data_pipeline.build_dataset(self_blend=0.5, **options)
    first, again = ([batch[0].numpy() for batch in dataset] for _ in range(2))
    assert np.array_equal(first, again)
    labels, weights = (
        np.concatenate([batch[column].numpy() for batch in dataset]).ravel() for column in (1, 2)
    )
    assert (weights > 0).sum() == 6 + num_reals
    assert labels[weights > 0].tolist() == [face.label for face in faces] + [1] * num_reals
    assert (weights * labels).sum() / weights.sum() == pytest.approx(0.5)
    plain = np.concatenate([batch[0].numpy() for batch in data_pipeline.build_dataset(**options)])
    assert np.array_equal(np.concatenate(first)[:6], plain)


def test_frames_are_augmented_alike_and_those_of_a_still_video_stay_alike(tmp_path):
    """Augmenting frame by frame would add the very flicker that fakes are known by."""
    rng = np.random.default_rng(0)
    face = cv2.GaussianBlur(rng.integers(0, 255, (64, 64, 3), np.uint8), (0, 0), 4)
    metadata = {}
    for name, label in (("a.mp4", "REAL"), ("b.mp4", "FAKE")):
        (tmp_path / name).mkdir()
        for index in range(5):
            cv2.imwrite(str(tmp_path / name / f"{index:03d}.jpeg"), face)
        metadata[name] = {"label": label}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    dataset = data_pipeline.build_dataset(tmp_path, (48, 48), batch_size=2, training=True)
    clips = [clips.numpy().astype(int) for clips, _ in dataset.take(12)]
    for real, fake in clips:
        assert np.ptp(real, axis=0).max() == 0
        assert np.array_equal(real, fake)  # a pair is augmented alike
    assert max(np.abs(a[0] - b[0]).mean() for a, b in zip(clips, clips[1:], strict=False)) > 5


# Many devices and machines


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
def test_the_shards_of_all_machines_together_are_the_batches_of_one_device(sample_faces, training):
    """8 devices on 1, 2 and 4 machines: replica k of all gets rows k * B/R to (k + 1) * B/R."""

    def rows_of(worker: int, num_workers: int, num_replicas: int) -> list[np.ndarray]:
        dataset = data_pipeline.build_dataset(
            tracks=list_faces(sample_faces)[:14],  # 14: the last batch is padded
            img_size=(32, 32),
            batch_size=8,
            training=training,
            num_replicas=num_replicas,
            shard=(worker, num_workers),
        )
        elements = dataset.take(3 * num_replicas // num_workers) if training else dataset
        parts = [[part.numpy() for part in element] for element in elements]
        assert {len(part[0]) for part in parts} == {8 // num_replicas}
        # (global batches, rows of this worker, ...)
        together = [np.concatenate(part) for part in zip(*parts, strict=True)]
        return [part.reshape(-1, 8 // num_workers, *part.shape[1:]) for part in together]

    whole = rows_of(0, 1, 1)
    assert len(whole[0]) == (3 if training else 2)
    for num_workers, num_replicas in ((1, 2), (2, 4)):
        workers = [rows_of(worker, num_workers, num_replicas) for worker in range(num_workers)]
        for one_device, shards in zip(whole, zip(*workers, strict=True), strict=True):
            assert np.array_equal(one_device, np.concatenate(shards, axis=1))


def test_a_machine_reads_nothing_of_what_the_others_train_on(numbered_faces):
    """Worker 0 gets the real one, worker 1 the fake: each does without the other's files."""
    videos = list_faces(numbered_faces)
    options = {"img_size": (32, 32), "batch_size": 2, "training": True, "num_replicas": 2}
    for worker, other in ((0, 1), (1, 0)):
        gone = [replace(v, folder="gone") if v.label == other else v for v in videos]
        dataset = data_pipeline.build_dataset(tracks=gone, shard=(worker, 2), **options)
        assert [labels.numpy().item() for _, labels in dataset.take(2)] == [worker] * 2


def test_a_batch_that_devices_cannot_share_evenly_is_one_sentence(numbered_faces):
    with pytest.raises(UserError, match="a batch of 6 clips .* 4 devices; .* multiple of 4"):
        data_pipeline.build_dataset(numbered_faces, batch_size=6, num_replicas=4)


def test_the_number_of_batches_is_known_lest_keras_counts_an_empty_one(sample_faces):
    """It made the validation loss a third too small."""
    options = {"img_size": (32, 32), "batch_size": 6, "num_replicas": 2}
    for shard, expected in (((0, 1), 6), ((1, 2), 3)):
        scoring = data_pipeline.build_dataset(sample_faces, shard=shard, **options)
        assert scoring.cardinality() == len(list(scoring)) == expected
    training = data_pipeline.build_dataset(sample_faces, training=True, **options)
    assert training.cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 3)])
def test_a_shard_that_is_not_there_is_refused(numbered_faces, shard):
    with pytest.raises(ValueError, match="none of 4 replicas"):
        data_pipeline.build_dataset(numbered_faces, batch_size=4, num_replicas=4, shard=shard)


@pytest.mark.slow
def test_another_number_of_threads_changes_nothing(sample_faces):
    def clips_with(num_threads: int) -> np.ndarray:
        dataset = data_pipeline.build_dataset(
            sample_faces, (32, 32), batch_size=4, training=True, self_blend=0.5
        )
        options = tf.data.Options()
        options.threading.private_threadpool_size = num_threads
        return np.stack([part[0].numpy() for part in dataset.with_options(options).take(4)])

    assert np.array_equal(clips_with(1), clips_with(4))


# Crops that cannot be read


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "a text file": lambda path: path.write_text("to be done"),
    "gone": lambda path: path.unlink(),
}


def error_of_reading(tracks, **options) -> str:
    """Return the sentence about the crop that cannot be read."""
    dataset = data_pipeline.build_dataset(tracks=tracks, img_size=(32, 32), batch_size=2, **options)
    with pytest.raises(tf.errors.OpError) as caught:
        next(iter(dataset))
    return loading.explain(caught.value, tracks)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_crop_is_named_with_its_video_and_the_remedy(numbered_faces, damage):
    """Also in a folder whose name is not ASCII, which TensorFlow escapes."""
    folder = numbered_faces.rename(numbered_faces.with_name("Gesichter [für] alle"))
    tracks = list_faces(folder)
    DAMAGES[damage](folder / "short.mp4" / "001.jpeg")
    sentence = error_of_reading(tracks, training=True)
    assert sentence.startswith(f"{folder}/short.mp4/001.jpeg, a crop of short.mp4, ")
    assert sentence.endswith("run the same processing.py command again, then this one")


def test_crops_of_two_sizes_are_one_sentence(numbered_faces):
    cv2.imwrite(str(numbered_faces / "short.mp4" / "001.jpeg"), np.zeros((40, 40, 3), np.uint8))
    assert "has another size than the others" in error_of_reading(list_faces(numbered_faces))
