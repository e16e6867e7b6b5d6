"""Scores every clip of a data set once, on however many devices and machines there are.

    labels, scores, weights, waited_sec = Scorer(model, strategy).score(dataset)

Each replica scores its rows of a batch, and every one is given the scores of all, so that figures
are computed from all clips at once and are the same on every worker.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

import data_pipeline
import figures
from console import UserError, progress
from splits import FaceTrack

keras = tf.keras


class Scorer:
    """Scores clips with `model`, which lies in the scope of `strategy` and gives `(batch, 1)`."""

    def __init__(self, model: "keras.Model", strategy: "tf.distribute.Strategy"):
        self._model, self.strategy = model, strategy

    def score(
        self, dataset: Iterable, advance: Callable[[], None] = lambda: None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Return the labels, scores and weights of a distributed data set of `(clips, labels,
        weights)`, `(num_clips,) float32` each in their order, and the seconds it was waited for.

        `advance` is called after each batch.
        """
        rows, waited_sec = [], 0.0
        for batch, seconds in timed(dataset):
            rows.append(self.rows(self._step(batch)))
            waited_sec += seconds
            advance()
        labels, scores, weights = map(np.concatenate, zip(*rows, strict=True))
        return labels, scores, weights, waited_sec

    def rows(self, gathered: Sequence) -> list[np.ndarray]:
        """Return what `gather` gave, `(batch, 1)` and the same on all replicas, as `(batch,)`."""
        first = [self.strategy.experimental_local_results(values)[0] for values in gathered]
        return [values.numpy()[:, 0] for values in first]

    @tf.function
    def _step(self, batch):
        return self.strategy.run(self._replica_step, args=batch)

    def _replica_step(
        self, clips: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return gather(labels, self._model(clips, training=False), weights)


def timed(batches: Iterable) -> Iterator[tuple[object, float]]:
    """Yield each batch with the seconds it was waited for."""
    iterator = iter(batches)
    while True:
        started = time.perf_counter()
        try:
            batch = next(iterator)
        except StopIteration:
            return
        yield batch, time.perf_counter() - started


def gather(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Within `strategy.run`, return the rows of all replicas, in the order of the global batch."""
    context = tf.distribute.get_replica_context()
    # An argument of a function has no device yet, and what has none cannot be gathered.
    return tuple(context.all_gather(tf.identity(rows), axis=0) for rows in values)


def classification_figures(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Return weighted log loss, accuracy at 0.5 and ROC AUC (not a number with one class only)."""
    weights = np.ones(len(labels)) if weights is None else weights
    right = (scores >= 0.5) == (labels > 0.5)
    counted = weights > 0  # the others only fill up the last batch
    auc = figures.roc_auc(labels[counted], scores[counted], weights[counted])
    return {
        "loss": float(np.average(figures.log_losses(labels, scores), weights=weights)),
        "accuracy": float(np.average(right, weights=weights)),
        "auc": np.nan if auc is None else auc,
    }


def score_faces(
    model: "tf.keras.Model",
    faces: Sequence[FaceTrack],
    settings: Mapping,
    batch_size: int = 16,
    strategy: "tf.distribute.Strategy | None" = None,
) -> np.ndarray:
    """Return P(fake) of every face, `(num_faces,) float64` in the order given.

    `batch_size` is that of all devices of `strategy` together, rounded up to a multiple of them.
    Raises UserError where a crop cannot be read.
    """
    strategy = strategy or tf.distribute.get_strategy()
    batch_size = whole_batch(batch_size, strategy)

    def clips(context: "tf.distribute.InputContext") -> "tf.data.Dataset":
        return data_pipeline.build_dataset(
            img_size=settings["img_size"],
            num_frames=settings["num_frames"],
            batch_size=batch_size,
            videos=faces,
            num_replicas=context.num_replicas_in_sync,
            shard=(context.input_pipeline_id, context.num_input_pipelines),
        )

    batches = math.ceil(len(faces) / batch_size)
    return score_all(Scorer(model, strategy), clips, batches, faces)[: len(faces)]


def whole_batch(batch_size: int, strategy: "tf.distribute.Strategy") -> int:
    """Return the batch size, rounded up to a multiple of the devices."""
    replicas = strategy.num_replicas_in_sync
    return replicas * math.ceil(batch_size / replicas)


def score_all(
    scorer: Scorer,
    clips: Callable[["tf.distribute.InputContext"], "tf.data.Dataset"],
    batches: int,
    faces: Sequence[FaceTrack],
    description: str = "scoring",
) -> np.ndarray:
    """Return raw scores of all that `clips` gives each worker, what fills up the last batch too,
    `(num_clips,) float64`, and show how far it is.

    Raises UserError where a crop of these faces cannot be read.
    """
    try:
        with progress(batches, description, "batches") as advance:
            dataset = scorer.strategy.distribute_datasets_from_function(clips)
            return scorer.score(dataset, advance)[1].astype(np.float64)
    except tf.errors.OpError as error:
        raise UserError(data_pipeline.explain(error, faces)) from error


def highest_scoring_faces(faces: Sequence[FaceTrack], scores: np.ndarray) -> list[int]:
    """Return for each video, sorted by name, the index of the face that speaks for it.

    It is the most suspicious one, that of the highest score, because one forged face makes a video
    a fake however genuine the others are; the first one of several that score the same.
    """
    decisive: dict[str, int] = {}
    for index, face in enumerate(faces):
        if scores[index] > scores[decisive.setdefault(face.video, index)]:
            decisive[face.video] = index
    return [decisive[video] for video in sorted(decisive)]
