"""What TensorFlow raises while it trains, in sentences that say what to do.

with explained_errors(videos, batch_size=8):
    trainer.fit(...)
"""

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from deepfake_detector.clips import read_errors
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack

# How the loss of another worker looks from here.
WORKER_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@contextlib.contextmanager
def explained_errors(videos: Sequence[FaceTrack], batch_size: int) -> Iterator[None]:
    """Turn a lost worker, too little memory or an unreadable crop of `videos` into a UserError."""
    try:
        yield
    except WORKER_LOST as error:
        raise UserError(
            "another worker of this run has stopped or cannot be reached; start the same command "
            "on all of them again, it continues from the last checkpoint"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"out of memory with {batch_size} clips a batch; lower --batch-size or --num-frames"
        ) from error
    except tf.errors.OpError as error:
        raise UserError(read_errors.explain(error, videos)) from error
