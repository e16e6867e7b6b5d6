"""Folds of people for a cross-validation: the videos each is tested on and those it may train on.

    videos = folds.list_videos(Path("faces"), [Path("more_real_faces")])
    for fold in folds.deal(videos, num_folds=3, seed=0):
        fold.test, fold.rest

Videos that share an original or a person, directly or through others, are one group (splits.py),
and a group is in one fold as a whole. An official split in the metadata is ignored.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, count_videos, list_faces
from deepfake_detector.face_dataset.settings import crop_differences, read_settings
from deepfake_detector.face_dataset.splits import check_no_leak, without_official_splits
from deepfake_detector.videos.groups import connected_groups, find_source_groups
from deepfake_detector.videos.metadata import read_metadata

NOT_NAMED = "not named"


@dataclass(frozen=True)
class About:
    """What the metrics of a video are grouped by."""

    label: int  # 1 = fake
    group: str  # of people: the name of its first video or group key
    method: str | None  # of manipulation; None for a real video
    source: str | None  # the `source` of its metadata, if there
    extra: bool  # for training only


@dataclass(frozen=True)
class Videos:
    """The faces to split into folds, those of more real people, and what is known of the videos."""

    faces: list[FaceTrack]
    extras: list[FaceTrack]
    about: Mapping[str, About]  # by the name of the video
    face_settings: Mapping  # how the faces were made, the same for all
    unused: Mapping[str, int]  # number of videos of extra folders that are not used, by reason


@dataclass(frozen=True)
class Fold:
    number: int  # from 1 on
    test: list[FaceTrack]
    rest: list[FaceTrack]  # to train and validate on, extras among them
    left_out: int  # extra videos of people of the test videos


def list_videos(data: Path, extra: Sequence[Path] = ()) -> Videos:
    """Return the faces of `data`, and the real ones of the `extra` folders.

    Two videos of one name are taken for the same video, and that of the first folder is used.
    Source groups, people and groups may reach over several folders. Raises UserError for a folder
    without faces, or with faces that were made with other settings.
    """
    face_settings = read_settings(data)
    folders = [data, *extra]
    entries: dict[str, Mapping] = {}
    faces: list[FaceTrack] = []
    unused = {"with a name of an earlier folder": 0, "fake": 0}
    for folder in folders:
        check_settings(folder, data, face_settings)
        known = {face.video for face in faces}
        listed = list_faces(folder)
        new = [face for face in listed if face.video not in known]
        used = [face for face in new if folder is data or not face.label]
        unused["with a name of an earlier folder"] += count_videos(listed) - count_videos(new)
        unused["fake"] += count_videos(new) - count_videos(used)
        # Of all videos, used or not: a fake may connect real ones.
        entries = {**read_metadata(folder), **entries}
        faces += used
    source_groups = find_source_groups(entries)
    faces = [
        replace(face, source_group=source_groups[face.name])
        for face in without_official_splits(faces)
    ]
    own = [face for face in faces if Path(face.folder).parent == data]
    extras = [face for face in faces if Path(face.folder).parent != data]
    return Videos(own, extras, describe(own, extras, entries), face_settings, unused)


def check_settings(folder: Path, data: Path, face_settings: Mapping) -> None:
    """Raise UserError where the faces of `folder` and `data` were made with different settings."""
    differences = crop_differences(read_settings(folder), face_settings, by=f"{data} has")
    if differences:
        raise UserError(
            f"{folder} holds other faces than {data}: {differences}; make both with the same "
            "settings, or the network learns to recognise the folders"
        )


def describe(
    own: Sequence[FaceTrack], extras: Sequence[FaceTrack], entries: Mapping[str, Mapping]
) -> dict[str, About]:
    """Return what is known of each video, by its name."""
    groups = groups_of([*own, *extras])
    about = {}
    for is_extra, faces in ((False, own), (True, extras)):
        for face in faces:
            entry = entries[face.name]
            about[face.video] = About(
                face.label,
                groups[face.name],
                str(entry.get("method") or NOT_NAMED) if face.label else None,
                str(entry["source"]) if entry.get("source") else None,
                is_extra,
            )
    return about


def groups_of(faces: Sequence[FaceTrack]) -> dict[str, str]:
    """Return the group of each face by its name: all that share originals or people, also through
    others. A group is named after its first name or group key in alphabetical order."""
    return connected_groups({face.name: face.group_keys for face in faces})


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
        warnings.simplefilter(
            "ignore", UserWarning
        )  # of a class with few groups: the tables show it
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
        _fold(number, [faces[i] for i in held_out], [faces[i] for i in others], videos.extras)
        for number, (others, held_out) in enumerate(dealt, start=1)
    ]


def _fold(
    number: int, test: list[FaceTrack], others: list[FaceTrack], extras: Sequence[FaceTrack]
) -> Fold:
    # Extras can join two groups: a real video of one person of each.
    groups = groups_of([*test, *extras])
    of_test = {groups[face.name] for face in test}
    kept = [face for face in extras if groups[face.name] not in of_test]
    left_out = count_videos(extras) - count_videos(kept)
    fold = Fold(number, test, others + kept, left_out)
    check_no_leak({"train": fold.rest, "validation": [], "test": fold.test})
    return fold


def without_method(fold: Fold, method: str, about: Mapping[str, About]) -> Fold | None:
    """Return the fold trained without the fakes of a method, and tested on these and all real
    videos; None where no such fake is among the test videos."""
    test = [f for f in fold.test if about[f.video].method in (None, method)]
    rest = [f for f in fold.rest if about[f.video].method != method]
    if not any(face.label for face in test):
        return None
    return Fold(fold.number, test, rest, fold.left_out)


def rows(dealt: Sequence[Fold], about: Mapping[str, About]) -> list[tuple[str, str]]:
    """Return a line per fold for console.print_table."""
    lines = []
    for fold in dealt:
        own = [face for face in fold.rest if not about[face.video].extra]
        extras = [face for face in fold.rest if about[face.video].extra]
        text = f"tested on {_counts(fold.test)}, trained on {_counts(own)}"
        if extras or fold.left_out:
            text += (
                f" and {count_videos(extras)} extra real videos ({fold.left_out} left out: "
                "people of the test)"
            )
        groups = sorted({about[face.video].group for face in fold.test})
        lines.append((f"fold {fold.number}", f"{text}; {len(groups)} groups"))
    return lines


def _counts(faces: Sequence[FaceTrack]) -> str:
    real, fake = (count_videos(face for face in faces if face.label == label) for label in (0, 1))
    return f"{real} real and {fake} fake"


def all_methods(about: Mapping[str, About]) -> list[str]:
    """Return the methods of the videos in folds, sorted; empty where none is named."""
    methods = {known.method for known in about.values() if known.method and not known.extra}
    return [] if methods == {NOT_NAMED} else sorted(methods)


def all_sources(about: Mapping[str, About]) -> list[str]:
    """Return the named sources of the videos in folds, sorted."""
    return sorted({known.source for known in about.values() if known.source and not known.extra})
