"""Which frames of a face track make a clip: one in each equal share of it, in order.

Training, validation, evaluation, prediction and strips of faces all sample with
`sample_positions`. No TensorFlow.
"""

import os
from collections.abc import Sequence

import numpy as np

from deepfake_detector.face_dataset.face_tracks import FaceTrack


def sample_positions(count: int, num_frames: int, phase: float = 0.5) -> list[int]:
    """Return which of `count` frames make a clip of `num_frames`, in order.

    The frames are split into `num_frames` equal shares, and `phase`, in [0, 1), says where in each
    share a frame is taken: 0.5 is the middle. Fewer frames than `num_frames` repeat, so a clip
    needs no mask.
    """
    steps = (np.arange(num_frames, dtype=np.float32) + np.float32(phase)) / np.float32(num_frames)
    positions = (steps * np.float32(count)).astype(np.int64)
    return np.minimum(positions, count - 1).tolist()


def clip_paths(track: FaceTrack, num_frames: int, phase: float = 0.5) -> list[bytes]:
    """Return the crops of a clip.

    Paths are bytes, because the name of a folder need not be Unicode.
    """
    positions = sample_positions(track.num_frames, num_frames, phase)
    return [os.fsencode(track.crop_path(position)) for position in positions]


def whole_video_paths(tracks: Sequence[FaceTrack], num_frames: int) -> np.ndarray:
    """Return the crops of the clips that are scored, `(num_tracks, num_frames)` bytes."""
    paths = [clip_paths(track, num_frames) for track in tracks]
    return np.array(paths, bytes).reshape(len(tracks), num_frames)
