"""Small good videos, mutated at random: the run ends, each has its row, nothing else is left.

FUZZ_CASES=2000 FUZZ_SEED=7 tries more of them, and others.
"""

import json
import os

import cv2
import damaged_videos as damaged
import numpy as np
import pytest
from conftest import tree, write_metadata

import processing
import sample_data

NUM_CASES = int(os.environ.get("FUZZ_CASES", "60"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
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
    for name, fourcc in (("a.avi", "MJPG"), ("b.avi", "XVID"), ("a.mkv", "mp4v"), ("a.ts", "mpg2")):
        damaged.write_as(folder / name, frames, 25, fourcc)
    return [(path.suffix, path.read_bytes()) for path in sorted(folder.iterdir())]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes with one thing wrong: bytes, a range, the end, or numbers of a header."""
    start, end = sorted(int(place) for place in rng.integers(0, len(data) + 1, 2))
    end = min(end, start + 2000)
    kind = rng.integers(6)
    if kind == 0:
        flipped = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(data), rng.integers(1, 50))
        flipped[places] ^= rng.integers(1, 256, len(places), np.uint8)
        return flipped.tobytes()
    if kind == 1:
        return data[: max(1, end)]
    if kind == 2:
        return data[:end] + data[start:end] + data[end:]
    if kind == 3:
        return data[:start] + bytes(int(rng.choice([0, end - start]))) + data[end:]
    for _ in range(rng.integers(1, 6)):  # near the start and the end, where most have headers
        place = int(rng.integers(0, min(1000, len(data) - 4)))
        place = int(rng.choice([place, len(data) - 4 - place]))
        data = damaged.patch(data, place, rng.choice(["<I", ">I"]), int(rng.choice(NUMBERS)))
    return data


@pytest.mark.slow
def test_mutated_videos_have_a_row_each_and_leave_nothing_behind(originals, tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "faces"
    videos.mkdir()
    names = ["good.mp4"]
    (videos / "good.mp4").write_bytes(originals[-1][1])
    for number in range(NUM_CASES):
        rng = np.random.default_rng([SEED, number])
        suffix, data = originals[number % len(originals)]
        for _ in range(rng.integers(1, 4)):
            data = mutated(data, rng) if len(data) > 8 else data
        names.append(f"{number:05d}{suffix}")
        (videos / names[-1]).write_bytes(data)
    write_metadata(videos, dict.fromkeys(names, "FAKE"))
    before = tree(videos)

    # In processes of their own, so that a decoder that crashes takes only its video with it.
    rows = processing.processing(videos, out, capture_sec=2, face_size=32, workers=2)

    assert {row["status"] for row in rows} <= {"ok", "no_face", "unreadable", "failed"}
    assert all(row["reason"] for row in rows if row["status"] != "ok")
    usable = {
        row["filename"]: row["detected"] + row["averaged"] for row in rows if row["status"] == "ok"
    }
    assert "good.mp4" in usable and len(rows) <= len(names)  # some may be copies
    assert json.loads((out / "metadata.json").read_text()).keys() == usable.keys()
    left = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert left == usable.keys() | {"manifest.csv", "metadata.json", "settings.json"}
    for name, count in usable.items():
        assert len(list((out / name).glob("*.jpeg"))) == count, name
    assert {path.name for path in tmp_path.iterdir()} == {"videos", "faces"}
    assert tree(videos) == before
