"""Faces in, clips out: a folder of faces becomes a tf.data pipeline for training or scoring.

Goes in: what processing.py wrote. Comes out: batches of clips, `(batch, num_frames, height, width,
3) uint8` RGB 0..255, with labels `(batch, 1) float32`, 1 = fake.

    parts = splits.split(splits.list_faces("faces"), seed=0)
    train = data_pipeline.build_dataset("faces", img_size=(128, 128), batch_size=8, num_frames=8,
                                        videos=parts["train"], training=True)
"""

import functools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

import augmentation
import blending
import epochs
import frame_cache
from console import UserError
from splits import FaceTrack, list_faces

END_OF_IMAGE = b"\xff\xd9"  # what every whole JPEG ends with (ITU-T T.81, B.1.1.3)
NOT_WHOLE = "no JPEG, or one that is cut short:"
NAMED_AT_ONCE = 32  # clips
MOST_DIGITS = 18  # of an int64
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
    cache: str | Path | None = None,
) -> tf.data.Dataset:
    """Return batches of clips of the faces in `file_loc`, or of those `videos` of it.

    With `training`: endless full batches of `(clips, labels)`, augmented, one epoch after the
    other from batch `first_step` of `first_epoch` on. `epochs.steps_per_epoch` says how many
    batches make an epoch, at least `min_steps`, and `epochs.sample_epoch` what is in it: with
    `self_blend`, that share of the fakes are made from real videos, see blending.py.
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

    With `cache`, a folder, decoded crops are kept there and read from there in later epochs: the
    same clips for 77 KB of disk per crop of 160 pixels (frame_cache.py).

    Each face of a video is a clip of its own, with the label of the video, though only one of the
    faces of a fake may be forged: the metadata do not say which.

    A crop that cannot be read ends the iterator with a `tf.errors.OpError`; `explain` says which.

    Raises UserError for training with a class missing or with fewer clips than one batch, and for
    a batch that cannot be shared out evenly; ValueError for a shard that is not there.
    """
    rows = _rows_of_shard(batch_size, num_replicas, shard)
    videos = list_faces(file_loc) if videos is None else list(videos)
    columns = columns_of(videos)

    def name_crops(indices: tf.Tensor, roles: tf.Tensor, draws_or_weights: tf.Tensor):
        videos = {name: tf.gather(column, indices) for name, column in columns.items()}
        phases = draws_or_weights[:, :1] if training else 0.5
        labels = tf.maximum(videos["label"], tf.cast(roles[:, :1] == epochs.BLEND, tf.float32))
        return crop_paths(videos, num_frames, phases), roles, labels, draws_or_weights

    def load(paths: tf.Tensor, role: tf.Tensor, label: tf.Tensor, draws_or_weight: tf.Tensor):
        draws = draws_or_weight if training else None
        blends = role if self_blend else None
        clip = load_clip(paths, draws, tuple(img_size), cache and Path(cache), blends)
        return (clip, label) if training else (clip, label, draws_or_weight)

    if training:
        steps = epochs.steps_per_epoch(videos, batch_size, self_blend, min_steps)
        draw = functools.partial(
            epochs.sample_epoch,
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
        lambda *clips: tf.data.Dataset.from_tensor_slices(name_crops(*clips))
    )
    # Where Keras does not know how many batches there are, it asks every device for one more and
    # counts that into the validation loss.
    dataset = named.apply(tf.data.experimental.assert_cardinality(dataset.cardinality()))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size // num_replicas, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def columns_of(videos: Sequence[FaceTrack]) -> dict[str, tf.Tensor]:
    """Return what the graph must know of the videos, `(num_videos,)` each, label `(num_videos, 1)`;
    see `crop_paths`."""
    return {
        "folder": tf.constant([video.folder for video in videos], tf.string),
        "num_frames": tf.constant([video.num_frames for video in videos], tf.int64),
        "name_base": tf.constant([10**video.digits for video in videos], tf.int64),
        "label": tf.constant([[video.label] for video in videos], tf.float32),
    }


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
    clips = [(index, epochs.ORIGINAL, video.label) for index, video in enumerate(videos)]
    if with_blends:
        clips += [(index, epochs.BLEND, 1) for index, _, label in clips if not label]
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


def crop_paths(
    videos: Mapping[str, tf.Tensor], num_frames: int, phases: tf.Tensor | float
) -> tf.Tensor:
    """Return the crops of clips, `(n, num_frames) string`: one in each equal share of the video.

    `videos` holds columns `(n,)`: `folder`, its `num_frames` and `name_base`, 10 to the power of
    the digits in the name of a frame. `phases`, `(n, 1)` in [0, 1), say where in its share a crop
    is taken.
    """
    steps = (tf.range(num_frames, dtype=tf.float32) + phases) / num_frames
    counts = videos["num_frames"][:, None]
    numbers = tf.cast(steps * tf.cast(counts, tf.float32), tf.int64)
    numbers = videos["name_base"][:, None] + tf.minimum(numbers, counts - 1)
    # 1000 + 7 is "1007", and without its first digit "007": the name of frame 7.
    names = tf.strings.substr(tf.strings.as_string(numbers), 1, MOST_DIGITS)
    folders = tf.repeat(videos["folder"][:, None], num_frames, axis=1)
    return tf.strings.join([folders, "/", names, ".jpeg"])


def load_clip(
    paths: tf.Tensor,
    draws: tf.Tensor | None,
    img_size: tuple[int, int],
    cache: Path | None = None,
    role: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the clip of these crops, `(num_frames, *img_size, 3) uint8`; with `draws` augmented,
    with a `role` `(2,) int64` one side of a self-blend if that says so, see epochs.py.

    Runs in a graph, which fails with a `tf.errors.OpError` where a crop is missing, cut short or
    refused by the decoder, or where the crops of a clip differ in size; see `explain`.
    """
    num_frames = paths.shape[0]
    read = _reader(paths, cache)

    frames = tf.TensorArray(tf.uint8, num_frames, infer_shape=False, element_shape=(None, None, 3))
    for order in tf.range(num_frames):
        frames = frames.write(order, read(order))
    clip = frames.stack()  # (num_frames, height, width, 3)
    # OpenCV works on bytes where TensorFlow works on floats, in a quarter of the time or less.
    clip = tf.numpy_function(
        lambda frames, draws, role: _altered(frames, img_size, draws, role),
        [clip, *([] if given is None else given for given in (draws, role))],
        tf.uint8,
        stateful=False,
    )
    # Without a static number of frames Keras's TimeDistributed loops over the wrong axis.
    return tf.ensure_shape(clip, (num_frames, *img_size, 3))


def _altered(
    frames: np.ndarray, img_size: tuple[int, int], draws: np.ndarray, role: np.ndarray
) -> np.ndarray:
    """Return the frames as a clip is to show them; without draws or role these are empty."""
    if len(role) and role[0] != epochs.ORIGINAL:
        target, blend, _ = blending.blend(frames, np.random.default_rng(role[1]))
        frames = blend if role[0] == epochs.BLEND else target
    return augmentation.fit(frames, img_size, draws if len(draws) else None)


def _reader(paths: tf.Tensor, cache: Path | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return what reads the crop of that order, `(height, width, 3) uint8` RGB."""
    if cache is None:
        return lambda order: _decode(paths[order])
    entries, kept = frame_cache.look_up(paths, cache)
    return lambda order: tf.cond(
        kept[order],
        lambda: frame_cache.read(entries[order]),
        lambda: frame_cache.keep(_decode(paths[order]), entries[order]),
    )


def _decode(path: tf.Tensor) -> tf.Tensor:
    """Return a crop, `(height, width, 3) uint8` RGB, with its path in the error it may raise."""
    content = tf.io.read_file(path)
    # Few and plain operations, for they run for every crop: tf.debugging.Assert would add a
    # condition, and the zeros let an empty file have an end too.
    end = tf.strings.substr(tf.strings.join(["\0\0", content]), -2, 2)
    checked = tf.raw_ops.Assert(condition=tf.equal(end, END_OF_IMAGE), data=[NOT_WHOLE, path])
    with tf.control_dependencies([checked]):
        return tf.io.decode_jpeg(content, channels=3)


# Crops that cannot be read


def explain(error: tf.errors.OpError, videos: Sequence[FaceTrack]) -> str:
    """Return in one sentence which crop of the `videos` an iterator failed on, and what to do.

    The reading operation puts the path into the error where a crop is missing, empty or cut short.
    The decoder does not; what it refuses is searched for, which reads the crops of all `videos`.
    """
    named = [v for v in videos if any(f"{name}/" in error.message for name in _spellings(v))]
    for candidates in (named, videos) if named else (videos,):
        with ThreadPoolExecutor() as pool:
            damages = pool.map(_damage, candidates)
            found = next(filter(None, damages), None)
            pool.shutdown(cancel_futures=True)
        if found:
            return found
    reason = next((line for line in error.message.splitlines() if line.strip()), "no reason given")
    return f"reading the faces failed, though every crop can be read now: {reason}; try again"


def _spellings(video: FaceTrack) -> set[str]:
    """Return the folder as it may stand in an error: as it is, or with C escapes for its bytes."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"\\\"'" else f"\\{byte:03o}"
        for byte in os.fsencode(video.folder)
    )
    return {video.folder, escaped}


def _damage(video: FaceTrack) -> str | None:
    """Return a sentence about the first crop of a video that cannot be read, or None."""
    folder, first_size = Path(video.folder), None
    remedy = "run processing.py again, then this command again"
    if not folder.is_dir():
        return f"{folder}, the crops of {video.video}, is gone; {remedy}"
    for number in range(video.num_frames):
        path = folder / f"{number:0{video.digits}d}.jpeg"
        problem, size = _problem(path)
        first_size = first_size or size
        if not problem and size != first_size:
            problem = f"is {size} pixels and not {first_size} like the ones before it"
        if problem:
            return (
                f"{path}, a crop of {video.video}, {problem}; delete the folder {folder} and "
                f"{remedy}"
            )
    return None


def _problem(path: Path) -> tuple[str, str]:
    """Return what is wrong with a crop, or an empty string, and its height x width."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})", ""
    if not content:
        return "is empty", ""
    if not content.endswith(END_OF_IMAGE):
        return "is no JPEG, or one that is cut short", ""
    try:
        height, width, _ = tf.io.decode_jpeg(content, channels=3).shape
    except tf.errors.OpError:
        return "is a JPEG that cannot be decoded", ""
    return "", f"{height} x {width}"
