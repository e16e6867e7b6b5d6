"""Strips of faces: a few crops of each face track side by side, for contact sheets and reports.

A contact sheet shows where boxes went wrong. `write_contact_sheets` writes contact_sheet_000.jpeg,
... into a folder of faces: 20 face tracks a page, twelve crops of each. A red frame marks those
whose box was averaged.

    python processing.py --location videos --save-path faces --contact-sheet
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.clips.sampling import sample_positions
from deepfake_detector.console import counted
from deepfake_detector.face_dataset.boxes import read_boxes
from deepfake_detector.face_dataset.face_tracks import FaceTrack

TILE = 96  # side of a crop on the sheet in pixels
CROPS_A_TRACK = 12
TRACKS_A_PAGE = 20
NAME_WIDTH = 300  # in pixels
RED_BGR, BLACK_BGR, GREY_BGR = (0, 0, 255), (0, 0, 0), (110, 110, 110)


def write_contact_sheets(faces_folder: Path, tracks: Sequence[FaceTrack]) -> list[Path]:
    """Write contact sheets of the face tracks and return the paths of the pages.

    They replace those of an earlier call. Raises OSError if they cannot be written.
    """
    for old in faces_folder.glob("contact_sheet_*.jpeg"):
        old.unlink()
    pages = []
    for number, start in enumerate(range(0, len(tracks), TRACKS_A_PAGE)):
        strips = [_labelled_strip(track) for track in tracks[start : start + TRACKS_A_PAGE]]
        page = faces_folder / f"contact_sheet_{number:03d}.jpeg"
        page.write_bytes(jpeg(np.vstack(strips), quality=85))
        pages.append(page)
    return pages


def _labelled_strip(track: FaceTrack) -> np.ndarray:
    """Return name and crops of a track, `(TILE, NAME_WIDTH + CROPS_A_TRACK * TILE, 3) uint8` BGR.

    A track of fewer crops leaves the rest white; one that cannot be read is black.
    """
    averaged = [crop.source == "averaged" for crop in read_boxes(Path(track.folder))]
    tiles = []
    for position in sorted(set(sample_positions(track.num_frames, CROPS_A_TRACK))):
        crop_bgr = cv2.imread(track.crop_path(position))
        tile = np.zeros((TILE, TILE, 3), np.uint8) if crop_bgr is None else tile_of(crop_bgr, TILE)
        if averaged[position]:
            cv2.rectangle(tile, (1, 1), (TILE - 2, TILE - 2), RED_BGR, 3)
        tiles.append(tile)
    strip = np.full((TILE, NAME_WIDTH + CROPS_A_TRACK * TILE, 3), 255, np.uint8)
    strip[:, NAME_WIDTH : NAME_WIDTH + len(tiles) * TILE] = np.hstack(tiles)
    name = track.name.encode("ascii", "replace").decode()  # OpenCV's fonts know ASCII only
    counts = f"{counted(track.num_frames, 'frame')}, {sum(averaged)} averaged"
    for row, line in enumerate([name[:34], name[34:68], counts]):
        place, colour = (6, 30 + 22 * row), GREY_BGR if line is counts else BLACK_BGR
        cv2.putText(strip, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return strip


def strip_jpeg(track: FaceTrack, count: int, side: int) -> bytes:
    """Return a strip of `count` crops at equal distances, of `side` pixels, as a JPEG.

    A track of fewer crops repeats some; a crop that cannot be read is left out. Empty without any.
    """
    positions = sample_positions(track.num_frames, count)
    crops_bgr = [cv2.imread(track.crop_path(position)) for position in positions]
    tiles = [tile_of(crop_bgr, side) for crop_bgr in crops_bgr if crop_bgr is not None]
    return jpeg(np.hstack(tiles), quality=75) if tiles else b""


def tile_of(crop: np.ndarray, side: int) -> np.ndarray:
    """Return a crop as a square of `side` pixels."""
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)


def jpeg(image_bgr: np.ndarray, quality: int) -> bytes:
    """Return an image as a JPEG of that quality, 0..100."""
    return cv2.imencode(".jpeg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
