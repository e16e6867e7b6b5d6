"""Follows faces through the frames of one video and gives every frame a box.

`FaceTracker` is given the frames in order and remembers the detections as tracks; `choose_faces`
says which tracks make up a face worth cutting out; `boxes_of` turns those into one box for every
frame, averaged where nothing was detected and smoothed. Arrays in, arrays out, no files.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from deepfake_detector.faces.detector import MIN_FACE, Detector
from deepfake_detector.faces.main_face import find_faces
from deepfake_detector.faces.tracks import FaceBoxes, Hit, Track, distance, growth, overlap

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
