"""Scores clips one video at a time, as they come: the model behind predict.py.

    scorer = ClipScorer(model, settings)
    scores = scorer.score_paths([window_face.paths])

evaluate.py scores a whole folder of faces at once, on all devices (scoring.py); the crops are read
by the same function there and here.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

import calibration
import data_pipeline
from console import UserError

CLIPS_AT_ONCE = 16


class ClipScorer:
    """A model, its calibration and a graph that reads clips and scores them, traced once."""

    def __init__(self, model: "tf.keras.Model", settings: Mapping):
        self._calibration = settings.get("calibration")
        num_frames, img_size = settings["num_frames"], tuple(settings["img_size"])
        self._clip = tf.TensorSpec((num_frames, *img_size, 3), tf.uint8)
        clips = tf.TensorSpec((None, *self._clip.shape), tf.uint8)
        paths = tf.TensorSpec((None, num_frames), tf.string)

        self._score = tf.function(
            lambda clips: model(clips, training=False)[:, 0], input_signature=[clips]
        )
        self._load = tf.function(
            lambda paths: tf.map_fn(
                lambda names: data_pipeline.load_clip(names, None, img_size),
                paths,
                fn_output_signature=self._clip,
            ),
            input_signature=[paths],
        )

    def score_paths(self, clips: Sequence[Sequence[str]]) -> np.ndarray:
        """Return the calibrated score of each clip, given as the paths of its crops in order.

        `(num_clips,) float64`. Raises UserError where a crop cannot be read.
        """
        scores = [self.score(self.load(chunk)) for chunk in _chunks(clips)]
        return np.concatenate([np.zeros(0), *scores])

    def load(self, clips: Sequence[Sequence[str]]) -> np.ndarray:
        """Return clips, `(num_clips, num_frames, height, width, 3) uint8` RGB.

        Raises UserError where a crop cannot be read.
        """
        try:
            return self._load(tf.constant(clips, tf.string)).numpy()
        except tf.errors.OpError as error:
            reason = next(filter(str.strip, error.message.splitlines()), "no reason given")
            raise UserError(
                f"the crops in the temporary folder cannot be read again: {reason}; make room "
                "there, or name another folder with TMPDIR"
            ) from error

    def score(self, clips: np.ndarray) -> np.ndarray:
        """Return the calibrated scores of clips as `load` gives them, `(num_clips,) float64`."""
        scores = [self._score(tf.constant(chunk)).numpy() for chunk in _chunks(clips)]
        return calibration.apply(np.concatenate(scores), self._calibration)


def _chunks(clips: Sequence) -> list[Sequence]:
    return [clips[i : i + CLIPS_AT_ONCE] for i in range(0, len(clips), CLIPS_AT_ONCE)]
