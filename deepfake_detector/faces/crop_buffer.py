"""Cuts faces out while their video is still being read, so that it need not be read twice.

Which face is the main one, and where the smoothed box of a frame lies, depends on later frames. So
the buffer keeps the surroundings of every followed face for a few tenths of a second, until no
later frame can move the box, and then cuts the crop. When the video is over and its boxes are
known, most of their squares are in `CropFiles` already. The others are cut in a second reading, so
the result is the same with and without the buffer.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepfake_detector.decoding.frame import Frame, Part
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import smoothing
from deepfake_detector.faces.crops import CropFiles
from deepfake_detector.faces.main_face import MIN_DETECTIONS
from deepfake_detector.faces.tracker import PATIENCE_SEC, FaceTracker
from deepfake_detector.faces.tracklets import Tracklet

BATCH_FRAMES = 12  # cut at a time, because boxes of many frames cost no more than those of one
WAITING_BYTES = 64 << 20  # of pixels kept; beyond that the oldest are cut as they are
# Detections before a frame that its box can depend on: those that decide which are outliers, and
# those that a gap is averaged from.
CONTEXT_DETECTIONS = smoothing.NEIGHBOUR_DETECTIONS + 2 * smoothing.OUTLIER_DETECTIONS
KEPT_WHOLE_BYTES = 1 << 20  # a smaller frame is kept as it is, which is quicker than to copy parts
SLACK = 0.15  # kept around the crop of a face just detected, as a share of the crop's side
SLACK_SILENT = 0.5  # ... of one not detected at the moment
FACES_AT_ONCE = {"main": 2, "all": 8}  # followed faces that are cut, the largest and longest


@dataclass
class WaitingFrame:
    """What is kept of a frame until its crops can be cut."""

    position: int  # among the frames given to the tracker
    parts: list[Part]


class CropBuffer:
    """Cuts the faces that `tracker` follows into `files`; give it every frame after the tracker."""

    def __init__(self, tracker: FaceTracker, files: CropFiles, settings: FaceSettings):
        self._tracker, self._files, self._settings = tracker, files, settings
        self._waiting: deque[WaitingFrame] = deque()
        self._waiting_bytes = 0

    def add_frame(self, frame: Frame) -> None:
        """Keep what may become a crop of the frame that the tracker was given last."""
        self._files.frame_sizes.append(frame.size)
        parts = self._parts(frame)
        self._waiting.append(WaitingFrame(len(self._files.frame_sizes) - 1, parts))
        self._waiting_bytes += sum(part.pixels.nbytes for part in parts)
        if self._waiting_bytes > WAITING_BYTES:
            self._cut(len(self._waiting) // 2 + 1)
        elif len(self._waiting) > BATCH_FRAMES and self._is_final(self._waiting[BATCH_FRAMES]):
            self._cut(BATCH_FRAMES)

    def finish(self) -> None:
        """Cut all that is still waiting: no further frame will move a box."""
        self._cut(len(self._waiting))

    def _parts(self, frame: Frame) -> list[Part]:
        """Return copies of the surroundings of each followed face, or of the whole frame."""
        height, width = frame.size
        if frame.pixels.nbytes <= KEPT_WHOLE_BYTES:
            return [Part(0, 0, frame.pixels)]
        parts = []
        for tracklet in self._largest(self._tracker.live):
            x, y, w, h = (float(value) for value in tracklet.detections[-1].box_xywh)
            slack = SLACK if tracklet.last == len(self._tracker.shots) - 1 else SLACK_SILENT
            reach = max(w, h) * (0.5 + self._settings.margin_ratio) * (1 + 2 * slack)
            # A square at the edge of the frame is moved inwards, by at most its own side.
            left = max(0, min(int(x + w / 2 - reach), int(width - 2 * reach)))
            top = max(0, min(int(y + h / 2 - reach), int(height - 2 * reach)))
            right, bottom = int(left + 2 * reach) + 1, int(top + 2 * reach) + 1
            parts.append(frame.part(left, top, right, bottom))
        if not parts or sum(part.pixels.nbytes for part in parts) > frame.pixels.nbytes:
            return [frame.part(0, 0, width, height)]
        return parts

    def _largest(self, candidates: Sequence[Tracklet]) -> list[Tracklet]:
        by_size = sorted(candidates, key=lambda t: -len(t.detections) * t.detections[-1].side)
        return by_size[: FACES_AT_ONCE[self._settings.faces]]

    def _is_final(self, frame: WaitingFrame) -> bool:
        """Return whether no later frame can move the boxes of this one."""
        times_sec, shots = self._tracker.times_sec, self._tracker.shots
        if shots[frame.position] != shots[-1]:
            return True
        until_sec = times_sec[frame.position] + smoothing.SMOOTHING_REACH_SEC
        live = self._largest(self._tracker.live)
        return bool(live) and all(
            len(tracklet.detections) > CONTEXT_DETECTIONS
            and times_sec[tracklet.detections[-CONTEXT_DETECTIONS].position] > until_sec
            for tracklet in live
        )

    def _cut(self, num_frames: int) -> None:
        """Cut and forget the oldest waiting frames."""
        frames = [self._waiting.popleft() for _ in range(num_frames)]
        self._waiting_bytes -= sum(p.pixels.nbytes for frame in frames for p in frame.parts)
        shots = self._tracker.shots
        for shot in dict.fromkeys(shots[frame.position] for frame in frames):
            of_shot = [frame for frame in frames if shots[frame.position] == shot]
            for tracklet in self._largest(self._tracklets_around(shot, of_shot[0].position)):
                self._cut_face(tracklet, of_shot)

    def _tracklets_around(self, shot: int, position: int) -> list[Tracklet]:
        """Return the tracklets of a shot that had not ended long before a frame."""
        since_sec = self._tracker.times_sec[position] - PATIENCE_SEC
        return [
            tracklet
            for tracklet in self._tracker.tracklets
            if tracklet.shot == shot
            and len(tracklet.detections) >= min(MIN_DETECTIONS, len(self._tracker.shots))
            and self._tracker.times_sec[tracklet.last] >= since_sec
        ]

    def _cut_face(self, tracklet: Tracklet, frames: Sequence[WaitingFrame]) -> None:
        first, boxes = self._boxes_around(tracklet, frames[0].position)
        for frame in frames:
            square = self._files.square_of(frame.position, boxes[frame.position - first])
            if (frame.position, square) in self._files.paths:
                continue
            part = next((part for part in frame.parts if part.holds(*square.corners)), None)
            if part is not None:
                self._files.write(frame.position, square, part.bgr(*square.corners))

    def _boxes_around(self, tracklet: Tracklet, position: int) -> tuple[int, np.ndarray]:
        """Return the boxes of a tracklet by what is known now, from before `position` to the end.

        The first result is the position of the first box.
        """
        times_sec, shots = self._tracker.times_sec, self._tracker.shots
        since = position
        while since > 0 and times_sec[since] >= times_sec[position] - smoothing.SMOOTHING_REACH_SEC:
            since -= 1
        up_to_since = bisect_right(tracklet.detections, since, key=lambda d: d.position)
        start = max(0, up_to_since - 1 - CONTEXT_DETECTIONS)
        detections = smoothing.without_outliers(tracklet.detections[start:])
        first = min(since, detections[0].position)
        boxes, _ = smoothing.boxes_of(
            detections, first, np.asarray(times_sec[first:]), np.asarray(shots[first:])
        )
        return first, boxes
