"""Small good videos, mutated at random: the run ends, each has its row, nothing else is left.

FUZZ_CASES=2000 FUZZ_SEED=7 tries more of them, and others.
"""

import json
import os
from pathlib import Path

import cv2
import damaged_videos as damaged
import numpy as np
import pytest
from conftest import write_metadata

import processing
import sample_data

NUM_CASES = int(os.environ.get("FUZZ_CASES", "60"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
STATUSES = {"ok", "no_face", "unreadable", "failed"}
INDEX_FILES = {"manifest.csv", "metadata.json", "settings.json"}
# Numbers that headers get wrong: none, one, the largest with and without a sign.
NUMBERS = [0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1]


@pytest.fixture(scope="module")
def originals(head_frames, tmp_path_factory) -> list[tuple[str, bytes]]:
    """Suffix and bytes of ten small frames in each container."""
    folder = tmp_path_factory.mktemp("originals")
    frames = np.stack([cv2.resize(frame, (96, 96)) for frame in head_frames[:10]])
    sample_data.write_video(folder / "end.mp4", frames, fps=25)
    mp4 = (folder / "end.mp4").read_bytes()
    (folder / "front.mp4").write_bytes(damaged.moov_first(mp4))
    damaged.write_as(folder / "a.avi", frames, 25)
    damaged.write_as(folder / "b.avi", frames, 25, "XVID")
    damaged.write_as(folder / "a.mkv", frames, 25, "mp4v")
    damaged.write_as(folder / "a.ts", frames, 25, "mpg2")
    return [(path.suffix, path.read_bytes()) for path in sorted(folder.iterdir())]


def flip_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    flipped = np.frombuffer(data, np.uint8).copy()
    positions = rng.integers(0, len(data), rng.integers(1, 50))
    flipped[positions] ^= rng.integers(1, 256, len(positions), np.uint8)
    return flipped.tobytes()


def cut_end(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(1, len(data))]


def some_range(data: bytes, rng: np.random.Generator) -> slice:
    start = int(rng.integers(0, len(data)))
    return slice(start, start + int(rng.integers(1, 2000)))


def duplicate_range(data: bytes, rng: np.random.Generator) -> bytes:
    part = some_range(data, rng)
    return data[: part.stop] + data[part] + data[part.stop :]


def remove_range(data: bytes, rng: np.random.Generator) -> bytes:
    part = some_range(data, rng)
    return data[: part.start] + data[part.stop :]


def zero_range(data: bytes, rng: np.random.Generator) -> bytes:
    part = some_range(data, rng)
    return data[: part.start] + bytes(len(data[part])) + data[part.stop :]


def change_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Write odd numbers near the start and the end, where most containers keep their headers."""
    for _ in range(rng.integers(1, 6)):
        order = rng.choice(["<I", ">I"])
        position = int(rng.integers(0, min(1000, len(data) - 4)))
        position = rng.choice([position, len(data) - 4 - position])
        data = damaged.patch(data, int(position), order, int(rng.choice(NUMBERS)))
    return data


def shuffle_atoms(data: bytes, rng: np.random.Generator) -> bytes:
    """Swap, lose or double whole atoms of an mp4; of others, parts of the same length."""
    if data[4:8] == b"ftyp":
        parts = [damaged.atom(kind, payload) for kind, payload in damaged.atoms(data)]
    else:
        parts = [data[start : start + 1024] for start in range(0, len(data), 1024)]
    return b"".join(parts[index] for index in rng.integers(0, len(parts), len(parts)))


MUTATIONS = [
    flip_bytes,
    cut_end,
    duplicate_range,
    remove_range,
    zero_range,
    change_header,
    change_header,  # the most fertile of them
    shuffle_atoms,
]


def write_mutants(folder: Path, originals: list[tuple[str, bytes]]) -> list[str]:
    """Write NUM_CASES videos, each with one to three mutations, and return their names."""
    names = []
    for number in range(NUM_CASES):
        rng = np.random.default_rng([SEED, number])
        suffix, data = originals[number % len(originals)]
        steps = [MUTATIONS[index] for index in rng.integers(0, len(MUTATIONS), rng.integers(1, 4))]
        # Whole atoms can be told apart only before anything else is wrong.
        for mutate in sorted(steps, key=lambda step: step is not shuffle_atoms):
            data = mutate(data, rng) if len(data) > 8 else data
        kinds = "_".join(dict.fromkeys(step.__name__ for step in steps))
        names.append(f"{number:05d}_{kinds}{suffix}")
        (folder / names[-1]).write_bytes(data)
    return names


@pytest.mark.slow
def test_mutated_videos_have_a_row_each_and_leave_nothing_behind(originals, tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "faces"
    videos.mkdir()
    names = write_mutants(videos, originals)
    (videos / "good.mp4").write_bytes(originals[-1][1])
    write_metadata(videos, dict.fromkeys(["good.mp4", *names], "FAKE"))
    before = {path: path.read_bytes() for path in videos.iterdir()}

    # In processes of their own, so that a decoder that crashes takes only its video with it.
    rows = processing.processing(videos, out, capture_sec=2, face_size=32, workers=2)

    assert [row["filename"] for row in rows] == sorted(["good.mp4", *names])
    assert {row["status"] for row in rows} <= STATUSES
    assert all(row["reason"] for row in rows if row["status"] != "ok")
    usable = {row["filename"] for row in rows if row["status"] == "ok"}
    assert "good.mp4" in usable
    assert json.loads((out / "metadata.json").read_text()).keys() == usable
    left = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert left == usable | INDEX_FILES
    for row in rows:
        crops = list((out / row["filename"]).glob("*.jpeg"))
        assert len(crops) == (row["frames_read"] if row["status"] == "ok" else 0), row["filename"]
    assert {path.name for path in tmp_path.iterdir()} == {"videos", "faces"}
    assert {path: path.read_bytes() for path in videos.iterdir()} == before
