"""What identifies a video: its bytes, whatever it is called and wherever it lies.

content_of(Path("a.mp4"))      # "482133-9f86d081884c7d65", size and hash
stamp_of(Path("a.mp4"))        # (482133, 1732974241000000000), size and time of change
"""

import hashlib
from pathlib import Path

from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.pictures import picture_files

# A larger file is known by its size and by this many bytes of its start, middle and end each.
PART_BYTES = 4 << 20


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Return the size in bytes and the time of the last change in nanoseconds, of a folder those of
    its pictures; None if there is nothing to read."""
    try:
        found = [file.stat() for file in _files(path)]
    except (OSError, ValueError, UnreadableError):
        return None
    if not found:
        return None
    return sum(stat.st_size for stat in found), max(stat.st_mtime_ns for stat in found)


def content_of(path: Path) -> str:
    """Return size and SHA-256, shortened to 64 bits, of the bytes of a file, or of the pictures of
    a folder in their order; "" if they cannot be read."""
    digest, size = hashlib.sha256(), 0
    try:
        for file in _files(path):
            with file.open("rb") as opened:
                file_size = file.stat().st_size
                size += file_size
                digest.update(file_size.to_bytes(8, "big"))
                if file_size <= 3 * PART_BYTES:
                    digest.update(opened.read())
                    continue
                for start in (0, (file_size - PART_BYTES) // 2, file_size - PART_BYTES):
                    opened.seek(start)
                    digest.update(opened.read(PART_BYTES))
    except (OSError, ValueError, UnreadableError):
        return ""
    return f"{size}-{digest.hexdigest()[:16]}" if size else ""


def _files(path: Path) -> list[Path]:
    """Return the files with the bytes of a video; none of a pipe, which would wait for a writer."""
    if path.is_dir():
        return picture_files(path)
    return [path] if path.is_file() else []
