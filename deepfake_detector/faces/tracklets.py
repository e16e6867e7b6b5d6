"""Detections, tracklets and faces: the data of the tracker, and how two boxes compare.

    Detection   one box in one frame
    Tracklet    detections of one face in neighbouring frames of one shot
    FaceBoxes   a whole face: a box for every frame of a stretch of the video

A box is `(x, y, w, h)` in pixels of the source frame, float32.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from deepfake_detector.faces.detector import Look


@dataclass(frozen=True, eq=False)
class Detection:
    """One detection: `position` counts the frames given to the tracker, from 0."""

    position: int
    box_xywh: np.ndarray  # (4,) float32

    @cached_property
    def side(self) -> float:
        """The side in pixels of a square of the same area."""
        return math.sqrt(float(self.box_xywh[2]) * float(self.box_xywh[3]))

    @cached_property
    def centre(self) -> tuple[float, float]:
        x, y, w, h = self.box_xywh.tolist()
        return x + w / 2, y + h / 2


@dataclass(eq=False)
class Tracklet:
    """Detections of one face within one shot, in order of time."""

    shot: int
    detections: list[Detection] = field(default_factory=list)
    look: Look = Look.PLAIN  # the one that saw it in a whole frame; the plain one, once it has

    @property
    def first(self) -> int:
        """Position of the first detection."""
        return self.detections[0].position

    @property
    def last(self) -> int:
        """Position of the last detection."""
        return self.detections[-1].position

    @property
    def score(self) -> float:
        """Size times length: the sum of the box sides over the detections, in pixels."""
        return sum(detection.side for detection in self.detections)

    @property
    def median_side(self) -> float:
        return float(np.median([detection.side for detection in self.detections]))


@dataclass
class FaceBoxes:
    """One face: its box in each of the frames `first`, `first + 1`, ... of those looked at."""

    first: int
    boxes: np.ndarray  # (num_frames, 4) float32
    detected: np.ndarray  # (num_frames,) bool

    def from_first_detection(self) -> "FaceBoxes":
        """Return the same without the frames before the face was first detected."""
        start = int(np.argmax(self.detected))
        return FaceBoxes(self.first + start, self.boxes[start:], self.detected[start:])


def distance(one: Detection, other: Detection) -> float:
    """Return the distance of two box centres in mean box sides."""
    return math.dist(one.centre, other.centre) / ((one.side + other.side) / 2)


def growth(one: Detection, other: Detection) -> float:
    """Return the ratio of the larger box side to the smaller one, at least 1."""
    return max(one.side, other.side) / max(1.0, min(one.side, other.side))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection of two boxes over their union, 0..1."""
    corner = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    width, height = np.maximum(0, corner - np.maximum(one[:2], other[:2]))
    shared = float(width * height)
    return shared / max(1e-6, float(one[2] * one[3] + other[2] * other[3]) - shared)
