"""Face boxes, tracks, averaged boxes and crops: arrays in, arrays out, no files.

A box is `(x, y, w, h)` in pixels of the source frame, float32: left, top, width, height.
`FaceTracker` is given the frames of one video in order and remembers the Haar hits as tracks;
`main_face` turns those into one box for every frame; `crop_face` cuts the face out.

Detector: OpenCV's `haarcascade_frontalface_alt2` (Viola and Jones, CVPR 2001,
doi:10.1109/CVPR.2001.990517; Lienhart and Maydt, ICIP 2002, doi:10.1109/ICIP.2002.1038171).
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

DETECTOR = "haarcascade_frontalface_alt2"

# Whole-frame search: the frame is shrunk to this longer side, in pixels. A face narrower than
# MIN_FACE of those pixels (72 pixels of a 1920 x 1080 frame) is not looked for.
SEARCH_SIDE = 640
MIN_FACE = 24
# Search around a known face: the surroundings are shrunk until that face has this side, because
# the cost of Haar grows with the area and its recall does not. Smaller faces stay as they are.
TRACKED_FACE = 64
SCALE_FACTOR = 1.1
MIN_NEIGHBOURS = 5  # whole frame: many places to be wrong in
MIN_NEIGHBOURS_TRACKED = 3  # next to a known face: few

FULL_SEARCH_EVERY_SEC = 0.5  # while a face is being followed: newcomers are seen this late
LOST_SEARCH_EVERY_SEC = 0.1  # while none is
NEWCOMER_SIZE = 0.5  # while a face is followed, only faces at least this share of it are sought
PATIENCE_SEC = 1.0  # a track without a hit for longer has ended
# Correlation of 16 x 16 grey thumbnails of neighbouring frames below which there is a cut. In real
# clips cuts had at most 0.50 and shaken heads in close-up at least 0.68, dark scenes included.
CUT_CORRELATION = 0.6
MIN_TRACK_HITS = 3  # hits seen once or twice are hands, shirts and shadows
TRIED_TRACKS = 5  # of the best ones, each as the start of the main face
NEIGHBOUR_HITS = 3  # hits averaged on each side of a gap
SMOOTHING_SEC = 0.08  # standard deviation of the Gaussian over box positions in time


@dataclass(frozen=True)
class Hit:
    """One detection: `position` counts the frames given to the tracker, from 0."""

    position: int
    box_xywh: np.ndarray

    @property
    def side(self) -> float:
        return math.sqrt(float(self.box_xywh[2]) * float(self.box_xywh[3]))

    @property
    def centre(self) -> np.ndarray:
        return self.box_xywh[:2] + self.box_xywh[2:] / 2


@dataclass
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


def load_cascade() -> "cv2.CascadeClassifier":
    """Return the frontal face detector, about 5 ms of work and not picklable: one per process.

    Raises RuntimeError with one sentence where OpenCV has no cascades.
    """
    remedy = 'install OpenCV 4 with: pip install "opencv-python>=4.8,<5"'
    if not hasattr(cv2, "CascadeClassifier"):
        raise RuntimeError(f"OpenCV {cv2.__version__} has no CascadeClassifier; {remedy}")
    path = Path(cv2.data.haarcascades) / f"{DETECTOR}.xml"
    if not path.is_file():
        raise RuntimeError(f"OpenCV {cv2.__version__} came without {path}; {remedy}")
    cascade = cv2.CascadeClassifier(str(path))
    if cascade.empty():
        raise RuntimeError(f"OpenCV {cv2.__version__} cannot read {path}; {remedy}")
    return cascade


def search_frame(
    image_bgr: np.ndarray, cascade: "cv2.CascadeClassifier", smallest_side: float = 1.0
) -> np.ndarray:
    """Return the boxes of all faces in a frame, `(n, 4) float32`; n is 0 where there are none.

    Faces narrower than `smallest_side` pixels are not looked for, which makes it much cheaper.
    """
    scale = min(1.0, SEARCH_SIDE / max(image_bgr.shape[:2]), MIN_FACE / smallest_side)
    return _detect(image_bgr, scale, cascade, MIN_NEIGHBOURS, (MIN_FACE, 0))


def search_around(
    image_bgr: np.ndarray, box_xywh: np.ndarray, cascade: "cv2.CascadeClassifier", reach: float
) -> np.ndarray:
    """Return the boxes near a known one, `(n, 4) float32`.

    `reach` is how far the searched square goes beyond the box on every side, in box sides.
    """
    x, y, w, h = (float(value) for value in box_xywh)
    height, width = image_bgr.shape[:2]
    left, top = max(0, int(x - reach * w)), max(0, int(y - reach * h))
    right, bottom = (
        min(width, math.ceil(x + w + reach * w)),
        min(height, math.ceil(y + h + reach * h)),
    )
    if right - left < MIN_FACE or bottom - top < MIN_FACE:
        return np.zeros((0, 4), np.float32)
    scale = min(1.0, TRACKED_FACE / max(w, 1.0))
    sizes = (int(0.7 * w * scale), int(1.5 * w * scale))
    region = image_bgr[top:bottom, left:right]
    boxes = _detect(region, scale, cascade, MIN_NEIGHBOURS_TRACKED, sizes)
    boxes[:, 0] += left
    boxes[:, 1] += top
    return boxes


def _detect(
    image_bgr: np.ndarray,
    scale: float,
    cascade: "cv2.CascadeClassifier",
    min_neighbours: int,
    sizes: tuple[int, int],
) -> np.ndarray:
    """Run the cascade on a shrunk grey copy; `sizes` are the smallest and largest face side in
    its pixels, 0 for no limit. Boxes come back in pixels of `image_bgr`."""
    if scale < 1:
        image_bgr = cv2.resize(image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    smallest, largest = sizes
    found = cascade.detectMultiScale(
        grey,
        scaleFactor=SCALE_FACTOR,
        minNeighbors=min_neighbours,
        minSize=(smallest, smallest),
        maxSize=(largest, largest),
    )
    # No face comes back as an empty tuple, faces as an int32 array.
    return np.asarray(found, np.float32).reshape(-1, 4) / scale


class FaceTracker:
    """Finds and follows the faces of one video; give it the kept frames in order of time.

    Costs a whole-frame search at the start, after a cut and every half second, and otherwise a
    search around each known face. Memory grows with the number of hits, not with the frames.
    """

    def __init__(self, cascade: "cv2.CascadeClassifier"):
        self.tracks: list[Track] = []
        self.times_sec: list[float] = []
        self.shots: list[int] = []  # number of the shot, for each frame; a cut starts a new one
        self._cascade = cascade
        self._thumbnail: np.ndarray | None = None
        self._last_full_search_sec = -math.inf

    def add_frame(self, image_bgr: np.ndarray, time_sec: float) -> None:
        """Look for faces in the next frame, `(height, width, 3) uint8 BGR`."""
        position = len(self.times_sec)
        self.times_sec.append(time_sec)
        self.shots.append(self._shot_of(image_bgr))
        live = [track for track in self.tracks if self._is_live(track)]
        unmatched = [track for track in live if not self._follow(track, image_bgr, position)]
        if not self._full_search_is_due(live, unmatched):
            return
        self._last_full_search_sec = time_sec
        known = [track.hits[-1] for track in live if track.last == position]
        # Whoever is much smaller than the face that is followed does not become the main face.
        smallest_side = max([NEWCOMER_SIZE * hit.side for hit in known], default=1.0)
        for box in search_frame(image_bgr, self._cascade, max(1.0, smallest_side)):
            if any(_overlap(box, hit.box_xywh) > 0.3 for hit in known):
                continue
            hit = Hit(position, box)
            track = next((t for t in unmatched if self._is_same_face(t, hit)), None)
            if track is None:
                self.tracks.append(Track(self.shots[-1], [hit]))
            else:
                track.hits.append(hit)
                unmatched.remove(track)

    def _shot_of(self, image_bgr: np.ndarray) -> int:
        before, self._thumbnail = self._thumbnail, _thumbnail(image_bgr)
        if before is None:
            return 0
        cut = _correlation(before, self._thumbnail) < CUT_CORRELATION
        if cut:
            self._last_full_search_sec = -math.inf
        return self.shots[-1] + int(cut)

    def _is_live(self, track: Track) -> bool:
        silent_sec = self.times_sec[-1] - self.times_sec[track.last]
        return track.shot == self.shots[-1] and silent_sec <= PATIENCE_SEC

    def _full_search_is_due(self, live: list[Track], unmatched: list[Track]) -> bool:
        following = len(live) > len(unmatched)
        every_sec = FULL_SEARCH_EVERY_SEC if following else LOST_SEARCH_EVERY_SEC
        return self.times_sec[-1] - self._last_full_search_sec > every_sec - 1e-3

    def _follow(self, track: Track, image_bgr: np.ndarray, position: int) -> bool:
        """Add the hit next to the track's last box, if there is one, and say so."""
        silent_sec = self.times_sec[-1] - self.times_sec[track.last]
        reach = min(1.0, 0.5 + silent_sec)
        found = search_around(image_bgr, track.hits[-1].box_xywh, self._cascade, reach)
        hits = [Hit(position, box) for box in found]
        hits = [hit for hit in hits if self._is_same_face(track, hit)]
        if not hits:
            return False
        track.hits.append(min(hits, key=lambda hit: _distance(track.hits[-1], hit)))
        return True

    def _is_same_face(self, track: Track, hit: Hit) -> bool:
        """Say whether a face can have moved and grown that much since the track's last hit."""
        before = track.hits[-1]
        silent_sec = self.times_sec[-1] - self.times_sec[before.position]
        growth = max(hit.side, before.side) / max(1.0, min(hit.side, before.side))
        return _distance(before, hit) < min(1.0, 0.4 + silent_sec) and growth < 1.5


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


def _distance(one: Hit, other: Hit) -> float:
    """Return the distance of two box centres in mean box sides."""
    return float(np.linalg.norm(one.centre - other.centre)) / ((one.side + other.side) / 2)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection of two boxes over their union, 0..1."""
    corner = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    width, height = np.maximum(0, corner - np.maximum(one[:2], other[:2]))
    shared = float(width * height)
    return shared / max(1e-6, float(one[2] * one[3] + other[2] * other[3]) - shared)


def main_face(
    tracks: list[Track], times_sec: list[float], shots: list[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return one box per frame and which of them were detected, or None without a face.

    Boxes are `(num_frames, 4) float32`, detected `(num_frames,) bool`. The largest and longest
    track is followed, and where it pauses the face that takes its place; other hits are dropped.
    Frames without a hit get the average of the boxes around them, and all boxes are smoothed.
    """
    hits = [hit for track in choose_tracks(tracks, shots) for hit in track.hits]
    if not hits:
        return None
    boxes = np.zeros((len(times_sec), 4), np.float32)
    detected = np.zeros(len(times_sec), bool)
    for hit in hits:
        boxes[hit.position] = hit.box_xywh
        detected[hit.position] = True
    boxes = average_missing(boxes, detected, np.asarray(times_sec), np.asarray(shots))
    return smooth(boxes, np.asarray(times_sec), np.asarray(shots)), detected


def choose_tracks(tracks: list[Track], shots: list[int]) -> list[Track]:
    """Return the tracks of the main face, disjoint in time: together the largest and longest.

    A track needs three hits (fewer in a shot of fewer than five frames). A face that turns away
    and comes back leaves several tracks, so each of the best is tried with those that fill its
    pauses: in the same shot only a box close to it, because a shirt or a hand is found just when
    the face turns away; in another shot any face at least a quarter as large.
    """
    shot_lengths = Counter(shots)
    candidates = [Track(track.shot, _without_outliers(track.hits)) for track in tracks]
    candidates = [
        track
        for track in candidates
        if len(track.hits) >= min(MIN_TRACK_HITS, (shot_lengths[track.shot] + 1) // 2)
    ]
    # The position breaks ties, so that the order is the same on every machine.
    candidates.sort(key=lambda track: (-track.score, track.first))
    chains = [_chain(best, candidates) for best in candidates[:TRIED_TRACKS]]
    return max(chains, key=lambda chain: sum(track.score for track in chain), default=[])


def _chain(best: Track, candidates: list[Track]) -> list[Track]:
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
    growth = max(ends[0].side, ends[1].side) / max(1.0, min(ends[0].side, ends[1].side))
    return _distance(*ends) < 2.0 and growth < 2.0


def _without_outliers(hits: list[Hit]) -> list[Hit]:
    """Drop hits that jump or change size against the median of the seven hits around them."""
    if len(hits) < 5:
        return hits
    kept = []
    for index, hit in enumerate(hits):
        start = min(max(0, index - 3), max(0, len(hits) - 7))
        median = Hit(hit.position, np.median([h.box_xywh for h in hits[start : start + 7]], axis=0))
        growth = max(hit.side, median.side) / max(1.0, min(hit.side, median.side))
        if _distance(hit, median) < 0.35 and growth < 1.3:
            kept.append(hit)
    return kept


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
    smoothed = boxes.astype(np.float32)
    starts = np.searchsorted(times_sec, times_sec - 3 * SMOOTHING_SEC, side="left")
    ends = np.searchsorted(times_sec, times_sec + 3 * SMOOTHING_SEC, side="right")
    for position, (start, end) in enumerate(zip(starts, ends, strict=True)):
        away = (times_sec[start:end] - times_sec[position]) / SMOOTHING_SEC
        weights = np.exp(-0.5 * away**2) * (shots[start:end] == shots[position])
        smoothed[position] = weights @ boxes[start:end] / weights.sum()
    return smoothed


def crop_square(
    box_xywh: np.ndarray, margin_ratio: float, frame_height: int, frame_width: int
) -> tuple[int, int, int]:
    """Return `(left, top, side)` in pixels of a square around a box, inside the frame.

    `margin_ratio` of the box's longer side is added on every side. At a frame's edge the square is
    moved inwards, and only where it is larger than the frame is it made smaller: the face is
    never squeezed and never padded.
    """
    x, y, w, h = (float(value) for value in box_xywh)
    side = round(max(w, h) * (1 + 2 * margin_ratio))
    side = max(1, min(side, frame_height, frame_width))
    left = round(x + w / 2 - side / 2)
    top = round(y + h / 2 - side / 2)
    return min(max(0, left), frame_width - side), min(max(0, top), frame_height - side), side


def crop_face(
    image: np.ndarray, box_xywh: np.ndarray, margin_ratio: float, face_size: int
) -> np.ndarray:
    """Return the face as `(face_size, face_size, 3) uint8`, in the colour order of `image`."""
    left, top, side = crop_square(box_xywh, margin_ratio, *image.shape[:2])
    # Area averaging keeps a shrunk face free of aliasing; it would make an enlarged one blocky.
    interpolation = cv2.INTER_AREA if side > face_size else cv2.INTER_CUBIC
    face = image[top : top + side, left : left + side]
    return cv2.resize(face, (face_size, face_size), interpolation=interpolation)
