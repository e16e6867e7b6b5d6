"""To be written."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from deepfake_detector.faces.smoothing import boxes_of, without_outliers
from deepfake_detector.faces.tracks import FaceBoxes, Track, distance, growth

MIN_TRACK_HITS = 3  # hits seen once or twice are hands, shirts and shadows
TRIED_TRACKS = 5  # of the best ones, each as the start of the main face
FURTHER_FACE_SEC = 1.0  # a further face is seen for so long, or for half of a shorter video
FURTHER_FACE_SIZE = 0.25  # ... and is at least this share of the main one
FURTHER_FACE_HITS = 0.75  # ... and is found in that share of these frames: necklines are, in half


def find_faces(
    tracks: Sequence[Track], times_sec: Sequence[float], shots: Sequence[int], which: str = "main"
) -> list[FaceBoxes]:
    """Return the faces that tracks add up to: the main one, and with `which` "all" the others.

    The main face has a box in every frame, a further one from its first hit to its last.
    """
    all_times_sec, all_shots = np.asarray(times_sec), np.asarray(shots)
    found = []
    for number, face in enumerate(choose_faces(tracks, times_sec, shots, which)):
        hits = sorted((hit for track in face for hit in track.hits), key=lambda h: h.position)
        first = hits[0].position if number else 0
        window = slice(first, hits[-1].position + 1 if number else None)
        boxes, detected = boxes_of(hits, first, all_times_sec[window], all_shots[window])
        found.append(FaceBoxes(first, boxes, detected))
    return found


def choose_faces(
    tracks: Sequence[Track], times_sec: Sequence[float], shots: Sequence[int], which: str
) -> list[list[Track]]:
    """Return the tracks of each face: the main one, and with `which` "all" the further ones.

    The main face is made up of tracks disjoint in time: together the largest and longest. A track
    needs three hits (fewer in a shot of fewer than five frames). A face that turns away and comes
    back leaves several tracks, so each of the best is tried with those that fill its pauses: in
    the same shot only a box close to it, because a shirt or a hand is found just when the face
    turns away; in another shot any face at least a quarter as large.

    A further face stays within one shot, since nothing tells people apart across a cut.
    """
    candidates = _candidates(tracks, shots)
    if not candidates:
        return []
    chains = [_chain(best, candidates) for best in candidates[:TRIED_TRACKS]]
    main = max(chains, key=lambda chain: sum(track.score for track in chain))
    faces = [main]
    if which == "all":
        rest = [track for track in candidates if track not in main]
        faces += _further_faces(rest, main, times_sec)
    return faces


def _candidates(tracks: Sequence[Track], shots: Sequence[int]) -> list[Track]:
    """Return the tracks of enough hits without their outliers, the best first."""
    shot_lengths = Counter(shots)
    cleaned = [Track(track.shot, without_outliers(track.hits)) for track in tracks]
    enough = [
        track
        for track in cleaned
        if len(track.hits) >= min(MIN_TRACK_HITS, (shot_lengths[track.shot] + 1) // 2)
    ]
    # The position breaks ties, so that the order is the same on every machine.
    return sorted(enough, key=lambda track: (-track.score, track.first))


def _further_faces(
    candidates: Sequence[Track], main: Sequence[Track], times_sec: Sequence[float]
) -> list[list[Track]]:
    main_side = max(track.median_side for track in main)
    needed_sec = min(FURTHER_FACE_SEC, (times_sec[-1] - times_sec[0]) / 2)
    faces, rest = [], list(candidates)
    while rest:
        chain = _chain(rest[0], [track for track in rest if track.shot == rest[0].shot])
        rest = [track for track in rest if track not in chain]
        first, last = min(t.first for t in chain), max(t.last for t in chain)
        hits = sum(len(track.hits) for track in chain)
        long_enough = times_sec[last] - times_sec[first] >= needed_sec
        if (
            long_enough
            and hits >= FURTHER_FACE_HITS * (last - first + 1)
            and chain[0].median_side >= FURTHER_FACE_SIZE * main_side
        ):
            faces.append(chain)
    return faces


def _chain(best: Track, candidates: Sequence[Track]) -> list[Track]:
    chosen = [best]
    for track in candidates:
        disjoint = all(track.last < other.first or other.last < track.first for other in chosen)
        if disjoint and _takes_over(track, chosen):
            chosen.append(track)
    return chosen


def _takes_over(track: Track, chosen: list[Track]) -> bool:
    neighbours = [other for other in chosen if other.shot == track.shot]
    if not neighbours:
        return track.median_side > chosen[0].median_side / 4
    nearest = min(
        neighbours, key=lambda t: min(abs(t.first - track.last), abs(t.last - track.first))
    )
    ends = (nearest.hits[-1], track.hits[0])
    if track.last < nearest.first:
        ends = (track.hits[-1], nearest.hits[0])
    return distance(*ends) < 2.0 and growth(*ends) < 2.0
