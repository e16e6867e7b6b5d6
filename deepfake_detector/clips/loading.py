"""Reads the crops of a clip in a TensorFlow graph.

clip = load_clip(paths, (192, 192))        # (num_frames, 192, 192, 3) uint8 RGB
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deepfake_detector.clips import augmentation, face_swaps, filming, self_blending
from deepfake_detector.clips.pairs import ORIGINAL, SELF_BLEND, SWAP

END_OF_IMAGE = b"\xff\xd9"  # what every whole JPEG ends with (ITU-T T.81, B.1.1.3)
NOT_WHOLE = "not a JPEG, or one that is cut short:"


def load_clip(paths: tf.Tensor, img_size: tuple[int, int]) -> tf.Tensor:
    """Return the clip of these crops for scoring, `(num_frames, *img_size, 3) uint8` RGB.

    Fails as `decode_crop` does, and if the crops differ in size.
    """
    any_size = tf.TensorSpec((None, None, 3), tf.uint8)
    return fit_clip(tf.map_fn(decode_crop, paths, fn_output_signature=any_size), img_size)


def decode_crop(path: tf.Tensor) -> tf.Tensor:
    """Return a crop, `(height, width, 3) uint8` RGB.

    Fails with a `tf.errors.OpError` if the crop is missing, cut short or refused by the decoder;
    `read_errors.explain` says which one it was.
    """
    content = tf.io.read_file(path)
    # Few and plain operations, because they run for every crop: tf.debugging.Assert would add a
    # condition. The zeros let an empty file have an end too.
    end = tf.strings.substr(tf.strings.join(["\0\0", content]), -2, 2)
    checked = tf.raw_ops.Assert(condition=tf.equal(end, END_OF_IMAGE), data=[NOT_WHOLE, path])
    with tf.control_dependencies([checked]):
        return tf.io.decode_jpeg(content, channels=3)


class Making(NamedTuple):
    """How a clip is made of the frames of a face, or of two: as they are, by default."""

    random_numbers: Any = ()  # (NUM_RANDOM,) float32 of an augmentation; empty: none
    role: Any = ORIGINAL  # () int64, see pairs.py
    pair_seed: Any = 0  # () int64, of what both clips of a pair have in common
    is_photograph: Any = False  # () bool
    # (num_frames, any height, any width, 3) uint8 of who gives a swap its face; without any, it is
    # a self-blend.
    donor: Any = np.zeros((0, 1, 1, 3), np.uint8)
    donor_is_photograph: Any = False  # () bool


def fit_clip(
    frames: tf.Tensor,
    img_size: tuple[int, int],
    making: Making = Making(),  # noqa: B008
) -> tf.Tensor:
    """Return frames `(num_frames, height, width, 3) uint8` as a clip, `(num_frames, *img_size, 3)`.

    With random numbers, a photograph is made to look like a video, too.
    """
    # OpenCV works on bytes where TensorFlow works on floats, and takes a quarter of the time.
    clip = tf.numpy_function(
        lambda frames, *made: _fitted(frames, img_size, Making(*made)),
        [frames, *making],
        tf.uint8,
        stateful=False,
    )
    # Without a static number of frames Keras's TimeDistributed loops over the wrong axis.
    return tf.ensure_shape(clip, (frames.shape[0], *img_size, 3))


def _fitted(frames: np.ndarray, img_size: tuple[int, int], making: Making) -> np.ndarray:
    rng, donor = np.random.default_rng(making.pair_seed), making.donor
    is_augmented = len(making.random_numbers) > 0
    if making.is_photograph and is_augmented:
        frames = filming.filmed(frames, rng)
    if making.role == SWAP and len(donor):
        donor = filming.filmed(donor, rng) if making.donor_is_photograph else donor
        frames = face_swaps.swap(frames, donor, rng)
    elif making.role != ORIGINAL:
        target, blend, _ = self_blending.blend(frames, rng)
        frames = blend if making.role in (SELF_BLEND, SWAP) else target
    return augmentation.fit(frames, img_size, making.random_numbers if is_augmented else None)
