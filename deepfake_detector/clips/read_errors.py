"""Explains which crop of a folder of faces could not be read, and what to do about it."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf

from deepfake_detector.clips.loading import END_OF_IMAGE
from deepfake_detector.face_dataset.face_tracks import FaceTrack


def explain(error: tf.errors.OpError, videos: Sequence[FaceTrack]) -> str:
    """Return in one sentence which crop of the `videos` an iterator failed on, and what to do.

    The error names the path where a crop is missing, empty or cut short. It does not where the
    decoder refuses a crop, which is then searched for: that reads the crops of all `videos`.
    """
    named = [v for v in videos if any(f"{name}/" in error.message for name in _spellings(v))]
    for candidates in (named, videos) if named else (videos,):
        with ThreadPoolExecutor() as pool:
            damages = pool.map(_damage, candidates)
            found = next(filter(None, damages), None)
            pool.shutdown(cancel_futures=True)
        if found:
            return found
    reason = next((line for line in error.message.splitlines() if line.strip()), "no reason given")
    return f"reading the faces failed, though every crop can be read now: {reason}; try again"


def _spellings(video: FaceTrack) -> set[str]:
    """Return the folder as an error may write it: as it is, or with C escapes for its bytes."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b"\\\"'" else f"\\{byte:03o}"
        for byte in os.fsencode(video.folder)
    )
    return {video.folder, escaped}


def _damage(video: FaceTrack) -> str | None:
    """Return a sentence about the first crop of a video that cannot be read, or None."""
    folder, first_size = Path(video.folder), None
    remedy = "run the same processing.py command again, then this one"
    if not folder.is_dir():
        return f"{folder}, the crops of {video.video}, is gone; {remedy}"
    for number in range(video.num_frames):
        path = Path(video.crop_path(number))
        problem, size = _problem(path)
        first_size = first_size or size
        if not problem and size != first_size:
            problem = f"is {size} pixels and not {first_size} like the ones before it"
        if problem:
            return (
                f"{path}, a crop of {video.video}, {problem}; delete the folder {folder} and "
                f"{remedy}"
            )
    return None


def _problem(path: Path) -> tuple[str, str]:
    """Return what is wrong with a crop, or an empty string, and its height x width."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})", ""
    if not content:
        return "is empty", ""
    if not content.endswith(END_OF_IMAGE):
        return "is no JPEG, or one that is cut short", ""
    try:
        height, width, _ = tf.io.decode_jpeg(content, channels=3).shape
    except tf.errors.OpError:
        return "is a JPEG that cannot be decoded", ""
    return "", f"{height} x {width}"
