"""Which way up the people in a video are: phones and editors turn pictures without saying so.

    orientation = find_orientation(frames, detector)
    upright = turned(frames, orientation.quarters)

The cascades find faces that are nearly upright, and in a picture that is upside down a chin with a
neck at times. So a few frames are searched in all four turns: the one in which most frames have a
face at about the same place shows people upright. A head that leans is searched for as well, where
the picture as it is seems to be the wrong one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deepfake_detector.decoding.frame import Frame, frame_of_image
from deepfake_detector.faces.detector import Detector

NUM_FRAMES = 8  # that are searched
SMALLEST_FACE = 0.05  # of the longer side
# Of the frames in which a turn has a face at the same place.
CLEAR, LIKELY = 0.5, 0.25
LEANING_DEGREES = (30, -30)  # a head may lean to its shoulder
NEAR_WIDE = (0.2, 1.3)  # reach and growth, see Detector.search_near
ROTATIONS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


@dataclass(frozen=True)
class Orientation:
    """By how many quarters, clockwise, a video has to be turned, and whether that is certain."""

    quarters: int = 0  # 0 to 3
    is_clear: bool = True

    @property
    def degrees(self) -> int | None:
        """The turn in degrees, clockwise; None if it is not clear."""
        return 90 * self.quarters if self.is_clear else None


def orientation_note(degrees: int | None) -> str:
    """Return what to say about the turn of a video; "" for an upright one."""
    if degrees is None:
        return "it is not clear which way up the people are"
    return f"turned by {degrees} degrees to show the people upright" if degrees else ""


def find_orientation(frames: Sequence[Frame], detector: Detector) -> Orientation:
    """Return how to turn these frames of a video, which lie apart in time.

    It is upright unless another turn has a steady face in more frames, and neither a leaning head
    is as steady in the picture as it is. That is the right turn if these are most frames, and twice
    as many as in any other turn; otherwise it is not clear.
    """
    shares = [_steady_share(turned(frames, quarters), detector) for quarters in range(4)]
    best = int(np.argmax(shares))
    if best == 0 or shares[best] < LIKELY:
        return Orientation()
    for degrees in LEANING_DEGREES:
        shares[0] = max(shares[0], _steady_share(_leaning(frames, degrees), detector))
    if shares[0] >= shares[best]:
        return Orientation()
    second = max(share for quarters, share in enumerate(shares) if quarters != best)
    return Orientation(best) if shares[best] >= max(CLEAR, 2 * second) else Orientation(0, False)


def turned(frames: Iterable[Frame], quarters: int) -> Iterator[Frame]:
    """Yield the frames, turned clockwise by as many quarters."""
    for frame in frames:
        if quarters:
            image_bgr = cv2.rotate(frame.image_bgr, ROTATIONS[quarters - 1])
            frame = frame_of_image(image_bgr, frame.index, frame.time_sec)
        yield frame


def _leaning(frames: Iterable[Frame], degrees: float) -> Iterator[Frame]:
    """Yield the frames, turned counterclockwise by a few degrees."""
    for frame in frames:
        height, width = frame.image_bgr.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        image_bgr = cv2.warpAffine(frame.image_bgr, matrix, (width, height))
        yield frame_of_image(image_bgr, frame.index, frame.time_sec)


def _steady_share(frames: Iterable[Frame], detector: Detector) -> float:
    """Return in which share of the frames the largest face is about where it mostly is, 0..1."""
    boxes, total = [], 0
    for frame in frames:
        total += 1
        found = detector.search_frame(frame, SMALLEST_FACE * max(frame.size))
        if len(found):
            largest = found[np.argmax(found[:, 2])]
            # The whole frame was searched in coarse steps; next to a face they are fine.
            boxes += list(detector.search_near(frame, largest, *NEAR_WIDE)[:1])
    if not boxes:
        return 0.0
    sides = np.array([box[2] for box in boxes])
    centres = np.array([box[:2] + box[2:] / 2 for box in boxes])
    side, centre = np.median(sides), np.median(centres, axis=0)
    near = np.linalg.norm(centres - centre, axis=1) < side
    alike = np.maximum(sides, side) < 1.6 * np.minimum(sides, side)
    return float((near & alike).sum() / total)
