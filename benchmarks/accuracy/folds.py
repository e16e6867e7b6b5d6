"""What each network is tested on and what it may be trained on: by people or by source.

    videos = folds.list_videos([Path("faces"), Path("more_faces")], [Path("more_real_faces")])
    for fold in folds.deal(videos, num_folds=3, seed=0):       # or folds.leave_source_out(videos)
        fold.test, fold.rest

Videos that share an original or a person, directly or through others, are one group (splits.py),
also over several folders, and a group is in one fold as a whole. An official split in the metadata
is ignored.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.accuracy.sources import Key, dataset_of, find_sources
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces, read_entries
from deepfake_detector.face_dataset.settings import crop_differences, read_settings
from deepfake_detector.face_dataset.splits import check_no_leak, without_official_splits
from deepfake_detector.videos.metadata import connected_groups

NOT_NAMED = "not named"
OTHERS = "others"
MIN_OF_CLASS = 3  # videos of a data set that is tested by itself


@dataclass(frozen=True)
class About:
    """What the metrics of a video are grouped by."""

    data: str  # folder of faces
    video: str
    label: int  # 1 = fake
    group: str  # of people: the name of its first video or group key
    method: str | None  # of manipulation; None for a real video
    family: str | None  # of methods, such as "lip sync", if the metadata names it
    source: str | None  # see sources.py
    extra: bool  # for training only


@dataclass(frozen=True)
class Videos:
    """The faces to test on, those of more real people to train on, and what is known of them."""

    tracks: list[FaceTrack]
    extras: list[FaceTrack]
    about: Mapping[Key, About]  # by FaceTrack.video_key


@dataclass(frozen=True)
class Fold:
    """What one network is trained and tested on."""

    name: str
    test: list[FaceTrack]
    rest: list[FaceTrack]  # to train and validate on, extras among them
    left_out: int  # videos that are in neither, because of their people

    @property
    def folder(self) -> str:
        """The name of its folder, below that of the detector and seed."""
        return re.sub(r"[^A-Za-z0-9+.-]+", "-", self.name).strip("-.") or "unnamed"


def list_videos(data: Sequence[Path], extra: Sequence[Path] = ()) -> Videos:
    """Return the faces of the `data` folders, and the real ones of the `extra` folders.

    Videos of one name in two folders count as one original and the same people; an extra video of
    such a name is not used. Groups reach over all folders. Raises UserError for a folder without
    faces, one that is given twice, or with faces that were made with other settings.
    """
    folders = [*data, *extra]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("--data and --extra name a folder twice; its videos would count double")
    entries: dict[Key, Mapping] = {}
    own: list[FaceTrack] = []
    extras: list[FaceTrack] = []
    for folder in folders:
        check_settings(folder, data[0])
        listed = without_official_splits(list_faces(folder))
        entries |= {(str(folder), name): entry for name, entry in read_entries(folder).items()}
        known = {track.video for track in [*own, *extras]}
        if folder in data:
            own += listed
        else:
            extras += [t for t in listed if not t.label and t.video not in known]
    own, extras = (_over_folders(tracks, [*own, *extras], entries) for tracks in (own, extras))
    return Videos(own, extras, describe_videos(own, extras, entries))


def count_videos(tracks: Iterable[FaceTrack]) -> int:
    """Return how many videos the face tracks are of; names may repeat over folders."""
    return len({track.video_key for track in tracks})


def check_settings(folder: Path, data: Path) -> None:
    """Raise UserError if the faces of `folder` and `data` were made with different settings."""
    differences = crop_differences(read_settings(folder), read_settings(data), f"{data} has")
    if differences:
        raise UserError(
            f"{folder} holds other faces than {data}: {differences}; make both with the same "
            "settings, or the network learns to recognise the folders"
        )


def _over_folders(
    tracks: Sequence[FaceTrack], every_track: Sequence[FaceTrack], entries: Mapping[Key, Mapping]
) -> list[FaceTrack]:
    """Return the tracks with source groups and people that are those of all folders together."""
    relatives: dict[str, set[str]] = {}
    # Of all videos, used or not: a fake may connect real ones.
    for (_, name), entry in entries.items():
        named = {str(entry[key]) for key in ("original", "video") if entry.get(key)}
        relatives.setdefault(name, set()).update(named)
    source_groups = connected_groups(relatives)
    people: dict[str, set[str]] = {}
    for track in every_track:
        people.setdefault(track.name, set()).update(track.people)
    return [
        replace(t, source_group=source_groups[t.name], people=tuple(sorted(people[t.name])))
        for t in tracks
    ]


def describe_videos(
    own: Sequence[FaceTrack], extras: Sequence[FaceTrack], entries: Mapping[Key, Mapping]
) -> dict[Key, About]:
    """Return what is known of each video by the entries of its metadata.json, by video key."""
    groups, sources = groups_of([*own, *extras]), find_sources(entries)
    about = {}
    for is_extra, tracks in ((False, own), (True, extras)):
        for track in tracks:
            data, _ = track.video_key
            entry = entries.get((data, track.name), {})
            about[track.video_key] = About(
                data=data,
                video=track.video,
                label=track.label,
                group=groups[track.name],
                method=(track.method or NOT_NAMED) if track.label else None,
                family=str(entry["family"]) if entry.get("family") else None,
                source=sources[data, track.name],
                extra=is_extra,
            )
    return about


def groups_of(tracks: Sequence[FaceTrack]) -> dict[str, str]:
    """Return the group of each track by its name: all that share originals or people, also through
    others. A group is named after its first name or group key in alphabetical order."""
    return connected_groups({track.name: track.group_keys for track in tracks})


def deal(videos: Videos, num_folds: int, seed: int) -> list[Fold]:
    """Return folds of whole groups, with real and fake videos spread as evenly as groups allow.

    A fold trains on all other folds and on the extra videos, without people of its test videos.
    Raises UserError if there are fewer groups than folds, or a fold stays empty.
    """
    tracks = videos.tracks
    groups = groups_of(tracks)
    names, numbers = np.unique([groups[track.name] for track in tracks], return_inverse=True)
    labels = np.array([track.label for track in tracks])
    # Folds depend on the order of the groups, so the seed shuffles that order.
    shuffled = np.random.default_rng(seed).permutation(len(names))[numbers]
    dealt = []
    if 2 <= num_folds <= len(names):
        with warnings.catch_warnings():  # of a class with few groups: the tables show it
            warnings.simplefilter("ignore", UserWarning)
            dealt = list(StratifiedGroupKFold(num_folds).split(labels, labels, shuffled))
    if not dealt or not all(len(held_out) for _, held_out in dealt):
        raise UserError(
            f"{len(tracks)} faces of {len(names)} groups of people do not make {num_folds} folds; "
            "give another --folds, or faces of more people who share no video"
        )
    folds = []
    for number, (others, held_out) in enumerate(dealt, start=1):
        test = [tracks[index] for index in held_out]
        # Extras can join two groups: a real video of one person of each.
        extras = _of_other_people(videos.extras, test, [*test, *videos.extras])
        left_out = count_videos(videos.extras) - count_videos(extras)
        rest = [tracks[index] for index in others] + extras
        folds.append(_checked(Fold(f"fold {number}", test, rest, left_out)))
    return folds


def leave_source_out(videos: Videos) -> list[Fold]:
    """Return a fold for each data set: its videos are tested, those of all others trained on.

    People of the test videos are left out of the training. Data sets with fewer than MIN_OF_CLASS
    videos of a class are left out and tested together, as OTHERS; if these lack a class, they are
    only trained on. Raises UserError if fewer than two data sets are named.
    """
    datasets = {
        key: dataset_of(known.source) for key, known in videos.about.items() if known.source
    }
    counts = Counter(
        (datasets[key], known.label)
        for key, known in videos.about.items()
        if key in datasets and not known.extra
    )
    names = sorted({name for name, _ in counts})
    if len(names) < 2:
        raise UserError(
            f"leave-source-out needs videos of at least two sources, and the metadata.json of "
            f"--data names {len(names)}; give its videos a `source`"
        )
    alone = [name for name in names if min(counts[name, 0], counts[name, 1]) >= MIN_OF_CLASS]
    small = [name for name in names if name not in alone]
    tested = {name: {name} for name in alone}
    if all(any(counts[name, label] for name in small) for label in (0, 1)):
        tested[OTHERS] = set(small)
    every_track = [*videos.tracks, *videos.extras]
    folds = []
    for name, inside in tested.items():
        test = [track for track in videos.tracks if datasets.get(track.video_key) in inside]
        outside = [track for track in every_track if datasets.get(track.video_key) not in inside]
        rest = _of_other_people(outside, test, every_track)
        folds.append(_checked(Fold(name, test, rest, count_videos(outside) - count_videos(rest))))
    return folds


def _of_other_people(
    tracks: Sequence[FaceTrack], test: Sequence[FaceTrack], connected_by: Sequence[FaceTrack]
) -> list[FaceTrack]:
    """Return the tracks that share no group with the tested ones."""
    groups = groups_of(connected_by)
    tested = {groups[track.name] for track in test}
    return [track for track in tracks if groups[track.name] not in tested]


def _checked(fold: Fold) -> Fold:
    check_no_leak({"train": fold.rest, "validation": [], "test": fold.test})
    return fold
