"""Joins tracklets into faces, and chooses the main face of a video.

The main face is the one that is large for a long time: the chain of tracklets, disjoint in time,
with the largest sum of box sides. A face that turns away and comes back leaves several tracklets. A
face ends at a cut, because boxes do not identify people across it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deepfake_detector.faces.detector import Look
from deepfake_detector.faces.smoothing import boxes_of, without_outliers
from deepfake_detector.faces.tracklets import FaceBoxes, Tracklet, distance, growth

MIN_DETECTIONS = 3  # in a tracklet: what is detected once or twice is a hand, shirt or shadow
# ... and in as many seconds, and this share of its frames, if only another look saw it in a frame.
DOUBTFUL_SEC, DOUBTFUL_DETECTED = 0.5, 0.6
TRIED_TRACKLETS = 5  # the best ones, each as the start of the main face
# What a further face needs.
FURTHER_FACE_SEC = 1.0  # this long, or half of a shorter video
FURTHER_FACE_SIZE = 0.25  # this share of the size of the best face of its shot
FURTHER_FACE_DETECTED = 0.75  # detected in this share of its frames; necklines reach half


def find_faces(
    tracklets: Sequence[Tracklet],
    times_sec: Sequence[float],
    shots: Sequence[int],
    which: str = "main",
) -> list[FaceBoxes]:
    """Return the boxes of the main face and, with `which` "all", of the further faces.

    The main face has a box in every frame of its shot, a further one from its first detection to
    its last.
    """
    all_times_sec, all_shots = np.asarray(times_sec), np.asarray(shots)
    found = []
    for number, face in enumerate(choose_faces(tracklets, times_sec, shots, which)):
        detections = sorted(
            (detection for tracklet in face for detection in tracklet.detections),
            key=lambda detection: detection.position,
        )
        first, end = detections[0].position, detections[-1].position + 1
        if number == 0:
            first, end = np.searchsorted(all_shots, [face[0].shot, face[0].shot + 1]).tolist()
        boxes, detected = boxes_of(detections, first, all_times_sec[first:end])
        found.append(FaceBoxes(first, boxes, detected))
    return found


def choose_faces(
    tracklets: Sequence[Tracklet], times_sec: Sequence[float], shots: Sequence[int], which: str
) -> list[list[Tracklet]]:
    """Return the tracklets of each face: the main one, and with `which` "all" the further ones.

    A tracklet needs three detections (fewer in a shot of fewer than five frames), and more where
    no plain look at a whole frame saw it. Each of the best tracklets is joined with those of its
    shot that fill its pauses. These must be close to it, because a shirt or a hand is often
    detected just when the face turns away. The best of these chains is the main face.
    """
    candidates = _candidates(tracklets, times_sec, shots)
    if not candidates:
        return []
    chains = [_chain(best, candidates) for best in candidates[:TRIED_TRACKLETS]]
    main = max(chains, key=lambda chain: sum(tracklet.score for tracklet in chain))
    faces = [main]
    if which == "all":
        rest = [tracklet for tracklet in candidates if tracklet not in main]
        faces += _further_faces(rest, main, times_sec)
    return faces


def _candidates(
    tracklets: Sequence[Tracklet], times_sec: Sequence[float], shots: Sequence[int]
) -> list[Tracklet]:
    """Return the tracklets of enough detections, without outliers, the best first."""
    shot_lengths = Counter(shots)
    cleaned = [replace(each, detections=without_outliers(each.detections)) for each in tracklets]
    enough = [
        tracklet
        for tracklet in cleaned
        if len(tracklet.detections) >= min(MIN_DETECTIONS, (shot_lengths[tracklet.shot] + 1) // 2)
        and not _is_doubtful(tracklet, times_sec)
    ]
    # The position breaks ties, so that the order is the same on every machine.
    return sorted(enough, key=lambda tracklet: (-tracklet.score, tracklet.first))


def _is_doubtful(tracklet: Tracklet, times_sec: Sequence[float]) -> bool:
    """Return whether another look than the plain one saw a tracklet, and not for long enough."""
    if tracklet.look is Look.PLAIN:
        return False
    frames = tracklet.last - tracklet.first + 1
    too_short = times_sec[tracklet.last] - times_sec[tracklet.first] < DOUBTFUL_SEC
    return too_short or len(tracklet.detections) < DOUBTFUL_DETECTED * frames


def _further_faces(
    candidates: Sequence[Tracklet], main: Sequence[Tracklet], times_sec: Sequence[float]
) -> list[list[Tracklet]]:
    """Return the chains of tracklets that are long, large and steady enough to be a face."""
    side_of_shot = {main[0].shot: max(tracklet.median_side for tracklet in main)}
    for tracklet in candidates:  # the best first
        side_of_shot.setdefault(tracklet.shot, tracklet.median_side)
    needed_sec = min(FURTHER_FACE_SEC, (times_sec[-1] - times_sec[0]) / 2)
    faces, rest = [], list(candidates)
    while rest:
        chain = _chain(rest[0], rest)
        rest = [tracklet for tracklet in rest if tracklet not in chain]
        first, last = min(t.first for t in chain), max(t.last for t in chain)
        detections = sum(len(tracklet.detections) for tracklet in chain)
        long_enough = times_sec[last] - times_sec[first] >= needed_sec
        if (
            long_enough
            and detections >= FURTHER_FACE_DETECTED * (last - first + 1)
            and chain[0].median_side >= FURTHER_FACE_SIZE * side_of_shot[chain[0].shot]
        ):
            faces.append(chain)
    return faces


def _chain(best: Tracklet, candidates: Sequence[Tracklet]) -> list[Tracklet]:
    """Return `best` and the candidates of its shot that fill its pauses."""
    chosen = [best]
    for tracklet in (candidate for candidate in candidates if candidate.shot == best.shot):
        disjoint = all(
            tracklet.last < other.first or other.last < tracklet.first for other in chosen
        )
        if disjoint and _takes_over(tracklet, chosen):
            chosen.append(tracklet)
    return chosen


def _takes_over(tracklet: Tracklet, chosen: list[Tracklet]) -> bool:
    """Return whether a tracklet can be the face of the chosen ones, before or after them."""
    nearest = min(
        chosen, key=lambda t: min(abs(t.first - tracklet.last), abs(t.last - tracklet.first))
    )
    ends = (nearest.detections[-1], tracklet.detections[0])
    if tracklet.last < nearest.first:
        ends = (tracklet.detections[-1], nearest.detections[0])
    return distance(*ends) < 2.0 and growth(*ends) < 2.0
