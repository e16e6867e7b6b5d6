"""Contact sheets of a folder of faces: a strip per video, to see where boxes went wrong.

Goes in: a folder of faces. Comes out: `contact_sheet_000.jpeg`, ... in that folder, 20 videos a
page, twelve faces spread over each video, those with an averaged box framed in red.

    python processing.py --location videos --save-path faces --contact-sheet
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.face_dataset.face_tracks import FaceTrack

TILE = 96  # side of a face on the sheet in pixels
FACES_A_VIDEO = 12
VIDEOS_A_PAGE = 20
NAME_WIDTH = 300
RED_BGR, BLACK_BGR, GREY_BGR = (0, 0, 255), (0, 0, 0), (110, 110, 110)


def write_contact_sheets(faces: Path, names: Sequence[str]) -> list[Path]:
    """Draw the videos `names` of a folder of faces and return the paths of the pages written.

    Pages of an earlier call are replaced. Raises OSError where they cannot be written.
    """
    for old in faces.glob("contact_sheet_*.jpeg"):
        old.unlink()
    pages = []
    for start in range(0, len(names), VIDEOS_A_PAGE):
        strips = [video_strip(faces / name) for name in names[start : start + VIDEOS_A_PAGE]]
        pages.append(faces / f"contact_sheet_{len(pages):03d}.jpeg")
        jpeg = cv2.imencode(".jpeg", np.vstack(strips), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
        pages[-1].write_bytes(jpeg.tobytes())
    return pages


def video_strip(folder: Path) -> np.ndarray:
    """Return the strip of one video, `(TILE, NAME_WIDTH + 12 * TILE, 3) uint8` BGR.

    A video of fewer than twelve frames repeats some.
    """
    with (folder / "boxes.csv").open(newline="", encoding="utf-8") as file:
        averaged = [row["source"] == "averaged" for row in csv.DictReader(file)]
    frames = sorted(folder.glob("*.jpeg"))
    tiles = []
    for index in np.linspace(0, len(frames) - 1, FACES_A_VIDEO).astype(int):
        face = cv2.imread(str(frames[index]))
        tile = cv2.resize(face, (TILE, TILE), interpolation=cv2.INTER_AREA)
        if averaged[index]:
            cv2.rectangle(tile, (1, 1), (TILE - 2, TILE - 2), RED_BGR, 3)
        tiles.append(tile)
    return np.hstack([_name_tile(folder.name, len(frames), sum(averaged)), *tiles])


def _name_tile(name: str, num_frames: int, num_averaged: int) -> np.ndarray:
    tile = np.full((TILE, NAME_WIDTH, 3), 255, np.uint8)
    # OpenCV's fonts know ASCII only.
    shown = name.encode("ascii", "replace").decode()
    lines = [shown[:34], shown[34:68], f"{num_frames} frames, {num_averaged} averaged"]
    for row, (line, colour) in enumerate(zip(lines, (BLACK_BGR, BLACK_BGR, GREY_BGR), strict=True)):
        place = (6, 30 + 22 * row)
        cv2.putText(tile, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return tile


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
