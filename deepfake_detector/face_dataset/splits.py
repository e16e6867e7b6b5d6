"""Which split each face track is in: train, validation or test, so that nothing leaks.

A video, everything made from it and everybody in it are in one split only. Official splits, those
that the metadata gives, are kept; the others are chosen at random, by seed.

    splits = split_tracks(list_faces("faces"), seed=0)
    splits["train"]                        # face tracks
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from deepfake_detector.console import UserError, counted
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos
from deepfake_detector.videos.metadata import connected_groups

SPLITS = ("train", "validation", "test")
LEFT_OUT = "left_out"  # next to the splits: videos that are in none
PEOPLE_TRIALS = 100  # random choices of people, of which the best is taken
MOST_BUNDLES = 2000  # of source groups that are chosen together, where there are more groups


def split_tracks(
    videos: Sequence[FaceTrack],
    validation_share: float = 0.15,
    test_share: float = 0.15,
    seed: int = 0,
) -> dict[str, list[FaceTrack]]:
    """Return the videos as `{"train": [...], "validation": [...], "test": [...], "left_out": []}`.

    No source group and no person is in two splits; the shares of fakes are as equal as that allows.
    Where the metadata has official validation or test videos, these are the split. A split that it
    does not have is chosen at random from the official training videos. A share of 0 leaves it
    empty.

    Two kinds of videos are in no split but left out: those of one official split that show people
    of a later one, and, where the random choice is one of people (see `_split_off`), those that
    show people of two splits.

    Raises UserError where official splits put one source group on two sides, or where there are too
    few groups.
    """
    splits = _official_splits(videos)
    check_no_leak(splits)
    lost = count_videos(videos) - count_videos(itertools.chain(*splits.values()))
    for name, share in (("test", test_share), ("validation", validation_share)):
        if share > 0 and not splits[name]:
            # The share is one of all videos, not of what the other split left.
            kept = sum(map(len, splits.values()))
            share_of_rest = min(0.5, share * kept / max(1, len(splits["train"])))
            try:
                rest, chosen = _split_off(splits["train"], share_of_rest, name, seed)
            except UserError as error:
                raise UserError(f"{error}{_remedy_for_official_splits(lost)}") from error
            splits |= {"train": rest, name: chosen}
    check_no_leak(splits)
    placed = {video.name for name in SPLITS for video in splits[name]}
    return splits | {LEFT_OUT: [video for video in videos if video.name not in placed]}


def without_official_splits(videos: Sequence[FaceTrack]) -> list[FaceTrack]:
    """Return the videos as if the metadata had no splits, so that all are chosen at random."""
    return [replace(video, split="train") for video in videos]


def _official_splits(videos: Sequence[FaceTrack]) -> dict[str, list[FaceTrack]]:
    """Return the official splits, without videos that show people of a later one; test is the last.

    Raises UserError where that takes the last video of a class out of a split.
    """
    people: set[str] = set()
    splits = {}
    for name in reversed(SPLITS):
        official = [video for video in videos if video.split == name]
        splits[name] = [video for video in official if people.isdisjoint(video.people)]
        people = people.union(*(video.people for video in splits[name]))
        before, after = (Counter(v.label for v in kept) for kept in (official, splits[name]))
        if len(after) < len(before):
            raise UserError(
                f"the videos left in the {name} split are {after[0]} real and {after[1]} fake"
                + _remedy_for_official_splits(count_videos(official) - count_videos(splits[name]))
            )
    return {name: splits[name] for name in SPLITS}


def _remedy_for_official_splits(lost: int) -> str:
    """Return the end of a message: how many videos the official splits cost, and what to do."""
    if not lost:
        return ""
    return (
        f"; {counted(lost, 'video')} left out because of people in another official split: choose "
        "all splits at random with train.py --ignore-official-split"
    )


def _split_off(
    videos: Sequence[FaceTrack], share: float, name: str, seed: int
) -> tuple[list[FaceTrack], list[FaceTrack]]:
    """Return the rest and the videos chosen for the split `name`, about `share` of all.

    Videos that share an original or a person are in one group, and so are those that a chain of
    such videos connects. The choice is one of whole groups if that gives a split of half its share
    to twice its share. Otherwise, and if people are named, it is one of people if that comes nearer
    to the share: where everybody's face is put on everybody else, as in Celeb-DF, a few groups hold
    nearly all videos.
    """
    groups = connected_groups({video.name: video.group_keys for video in videos})
    by_groups = _choose_groups(videos, np.array([groups[v.name] for v in videos]), share, seed)
    if by_groups and share / 2 <= len(by_groups[1]) / len(videos) <= 2 * share:
        return by_groups
    by_people = _choose_people(videos, share, seed)
    best = min(
        filter(None, [by_groups, by_people]),
        key=lambda found: abs(len(found[1]) / len(videos) - share),
        default=None,
    )
    if best is None:
        originals = counted(len(set(groups.values())), "original")
        remedy = ", or do without it: --test-share 0" if name == "test" else ""
        raise UserError(
            f"cannot choose a {name} split from {counted(len(videos), 'video')} of {originals}: "
            "each class needs videos of at least two, whose people are not the same; add videos"
            f"{remedy}"
        )
    return best


def _choose_groups(
    videos: Sequence[FaceTrack], groups: np.ndarray, share: float, seed: int
) -> tuple[list[FaceTrack], list[FaceTrack]] | None:
    """Return the rest and about `share` of the videos: whole groups, with the classes balanced.

    `groups` are names, `(num_videos,)`. None where a class has fewer than two.
    """
    labels = np.array([video.label for video in videos])
    # A class needs a group of its own in every fold for the folds to hold both classes.
    most = min((len(set(groups[labels == label])) for label in set(labels)), default=0)
    folds = min(max(2, round(1 / share)), most)
    if folds < 2:
        return None
    # Folds depend on the order of the groups, so the seed decides that order. The splitter's own
    # shuffling leaves groups of equal composition in place before scikit-learn 1.8.
    names, numbers = np.unique(groups, return_inverse=True)
    # It takes a fraction of a millisecond a group and fold: tens of thousands are put in bundles.
    shuffled = np.random.default_rng(seed).permutation(len(names))[numbers] % MOST_BUNDLES
    candidates = list(StratifiedGroupKFold(folds).split(labels, labels, shuffled))
    # The folds of small sets differ, so the first of the most typical ones is taken. Few groups
    # make few, large folds; then the size asked for decides between them.
    target = np.array([labels.mean(), share])
    indices = min(
        (held_out for _, held_out in candidates),
        key=lambda held_out: np.abs(
            [labels[held_out].mean() - target[0], len(held_out) / len(videos) - target[1]]
        ).sum(),
    )
    chosen = set(indices.tolist())
    rest = [video for index, video in enumerate(videos) if index not in chosen]
    return rest, [videos[index] for index in sorted(chosen)]


def _choose_people(
    videos: Sequence[FaceTrack], share: float, seed: int
) -> tuple[list[FaceTrack], list[FaceTrack]] | None:
    """Return the rest and the videos of about `share` of the people; people on both sides: neither.

    Swaps among few people are rare, so of many random choices the one is taken whose chosen videos
    have most of their rarer class. None where nobody is named, or no choice leaves both classes on
    both sides.
    """
    needed = _needed_keys(videos)
    keys = sorted(set().union(*needed))
    people = [key for key in keys if key.startswith("person/")]
    source_groups = [key for key in keys if not key.startswith("person/")]
    if not people:
        return None
    rng = np.random.default_rng(seed)
    best, most = None, 0
    for _ in range(PEOPLE_TRIALS):
        # Two at least: a fake shows two people.
        taken = set(rng.permutation(people)[: max(2, round(share * len(people)))].tolist())
        taken.update(rng.permutation(source_groups)[: round(share * len(source_groups))].tolist())
        chosen = [v for v, keys in zip(videos, needed, strict=True) if keys <= taken]
        rest = [v for v, keys in zip(videos, needed, strict=True) if keys.isdisjoint(taken)]
        rarer = min(sum(video.label == label for video in chosen) for label in (0, 1))
        if rarer > most and {video.label for video in rest} == {0, 1}:
            best, most = (rest, chosen), rarer
    return best


def _needed_keys(videos: Sequence[FaceTrack]) -> list[set[str]]:
    """Return for each video the group keys that must all be in a split for the video to be in it.

    These are its people, and its source group unless one person is in all videos of that.
    """
    in_all: dict[str, set[str]] = {}
    for video in videos:
        in_all.setdefault(video.source_group, set(video.people)).intersection_update(video.people)
    return [
        video.group_keys - {video.source_group} if in_all[video.source_group] else video.group_keys
        for video in videos
    ]


def what_is_known(tracks: Sequence[FaceTrack], two_sides: str = "in two splits") -> tuple[str, str]:
    """Return what a split of these videos rules out, and a warning about what it cannot.

    The first is a clause, "no original and no person is in two of them" where everything is known.
    The second is a sentence, or empty. Who is in a fake is known if people, or a group, are
    named in it, and in a real video also if they are in one of its source group. An original is
    known if a fake shares its source group with another video, or people are named in it.
    """
    groups = Counter(group for group, _ in {(t.source_group, t.video_key) for t in tracks})
    with_people = {track.source_group for track in tracks if track.people}
    videos = {track.video_key: track for track in tracks}.values()
    nobody = [
        track
        for track in videos
        if not track.people and (track.label or track.source_group not in with_people)
    ]
    lonely = [track for track in nobody if track.label and groups[track.source_group] == 1]
    fakes = sum(track.label for track in videos)
    claim = f"no {'known ' if lonely else ''}original"
    if with_people:
        claim += f" and no {'known ' if nobody else ''}person"
    if not nobody:
        return f"{claim} is in two of them", ""
    warning = (
        f"who is in {len(nobody):,} of {counted(len(videos), 'video')} is not known, so a person "
        f"may be {two_sides}"
    )
    if lonely:
        warning += f"; nor is the original of {len(lonely):,} of {counted(fakes, 'fake')}"
    return f"{claim} is in two of them", warning


def check_no_leak(splits: Mapping[str, Sequence[FaceTrack]]) -> None:
    """Raise UserError where a source group or a person has videos in two splits, and name them."""
    splits_of: dict[str, set[str]] = defaultdict(set)
    for name in SPLITS:
        for video in splits[name]:
            for key in video.group_keys:
                splits_of[key].add(name)
    leaking = [key for key, names in sorted(splits_of.items()) if len(names) > 1]
    if leaking:
        key, sides = leaking[0], ", ".join(sorted(splits_of[leaking[0]]))
        videos = sorted(v.name for name in SPLITS for v in splits[name] if key in v.group_keys)
        names = ", ".join(videos[:6]) + (", ..." if len(videos) > 6 else "")
        raise UserError(
            f"videos of one original or of one person are on two sides of the official split "
            f"({sides}): {names}; give them the same split in metadata.json, or choose all splits "
            "at random with train.py --ignore-official-split"
        )
