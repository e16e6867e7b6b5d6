"""One video in, its folders of face crops out.

    row = process_video(Task(video), save_path, work_path, FaceSettings())

writes `<save_path>/<name>/` with 000.jpeg, 001.jpeg, ... and boxes.csv, and returns the row of the
manifest. The folder appears whole or not at all: it is made below `work_path`, on the same disk,
and renamed. `processing.py` does this for many videos, in many processes; no TensorFlow.
"""

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av.error
import cv2

from deepfake_detector.decoding.diagnosis import MissingError, UnreadableError
from deepfake_detector.decoding.reader import Reader, open_video
from deepfake_detector.face_dataset.background import BACKGROUND_NAME
from deepfake_detector.face_dataset.boxes import Crop, read_boxes, write_faces
from deepfake_detector.face_dataset.folder import put_faces, remove_faces
from deepfake_detector.face_dataset.manifest import face_names, new_row
from deepfake_detector.face_dataset.settings import AS_IS, FaceSettings
from deepfake_detector.faces.crops import CropFiles
from deepfake_detector.faces.following import FaceSearch, TimeLimit, TooSlowError, window_start
from deepfake_detector.videos.metadata import Video

SAME_TIME_SEC = 0.0015  # boxes.csv holds milliseconds


@dataclass(frozen=True)
class Task:
    """A video to process, and where its boxes may come from."""

    video: Video
    box_source: Mapping | None = None  # manifest row of its original, whose faces exist already


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
        row |= _extract(task, save_path, folder, settings, TimeLimit(timeout_sec))
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


def task_batches(
    videos: Sequence[Video],
    manifest: Mapping[str, Mapping],
    new_rows: Mapping[str, Mapping],
    settings: FaceSettings,
) -> Iterator[list[Task]]:
    """Yield all tasks, or the originals first and then the fakes that take their boxes."""
    if not settings.share_boxes:
        yield [Task(video) for video in videos]
        return
    names = {video.name for video in videos} | manifest.keys()
    fakes = [video for video in videos if video.entry.get("original") in names]
    yield [Task(video) for video in videos if video.entry.get("original") not in names]
    rows = {**manifest, **new_rows}  # by now with those of the originals
    originals = (rows.get(video.entry["original"]) for video in fakes)
    yield [
        Task(video, original if original and original["status"] == "ok" else None)
        for video, original in zip(fakes, originals, strict=True)
    ]


def too_slow(timeout_sec: float) -> dict:
    """Return the columns of the manifest for a video that took longer than its time limit."""
    limit = "1 second" if timeout_sec == 1 else f"{timeout_sec:g} seconds"
    reason = f"took longer than {limit}; give it more with --timeout-sec"
    return {"status": "failed", "reason": reason}


def process_died(seconds: float, limit_sec: float) -> dict:
    """Return the columns of the manifest for a video whose process ended after so many seconds."""
    if seconds > limit_sec:
        return too_slow(limit_sec)
    reason = "the process that read it died; the file may crash the decoder, or memory is short"
    return {"status": "failed", "reason": reason}


def _extract(
    task: Task, save_path: Path, folder: Path, settings: FaceSettings, limit: TimeLimit
) -> dict:
    """Find the faces, put their folders in place and return the columns of the manifest."""
    path = task.video.path
    properties: dict = {}
    faces, background = None, ""
    if task.box_source is not None:
        properties, faces = _cut_along(path, task.box_source, save_path, folder, settings, limit)
    if faces is None:
        properties, faces, background = _find_and_cut(path, folder, settings, limit)
    if not faces:
        return properties | {"status": "no_face", "detected": 0}
    folders = write_faces(faces, folder)
    if background:
        (folders[0] / BACKGROUND_NAME).write_text(background, encoding="ascii")
    put_faces(save_path, task.video.name, folders, folder)
    sources = Counter(crop.source for face in faces for crop in face)
    # Nothing is known about crops taken as they are.
    counted = () if AS_IS in sources else ("detected", "averaged")
    counts = {source: sources[source] for source in counted}
    return properties | counts | {"faces": len(faces), "status": "ok"}


def _find_and_cut(
    path: Path, folder: Path, settings: FaceSettings, limit: TimeLimit
) -> tuple[dict, list[list[Crop]], str]:
    """Return the properties of the video, the crops of each face, and the hashes of the background.

    Where no face is found there are no crops. Raises UnreadableError where it is no video.
    """
    with open_video(path) as reader:
        search = FaceSearch(path, reader, settings, folder, limit)
        *_, window = search.windows()
        properties = properties_of(
            reader, search.num_frames, window.frame_size, search.no_face_note
        )
    return properties, window.faces, search.background.hashes(window.faces)


def _cut_along(
    path: Path,
    box_source: Mapping,
    save_path: Path,
    folder: Path,
    settings: FaceSettings,
    limit: TimeLimit,
) -> tuple[dict, list[list[Crop]] | None]:
    """Return what `_find_and_cut` does, from the boxes of the video's original.

    Crops are None where the two do not have the same frames, by number, time and size.
    """
    names = face_names(box_source["filename"], int(box_source["faces"]))
    try:
        faces_of_original = [
            {crop.index: crop for crop in read_boxes(save_path / name)} for name in names
        ]
    except (OSError, ValueError):
        faces_of_original = []
    if not all(faces_of_original) or not faces_of_original:  # damaged: the fake has faces, too
        return {}, None
    size = (int(box_source["height"]), int(box_source["width"]))
    main_face = faces_of_original[0]
    first = min(main_face.values(), key=lambda crop: crop.index)
    start_sec = window_start(first.time_sec, settings.capture_sec)
    files = CropFiles(folder, settings)
    crops: list[list[Crop]] = [[] for _ in names]
    with open_video(path) as reader:
        frames = limit.watch(reader.frames(start_sec + settings.capture_sec, settings.fps))
        frames = (frame for frame in frames if frame.index >= first.index)
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
        note = f"faces from {start_sec:.1f} seconds on, as in its original" if start_sec else ""
        properties = properties_of(reader, len(main_face), size, note)
    return properties | {"boxes_from": box_source["filename"]}, crops


def properties_of(reader: Reader, num_frames: int, size: tuple[int, int], note: str) -> dict:
    """Return the columns of the manifest that describe the file; `size` is (height, width).

    The reason is the `note` and what is wrong with the file.
    """
    height, width = size
    return {
        "fps": f"{reader.fps:.2f}",
        "width": width,
        "height": height,
        "reason": "; ".join(filter(None, [note, reader.damage])),
        "frames_read": num_frames,
    }
