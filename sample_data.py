"""Makes a small data set of synthetic people in the form of DFDC: no download is needed.

Input: nothing but the options; every head, scene and movement comes from the seed. Output:

    person_000.mp4            REAL
    person_000_face_017.mp4   FAKE: the face of person 17 on person 0
    metadata.json             in the form DFDC uses, with "synthetic": true for each video; people
                              in test are not in train
    sample_settings.json      the options

    python sample_data.py --out sample_videos

THESE PEOPLE ARE DRAWINGS: a detector's metrics on them show that the pipeline works, and say
nothing about how well it finds real deepfakes.
"""

import errno
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deepfake_detector import __version__
from deepfake_detector.console import (
    ArgumentError,
    ArgumentParser,
    UserError,
    add_output_arguments,
    command,
    counted,
    progress,
    reason_of,
)
from deepfake_detector.files import check_output, write_text, written_whole
from deepfake_detector.images import compress
from deepfake_detector.parallel import Lost, Machines, run_tasks
from deepfake_detector.synthetic.face_swap import random_swap_artifacts, swap_faces
from deepfake_detector.synthetic.people import random_person
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.metadata import METADATA_NAME

SETTINGS_NAME = "sample_settings.json"


@command
def main(argv: Sequence[str] | None = None) -> int:
    options = vars(main_arguments().parse_args(argv))
    json_summary = options.pop("json_summary")
    metadata = make_sample_set(**options)
    num_fakes = sum(entry["label"] == "FAKE" for entry in metadata.values())
    num_real = len(metadata) - num_fakes
    print(f"{num_real} real and {num_fakes} fake videos in {options['out']}")
    if json_summary:
        print(json.dumps({"version": __version__, "real": num_real, "fake": num_fakes}))
    return 0


def make_sample_set(
    out: Path | str,
    num_people: int = 80,
    fakes_per_person: int = 1,
    seconds: float = 1.2,
    fps: float = 25,
    frame_size: int = 320,
    test_share: float = 0.25,
    seed: int = 0,
    workers: int = 1,
) -> dict[str, dict]:
    """Write the videos into the folder `out` and return its metadata, as DFDC has it.

    `frame_size` is in pixels, `test_share` the share of people held out (0: none; with fewer than
    four people none are). Videos that are there already are kept. The result does not depend on
    `workers`. Raises UserError for values that make no set and for a folder with another set.
    """
    out = Path(out)
    settings = {
        "num_people": num_people,
        "fakes_per_person": fakes_per_person,
        "seconds": float(seconds),
        "fps": float(fps),
        "frame_size": frame_size,
        "test_share": float(test_share),
        "seed": seed,
    }
    _check_settings(settings)
    if workers < 1:
        raise ArgumentError("workers", workers, "at least 1")
    metadata, people = _plan(settings)
    check_output(
        "--out", out, is_ours=lambda folder: (folder / SETTINGS_NAME).exists(), is_folder=True,
        remedy="",
    )  # fmt: skip
    _claim_folder(out, settings)
    num_frames = max(1, round(seconds * fps))
    videos_of_people = _missing_videos(out, people, seed)
    tasks = [
        _PersonTask(person_seed, tuple(videos), num_frames, frame_size, fps)
        for person_seed, videos in videos_of_people.items()
    ]
    _run_tasks(tasks, workers)
    write_text(out / METADATA_NAME, json.dumps(metadata, indent=2) + "\n")
    return metadata


def write_video(path: Path, frames_rgb: np.ndarray, fps: float) -> None:
    """Write frames, `(num_frames, height, width, 3) uint8` RGB, as an mp4 file, whole or not at
    all.

    Raises OSError where the video cannot be written.
    """
    height, width = frames_rgb.shape[1:3]
    with written_whole(Path(path)) as partial:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(partial), fourcc, fps, (width, height))
        if not writer.isOpened():
            raise OSError(errno.EIO, "OpenCV cannot write an mp4 there", str(path))
        for frame in frames_rgb:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()


def compress_frames(frames: np.ndarray, seed: int) -> np.ndarray:
    """Return frames, `(num_frames, height, width, 3) uint8` RGB, as JPEG of one random quality,
    72..95, leaves them."""
    quality = int(np.random.default_rng([seed, 8]).integers(72, 96))
    return np.stack([compress(frame, quality) for frame in frames])


def _plan(settings: dict) -> tuple[dict[str, dict], dict[str, tuple[int, int | None]]]:
    """Decide who is in which split and whose face goes where.

    Returns the metadata and, by name of video, the person and the source of the face (None: it is
    the person's own) as numbers of people.
    """
    num_fakes = settings["fakes_per_person"]
    rng = np.random.default_rng([settings["seed"], 9])
    metadata: dict[str, dict] = {}
    people: dict[str, tuple[int, int | None]] = {}
    for split, members in _split_people(
        rng, settings["num_people"], settings["test_share"]
    ).items():
        if members and num_fakes >= len(members):
            raise UserError(
                f"--fakes-per-person {num_fakes} needs more people: everybody in the {split} split "
                f"meets only {counted(len(members) - 1, 'other face')}; raise --num-people, or "
                f"give --fakes-per-person {max(0, len(members) - 1)}"
            )
        for person in sorted(members):
            name = f"person_{person:03d}"
            about = {"split": split, "synthetic": True}
            metadata[f"{name}.mp4"] = {"label": "REAL", "original": None, **about}
            people[f"{name}.mp4"] = (person, None)
            others = sorted(set(members) - {person})
            for source in rng.permutation(others)[:num_fakes].tolist():
                fake = f"{name}_face_{source:03d}.mp4"
                metadata[fake] = {"label": "FAKE", "original": f"{name}.mp4", **about}
                people[fake] = (person, source)
    return dict(sorted(metadata.items())), people


def _split_people(
    rng: np.random.Generator, num_people: int, test_share: float
) -> dict[str, list[int]]:
    # Both splits need two people, for a fake needs a source of its own split.
    num_test = min(max(2, round(num_people * test_share)), num_people - 2)
    num_test = num_test if test_share > 0 and num_people >= 4 else 0
    order = rng.permutation(num_people).tolist()
    return {"test": order[:num_test], "train": order[num_test:]}


def _missing_videos(
    out: Path, people: dict[str, tuple[int, int | None]], seed: int
) -> dict[int, list["_Video"]]:
    """Return the videos of a plan that are not there yet, by the seed of their person."""
    first = seed * 100_003
    videos: dict[int, list[_Video]] = {}
    for number, (name, (person, source)) in enumerate(sorted(people.items())):
        if not (out / name).exists():
            source_seed = None if source is None else first + source
            video = _Video(out / name, source_seed, first + 50_000 + number)
            videos.setdefault(first + person, []).append(video)
    return videos


def _check_settings(settings: dict) -> None:
    """Raise UserError for a value that makes no set."""
    limits = {
        "num_people": (2, 1000),
        "fakes_per_person": (0, 999),
        "seconds": (0.04, 600),
        "fps": (1, 120),
        "frame_size": (64, 2048),
        "test_share": (0, 0.9),
        "seed": (0, 2**31),
    }
    for name, (low, high) in limits.items():
        if not low <= settings[name] <= high:
            raise ArgumentError(name, settings[name], f"from {low} to {high}")
    if settings["frame_size"] % 2:
        raise ArgumentError("frame_size", settings["frame_size"], "even")


def _claim_folder(out: Path, settings: dict) -> None:
    """Make the folder with the settings in it; raises UserError where it holds another set."""
    settings_path = out / SETTINGS_NAME
    if settings_path.exists():
        try:
            old = json.loads(settings_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{settings_path} is not valid JSON; give another --out") from error
        if not isinstance(old, dict):
            raise UserError(f"{settings_path} is of no set of videos; give another --out")
        for name, value in settings.items():
            if old.get(name) != value:
                option = f"--{name.replace('_', '-')}"
                raise UserError(
                    f"{out} was written with {option} {old.get(name)}, not {value}; give another "
                    f"--out, or {option} {old.get(name)}"
                )
        return
    if (out / METADATA_NAME).exists():
        raise UserError(
            f"{out} holds a {METADATA_NAME} that this script did not write; give another --out"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        saved = {"version": __version__, **settings}
        write_text(settings_path, json.dumps(saved, indent=2) + "\n")
    except OSError as error:
        raise UserError(
            f"cannot write to --out {out}: {reason_of(error)}; give another path"
        ) from error


class _Video(NamedTuple):
    path: Path
    source_seed: int | None  # of the person whose face it shows; None: real
    seed: int


@dataclass(frozen=True)
class _PersonTask:
    """The videos of one person: the real one, and the fakes made from the same frames."""

    person_seed: int
    videos: tuple[_Video, ...]
    num_frames: int
    frame_size: int
    fps: float


def _make_videos(task: _PersonTask) -> int:
    """Write the videos of one person and return how many."""
    person, seed = random_person(task.person_seed), task.person_seed
    filmed = draw_frames(person, task.num_frames, task.frame_size, task.fps, seed)
    for path, source_seed, video_seed in task.videos:
        frames = filmed
        if source_seed is not None:
            source, artifacts = random_person(source_seed), random_swap_artifacts(video_seed)
            frames = swap_faces(filmed, person, source, task.fps, seed, artifacts)
        write_video(path, compress_frames(frames, video_seed), task.fps)
    return len(task.videos)


def _run_tasks(tasks: list[_PersonTask], workers: int) -> None:
    """Write the videos in this process (workers 1) or in several."""
    total = sum(len(task.videos) for task in tasks)
    machines = Machines(workers if workers > 1 else 0)
    with progress(total, "drawing", "videos") as advance:
        for task, outcome in run_tasks(_make_videos, tasks, machines, math.inf):
            if isinstance(outcome, Lost):
                raise UserError(
                    f"the process that made {task.videos[0].path} died; run the command again"
                )
            advance(outcome)


def main_arguments() -> ArgumentParser:
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the videos")
    add("--num-people", type=int, default=80, help="people, one real video each (%(default)s)")
    add("--fakes-per-person", type=int, default=1, help="fakes of each real video (%(default)s)")
    add("--seconds", type=float, default=1.2, help="length of a video (%(default)s)")
    add("--fps", type=float, default=25, help="frames a second (%(default)s)")
    add("--frame-size", type=int, default=320, help="width and height in pixels (%(default)s)")
    add("--test-share", type=float, default=0.25, help="share of people held out (%(default)s)")
    add("--seed", type=int, default=0, help="seed of all random numbers (%(default)s)")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    add_output_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
