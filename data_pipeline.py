"""Faces in, clips out: a folder of faces becomes a tf.data pipeline for training or scoring.

Goes in: what processing.py wrote. Comes out: batches of clips, `(batch, num_frames, height, width,
3) uint8` RGB 0..255, with labels `(batch, 1) float32`, 1 = fake.

    parts = split_tracks(splits.list_faces("faces"), seed=0)
    train = data_pipeline.build_dataset("faces", img_size=(128, 128), batch_size=8, num_frames=8,
                                        videos=parts["train"], training=True)
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from deepfake_detector.clips import augmentation
from deepfake_detector.clips.loading import decode_crop, fit_clip
from deepfake_detector.clips.pairs import ORIGINAL, SELF_BLEND, sample_epoch, steps_per_epoch
from deepfake_detector.clips.sampling import clip_paths
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces

NAMED_AT_ONCE = 32  # clips
MOST_SEEDS = 2**62


def build_dataset(
    file_loc: str | Path = "train_files",
    img_size: Sequence[int] = (128, 128),
    shuffle_buffer: int | None = None,
    batch_size: int = 16,
    *,
    num_frames: int = 8,
    videos: Sequence[FaceTrack] | None = None,
    training: bool = False,
    first_epoch: int = 0,
    first_step: int = 0,
    equal_classes: bool = False,
    self_blend: float = 0.0,
    min_steps: int = 1,
    seed: int = 0,
    num_replicas: int = 1,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Return batches of clips of the faces in `file_loc`, or of those `videos` of it.

    With `training`: endless full batches of `(clips, labels)`, augmented, one epoch after the
    other from batch `first_step` of `first_epoch` on. `pairs.steps_per_epoch` says how many
    batches make an epoch, at least `min_steps`, and `pairs.sample_epoch` what is in it: with
    `self_blend`, that share of the fakes are made from real videos, see self_blending.py.
    `shuffle_buffer` counts pairs of a real and a fake video, not pixels: how far the order within
    an epoch is mixed; None mixes all.

    Without it every video comes once, in the given order, as `(clips, labels, weights)`: the last
    batch is filled up to `batch_size` with copies of weight 0. Weights are scaled so that the mean
    of weight times loss over all that is delivered is the mean loss over the videos; with
    `equal_classes`, the mean of the loss over the real and that over the fake ones. With
    `self_blend`, each real video comes a second time as a fake made from it, always the same one.

    Clips are `(batch_size, num_frames, *img_size, 3) uint8` RGB, labels and weights
    `(batch_size, 1) float32`. Every clip spans the whole video: its frames lie evenly, and a
    video shorter than `num_frames` repeats some in order, so that no mask is needed.

    `batch_size` is that of all devices together. For `num_replicas` devices every element holds
    `batch_size // num_replicas` clips, so that one global batch is so many elements in a row. For
    worker i of n, `shard=(i, n)` gives the i-th of n equal parts of every global batch and reads
    no other: the elements of all shards together are the batches of a single device, bit for bit.
    Every shard has as many elements as the others.

    Each face of a video is a clip of its own, with the label of the video, though only one of the
    faces of a fake may be forged: the metadata do not say which.

    A crop that cannot be read ends the iterator with a `tf.errors.OpError`;
    `read_errors.explain` says which.

    Raises UserError for training with a class missing or with fewer clips than one batch, and for
    a batch that cannot be shared out evenly; ValueError for a shard that is not there.
    """
    rows = _rows_of_shard(batch_size, num_replicas, shard)
    videos = list_faces(file_loc) if videos is None else list(videos)
    img_size = (img_size[0], img_size[1])

    def name_crops(indices: np.ndarray, draws_or_weights: np.ndarray) -> np.ndarray:
        phases = draws_or_weights[:, 0] if training else np.full(len(indices), 0.5)
        named = (
            clip_paths(videos[index], num_frames, phase)
            for index, phase in zip(indices, phases, strict=True)
        )
        return np.array(list(named), object)

    def with_paths(indices: tf.Tensor, roles: tf.Tensor, draws_or_weights: tf.Tensor):
        paths = tf.numpy_function(name_crops, [indices, draws_or_weights], tf.string)
        paths = tf.ensure_shape(paths, (None, num_frames))
        blends = tf.cast(roles[:, :1] == SELF_BLEND, tf.float32)
        return paths, roles, tf.maximum(tf.gather(labels, indices), blends), draws_or_weights

    def load(paths: tf.Tensor, role: tf.Tensor, label: tf.Tensor, draws_or_weight: tf.Tensor):
        draws = draws_or_weight if training else None
        clip = fit_clip(stack_crops(paths), img_size, draws, role if self_blend else None)
        return (clip, label) if training else (clip, label, draws_or_weight)

    labels = tf.constant([[video.label] for video in videos], tf.float32)
    if training:
        steps = steps_per_epoch(videos, batch_size, self_blend, min_steps)
        draw = functools.partial(
            sample_epoch,
            videos,
            seed,
            shuffle_buffer=shuffle_buffer,
            self_blend=self_blend,
            num_clips=steps * batch_size,
        )
        dataset = _epochs(draw, steps, batch_size, rows, first_epoch, seed)
        dataset = dataset.skip(first_step * (rows.stop - rows.start))
    else:
        dataset = _in_order(videos, batch_size, rows, equal_classes, bool(self_blend))
    # Paths are made for many clips at once, to start fewer small operations.
    named = dataset.batch(NAMED_AT_ONCE).flat_map(
        lambda *clips: tf.data.Dataset.from_tensor_slices(with_paths(*clips))
    )
    # Where Keras does not know how many batches there are, it asks every device for one more and
    # counts that into the validation loss.
    dataset = named.apply(tf.data.experimental.assert_cardinality(dataset.cardinality()))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size // num_replicas, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def stack_crops(paths: tf.Tensor) -> tf.Tensor:
    """Return the crops of a clip, `(num_frames, height, width, 3) uint8` RGB, stacked in a
    TensorArray. Fails with a `tf.errors.OpError` where one cannot be read or differs in size."""
    num_frames = paths.shape[0]
    frames = tf.TensorArray(tf.uint8, num_frames, infer_shape=False, element_shape=(None, None, 3))
    for order in tf.range(num_frames):
        frames = frames.write(order, decode_crop(paths[order]))
    return tf.ensure_shape(frames.stack(), (num_frames, None, None, 3))


def check_batch(batch_size: int, num_replicas: int) -> None:
    """Raise UserError where a batch cannot be shared out evenly to so many devices."""
    if batch_size < 1 or batch_size % num_replicas:
        raise UserError(
            f"a batch of {batch_size} clips cannot be shared out evenly to {num_replicas} devices; "
            f"give a batch size that is a multiple of {num_replicas}"
        )


def _rows_of_shard(batch_size: int, num_replicas: int, shard: tuple[int, int]) -> slice:
    """Return which rows of a global batch worker i of n gets, checked."""
    worker, num_workers = shard
    if not 0 <= worker < num_workers or num_replicas % num_workers:
        raise ValueError(
            f"shard {shard} is none of {num_replicas} replicas on {num_workers} workers"
        )
    check_batch(batch_size, num_replicas)
    rows_each = batch_size // num_workers
    return slice(worker * rows_each, (worker + 1) * rows_each)


def _take_rows(of_clips: np.ndarray, batch_size: int, rows: slice) -> np.ndarray:
    """Return those rows of every global batch, `(num_batches * rows, ...)`, in order."""
    batches = of_clips.reshape(-1, batch_size, *of_clips.shape[1:])
    return batches[:, rows].reshape(-1, *of_clips.shape[1:])


def _epochs(
    draw: Callable[..., tuple[np.ndarray, np.ndarray]],
    steps: int,
    batch_size: int,
    rows: slice,
    first_epoch: int,
    seed: int,
) -> tf.data.Dataset:
    """Endless `(index, role, draws)` of clips; only whole batches of an epoch, so epochs align.

    Of every batch only the `rows` of this worker. A role is `(2,) int64`: what is made of the video
    and the seed it is made with.
    """
    clips, own_clips = steps * batch_size, steps * (rows.stop - rows.start)

    def epoch_of_clips(epoch: np.ndarray) -> tuple[np.ndarray, ...]:
        indices, kinds = draw(epoch=int(epoch))
        # The two clips of a pair are augmented alike, so that it tells nothing about the label.
        rng = np.random.default_rng([seed, int(epoch), 1])  # another one than that of the order
        pairs = clips // 2 + clips % 2
        draws = rng.random((pairs, augmentation.NUM_DRAWS), np.float32)
        seeds = rng.integers(MOST_SEEDS, size=pairs)
        draws, seeds = (np.repeat(each, 2, axis=0)[:clips] for each in (draws, seeds))
        roles = np.column_stack([kinds, seeds])
        return tuple(_take_rows(each, batch_size, rows) for each in (indices, roles, draws))

    def dataset_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        types = (tf.int64, tf.int64, tf.float32)
        indices, roles, draws = tf.numpy_function(epoch_of_clips, [epoch], types)
        indices = tf.ensure_shape(indices, (own_clips,))
        roles = tf.ensure_shape(roles, (own_clips, 2))
        draws = tf.ensure_shape(draws, (own_clips, augmentation.NUM_DRAWS))
        return tf.data.Dataset.from_tensor_slices((indices, roles, draws))

    endless = tf.data.Dataset.counter(first_epoch).flat_map(dataset_of_epoch)
    return endless.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))


def _in_order(
    videos: Sequence[FaceTrack],
    batch_size: int,
    rows: slice,
    equal_classes: bool,
    with_blends: bool,
) -> tf.data.Dataset:
    """Each `(index, role, weight)` once, then copies of the first of weight 0 up to a full batch.

    Of every batch only the `rows` of this worker. For roles see `_epochs`.
    """
    clips = [(index, ORIGINAL, video.label) for index, video in enumerate(videos)]
    if with_blends:
        clips += [(index, SELF_BLEND, 1) for index, _, label in clips if not label]
    padding = -len(clips) % batch_size
    delivered = len(clips) + padding
    counts = Counter(label for _, _, label in clips)
    if equal_classes:
        shares = {label: 1 / (len(counts) * count) for label, count in counts.items()}
    else:
        shares = dict.fromkeys(counts, 1 / max(1, len(clips)))
    weights = [delivered * shares[label] for _, _, label in clips] + [0.0] * padding
    indices, kinds, _ = np.array([*clips, *[(0, 0, 0)] * padding], np.int64).reshape(-1, 3).T
    seeds = np.random.default_rng(0).integers(MOST_SEEDS, size=len(indices))
    columns = (indices, np.column_stack([kinds, seeds]), np.array(weights, np.float32)[:, None])
    return tf.data.Dataset.from_tensor_slices(
        tuple(_take_rows(column, batch_size, rows) for column in columns)
    )
