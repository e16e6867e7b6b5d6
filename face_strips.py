"""A few faces of a video side by side, for charts and reports."""

import cv2
import numpy as np

from splits import FaceTrack


def spread_faces(face: FaceTrack, count: int = 8) -> list[np.ndarray]:
    """Return `count` crops spread over the video, `(face_size, face_size, 3) uint8` RGB each.

    A video of fewer crops repeats some; one that cannot be read is left out.
    """
    numbers = np.linspace(0, face.num_frames - 1, count).astype(int)
    crops = (cv2.imread(f"{face.folder}/{number:0{face.digits}d}.jpeg") for number in numbers)
    return [crop[:, :, ::-1] for crop in crops if crop is not None]


def strip_jpeg(face: FaceTrack, count: int, side: int) -> bytes:
    """Return a strip of `count` faces of `side` pixels as a JPEG; empty where none can be read."""
    crops = spread_faces(face, count)
    if not crops:
        return b""
    tiles = [cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops]
    strip = np.hstack(tiles)[:, :, ::-1]
    return cv2.imencode(".jpeg", strip, [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()
