"""From the scores of faces to the score of a video: the face with the highest score decides.

One forged face makes a video a fake, however genuine the others are. No TensorFlow.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from deepfake_detector.face_dataset.face_tracks import FaceTrack

Key = TypeVar("Key", bound=Hashable)


def highest_scoring_tracks(
    tracks: Sequence[FaceTrack], scores: Sequence[float] | np.ndarray
) -> list[int]:
    """Return for each video the index of its highest-scoring face track, in order of the videos."""
    return list(highest_scoring([track.video_key for track in tracks], scores).values())


def highest_scoring(keys: Iterable[Key], scores: Sequence[float] | np.ndarray) -> dict[Key, int]:
    """Return for each key the index of the highest of its scores, the first one of equal scores.

    `keys` names the video that each score belongs to. The result is in the order in which the keys
    first appear.
    """
    highest: dict[Key, int] = {}
    for index, key in enumerate(keys):
        if scores[index] > scores[highest.setdefault(key, index)]:
            highest[key] = index
    return highest
