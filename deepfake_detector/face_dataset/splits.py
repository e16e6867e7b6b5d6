"""Which faces there are, and which part of a split each is in: train, validation or test.

Goes in: what processing.py wrote. Comes out: a `FaceTrack` per folder of crops, and parts in which
nothing leaks: no original and no person is in two of them. No pixels and no TensorFlow.

    faces = splits.list_faces("faces")
    parts = split_tracks(faces, seed=0)
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos
from deepfake_detector.videos.groups import connected_groups

SPLITS = ("train", "validation", "test")
LEFT_OUT = "left_out"  # stands beside the parts of a split
PEOPLE_DRAWS = 100  # the best of these is taken where people are drawn instead of groups
MOST_BUNDLES = 2000  # of groups that are drawn together, where there are more groups


# Split


def split_tracks(
    videos: Sequence[FaceTrack],
    validation_share: float = 0.15,
    test_share: float = 0.15,
    seed: int = 0,
) -> dict[str, list[FaceTrack]]:
    """Return the videos as `{"train": [...], "validation": [...], "test": [...], "left_out": []}`.

    No source group and no person straddles two parts; the shares of fakes are kept alike as far
    as that allows. Where the metadata marks validation or test videos these parts are taken as they
    are, and only a part it does not mark is drawn, from the videos marked train. A share of 0
    leaves it empty.

    Two kinds of videos are in no part but left out: those marked for one part that show people of
    a later one, and, where people had to be drawn (see `_draw`), those of people of two parts.

    Raises UserError where marks put one source group on two sides, or too few groups are there.
    """
    parts = _official_splits(videos)
    check_no_leak(parts)
    lost = count_videos(videos) - count_videos(itertools.chain(*parts.values()))
    for part, share in (("test", test_share), ("validation", validation_share)):
        if share > 0 and not parts[part]:
            # The share is one of all videos, not of what the other part left over.
            kept = sum(map(len, parts.values()))
            share_of_rest = min(0.5, share * kept / max(1, len(parts["train"])))
            try:
                parts["train"], parts[part] = _draw(parts["train"], share_of_rest, part, seed)
            except UserError as error:
                raise UserError(f"{error}{_remedy_for_marks(lost)}") from error
    check_no_leak(parts)
    placed = {video.name for part in SPLITS for video in parts[part]}
    return parts | {LEFT_OUT: [video for video in videos if video.name not in placed]}


def without_official_splits(videos: Sequence[FaceTrack]) -> list[FaceTrack]:
    """Return the videos as if the metadata marked none of them, so that all parts are drawn."""
    return [replace(video, split="train") for video in videos]


def _official_splits(videos: Sequence[FaceTrack]) -> dict[str, list[FaceTrack]]:
    """Return the parts as marked, without videos that show people of a later one: test comes last.

    Raises UserError where that takes the last video of a class out of a part.
    """
    people: set[str] = set()
    parts = {}
    for part in reversed(SPLITS):
        marked = [video for video in videos if video.split == part]
        parts[part] = [video for video in marked if people.isdisjoint(video.people)]
        people = people.union(*(video.people for video in parts[part]))
        before, after = (Counter(video.label for video in kept) for kept in (marked, parts[part]))
        if len(after) < len(before):
            raise UserError(
                f"the {part} part is left with {after[0]} real and {after[1]} fake videos"
                + _remedy_for_marks(count_videos(marked) - count_videos(parts[part]))
            )
    return {part: parts[part] for part in SPLITS}


def _remedy_for_marks(lost: int) -> str:
    if not lost:
        return ""
    return (
        f"; {lost:,} videos show people of videos marked for another part and are left out: draw "
        "all parts anew with train.py --ignore-marks"
    )


def _draw(
    videos: Sequence[FaceTrack], share: float, part: str, seed: int
) -> tuple[list[FaceTrack], list[FaceTrack]]:
    """Return the rest and the drawn part, about `share` of the videos.

    Videos that share an original or a person are in one group, and so are those that a chain of
    such videos joins. Groups are drawn as a whole, unless that cannot give a part of half its share
    to twice its share and people are named: where everybody's face is put on everybody else, as in
    Celeb-DF, a few groups hold nearly all. Then people are drawn, if that comes nearer.
    """
    groups = connected_groups({video.name: video.group_keys for video in videos})
    by_group = _draw_groups(videos, np.array([groups[v.name] for v in videos]), share, seed)
    if by_group and share / 2 <= len(by_group[1]) / len(videos) <= 2 * share:
        return by_group
    by_people = _draw_people(videos, share, seed)
    drawn = min(
        filter(None, [by_group, by_people]),
        key=lambda parts: abs(len(parts[1]) / len(videos) - share),
        default=None,
    )
    if drawn is None:
        raise UserError(
            f"cannot draw a {part} part from {len(videos)} videos of {len(set(groups.values()))} "
            "originals: each class needs videos of at least two, whose people are not the same; "
            "add videos, or set the part's share to 0"
        )
    return drawn


def _draw_people(
    videos: Sequence[FaceTrack], share: float, seed: int
) -> tuple[list[FaceTrack], list[FaceTrack]] | None:
    """Split off the videos of about `share` of the people; one of people on both sides falls out.

    Swaps among few people are rare, so of many draws the one is taken whose drawn part has most
    videos of its rarer class. None where nobody is named, or no draw has both classes on both
    sides.
    """
    needed = _needed(videos)
    everything = sorted(set().union(*needed))
    people = [need for need in everything if need.startswith("person/")]
    source_groups = [need for need in everything if not need.startswith("person/")]
    if not people:
        return None
    rng = np.random.default_rng(seed)
    best, most = None, 0
    for _ in range(PEOPLE_DRAWS):
        # Two at least: a fake shows two people.
        drawn = set(rng.permutation(people)[: max(2, round(share * len(people)))].tolist())
        drawn.update(rng.permutation(source_groups)[: round(share * len(source_groups))].tolist())
        chosen = [v for v, need in zip(videos, needed, strict=True) if need <= drawn]
        rest = [v for v, need in zip(videos, needed, strict=True) if need.isdisjoint(drawn)]
        rarer = min(sum(video.label == label for video in chosen) for label in (0, 1))
        if rarer > most and {video.label for video in rest} == {0, 1}:
            best, most = (rest, chosen), rarer
    return best


def _needed(videos: Sequence[FaceTrack]) -> list[set[str]]:
    """Return for each video what must be in a part for the video to be in it.

    That is its people, and its source group unless somebody is in all of it.
    """
    in_all: dict[str, set[str]] = {}
    for video in videos:
        in_all.setdefault(video.source_group, set(video.people)).intersection_update(video.people)
    return [
        video.group_keys - {video.source_group} if in_all[video.source_group] else video.group_keys
        for video in videos
    ]


def _draw_groups(
    videos: Sequence[FaceTrack], groups: np.ndarray, share: float, seed: int
) -> tuple[list[FaceTrack], list[FaceTrack]] | None:
    """Split off about `share` of the videos, whole groups, with the classes as even as it goes.

    `groups` are names, `(num_videos,)`. None where a class has fewer than two.
    """
    labels = np.array([video.label for video in videos])
    # A class needs a group of its own in every fold for the folds to hold both classes.
    most = min((len(set(groups[labels == label])) for label in set(labels)), default=0)
    folds = min(max(2, round(1 / share)), most)
    if folds < 2:
        return None
    # Folds depend on the order of the groups, so that order is what the seed draws. The splitter's
    # own shuffling leaves groups of the same make-up in place before scikit-learn 1.8.
    names, numbers = np.unique(groups, return_inverse=True)
    # It takes a fraction of a millisecond a group and fold: tens of thousands are dealt as bundles.
    shuffled = np.random.default_rng(seed).permutation(len(names))[numbers] % MOST_BUNDLES
    candidates = list(StratifiedGroupKFold(folds).split(labels, labels, shuffled))
    # Small sets leave folds of unequal make-up: the first of the most typical ones is taken.
    # Few groups make few, large folds: then the size asked for decides between them.
    target = np.array([labels.mean(), share])
    drawn = min(
        (held_out for _, held_out in candidates),
        key=lambda held_out: np.abs(
            [labels[held_out].mean() - target[0], len(held_out) / len(videos) - target[1]]
        ).sum(),
    )
    chosen = set(drawn.tolist())
    rest = [video for index, video in enumerate(videos) if index not in chosen]
    return rest, [videos[index] for index in sorted(chosen)]


def check_no_leak(parts: Mapping[str, Sequence[FaceTrack]]) -> None:
    """Raise UserError where a source group or a person has videos in two parts, and name them."""
    _check_apart(
        parts, lambda video: [video.source_group], "groups of videos with the same original"
    )
    _check_apart(parts, lambda video: video.people, "people")


def _check_apart(
    parts: Mapping[str, Sequence[FaceTrack]],
    shares: Callable[[FaceTrack], Iterable[str]],
    what: str,
) -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    for part in SPLITS:
        for video in parts[part]:
            for shared in shares(video):
                homes[shared].add(part)
    leaking = [shared for shared, where in sorted(homes.items()) if len(where) > 1]
    if leaking:
        names = [v.name for part in SPLITS for v in parts[part] if leaking[0] in shares(v)]
        raise UserError(
            f"{len(leaking)} {what} are on two sides of the split "
            f"({', '.join(sorted(homes[leaking[0]]))}): {', '.join(sorted(names)[:6])}; give them "
            "the same split in metadata.json"
        )
