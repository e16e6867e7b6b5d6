"""Which video a fake was made from, by what it shows around the face.

    background = Background()
    for frame in background.watch(frames): ...
    text = background.hashes(faces)                  # one line, background.txt next to the crops
    find_originals({"fake.mp4": text, ...}, {"real.mp4": text, ...})   # {"fake.mp4": "real.mp4"}

A forged face leaves the rest of the frame as it was, so a fake and its original agree outside of
the face at the same moments. What is compared is a difference hash of a few moments: the sign of
the change of brightness from cell to cell of a coarse grid
(https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html). Cells that a
face may cover, and those of an even wall, count for nothing.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.decoding.frame import Frame
from deepfake_detector.face_dataset.boxes import Crop
from deepfake_detector.videos.metadata import FAKE, REAL

BACKGROUND_NAME = "background.txt"
MOMENTS_SEC = (0.0, 1.0, 2.0)
GRID = 32  # rows and columns of bits
LEAST_CHANGE = 3.0  # grey levels between neighbouring cells; less is a wall, and noise
FACE_MARGIN = 0.4  # of the side of the box, on every side: hair and chin are re-drawn, too
LEAST_BITS = 80  # that two videos must both have at a moment
MOST_UNEQUAL = 0.1  # share of the bits


@dataclass
class Background:
    """Collects what the hashes of one video are made of."""

    _thumbnails: list[tuple[float, tuple[int, int], np.ndarray]] = field(default_factory=list)

    def watch(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yield the frames, and keep a thumbnail of the few that are looked at."""
        for frame in frames:
            number = len(self._thumbnails)
            if number < len(MOMENTS_SEC) and frame.time_sec >= MOMENTS_SEC[number] - 1e-3:
                small = cv2.resize(frame.grey, (GRID + 1, GRID), interpolation=cv2.INTER_AREA)
                self._thumbnails.append((frame.time_sec, frame.size, small.astype(np.float32)))
            yield frame

    def hashes(self, faces: Iterable[Iterable[Crop]]) -> str:
        """Return the hashes as text, without what the faces cover."""
        boxes_at: dict[float, list] = defaultdict(list)
        for crop in itertools.chain.from_iterable(faces):
            boxes_at[crop.time_sec].append(crop.box_xywh)
        return " ".join(
            _hash(thumbnail, size, boxes_at[time_sec])
            for time_sec, size, thumbnail in self._thumbnails
        )


def _hash(thumbnail: np.ndarray, size: tuple[int, int], boxes: Sequence[Sequence[float]]) -> str:
    """Return signs and mask as hexadecimal digits."""
    change = np.diff(thumbnail, axis=1)
    counted = np.abs(change) >= LEAST_CHANGE
    counted &= change.std(axis=0) >= LEAST_CHANGE  # the edge of a black bar is the same all along
    height, width = size
    for x, y, w, h in boxes:
        top, bottom = (
            np.clip(edge / height * GRID, 0, GRID)
            for edge in (y - FACE_MARGIN * h, y + (1 + FACE_MARGIN) * h)
        )
        left, right = (
            np.clip(edge / width * (GRID + 1), 0, GRID + 1)
            for edge in (x - FACE_MARGIN * w, x + (1 + FACE_MARGIN) * w)
        )
        # A bit is about a cell and its neighbour on the right.
        counted[int(top) : int(np.ceil(bottom)), max(0, int(left) - 1) : int(np.ceil(right))] = (
            False
        )
    return f"{np.packbits(change > 0).tobytes().hex()}{np.packbits(counted).tobytes().hex()}"


def add_originals(faces_folder: Path, entries: dict[str, dict]) -> None:
    """Write the originals of fakes that nothing names into the entries of a metadata.json.

    Of a fake and its original the official split is the same.
    """
    by_split: dict[tuple, dict[str, str]] = defaultdict(dict)
    unknown = [
        name
        for name, entry in entries.items()
        if entry.get("label") == FAKE and (not entry.get("original") or "original_by" in entry)
    ]
    reals = [name for name, entry in entries.items() if entry.get("label") == REAL]
    for name in (*unknown, *reals) if unknown else ():
        entry = entries[name]
        by_split[entry.get("split"), entry["label"]][name] = _read(faces_folder / name)
    for split in {split for split, _ in by_split}:
        found = find_originals(by_split[split, FAKE], by_split[split, REAL])
        for name, original in found.items():
            entries[name] = entries[name] | {"original": original, "original_by": "background"}


def _read(folder: Path) -> str:
    try:
        return (folder / BACKGROUND_NAME).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):  # faces of before, or a further face
        return ""


def find_originals(fakes: Mapping[str, str], reals: Mapping[str, str]) -> dict[str, str]:
    """Return the original of each fake that one of the real videos agrees with, by name.

    Both are hashes by name of the video. Of several originals the one that agrees best is taken.
    """
    names = sorted(name for name in reals if reals[name])
    if not names:
        return {}
    signs, counted = _unpack([reals[name] for name in names])
    originals = {}
    for name in sorted(name for name in fakes if fakes[name]):
        own_signs, own_counted = _unpack([fakes[name]])
        both = counted & own_counted  # (num_reals, moments, bits)
        bits = both.sum(axis=2)
        unequal = ((signs != own_signs) & both).sum(axis=2) / np.maximum(bits, 1)
        # Every moment of which enough is known in both videos must agree.
        known = bits >= LEAST_BITS
        agree = (known.sum(axis=1) >= 1) & ~((unequal > MOST_UNEQUAL) & known).any(axis=1)
        if agree.any():
            mean = np.where(known, unequal, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
            originals[name] = names[int(np.argmin(np.where(agree, mean, np.inf)))]
    return originals


def _unpack(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return signs and masks, `(len(texts), moments, bits) bool`; no bits without a hash."""
    num_bytes = GRID * GRID // 8
    both = np.zeros((len(texts), len(MOMENTS_SEC), 2 * num_bytes), np.uint8)
    for row, text in enumerate(texts):
        for moment, digits in enumerate(text.split()):
            both[row, moment] = np.frombuffer(bytes.fromhex(digits), np.uint8)
    bits = np.unpackbits(both, axis=2).astype(bool)
    return bits[:, :, : 8 * num_bytes], bits[:, :, 8 * num_bytes :]
