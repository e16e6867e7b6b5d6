"""Videos in, faces out: one folder of face crops per video.

Goes in: folders of videos (whatever OpenCV opens), each with a DFDC `metadata.json`. They are only
read. Comes out, under the save path:

    a.mp4/000.jpeg 001.jpeg ...   square RGB face crops, in order
    a.mp4/boxes.csv               frame,time_sec,x,y,w,h,source (detected or averaged)
    metadata.json                 the DFDC entries of the videos that have a folder
    manifest.csv                  one row per video asked for: status, reason, counts, seconds
    settings.json                 what the crops depend on

    python processing.py --location dfdc_train_part_0 --save-path faces --num-vids 500

Running it again goes on where it stopped.
"""

import argparse
import csv
import functools
import math
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

# FFmpeg and OpenCV write about every damaged video to stderr; the manifest says it better.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np

import contact_sheet
import datasets
import faces
import faces_folder
import parallel
from console import UserError, command, print_table, progress

FALLBACK_FPS = 30.0  # for a header without a usable frame rate


@dataclass(frozen=True)
class FaceSettings:
    """What the crops depend on; travels with the faces and with every model trained on them."""

    capture_sec: float = 5.0  # seconds from the start of the video, by its own clock
    fps: float | None = None  # frames kept a second; None keeps all
    margin_ratio: float = 0.3  # of the box's longer side, added on every side
    face_size: int = 160  # side of the crops in pixels
    jpeg_quality: int = 95
    detector: str = faces.DETECTOR
    contract: int = 1  # version of the layout described above

    def __post_init__(self):
        if not 0 < self.capture_sec < math.inf:
            raise UserError(f"capture_sec is {self.capture_sec}; it must be above 0 seconds")
        if not 0 <= self.margin_ratio < math.inf:
            raise UserError(f"margin_ratio is {self.margin_ratio}; it must be 0 or more")
        if not self.face_size >= 16:
            raise UserError(f"face_size is {self.face_size}; it must be at least 16 pixels")
        if self.fps is not None and not self.fps > 0:
            raise UserError(
                f"fps is {self.fps}; it must be above 0, or left out to keep all frames"
            )


class Frame(NamedTuple):
    index: int  # in the video, from 0
    time_sec: float
    video_fps: float  # by the header of the video
    image_bgr: np.ndarray  # (height, width, 3) uint8


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = FaceSettings()
    add = parser.add_argument
    add("--location", type=Path, nargs="+", required=True, metavar="DIR", help="video folders")
    add("--save-path", type=Path, required=True, metavar="DIR", help="where the faces go")
    add(
        "--capture-sec",
        type=float,
        default=defaults.capture_sec,
        help="seconds taken from the start of each video (%(default)s)",
    )
    add("--num-vids", type=int, help="videos of each class, drawn by seed (all)")
    add("--fps", type=float, help="frames kept a second (all)")
    add(
        "--margin",
        type=float,
        default=defaults.margin_ratio,
        help="added to the face box on every side, as a share of it (%(default)s)",
    )
    add(
        "--face-size",
        type=int,
        default=defaults.face_size,
        help="side of the square crops in pixels (%(default)s)",
    )
    add("--seed", type=int, default=0, help="draws the videos for --num-vids (%(default)s)")
    add("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    add("--overwrite", action="store_true", help="make faces that are already there anew")
    add("--contact-sheet", action="store_true", help="draw a strip of faces for every video")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    settings = FaceSettings(args.capture_sec, args.fps, args.margin, args.face_size)
    videos = find_videos(args.location, args.num_vids, args.seed)
    started = time.perf_counter()
    rows, new_rows = extract(videos, args.save_path, settings, args.workers, args.overwrite)
    print_summary(rows, new_rows, args.save_path, time.perf_counter() - started)
    if args.contact_sheet:
        names = [row["filename"] for row in rows if row["status"] == "ok"]
        for page in contact_sheet.write_contact_sheets(args.save_path, names):
            print(f"contact sheet: {page}")
    for path in datasets.unlisted_files(args.location)[:5]:
        print(f"note: {path} stands in no metadata.json and was left out")
    if not any(row["status"] == "ok" for row in rows):
        manifest_path = args.save_path / faces_folder.MANIFEST_NAME
        raise UserError(f"none of {len(rows)} videos gave any faces; {manifest_path} says why")
    return 0


def processing(
    location: str | Path | Sequence[str | Path] = "",
    save_path: str | Path = "",
    capture_sec: float = 5,
    num_vids: int | None = None,
    *,
    fps: float | None = None,
    margin_ratio: float = 0.3,
    face_size: int = 160,
    seed: int = 0,
    workers: int = 1,
    overwrite: bool = False,
) -> list[dict]:
    """Extract the faces of every video and return the manifest rows of this call, by name.

    `location` is a folder of videos with a metadata.json, or several. `num_vids` is per class.
    With `workers` above 1 the videos are shared out to that many processes, started afresh: the
    calling script then needs `if __name__ == "__main__":` around the call.

    Raises UserError for input that cannot work: no metadata, faces of other settings at
    `save_path`, a full disk. A video that cannot be used is a row with a status and a reason.
    """
    folders = [location] if isinstance(location, str | Path) else location
    settings = FaceSettings(float(capture_sec), fps, margin_ratio, face_size)
    videos = find_videos([Path(folder) for folder in folders], num_vids, seed)
    return extract(videos, Path(save_path), settings, workers, overwrite)[0]


def find_videos(folders: Sequence[Path], num_vids: int | None, seed: int) -> list[datasets.Video]:
    """Return the videos to take; raises UserError where there are none or num_vids is below 1."""
    if num_vids is not None and num_vids < 1:
        raise UserError(f"num_vids is {num_vids}; it must be at least 1, or left out for all")
    videos = datasets.choose_videos(datasets.list_videos(folders), num_vids, seed)
    if not videos:
        raise UserError(f"{', '.join(map(str, folders))}: the metadata.json lists no video to take")
    return videos


def extract(
    videos: Sequence[datasets.Video],
    save_path: Path,
    settings: FaceSettings,
    workers: int,
    overwrite: bool,
) -> tuple[list[dict], list[dict]]:
    """Write the faces of the videos that are not done yet, and the index of all.

    Returns the manifest rows of all `videos` and those of the ones done in this call.
    """
    check_detector()
    manifest = faces_folder.prepare(save_path, asdict(settings), videos, overwrite)
    todo = [v for v in videos if not faces_folder.is_settled(v, manifest.get(v.name), save_path)]
    try:
        new_rows = process_videos(todo, save_path, settings, workers, manifest)
    except OSError as error:
        raise UserError(
            f"cannot write to {save_path}: {error}; make room there or give another save path, "
            "then run the same command again: finished videos are kept"
        ) from error
    finally:
        faces_folder.write_index(save_path, manifest, videos)
    return [manifest[video.name] for video in videos], list(new_rows.values())


def check_detector() -> None:
    """Raise UserError here, once, rather than in every worker."""
    try:
        faces.load_cascade()
    except RuntimeError as error:
        raise UserError(str(error)) from error


# One video


def read_frames(path: Path, capture_sec: float, fps: float | None) -> Iterator[Frame]:
    """Yield the frames of the first `capture_sec` seconds, at most `fps` a second (None: all).

    Frames are decoded one at a time and only what decodes counts: headers lie about lengths.
    Nothing is yielded for a file that is no video.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        video_fps = header_fps(capture)
        frame_sec = 1 / video_fps
        time_sec, index, last_slot = -frame_sec, -1, -1
        while capture.grab():
            index += 1
            clock_sec = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # The clock of the container; a frame without a usable time follows the last one.
            usable = math.isfinite(clock_sec) and clock_sec > time_sec
            time_sec = clock_sec if usable else time_sec + frame_sec
            if time_sec > capture_sec - 1e-6:
                return
            slot = index if fps is None else math.floor(time_sec * fps + 1e-6)
            if slot == last_slot:
                continue
            last_slot = slot
            decoded, image_bgr = capture.retrieve()
            if decoded:
                yield Frame(index, time_sec, video_fps, image_bgr)
    finally:
        capture.release()


def header_fps(capture: "cv2.VideoCapture") -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if math.isfinite(fps) and 1 <= fps <= 1000 else FALLBACK_FPS


@functools.cache
def _cascade() -> "cv2.CascadeClassifier":
    return faces.load_cascade()


def process_video(video: datasets.Video, save_path: Path, settings: FaceSettings) -> dict:
    """Write the folder of faces of one video and return its manifest row.

    Raises OSError where the faces cannot be written; everything else is a status and a reason.
    """
    started = time.perf_counter()
    row = faces_folder.new_row(video)
    try:
        row |= _extract(video, save_path, settings)
    except (cv2.error, MemoryError) as error:
        # A single line: OpenCV's messages come with line breaks.
        row |= {"status": "failed", "reason": " ".join(str(error).split()) or repr(error)}
    if row["status"] != "ok" and not video.problem:
        # Faces of an earlier file of this name would be a folder that no index lists.
        shutil.rmtree(save_path / video.name, ignore_errors=True)
    return row | {"seconds": f"{time.perf_counter() - started:.2f}"}


def _extract(video: datasets.Video, save_path: Path, settings: FaceSettings) -> dict:
    if video.problem:
        return {"status": "invalid_entry", "reason": video.problem}
    if not video.path.exists():
        return {"status": "missing", "reason": "listed in metadata.json, but no such file"}
    if not video.path.is_file():
        return {"status": "unreadable", "reason": "not a file"}

    # Two passes keep memory independent of the length: which track is the main face is known only
    # at the end, and decoding again costs far less than holding the frames.
    tracker = faces.FaceTracker(_cascade())
    frame = None
    for frame in read_frames(video.path, settings.capture_sec, settings.fps):
        tracker.add_frame(frame.image_bgr, frame.time_sec)
    if frame is None:
        return {"status": "unreadable", "reason": "not a video OpenCV can decode a frame of"}

    height, width = frame.image_bgr.shape[:2]
    facts = {"fps": f"{frame.video_fps:.2f}", "width": width, "height": height}
    facts["frames_read"] = len(tracker.times_sec)
    found = faces.main_face(tracker.tracks, tracker.times_sec, tracker.shots)
    if found is None:
        return facts | {"status": "no_face", "reason": "no face in any frame", "detected": 0}
    boxes, detected = found
    write_faces(video, save_path, settings, boxes, detected)
    counts = {"detected": int(detected.sum()), "averaged": int((~detected).sum())}
    return facts | counts | {"status": "ok"}


def write_faces(
    video: datasets.Video,
    save_path: Path,
    settings: FaceSettings,
    boxes: np.ndarray,
    detected: np.ndarray,
) -> None:
    """Write crops and boxes.csv under a temporary name, then rename: whole or not at all."""
    partial = save_path / f".{video.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    digits = max(3, len(str(len(boxes) - 1)))
    quality = [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality]
    with (partial / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["frame", "time_sec", "x", "y", "w", "h", "source"])
        frames = read_frames(video.path, settings.capture_sec, settings.fps)
        # The second pass decodes the same frames; were one lost, the shorter of both counts.
        for order, (frame, box, hit) in enumerate(zip(frames, boxes, detected, strict=False)):
            face_bgr = faces.crop_face(
                frame.image_bgr, box, settings.margin_ratio, settings.face_size
            )
            jpeg = cv2.imencode(".jpeg", face_bgr, quality)[1]
            (partial / f"{order:0{digits}d}.jpeg").write_bytes(jpeg.tobytes())
            source = "detected" if hit else "averaged"
            position = (f"{value:.1f}" for value in box)
            table.writerow([frame.index, f"{frame.time_sec:.3f}", *position, source])
    final = save_path / video.name
    if final.exists():
        shutil.rmtree(final)
    partial.replace(final)


# Many videos


def process_videos(
    videos: Sequence[datasets.Video],
    save_path: Path,
    settings: FaceSettings,
    workers: int,
    manifest: dict[str, dict],
) -> dict[str, dict]:
    """Process the videos with a progress bar and return their manifest rows by name.

    Each row goes into `manifest` and to the end of manifest.csv as soon as it is there, so that a
    run that is killed knows what it had finished.
    """
    started, new_rows, frames = time.perf_counter(), {}, Counter()
    job = functools.partial(process_video, save_path=save_path, settings=settings)
    with (
        (save_path / faces_folder.MANIFEST_NAME).open("a", newline="", encoding="utf-8") as file,
        progress(len(videos), "faces", "videos") as advance,
    ):
        table = csv.DictWriter(file, faces_folder.MANIFEST_FIELDS)

        def record(row: dict) -> None:
            manifest[row["filename"]] = new_rows[row["filename"]] = row
            table.writerow(row)
            file.flush()
            frames["read"] += int(row["frames_read"] or 0)
            advance(note=f"{frames['read'] / (time.perf_counter() - started):.0f} frames/s")

        def record_death(video: datasets.Video) -> None:
            reason = "the process that read it died; the file may crash the decoder"
            record(faces_folder.new_row(video) | {"status": "failed", "reason": reason})

        workers = min(workers or 1, len(videos))
        if workers > 1:
            parallel.run_in_processes(job, videos, record, record_death, workers)
        else:
            for video in videos:
                record(job(video))
    return new_rows


def print_summary(
    rows: Sequence[Mapping], new_rows: Sequence[Mapping], save_path: Path, seconds: float
) -> None:
    """Print counts by status, shares of frames, speed, and each video that gave no faces."""

    def total(name: str, of_rows: Sequence[Mapping]) -> int:
        return sum(int(row[name] or 0) for row in of_rows)

    statuses = Counter(row["status"] for row in rows)
    table = [(f"videos {status}", str(count)) for status, count in sorted(statuses.items())]
    if len(new_rows) < len(rows):
        table.append(("of these done before", str(len(rows) - len(new_rows))))
    counts = {name: total(name, rows) for name in ("detected", "averaged")}
    frames = sum(counts.values())
    if frames:
        table += [(f"frames {name}", f"{n} ({n / frames:.1%})") for name, n in counts.items()]
    if new_rows:
        table.append(("frames a second", f"{total('frames_read', new_rows) / seconds:.0f}"))
    table += [("seconds", f"{seconds:.1f}"), ("faces", str(save_path))]
    table.append(("manifest", str(save_path / faces_folder.MANIFEST_NAME)))
    print_table(f"{len(rows)} videos", table)
    failed = [row for row in rows if row["status"] != "ok"]
    for row in failed[:20]:
        print(f"no faces: {row['filename']}: {row['status']}: {row['reason']}")
    if len(failed) > 20:
        print(f"... and {len(failed) - 20} more, see the manifest")


if __name__ == "__main__":
    sys.exit(main())
