"""From the scores of faces to the score of a video: the face with the highest score decides.

One forged face makes a video a fake, however genuine the others are. No TensorFlow.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def highest_scoring(keys: Iterable[Key], scores: Sequence[float]) -> dict[Key, int]:
    """Return for each key the index of the highest of its scores, the first one of equal scores.

    `keys` says of each score which video it belongs to. The result is in the order in which the
    keys first appear.
    """
    highest: dict[Key, int] = {}
    for index, key in enumerate(keys):
        if scores[index] > scores[highest.setdefault(key, index)]:
            highest[key] = index
    return highest
