"""The baseline of the extraction benchmark, and how its boxes compare with ours.

It does what microcoder-py/deepfake-detector does for each frame: write the frame as a JPEG and read
it back, load the cascade, search the whole frame at full size, write the crop over the frame.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import cv2.data
import numpy as np

from deepfake_detector.decoding.reader import open_video
from deepfake_detector.faces.detector import Detector
from deepfake_detector.faces.tracker import FaceTracker

CAPTURE_SEC = 5.0
BASELINE_FRAMES = 8  # of each video: the baseline takes 0.1 s a frame and more


def baseline_box(frame_path: Path, frame_bgr: np.ndarray) -> list[int] | None:
    """Find and cut the face of one frame as the baseline does; return its box `x, y, w, h`."""
    cv2.imwrite(str(frame_path), frame_bgr)
    image = np.asarray(cv2.imread(str(frame_path)))
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
    found = cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.1, 8)
    left = top = 0
    box = None
    for x, y, w, h in found:  # with several, each is cut from what the one before it left
        image = image[y : y + h, x : x + w]
        left, top = left + int(x), top + int(y)
        box = [left, top, int(w), int(h)]
    if box and image.size:
        cv2.imwrite(str(frame_path), image)
        return box
    return None


def time_baseline(paths: Sequence[Path], work: Path) -> tuple[float, int]:
    """Return seconds per frame and the number of frames, spread over each video."""
    seconds, count = 0.0, 0
    for path in paths:
        with open_video(path) as reader:
            for frame in reader.frames(CAPTURE_SEC, fps=BASELINE_FRAMES / CAPTURE_SEC):
                started = time.perf_counter()
                baseline_box(work / "frame.jpeg", frame.image_bgr)
                seconds += time.perf_counter() - started
                count += 1
    return seconds / count, count


def compare_boxes(path: Path) -> tuple[dict, dict]:
    """Return frames, detections and jitter of our boxes, and of the baseline's.

    The baseline sees a few runs of neighbouring frames only.
    """
    tracker = FaceTracker(Detector())
    of_baseline: dict[int, list[int] | None] = {}
    with open_video(path) as reader, tempfile.TemporaryDirectory() as folder:
        for position, frame in enumerate(reader.frames(CAPTURE_SEC, None)):
            tracker.add_frame(frame)
            if position % 40 < BASELINE_FRAMES // 2:
                of_baseline[position] = baseline_box(Path(folder) / "frame.jpeg", frame.image_bgr)
    shots, found = np.array(tracker.shots), tracker.faces()
    ours = {"frames": len(shots), "detected": 0, "jitter": np.zeros((0, 2))}
    if found:
        jitter = jitter_of(dict(enumerate(found[0].boxes)), shots)
        ours |= {"detected": int(found[0].detected.sum()), "jitter": jitter}
    known = {position: np.array(box) for position, box in of_baseline.items() if box}
    baseline = {"frames": len(of_baseline), "detected": len(known)}
    return ours, baseline | {"jitter": jitter_of(known, shots)}


def jitter_of(boxes: dict[int, np.ndarray], shots: np.ndarray) -> np.ndarray:
    """Return how boxes shake, `(n, 2)`: centre and size of each box that has one before and after.

    Jitter is the distance of a box from the mean of these two, in box sides: 0 for a face that
    moves evenly. Only neighbouring frames of the same shot count.
    """
    jitter = []
    for position, box in boxes.items():
        before, after = boxes.get(position - 1), boxes.get(position + 1)
        if before is None or after is None or np.ptp(shots[position - 1 : position + 2]):
            continue
        off = box - (before + after) / 2
        centre = np.linalg.norm(off[:2] + off[2:] / 2) / max(1, box[2])
        jitter.append([centre, abs(off[2]) / max(1, box[2])])
    return np.array(jitter).reshape(-1, 2)
