"""Decoded crops kept on disk, so that a later epoch need not decode them again.

    entries, kept = frame_cache.look_up(paths, Path("cache"))                        # in a graph
    frame = frame_cache.read(entries[0]) if kept[0] else frame_cache.keep(decoded, entries[0])

An entry is a file of its own, because epochs take other frames of other videos in another order. It
is named after all it depends on, so that it is never wrong, only no longer asked for: crops that
are made anew get new entries. Any number of processes may share a cache, and it may be deleted at
any time that none runs.

With crops of 160 pixels it saves a quarter of the processor's time a clip in scoring and a
fourteenth in training, where augmentation costs more than decoding; it takes some eight times their
bytes and fills slowly (`python benchmarks/pipeline.py --only cache`). So it pays where the same
crops come often and the disk or the memory holds them all.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf


def look_up(paths: tf.Tensor, cache: Path) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the cache entry of each crop, `(num_frames,) string`, and whether it is there, bool.

    An entry is named after all it depends on: the place, size and time of the crop, and the version
    of the decoder.
    """

    def find(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        folder = os.fsencode(cache)
        entries = [_entry(crop, folder) for crop in crops]
        return np.array(entries, object), np.array([_is_whole(entry) for entry in entries])

    entries, kept = tf.numpy_function(find, [paths], (tf.string, tf.bool), stateful=False)
    return tf.ensure_shape(entries, paths.shape), tf.ensure_shape(kept, paths.shape)


# These run for every crop and keep other Python code waiting, so they do without path objects.


def _entry(crop: bytes, folder: bytes) -> bytes:
    try:
        status = os.stat(crop)  # noqa: PTH116
    except OSError:
        return b""  # the graph reads the crop itself then, and fails with its name
    parts = (os.path.abspath(crop), status.st_size, status.st_mtime_ns, tf.__version__)  # noqa: PTH100
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:32].encode()
    return b"%b/%b/%b" % (folder, name[:2], name[2:])


def _is_whole(entry: bytes) -> bool:
    """Say whether an entry is there and as long as its head says; a power cut may leave less."""
    try:
        file = os.open(entry, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return False
    try:
        head, size = os.read(file, 8), os.fstat(file).st_size
    finally:
        os.close(file)
    height, width = (int.from_bytes(part, sys.byteorder) for part in (head[:4], head[4:]))
    return 0 < 3 * height * width + 8 == size


def read(entry: tf.Tensor) -> tf.Tensor:
    """Return a kept frame: height and width as int32, then the frame."""
    content = tf.io.decode_raw(tf.io.read_file(entry), tf.uint8)
    size = tf.bitcast(tf.reshape(content[:8], (2, 4)), tf.int32)
    return tf.reshape(content[8:], (size[0], size[1], 3))


def keep(frame: tf.Tensor, entry: tf.Tensor) -> tf.Tensor:
    """Return the frame, `(height, width, 3) uint8`, once it is kept as that entry."""
    kept = tf.numpy_function(_write, [entry, frame], tf.bool)
    with tf.control_dependencies([kept]):
        return tf.identity(frame)


def _write(entry: bytes, frame: np.ndarray) -> bool:
    """Write an entry under a name of its own and rename it: other processes may do the same."""
    path = Path(os.fsdecode(entry))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(np.array(frame.shape[:2], np.int32).tobytes())
            file.write(np.ascontiguousarray(frame))
        Path(partial).replace(path)
        return True
    except OSError:
        Path(partial).unlink(missing_ok=True)
        raise
