"""Why a file is no usable video, in one clause for a reader of the manifest.

FFmpeg says most of it. This file adds what FFmpeg does not say: that there is no file, and what
FFmpeg must not open.

    >>> explain(Path("a.mp4"), "moov atom not found")
    'its index (the moov atom) is missing: cut off before its end, or still being written'

Only the start of a file is read.
"""

import codecs
from pathlib import Path

HEAD_BYTES = 1 << 16

PHOTOGRAPH_BRANDS = {b"heic", b"heix", b"mif1", b"avif"}
UNKNOWN = "not a video FFmpeg can decode a frame of"
SOUND = "sound only, no picture"

HTML = "an HTML page, not a video: perhaps what a failed download left"
PLAYLIST = "a list of other files to play, not a video"
# What texts of other kinds start with, in small letters.
STARTS = {
    b"<!doctype html": HTML,
    b"<html": HTML,
    b"ffconcat": PLAYLIST,  # FFmpeg would follow it, and return the frames of the files
    b"#extm3u": PLAYLIST,
    b"version https://git-lfs": "a Git LFS pointer: the video itself was not fetched",
}
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

    Raises MissingError, one of these, where there is none.
    """
    try:
        if path.is_symlink() and not path.exists():
            raise MissingError("only a link to a file that is not there")
        if not path.is_file():
            # Reading a pipe would block.
            raise UnreadableError("not a file") if path.exists() else MissingError("no such file")
        with path.open("rb") as file:
            problem = _problem_of(file.read(HEAD_BYTES))
        if problem:
            raise UnreadableError(problem)
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
    except OSError as error:  # a broken disk, or it has gone meanwhile
        return f"it cannot be read ({error.strerror})"
    if not any(head):
        return f"its first {len(head):,} bytes are zero" if head else "the file is empty"
    # FFmpeg tries its reader of mp4 on noise as well, for its suffix; an mp4 begins with an atom.
    is_mp4 = head[4:8].isalpha()
    for said, clause in WORDS.items():
        if said in words and (is_mp4 or "moov" not in said):
            return clause
    return f"{UNKNOWN} ({words})" if words else UNKNOWN


def _problem_of(head: bytes) -> str:
    """Return what a file is that begins so and that FFmpeg must not open; "" if it may be a video.

    FFmpeg would draw a text, and show one part of a photograph.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, clause in STARTS.items():
        if text.startswith(start):
            return clause
    if head[4:8] == b"ftyp" and head[8:12] in PHOTOGRAPH_BRANDS:
        return (
            "a HEIC or AVIF photograph, which is stored in parts; convert it to JPEG, or have the "
            "phone take compatible pictures"
        )
    # https://developers.google.com/speed/webp/docs/riff_container, https://www.w3.org/TR/png-3/
    is_webp = head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2
    if is_webp or (head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]):
        return "an animated WebP or PNG, of which only the first picture would be read; convert it"
    return "text, not a video" if head and _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        # Not final: the last character may have been cut in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return not any(character < " " and character not in "\t\n\r\f\x1b" for character in text)
