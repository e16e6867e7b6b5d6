"""One video in, its folders of face crops out.

    row = process_video(video, save_path, work_path, FaceSettings())

writes `<save_path>/<name>/` with 000.jpeg, 001.jpeg, ... and boxes.csv, and returns the row of the
manifest. The folder appears whole or not at all: it is made below `work_path`, on the same disk,
and renamed. `processing.py` does this for many videos, in many processes; no TensorFlow.
"""

import math
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import av.error
import cv2

from deepfake_detector.console import one_line
from deepfake_detector.decoding.diagnosis import MissingError, UnreadableError
from deepfake_detector.face_dataset.folder import put_faces, remove_faces
from deepfake_detector.face_dataset.manifest import new_row
from deepfake_detector.face_dataset.settings import AS_IS, FaceSettings
from deepfake_detector.faces.following import FaceSearch, TimeLimit, TooSlowError
from deepfake_detector.faces.orientation import orientation_note
from deepfake_detector.parallel import Lost
from deepfake_detector.videos.content import content_of
from deepfake_detector.videos.metadata import Video


def process_video(
    video: Video,
    save_path: Path,
    work_path: Path,
    settings: FaceSettings,
    timeout_sec: float = math.inf,
) -> dict:
    """Write the faces of one video and return its manifest row.

    Raises OSError if the faces cannot be written; everything else is a status and a reason.
    """
    started, row = time.perf_counter(), new_row(video)
    row["content"] = video.content or content_of(video.path)
    if video.problem:
        return row | {"status": "invalid_entry", "reason": video.problem}
    folder = Path(tempfile.mkdtemp(dir=work_path))
    try:
        row |= _extract(video, save_path, folder, settings, TimeLimit(timeout_sec))
    except TooSlowError:
        row |= {"status": "failed", "reason": too_slow(timeout_sec)}
    except MissingError as error:
        row |= {"status": "missing", "reason": f"it is listed, but there is {error}"}
    except UnreadableError as error:
        row |= {"status": "unreadable", "reason": str(error)}
    except (cv2.error, av.error.FFmpegError, MemoryError) as error:
        row |= {"status": "failed", "reason": one_line(error)}
    if row["status"] != "ok":
        # Faces of an earlier file of this name would be a folder that no index lists.
        remove_faces(save_path, video.name, folder)
    shutil.rmtree(folder, ignore_errors=True)
    return row | {"seconds": f"{time.perf_counter() - started:.2f}"}


def too_slow(timeout_sec: float) -> str:
    """Return the reason of a video that took longer than its time limit."""
    limit = "1 second" if timeout_sec == 1 else f"{timeout_sec:g} seconds"
    return f"took longer than {limit}; give it more with --timeout-sec"


def reason_of_loss(lost: Lost, limit_sec: float) -> str:
    """Return the reason of a video that took its process with it."""
    if lost.is_too_slow:
        return too_slow(limit_sec)
    return "the process that read it died; the file may crash the decoder, or memory is short"


def _extract(
    video: Video, save_path: Path, folder: Path, settings: FaceSettings, limit: TimeLimit
) -> dict:
    """Find the faces, put their folders in place and return the columns of the manifest."""
    with FaceSearch(video.path, settings, folder, limit) as search:
        *_, window = search.windows()
        degrees = search.orientation.degrees
        notes = [search.no_face_note, orientation_note(degrees), search.reader.damage]
    height, width = window.frame_size
    columns = {
        "fps": f"{search.reader.fps:.2f}",
        "width": width,
        "height": height,
        "turned": degrees or "",
        "reason": "; ".join(filter(None, notes)),
        "frames_read": search.num_frames,
    }
    if not window.faces or not search.orientation.is_clear:
        return columns | {"status": "no_face", "detected": 0}
    put_faces(save_path, video.name, window.folders, folder)
    sources = Counter(crop.source for face in window.faces for crop in face)
    # Nothing is known about crops taken as they are.
    names = () if AS_IS in sources else ("detected", "averaged")
    counts = {source: sources[source] for source in names}
    return columns | counts | {"faces": len(window.faces), "status": "ok"}
