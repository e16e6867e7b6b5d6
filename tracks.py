"""Follows faces through the frames of one video and gives every frame a box.

`FaceTracker` is given the frames in order and remembers the detections as tracks; `choose_faces`
says which tracks make up a face worth cutting out; `boxes_of` turns those into one box for every
frame, averaged where nothing was detected and smoothed. Arrays in, arrays out, no files.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from faces import MIN_FACE, Detector

# Whole-frame search while no face is followed: smallest face looked for, as a share of the frame's
# longer side, and how often. It stops at the first step with a hit. Large faces are looked for
# often because that costs next to nothing, small ones rarely because it costs most.
LOST_SEARCH_STEPS = ((0.2, 0.1), (0.1, 0.2), (0.05, 0.4), (0.0375, 0.6))  # share, seconds
# While a face is followed: newcomers are looked for if at least this share of it. For the main face
# alone that is so much later as they are smaller; this is for one of a fifth of the frame's longer
# side, or larger.
NEWCOMER_SIZE = {"main": 0.7, "all": 0.35}
NEWCOMER_SEARCH_SEC = 0.5
# First look around a known face: reach and growth, see Detector.search_near. One size of face is
# looked for in most frames, which takes a third of the time; the wide look in between keeps boxes
# from drifting in size.
NEAR, NEAR_WIDE, WIDE_EVERY_HITS = (0.15, 1.04), (0.2, 1.3), 4
GROWTH_NEAR = 1.45  # second look, where the first saw nothing
TURNED_REACH = 0.4  # third look, with the cascade for profiles
SILENT_FRAMES = 3  # second and third looks that fail so often are made that much more rarely
PATIENCE_SEC = 1.0  # a track without a hit for longer has ended ...
PATIENCE_FRAMES = 3  # ... unless frames are so rare that this is less than so many of them
# Correlation of 16 x 16 grey thumbnails of neighbouring frames below which there is a cut. In real
# clips cuts had at most 0.50 and shaken heads in close-up at least 0.68, dark scenes included.
CUT_CORRELATION = 0.6
MIN_TRACK_HITS = 3  # hits seen once or twice are hands, shirts and shadows
TRIED_TRACKS = 5  # of the best ones, each as the start of the main face
FURTHER_FACE_SEC = 1.0  # a further face is seen for so long, or for half of a shorter video
FURTHER_FACE_SIZE = 0.25  # ... and is at least this share of the main one
FURTHER_FACE_HITS = 0.75  # ... and is found in that share of these frames: necklines are, in half
OUTLIER_HITS = 3  # hits on each side a hit is compared with
NEIGHBOUR_HITS = 3  # hits averaged on each side of a gap
SMOOTHING_SEC = 0.08  # standard deviation of the Gaussian over box positions in time
SMOOTHING_REACH_SEC = 3 * SMOOTHING_SEC


@dataclass(frozen=True, eq=False)
class Hit:
    """One detection: `position` counts the frames given to the tracker, from 0."""

    position: int
    box_xywh: np.ndarray

    @cached_property
    def side(self) -> float:
        return math.sqrt(float(self.box_xywh[2]) * float(self.box_xywh[3]))

    @cached_property
    def centre(self) -> tuple[float, float]:
        x, y, w, h = self.box_xywh.tolist()
        return x + w / 2, y + h / 2


@dataclass(eq=False)
class Track:
    """Hits that belong to one face within one shot, in order of time."""

    shot: int
    hits: list[Hit] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.hits[0].position

    @property
    def last(self) -> int:
        return self.hits[-1].position

    @property
    def score(self) -> float:
        """Size times length: the sum of the box sides over the hits, in pixels."""
        return sum(hit.side for hit in self.hits)

    @property
    def median_side(self) -> float:
        return float(np.median([hit.side for hit in self.hits]))


@dataclass
class FaceBoxes:
    """One face: its box in each of the frames `first`, `first + 1`, ... of those looked at."""

    first: int
    boxes: np.ndarray  # (num_frames, 4) float32
    detected: np.ndarray  # (num_frames,) bool


class FaceTracker:
    """Finds and follows faces of one video, the "main" one or "all"; give it the frames in order.

    Costs a search around each known face, and a search of the whole frame at the start, after a
    cut and now and then. Memory grows with the number of hits, not with the size of the frames.
    """

    def __init__(self, detector: Detector, which: str = "main"):
        self.tracks: list[Track] = []
        self.live: list[Track] = []  # those that may go on
        self.times_sec: list[float] = []
        self.shots: list[int] = []  # number of the shot, for each frame; a cut starts a new one
        self._detector, self._which = detector, which
        self._thumbnail: np.ndarray | None = None
        self._searched_sec = [-math.inf] * len(LOST_SEARCH_STEPS)

    def add_frame(self, image_bgr: np.ndarray, time_sec: float) -> None:
        """Look for faces in the next frame, `(height, width, 3) uint8 BGR`."""
        position = len(self.times_sec)
        self.times_sec.append(time_sec)
        self.shots.append(self._shot_of(image_bgr))
        self.live = [track for track in self.live if self._is_live(track)]
        unmatched = [track for track in self.live if not self._follow(track, image_bgr, position)]
        self._end_doubles(position)
        known = [track.hits[-1] for track in self.live if track.last == position]
        for box in self._search_frame(image_bgr, time_sec, known):
            if any(overlap(box, hit.box_xywh) > 0.3 for hit in known):
                continue
            # The whole frame was searched in coarse steps; so close to the face they are fine.
            closer = self._detector.search_near(image_bgr, box, *NEAR_WIDE)
            hit = Hit(position, closer[0] if len(closer) == 1 else box)
            track = next((t for t in unmatched if self._is_same_face(t, hit)), None)
            if track is None:
                self.tracks.append(Track(self.shots[-1], [hit]))
                self.live.append(self.tracks[-1])
            else:
                track.hits.append(hit)
                unmatched.remove(track)

    def faces(self) -> list[FaceBoxes]:
        """Return the main face, and if all were asked for the further ones; [] for none."""
        return find_faces(self.tracks, self.times_sec, self.shots, self._which)

    def _shot_of(self, image_bgr: np.ndarray) -> int:
        before, self._thumbnail = self._thumbnail, _thumbnail(image_bgr)
        if before is None:
            return 0
        cut = _correlation(before, self._thumbnail) < CUT_CORRELATION
        if cut:
            self._searched_sec = [-math.inf] * len(LOST_SEARCH_STEPS)
        return self.shots[-1] + int(cut)

    def _is_live(self, track: Track) -> bool:
        silent_sec = self.times_sec[-1] - self.times_sec[track.last]
        silent_frames = len(self.times_sec) - 1 - track.last
        patient = silent_sec <= PATIENCE_SEC or silent_frames <= PATIENCE_FRAMES
        return track.shot == self.shots[-1] and patient

    def _search_frame(
        self, image_bgr: np.ndarray, time_sec: float, known: Sequence[Hit]
    ) -> np.ndarray:
        """Return the boxes of a whole-frame search, `(n, 4)`; none where it is not yet time."""
        longer_side = max(image_bgr.shape[:2])
        smallest_sides = [max(MIN_FACE, longer_side * share) for share, _ in LOST_SEARCH_STEPS]
        if known:
            side = max(hit.side for hit in known) * NEWCOMER_SIZE[self._which]
            side = max(side, smallest_sides[-1])
            rarer = max(1.0, smallest_sides[0] / side) if self._which == "main" else 1.0
            if not self._is_due(0, time_sec, NEWCOMER_SEARCH_SEC * rarer):
                return np.zeros((0, 4), np.float32)
            self._searched_sec = [time_sec] * len(LOST_SEARCH_STEPS)
            return self._detector.search_frame(image_bgr, side)
        for step, (_, every_sec) in enumerate(LOST_SEARCH_STEPS):
            if not self._is_due(step, time_sec, every_sec):
                continue
            self._searched_sec[step] = time_sec
            boxes = self._detector.search_frame(image_bgr, smallest_sides[step])
            if len(boxes):
                return boxes
        return np.zeros((0, 4), np.float32)

    def _is_due(self, step: int, time_sec: float, every_sec: float) -> bool:
        return time_sec - self._searched_sec[step] > every_sec - 1e-3

    def _follow(self, track: Track, image_bgr: np.ndarray, position: int) -> bool:
        """Add the hit next to the track's last box, if there is one, and say so."""
        box = track.hits[-1].box_xywh
        silent_sec = self.times_sec[-1] - self.times_sec[track.last]
        near = NEAR if len(track.hits) % WIDE_EVERY_HITS else NEAR_WIDE
        looks = [(self._detector.search_near, *near)]
        silent_frames = position - track.last
        if silent_frames <= SILENT_FRAMES or silent_frames % SILENT_FRAMES == 0:
            looks += [
                (self._detector.search_near, min(1.0, 0.5 + silent_sec), GROWTH_NEAR),
                (self._detector.search_turned_near, TURNED_REACH, GROWTH_NEAR),
            ]
        for look, reach, most_growth in looks:
            hits = [Hit(position, found) for found in look(image_bgr, box, reach, most_growth)]
            hits = [hit for hit in hits if self._is_same_face(track, hit)]
            if hits:
                track.hits.append(min(hits, key=lambda hit: distance(track.hits[-1], hit)))
                return True
        return False

    def _end_doubles(self, position: int) -> None:
        """End tracks that have come upon a face which an earlier one is following."""
        followed: list[Track] = []
        for track in [track for track in self.live if track.last == position]:
            box = track.hits[-1].box_xywh
            if any(overlap(box, other.hits[-1].box_xywh) > 0.3 for other in followed):
                del track.hits[-1]
                self.live.remove(track)
            else:
                followed.append(track)

    def _is_same_face(self, track: Track, hit: Hit) -> bool:
        """Say whether a face can have moved and grown that much since the track's last hit."""
        before = track.hits[-1]
        silent_sec = self.times_sec[-1] - self.times_sec[before.position]
        return distance(before, hit) < min(1.0, 0.4 + silent_sec) and growth(before, hit) < 1.5


def _thumbnail(image_bgr: np.ndarray) -> np.ndarray:
    """Return `(16, 16) float32` grey levels; only every n-th pixel is looked at, for speed."""
    step_y, step_x = (max(1, side // 64) for side in image_bgr.shape[:2])
    few = np.ascontiguousarray(image_bgr[::step_y, ::step_x])
    grey = cv2.cvtColor(few, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation of two thumbnails, and 1 where one of them is all flat."""
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.linalg.norm(one) * np.linalg.norm(other))
    # A frame faded to black correlates with nothing, yet hides no new shot.
    return float((one * other).sum()) / spread if spread > one.size else 1.0


def distance(one: Hit, other: Hit) -> float:
    """Return the distance of two box centres in mean box sides."""
    return math.dist(one.centre, other.centre) / ((one.side + other.side) / 2)


def growth(one: Hit, other: Hit) -> float:
    """Return how many times larger the larger of two boxes is, at least 1."""
    return max(one.side, other.side) / max(1.0, min(one.side, other.side))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection of two boxes over their union, 0..1."""
    corner = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    width, height = np.maximum(0, corner - np.maximum(one[:2], other[:2]))
    shared = float(width * height)
    return shared / max(1e-6, float(one[2] * one[3] + other[2] * other[3]) - shared)


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
