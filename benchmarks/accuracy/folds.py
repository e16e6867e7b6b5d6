"""What each network is tested on and what it may be trained on: by people, by source, by method.

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
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.settings import crop_differences, read_settings
from deepfake_detector.face_dataset.splits import check_no_leak, without_official_splits
from deepfake_detector.videos.groups import connected_groups
from deepfake_detector.videos.metadata import read_metadata

NOT_NAMED = "not named"
OTHERS = "others"
LEAST_OF_CLASS = 3  # videos of a data set that is tested by itself


@dataclass(frozen=True)
class About:
    """What the metrics of a video are grouped by."""

    data: str  # folder of faces
    video: str
    label: int  # 1 = fake
    group: str  # of people: the name of its first video or group key
    method: str | None  # of manipulation; None for a real video
    source: str | None  # see sources.py
    extra: bool  # for training only


@dataclass(frozen=True)
class Videos:
    """The faces to test on, those of more real people to train on, and what is known of them."""

    faces: list[FaceTrack]
    extras: list[FaceTrack]
    about: Mapping[Key, About]  # by FaceTrack.video_key
    face_settings: Mapping  # how the faces were made, the same for all
    unused: Mapping[str, int]  # number of videos of extra folders that are not used, by reason


@dataclass(frozen=True)
class Fold:
    """What one network is trained and tested on."""

    name: str  # of its row in the tables
    folder: str  # of its training, below that of the detector and seed
    test: list[FaceTrack]
    rest: list[FaceTrack]  # to train and validate on, extras among them
    left_out: int  # videos that are in neither, because of their people


def list_videos(
    data: Sequence[Path],
    extra: Sequence[Path] = (),
    listed_sources: Mapping[str, str] | None = None,
) -> Videos:
    """Return the faces of the `data` folders, and the real ones of the `extra` folders.

    Videos of one name in two folders count as one original and the same people; an extra video of
    such a name is not used. Groups reach over all folders. Raises UserError for a folder without
    faces, one that is given twice, or with faces that were made with other settings.
    """
    folders = [*data, *extra]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("--data and --extra name a folder twice; its videos would count double")
    face_settings = read_settings(data[0])
    entries: dict[Key, Mapping] = {}
    own: list[FaceTrack] = []
    extras: list[FaceTrack] = []
    unused = {"with a name of an earlier folder": 0, "fake": 0}
    for folder in folders:
        check_settings(folder, data[0], face_settings)
        listed = without_official_splits(list_faces(folder))
        entries |= {(str(folder), name): entry for name, entry in read_metadata(folder).items()}
        if folder in data:
            own += listed
            continue
        known = {face.video for face in [*own, *extras]}
        new = [face for face in listed if face.video not in known]
        real = [face for face in new if not face.label]
        unused["with a name of an earlier folder"] += count_videos(listed) - count_videos(new)
        unused["fake"] += count_videos(new) - count_videos(real)
        extras += real
    own, extras = (_over_folders(faces, [*own, *extras], entries) for faces in (own, extras))
    about = describe(own, extras, entries, listed_sources)
    return Videos(own, extras, about, face_settings, unused)


def count_videos(faces: Iterable[FaceTrack]) -> int:
    """Return the number of videos that the face tracks are of; names may repeat over folders."""
    return len({face.video_key for face in faces})


def check_settings(folder: Path, data: Path, face_settings: Mapping) -> None:
    """Raise UserError where the faces of `folder` and `data` were made with different settings."""
    differences = crop_differences(read_settings(folder), face_settings, by=f"{data} has")
    if differences:
        raise UserError(
            f"{folder} holds other faces than {data}: {differences}; make both with the same "
            "settings, or the network learns to recognise the folders"
        )


def _over_folders(
    faces: Sequence[FaceTrack], every_face: Sequence[FaceTrack], entries: Mapping[Key, Mapping]
) -> list[FaceTrack]:
    """Return the faces with source groups and people that are those of all folders together."""
    relatives: dict[str, set[str]] = {}
    # Of all videos, used or not: a fake may connect real ones.
    for (_, name), entry in entries.items():
        named = {str(entry[key]) for key in ("original", "video") if entry.get(key)}
        relatives.setdefault(name, set()).update(named)
    source_groups = connected_groups(relatives)
    people: dict[str, set[str]] = {}
    for face in every_face:
        people.setdefault(face.name, set()).update(face.people)
    return [
        replace(
            face, source_group=source_groups[face.name], people=tuple(sorted(people[face.name]))
        )
        for face in faces
    ]


def describe(
    own: Sequence[FaceTrack],
    extras: Sequence[FaceTrack],
    entries: Mapping[Key, Mapping],
    listed_sources: Mapping[str, str] | None = None,
) -> dict[Key, About]:
    """Return what is known of each video, by its key."""
    groups = groups_of([*own, *extras])
    sources = find_sources(entries, listed_sources)
    about = {}
    for is_extra, faces in ((False, own), (True, extras)):
        for face in faces:
            data, _ = face.video_key
            method = str(entries[data, face.name].get("method") or NOT_NAMED)
            about[face.video_key] = About(
                data,
                face.video,
                face.label,
                groups[face.name],
                method if face.label else None,
                sources[data, face.name],
                is_extra,
            )
    return about


def groups_of(faces: Sequence[FaceTrack]) -> dict[str, str]:
    """Return the group of each face by its name: all that share originals or people, also through
    others. A group is named after its first name or group key in alphabetical order."""
    return connected_groups({face.name: face.group_keys for face in faces})


# Folds of people


def deal(videos: Videos, num_folds: int, seed: int) -> list[Fold]:
    """Return folds of whole groups, with real and fake videos spread as evenly as groups allow.

    A fold trains on all other folds and on the extra videos, without people of its test videos.
    Raises UserError where there are fewer groups than folds, or a fold stays empty.
    """
    faces = videos.faces
    groups = groups_of(faces)
    names, numbers = np.unique([groups[face.name] for face in faces], return_inverse=True)
    if not 2 <= num_folds <= len(names):
        raise UserError(
            f"{len(faces)} faces of {len(names)} groups of people cannot be split into {num_folds} "
            f"folds; give --folds from 2 to {len(names)}, or faces of more people who share no "
            "video"
        )
    labels = np.array([face.label for face in faces])
    # Folds depend on the order of the groups, so the seed shuffles that order.
    shuffled = np.random.default_rng(seed).permutation(len(names))[numbers]
    with warnings.catch_warnings():
        # Of a class with few groups: the tables show it.
        warnings.simplefilter("ignore", UserWarning)
        try:
            dealt = list(StratifiedGroupKFold(num_folds).split(labels, labels, shuffled))
        except ValueError as error:
            raise UserError(
                f"{int(labels.sum())} fake and {int((labels == 0).sum())} real faces are too few "
                f"for {num_folds} folds; give fewer --folds"
            ) from error
    if any(not len(held_out) for _, held_out in dealt):
        raise UserError(
            f"{num_folds} folds cannot be filled from {len(names)} groups of people of very "
            "different size; give fewer --folds"
        )
    return [
        _people_fold(number, [faces[i] for i in held_out], [faces[i] for i in others], videos)
        for number, (others, held_out) in enumerate(dealt, start=1)
    ]


def _people_fold(
    number: int, test: list[FaceTrack], others: list[FaceTrack], videos: Videos
) -> Fold:
    # Extras can join two groups: a real video of one person of each.
    groups = groups_of([*test, *videos.extras])
    of_test = {groups[face.name] for face in test}
    kept = [face for face in videos.extras if groups[face.name] not in of_test]
    left_out = count_videos(videos.extras) - count_videos(kept)
    return _checked(Fold(f"fold {number}", f"fold-{number}", test, others + kept, left_out))


def _checked(fold: Fold) -> Fold:
    check_no_leak({"train": fold.rest, "validation": [], "test": fold.test})
    return fold


# One source left out, one method left out


def leave_source_out(videos: Videos) -> list[Fold]:
    """Return a fold for each data set: its videos are tested, those of all others trained on.

    People of the test videos are left out of the training. Data sets with fewer than LEAST_OF_CLASS
    videos of a class are left out and tested together, as OTHERS; where these lack a class, they
    are only trained on. Raises UserError where fewer than two data sets are named.
    """
    named = {key: dataset_of(known.source) for key, known in videos.about.items() if known.source}
    own = [known for known in videos.about.values() if known.source and not known.extra]
    counts = Counter((dataset_of(known.source or ""), known.label) for known in own)
    names = sorted({name for name, _ in counts})
    if len(names) < 2:
        raise UserError(
            f"leave-source-out needs videos of at least two sources, and the metadata.json of "
            f"--data names {len(names)}; give its videos a `source`, or list them with --sources"
        )
    alone = [name for name in names if min(counts[name, 0], counts[name, 1]) >= LEAST_OF_CLASS]
    rest = [name for name in names if name not in alone]
    tested = {name: {name} for name in alone}
    if all(any(counts[name, label] for name in rest) for label in (0, 1)):
        tested[OTHERS] = set(rest)
    return [_source_fold(name, of_test, named, videos) for name, of_test in tested.items()]


def _source_fold(
    name: str, datasets: set[str], dataset_names: Mapping[Key, str], videos: Videos
) -> Fold:
    """Return the fold that tests the videos of these data sets."""
    inside = {key for key, dataset in dataset_names.items() if dataset in datasets}
    test = [face for face in videos.faces if face.video_key in inside]
    outside = [f for f in [*videos.faces, *videos.extras] if f.video_key not in inside]
    of_test = {videos.about[face.video_key].group for face in test}
    rest = [face for face in outside if videos.about[face.video_key].group not in of_test]
    left_out = count_videos(outside) - count_videos(rest)
    return _checked(Fold(name, slug(name), test, rest, left_out))


def leave_method_out(videos: Videos, dealt: Sequence[Fold]) -> list[Fold]:
    """Return for each method the folds that train without its fakes, and test on these and on all
    real videos of the fold; folds without such a fake are skipped.

    Raises UserError where the metadata names fewer than two methods.
    """
    methods = all_methods(videos.about)
    if len(methods) < 2:
        raise UserError(
            "leave-method-out needs fakes of at least two methods, and the metadata.json of --data "
            f"names {len(methods)}; give its fakes a `method`"
        )
    folds = []
    for method in methods:
        for fold in dealt:
            test = [f for f in fold.test if videos.about[f.video_key].method in (None, method)]
            rest = [f for f in fold.rest if videos.about[f.video_key].method != method]
            if any(face.label for face in test):
                folder = f"{slug(method)}/{fold.folder}"
                folds.append(Fold(method, folder, test, rest, fold.left_out))
    return folds


def slug(name: str) -> str:
    """Return a name that can be that of a folder."""
    return re.sub(r"[^A-Za-z0-9+.-]+", "-", name).strip("-.") or "unnamed"


def all_methods(about: Mapping[Key, About]) -> list[str]:
    """Return the methods of the videos that are tested, sorted; empty where none is named."""
    methods = {known.method for known in about.values() if known.method and not known.extra}
    return [] if methods == {NOT_NAMED} else sorted(methods)


def all_sources(about: Mapping[Key, About]) -> list[str]:
    """Return the named sources of the videos that are tested, sorted."""
    return sorted({known.source for known in about.values() if known.source and not known.extra})
