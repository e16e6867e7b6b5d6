"""Follows faces through the frames of one video.

    tracker = FaceTracker(Detector())
    for frame in frames:
        tracker.add_frame(frame)
    faces = tracker.faces()                # boxes for every frame, from main_face.py

A Haar search of a whole frame is slow, so it runs only now and then. In between, each known face is
searched for next to its last box. Arrays in, arrays out, no files.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from deepfake_detector.decoding.frame import Frame
from deepfake_detector.faces.detector import MIN_FACE, Detector, Look
from deepfake_detector.faces.main_face import DOUBTFUL_DETECTED, find_faces
from deepfake_detector.faces.tracklets import (
    Detection,
    FaceBoxes,
    Tracklet,
    distance,
    growth,
    overlap,
)

# Whole-frame search while no face is followed: the smallest face to find, as a share of the frame's
# longer side, and how often. It stops at the first step with a detection. The search for large
# faces runs often because it costs next to nothing, that for small ones rarely because it costs
# most.
LOST_SEARCH_STEPS = ((0.2, 0.1), (0.1, 0.2), (0.05, 0.4), (0.0375, 0.6))  # share, seconds
# After as many seconds without a face, the frame is also looked at in other ways, one after the
# other: how, and the smallest face as a share of the longer side. Small ones are rare, for speed.
OTHER_LOOKS_AFTER_SEC, OTHER_LOOKS_EVERY_SEC = 0.5, 0.5
LARGE, SMALL = 0.1, 0.05
OTHER_LOOKS = (
    (Look.LIFTED, LARGE),
    (Look.TURNED, LARGE),
    (Look.LIFTED, LARGE),
    (Look.LIFTED, SMALL),
    (Look.LIFTED, LARGE),
    (Look.TURNED, LARGE),
    (Look.LIFTED, LARGE),
    (Look.TURNED, SMALL),
)
# Search for newcomers while a face is followed: their smallest size, as a share of that face, and
# how often. For the main face alone the search is rarer the smaller they are; the time given here
# is for a newcomer of at least a fifth of the frame's longer side.
NEWCOMER_SIZE = {"main": 0.7, "all": 0.35}
NEWCOMER_SEARCH_SEC = 0.5
# First search around a known face: reach and growth, see Detector.search_near. In most frames it
# tries one size of face, which takes a third of the time; the wide search in between keeps boxes
# from drifting in size.
NEAR, NEAR_WIDE, WIDE_EVERY_DETECTIONS = (0.15, 1.04), (0.2, 1.3), 4
GROWTH_NEAR = 1.45  # second search, where the first found nothing
TURNED_REACH = LIFTED_REACH = 0.4  # third search, for profiles, and a fourth where one was needed
SILENT_FRAMES = 3  # after as many frames without success, second and third search get rarer
PATIENCE_SEC = 1.0  # a tracklet without a detection for longer has ended ...
PATIENCE_FRAMES = 3  # ... unless that is fewer frames than this
SAME_PLACE_OVERLAP = 0.3  # boxes that overlap more than this show the same face
# There is a cut between two frames if the correlation of their 16 x 16 grey thumbnails is lower
# than that, or if these differ by more grey levels. In 238 real clips cuts had at most 0.50, or at
# least 23 grey levels; shaken heads in close-up at least 0.66, and at most 14.
CUT_CORRELATION, CUT_GREY_LEVELS = 0.6, 20.0


class FaceTracker:
    """Finds and follows faces of one video, the "main" one or "all"; give it the frames in order.

    Memory grows with the number of detections, not with the size of the frames.
    """

    def __init__(self, detector: Detector, which: str = "main"):
        self.tracklets: list[Tracklet] = []
        self.live: list[Tracklet] = []  # those that may continue
        self.times_sec: list[float] = []
        self.shots: list[int] = []  # number of the shot, for each frame; a cut starts a new one
        self._detector, self._which = detector, which
        self._thumbnail: np.ndarray | None = None

    def add_frame(self, frame: Frame) -> None:
        """Look for faces in the next frame."""
        position = len(self.times_sec)
        self.times_sec.append(frame.time_sec)
        self.shots.append(self._shot_of(frame))
        self.live = [tracklet for tracklet in self.live if self._is_live(tracklet)]
        unmatched = [
            tracklet for tracklet in self.live if not self._follow(tracklet, frame, position)
        ]
        self._end_doubles(position)
        seen = [tracklet for tracklet in self.live if tracklet.last == position]
        sure = [tracklet.detections[-1] for tracklet in seen if tracklet.look is Look.PLAIN]
        look, boxes = Look.PLAIN, self._search_frame(frame, sure)
        if not len(boxes) and not seen:
            look, boxes = self._search_otherwise(frame)
        for box in boxes:
            self._take(frame, Detection(position, box), look, seen, unmatched)
        if any(t.look is Look.PLAIN and t.last == position for t in self.live):
            self._seen_sec = frame.time_sec

    def faces(self) -> list[FaceBoxes]:
        """Return the main face first and, for "all", the further ones; empty without any."""
        return find_faces(self.tracklets, self.times_sec, self.shots, self._which)

    def _take(
        self,
        frame: Frame,
        detection: Detection,
        look: Look,
        seen: Sequence[Tracklet],
        unmatched: list[Tracklet],
    ) -> None:
        """Give a detection in the whole frame to the tracklet of its face, or to a new one.

        `seen` are the tracklets with a detection in this frame, `unmatched` the other live ones.
        """
        box = detection.box_xywh
        for known in seen:
            if overlap(box, known.detections[-1].box_xywh) > SAME_PLACE_OVERLAP:
                known.look = look  # the plain one, because the others wait until nothing is seen
                return
        if look is Look.PLAIN:
            # The whole frame was searched in coarse steps; next to the face they are fine.
            closer = self._detector.search_near(frame, box, *NEAR_WIDE)
            detection = Detection(detection.position, closer[0] if len(closer) == 1 else box)
        tracklet = next((t for t in unmatched if self._is_same_face(t, detection)), None)
        if tracklet is None:
            self.tracklets.append(Tracklet(self.shots[-1], [detection], look))
            self.live.append(self.tracklets[-1])
        else:
            tracklet.detections.append(detection)
            tracklet.look = Look.PLAIN if look is Look.PLAIN else tracklet.look
            unmatched.remove(tracklet)

    def _shot_of(self, frame: Frame) -> int:
        """Return the number of the shot that the next frame belongs to."""
        before, self._thumbnail = self._thumbnail, _thumbnail(frame.grey)
        is_cut = before is not None and _is_cut(before, self._thumbnail)
        if before is None or is_cut:  # every search is due, and a face counts as seen until now
            self._searched_sec = [-math.inf] * len(LOST_SEARCH_STEPS)
            self._other_looks, self._looked_otherwise_sec = 0, -math.inf
            self._seen_sec = frame.time_sec
        return int(is_cut) + (self.shots[-1] if self.shots else 0)

    def _is_live(self, tracklet: Tracklet) -> bool:
        silent_sec = self.times_sec[-1] - self.times_sec[tracklet.last]
        silent_frames = len(self.times_sec) - 1 - tracklet.last
        patient = silent_sec <= PATIENCE_SEC or silent_frames <= PATIENCE_FRAMES
        if tracklet.look is not Look.PLAIN:  # with as many gaps it would not count anyway
            frames = len(self.times_sec) - 1 - tracklet.first
            patient &= len(tracklet.detections) >= DOUBTFUL_DETECTED * frames - PATIENCE_FRAMES
        return tracklet.shot == self.shots[-1] and patient

    def _search_frame(self, frame: Frame, known: Sequence[Detection]) -> np.ndarray:
        """Return the boxes of a whole-frame search, `(n, 4)`; none while no search is due."""
        time_sec, longer_side = frame.time_sec, max(frame.size)
        smallest_sides = [max(MIN_FACE, longer_side * share) for share, _ in LOST_SEARCH_STEPS]
        if known:
            side = max(detection.side for detection in known) * NEWCOMER_SIZE[self._which]
            side = max(side, smallest_sides[-1])
            rarer = max(1.0, smallest_sides[0] / side) if self._which == "main" else 1.0
            if not _is_due(self._searched_sec[0], time_sec, NEWCOMER_SEARCH_SEC * rarer):
                return np.zeros((0, 4), np.float32)
            self._searched_sec = [time_sec] * len(LOST_SEARCH_STEPS)
            return self._detector.search_frame(frame, side)
        for step, (_, every_sec) in enumerate(LOST_SEARCH_STEPS):
            if not _is_due(self._searched_sec[step], time_sec, every_sec):
                continue
            self._searched_sec[step] = time_sec
            boxes = self._detector.search_frame(frame, smallest_sides[step])
            if len(boxes):
                return boxes
        return np.zeros((0, 4), np.float32)

    def _search_otherwise(self, frame: Frame) -> tuple[Look, np.ndarray]:
        """Return the next of OTHER_LOOKS and the boxes it gives, `(n, 4)`; none while not due."""
        look, share = OTHER_LOOKS[self._other_looks % len(OTHER_LOOKS)]
        if frame.time_sec - self._seen_sec < OTHER_LOOKS_AFTER_SEC or not _is_due(
            self._looked_otherwise_sec, frame.time_sec, OTHER_LOOKS_EVERY_SEC
        ):
            return look, np.zeros((0, 4), np.float32)
        self._other_looks += 1
        self._looked_otherwise_sec = frame.time_sec
        side = max(MIN_FACE, max(frame.size) * share)
        return look, self._detector.search_frame(frame, side, look)

    def _follow(self, tracklet: Tracklet, frame: Frame, position: int) -> bool:
        """Add the detection next to the tracklet's last box; return whether there is one."""
        box = tracklet.detections[-1].box_xywh
        silent_sec = self.times_sec[-1] - self.times_sec[tracklet.last]
        near = NEAR if len(tracklet.detections) % WIDE_EVERY_DETECTIONS else NEAR_WIDE
        searches = [(*near, Look.PLAIN)]
        silent_frames = position - tracklet.last
        if silent_frames <= SILENT_FRAMES or silent_frames % SILENT_FRAMES == 0:
            searches += [
                (min(1.0, 0.5 + silent_sec), GROWTH_NEAR, Look.PLAIN),
                (TURNED_REACH, GROWTH_NEAR, Look.TURNED),
            ]
            if tracklet.look is Look.LIFTED:
                searches += [(LIFTED_REACH, GROWTH_NEAR, Look.LIFTED)]
        for reach, most_growth, look in searches:
            found = self._detector.search_near(frame, box, reach, most_growth, look)
            detections = [Detection(position, box_found) for box_found in found]
            detections = [
                detection for detection in detections if self._is_same_face(tracklet, detection)
            ]
            if detections:
                last = tracklet.detections[-1]
                tracklet.detections.append(min(detections, key=lambda d: distance(last, d)))
                return True
        return False

    def _end_doubles(self, position: int) -> None:
        """End tracklets that have moved onto a face which an earlier one follows."""
        followed: list[Tracklet] = []
        for tracklet in [tracklet for tracklet in self.live if tracklet.last == position]:
            box = tracklet.detections[-1].box_xywh
            boxes = (other.detections[-1].box_xywh for other in followed)
            if any(overlap(box, other) > SAME_PLACE_OVERLAP for other in boxes):
                del tracklet.detections[-1]
                self.live.remove(tracklet)
            else:
                followed.append(tracklet)

    def _is_same_face(self, tracklet: Tracklet, detection: Detection) -> bool:
        """Return whether a face can have moved and grown that much since the last detection."""
        before = tracklet.detections[-1]
        silent_sec = self.times_sec[-1] - self.times_sec[before.position]
        return (
            distance(before, detection) < min(1.0, 0.4 + silent_sec)
            and growth(before, detection) < 1.5
        )


def _is_due(searched_sec: float, time_sec: float, every_sec: float) -> bool:
    return time_sec - searched_sec > every_sec - 1e-3


def _thumbnail(grey: np.ndarray) -> np.ndarray:
    """Return `(16, 16) float32` grey levels, made of every n-th pixel only, for speed."""
    step_y, step_x = (max(1, side // 64) for side in grey.shape)
    few = np.ascontiguousarray(grey[::step_y, ::step_x])
    return cv2.resize(few, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)


def _is_cut(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two thumbnails of neighbouring frames are of different shots."""
    # A frame that has faded to black correlates with nothing, yet starts no new shot.
    spread_one, spread_other = (cv2.meanStdDev(thumbnail)[1][0, 0] for thumbnail in (one, other))
    if spread_one * spread_other <= 1:
        return False
    correlation = cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0]
    return bool(correlation < CUT_CORRELATION or cv2.absdiff(one, other).mean() > CUT_GREY_LEVELS)
