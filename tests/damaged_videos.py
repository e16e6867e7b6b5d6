"""Odd and damaged videos for the tests: the bytes of a good one in, one thing wrong with it out.

The good one is what `sample_data.write_video` writes (an mp4 with its moov atom at the end) or
`write_as` below. Nothing is downloaded, and everything is small.
"""

import struct
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

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


def mp4_with_uneven_frames(mp4: bytes, durations_sec: Sequence[float]) -> bytes:
    """Show each frame for its own duration, as phones do in the dark."""
    ticks_a_second = int.from_bytes(read_atom(mp4, MDHD)[12:16], "big")
    ticks = [round(duration * ticks_a_second) for duration in durations_sec]
    runs = b"".join(struct.pack(">II", 1, duration) for duration in ticks)
    mp4 = replace_atom(mp4, (*STBL, "stts"), struct.pack(">II", 0, len(ticks)) + runs)
    mp4 = replace_atom(mp4, MDHD, patch(read_atom(mp4, MDHD), 16, ">I", sum(ticks)))
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


def mp4_rotated(mp4: bytes, degrees: int) -> bytes:
    """Say in the header that players are to turn the picture clockwise by 90, 180 or 270."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    header = read_atom(mp4, TKHD)
    turned = [value << 16 for value in (cosine, sine, 0, -sine, cosine, 0, 0, 0)]
    return replace_atom(mp4, TKHD, patch(header, header.index(UNITY_MATRIX), ">8i", *turned))


def avi_with_frame_rate(avi: bytes, microsec_a_frame: int, scale: int, rate: int) -> bytes:
    """The rate of an AVI stands twice: in its main header, and as rate / scale in the stream's."""
    avi = patch(avi, avi.index(b"avih") + 8, "<I", microsec_a_frame)
    return patch(avi, avi.index(b"strh") + 28, "<II", scale, rate)


def avi_with_frame_count(avi: bytes, count: int) -> bytes:
    avi = patch(avi, avi.index(b"avih") + 24, "<I", count)
    return patch(avi, avi.index(b"strh") + 40, "<I", count)


# Sound without a picture


def write_wav(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\x10" * 8000)


def mp4_with_sound_only() -> bytes:
    """One second of 16 bit PCM at 8 kHz as the only track."""
    full, samples = struct.pack(">I", 0), b"\0\x10" * 8000
    ftyp = atom(b"ftyp", b"isom", full, b"isommp42")
    entry = struct.pack(">6xH8xHHHHI", 1, 1, 16, 0, 0, 8000 << 16)
    stbl = atom(
        b"stbl",
        atom(b"stsd", full, struct.pack(">I", 1), atom(b"twos", entry)),
        atom(b"stts", full, struct.pack(">III", 1, 8000, 1)),
        atom(b"stsc", full, struct.pack(">IIII", 1, 1, 8000, 1)),
        atom(b"stsz", full, struct.pack(">II", 2, 8000)),
        atom(b"stco", full, struct.pack(">II", 1, len(ftyp) + 8)),
    )
    dinf = atom(b"dinf", atom(b"dref", full, struct.pack(">I", 1), atom(b"url ", b"\0\0\0\1")))
    minf = atom(b"minf", atom(b"smhd", full, full), dinf, stbl)
    times = struct.pack(">IIII", 0, 0, 8000, 8000)
    mdhd = atom(b"mdhd", full, times, struct.pack(">HH", 0x55C4, 0))
    hdlr = atom(b"hdlr", full, b"\0\0\0\0soun", bytes(12), b"sound\0")
    track_header = struct.pack(">IIIIIIIIHHHH", 3, 0, 0, 1, 0, 1000, 0, 0, 0, 0, 256, 0)
    tkhd = atom(b"tkhd", track_header, UNITY_MATRIX, struct.pack(">II", 0, 0))
    movie_header = struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, 1000, 1 << 16, 256)
    mvhd = atom(b"mvhd", movie_header, UNITY_MATRIX, bytes(24), struct.pack(">I", 2))
    trak = atom(b"trak", tkhd, atom(b"mdia", mdhd, hdlr, minf))
    return ftyp + atom(b"mdat", samples) + atom(b"moov", mvhd, trak)
