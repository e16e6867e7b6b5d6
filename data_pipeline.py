"""Faces in, clips out: a folder of faces becomes a tf.data pipeline for training or scoring.

    splits = split_tracks(list_faces("faces"), seed=0)
    train = data_pipeline.build_dataset("faces", img_size=(128, 128), batch_size=8, num_frames=8,
                                        tracks=splits["train"], training=True)

Input: what processing.py wrote. Output: batches of clips, `(batch, num_frames, height, width, 3)
uint8` RGB 0..255, with labels `(batch, 1) float32`, 1 = fake. Every clip spans the whole video: its
frames are evenly spaced, and a video shorter than `num_frames` repeats some in order, so that no
mask is needed. Each face of a video is a clip with the label of the video, although perhaps only
one of the faces of a fake is forged: the metadata do not say which.

The way of a clip:

    plan      which video, which role, which random numbers: NumPy, `_plan_epoch` or `_plan_once`
    paths     which files: one crop in each equal share of the video, `_name_crops`
    decoding  JPEGs, stacked in a TensorArray, `stack_crops`
    making    self-blending, face swaps, augmentation and resizing with OpenCV, `_make_clip`

**Training** gives endless full batches of `(clips, labels)`, augmented, one epoch after the other.
Real and fake clips alternate: `pairs.sample_epoch` says which pairs an epoch has, and
`pairs.steps_per_epoch` how many batches. With `self_blend`, that share of the fakes are made from
real videos (clips/self_blending.py, clips/face_swaps.py). Photographs are shown as frames of videos
(clips/filming.py), and an epoch has no more of them than videos of their class.

**Scoring** gives every video once, in the given order, as `(clips, labels, weights)`. The last
batch is filled up with copies of weight 0. The mean of weight times loss over all that is delivered
is the mean loss over the videos, with as much weight on the real ones as on the fakes. With
`self_blend`, each real video comes a second time as a fake made from it, always the same one.

**Many devices.** `batch_size` is that of all devices together. For `num_replicas` devices every
element holds `batch_size // num_replicas` clips, and that many elements in a row are one global
batch. For worker i of n, `shard=(i, n)` gives the i-th of n equal parts of every global batch and
reads no other, except one crop of every real video to find look-alikes. The elements of all shards
together are the batches of a single device, bit for bit, and every shard has the same number of
elements.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepfake_detector.clips import augmentation, filming, self_blending  # before TensorFlow

# isort: split
import tensorflow as tf

from deepfake_detector.clips.augmentation import NUM_RANDOM
from deepfake_detector.clips.face_swaps import NO_DONOR, LookAlikes, swap
from deepfake_detector.clips.loading import decode_crop, with_numpy
from deepfake_detector.clips.pairs import ORIGINAL, SELF_BLEND, SWAP, sample_epoch, steps_per_epoch
from deepfake_detector.clips.sampling import clip_paths
from deepfake_detector.console import UserError, counted
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces

SEED_LIMIT = 2**62


class ClipPlan(NamedTuple):
    """What is made of which tracks: arrays with one row a clip, or the tensors of one clip."""

    video: np.ndarray  # () int64, its index
    role: np.ndarray  # () int64: ORIGINAL, SELF_BLEND_TARGET, SELF_BLEND or SWAP, see pairs.py
    donor: np.ndarray  # () int64, the index of the video that gives a swap its face, or NO_DONOR
    pair_seed: np.ndarray  # () int64, of what both clips of a pair have in common
    random_numbers: np.ndarray  # (NUM_RANDOM,) float32 in [0, 1): phase and augmentation
    weight: np.ndarray  # (1,) float32, of the loss

    def rows_of_batches(self, batch_size: int, rows: slice) -> "ClipPlan":
        """Return the plan of those rows of every batch, in order."""
        taken = np.arange(len(self.video)).reshape(-1, batch_size)[:, rows].ravel()
        return ClipPlan(*(column[taken] for column in self))


NamedClips = tuple[np.ndarray, np.ndarray, np.ndarray, ClipPlan]  # see _name_crops


def build_dataset(
    file_loc: str | Path = "train_files",
    img_size: Sequence[int] = (128, 128),
    shuffle_buffer: int | None = None,
    batch_size: int = 16,
    *,
    num_frames: int = 8,
    tracks: Sequence[FaceTrack] | None = None,
    training: bool = False,
    first_epoch: int = 0,
    self_blend: float = 0.0,
    landmarks: bool = False,
    min_steps: int = 1,
    seed: int = 0,
    num_replicas: int = 1,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Return batches of clips of the faces in `file_loc`, or of those `tracks` of it.

    See the top of this file for what they hold. `shuffle_buffer` is how many pairs away from its
    place in the order by name a pair may move; None mixes all. Training begins with `first_epoch`,
    and an epoch has `min_steps` batches or more. `landmarks` places what is made in faces by their
    landmarks, see clips/landmarks.py.

    A crop that cannot be read ends the iterator with a `tf.errors.OpError`, which
    `loading.explain` puts into a sentence. Raises UserError for training with a class missing
    or with fewer clips than one batch, and for a batch that cannot be shared out evenly;
    ValueError for a shard that does not exist.
    """
    own_rows = _rows_of_shard(batch_size, num_replicas, shard)
    tracks = list_faces(file_loc) if tracks is None else list(tracks)
    size = (img_size[0], img_size[1])
    if training:
        steps = steps_per_epoch(tracks, batch_size, self_blend, min_steps)
        look_alikes = LookAlikes(tracks)

        def name_epoch(epoch: int) -> NamedClips:
            num_clips = steps * batch_size  # whole batches, so that epochs begin with one
            plan = _plan_epoch(look_alikes, seed, epoch, num_clips, shuffle_buffer, self_blend)
            return _name_crops(plan.rows_of_batches(batch_size, own_rows), tracks, num_frames)

        named = _endless(name_epoch, first_epoch, num_frames)
    else:
        plan = _plan_once(tracks, batch_size, bool(self_blend))
        own = plan.rows_of_batches(batch_size, own_rows)
        named = tf.data.Dataset.from_tensor_slices(_name_crops(own, tracks, num_frames))

    def make(frames: np.ndarray, donor: np.ndarray, *row: np.ndarray) -> np.ndarray:
        return _make_clip(frames, donor, ClipPlan(*row), tracks, size, training, landmarks)

    def load(paths: tf.Tensor, donor_paths: tf.Tensor, label: tf.Tensor, plan: ClipPlan) -> tuple:
        inputs = [stack_crops(paths), _crops_of_donor(donor_paths), *plan]
        clip = with_numpy(make, inputs, (num_frames, *size, 3))
        return (clip, label) if training else (clip, label, plan.weight)

    dataset = named.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.batch(batch_size // num_replicas, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def stack_crops(paths: tf.Tensor) -> tf.Tensor:
    """Return the crops of a clip, `(num_frames, height, width, 3) uint8` RGB, from their paths.

    Fails with a `tf.errors.OpError` if one cannot be read or differs in size from the others.
    """
    num_frames = paths.shape[0]
    frames = tf.TensorArray(tf.uint8, num_frames, infer_shape=False, element_shape=(None, None, 3))
    for order in tf.range(num_frames):
        frames = frames.write(order, decode_crop(paths[order]))
    return tf.ensure_shape(frames.stack(), (num_frames, None, None, 3))


def _crops_of_donor(paths: tf.Tensor) -> tf.Tensor:
    """Return the crops of who gives a swap its face, `(num_frames or 0, height, width, 3) uint8`;
    no frame if the paths are empty."""
    if paths[0] == "":  # noqa: SIM108  AutoGraph turns this into a condition of the graph
        crops = tf.zeros((0, 1, 1, 3), tf.uint8)
    else:
        crops = stack_crops(paths)
    return crops


def _make_clip(
    frames: np.ndarray,
    donor: np.ndarray,
    plan: ClipPlan,
    tracks: Sequence[FaceTrack],
    img_size: tuple[int, int],
    training: bool,
    landmarks: bool,
) -> np.ndarray:
    """Return the clip `(num_frames, *img_size, 3) uint8` that is made of `frames` by its plan.

    `donor` has the crops of who gives a swap its face; if it has none, it is a self-blend. In
    training a photograph is made to look like a video, and the clip is augmented.
    """
    rng = np.random.default_rng(plan.pair_seed)
    if training and tracks[int(plan.video)].is_photograph:
        frames = filming.filmed(frames, rng)
    if plan.role == SWAP and len(donor):
        if tracks[int(plan.donor)].is_photograph:
            donor = filming.filmed(donor, rng)
        frames = swap(frames, donor, rng, landmarks)
    elif plan.role != ORIGINAL:
        target, blend, _ = self_blending.blend(frames, rng, landmarks)
        frames = blend if plan.role in (SELF_BLEND, SWAP) else target
    return augmentation.fit(frames, img_size, plan.random_numbers if training else None)


def check_batch(batch_size: int, num_replicas: int) -> None:
    """Raise UserError if a batch cannot be shared out evenly to that many devices."""
    if batch_size < 1 or batch_size % num_replicas:
        raise UserError(
            f"a batch of {counted(batch_size, 'clip')} cannot be shared out evenly to "
            f"{counted(num_replicas, 'device')}; give a --batch-size that is a multiple of "
            f"{num_replicas}"
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


def _plan_epoch(
    look_alikes: LookAlikes,
    seed: int,
    epoch: int,
    num_clips: int,
    shuffle_buffer: int | None,
    self_blend: float,
) -> ClipPlan:
    """Return the clips of an epoch of training, in order. The epoch and the seed alone decide."""
    tracks = look_alikes.tracks
    indices, roles = sample_epoch(tracks, seed, epoch, shuffle_buffer, self_blend, num_clips)
    # Both clips of a pair are augmented alike, so that no augmentation predicts the label.
    rng = np.random.default_rng([seed, epoch, 1])  # other numbers than those of the order
    num_pairs = -(-num_clips // 2)
    random_numbers = rng.random((num_pairs, NUM_RANDOM), np.float32)
    pair_seeds = rng.integers(SEED_LIMIT, size=num_pairs)
    donors = np.full(num_clips, NO_DONOR)
    for row in np.flatnonzero(roles == SWAP):
        donors[row] = look_alikes.donor_of(indices[row], rng)
    return ClipPlan(
        indices,
        roles,
        donors,
        pair_seeds.repeat(2)[:num_clips],
        random_numbers.repeat(2, axis=0)[:num_clips],
        np.ones((num_clips, 1), np.float32),
    )


def _plan_once(tracks: Sequence[FaceTrack], batch_size: int, with_self_blends: bool) -> ClipPlan:
    """Return each video once, then a self-blend of each real one if they are wanted, and then
    copies of the first of weight 0 up to a full batch."""
    clips = [(index, ORIGINAL, track.label) for index, track in enumerate(tracks)]
    if with_self_blends:
        clips += [(index, SELF_BLEND, 1) for index, _, label in clips if not label]
    padding = -len(clips) % batch_size
    delivered = len(clips) + padding
    counts = Counter(label for _, _, label in clips)
    shares = {label: 1 / (len(counts) * count) for label, count in counts.items()}
    weights = [delivered * shares[label] for _, _, label in clips] + [0.0] * padding
    clips += [(0, ORIGINAL, 0)] * padding
    return ClipPlan(
        np.array([index for index, _, _ in clips], np.int64),
        np.array([role for _, role, _ in clips], np.int64),
        np.full(delivered, NO_DONOR),
        np.random.default_rng(0).integers(SEED_LIMIT, size=delivered),
        np.full((delivered, NUM_RANDOM), 0.5, np.float32),  # the middle of each share of a video
        np.array(weights, np.float32)[:, None],
    )


def _name_crops(plan: ClipPlan, tracks: Sequence[FaceTrack], num_frames: int) -> NamedClips:
    """Return `(paths, donor paths, labels, plan)` with a row a clip: `(n, num_frames)` bytes twice
    and `(n, 1) float32`. The donor paths are empty without a donor."""
    nothing = [b""] * num_frames
    paths, donor_paths = (
        np.array([
            nothing if index == NO_DONOR else clip_paths(tracks[index], num_frames, phase)
            for index, phase in zip(indices, plan.random_numbers[:, 0], strict=True)
        ], bytes).reshape(-1, num_frames)
        for indices in (plan.video, plan.donor)
    )  # fmt: skip
    is_fake = np.array([tracks[index].label == 1 for index in plan.video], bool)
    labels = is_fake | np.isin(plan.role, (SELF_BLEND, SWAP))
    return paths, donor_paths, labels.astype(np.float32)[:, None], plan


def _endless(
    name_epoch: Callable[[int], NamedClips], first_epoch: int, num_frames: int
) -> tf.data.Dataset:
    """Return the named crops of single clips, epoch after epoch."""
    paths, index = (tf.string, (None, num_frames)), (tf.int64, (None,))
    numbers, one = (tf.float32, (None, NUM_RANDOM)), (tf.float32, (None, 1))
    types, shapes = zip(paths, paths, one, index, index, index, index, numbers, one, strict=True)

    def flat(epoch: np.ndarray) -> list[np.ndarray]:
        *named, plan = name_epoch(int(epoch))
        return [*named, *plan]

    def clips_of(epoch: tf.Tensor) -> tf.data.Dataset:
        # tf.data.Dataset.from_generator would be shorter, but once it is used in a process, reading
        # clips takes twice the processor time (TensorFlow 2.21).
        columns = map(tf.ensure_shape, tf.numpy_function(flat, [epoch], types), shapes)
        paths, donor_paths, labels, *plan = columns
        return tf.data.Dataset.from_tensor_slices((paths, donor_paths, labels, ClipPlan(*plan)))

    endless = tf.data.Dataset.counter(first_epoch).flat_map(clips_of)
    # Keras asks every device for one more batch if their number is unknown, and counts it.
    return endless.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
