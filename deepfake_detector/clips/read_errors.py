"""Explains which crop of a folder of faces could not be read, and what to do about it."""

import re
from collections.abc import Sequence

import tensorflow as tf

from deepfake_detector.face_dataset.face_tracks import FaceTrack


def explain(error: tf.errors.OpError, tracks: Sequence[FaceTrack]) -> str:
    """Return in one sentence which crop of the `tracks` an iterator failed on, and what to do.

    The error names a crop that is missing, empty or cut short. It does not name one that the
    decoder refuses, or that differs in size from the others of its track.
    """
    # TensorFlow writes bytes beyond ASCII as \303\244.
    octal = re.compile(rb"\\(\d{3})")
    message = octal.sub(lambda found: bytes([int(found[1], 8)]), error.message.encode())
    text = message.decode(errors="replace")
    again = "run the same processing.py command again, then this one"
    for track in tracks:
        _, found, rest = text.partition(f"{track.folder}/")
        if found and (crop := re.match(r"\d+\.jpeg", rest)):
            return (
                f"{track.folder}/{crop[0]}, a crop of {track.video}, is missing or damaged; "
                f"delete the folder {track.folder} and {again}"
            )
    reason = next((line for line in text.splitlines() if line.strip()), "no reason given")
    return (
        f"reading the faces failed ({reason}): a crop cannot be decoded, or has another size than "
        f"the others of its video; delete its folder and {again}"
    )
