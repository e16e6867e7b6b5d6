"""Cuts faces out while their video is still being read, so that it need not be read twice.

Which face is the main one, and where the smoothed box of a frame lies, depends on frames that are
still to come. So the surroundings of every followed face are kept for as long as a later frame may
move the box, a few tenths of a second, and are then cut to a crop. A crop is filed under its frame
and its exact square: when the video is over and the boxes are known, `crops` says which squares
are there already. Whatever was guessed wrongly is cut in a second reading, so the outcome is the
same with and without this.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import smoothing
from deepfake_detector.faces.crops import Patch, Square, crop_square, write_crop
from deepfake_detector.faces.main_face import MIN_TRACK_HITS
from deepfake_detector.faces.tracker import PATIENCE_SEC, FaceTracker
from deepfake_detector.faces.tracks import Track

BATCH_FRAMES = 12  # cut at a time, because boxes are computed for many frames at the price of one
WAITING_BYTES = 64 << 20  # of pixels kept; beyond that the oldest are cut as they are
# Hits before a frame that its box can depend on: its outliers', and those averaged in a gap.
CONTEXT_HITS = smoothing.NEIGHBOUR_HITS + 2 * smoothing.OUTLIER_HITS
SLACK = 0.15  # kept around the crop of a face just seen, as a share of the crop's side
SLACK_SILENT = 0.5  # ... of one not seen at the moment
FACES_AT_ONCE = {"main": 2, "all": 8}  # followed faces that are cut, the largest and longest


@dataclass
class WaitingFrame:
    position: int  # among the frames looked at
    patches: list[Patch]


class EarlyCrops:
    """Give it every frame right after the tracker; `folder` must exist."""

    def __init__(self, tracker: FaceTracker | None, settings: FaceSettings, folder: Path):
        self.crops: dict[tuple[int, Square], Path] = {}
        self.frame_sizes: list[tuple[int, int]] = []  # (height, width) of each frame
        self._tracker = tracker
        self._settings, self._folder = settings, folder
        self._waiting: deque[WaitingFrame] = deque()
        self._waiting_bytes = 0

    def add_frame(self, image_bgr: np.ndarray) -> None:
        """Keep what may become a crop of the frame that the tracker was given last."""
        self.frame_sizes.append(image_bgr.shape[:2])
        patches = self._patches(image_bgr)
        self._waiting.append(WaitingFrame(len(self.frame_sizes) - 1, patches))
        self._waiting_bytes += sum(patch.image_bgr.nbytes for patch in patches)
        if self._waiting_bytes > WAITING_BYTES:
            self._cut(len(self._waiting) // 2 + 1)
        elif len(self._waiting) > BATCH_FRAMES and self._is_settled(self._waiting[BATCH_FRAMES]):
            self._cut(BATCH_FRAMES)

    def finish(self) -> None:
        """Cut all that is still waiting: no further frame will move a box."""
        self._cut(len(self._waiting))

    def square_of(self, position: int, box_xywh: np.ndarray) -> Square:
        return crop_square(box_xywh, self._settings.margin_ratio, *self.frame_sizes[position])

    def cut_whole(self, position: int, box_xywh: np.ndarray, image_bgr: np.ndarray) -> Path:
        """Write the crop of a box that is known, and return its path."""
        left, top, side = square = self.square_of(position, box_xywh)
        self.write(position, square, image_bgr[top : top + side, left : left + side])
        return self.crops[position, square]

    def write(self, position: int, square: Square, pixels_bgr: np.ndarray) -> None:
        """Write the crop of a square and file it; raises OSError where that cannot be done."""
        path = self._folder / f"{position}_{'_'.join(map(str, square))}.jpeg"
        write_crop(path, pixels_bgr, self._settings)
        self.crops[position, square] = path

    def _patches(self, image_bgr: np.ndarray) -> list[Patch]:
        """Return copies of the surroundings of each followed face, or of the whole frame."""
        height, width = image_bgr.shape[:2]
        patches = []
        for track in self._largest(self._tracker.live):
            x, y, w, h = (float(value) for value in track.hits[-1].box_xywh)
            slack = SLACK if track.last == len(self.frame_sizes) - 1 else SLACK_SILENT
            reach = max(w, h) * (0.5 + self._settings.margin_ratio) * (1 + 2 * slack)
            # A square at the edge of the frame is moved inwards, by at most its own side.
            left, top = (
                max(0, min(int(x + w / 2 - reach), int(width - 2 * reach))),
                max(0, min(int(y + h / 2 - reach), int(height - 2 * reach))),
            )
            right, bottom = int(left + 2 * reach) + 1, int(top + 2 * reach) + 1
            patches.append(Patch(left, top, image_bgr[top:bottom, left:right].copy()))
        if not patches or sum(patch.image_bgr.nbytes for patch in patches) > image_bgr.nbytes:
            return [Patch(0, 0, image_bgr.copy())]
        return patches

    def _largest(self, candidates: list[Track]) -> list[Track]:
        by_size = sorted(candidates, key=lambda t: -len(t.hits) * t.hits[-1].side)
        return by_size[: FACES_AT_ONCE[self._settings.faces]]

    def _is_settled(self, frame: WaitingFrame) -> bool:
        """Say whether no frame to come can move the boxes of this one."""
        times_sec, shots = self._tracker.times_sec, self._tracker.shots
        if shots[frame.position] != shots[-1]:
            return True
        until_sec = times_sec[frame.position] + smoothing.SMOOTHING_REACH_SEC
        live = self._largest(self._tracker.live)
        return bool(live) and all(
            len(track.hits) > CONTEXT_HITS
            and times_sec[track.hits[-CONTEXT_HITS].position] > until_sec
            for track in live
        )

    def _cut(self, num_frames: int) -> None:
        """Cut and forget the oldest frames waiting."""
        frames = [self._waiting.popleft() for _ in range(num_frames)]
        self._waiting_bytes -= sum(p.image_bgr.nbytes for frame in frames for p in frame.patches)
        shots = self._tracker.shots
        for shot in dict.fromkeys(shots[frame.position] for frame in frames):
            of_shot = [frame for frame in frames if shots[frame.position] == shot]
            for track in self._largest(self._tracks_around(shot, of_shot[0].position)):
                self._cut_face(track, of_shot)

    def _tracks_around(self, shot: int, position: int) -> list[Track]:
        since_sec = self._tracker.times_sec[position] - PATIENCE_SEC
        return [
            track
            for track in self._tracker.tracks
            if track.shot == shot
            and len(track.hits) >= min(MIN_TRACK_HITS, len(self._tracker.shots))
            and self._tracker.times_sec[track.last] >= since_sec
        ]

    def _cut_face(self, track: Track, frames: list[WaitingFrame]) -> None:
        first, boxes = self._boxes_around(track, frames[0].position)
        for frame in frames:
            square = self.square_of(frame.position, boxes[frame.position - first])
            if (frame.position, square) in self.crops:
                continue
            pixels = (patch.cut(square) for patch in frame.patches)
            found = next((cut for cut in pixels if cut is not None), None)
            if found is not None:
                self.write(frame.position, square, found)

    def _boxes_around(self, track: Track, position: int) -> tuple[int, np.ndarray]:
        """Return the boxes of a track as they look by now, from before `position` to the end, and
        the position of the first of them."""
        times_sec, shots = self._tracker.times_sec, self._tracker.shots
        since = position
        while since > 0 and times_sec[since] >= times_sec[position] - smoothing.SMOOTHING_REACH_SEC:
            since -= 1
        start = next(
            (i for i in range(len(track.hits) - 1, -1, -1) if track.hits[i].position <= since), 0
        )
        start = max(0, start - CONTEXT_HITS)
        hits = smoothing.without_outliers(track.hits[start:])
        first = min(since, hits[0].position)
        window = slice(first, None)
        boxes, _ = smoothing.boxes_of(
            hits, first, np.asarray(times_sec[window]), np.asarray(shots[window])
        )
        return first, boxes
