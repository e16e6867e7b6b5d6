"""A copy of a video with what the detector saw drawn in: boxes, scores, a running timeline.

    annotate_video(judged, Path("out.mp4"))     # or annotate_picture(judged, Path("out.png"))

The copy is H.264 with the sound of the video, for browsers. It covers the seconds that were looked
at, and says of how many. A face has the colour and the number of its score in its window, which are
those of the verdict for the face that decides: red for FAKE, green for REAL, orange for UNCERTAIN;
a box that was averaged, not detected, has thin lines. The timeline shows the scores of its moments.
Below stands what the verdict rests on.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.console import printable
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.decoding.video_writer import VideoWriter
from deepfake_detector.face_dataset.boxes import Crop, read_boxes
from deepfake_detector.files import written_whole
from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.verdicts import (
    FAKE,
    REAL,
    SYNTHETIC_MODEL,
    UNCERTAIN,
    JudgedVideo,
    score_text,
)

Colour = tuple[int, int, int]
Point = tuple[int, int]  # x, y in pixels

FAKE_BGR, UNCERTAIN_BGR, REAL_BGR = (60, 60, 230), (20, 140, 235), (90, 190, 60)
COLOURS = {FAKE: FAKE_BGR, UNCERTAIN: UNCERTAIN_BGR, REAL: REAL_BGR}
INK_BGR, PAPER_BGR, FAINT_BGR = (255, 255, 255), (32, 28, 28), (110, 100, 100)
LEAST_WIDTH, LONGEST_SIDE = 480, 1280  # of the picture in pixels
STRIP_SHARE, LEAST_STRIP, LARGEST_STRIP = 0.18, 72, 160  # height of the timeline below the picture
FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotate_picture(judged: JudgedVideo, out: Path) -> None:
    """Write the copy of a picture to `out`, a PNG without a timeline.

    Raises as `annotate_video` does.
    """
    with open_video(judged.path) as reader, written_whole(out) as partial:
        frame = next(reader.frames(math.inf, None))
        canvas = Canvas(judged, frame.size)
        image_bgr = np.vstack([canvas.draw_picture(frame), canvas.caption])
        partial.write_bytes(cv2.imencode(".png", image_bgr)[1].tobytes())


def annotate_video(judged: JudgedVideo, out: Path) -> str:
    """Write the copy to `out`, whole or not at all; return what is missing in it, mostly nothing.

    Raises OSError where it cannot be written, and UnreadableError where the video no longer
    decodes.
    """
    rule = judged.rule
    end_sec = judged.found.windows[-1].start_sec + rule.window_sec
    with open_video(judged.path) as reader, written_whole(out) as partial:
        frames = reader.frames(end_sec, None)
        first = next(frames, None)
        if first is None:
            raise UnreadableError("the video does not decode any more")
        canvas = Canvas(judged, first.size)
        with VideoWriter(partial, reader.fps, canvas.size, sound_of=judged.path) as writer:
            writer.write(canvas.draw(first), first.time_sec)
            for frame in frames:
                writer.write(canvas.draw(frame), frame.time_sec)
        # OpenCV's writer says nothing of a full disk.
        if not partial.is_file() or not _holds_frames(partial):
            raise OSError(0, "the copy came out empty; is the disk full?", str(out))
        return writer.note


class Canvas:
    """Draws the frames of one video, in order; `size` is (width, height) of what comes out."""

    def __init__(self, judged: JudgedVideo, frame_size: tuple[int, int]):
        height, width = frame_size
        self._scale = min(max(1.0, LEAST_WIDTH / width), LONGEST_SIDE / max(width, height))
        self._picture_size = (_even(width * self._scale), _even(height * self._scale))
        self._frame_size = frame_size
        strip_height = min(LARGEST_STRIP, self._picture_size[1] * STRIP_SHARE)
        strip_size = (self._picture_size[0], _even(max(LEAST_STRIP, strip_height)))
        self.caption = _draw_caption(caption_of(judged), strip_size[0])
        height = self._picture_size[1] + strip_size[1] + len(self.caption)
        self.size = (self._picture_size[0], height)
        self._text_size = max(0.45, 0.8 * max(self._picture_size) / LONGEST_SIDE)
        self._boxes = _BoxesOfFrames(judged)
        self._strip = _TimelineStrip(judged, strip_size)
        self._judged = judged

    def draw(self, frame: Frame) -> np.ndarray:
        """Return the frame with all that is known about it, `(height, width, 3) uint8` BGR."""
        strip = self._strip.draw(frame.time_sec)
        return np.vstack([self.draw_picture(frame), strip, self.caption])

    def draw_picture(self, frame: Frame) -> np.ndarray:
        """Return the same without timeline and caption."""
        picture = frame.image_bgr
        if picture.shape[:2] != self._frame_size:  # some videos change size on the way
            picture = cv2.resize(picture, self._frame_size[::-1])
        interpolation = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(picture, self._picture_size, interpolation=interpolation)
        for face, crop in self._boxes.of(frame):
            self._draw_box(picture, face, crop)
        verdict = self._judged.verdict
        words = title_of(self._judged)
        _draw_label(picture, words, (8, 8), COLOURS[verdict], self._text_size * 1.3)
        return picture

    def _draw_box(self, picture: np.ndarray, face: ScoredFace, crop: Crop) -> None:
        x, y, w, h = (round(float(side) * self._scale) for side in crop.box_xywh)
        rule = self._judged.rule
        colour = COLOURS[rule.verdict(face.score)]
        thickness = 1 if crop.source == "averaged" else 3
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, thickness, cv2.LINE_AA)
        number = f"{face.face.number + 1}: " if len(face.window.faces) > 1 else ""
        words = f"{number}{score_text(face.score, rule.threshold)}"
        _draw_label(picture, words, (x, y + h + 3), colour, self._text_size)


class _BoxesOfFrames:
    """The boxes of each frame, read window by window from the boxes.csv of the faces."""

    def __init__(self, judged: JudgedVideo):
        self._judged = judged
        self._end_sec = -1.0  # of the window whose tables are held
        self._tables: list[tuple[ScoredFace, list[Crop], list[int]]] = []

    def of(self, frame: Frame) -> Iterator[tuple[ScoredFace, Crop]]:
        """Yield the faces of a frame with their boxes; frames come in order."""
        if frame.time_sec > self._end_sec - 1e-6:
            self._read_window(frame.time_sec + 1e-6)
        for face, crops, indices in self._tables:
            # With fewer frames looked at than there are, a box holds until the next one.
            if indices[0] <= frame.index <= indices[-1]:
                last = int(np.searchsorted(indices, frame.index, "right")) - 1
                yield face, crops[last]

    def _read_window(self, time_sec: float) -> None:
        window_sec = self._judged.rule.window_sec
        self._end_sec = (int(time_sec / window_sec) + 1) * window_sec
        self._tables = []
        for face in self._judged.faces:
            if face.window.start_sec <= time_sec < face.window.start_sec + window_sec:
                crops = read_boxes(face.face.folder)
                self._tables.append((face, crops, [crop.index for crop in crops]))


class _TimelineStrip:
    """The strip below the picture: scores over time, what is played bright, the rest faint."""

    def __init__(self, judged: JudgedVideo, size: tuple[int, int]):
        width, height = size
        self._end_sec = max(1e-3, judged.found.windows[-1].end_sec)
        text_size = max(0.38, min(0.5, width / 1600))
        self._left, self._right = int(70 * text_size / 0.38), width - 10
        self._top, self._bottom = 10, height - 10
        self._strip = np.full((height, width, 3), PAPER_BGR, np.uint8)
        self._rule = judged.rule
        threshold_y = self._y(self._rule.threshold)
        for score, name in ((1.0, "fake 1"), (0.0, "real 0")):
            y = self._y(score)
            cv2.line(self._strip, (self._left, y), (self._right, y), FAINT_BGR, 1)
            _draw_text(self._strip, name, (8, y + (10 if score else 0)), INK_BGR, text_size)
        for x in range(self._left, self._right, 12):
            cv2.line(self._strip, (x, threshold_y), (x + 5, threshold_y), INK_BGR, 1)
        segments = [segment for face in judged.faces for segment in self._segments(face)]
        for start, end, _ in segments:
            cv2.line(self._strip, start, end, FAINT_BGR, 1, cv2.LINE_AA)
        # Played parts stay in the strip, so that a frame costs the same in a video of any length.
        self._to_come = deque(sorted(segments))

    def draw(self, time_sec: float) -> np.ndarray:
        """Return the strip at that time, `(height, width, 3) uint8` BGR; times ascend."""
        now = self._x(time_sec)
        while self._to_come and self._to_come[0][1][0] <= now:
            start, end, colour = self._to_come.popleft()
            cv2.line(self._strip, start, end, colour, 2, cv2.LINE_AA)
        strip = self._strip.copy()
        cv2.line(strip, (now, self._top - 4), (now, self._bottom + 4), INK_BGR, 1)
        return strip

    def _segments(self, face: ScoredFace) -> list[tuple[Point, Point, Colour]]:
        """Return the line of one face in one window, in pieces of a pixel column each, with their
        colour, which is that of the face."""
        first, last = self._x(face.face.start_sec), self._x(face.face.end_sec)
        columns = range(first, max(first + 1, last) + 1)
        scores = [score_at(face, self._time_sec(x)) for x in columns]
        points = [(x, self._y(score)) for x, score in zip(columns, scores, strict=True)]
        colour = COLOURS[self._rule.verdict(face.score)]
        return [(start, end, colour) for start, end in itertools.pairwise(points)]

    def _x(self, time_sec: float) -> int:
        share = min(1.0, max(0.0, time_sec / self._end_sec))
        return round(self._left + share * (self._right - self._left))

    def _time_sec(self, x: int) -> float:
        return (x - self._left) / (self._right - self._left) * self._end_sec

    def _y(self, score: float) -> int:
        return round(self._bottom - score * (self._bottom - self._top))


def title_of(judged: JudgedVideo) -> str:
    """Return the verdict with its score, as on the console."""
    if judged.score is None:
        return judged.verdict
    return f"{judged.verdict} {score_text(judged.score, judged.rule.threshold)}"


def caption_of(judged: JudgedVideo) -> list[str]:
    """Return lines that say what the verdict rests on: of how much of the video, with what to
    know of it, and by which model."""
    model = f"model {Path(judged.model.path).parent.name}"
    trained_on = f", trained on {judged.model.trained_on}" if judged.model.trained_on else ""
    basis = f"{judged.basis}; threshold {judged.rule.threshold:.3g}"
    warning = judged.warnings.get(SYNTHETIC_MODEL, "")
    notes = [note for note in judged.notes if note != judged.warnings.get("part-of-video")]
    lines = [basis, "; ".join(notes), f"{model}{trained_on}", warning]
    return [printable(line) for line in lines if line]


def score_at(face: ScoredFace, time_sec: float) -> float:
    """Return the score of a face at a time: between two moments on the straight line."""
    if not face.moment_scores:
        return face.score
    times_sec = [moment.time_sec for moment in face.face.moments]
    return float(np.interp(time_sec, times_sec, face.moment_scores))


def _holds_frames(path: Path) -> bool:
    try:
        with open_video(path) as reader:
            return next(reader.frames(math.inf, None), None) is not None
    except UnreadableError:
        return False


def _draw_label(picture: np.ndarray, text: str, corner: Point, colour: Colour, size: float) -> None:
    """Write on a ground of that colour, moved into the picture where it would stick out."""
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    pad = max(3, height // 3)
    left = max(0, min(corner[0], picture.shape[1] - width - 2 * pad))
    top = max(0, min(corner[1], picture.shape[0] - height - below - 2 * pad))
    right, bottom = left + width + 2 * pad, top + height + below + 2 * pad
    cv2.rectangle(picture, (left, top), (right, bottom), colour, cv2.FILLED)
    _draw_text(picture, text, (left + pad, top + pad + height), INK_BGR, size)


def _draw_text(picture: np.ndarray, text: str, place: Point, colour: Colour, size: float) -> None:
    cv2.putText(picture, text, place, FONT, size, colour, 1, cv2.LINE_AA)


def _draw_caption(lines: Sequence[str], width: int) -> np.ndarray:
    """Return text on a ground, `(height, width, 3) uint8` BGR, in as many lines as it takes."""
    size = max(0.38, min(0.5, width / 1600))
    broken = [part for line in lines for part in _break_line(line, width - 16, size)]
    step = round(48 * size)
    ground = np.full((_even(step * len(broken) + 10), width, 3), PAPER_BGR, np.uint8)
    for number, line in enumerate(broken):
        _draw_text(ground, line, (8, step * (number + 1)), INK_BGR, size)
    return ground


def _break_line(line: str, width: int, size: float) -> list[str]:
    """Return a line in parts that are at most so wide in pixels, broken between words."""
    parts = [""]
    # Of other letters than these, OpenCV draws question marks.
    for word in line.encode("ascii", "replace").decode().split():
        longer = f"{parts[-1]} {word}".strip()
        if parts[-1] and cv2.getTextSize(longer, FONT, size, 1)[0][0] > width:
            parts.append(word)
        else:
            parts[-1] = longer
    return parts


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))
