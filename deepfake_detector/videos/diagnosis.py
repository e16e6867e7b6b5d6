"""Why a file is no usable video, told from its bytes.

Goes in: the path of a file that OpenCV could not decode a frame of. Comes out: one clause for a
reader of the manifest.

    >>> explain(Path("a.mp4"))
    'its index (the moov atom) is missing: cut off before its end, or still being written'

Little is read however large the file is: its start, and from an mp4 the headers of its atoms.
"""

import codecs
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

HEAD_BYTES = 1 << 16
MOST_ATOMS = 10_000  # a moov is among the first few; millions of tiny atoms are no video

UNKNOWN = "not a video OpenCV can decode a frame of"
PICTURE, SOUND = "a picture, not a video", "sound only, no picture"
TEXT = "text, not a video"
PLAYLIST = "a list of other files to play, not a video"
NO_TARGET, NO_FILE = "a link to a file that is not there", "no such file"
NOT_THERE = frozenset({NO_TARGET, NO_FILE})
CUT_IN_HEADER = "cut off in its header"
CUT_EARLY = "cut off before its first whole frame"
NO_INDEX = "its index (the moov atom) is missing: cut off before its end, or still being written"

# What files of other kinds start with.
STARTS = {
    b"\xff\xd8\xff": PICTURE,  # JPEG
    b"\x89PNG\r\n": PICTURE,
    b"GIF8": PICTURE,
    b"II*\0": PICTURE,  # TIFF, both byte orders
    b"MM\0*": PICTURE,
    b"ID3": SOUND,  # MP3 with tags
    b"\xff\xfb": SOUND,  # MP3 without
    b"\xff\xf3": SOUND,
    b"\xff\xf2": SOUND,
    b"\xff\xf1": SOUND,  # AAC
    b"\xff\xf9": SOUND,
    b"fLaC": SOUND,
    b"#!AMR": SOUND,
    b"PK\x03\x04": "a zip archive, not a video",
    b"Rar!": "a rar archive, not a video",
    b"7z\xbc\xaf": "a 7z archive, not a video",
    b"\x1f\x8b": "a gzip archive, not a video",
    b"%PDF-": "a PDF document, not a video",
    b"version https://git-lfs": "a Git LFS pointer: the video itself was not fetched",
}
# The same for containers that many kinds of file share: at byte 8 stands which one it is.
RIFF_KINDS = {b"WAVE": SOUND, b"WEBP": PICTURE}
PICTURE_BRANDS = {b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"}

FIRST_ATOMS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


class Atom(NamedTuple):
    kind: bytes
    start: int  # of the payload, in bytes from the start of the file
    end: int  # as its header says; may lie beyond the file


def explain(path: Path) -> str:
    """Return why no frame of the file at `path` decodes, in one clause; raises nothing.

    The file is not decoded: for a video that does decode the answer means nothing.
    """
    try:
        if path.is_symlink() and not path.exists():
            return NO_TARGET
        if path.is_dir():
            return "a folder, not a file"
        if not path.is_file():
            # A pipe would block whoever reads it.
            return "not a file" if path.exists() else NO_FILE
        with path.open("rb") as file:
            return _explain_bytes(file, path.stat().st_size)
    except PermissionError:
        return "no permission to read it"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except ValueError:
        return "its name is none that a file can have"


def is_playlist(path: Path) -> bool:
    """Say whether FFmpeg would open the files that this one names in its stead.

    Raises OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(16).lstrip().lower().startswith((b"ffconcat", b"#extm3u"))


def _explain_bytes(file: BinaryIO, size: int) -> str:
    head = file.read(HEAD_BYTES)
    if not head:
        return "the file is empty"
    if not any(head) and _is_zero_throughout(file, size):
        return "all zero bytes"
    for start, clause in STARTS.items():
        if head.startswith(start):
            return clause
    if head[4:8] in FIRST_ATOMS:
        return PICTURE if head[8:12] in PICTURE_BRANDS else _explain_mp4(file, size)
    if head.startswith(b"RIFF"):
        return RIFF_KINDS.get(head[8:12]) or _explain_avi(head, size)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _explain_matroska(head, size)
    if head.startswith(b"OggS"):
        return UNKNOWN if b"theora" in head else SOUND
    return _explain_text(head)


def _is_zero_throughout(file: BinaryIO, size: int) -> bool:
    """Look at the middle and at the end, as a file may be of any length."""
    for position in (size // 2, max(0, size - HEAD_BYTES)):
        file.seek(position)
        if any(file.read(HEAD_BYTES)):
            return False
    return True


def _explain_text(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return TEXT
    try:
        # Not final: the last character may have been cut in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return UNKNOWN
    if any(character < " " and character not in "\t\n\r\f\x1b" for character in text):
        return UNKNOWN
    if text.lstrip().lower().startswith(("<!doctype html", "<html")):
        return "an HTML page, not a video: perhaps what a failed download left"
    return TEXT


def _explain_avi(head: bytes, size: int) -> str:
    if head[8:12] != b"AVI " and len(head) >= 12:
        return UNKNOWN
    streams = set(re.findall(rb"strh.{4}(vids|auds)", head, re.DOTALL))
    if streams == {b"auds"}:
        return SOUND
    if b"movi" not in head and size <= len(head):
        return CUT_IN_HEADER
    promised = int.from_bytes(head[4:8], "little")
    return CUT_EARLY if size < promised else UNKNOWN


def _explain_matroska(head: bytes, size: int) -> str:
    tracks = set(re.findall(rb"\x86[\x80-\xa0]([VA])_", head))  # a CodecID, its length, its name
    if tracks == {b"A"}:
        return SOUND
    return CUT_IN_HEADER if not tracks and size <= len(head) else UNKNOWN


def _explain_mp4(file: BinaryIO, size: int) -> str:
    atoms = list(itertools.islice(_atoms(file, size), MOST_ATOMS))
    kinds = [atom.kind for atom in atoms]
    if b"moov" not in kinds:
        # Little, and no picture data either: it did not get beyond the first atoms.
        return NO_INDEX if b"mdat" in kinds or size > HEAD_BYTES else CUT_IN_HEADER
    if atoms[kinds.index(b"moov")].end > size:
        in_front = b"mdat" not in kinds
        return CUT_IN_HEADER if in_front else "cut off in its index (the moov atom)"
    tracks = _track_formats(file, atoms)
    if b"vide" not in tracks:
        return SOUND if b"soun" in tracks else "no picture in it"
    if b"mdat" not in kinds or any(atom.end > size for atom in atoms if atom.kind == b"mdat"):
        return CUT_EARLY
    codec = tracks[b"vide"].decode("latin-1")
    return f"{UNKNOWN} (codec {codec})" if codec.isalnum() else UNKNOWN


def _track_formats(file: BinaryIO, atoms: Sequence[Atom]) -> dict[bytes, bytes]:
    """Return the format of each kind of track: `{b"vide": b"avc1", b"soun": b"mp4a"}`."""
    formats, handler = {}, b""
    for atom in atoms:
        if atom.kind == b"hdlr":
            found = _read(file, atom.start + 8, 4)
            # QuickTime has a second one in each track, about where its data lies.
            handler = found if found in {b"vide", b"soun"} else handler
            formats.setdefault(handler, b"")
        elif atom.kind == b"stsd":
            formats[handler] = _read(file, atom.start + 12, 4)
    return formats


def _atoms(file: BinaryIO, size: int) -> Iterator[Atom]:
    """Yield the atoms of an mp4 in the order of the file, those inside containers included."""
    start = 0
    while start + 8 <= size:
        header = _read(file, start, 16)
        length, kind, header_bytes = int.from_bytes(header[:4], "big"), header[4:8], 8
        if length == 0:  # as far as the file goes
            length = size - start
        elif length == 1:  # a length of 64 bits follows
            length, header_bytes = int.from_bytes(header[8:16], "big"), 16
        if length < header_bytes:
            return
        yield Atom(kind, start + header_bytes, start + length)
        start += header_bytes if kind in CONTAINERS else length


def _read(file: BinaryIO, position: int, num_bytes: int) -> bytes:
    file.seek(position)
    return file.read(num_bytes)
