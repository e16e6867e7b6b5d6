"""Scores clips with one model, on as many devices as there are.

    scorer = ClipScorer(model, settings)
    scores = scorer.score_tracks(face_tracks)              # (num_tracks,), raw P(fake)
    scores = scorer.score_clips(scorer.load(paths))        # clips in memory
    scores = scorer.calibrated(scores)

Training validates with it; evaluate.py and predict.py score with it. Each replica scores its rows
of a batch, and each of them receives the scores of all, so that metrics are the same on every
worker. A graph is traced once per scorer.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from deepfake_detector.clips import augmentation, loading
from deepfake_detector.clips.loading import load_clip, with_numpy
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError, progress
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.images import Change
from deepfake_detector.scoring import calibration


def gather(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Within `strategy.run`, return the rows of all replicas, in the order of the global batch."""
    context = tf.distribute.get_replica_context()
    # An argument of a function has no device yet, and what has none cannot be gathered.
    return tuple(context.all_gather(tf.identity(rows), axis=0) for rows in values)


def highest_scoring_tracks(tracks: Sequence[FaceTrack], scores: np.ndarray) -> list[int]:
    """Return for each video the index of its highest-scoring face track, the first one of equals,
    in order of the videos: one forged face makes a video a fake, however genuine the others are."""
    highest: dict[tuple[str, str], int] = {}
    for index, track in enumerate(tracks):
        if scores[index] > scores[highest.setdefault(track.video_key, index)]:
            highest[track.video_key] = index
    return list(highest.values())


class ClipScorer:
    """Scores clips with `model`, which maps `(batch, num_frames, height, width, 3)` to P(fake),
    `(batch, 1)`.

    The model was built in the scope of `strategy` (default: the current one). `settings` is the
    settings.json of the model: its calibration and the size of the crops are used. `batch_size`
    counts the clips of all devices together and is rounded up to a multiple of their number.
    """

    def __init__(
        self,
        model: keras.Model,
        settings: Mapping | None = None,
        strategy: "tf.distribute.Strategy | None" = None,
        batch_size: int = 16,
    ):
        self.strategy = strategy or tf.distribute.get_strategy()
        self.settings = settings or {}
        replicas = self.strategy.num_replicas_in_sync
        self.batch_size = replicas * math.ceil(batch_size / replicas)
        self._model = model

    @property
    def num_frames(self) -> int:
        return self._model.input_shape[1]

    @property
    def img_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, _, height, width, _ = self._model.input_shape
        return height, width

    def score_tracks(
        self, tracks: Sequence[FaceTrack], alter: Change | None = None, description: str = "scoring"
    ) -> np.ndarray:
        """Return the raw score of each face track, `(num_tracks,) float64`, of one clip that spans
        the whole video.

        `alter` changes the crops of a clip, `(num_frames, side, side, 3) uint8` RGB, before they
        are resized for the model. Raises UserError if a crop cannot be read.
        """
        if not tracks:
            return np.zeros(0)
        batches = math.ceil(len(tracks) / self.batch_size)

        def batches_of(context: "tf.distribute.InputContext") -> "tf.data.Dataset":
            # The last batch is filled up with the first clips, so that no device is without any.
            clips = self._clips(tracks, alter).repeat().take(batches * self.batch_size)
            per_replica = self.batch_size // context.num_replicas_in_sync
            batched = clips.batch(per_replica, drop_remainder=True)
            return batched.map(lambda clips: (clips,)).prefetch(2)

        try:
            with progress(batches, description, "batches") as advance:
                dataset = self.strategy.distribute_datasets_from_function(batches_of)
                (scores,) = self.score_dataset(dataset, advance)
        except tf.errors.OpError as error:
            raise UserError(loading.explain(error, tracks)) from error
        return scores[: len(tracks)].astype(np.float64)

    def score_dataset(
        self, dataset: Iterable, advance: Callable[[], None] = lambda: None
    ) -> list[np.ndarray]:
        """Score a distributed data set of whole global batches, `(clips, *columns)`.

        Returns the raw scores and each column, `(num_clips,) float32` in the order of the clips. A
        column is `(batch, 1)`. `advance` is called after each batch.
        """
        rows = []
        for batch in dataset:
            rows.append([self.of_first_replica(values)[:, 0] for values in self._step(batch)])
            advance()
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    def score_clips(self, clips: np.ndarray) -> np.ndarray:
        """Return the raw scores of clips in memory, `(num_clips,) float64`, from one device.

        `clips` are `(num_clips, num_frames, *img_size, 3) uint8` RGB.
        """
        chunks = [
            self._score(tf.constant(clips[start : start + self.batch_size])).numpy()
            for start in range(0, len(clips), self.batch_size)
        ]
        return np.concatenate([np.zeros(0), *chunks])

    def load(self, paths: Sequence[Sequence[str]]) -> np.ndarray:
        """Return clips by the paths of their crops, `(num_clips, num_frames, *img_size, 3) uint8`.

        Raises a `tf.errors.OpError` if a crop cannot be read.
        """
        return self._load(tf.constant(paths, tf.string)).numpy()

    def calibrated(self, raw_scores: np.ndarray) -> np.ndarray:
        """Return the scores with the calibration of the model applied, `float64`."""
        return calibration.apply(raw_scores, self.settings.get("calibration"))

    def of_first_replica(self, values: tf.Tensor) -> np.ndarray:
        """Return what `gather` has made the same on all replicas."""
        return self.strategy.experimental_local_results(values)[0].numpy()

    @tf.function
    def _step(self, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return self.strategy.run(self._replica_step, args=batch)

    def _replica_step(self, clips: tf.Tensor, *columns: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return gather(self._model(clips, training=False), *columns)

    @functools.cached_property
    def _score(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """The graph that scores clips on one device."""
        clips = tf.TensorSpec((None, self.num_frames, *self.img_size, 3), tf.uint8)
        return tf.function(
            lambda clips: self._model(clips, training=False)[:, 0], input_signature=[clips]
        )

    @functools.cached_property
    def _load(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """The graph that reads clips by the paths of their crops."""
        clip = tf.TensorSpec((self.num_frames, *self.img_size, 3), tf.uint8)
        paths = tf.TensorSpec((None, self.num_frames), tf.string)
        return tf.function(
            lambda paths: tf.map_fn(
                lambda names: load_clip(names, self.img_size), paths, fn_output_signature=clip
            ),
            input_signature=[paths],
        )

    def _clips(self, tracks: Sequence[FaceTrack], alter: Change | None) -> "tf.data.Dataset":
        """Return a data set of the clips of the tracks, `(num_frames, *img_size, 3) uint8`."""
        side = self.settings["faces"]["face_size"] if alter else 0

        def load(names: tf.Tensor) -> tf.Tensor:
            if alter is None:
                return load_clip(names, self.img_size)
            return with_numpy(
                lambda crops: augmentation.fit(alter(crops), self.img_size),
                [load_clip(names, (side, side))],
                (self.num_frames, *self.img_size, 3),
            )

        paths = tf.data.Dataset.from_tensor_slices(whole_video_paths(tracks, self.num_frames))
        return paths.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
