"""Reads the crops of a clip in a TensorFlow graph.

clip = load_clip(paths, (192, 192))        # (num_frames, 192, 192, 3) uint8 RGB
"""

import numpy as np
import tensorflow as tf

from deepfake_detector.clips import augmentation, face_swaps, filming, self_blending
from deepfake_detector.clips.pairs import ORIGINAL, SELF_BLEND, SWAP

END_OF_IMAGE = b"\xff\xd9"  # what every whole JPEG ends with (ITU-T T.81, B.1.1.3)
NOT_WHOLE = "no JPEG, or one that is cut short:"


def load_clip(paths: tf.Tensor, img_size: tuple[int, int]) -> tf.Tensor:
    """Return the clip of these crops for scoring, `(num_frames, *img_size, 3) uint8` RGB.

    Fails as `decode_crop` does, and where the crops differ in size.
    """
    any_size = tf.TensorSpec((None, None, 3), tf.uint8)
    return fit_clip(tf.map_fn(decode_crop, paths, fn_output_signature=any_size), img_size)


def decode_crop(path: tf.Tensor) -> tf.Tensor:
    """Return a crop, `(height, width, 3) uint8` RGB.

    Fails with a `tf.errors.OpError` where the crop is missing, cut short or refused by the decoder;
    `read_errors.explain` says which one it was.
    """
    content = tf.io.read_file(path)
    # Few and plain operations, because they run for every crop: tf.debugging.Assert would add a
    # condition. The zeros let an empty file have an end too.
    end = tf.strings.substr(tf.strings.join(["\0\0", content]), -2, 2)
    checked = tf.raw_ops.Assert(condition=tf.equal(end, END_OF_IMAGE), data=[NOT_WHOLE, path])
    with tf.control_dependencies([checked]):
        return tf.io.decode_jpeg(content, channels=3)


def fit_clip(
    frames: tf.Tensor,
    img_size: tuple[int, int],
    random_numbers: tf.Tensor = (),
    role: tf.Tensor = ORIGINAL,
    pair_seed: tf.Tensor = 0,
    is_photograph: tf.Tensor = False,
    donor: tf.Tensor | None = None,
    donor_is_photograph: tf.Tensor = False,
) -> tf.Tensor:
    """Return frames `(num_frames, height, width, 3) uint8` as a clip, `(num_frames, *img_size, 3)`.

    With `random_numbers`, `(augmentation.NUM_RANDOM,) float32`, the clip is augmented, and a
    photograph is made to look like a video. By its `role`, see pairs.py, it may be one side of a
    pair that is made with the seed `pair_seed`. `donor`, `(num_frames, any height, any width, 3)`,
    are the frames of who gives a swap its face; without any, it is a self-blend.
    """
    # OpenCV works on bytes where TensorFlow works on floats, and takes a quarter of the time.
    clip = tf.numpy_function(
        lambda *given: _fitted(img_size, *given),
        [
            *(frames, random_numbers, role, pair_seed, is_photograph),
            *(frames[:0] if donor is None else donor, donor_is_photograph),
        ],
        tf.uint8,
        stateful=False,
    )
    # Without a static number of frames Keras's TimeDistributed loops over the wrong axis.
    return tf.ensure_shape(clip, (frames.shape[0], *img_size, 3))


def _fitted(
    img_size: tuple[int, int],
    frames: np.ndarray,
    random_numbers: np.ndarray,
    role: int,
    pair_seed: int,
    is_photograph: bool,
    donor: np.ndarray,
    donor_is_photograph: bool,
) -> np.ndarray:
    rng = np.random.default_rng(pair_seed)
    if is_photograph and len(random_numbers):
        frames = filming.filmed(frames, rng)
    if role == SWAP and len(donor):
        donor = filming.filmed(donor, rng) if donor_is_photograph else donor
        frames = face_swaps.swap(frames, donor, rng)
    elif role != ORIGINAL:
        target, blend, _ = self_blending.blend(frames, rng)
        frames = blend if role in (SELF_BLEND, SWAP) else target
    return augmentation.fit(frames, img_size, random_numbers if len(random_numbers) else None)
