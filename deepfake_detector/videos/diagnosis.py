"""Why a file is no usable video, by its first bytes.

Goes in: the path of a file that OpenCV could not decode a frame of. Comes out: one clause for a
reader of the manifest.

    >>> explain(Path("a.mp4"))
    'its index (the moov atom) is missing: cut off before its end, or still being written'

Little is read however large the file is: its start and, of an mp4, the headers of its atoms and the
index.
"""

import codecs
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

HEAD_BYTES = 1 << 16
MOST_ATOMS = 10_000  # the index is among the first few; millions of tiny atoms are no video
INDEX_BYTES = 16 << 20  # read of an index: its kinds of tracks and their codecs

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
# The same for containers that many kinds of file share: the kind is at byte 8.
RIFF_KINDS = {b"WAVE": SOUND, b"WEBP": PICTURE}
PICTURE_BRANDS = {b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"}

FIRST_ATOMS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}


def explain(path: Path) -> str:
    """Return why no frame of the file at `path` decodes, in one clause; raises nothing.

    It does not decode the file: for a video that does decode, the answer means nothing.
    """
    try:
        if path.is_symlink() and not path.exists():
            return NO_TARGET
        if path.is_dir():
            return "a folder, not a file"
        if not path.is_file():
            # Reading a pipe would block.
            return "not a file" if path.exists() else NO_FILE
        with path.open("rb") as file:
            return _explain_bytes(file, path.stat().st_size)
    except PermissionError:
        return "no permission to read it"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except ValueError:
        return "no file can have this name"


def is_playlist(path: Path) -> bool:
    """Return whether FFmpeg would open the files that this one names, instead of it.

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
        return RIFF_KINDS.get(head[8:12], UNKNOWN)
    if head.startswith(b"OggS"):
        return UNKNOWN if b"theora" in head else SOUND
    return _explain_text(head)


def _is_zero_throughout(file: BinaryIO, size: int) -> bool:
    """Return whether the middle and the end are zero, too; a file may be of any length."""
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


class Atom(NamedTuple):
    """A part of an mp4, in bytes from the start of the file."""

    kind: bytes
    start: int
    end: int  # as its header says; may lie beyond the file


def _explain_mp4(file: BinaryIO, size: int) -> str:
    """Explain an mp4 by its outer atoms: moov is the index, mdat the pictures."""
    atoms = list(itertools.islice(_atoms(file, size), MOST_ATOMS))
    moov = next((atom for atom in atoms if atom.kind == b"moov"), None)
    mdats = [atom for atom in atoms if atom.kind == b"mdat"]
    if moov is None:
        # Little, and no picture data either: it did not get beyond the first atoms.
        return NO_INDEX if mdats or size > HEAD_BYTES else CUT_IN_HEADER
    if moov.end > size:
        return "cut off in its index (the moov atom)" if mdats else CUT_IN_HEADER
    file.seek(moov.start)
    index = file.read(min(moov.end - moov.start, INDEX_BYTES))
    if b"vide" not in index:
        return SOUND if b"soun" in index else "no picture in it"
    if not mdats or any(atom.end > size for atom in mdats):
        return CUT_EARLY
    # The handler "vide" starts a track of pictures; the next sample description names the codec.
    codec = re.search(rb"vide.*?stsd.{12}([A-Za-z0-9]{4})", index, re.DOTALL)
    return f"{UNKNOWN} (codec {codec[1].decode()})" if codec else UNKNOWN


def _atoms(file: BinaryIO, size: int) -> Iterator[Atom]:
    """Yield the outer atoms of an mp4 in the order of the file."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 0:  # as far as the file goes
            length = size - start
        elif length == 1:  # a length of 64 bits follows
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return
        yield Atom(kind, start, start + length)
        start += length
