"""Keeps what may become crops until the window is over, so that a video need not be read twice.

Which face is the main one, and where the smoothed box of a frame lies, depends on later frames. So
the surroundings of every followed face are kept for a window, and cut when its boxes are known. A
square that was not kept is cut in a second reading: the result is the same.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from deepfake_detector.decoding.frame import Frame, Part
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces.crops import Square
from deepfake_detector.faces.tracker import FaceTracker
from deepfake_detector.faces.tracklets import Tracklet

# Of pixels kept, enough for close-ups in five seconds of 1080p; beyond that the oldest are dropped,
# and the video is read a second time.
MAX_BYTES = 512 << 20
KEPT_WHOLE_BYTES = 1 << 20  # a smaller frame is kept as it is, which is quicker than to copy parts
SLACK = 0.15  # kept around the crop of a face just detected, as a share of the crop's side
SLACK_SILENT = 0.5  # ... of one not detected at the moment
FACES_AT_ONCE = {"main": 2, "all": 8}  # followed faces that are kept, the largest and longest


class CropBuffer:
    """Keeps the faces that `tracker` follows; give it every frame after the tracker."""

    def __init__(self, tracker: FaceTracker, settings: FaceSettings):
        self.frame_sizes: list[tuple[int, int]] = []  # (height, width) of each frame
        self.indices: list[int] = []  # in the video, of each frame
        self._tracker, self._settings = tracker, settings
        self._parts: deque[list[Part]] = deque()  # of the last frames
        self._bytes = 0

    def add_frame(self, frame: Frame) -> None:
        """Keep what may become a crop of the frame that the tracker was given last."""
        self.frame_sizes.append(frame.size)
        self.indices.append(frame.index)
        self._parts.append(self._surroundings(frame))
        self._bytes += _bytes_of(self._parts[-1])
        while self._bytes > MAX_BYTES:
            self._bytes -= _bytes_of(self._parts.popleft())

    def cut(self, position: int, square: Square) -> np.ndarray | None:
        """Return the pixels of a square of the frame at `position`, `(side, side, 3) uint8` BGR;
        None if they were not kept."""
        from_end = position - len(self.frame_sizes)
        parts = self._parts[from_end] if -from_end <= len(self._parts) else []
        part = next((part for part in parts if part.holds(*square.corners)), None)
        return None if part is None else part.bgr(*square.corners)

    def _surroundings(self, frame: Frame) -> list[Part]:
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
        if not parts or _bytes_of(parts) > frame.pixels.nbytes:
            return [frame.part(0, 0, width, height)]
        return parts

    def _largest(self, candidates: Sequence[Tracklet]) -> list[Tracklet]:
        by_size = sorted(candidates, key=lambda t: -len(t.detections) * t.detections[-1].side)
        return by_size[: FACES_AT_ONCE[self._settings.faces]]


def _bytes_of(parts: Sequence[Part]) -> int:
    return sum(part.pixels.nbytes for part in parts)
