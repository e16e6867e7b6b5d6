"""Why a file is no usable video, in one clause for a reader of the manifest.

FFmpeg says most of it. This file adds what FFmpeg does not say: that there is no file, and what a
file is that is no video.

    >>> explain(Path("a.mp4"), "moov atom not found")
    'its index (the moov atom) is missing: cut off before its end, or still being written'

Little is read however large the file is: its start, and of zero bytes the middle and the end.
"""

import codecs
from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 1 << 16

PHOTOGRAPH_BRANDS = {b"heic", b"heix", b"mif1", b"avif"}
UNKNOWN = "not a video FFmpeg can decode a frame of"
SOUND = "sound only, no picture"

# What files of other kinds start with.
STARTS = {
    b"ID3": SOUND,  # MP3 with tags
    b"\xff\xfb": SOUND,  # MP3 without
    b"\xff\xf3": SOUND,
    b"\xff\xf2": SOUND,
    b"\xff\xf1": SOUND,  # AAC
    b"\xff\xf9": SOUND,
    b"fLaC": SOUND,
    b"#!AMR": SOUND,
    b"\xff\xd8\xff": "a picture that is cut off or damaged",  # JPEG
    b"\x89PNG\r\n": "a picture that is cut off or damaged",
    b"PK\x03\x04": "a zip archive, not a video",
    b"Rar!": "a rar archive, not a video",
    b"7z\xbc\xaf": "a 7z archive, not a video",
    b"\x1f\x8b": "a gzip archive, not a video",
    b"%PDF-": "a PDF document, not a video",
    b"version https://git-lfs": "a Git LFS pointer: the video itself was not fetched",
}
FIRST_ATOMS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
# What FFmpeg says about a file that begins like a video, in plain words.
WORDS = {
    "moov atom not found": "its index (the moov atom) is missing: cut off before its end, or still "
    "being written",
    "error reading header": "cut off in its header or its index",
    "File ended prematurely": "cut off in its header or its index",
}


class UnreadableError(Exception):
    """There is no video to read; the text says why, in one clause."""


class MissingError(UnreadableError):
    """There is no file."""


def is_folder(path: Path) -> bool:
    """Return whether this is a folder; a path that cannot be looked at is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, a folder one may not enter
        return False


def check_is_file(path: Path) -> None:
    """Raise UnreadableError unless there is a file that FFmpeg may open.

    Raises MissingError, one of these, where there is none. A list of other files is refused: FFmpeg
    would follow it and return their frames.
    """
    try:
        if path.is_symlink() and not path.exists():
            raise MissingError("only a link to a file that is not there")
        if not path.is_file():
            # Reading a pipe would block.
            raise UnreadableError("not a file") if path.exists() else MissingError("no such file")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        # FFmpeg would draw a text, follow a list, and show one part of a photograph.
        if head[:16].lstrip().lower().startswith((b"ffconcat", b"#extm3u")):
            raise UnreadableError("a list of other files to play, not a video")
        if head[4:8] == b"ftyp" and head[8:12] in PHOTOGRAPH_BRANDS:
            raise UnreadableError(
                "a HEIC or AVIF photograph, which is stored in parts; convert it to JPEG, or have "
                "the phone take compatible pictures"
            )
        if head and _is_text(head):
            raise UnreadableError(_known(head) or "text, not a video")
    except PermissionError:
        raise UnreadableError("no permission to read it") from None
    except OSError as error:
        raise UnreadableError(f"it cannot be read ({error.strerror})") from error
    except ValueError:
        raise UnreadableError("no file can have this name") from None


def explain(path: Path, words: str) -> str:
    """Return why FFmpeg, which says `words`, cannot decode a frame of a file that is there."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if not head:
                return "the file is empty"
            if not any(head) and _is_zero_throughout(file, path.stat().st_size):
                return "all zero bytes"
    except OSError as error:  # a broken disk, or it has gone meanwhile
        return f"it cannot be read ({error.strerror})"
    if known := _known(head):
        return known
    # FFmpeg tries its reader of mp4 on noise as well, for its suffix.
    is_mp4 = head[4:8] in FIRST_ATOMS
    for said, clause in WORDS.items():
        if said in words and (is_mp4 or "moov" not in said):
            return clause
    return f"{UNKNOWN} ({words})" if words else UNKNOWN


def _known(head: bytes) -> str:
    """Return what a file is that begins so; "" if it may be a video."""
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not a video: perhaps what a failed download left"
    return next((clause for start, clause in STARTS.items() if head.startswith(start)), "")


def _is_zero_throughout(file: BinaryIO, size: int) -> bool:
    """Return whether the middle and the end are zero, too; a file may be of any length."""
    for position in (size // 2, max(0, size - HEAD_BYTES)):
        file.seek(position)
        if any(file.read(HEAD_BYTES)):
            return False
    return True


def _is_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        # Not final: the last character may have been cut in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return not any(character < " " and character not in "\t\n\r\f\x1b" for character in text)
