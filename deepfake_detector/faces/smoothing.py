"""From the detections of a face to one box for every frame.

Outliers go; frames without a detection get the average of the boxes around them; all boxes are
smoothed in time. Arrays in, arrays out.

    boxes, detected = boxes_of(without_outliers(detections), first, times_sec)
"""

from collections.abc import Sequence

import numpy as np

from deepfake_detector.faces.tracklets import Detection

OUTLIER_DETECTIONS = 3  # on each side of a detection, to compare it with
NEIGHBOUR_DETECTIONS = 3  # on each side of a gap, to average
SMOOTHING_SEC = 0.08  # standard deviation of the Gaussian over box positions in time
SMOOTHING_REACH_SEC = 3 * SMOOTHING_SEC


def without_outliers(detections: Sequence[Detection]) -> list[Detection]:
    """Return the detections without those that jump or change size.

    Each is compared with the median box of the seven around it. Of fewer than five, all stay.
    """
    width = 2 * OUTLIER_DETECTIONS + 1
    if len(detections) < 5:
        return list(detections)
    boxes = np.stack([detection.box_xywh for detection in detections])
    starts = np.arange(len(detections)) - OUTLIER_DETECTIONS
    starts = np.clip(starts, 0, max(0, len(detections) - width))
    windows = starts[:, None] + np.arange(min(width, len(detections)))
    medians = np.median(boxes[windows], axis=1)
    sides, median_sides = (np.sqrt(of[:, 2] * of[:, 3]) for of in (boxes, medians))
    off = boxes - medians
    distances = np.hypot(*(off[:, :2] + off[:, 2:] / 2).T) / ((sides + median_sides) / 2)
    growths = np.maximum(sides, median_sides) / np.maximum(1, np.minimum(sides, median_sides))
    kept = (distances < 0.35) & (growths < 1.3)
    return [detection for detection, keep in zip(detections, kept, strict=True) if keep]


def boxes_of(
    detections: Sequence[Detection], first: int, times_sec: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a box for each of the frames `first`, `first + 1`, ..., and which were detected.

    The frames are of one shot, their `times_sec` `(num_frames,)`; boxes are `(num_frames, 4)
    float32`, detected `(num_frames,) bool`. At least one detection must lie in these frames.
    """
    boxes = np.zeros((len(times_sec), 4), np.float32)
    detected = np.zeros(len(times_sec), bool)
    for detection in detections:
        if 0 <= detection.position - first < len(times_sec):
            boxes[detection.position - first] = detection.box_xywh
            detected[detection.position - first] = True
    boxes = smooth(average_missing(boxes, detected, times_sec), times_sec)
    # To one decimal, as in boxes.csv, so that its boxes give the very same crops.
    return np.round(boxes, 1), detected


def average_missing(boxes: np.ndarray, detected: np.ndarray, times_sec: np.ndarray) -> np.ndarray:
    """Return the boxes, with an average in every frame that has no detection.

    The mean of the last three detected boxes before the frame and the mean of the first three
    after it are averaged with weights that fall linearly with the time to the frame. At the start
    and at the end only one side counts. `detected` must hold at least one True.
    """
    averaged, known = boxes.copy(), np.flatnonzero(detected)
    for position in np.flatnonzero(~detected):
        split = np.searchsorted(known, position)
        before, after = known[:split][-NEIGHBOUR_DETECTIONS:], known[split:][:NEIGHBOUR_DETECTIONS]
        if not len(before) or not len(after):
            around = before if len(before) else after
            averaged[position] = boxes[around].mean(axis=0)
            continue
        since = times_sec[position] - times_sec[before[-1]]
        until = times_sec[after[0]] - times_sec[position]
        weight_after = since / (since + until) if since + until > 0 else 0.5
        averaged[position] = (1 - weight_after) * boxes[before].mean(axis=0)
        averaged[position] += weight_after * boxes[after].mean(axis=0)
    return averaged


def smooth(boxes: np.ndarray, times_sec: np.ndarray) -> np.ndarray:
    """Return the boxes averaged with a Gaussian in time, `(num_frames, 4) float32`.

    So crops do not shake. Frames much further apart than 0.08 s keep their own box.
    """
    totals, weights = boxes.astype(np.float64), np.ones((len(boxes), 1))
    for apart in range(1, len(boxes)):  # all pairs of frames at this distance, both ways
        away_sec = times_sec[apart:] - times_sec[:-apart]
        if away_sec.min() > SMOOTHING_REACH_SEC:
            break
        near = away_sec <= SMOOTHING_REACH_SEC
        share = (near * np.exp(-0.5 * (away_sec / SMOOTHING_SEC) ** 2))[:, None]
        totals[:-apart] += share * boxes[apart:]
        totals[apart:] += share * boxes[:-apart]
        weights[:-apart] += share
        weights[apart:] += share
    return (totals / weights).astype(np.float32)
