"""Draws a small DFDC-shaped set of talking-head videos, so that the pipeline runs with no download.

Goes in: nothing but the options; every head, scene and movement is drawn from the seed. Comes out:

    person_000.mp4            REAL
    person_000_face_017.mp4   FAKE: the face of person 17 on person 0
    metadata.json             in the form DFDC uses; people in test are not in train
    sample_settings.json      the options

    python sample_data.py --out sample_videos

THESE ARE DRAWINGS: a detector's figures on them show that the pipeline works and say nothing about
how well it finds real deepfakes.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector import parallel
from deepfake_detector.console import UserError, add_output_arguments, command, progress
from deepfake_detector.synthetic.face_swap import random_swap_artifacts, swap_faces
from deepfake_detector.synthetic.people import random_person
from deepfake_detector.synthetic.scene import draw_frames

SETTINGS_NAME = "sample_settings.json"


def compress_frames(frames: np.ndarray, seed: int) -> np.ndarray:
    """Pass frames (N, H, W, 3) uint8 RGB through JPEG at one quality (72-95) drawn from `seed`."""
    quality = int(np.random.default_rng([seed, 8]).integers(72, 96))
    result = np.empty_like(frames)
    for index, frame in enumerate(frames):
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB, dst=result[index])
    return result


def write_video(path: Path, frames_rgb: np.ndarray, fps: float) -> None:
    """Write (num_frames, H, W, 3) uint8 RGB frames as mp4 ("mp4v"); `path` appears when complete.

    Raises OSError when the folder cannot be written or the video writer does not open.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(suffix=".mp4", prefix=f".{path.stem}_", dir=path.parent)
    os.close(handle)
    try:
        height, width = frames_rgb.shape[1:3]
        fourcc = cv2.VideoWriter_fourcc(*"mp4v")
        writer = cv2.VideoWriter(temporary, fourcc, fps, (width, height))
        if not writer.isOpened():
            raise OSError(f"OpenCV cannot write mp4v video to {path}")
        for frame in frames_rgb:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        Path(temporary).chmod(0o644)  # mkstemp makes it readable by its owner alone
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


@dataclass(frozen=True)
class _PersonTask:
    """The videos of one person: the real one, and the fakes made from the same frames."""

    person_seed: int
    videos: tuple[tuple[Path, int | None, int], ...]  # path, source's seed (None = real), own seed
    num_frames: int
    frame_size: int
    fps: float


def _make_videos(task: _PersonTask) -> int:
    """Draw and write the videos of one person; returns how many."""
    person, seed = random_person(task.person_seed), task.person_seed
    filmed = draw_frames(person, task.num_frames, task.frame_size, task.fps, seed)
    for path, source_seed, video_seed in task.videos:
        frames = filmed
        if source_seed is not None:
            source, artifacts = random_person(source_seed), random_swap_artifacts(video_seed)
            frames = swap_faces(filmed, person, source, task.fps, seed, artifacts)
        write_video(path, compress_frames(frames, video_seed), task.fps)
    return len(task.videos)


def _plan(settings: dict) -> tuple[dict, dict]:
    """Who is in which split and whose face goes where.

    Returns the metadata and, for each video name, (target, source or None) as person numbers.
    """
    num_people = settings["num_people"]
    rng = np.random.default_rng([settings["seed"], 9])
    # Both splits need two people, for a fake needs a source of its own split.
    num_test = min(max(2, round(num_people * settings["test_share"])), num_people - 2)
    num_test = num_test if settings["test_share"] > 0 and num_people >= 4 else 0
    order = rng.permutation(num_people).tolist()
    metadata, people = {}, {}
    for split, members in (("test", order[:num_test]), ("train", order[num_test:])):
        for person in sorted(members):
            name = f"person_{person:03d}"
            metadata[f"{name}.mp4"] = {"label": "REAL", "split": split, "original": None}
            people[f"{name}.mp4"] = (person, None)
            others = sorted(set(members) - {person})
            if len(others) < settings["fakes_per_person"]:
                raise UserError(
                    f"--fakes-per-person {settings['fakes_per_person']} needs more"
                    f" people: the {split} split has only {len(others)} other"
                    " faces"
                )
            for source in rng.permutation(others)[: settings["fakes_per_person"]].tolist():
                fake = f"{name}_face_{source:03d}.mp4"
                metadata[fake] = {"label": "FAKE", "split": split, "original": f"{name}.mp4"}
                people[fake] = (person, source)
    return dict(sorted(metadata.items())), people


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
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} must be from {low} to {high}, not {settings[name]}")
    if settings["frame_size"] % 2:
        raise UserError(f"--frame-size must be even, not {settings['frame_size']}")


def _claim_folder(out: Path, settings: dict) -> None:
    """Make the folder and note the settings in it; UserError if it holds another set."""
    settings_path = out / SETTINGS_NAME
    if settings_path.exists():
        try:
            old = json.loads(settings_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{settings_path} is not valid JSON ({error})") from error
        if not isinstance(old, dict):
            raise UserError(f"{settings_path} does not hold the settings of a set")
        for name, value in settings.items():
            if old.get(name) != value:
                raise UserError(
                    f"{out} was written with {name} {old.get(name)}, not {value}:"
                    " choose another folder or the same value"
                )
        return
    if (out / "metadata.json").exists():
        raise UserError(f"{out} holds a metadata.json that this script did not write")
    try:
        out.mkdir(parents=True, exist_ok=True)
        settings_path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {out} ({error.strerror})") from error


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
) -> dict:
    """Write the set of videos into folder `out` and return its metadata (DFDC form).

    `frame_size` is in px, `test_share` the share of people held out (0 = none; with fewer than
    four people none are). Videos that are there already are kept. The result does not depend on
    `workers`. Raises UserError for bad values or a folder with another set.
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
        raise UserError(f"--workers must be at least 1, not {workers}")
    metadata, people = _plan(settings)
    _claim_folder(out, settings)
    first, videos = seed * 100_003, {}
    for number, (name, (person, source)) in enumerate(sorted(people.items())):
        if not (out / name).exists():
            video = out / name, None if source is None else first + source, first + 50_000 + number
            videos.setdefault(first + person, []).append(video)
    num_frames = max(1, round(seconds * fps))
    tasks = [
        _PersonTask(person_seed, tuple(theirs), num_frames, frame_size, fps)
        for person_seed, theirs in videos.items()
    ]
    _run_tasks(tasks, workers)
    (out / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    return metadata


def _run_tasks(tasks: list[_PersonTask], workers: int) -> None:
    """Write the videos in this process (workers 1) or in several."""

    def died(task: _PersonTask, seconds: float) -> None:
        raise UserError(f"the process that drew {task.videos[0][0]} died; run the command again")

    with progress(sum(len(task.videos) for task in tasks), "drawing", "videos") as advance:
        if workers == 1 or len(tasks) < 2:
            for task in tasks:
                advance(_make_videos(task))
        else:
            parallel.run_in_processes(_make_videos, tasks, advance, died, workers)


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="video folder")
    parser.add_argument(
        "--num-people", type=int, default=80, help="one real video each (%(default)s)"
    )
    parser.add_argument("--fakes-per-person", type=int, default=1, help="(%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=1.2, help="length of a video (%(default)s)"
    )
    parser.add_argument("--fps", type=float, default=25, help="frames a second (%(default)s)")
    parser.add_argument(
        "--frame-size", type=int, default=320, help="width and height in pixels (%(default)s)"
    )
    parser.add_argument(
        "--test-share", type=float, default=0.25, help="share of people held out (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws everything (%(default)s)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)"
    )
    add_output_arguments(parser)
    options = vars(parser.parse_args(argv))
    json_summary = options.pop("json_summary")
    try:
        metadata = make_sample_set(**options)
    except OSError as error:
        raise UserError(str(error)) from error
    num_fakes = sum(entry["label"] == "FAKE" for entry in metadata.values())
    print(f"{len(metadata) - num_fakes} real and {num_fakes} fake videos in {options['out']}")
    if json_summary:
        print(json.dumps({"real": len(metadata) - num_fakes, "fake": num_fakes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
