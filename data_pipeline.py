"""Faces in, clips out: a folder of faces becomes a tf.data pipeline for training or scoring.

Goes in: what processing.py wrote. Comes out: batches of clips, `(batch, num_frames, height, width,
3) uint8` RGB 0..255, with labels `(batch, 1) float32`, 1 = fake.

    parts = splits.split(splits.list_faces("faces"), seed=0)
    train = data_pipeline.build_dataset("faces", img_size=(128, 128), batch_size=8, num_frames=8,
                                        videos=parts["train"], training=True)
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from console import UserError
from splits import FaceVideo, list_faces


def build_dataset(
    file_loc: str | Path = "train_files",
    img_size: Sequence[int] = (128, 128),
    shuffle_buffer: int | None = None,
    batch_size: int = 16,
    *,
    num_frames: int = 8,
    videos: Sequence[FaceVideo] | None = None,
    training: bool = False,
    first_epoch: int = 0,
    first_step: int = 0,
    equal_classes: bool = False,
    seed: int = 0,
    num_replicas: int = 1,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Return batches of clips of the faces in `file_loc`, or of those `videos` of it.

    With `training`: endless full batches of `(clips, labels)`, augmented, one epoch after the
    other from batch `first_step` of `first_epoch` on. `steps_per_epoch` says how many batches make
    an epoch and `draw_epoch` what is in it. `shuffle_buffer` counts couples of a real and a fake
    video, not pixels: how far the order within an epoch is mixed; None mixes all.

    Without it every video comes once, in the given order, as `(clips, labels, weights)`: the last
    batch is filled up to `batch_size` with copies of weight 0. Weights are scaled so that the mean
    of weight times loss over all that is delivered is the mean loss over the videos; with
    `equal_classes`, the mean of the loss over the real and that over the fake ones.

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

    Raises UserError for training with a class missing or with fewer clips than one batch, and for
    a batch that cannot be shared out evenly; ValueError for a shard that is not there.
    """
    rows = _rows_of_shard(batch_size, num_replicas, shard)
    videos = list_faces(file_loc) if videos is None else list(videos)
    columns = {
        "folder": tf.constant([video.folder for video in videos], tf.string),
        "num_frames": tf.constant([video.num_frames for video in videos], tf.int64),
        # 1000 + 7 is "1007", and without its first digit "007": the name of frame 7.
        "name_base": tf.constant([10**video.digits for video in videos], tf.int64),
        "label": tf.constant([[video.label] for video in videos], tf.float32),
    }

    def load(index: tf.Tensor, seeds_or_weight: tf.Tensor):
        video = {name: tf.gather(column, index) for name, column in columns.items()}
        seeds = seeds_or_weight if training else None
        clip = load_clip(video, seeds, num_frames, tuple(img_size))
        return (clip, video["label"]) if training else (clip, video["label"], seeds_or_weight)

    if training:
        dataset = _epochs(videos, batch_size, rows, first_epoch, shuffle_buffer, seed)
        dataset = dataset.skip(first_step * (rows.stop - rows.start))
    else:
        dataset = _in_order(videos, batch_size, rows, equal_classes)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size // num_replicas, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _rows_of_shard(batch_size: int, num_replicas: int, shard: tuple[int, int]) -> slice:
    """Return which rows of a global batch worker i of n gets, checked."""
    worker, num_workers = shard
    if not 0 <= worker < num_workers or num_replicas % num_workers:
        raise ValueError(
            f"shard {shard} is none of {num_replicas} replicas on {num_workers} workers"
        )
    if batch_size < 1 or batch_size % num_replicas:
        raise UserError(
            f"a batch of {batch_size} clips cannot be shared out evenly to {num_replicas} devices; "
            f"give a batch size that is a multiple of {num_replicas}"
        )
    rows_each = batch_size // num_workers
    return slice(worker * rows_each, (worker + 1) * rows_each)


def _take_rows(of_clips: np.ndarray, batch_size: int, rows: slice) -> np.ndarray:
    """Return those rows of every global batch, `(num_batches * rows, ...)`, in order."""
    batches = of_clips.reshape(-1, batch_size, *of_clips.shape[1:])
    return batches[:, rows].reshape(-1, *of_clips.shape[1:])


def steps_per_epoch(videos: Sequence[FaceVideo], batch_size: int) -> int:
    """Return how many batches of training clips make an epoch.

    Raises UserError where a class is missing or the clips are fewer than one batch.
    """
    counts = Counter(video.label for video in videos)
    if not (counts[0] and counts[1]):
        raise UserError(
            f"training needs real and fake videos, but {len(videos)} videos hold {counts[0]} real "
            f"and {counts[1]} fake; add the missing class"
        )
    clips = 2 * min(counts.values())
    if clips < batch_size:
        raise UserError(
            f"{counts[0]} real and {counts[1]} fake videos make {clips} balanced clips, less than "
            f"a batch of {batch_size}; add videos or lower the batch size"
        )
    return clips // batch_size


def draw_epoch(
    videos: Sequence[FaceVideo], seed: int, epoch: int, shuffle_buffer: int | None = None
) -> np.ndarray:
    """Return the indices of an epoch's videos, `(2 * n,) int64`: real, fake, real, fake, ...

    n is the size of the smaller class. Each of its videos comes once, beside a video of the other
    class drawn anew every epoch: if possible one of the same family, because between a fake and
    its original only the forgery differs. Videos that merely show the same person are strangers.
    The epoch and the seed alone decide the order.
    """
    rng = np.random.default_rng([seed, epoch])
    by_class = [[i for i, video in enumerate(videos) if video.label == label] for label in (0, 1)]
    smaller, larger = sorted(by_class, key=len)
    partners: dict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(larger):
        partners[videos[index].family].append(int(index))
    couples = {}
    for index in rng.permutation(smaller):
        of_family = partners[videos[index].family]
        couples[int(index)] = of_family.pop() if of_family else None
    left_over = [index for indices in partners.values() for index in indices]
    strangers = iter(rng.permutation(left_over))
    order = [
        sorted(
            (index, int(next(strangers)) if partner is None else partner),
            key=lambda i: videos[i].label,
        )
        for index, partner in couples.items()
    ]
    return _mix(np.array(order, np.int64), shuffle_buffer, rng).reshape(-1)


def _mix(couples: np.ndarray, shuffle_buffer: int | None, rng: np.random.Generator) -> np.ndarray:
    """Shuffle the rows; with a buffer, only within that many rows of the order by name."""
    if shuffle_buffer is None:
        return couples  # permuted already when the couples were made
    couples = couples[np.argsort(couples[:, 0])]
    return couples[np.argsort(np.arange(len(couples)) + shuffle_buffer * rng.random(len(couples)))]


def _epochs(
    videos: Sequence[FaceVideo],
    batch_size: int,
    rows: slice,
    first_epoch: int,
    shuffle_buffer: int | None,
    seed: int,
) -> tf.data.Dataset:
    """Endless `(index, seeds)` of clips; only whole batches of an epoch, so that epochs align.

    Of every batch only the `rows` of this worker.
    """
    steps = steps_per_epoch(videos, batch_size)
    clips, own_clips = steps * batch_size, steps * (rows.stop - rows.start)

    def epoch_of_clips(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        indices = draw_epoch(videos, seed, int(epoch), shuffle_buffer)[:clips]
        # The two clips of a couple are augmented alike, so that it tells nothing about the label.
        couple = np.arange(clips) // 2
        seeds = np.stack([np.full(clips, seed * 100_003 + epoch), couple], axis=1)
        return _take_rows(indices, batch_size, rows), _take_rows(seeds, batch_size, rows)

    def dataset_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        indices, seeds = tf.numpy_function(epoch_of_clips, [epoch], (tf.int64, tf.int64))
        indices = tf.ensure_shape(indices, (own_clips,))
        seeds = tf.ensure_shape(seeds, (own_clips, 2))
        return tf.data.Dataset.from_tensor_slices((indices, seeds))

    return tf.data.Dataset.counter(first_epoch).flat_map(dataset_of_epoch)


def _in_order(
    videos: Sequence[FaceVideo], batch_size: int, rows: slice, equal_classes: bool
) -> tf.data.Dataset:
    """Each `(index, weight)` once, then copies of the first of weight 0 up to a full batch.

    Of every batch only the `rows` of this worker.
    """
    padding = -len(videos) % batch_size
    delivered = len(videos) + padding
    counts = Counter(video.label for video in videos)
    if equal_classes:
        shares = {label: 1 / (len(counts) * count) for label, count in counts.items()}
    else:
        shares = dict.fromkeys(counts, 1 / max(1, len(videos)))
    weights = [delivered * shares[video.label] for video in videos] + [0.0] * padding
    indices = _take_rows(
        np.array([*range(len(videos)), *[0] * padding], np.int64), batch_size, rows
    )
    weights = _take_rows(np.array(weights, np.float32)[:, None], batch_size, rows)
    return tf.data.Dataset.from_tensor_slices((indices, weights))


def load_clip(
    video: Mapping[str, tf.Tensor],
    seeds: tf.Tensor | None,
    num_frames: int,
    img_size: tuple[int, int],
) -> tf.Tensor:
    """Return one clip, `(num_frames, *img_size, 3) uint8`; augmented where `seeds` are given."""
    draw = _draw_augmentation(seeds) if seeds is not None else None
    phase = 0.5 if draw is None else draw["phase"]
    steps = (tf.range(num_frames, dtype=tf.float32) + phase) / num_frames
    indices = tf.cast(steps * tf.cast(video["num_frames"], tf.float32), tf.int64)
    indices = tf.minimum(indices, video["num_frames"] - 1)

    frames = tf.TensorArray(tf.uint8, size=num_frames, element_shape=(*img_size, 3))
    for order in tf.range(num_frames):
        number = tf.strings.as_string(video["name_base"] + indices[order])
        number = tf.strings.substr(number, 1, tf.strings.length(number) - 1)
        path = tf.strings.join([video["folder"], "/", number, ".jpeg"])
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        frames = frames.write(order, _resize(image, img_size, draw))
    clip = frames.stack()
    # Without a static number of frames Keras's TimeDistributed loops over the wrong axis.
    clip.set_shape((num_frames, *img_size, 3))
    return clip if draw is None else _relight(clip, draw)


# Augmentation: one draw a clip, because flicker between frames is what fakes are known by


def _draw_augmentation(seeds: tf.Tensor) -> dict[str, tf.Tensor]:
    """Draw what is done to a clip; every entry is a scalar."""
    uniform = tf.random.stateless_uniform((9,), seeds)
    return {
        "phase": uniform[0],  # where in its share of the video each frame is taken
        "flip": uniform[1] < 0.5,
        "crop": 1 - 0.15 * uniform[2],  # side of the window kept, as a share of the face
        "crop_y": uniform[3],
        "crop_x": uniform[4],
        "brightness": 40 * (uniform[5] - 0.5),  # grey levels
        "contrast": 1 + 0.5 * (uniform[6] - 0.5),
        "compress": uniform[7] < 0.3,
        "quality": tf.cast(50 + 45 * uniform[8], tf.int32),
    }


def _resize(image: tf.Tensor, img_size: tuple[int, int], draw: dict | None) -> tf.Tensor:
    """Return a frame, or its drawn window, as `(*img_size, 3) uint8`."""
    if draw is not None:
        whole = tf.cast(tf.shape(image)[:2], tf.float32)
        window = tf.cast(whole * draw["crop"], tf.int32)
        room = whole - tf.cast(window, tf.float32)
        corner = tf.cast(room * tf.stack([draw["crop_y"], draw["crop_x"]]), tf.int32)
        image = tf.slice(image, [corner[0], corner[1], 0], [window[0], window[1], 3])
    resized = tf.image.resize(image, img_size, antialias=True)
    resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    if draw is not None:
        resized = tf.cond(
            draw["compress"],
            lambda: tf.image.adjust_jpeg_quality(resized, draw["quality"]),
            lambda: resized,
        )
    return tf.ensure_shape(resized, (*img_size, 3))


def _relight(clip: tf.Tensor, draw: dict) -> tf.Tensor:
    light = tf.cast(clip, tf.float32)
    mean = tf.reduce_mean(light)
    light = (light - mean) * draw["contrast"] + mean + draw["brightness"]
    light = tf.cond(draw["flip"], lambda: tf.reverse(light, [2]), lambda: light)
    return tf.cast(tf.clip_by_value(tf.round(light), 0, 255), tf.uint8)
