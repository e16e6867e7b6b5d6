"""A copy of a video or a picture with what the detector saw drawn in: boxes, scores, the verdict.

    draw(verdict, found.clips, Path("out/holiday.mp4_annotated.mp4"))

A face has the colour of the verdict on its score in its window: red for FAKE, green for REAL,
orange for UNCERTAIN; an averaged box has thin lines. Below the picture stands what the verdict
rests on. The copy covers the seconds that were looked at.
"""

import base64
import bisect
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import av.error
import cv2
import numpy as np

from deepfake_detector.console import counted, one_line, printable, reason_of
from deepfake_detector.decoding.diagnosis import UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.decoding.video_writer import VideoWriter
from deepfake_detector.face_dataset.boxes import Crop, read_boxes
from deepfake_detector.faces.orientation import turned
from deepfake_detector.files import written_whole
from deepfake_detector.verdicts.reading import FaceClips
from deepfake_detector.verdicts.rule import SYNTHETIC_MODEL, limits_of, seconds_read
from deepfake_detector.verdicts.text import model_of, score_text, title_of
from deepfake_detector.verdicts.verdict import FAKE, OCCLUSION, REAL, UNCERTAIN, Face, Verdict
from deepfake_detector.videos.search import file_stems

Colour = tuple[int, int, int]
COLOURS_BGR = {FAKE: (60, 60, 230), UNCERTAIN: (20, 140, 235), REAL: (90, 190, 60)}
INK_BGR, PAPER_BGR = (255, 255, 255), (32, 28, 28)
MIN_WIDTH, MAX_SIDE = 480, 1280  # of the picture in pixels
FONT = cv2.FONT_HERSHEY_SIMPLEX


def copies_of(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return for each video the path of its copy in a folder: an MP4, or a PNG of a picture."""
    kinds = {True: "png", False: "mp4"}
    return {
        path: folder / f"{stem}_annotated.{kinds[is_picture(path)]}"
        for path, stem in zip(paths, file_stems(paths), strict=True)
    }


def draw(verdict: Verdict, clips: Sequence[Sequence[FaceClips]], copy: Path) -> str:
    """Write the copy of a video that has a score, and its occlusion map if it has one.

    The map is `..._occlusion.jpeg` next to the copy. Returns why there is no copy, or "".
    """
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        if OCCLUSION in verdict.jpegs:
            name = f"{copy.name.removesuffix(f'_annotated{copy.suffix}')}_occlusion.jpeg"
            copy.with_name(name).write_bytes(base64.b64decode(verdict.jpegs[OCCLUSION]))
        with written_whole(copy) as partial:
            _write_copy(verdict, clips, partial)
    except OSError as error:
        return reason_of(error)
    except (UnreadableError, cv2.error, av.error.FFmpegError) as error:
        return one_line(error)
    return ""


def _write_copy(verdict: Verdict, clips: Sequence[Sequence[FaceClips]], out: Path) -> None:
    path = Path(verdict.path)
    # The times of a verdict are rounded to milliseconds.
    end_sec = verdict.windows[-1].end_sec + 0.002
    with open_video(path) as reader:
        frames = turned(reader.frames(end_sec, None), (verdict.turned_degrees or 0) // 90)
        first = next(frames, None)
        if first is None:
            raise UnreadableError("the video does not decode any more")
        canvas = Canvas(verdict, clips, first.size)
        if is_picture(path):
            out.write_bytes(cv2.imencode(".png", canvas.draw(first))[1].tobytes())
            return
        with VideoWriter(out, reader.fps, canvas.size) as writer:
            for frame in itertools.chain([first], frames):
                writer.write(canvas.draw(frame), frame.time_sec)


class Canvas:
    """Draws the frames of one video, in order; `size` is (width, height) of what comes out."""

    def __init__(
        self,
        verdict: Verdict,
        clips: Sequence[Sequence[FaceClips]],
        frame_size: tuple[int, int],  # (height, width)
    ):
        self._verdict, self._clips, self._frame_size = verdict, clips, frame_size
        self._limits = limits_of(verdict)
        height, width = frame_size
        self._scale = min(max(1.0, MIN_WIDTH / width), MAX_SIDE / max(width, height))
        self._picture_size = (_even(width * self._scale), _even(height * self._scale))
        self._text_size = max(0.45, 0.8 * max(self._picture_size) / MAX_SIDE)
        self._caption = _draw_caption(caption_of(verdict), self._picture_size[0])
        self.size = (self._picture_size[0], self._picture_size[1] + len(self._caption))
        self._starts_sec = [window.start_sec for window in verdict.windows]
        self._window_index = -1  # whose boxes are held
        self._boxes: list[tuple[str, Face, list[Crop], list[int]]] = []

    def draw(self, frame: Frame) -> np.ndarray:
        """Return the frame with all that is known about it, `(height, width, 3) uint8` BGR."""
        picture = frame.image_bgr
        if picture.shape[:2] != self._frame_size:  # some videos change size on the way
            picture = cv2.resize(picture, self._frame_size[::-1])
        interpolation = cv2.INTER_AREA if self._scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(picture, self._picture_size, interpolation=interpolation)
        if picture is frame.image_bgr:
            picture = picture.copy()
        for number, face, crop in self._boxes_of(frame):
            self._draw_box(picture, number, face, crop)
        colour = COLOURS_BGR[self._verdict.verdict]
        _draw_label(picture, title_of(self._verdict), (8, 8), colour, self._text_size * 1.3)
        return np.vstack([picture, self._caption])

    def _boxes_of(self, frame: Frame) -> Iterator[tuple[str, Face, Crop]]:
        """Yield the number of each face in a frame, if there are several, the face and its box."""
        window_index = bisect.bisect_right(self._starts_sec, frame.time_sec + 0.001) - 1
        if window_index != self._window_index:
            self._window_index = window_index
            self._boxes = self._read_boxes(window_index)
        for number, face, crops, indices in self._boxes:
            # If not every frame was looked at, a box holds until the next one.
            if indices[0] <= frame.index <= indices[-1]:
                yield number, face, crops[bisect.bisect_right(indices, frame.index) - 1]

    def _read_boxes(self, window_index: int) -> list[tuple[str, Face, list[Crop], list[int]]]:
        faces = self._verdict.windows[window_index].faces
        boxes = []
        for face_index, face in enumerate(faces):
            crops = read_boxes(self._clips[window_index][face_index].folder)
            number = f"{face_index + 1}: " if len(faces) > 1 else ""
            boxes.append((number, face, crops, [crop.index for crop in crops]))
        return boxes

    def _draw_box(self, picture: np.ndarray, number: str, face: Face, crop: Crop) -> None:
        x, y, w, h = (round(float(side) * self._scale) for side in crop.box_xywh)
        colour = COLOURS_BGR[self._limits.verdict(face.score)]
        thickness = 1 if crop.source == "averaged" else 3
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, thickness, cv2.LINE_AA)
        words = f"{number}{score_text(face.score)}"
        _draw_label(picture, words, (x, y + h + 3), colour, self._text_size)


def caption_of(verdict: Verdict) -> list[str]:
    """Return lines on what the verdict rests on, what makes it less sure, and which model it is."""
    seconds = f"{seconds_read(verdict)}, " if verdict.read_sec else ""
    frames = counted(verdict.frames, "frame")
    basis = f"{seconds}{frames}; FAKE from {verdict.fake_from:.3g}"
    warning = verdict.warnings.get(SYNTHETIC_MODEL, "")
    lines = [basis, verdict.note, model_of(verdict), warning]
    return [printable(line) for line in lines if line]


def _draw_label(
    picture: np.ndarray, text: str, corner: tuple[int, int], colour: Colour, size: float
) -> None:
    """Write on a ground of that colour, moved into the picture if it would stick out."""
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    pad = max(3, height // 3)
    left = max(0, min(corner[0], picture.shape[1] - width - 2 * pad))
    top = max(0, min(corner[1], picture.shape[0] - height - below - 2 * pad))
    right, bottom = left + width + 2 * pad, top + height + below + 2 * pad
    cv2.rectangle(picture, (left, top), (right, bottom), colour, cv2.FILLED)
    place = (left + pad, top + pad + height)
    cv2.putText(picture, text, place, FONT, size, INK_BGR, 1, cv2.LINE_AA)


def _draw_caption(lines: Sequence[str], width: int) -> np.ndarray:
    """Return text on a ground, `(height, width, 3) uint8` BGR, in as many lines as it takes."""
    size = max(0.38, min(0.5, width / 1600))
    letters = int((width - 16) / cv2.getTextSize("n", FONT, size, 1)[0][0])
    # OpenCV's fonts are ASCII only.
    shown = [line.encode("ascii", "replace").decode() for line in lines]
    broken = [part for line in shown for part in textwrap.wrap(line, letters)]
    step = round(48 * size)
    ground = np.full((_even(step * len(broken) + 10), width, 3), PAPER_BGR, np.uint8)
    for number, line in enumerate(broken):
        place = (8, step * (number + 1))
        cv2.putText(ground, line, place, FONT, size, INK_BGR, 1, cv2.LINE_AA)
    return ground


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))
