"""How many faces are found, and how many where there is none, in videos that are made hard.

    python -m benchmarks.hard_faces --videos DIR ...

The first seconds of each video are made dark, are cut so that the edge of the frame cuts the face,
and so on; then their face is covered or they are turned upside down, so that there is none. Each is
searched with the plain look alone, and with all looks of `faces/detector.py`. A face is where the
plain look finds it in the video as it is.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deepfake_detector.console import command, print_table
from deepfake_detector.decoding.frame import Frame, frame_of_image
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.faces.detector import Detector, Look
from deepfake_detector.faces.tracker import FaceTracker
from deepfake_detector.faces.tracklets import FaceBoxes
from deepfake_detector.videos.listing import list_videos

CAPTURE_SEC, FPS, LONGER_SIDE = 2.4, 12.0, 480
# What of the frame is cut off, in sides of the face's box from its left, top, right and bottom.
CUTS = {
    "face cut at the left": (0.25, None, None, None),
    "face cut at the right": (None, None, -0.25, None),
    "face cut at the top": (None, 0.2, None, None),
    "face cut at the bottom": (None, None, None, -0.1),
    "nothing but the face": (-0.05, -0.1, 0.05, 0.15),
}
Image = np.ndarray  # (height, width) uint8 grey


class PlainDetector(Detector):
    """Takes the plain look alone at whole frames."""

    def search_frame(
        self, frame: Frame, smallest_side: float, look: Look = Look.PLAIN
    ) -> np.ndarray:
        if look is not Look.PLAIN:
            return np.zeros((0, 4), np.float32)
        return super().search_frame(frame, smallest_side)


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--videos", type=Path, nargs="+", required=True, metavar="DIR", help="video folders")
    add("--every", type=int, default=1, metavar="N", help="take every N-th video (%(default)s)")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    detectors = {"plain": PlainDetector(), "all_looks": Detector()}
    results: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for video in list_videos(args.videos)[:: args.every]:
        frames = read_grey(video.path)
        faces = follow(frames, detectors["plain"])
        if not faces or faces[0].detected.mean() < 0.5:
            continue
        face_xywh = np.median(faces[0].boxes, axis=0)
        for name, hard_frames, box_xywh in hard_versions(frames, face_xywh):
            for looks, detector in detectors.items():
                results[name][looks].append(try_out(hard_frames, box_xywh, detector))
    print(
        "plain look alone / all looks: videos with the face found, with another place found, time"
    )
    print_table("videos made hard", [(name, in_words(**by)) for name, by in results.items()])
    return 0


class Result(NamedTuple):
    """What came of one video."""

    right: bool  # its face was found
    wrong: bool  # something else was
    seconds: float  # of the processor


def try_out(frames: Sequence[Image], box_xywh: np.ndarray | None, detector: Detector) -> Result:
    """Look for the face at a box, or with None for what is no face."""
    started = time.process_time()
    found = follow(frames, detector)
    right = bool(found) and box_xywh is not None and is_near(found[0], box_xywh)
    return Result(right, bool(found) and not right, time.process_time() - started)


def in_words(plain: Sequence[Result], all_looks: Sequence[Result]) -> str:
    """Return both counts of videos, and the ratio of the times."""
    (right, wrong, sec), (all_right, all_wrong, all_sec) = (
        map(sum, zip(*results, strict=True)) for results in (plain, all_looks)
    )
    found = f"{right} / {all_right} of {len(plain)}"
    return f"{found}, elsewhere {wrong} / {all_wrong}, time {all_sec / sec:.2f}"


def read_grey(path: Path) -> list[Image]:
    """Return the first frames of a video, small and grey."""
    with open_video(path) as reader:
        frames = [frame.grey for frame in reader.frames(CAPTURE_SEC, FPS)]
    scale = min(1.0, LONGER_SIDE / max(frames[0].shape))
    return [
        cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for grey in frames
    ]


def follow(frames: Sequence[Image], detector: Detector) -> list[FaceBoxes]:
    """Return the faces that the tracker finds."""
    tracker = FaceTracker(detector)
    for number, grey in enumerate(frames):
        image_bgr = cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_GRAY2BGR)
        tracker.add_frame(frame_of_image(image_bgr, number, number / FPS))
    return tracker.faces()


def hard_versions(
    frames: Sequence[Image], face_xywh: np.ndarray
) -> Iterator[tuple[str, list[Image], np.ndarray | None]]:
    """Yield names, frames, and the box of the face in them, `(4,)`; None where there is none."""
    x, y, w, h = face_xywh
    height, width = frames[0].shape
    noise = np.random.default_rng(0)
    for name, gain in (("dark", 0.06), ("very dark", 0.03)):
        dark = [grey * gain + noise.normal(4, 1.5, grey.shape) for grey in frames]
        yield name, [np.clip(grey, 0, 255).astype(np.uint8) for grey in dark], face_xywh
    for name, ends in CUTS.items():
        edges = (x, y, x + w, y + h)
        left, top, right, bottom = (
            whole if end is None else int(np.clip(edge + end * w, 0, limit))
            for edge, end, whole, limit in zip(
                edges, ends, (0, 0, width, height), (width, height) * 2, strict=True
            )
        )
        shown = [grey[top:bottom, left:right] for grey in frames]
        yield name, shown, face_xywh - np.array([left, top, 0, 0])
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot((columns - x - w / 2) / w, (rows - y - h / 2) / h)
    shown_share = np.clip(2 * away - 1.2, 0, 1)
    covered = [
        grey * shown_share + cv2.GaussianBlur(grey, (0, 0), float(w) / 3) * (1 - shown_share)
        for grey in frames
    ]
    yield "no face: covered", [grey.astype(np.uint8) for grey in covered], None
    below = int(y + 1.4 * h)
    if height - below >= height / 5:
        yield "no face: what is below it", [grey[below:] for grey in frames], None
    yield "no face: upside down", [grey[::-1] for grey in frames], None


def is_near(face: FaceBoxes, box_xywh: np.ndarray) -> bool:
    """Return whether most detected boxes have their centre in this one."""
    centres = face.boxes[face.detected, :2] + face.boxes[face.detected, 2:] / 2
    inside = (centres > box_xywh[:2]) & (centres < box_xywh[:2] + box_xywh[2:])
    return bool(inside.all(axis=1).mean() > 0.5)


if __name__ == "__main__":
    raise SystemExit(main())
