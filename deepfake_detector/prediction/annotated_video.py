"""A copy of a video with what the detector saw drawn in: boxes, scores, a running timeline.

    annotate_video(judged, Path("out.mp4"), threshold=0.5, capture_sec=5.0, whole=False)

The copy is made with OpenCV's mp4v writer, without a display and without sound. It covers the
seconds that were scored. Red is what is at or above the threshold, green what is below; a box that
was averaged, not detected, has thin lines.
"""

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.face_dataset.boxes import Crop, read_boxes
from deepfake_detector.prediction.verdicts import FAKE, Judged, JudgedFace
from deepfake_detector.videos.reader import Frame, VideoReader

FAKE_BGR, REAL_BGR = (60, 60, 230), (90, 190, 60)
INK_BGR, PAPER_BGR, FAINT_BGR = (255, 255, 255), (32, 28, 28), (110, 100, 100)
LEAST_WIDTH, LONGEST_SIDE = 480, 1280  # of the picture in pixels
STRIP_SHARE, LEAST_STRIP = 0.18, 72  # height of the timeline below the picture
FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotate_video(
    judged: Judged, out: Path, threshold: float, capture_sec: float, whole: bool
) -> None:
    """Write the copy to `out`, whole or not at all.

    Raises OSError where it cannot be written, and cv2.error where the video no longer decodes.
    """
    partial = out.with_name(f".{out.stem}.partial{out.suffix}")
    writer = canvas = None
    try:
        with VideoReader(judged.path) as reader:
            for frame in reader.frames(math.inf if whole else capture_sec, None):
                if writer is None:
                    canvas = Canvas(judged, frame.image_bgr.shape[:2], threshold, capture_sec)
                    writer = _open_writer(partial, reader.fps, canvas.size)
                writer.write(canvas.draw(frame))
        if writer is None:
            raise cv2.error("the video does not decode any more")
        writer.release()
        # The writer itself says nothing of a full disk.
        if not partial.is_file() or not _holds_frames(partial):
            raise OSError(0, "the copy came out empty; is the disk full?", str(out))
        partial.replace(out)
    finally:
        if writer is not None:
            writer.release()
        partial.unlink(missing_ok=True)


def _open_writer(path: Path, fps: float, size: tuple[int, int]) -> "cv2.VideoWriter":
    # A time base of more than 16 bits is refused, and odd rates such as 29.97003 need one.
    fps = round(min(fps, 1000.0), 2)
    code = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path.absolute()), cv2.CAP_FFMPEG, code, fps, size)
    if not writer.isOpened():
        raise OSError(0, "OpenCV cannot write an mp4 there", str(path.parent))
    return writer


def _holds_frames(path: Path) -> bool:
    with VideoReader(path) as reader:
        return next(reader.frames(math.inf, None), None) is not None


class Canvas:
    """Draws the frames of one video, in order; `size` is (width, height) of what comes out."""

    def __init__(
        self, judged: Judged, frame_size: tuple[int, int], threshold: float, capture_sec: float
    ):
        height, width = frame_size
        self._scale = min(max(1.0, LEAST_WIDTH / width), LONGEST_SIDE / max(width, height))
        self._picture = (_even(width * self._scale), _even(height * self._scale))
        self._frame_size = frame_size
        strip_height = _even(max(LEAST_STRIP, min(160, self._picture[1] * STRIP_SHARE)))
        self.size = (self._picture[0], self._picture[1] + strip_height)
        self._boxes = _BoxesOfFrames(judged, capture_sec)
        self._strip = Timeline(judged, (self._picture[0], strip_height), threshold)
        self._judged, self._threshold = judged, threshold

    def draw(self, frame: Frame) -> np.ndarray:
        """Return the frame with all that is known about it, `(height, width, 3) uint8` BGR."""
        picture = frame.image_bgr
        if picture.shape[:2] != self._frame_size:  # some videos change size on the way
            picture = cv2.resize(picture, self._frame_size[::-1])
        shrinks = self._scale < 1
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        picture = cv2.resize(picture, self._picture, interpolation=interpolation)
        for face, box_xywh, detected in self._boxes.of(frame):
            self._draw_box(picture, face, np.asarray(box_xywh) * self._scale, detected, frame)
        verdict = self._judged.verdict
        words = verdict if self._judged.score is None else f"{verdict} {self._judged.score:.2f}"
        _label(picture, words, (8, 8), _colour(verdict == FAKE), size=self._text_size * 1.3)
        return np.vstack([picture, self._strip.draw(frame.time_sec)])

    @property
    def _text_size(self) -> float:
        return max(0.45, 0.8 * max(self._picture) / LONGEST_SIDE)

    def _draw_box(
        self,
        picture: np.ndarray,
        face: JudgedFace,
        box_xywh: np.ndarray,
        detected: bool,
        frame: Frame,
    ) -> None:
        x, y, w, h = (round(float(side)) for side in box_xywh)
        score = score_at(face, frame.time_sec)
        colour = _colour(score >= self._threshold)
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, 3 if detected else 1, cv2.LINE_AA)
        number = f"{face.face.number + 1}: " if len(face.window.faces) > 1 else ""
        _label(picture, f"{number}{score:.2f}", (x, y + h + 3), colour, self._text_size)


class _BoxesOfFrames:
    """The boxes of each frame, read window by window from the boxes.csv of the faces."""

    def __init__(self, judged: Judged, capture_sec: float):
        self._judged, self._capture_sec = judged, capture_sec
        self._window = -1
        self._tables: list[tuple[JudgedFace, list[Crop], list[int]]] = []

    def of(self, frame: Frame) -> Iterator[tuple[JudgedFace, np.ndarray, bool]]:
        window = int((frame.time_sec + 1e-6) / self._capture_sec)
        if window != self._window:
            self._window = window
            self._tables = []
            for face in self._judged.faces:
                if face.window.number == window:
                    crops = read_boxes(face.face.folder)
                    self._tables.append((face, crops, [crop.index for crop in crops]))
        for face, crops, indices in self._tables:
            # With fewer frames looked at than there are, a box holds until the next one.
            if indices[0] <= frame.index <= indices[-1]:
                crop = crops[int(np.searchsorted(indices, frame.index, "right")) - 1]
                yield face, crop.box_xywh, crop.source == "detected"


def score_at(face: JudgedFace, time_sec: float) -> float:
    """Return the score of a face at a time: between two moments on the straight line."""
    if not face.moment_scores:
        return face.score
    times_sec = [moment.time_sec for moment in face.face.moments]
    return float(np.interp(time_sec, times_sec, face.moment_scores))


class Timeline:
    """The strip below the picture: scores over time, what is played bright, the rest faint."""

    def __init__(self, judged: Judged, size: tuple[int, int], threshold: float):
        width, height = size
        self._end_sec = max(1e-3, judged.found.windows[-1].end_sec)
        text = max(0.38, min(0.5, width / 1600))
        self._left, self._right = int(70 * text / 0.38), width - 10
        self._top, self._bottom = 10, height - 10
        self._strip = np.full((height, width, 3), PAPER_BGR, np.uint8)
        self._threshold = threshold
        for value, name in ((1.0, "fake 1"), (0.0, "real 0")):
            y = self._y(value)
            cv2.line(self._strip, (self._left, y), (self._right, y), FAINT_BGR, 1)
            _text(self._strip, name, (8, y + (10 if value else 0)), INK_BGR, text)
        y = self._y(threshold)
        for x in range(self._left, self._right, 12):
            cv2.line(self._strip, (x, y), (x + 5, y), INK_BGR, 1)
        segments = [segment for face in judged.faces for segment in self._segments(face)]
        for start, end in segments:
            cv2.line(self._strip, start, end, FAINT_BGR, 1, cv2.LINE_AA)
        # Played parts stay in the strip, so that a frame costs the same in a video of any length.
        self._to_come = deque(sorted(segments))

    def draw(self, time_sec: float) -> np.ndarray:
        """Return the strip at that time, `(height, width, 3) uint8` BGR; times ascend."""
        now, edge = self._x(time_sec), self._y(self._threshold)
        while self._to_come and self._to_come[0][1][0] <= now:
            start, end = self._to_come.popleft()
            colour = _colour((start[1] + end[1]) / 2 <= edge)
            cv2.line(self._strip, start, end, colour, 2, cv2.LINE_AA)
        strip = self._strip.copy()
        cv2.line(strip, (now, self._top - 4), (now, self._bottom + 4), INK_BGR, 1)
        return strip

    def _segments(self, face: JudgedFace) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return the line of one face in one window, in pieces of a pixel column each."""
        first, last = self._x(face.face.start_sec), self._x(face.face.end_sec)
        points = [
            (x, self._y(score_at(face, self._time_sec(x))))
            for x in range(first, max(first + 1, last) + 1)
        ]
        return list(zip(points, points[1:], strict=False))

    def _x(self, time_sec: float) -> int:
        share = min(1.0, max(0.0, time_sec / self._end_sec))
        return round(self._left + share * (self._right - self._left))

    def _time_sec(self, x: int) -> float:
        return (x - self._left) / (self._right - self._left) * self._end_sec

    def _y(self, score: float) -> int:
        return round(self._bottom - score * (self._bottom - self._top))


def _colour(suspicious: bool) -> tuple[int, int, int]:
    return FAKE_BGR if suspicious else REAL_BGR


def _label(
    picture: np.ndarray,
    text: str,
    corner: tuple[int, int],
    colour: tuple[int, int, int],
    size: float,
) -> None:
    """Write on a ground of that colour, moved into the picture where it would stick out."""
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    pad = max(3, height // 3)
    left = max(0, min(corner[0], picture.shape[1] - width - 2 * pad))
    top = max(0, min(corner[1], picture.shape[0] - height - below - 2 * pad))
    right, bottom = left + width + 2 * pad, top + height + below + 2 * pad
    cv2.rectangle(picture, (left, top), (right, bottom), colour, cv2.FILLED)
    _text(picture, text, (left + pad, top + pad + height), INK_BGR, size)


def _text(
    picture: np.ndarray,
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int],
    size: float,
) -> None:
    cv2.putText(picture, text, place, FONT, size, colour, 1, cv2.LINE_AA)


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))
