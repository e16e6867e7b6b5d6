"""Which clips make an epoch of training: real-fake pairs.

No pixels and no TensorFlow.

    indices, roles = sample_epoch(tracks, seed=0, epoch=0, self_blend=0.5)

With `self_blend`, a share of the pairs needs no fake: both sides are made from one real video. One
of them gets its own altered face blended into it (self_blending.py), or that of a person who looks
alike (face_swaps.py). The roles say so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack

# Roles of a clip: a video as it is, the real or the fake side made from a real video, or a real
# video with another face.
ORIGINAL, SELF_BLEND_TARGET, SELF_BLEND, SWAP = 0, 1, 2, 3
SWAPPED_SHARE = 0.7  # of the fakes that are made: with the face of another person


def steps_per_epoch(
    tracks: Sequence[FaceTrack], batch_size: int, self_blend: float = 0.0, min_steps: int = 1
) -> int:
    """Return how many batches of training clips make an epoch: those that hold every pair once, or
    `min_steps` if that is more.

    Raises UserError if a class is missing or the clips are fewer than one batch.
    """
    counts = Counter(track.label for track in tracks)
    found = f"{counts[0]} real and {counts[1]} fake"
    if not counts[0] or not (counts[1] or self_blend):
        needed = "real videos" if self_blend else "real and fake videos"
        remedy = ", or make fakes from the real: --self-blend 1" if counts[0] else ""
        raise UserError(
            f"training needs {needed}, and the videos to train on are {found}; add the missing "
            f"class{remedy}"
        )
    clips = count_clips(tracks, self_blend)
    if clips < batch_size:
        raise UserError(
            f"the videos to train on, {found}, make {clips} balanced clips, less than a batch of "
            f"{batch_size}; add videos, or lower the batch: --batch-size {clips}"
        )
    return max(clips // batch_size, min_steps)


def count_clips(tracks: Sequence[FaceTrack], self_blend: float = 0.0) -> int:
    """Return how many clips it takes to show every pair once."""
    real, fake = map(len, _random_classes(tracks, np.random.default_rng(0)))
    return 2 * (real if self_blend else min(real, fake))


def sample_epoch(
    tracks: Sequence[FaceTrack],
    seed: int,
    epoch: int,
    shuffle_buffer: int | None = None,
    self_blend: float = 0.0,
    num_clips: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of an epoch's videos and their roles, `(num_clips,) int64` each: real,
    fake, real, fake, ... The epoch and the seed alone decide.

    Without `num_clips` that is every pair once, see `_real_fake_pairs` and `_self_blend_pairs`;
    with more clips than that, further rounds of pairs follow. `shuffle_buffer` is how many pairs
    away from its place in the order by name a pair may move; None mixes all.
    """
    rng = np.random.default_rng([seed, epoch])
    rounds: list[np.ndarray] = []
    while sum(map(len, rounds)) < (num_clips or 1):
        if self_blend:
            pairs = _self_blend_pairs(tracks, self_blend, rng)
        else:
            pairs = _real_fake_pairs(tracks, rng)
        rounds.append(_mix(pairs, shuffle_buffer, rng).reshape(-1, 2))  # (clips, 2)
    clips = np.concatenate(rounds)[:num_clips]
    return clips[:, 0], clips[:, 1]


def _real_fake_pairs(tracks: Sequence[FaceTrack], rng: np.random.Generator) -> np.ndarray:
    """Return pairs of a real and a fake video, `(n, 2, 2) int64`: index and role of each.

    n is the size of the smaller class, of which each video comes once. Its partner is random again
    in every epoch: one of the same source group if there is one left, because between a fake
    and its original only the forgery differs, otherwise an unmatched one. Videos that merely show
    the same person do not match.
    """
    smaller, larger = sorted(_random_classes(tracks, rng), key=len)
    partners = _by_source_group(tracks, map(int, rng.permutation(larger)))
    partner_of: dict[int, int | None] = {}
    for index in map(int, rng.permutation(smaller)):
        group = partners.get(tracks[index].source_group)
        partner_of[index] = group.pop() if group else None
    left_over = [index for group in partners.values() for index in group]
    unmatched = iter(rng.permutation(left_over))
    pairs = [
        (index, int(next(unmatched)) if partner is None else partner)
        for index, partner in partner_of.items()
    ]
    real_first = [sorted(pair, key=lambda index: tracks[index].label) for pair in pairs]
    return np.stack([np.array(real_first), np.full((len(pairs), 2), ORIGINAL)], axis=-1)


def _self_blend_pairs(
    tracks: Sequence[FaceTrack], self_blend: float, rng: np.random.Generator
) -> np.ndarray:
    """Return as many pairs as there are real videos, `(n, 2, 2) int64`: index and role of each.

    A share `self_blend` of them, or more if there are too few fakes, is a real video and a fake
    made from it. The others are a fake and its original, or an unmatched real video if that is
    missing. A real video without a fake made from it is not paired with one of another source:
    a network would learn to tell the sources apart.
    """
    reals, fakes = _random_classes(tracks, rng)
    originals = _by_source_group(tracks, reals)
    chosen = rng.permutation(fakes)[: round((1 - self_blend) * len(reals))].astype(int)
    pairs = [
        ((rng.choice(originals.get(tracks[fake].source_group, reals)), ORIGINAL), (fake, ORIGINAL))
        for fake in chosen
    ]
    made = rng.permutation(reals)[: len(reals) - len(pairs)]
    swapped = rng.random(len(made)) < SWAPPED_SHARE
    for index, is_swap in zip(made, swapped, strict=True):
        roles = (ORIGINAL, SWAP) if is_swap else (SELF_BLEND_TARGET, SELF_BLEND)
        pairs.append(((index, roles[0]), (index, roles[1])))
    return rng.permutation(np.array(pairs, np.int64))


def _random_classes(tracks: Sequence[FaceTrack], rng: np.random.Generator) -> list[list[int]]:
    """Return the indices of the real videos and those of the fake ones: all, and of photographs a
    random choice of as many as there are videos of the class.

    Photographs come by the thousand, and people who pose in them are easier than people who talk.
    """
    classes = []
    for label in (0, 1):
        indices = [i for i, track in enumerate(tracks) if track.label == label]
        photographs = [i for i in indices if tracks[i].is_photograph]
        num_videos = len(indices) - len(photographs)
        if 0 < num_videos < len(photographs):
            left_out = rng.permutation(photographs)[num_videos:].tolist()
            indices = sorted(set(indices).difference(left_out))
        classes.append(indices)
    return classes


def _by_source_group(tracks: Sequence[FaceTrack], indices: Iterable[int]) -> dict[str, list[int]]:
    """Return the indices by the source group of their videos, in the given order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        groups[tracks[index].source_group].append(index)
    return groups


def _mix(pairs: np.ndarray, shuffle_buffer: int | None, rng: np.random.Generator) -> np.ndarray:
    """Shuffle the rows; with a buffer, only within that many rows of the order by name."""
    if shuffle_buffer is None:
        return pairs  # in random order since they were made
    pairs = pairs[np.argsort(pairs[:, 0, 0], kind="stable")]
    return pairs[np.argsort(np.arange(len(pairs)) + shuffle_buffer * rng.random(len(pairs)))]
