"""Which clips make an epoch of training, and beside which others: pairs of a real and a fake.

No pixels and no TensorFlow.

    indices, roles = epochs.sample_epoch(videos, seed=0, epoch=0, self_blend=0.5)

With `self_blend` a share of the pairs needs no fake: both sides come from one real video, one of
them with a face of its own blended into it (blending.py). The roles say so.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack

# What a clip is: a video as it is, or one side of a pair made from a real video.
ORIGINAL, SELF_BLEND_TARGET, SELF_BLEND = 0, 1, 2


def steps_per_epoch(
    videos: Sequence[FaceTrack], batch_size: int, self_blend: float = 0.0, min_steps: int = 1
) -> int:
    """Return how many batches of training clips make an epoch: every pair once, or as often as
    `min_steps` batches take.

    Raises UserError where a class is missing or the clips are fewer than one batch.
    """
    counts = Counter(video.label for video in videos)
    found = f"{counts[0]} real and {counts[1]} fake"
    if not counts[0] or not (counts[1] or self_blend):
        needed = "real videos" if self_blend else "real and fake videos"
        remedy = ", or make fakes from the real: --self-blend 1" if counts[0] else ""
        raise UserError(
            f"training needs {needed}, but {len(videos)} videos hold {found}; add the missing "
            f"class{remedy}"
        )
    clips = count_clips(videos, self_blend)
    if clips < batch_size:
        raise UserError(
            f"{found} videos make {clips} balanced clips, less than a batch of {batch_size}; add "
            "videos or lower the batch size"
        )
    return max(clips // batch_size, min_steps)


def count_clips(videos: Sequence[FaceTrack], self_blend: float = 0.0) -> int:
    """Return how many clips it takes to show every pair once."""
    counts = Counter(video.label for video in videos)
    return 2 * (counts[0] if self_blend else min(counts[0], counts[1]))


def sample_epoch(
    videos: Sequence[FaceTrack],
    seed: int,
    epoch: int,
    shuffle_buffer: int | None = None,
    self_blend: float = 0.0,
    num_clips: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of an epoch's videos and their roles, `(num_clips,) int64` each: real,
    fake, real, fake, ... The epoch and the seed alone decide.

    Without `num_clips` it is every pair once, see `_couples` and `_with_self_blends`; with more
    than that, further rounds of them follow. With `shuffle_buffer` the order within a round is
    mixed within that many pairs of the order by name only.
    """
    rng = np.random.default_rng([seed, epoch])
    rounds, drawn = [], 0
    while drawn < (num_clips or 1):
        pairs = (
            _with_self_blends(videos, self_blend, rng)
            if self_blend
            else _real_fake_pairs(videos, rng)
        )
        rounds.append(_mix(pairs, shuffle_buffer, rng).reshape(-1, 2))
        drawn += len(rounds[-1])
    clips = np.concatenate(rounds)[:num_clips]
    return clips[:, 0], clips[:, 1]


def _real_fake_pairs(videos: Sequence[FaceTrack], rng: np.random.Generator) -> np.ndarray:
    """Return pairs of a real and a fake video, `(n, 2, 2) int64`: index and role of each.

    n is the size of the smaller class. Each of its videos comes once, beside a video of the other
    class drawn anew every epoch: if possible one of the same source group, because between a fake
    and its original only the forgery differs. Videos that merely show one person do not count.
    """
    by_class = [[i for i, video in enumerate(videos) if video.label == label] for label in (0, 1)]
    smaller, larger = sorted(by_class, key=len)
    partners: dict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(larger):
        partners[videos[index].source_group].append(int(index))
    pairs = {}
    for index in rng.permutation(smaller):
        of_family = partners[videos[index].source_group]
        pairs[int(index)] = of_family.pop() if of_family else None
    left_over = [index for indices in partners.values() for index in indices]
    unmatched = iter(rng.permutation(left_over))
    order = [
        sorted(
            (index, int(next(unmatched)) if partner is None else partner),
            key=lambda i: videos[i].label,
        )
        for index, partner in pairs.items()
    ]
    return np.stack([np.array(order), np.full((len(order), 2), ORIGINAL)], axis=-1)


def _with_self_blends(
    videos: Sequence[FaceTrack], self_blend: float, rng: np.random.Generator
) -> np.ndarray:
    """Return as many pairs as there are real videos, `(n, 2, 2) int64`: index and role of each.

    A share `self_blend` of them, or more where the fakes do not suffice, is a real video and a
    fake made from it. The others are a fake and its original, or a stranger where that is missing.
    Real videos of which there is no fake are blended only: beside a stranger's fake, a network
    would learn to tell where the two come from.
    """
    reals = [index for index, video in enumerate(videos) if video.label == 0]
    fakes = [index for index, video in enumerate(videos) if video.label == 1]
    of_family: dict[str, list[int]] = defaultdict(list)
    for index in reals:
        of_family[videos[index].source_group].append(index)
    forged = rng.permutation(fakes)[: round((1 - self_blend) * len(reals))].astype(int)
    pairs = [
        ((rng.choice(of_family.get(videos[fake].source_group, reals)), ORIGINAL), (fake, ORIGINAL))
        for fake in forged
    ]
    blended = rng.permutation(reals)[: len(reals) - len(pairs)]
    pairs += [((index, SELF_BLEND_TARGET), (index, SELF_BLEND)) for index in blended]
    return rng.permutation(np.array(pairs, np.int64))


def _mix(pairs: np.ndarray, shuffle_buffer: int | None, rng: np.random.Generator) -> np.ndarray:
    """Shuffle the rows; with a buffer, only within that many rows of the order by name."""
    if shuffle_buffer is None:
        return pairs  # permuted already when the pairs were made
    pairs = pairs[np.argsort(pairs[:, 0, 0], kind="stable")]
    return pairs[np.argsort(np.arange(len(pairs)) + shuffle_buffer * rng.random(len(pairs)))]
