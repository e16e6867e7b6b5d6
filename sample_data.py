"""Makes a small data set of synthetic people in the form of DFDC: no download is needed.

Input: nothing but the options; every head, scene and movement comes from the seed. Output:

    person_000.mp4            REAL
    person_000_face_017.mp4   FAKE: the face of person 17 on person 0
    metadata.json             in the form DFDC uses, with "synthetic": true for each video; people
                              in test are not in train
    sample_settings.json      the options

    python sample_data.py --out sample_videos

Running it again makes the videos that are missing.

THESE PEOPLE ARE DRAWINGS: a detector's metrics on them show that the pipeline works, and say
nothing about how well it finds real deepfakes.
"""

import errno
import functools
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deepfake_detector.console import (
    ArgumentError,
    ArgumentParser,
    UserError,
    add_settings,
    command,
    progress,
    setting,
    settings_from,
)
from deepfake_detector.files import check_output, write_text, written_whole
from deepfake_detector.parallel import Lost, Machines, run_tasks
from deepfake_detector.synthetic.face_swap import swap_faces
from deepfake_detector.synthetic.people import random_person
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.metadata import METADATA_NAME

SETTINGS_NAME = "sample_settings.json"
MAX_PEOPLE = 1000


@dataclass(frozen=True)
class SampleSettings:
    """What the videos depend on. Raises UserError for values that make no set."""

    num_people: int = setting(80, "people, a real and a fake video of each")
    seconds: float = setting(1.2, "length of a video")
    fps: float = setting(25.0, "frames a second")
    frame_size: int = setting(320, "width and height in pixels, even")
    test_share: float = setting(0.25, "share of the people in the test split")
    seed: int = setting(0, "seed of all random numbers")

    def __post_init__(self) -> None:
        limits = {
            "num_people": (2, MAX_PEOPLE),
            "seconds": (0.04, 600),
            "fps": (1, 120),
            "frame_size": (64, 2048),
            "test_share": (0, 0.9),
            "seed": (0, 2**31),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ArgumentError(name, getattr(self, name), f"from {low} to {high}")


class Swap(NamedTuple):
    """Whose face goes on whom, as numbers of people."""

    target: int
    source: int
    split: str

    @property
    def names(self) -> tuple[str, str]:
        """Return the names of the real and of the fake video."""
        real = f"person_{self.target:03d}"
        return f"{real}.mp4", f"{real}_face_{self.source:03d}.mp4"


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the videos")
    add_settings(parser, SampleSettings)
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    args = parser.parse_args(argv)
    settings = settings_from(args, SampleSettings)
    metadata = make_sample_set(args.out, max(0, args.workers), **asdict(settings))
    print(f"{len(metadata)} videos in {args.out}, half of them fake")
    return 0


def make_sample_set(out: Path | str, workers: int = 0, **settings: float) -> dict[str, dict]:
    """Write the videos into the folder `out` and return its metadata, as DFDC has it.

    `settings` are fields of `SampleSettings`. Videos that are there already are kept. Without
    `workers` everything happens in this process; the result is the same. Raises UserError for
    values that make no set and for a folder with something else.
    """
    out, chosen = Path(out), SampleSettings(**settings)  # type: ignore[arg-type]
    claim_folder(out, chosen)
    swaps = plan_swaps(chosen)
    todo = [swap for swap in swaps if not all((out / name).exists() for name in swap.names)]
    job = functools.partial(make_videos, out=out, settings=chosen)
    with progress(len(todo), "drawing", "people") as advance:
        for swap, outcome in run_tasks(job, todo, Machines(workers), math.inf):
            if isinstance(outcome, Lost):
                raise UserError(f"the process of {swap.names[1]} died; run the command again")
            advance()
    metadata: dict[str, dict] = {}
    for swap in swaps:
        (real, fake), rest = swap.names, {"split": swap.split, "synthetic": True}
        metadata[real] = {"label": "REAL", "original": None, **rest}
        metadata[fake] = {"label": "FAKE", "original": real, **rest}
    write_text(out / METADATA_NAME, json.dumps(metadata, indent=2) + "\n")
    return metadata


def claim_folder(out: Path, settings: SampleSettings) -> None:
    """Make the folder with the settings in it; raises UserError if it holds something else."""
    path = out / SETTINGS_NAME
    check_output("--out", out, (), lambda folder: path.exists(), is_folder=True, remedy="")
    if path.exists():
        try:
            is_same = json.loads(path.read_text("utf-8")) == asdict(settings)
        except ValueError:
            is_same = False
        if not is_same:
            raise UserError(f"{path} has other options than this command; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asdict(settings), indent=2) + "\n")


def plan_swaps(settings: SampleSettings) -> list[Swap]:
    """Return who gets whose face, by target; nobody is in two splits."""
    rng = np.random.default_rng([settings.seed, 9])
    num_people = settings.num_people
    # A fake needs two people of one split.
    num_test = min(max(2, round(num_people * settings.test_share)), num_people - 2)
    num_test = num_test if settings.test_share > 0 and num_people >= 4 else 0
    order = rng.permutation(num_people).tolist()
    swaps = []
    for split, people in (("test", order[:num_test]), ("train", order[num_test:])):
        sources = people[1:] + people[:1]
        swaps += [
            Swap(target, source, split) for target, source in zip(people, sources, strict=True)
        ]
    return sorted(swaps)


def make_videos(swap: Swap, out: Path, settings: SampleSettings) -> None:
    """Write the real and the fake video of one person, made from the same frames."""
    target_seed, source_seed = (settings.seed * MAX_PEOPLE + person for person in swap[:2])
    target, source = random_person(target_seed), random_person(source_seed)
    num_frames = max(1, round(settings.seconds * settings.fps))
    real = draw_frames(target, num_frames, settings.frame_size, settings.fps, target_seed)
    fake = swap_faces(real, target, source, settings.fps, target_seed)
    for name, frames in zip(swap.names, (real, fake), strict=True):
        if not (out / name).exists():
            write_video(out / name, frames, settings.fps)


def write_video(path: Path, frames_rgb: np.ndarray, fps: float) -> None:
    """Write frames, `(num_frames, height, width, 3) uint8` RGB, as an mp4 file, whole or not at
    all.

    Raises OSError if the video cannot be written.
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


if __name__ == "__main__":
    sys.exit(main())
