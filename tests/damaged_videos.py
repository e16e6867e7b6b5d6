"""Odd and damaged videos for the tests: the bytes of a good one in, one thing wrong with it out.

The good one is what `sample_data.write_video` writes (an mp4 with its moov atom at the end) or
`write_as` below. Nothing is downloaded, and everything is small.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
MDHD, TKHD = ("moov", "trak", "mdia", "mdhd"), ("moov", "trak", "tkhd")
STBL = ("moov", "trak", "mdia", "minf", "stbl")
UNITY_MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def write_as(
    path: Path,
    frames_rgb: np.ndarray,
    fps: float,
    fourcc: str = "MJPG",
    backend: int = cv2.CAP_FFMPEG,
) -> None:
    """Write `(num_frames, H, W, 3)` RGB frames, or `(num_frames, H, W)` grey ones.

    The container is what the name of `path` stands for: .avi, .mkv, .mov, .ts, ... FFmpeg makes odd
    sides even; CAP_OPENCV_MJPEG keeps them and writes MJPG in .avi alone.
    """
    height, width = frames_rgb.shape[1:3]
    is_colour = frames_rgb.ndim == 4
    code = cv2.VideoWriter_fourcc(*fourcc)
    writer = cv2.VideoWriter(str(path), backend, code, fps, (width, height), is_colour)
    assert writer.isOpened(), f"OpenCV cannot write {fourcc} to {path}"
    for frame in frames_rgb:
        writer.write(frame[:, :, ::-1] if is_colour else frame)
    writer.release()


# The atoms of an mp4


def atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and payload of the atoms of one level; sizes of 64 bits do not occur here."""
    start = 0
    while start < len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : start + 8], data[start + 8 : start + size]
        start += size


def atom(kind: bytes, *payload: bytes) -> bytes:
    content = b"".join(payload)
    return struct.pack(">I", len(content) + 8) + kind + content


def read_atom(data: bytes, path: Sequence[str]) -> bytes:
    """Return the payload of the first atom at a path like ("moov", "trak", "tkhd")."""
    payload = next(payload for kind, payload in atoms(data) if kind == path[0].encode())
    return read_atom(payload, path[1:]) if len(path) > 1 else payload


def replace_atom(data: bytes, path: Sequence[str], new: bytes, new_kind: bytes = b"") -> bytes:
    """Return `data` with another payload in the atoms at a path, and all sizes put right.

    Offsets of the pictures are left as they are, so the moov has to stand behind them.
    """
    rebuilt = []
    for kind, payload in atoms(data):
        if kind == path[0].encode():
            if len(path) > 1:
                payload = replace_atom(payload, path[1:], new, new_kind)
            else:
                kind, payload = new_kind or kind, new
        rebuilt.append(atom(kind, payload))
    return b"".join(rebuilt)


def patch(data: bytes, position: int, form: str, *values: int) -> bytes:
    """Return `data` with numbers written over it at a position; `form` as for struct."""
    new = struct.pack(form, *values)
    return data[:position] + new + data[position + len(new) :]


def moov_first(mp4: bytes) -> bytes:
    """Put the index in front of the pictures, as files made for the web have it."""
    by_kind = dict(atoms(mp4))
    moov_bytes = len(by_kind[b"moov"]) + 8
    for kind, form in (("stco", "I"), ("co64", "Q")):
        if kind.encode() in dict(atoms(read_atom(mp4, STBL))):
            table = read_atom(mp4, (*STBL, kind))
            count = int.from_bytes(table[4:8], "big")
            offsets = struct.unpack_from(f">{count}{form}", table, 8)
            moved = patch(table, 8, f">{count}{form}", *(o + moov_bytes for o in offsets))
            mp4 = replace_atom(mp4, (*STBL, kind), moved)
    order = [b"ftyp", b"moov", *(kind for kind in by_kind if kind not in (b"ftyp", b"moov"))]
    return b"".join(atom(kind, dict(atoms(mp4))[kind]) for kind in order)


# Damage to the bytes


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def cut_before_moov(mp4: bytes) -> bytes:
    """What a phone leaves whose battery ran out: the index would have come last."""
    return mp4[: mp4.rindex(b"moov") - 4]


def overwrite_middle(data: bytes, num_bytes: int = 3000, seed: int = 0) -> bytes:
    """Put noise over the middle, where the pictures are."""
    noise = np.random.default_rng(seed).bytes(num_bytes)
    start = (len(data) - num_bytes) // 2
    return data[:start] + noise + data[start + num_bytes :]


# Headers that lie


def mp4_with_frame_rate(mp4: bytes, ticks_a_second: int, ticks_a_frame: int) -> bytes:
    table = patch(read_atom(mp4, (*STBL, "stts")), 12, ">I", ticks_a_frame)
    mp4 = replace_atom(mp4, (*STBL, "stts"), table)
    mp4 = replace_atom(mp4, MDHD, patch(read_atom(mp4, MDHD), 12, ">I", ticks_a_second))
    return without_edit_list(mp4)


def without_edit_list(mp4: bytes) -> bytes:
    """The edit list holds the old duration, and frames beyond it would not be shown."""
    return replace_atom(mp4, ("moov", "trak", "edts"), b"", b"free")


def mp4_with_frame_count(mp4: bytes, count: int) -> bytes:
    """Promise `count` frames; those there are not have the size of the first one."""
    table = read_atom(mp4, (*STBL, "stsz"))
    sizes = list(struct.unpack(f">{(len(table) - 12) // 4}I", table[12:]))
    sizes = (sizes + [sizes[0]] * count)[:count]
    table = struct.pack(f">III{count}I", 0, 0, count, *sizes)
    mp4 = replace_atom(mp4, (*STBL, "stsz"), table)
    for kind, position in (("stts", 8), ("stsc", 12)):
        table = patch(read_atom(mp4, (*STBL, kind)), position, ">I", count)
        mp4 = replace_atom(mp4, (*STBL, kind), table)
    return without_edit_list(mp4)


def mp4_displayed(mp4: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """Say in the header that players are to show the pixel (x, y) at (a x + c y, b x + d y)."""
    header = read_atom(mp4, TKHD)
    matrix = [value << 16 for value in (a, b, 0, c, d, 0, 0, 0)]
    return replace_atom(mp4, TKHD, patch(header, header.index(UNITY_MATRIX), ">8i", *matrix))


def avi_with_frame_rate(avi: bytes, microsec_a_frame: int, scale: int, rate: int) -> bytes:
    """The rate of an AVI stands twice: in its main header, and as rate / scale in the stream's."""
    avi = patch(avi, avi.index(b"avih") + 8, "<I", microsec_a_frame)
    return patch(avi, avi.index(b"strh") + 28, "<II", scale, rate)


def avi_with_frame_count(avi: bytes, count: int) -> bytes:
    avi = patch(avi, avi.index(b"avih") + 24, "<I", count)
    return patch(avi, avi.index(b"strh") + 40, "<I", count)


def mp4_with_sound_only() -> bytes:
    """A tenth of a second of silence as the only track."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.float32), "fltp", "mono")
        silence.rate = 8000
        container.mux([*sound.encode(silence), *sound.encode()])
    return file.getvalue()
