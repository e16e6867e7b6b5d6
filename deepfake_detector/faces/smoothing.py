"""To be written."""

from collections.abc import Sequence

import numpy as np

from deepfake_detector.faces.tracks import Hit

OUTLIER_HITS = 3  # hits on each side a hit is compared with
NEIGHBOUR_HITS = 3  # hits averaged on each side of a gap
SMOOTHING_SEC = 0.08  # standard deviation of the Gaussian over box positions in time
SMOOTHING_REACH_SEC = 3 * SMOOTHING_SEC


def without_outliers(hits: Sequence[Hit]) -> list[Hit]:
    """Drop hits that jump or change size against the median of the seven hits around them."""
    width = 2 * OUTLIER_HITS + 1
    if len(hits) < 5:
        return list(hits)
    boxes = np.stack([hit.box_xywh for hit in hits])
    starts = np.arange(len(hits)) - OUTLIER_HITS
    starts = np.clip(starts, 0, max(0, len(hits) - width))
    windows = starts[:, None] + np.arange(min(width, len(hits)))
    medians = np.median(boxes[windows], axis=1)
    sides, median_sides = (np.sqrt(of[:, 2] * of[:, 3]) for of in (boxes, medians))
    off = boxes - medians
    distances = np.hypot(*(off[:, :2] + off[:, 2:] / 2).T) / ((sides + median_sides) / 2)
    growths = np.maximum(sides, median_sides) / np.maximum(1, np.minimum(sides, median_sides))
    kept = (distances < 0.35) & (growths < 1.3)
    return [hit for hit, keep in zip(hits, kept, strict=True) if keep]


def boxes_of(
    hits: Sequence[Hit], first: int, times_sec: np.ndarray, shots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a box for each of the frames `first`, `first + 1`, ..., and which were detected.

    `times_sec` and `shots` are those of these frames, `(num_frames,)`; boxes are `(num_frames, 4)
    float32`, detected `(num_frames,) bool`. At least one hit must lie in there. Frames without one
    get the average of the boxes around them; all are smoothed.
    """
    boxes = np.zeros((len(times_sec), 4), np.float32)
    detected = np.zeros(len(times_sec), bool)
    for hit in hits:
        if 0 <= hit.position - first < len(times_sec):
            boxes[hit.position - first] = hit.box_xywh
            detected[hit.position - first] = True
    boxes = smooth(average_missing(boxes, detected, times_sec, shots), times_sec, shots)
    # As boxes.csv will hold them, so that crops can be made again from it.
    return np.round(boxes, 1), detected


def average_missing(
    boxes: np.ndarray, detected: np.ndarray, times_sec: np.ndarray, shots: np.ndarray
) -> np.ndarray:
    """Return boxes with every frame that was not detected given the average of those around it.

    The mean of the last three detected boxes before the frame and the mean of the first three
    after it are averaged with weights that fall linearly with the time to the frame; at the start
    and at the end of the video there is only one side. Boxes of the same shot are preferred; a
    shot without any takes those of its neighbours. `detected` must hold at least one True.
    """
    averaged = boxes.copy()
    for position in np.flatnonzero(~detected):
        known = np.flatnonzero(detected & (shots == shots[position]))
        if not len(known):
            known = np.flatnonzero(detected)
        split = np.searchsorted(known, position)
        before, after = known[:split][-NEIGHBOUR_HITS:], known[split:][:NEIGHBOUR_HITS]
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


def smooth(boxes: np.ndarray, times_sec: np.ndarray, shots: np.ndarray) -> np.ndarray:
    """Return boxes under a Gaussian in time, `(num_frames, 4) float32`, so that crops do not shake.

    A cut is not smoothed over, and frames much further apart than 0.08 s keep their own box.
    """
    totals, weights = boxes.astype(np.float64), np.ones((len(boxes), 1))
    for apart in range(1, len(boxes)):  # each pair of frames so many apart, both ways
        away_sec = times_sec[apart:] - times_sec[:-apart]
        if away_sec.min() > SMOOTHING_REACH_SEC:
            break
        near = (away_sec <= SMOOTHING_REACH_SEC) & (shots[apart:] == shots[:-apart])
        share = (near * np.exp(-0.5 * (away_sec / SMOOTHING_SEC) ** 2))[:, None]
        totals[:-apart] += share * boxes[apart:]
        totals[apart:] += share * boxes[:-apart]
        weights[:-apart] += share
        weights[apart:] += share
    return (totals / weights).astype(np.float32)
