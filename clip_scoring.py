"""Scores clips of any crops, as they are or changed on the way; `scoring` has those of verdicts.

paths = clip_scoring.whole_videos(faces, num_frames=8)
scores = clip_scoring.score(network, paths, faces)                # (num_clips, 1)
scores = clip_scoring.score(network, paths, faces, change=darker, variants=3)
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

import augmentation
import data_pipeline
import scoring
from splits import FaceTrack


@dataclass(frozen=True)
class Network:
    """A model that lies in the scope of a strategy, and what it may be asked."""

    model: "tf.keras.Model"
    strategy: "tf.distribute.Strategy"
    settings: Mapping  # the settings.json beside it
    batch_size: int  # clips at a time, of all devices together

    @property
    def num_frames(self) -> int:
        return self.settings["num_frames"]

    @property
    def img_size(self) -> tuple[int, int]:
        height, width = self.settings["img_size"]
        return height, width


def whole_videos(faces: Sequence[FaceTrack], num_frames: int) -> np.ndarray:
    """Return the crops of the clips that verdicts are made from, `(num_faces, num_frames) str`."""
    columns = data_pipeline.columns_of(faces)
    return data_pipeline.crop_paths(columns, num_frames, 0.5).numpy()


def score(
    network: Network,
    paths: np.ndarray,
    faces: Sequence[FaceTrack],
    change: Callable[[np.ndarray], np.ndarray] | None = None,
    variants: int = 1,
    description: str = "scoring",
) -> np.ndarray:
    """Return raw scores, P(fake), `(num_clips, variants) float64`.

    `paths` are the crops of clips, `(num_clips, num_frames) str`, of `faces`, in whatever order.
    `change` makes `variants` clips of each, `(variants, num_frames, side, side, 3) uint8`, of its
    crops `(num_frames, side, side, 3) uint8` RGB, before they are shrunk to the size of the model;
    each crop is read once for all of them. Raises UserError where a crop cannot be read.
    """
    batch_size = scoring.whole_batch(network.batch_size, network.strategy)
    batches = math.ceil(len(paths) * variants / batch_size)

    def clips(context: "tf.distribute.InputContext") -> "tf.data.Dataset":
        dataset = _clips(network, paths, change, variants)
        # The last batch is filled up with more of the same, so that no device goes without.
        dataset = dataset.repeat().take(batches * batch_size)
        dataset = dataset.map(lambda clip: (clip, tf.zeros([1]), tf.ones([1])))
        each = batch_size // context.num_replicas_in_sync
        return dataset.batch(each, drop_remainder=True).prefetch(2)

    scorer = scoring.Scorer(network.model, network.strategy)
    scores = scoring.score_all(scorer, clips, batches, faces, description)
    return scores[: len(paths) * variants].reshape(len(paths), variants)


def _clips(
    network: Network,
    paths: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray] | None,
    variants: int,
) -> "tf.data.Dataset":
    """Return a data set of the clips, `(num_frames, *img_size, 3) uint8`, variant by variant."""
    shape = (paths.shape[1], *network.img_size, 3)
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    if change is None:
        return dataset.map(
            lambda names: data_pipeline.load_clip(names, None, network.img_size),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    side = network.settings["faces"]["face_size"]

    def changed(crops: np.ndarray) -> np.ndarray:
        return np.stack([augmentation.fit(clip, network.img_size) for clip in change(crops)])

    def load(names: tf.Tensor) -> tf.Tensor:
        crops = data_pipeline.load_clip(names, None, (side, side))
        clips = tf.numpy_function(changed, [crops], tf.uint8, stateful=False)
        return tf.ensure_shape(clips, (variants, *shape))

    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.unbatch()
