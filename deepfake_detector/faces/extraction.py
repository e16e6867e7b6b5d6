"""One video in, its folders of face crops out.

    row = process_video(Task(video), save_path, work_path, FaceSettings())

writes `<save_path>/<name>/` with 000.jpeg, 001.jpeg, ... and boxes.csv, and returns the row of the
manifest. The folder appears whole or not at all: it is made below `work_path`, on the same disk,
and renamed. `processing.py` does this for many videos, in many processes; no TensorFlow.
"""

import functools
import math
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av.error
import cv2

from deepfake_detector.decoding.diagnosis import MissingError, UnreadableError
from deepfake_detector.decoding.frame import Frame
from deepfake_detector.decoding.reader import Reader, open_video
from deepfake_detector.face_dataset.boxes import Crop, read_boxes, write_face
from deepfake_detector.face_dataset.folder import put_faces, remove_faces
from deepfake_detector.face_dataset.manifest import face_names, new_row
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces.crop_buffer import CropBuffer
from deepfake_detector.faces.crops import CropFiles, Square
from deepfake_detector.faces.detector import FaceDetector
from deepfake_detector.faces.tracker import FaceTracker
from deepfake_detector.faces.tracklets import FaceBoxes
from deepfake_detector.faces.yunet import load_detector
from deepfake_detector.videos.metadata import Video

SAME_TIME_SEC = 0.0015  # boxes.csv holds milliseconds


@dataclass(frozen=True)
class Task:
    """A video to process, and where its boxes may come from."""

    video: Video
    box_source: Mapping | None = None  # manifest row of its original, whose faces exist already


class TooSlowError(Exception):
    """A video took longer than its time limit."""


def process_video(
    task: Task,
    save_path: Path,
    work_path: Path,
    settings: FaceSettings,
    timeout_sec: float = math.inf,
) -> dict:
    """Write the faces of one video and return its manifest row.

    Raises OSError where the faces cannot be written; everything else is a status and a reason.
    """
    started, video = time.perf_counter(), task.video
    row = new_row(video)
    if video.problem:
        return row | {"status": "invalid_entry", "reason": video.problem}
    folder = Path(tempfile.mkdtemp(dir=work_path))
    try:
        row |= _extract(task, save_path, folder, settings, started + timeout_sec)
    except TooSlowError:
        row |= too_slow(timeout_sec)
    except MissingError as error:
        row |= {"status": "missing", "reason": f"it is listed, but there is {error}"}
    except UnreadableError as error:
        row |= {"status": "unreadable", "reason": str(error)}
    except (cv2.error, av.error.FFmpegError, MemoryError) as error:
        # A single line: OpenCV's messages come with line breaks.
        row |= {"status": "failed", "reason": " ".join(str(error).split()) or repr(error)}
    if row["status"] != "ok":
        # Faces of an earlier file of this name would be a folder that no index lists.
        remove_faces(save_path, video.name, folder)
    shutil.rmtree(folder, ignore_errors=True)
    return row | {"seconds": f"{time.perf_counter() - started:.2f}"}


def too_slow(timeout_sec: float) -> dict:
    """Return the columns of the manifest for a video that took longer than its time limit."""
    reason = f"took longer than {timeout_sec:g} seconds; give it more with --timeout-sec"
    return {"status": "failed", "reason": reason}


def _extract(
    task: Task, save_path: Path, folder: Path, settings: FaceSettings, deadline: float
) -> dict:
    """Find the faces, put their folders in place and return the columns of the manifest."""
    path = task.video.path
    properties: dict = {}
    crops = None
    if task.box_source is not None:
        properties, crops = _cut_along(path, task.box_source, save_path, folder, settings, deadline)
    if crops is None:
        properties, crops = _find_and_cut(path, folder, settings, deadline)
    if not crops:
        return properties | {"status": "no_face", "reason": "no face in any frame", "detected": 0}
    made = [folder / f"face_{number}" for number in range(len(crops))]
    # Where one face hides another, both may have the same crop.
    place = Path.rename if len(crops) == 1 else shutil.copyfile
    for face, face_folder in zip(crops, made, strict=True):
        write_face(face, face_folder, place)
    put_faces(save_path, task.video.name, made, folder)
    sources = [crop.source for face in crops for crop in face]
    counts = {source: sources.count(source) for source in ("detected", "averaged")}
    return properties | counts | {"faces": len(crops), "status": "ok"}


def _find_and_cut(
    path: Path, folder: Path, settings: FaceSettings, deadline: float
) -> tuple[dict, list[list[Crop]]]:
    """Return the properties of the video and the crops of each face.

    Raises UnreadableError where it is no video.
    """
    with open_video(path) as reader:
        frames = reader.frames(settings.capture_sec, settings.fps)
        followed = follow(in_time(frames, deadline), settings, folder)
        properties = properties_of(reader, len(followed.indices), followed.files.frame_sizes[-1])
    wanted = followed.squares_to_cut()
    if wanted:
        with open_video(path) as reader:
            frames = reader.frames(settings.capture_sec, settings.fps, frozenset(wanted))
            followed.cut(in_time(frames, deadline), wanted)
    return properties, followed.crops()


@dataclass
class Followed:
    """The faces followed through some frames of a video, most of them cut out already."""

    tracker: FaceTracker
    files: CropFiles
    indices: list[int]  # in the video, of the frames given to the tracker
    faces: list[FaceBoxes]

    def squares_to_cut(self) -> dict[int, list[tuple[int, Square]]]:
        """Return the position and square of each crop that is missing, by index of the frame."""
        wanted: dict[int, list[tuple[int, Square]]] = defaultdict(list)
        for face in self.faces:
            for position, box in enumerate(face.boxes, face.first):
                square = self.files.square_of(position, box)
                if (position, square) not in self.files.paths:
                    wanted[self.indices[position]].append((position, square))
        return wanted

    def cut(self, frames: Iterator[Frame], wanted: dict[int, list[tuple[int, Square]]]) -> None:
        """Cut these squares out of `frames`, reading no further than needed; empties `wanted`.

        Raises UnreadableError where a frame does not come again.
        """
        while wanted:
            frame = next(frames, None)
            if frame is None:
                raise UnreadableError("it changed, or decodes differently, when it is read again")
            for position, square in wanted.pop(frame.index, ()):
                self.files.write(position, square, square.cut(frame))

    def crops(self) -> list[list[Crop]]:
        """Return the crops of each face; all squares must be cut."""
        return [
            [
                Crop(
                    self.files.paths[position, self.files.square_of(position, box)],
                    self.indices[position],
                    self.tracker.times_sec[position],
                    box,
                    "detected" if detected else "averaged",
                )
                for position, (box, detected) in enumerate(
                    zip(face.boxes, face.detected, strict=True), face.first
                )
            ]
            for face in self.faces
        ]


def follow(frames: Iterator[Frame], settings: FaceSettings, folder: Path) -> Followed:
    """Find and follow the faces of these frames, and cut out into `folder` what can be by now.

    The one way from frames to faces, in extraction and in prediction.
    """
    tracker = FaceTracker(_detector(threading.get_ident(), settings.detector_file), settings.faces)
    files = CropFiles(folder, settings)
    buffer = CropBuffer(tracker, files, settings)
    indices: list[int] = []
    for frame in frames:
        tracker.add_frame(frame)
        buffer.add_frame(frame)
        indices.append(frame.index)
    buffer.finish()
    return Followed(tracker, files, indices, tracker.faces() if indices else [])


def _cut_along(
    path: Path,
    box_source: Mapping,
    save_path: Path,
    folder: Path,
    settings: FaceSettings,
    deadline: float,
) -> tuple[dict, list[list[Crop]] | None]:
    """Return what `_find_and_cut` does, from the boxes of the video's original.

    Crops are None where the two do not have the same frames, by number, time and size.
    """
    names = face_names(box_source["filename"], int(box_source["faces"]))
    faces_of_original = [
        {crop.index: crop for crop in read_boxes(save_path / name)} for name in names
    ]
    size = (int(box_source["height"]), int(box_source["width"]))
    main_face = faces_of_original[0]
    files = CropFiles(folder, settings)
    crops: list[list[Crop]] = [[] for _ in names]
    with open_video(path) as reader:
        frames = in_time(reader.frames(settings.capture_sec, settings.fps), deadline)
        for position, frame in enumerate(frames):
            of_main = main_face.get(frame.index)
            same = of_main and abs(of_main.time_sec - frame.time_sec) < SAME_TIME_SEC
            if not same or frame.size != size:
                return {}, None
            files.frame_sizes.append(size)
            for own_crops, face in zip(crops, faces_of_original, strict=True):
                if frame.index in face:
                    box, source = face[frame.index].box_xywh, face[frame.index].source
                    square = files.square_of(position, box)
                    written = files.write(position, square, square.cut(frame))
                    own_crops.append(Crop(written, frame.index, frame.time_sec, box, source))
        if len(crops[0]) != len(main_face):
            return {}, None
        properties = properties_of(reader, len(main_face), size) | {
            "boxes_from": box_source["filename"]
        }
    return properties, crops


def in_time(frames: Iterator[Frame], deadline: float) -> Iterator[Frame]:
    """Yield the frames; raises TooSlowError when the clock has passed the deadline."""
    for frame in frames:
        if time.perf_counter() > deadline:
            raise TooSlowError
        yield frame


@functools.cache
def _detector(thread: int, file: Path | None) -> FaceDetector:
    """Return the detector of this thread: two threads cannot use the same cascades at once."""
    return load_detector(file)


def properties_of(reader: Reader, num_frames: int, size: tuple[int, int]) -> dict:
    """Return the columns of the manifest that describe the file; `size` is (height, width)."""
    height, width = size
    return {
        "fps": f"{reader.fps:.2f}",
        "width": width,
        "height": height,
        "reason": reader.damage,
        "frames_read": num_frames,
    }
