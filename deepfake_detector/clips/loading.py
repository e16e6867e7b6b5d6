"""Reads the crops of a clip in a TensorFlow graph, and says which of them could not be read.

clip = load_clip(paths, (192, 192))        # (num_frames, 192, 192, 3) uint8 RGB
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from deepfake_detector.clips import augmentation
from deepfake_detector.face_dataset.face_tracks import FaceTrack

END_OF_IMAGE = b"\xff\xd9"  # what every whole JPEG ends with (ITU-T T.81, B.1.1.3)
NOT_WHOLE = "not a JPEG, or one that is cut short:"


def load_clip(paths: tf.Tensor, img_size: tuple[int, int]) -> tf.Tensor:
    """Return the clip of these crops for scoring, `(num_frames, *img_size, 3) uint8` RGB.

    Fails as `decode_crop` does, and if the crops differ in size.
    """
    any_size = tf.TensorSpec((None, None, 3), tf.uint8)
    frames = tf.map_fn(decode_crop, paths, fn_output_signature=any_size)
    return with_numpy(
        lambda frames: augmentation.fit(frames, img_size), [frames], (paths.shape[0], *img_size, 3)
    )


def decode_crop(path: tf.Tensor) -> tf.Tensor:
    """Return a crop, `(height, width, 3) uint8` RGB.

    Fails with a `tf.errors.OpError` if the crop is missing, cut short or refused by the decoder;
    `explain` says which one it was.
    """
    content = tf.io.read_file(path)
    # Few and plain operations, because they run for every crop: tf.debugging.Assert would add a
    # condition. The zeros let an empty file have an end too.
    end = tf.strings.substr(tf.strings.join(["\0\0", content]), -2, 2)
    checked = tf.raw_ops.Assert(condition=tf.equal(end, END_OF_IMAGE), data=[NOT_WHOLE, path])
    with tf.control_dependencies([checked]):
        return tf.io.decode_jpeg(content, channels=3)


def with_numpy(
    make: Callable[..., np.ndarray], inputs: Sequence[tf.Tensor], shape: Sequence[int]
) -> tf.Tensor:
    """Return what `make` makes of arrays, of that shape and uint8, within a graph.

    OpenCV works on bytes where TensorFlow works on floats, and takes a quarter of the time.
    """
    made = tf.numpy_function(make, inputs, tf.uint8, stateful=False)
    # Without a static number of frames Keras's TimeDistributed loops over the wrong axis.
    return tf.ensure_shape(made, shape)


def explain(error: tf.errors.OpError, tracks: Sequence[FaceTrack]) -> str:
    """Return in one sentence which crop of the `tracks` an iterator failed on, and what to do.

    The error names a crop that is missing, empty or cut short. It does not name one that the
    decoder refuses, or that differs in size from the others of its track.
    """
    # TensorFlow writes bytes beyond ASCII as \303\244.
    octal = re.compile(rb"\\(\d{3})")
    message = octal.sub(lambda found: bytes([int(found[1], 8)]), error.message.encode())
    text = message.decode(errors="replace")
    again = "run the same processing.py command again, then this one"
    for track in tracks:
        _, found, rest = text.partition(f"{track.folder}/")
        if found and (crop := re.match(r"\d+\.jpeg", rest)):
            return (
                f"{track.folder}/{crop[0]}, a crop of {track.video}, is missing or damaged; "
                f"delete the folder {track.folder} and {again}"
            )
    reason = next((line for line in text.splitlines() if line.strip()), "no reason given")
    return (
        f"reading the faces failed ({reason}): a crop cannot be decoded, or has another size than "
        f"the others of its video; delete its folder and {again}"
    )
