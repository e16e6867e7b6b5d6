"""How many faces are found in videos that are made hard, and how many where there is none.

    python -m benchmarks.hard_faces --videos DIR ...

The first seconds of each video are made dark, are cut so that the edge of the frame cuts the face,
and so on; then the face is covered or the frames are turned upside down, so that there is none. A
face is where it is found in the video as it is.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.console import command, print_table
from deepfake_detector.decoding.frame import frame_of_image
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.faces.detector import Detector
from deepfake_detector.faces.tracker import FaceTracker
from deepfake_detector.faces.tracklets import FaceBoxes
from deepfake_detector.videos.search import find_videos

CAPTURE_SEC, FPS, LONGER_SIDE = 2.4, 12.0, 480
# What of the frame is cut off, in sides of the face's box from its left, top, right and bottom.
CUTS = {
    "face cut at the left": (0.25, None, None, None),
    "face cut at the top": (None, 0.2, None, None),
    "nothing but the face": (-0.05, -0.1, 0.05, 0.15),
}
Image = np.ndarray  # (height, width) uint8 grey


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
    detector, counts = Detector(), dict[str, Counter]()
    for path in find_videos(args.videos)[:: args.every]:
        frames = read_grey(path)
        faces = follow(frames, detector)
        if not faces or faces[0].detected.mean() < 0.5:
            continue
        for name, hard_frames, box_xywh in hard_versions(frames, np.median(faces[0].boxes, axis=0)):
            found = follow(hard_frames, detector)
            is_right = bool(found) and box_xywh is not None and is_near(found[0], box_xywh)
            outcome = "there" if is_right else "elsewhere" if found else "none"
            counts.setdefault(name, Counter())[outcome] += 1
    rows = [
        (name, *(str(of[what]) for what in ("there", "elsewhere", "none")))
        for name, of in counts.items()
    ]
    print_table("videos made hard", rows, ("version", "face found", "found elsewhere", "none"))
    return 0


def read_grey(path: Path) -> list[Image]:
    """Return the first frames of a video, small and grey."""
    with open_video(path) as reader:
        frames = [frame.grey for frame in reader.frames(CAPTURE_SEC, FPS)]
    scale = min(1.0, LONGER_SIDE / max(frames[0].shape))
    return [cv2.resize(g, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for g in frames]


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
    """Yield names, frames, and the box of the face in them, `(4,)`; None if there is none."""
    x, y, w, h = face_xywh
    height, width = frames[0].shape
    noise = np.random.default_rng(0)
    dark = [grey * 0.05 + noise.normal(4, 1.5, grey.shape) for grey in frames]
    yield "dark", [np.clip(grey, 0, 255).astype(np.uint8) for grey in dark], face_xywh
    for name, ends in CUTS.items():
        whole, limits = (0, 0, width, height), (width, height) * 2
        left, top, right, bottom = (
            whole[i]
            if end is None
            else int(np.clip((x, y, x + w, y + h)[i] + end * w, 0, limits[i]))
            for i, end in enumerate(ends)
        )
        shown = [grey[top:bottom, left:right] for grey in frames]
        yield name, shown, face_xywh - np.array([left, top, 0, 0])
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot((columns - x - w / 2) / w, (rows - y - h / 2) / h)
    share = np.clip(2 * away - 1.2, 0, 1)
    covered = [
        grey * share + cv2.GaussianBlur(grey, (0, 0), float(w) / 3) * (1 - share) for grey in frames
    ]
    yield "no face: covered", [grey.astype(np.uint8) for grey in covered], None
    yield "no face: upside down", [grey[::-1] for grey in frames], None


def is_near(face: FaceBoxes, box_xywh: np.ndarray) -> bool:
    """Return whether most detected boxes have their centre in this one."""
    centres = face.boxes[face.detected, :2] + face.boxes[face.detected, 2:] / 2
    inside = (centres > box_xywh[:2]) & (centres < box_xywh[:2] + box_xywh[2:])
    return bool(inside.all(axis=1).mean() > 0.5)


if __name__ == "__main__":
    raise SystemExit(main())
