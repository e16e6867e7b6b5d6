"""Videos in, faces out: one folder of face crops per video.

Input: folders of videos, pictures or numbered frames, as data sets have them, or any folders
whose names say what is real and what is fake. They are only read. Output, under the save path:

    a.mp4/000.jpeg 001.jpeg ...   square RGB face crops, in order
    a.mp4/boxes.csv               frame,time_sec,x,y,w,h,source (detected, averaged or as-is)
    metadata.json                 the DFDC entries of the folders of crops
    manifest.csv                  one row per video asked for: status, reason, counts, seconds
    settings.json                 what the crops depend on

    python processing.py --location dfdc_train_part_0 --save-path faces --num-vids 500

Running it again continues where it stopped. A video that cannot be read stops nothing: the exit
code is 0, and manifest.csv says why.

How a video becomes faces, and where in deepfake_detector/ to read on:

    frames   the first seconds are decoded, by the video's own clock     decoding/reader.py
             and, where they show no face, the next, and so on           faces/following.py
    Haar     OpenCV's cascades find the faces in a frame; each face is   faces/detector.py
             then searched for next to where it was                      faces/tracker.py
    face     the one that is large for a long time is the main face      faces/main_face.py
    boxes    a frame without a detection gets the average of the boxes   faces/smoothing.py
             before and after it; all boxes are smoothed in time
    crops    a square around each box, with a margin, never squeezed     faces/crops.py
    folder   crops and boxes.csv are put in place, whole or not at all   face_dataset/folder.py
"""

import functools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepfake_detector import __version__
from deepfake_detector.clips.strips import write_contact_sheets
from deepfake_detector.console import (
    ArgumentParser,
    UserError,
    add_output_arguments,
    add_settings,
    command,
    counted,
    print_table,
    progress,
    reason_of,
    say,
    say_lines,
    settings_from,
)
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.face_dataset.folder import is_settled, only_run, prepare
from deepfake_detector.face_dataset.manifest import MANIFEST_NAME, append_row, new_row, write_index
from deepfake_detector.face_dataset.settings import AS_IS, FaceSettings
from deepfake_detector.faces.extraction import process_video, reason_of_loss
from deepfake_detector.parallel import Lost, Machines, run_tasks
from deepfake_detector.videos.listing import read_locations, select_videos
from deepfake_detector.videos.metadata import Video
from deepfake_detector.videos.search import PICTURE_CHOICES


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Choose the videos, extract their faces, and report the result."""
    args = main_arguments().parse_args(argv)
    settings = settings_from(args, FaceSettings)
    listing = read_locations(args.location, args.pictures)
    say_lines([*listing.lines, *listing.notes])
    videos = select_videos(listing.videos, args.num_vids, args.seed)
    started = time.perf_counter()
    machines = Machines(max(1, args.workers), args.scheduler, args.timeout_sec)
    wanted = listing.videos
    rows, new_rows = extract(videos, wanted, args.save_path, settings, machines, args.overwrite)
    summary = summarise(rows, args.save_path, time.perf_counter() - started)
    print_summary(summary, rows, new_rows)
    usable = {row["filename"] for row in rows if row["status"] == "ok"}
    if args.contact_sheet:
        tracks = [track for track in list_faces(args.save_path) if track.video in usable]
        for page in write_contact_sheets(args.save_path, tracks):
            say(f"contact sheet: {page}")
    say_lines(listing.left_out)
    if rows and not usable:
        manifest = summary["manifest"]
        raise UserError(f"no faces in {counted(len(rows), 'video')}; {manifest} has the reasons")
    if args.json_summary:
        print(json.dumps(summary))
    return 0


def main_arguments() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(__doc__)
    add = parser.add_argument_group("videos").add_argument
    add("--location", nargs="+", required=True, metavar="DIR", help="video folders")
    add(
        "--pictures",
        choices=PICTURE_CHOICES,
        default="auto",
        help="numbered pictures in one folder: the frames of one video, or single pictures "
        "(%(default)s: by the folder's name)",
    )
    add("--num-vids", type=int, help="videos of each class, chosen by --seed (default: all)")
    add("--seed", type=int, default=0, help="seed of the choice of --num-vids (%(default)s)")
    faces = parser.add_argument_group("faces")
    faces.add_argument(
        "--save-path", type=Path, required=True, metavar="DIR", help="folder for the faces"
    )
    add_settings(faces, FaceSettings)
    faces.add_argument("--overwrite", action="store_true", help="make all faces again")
    faces.add_argument(
        "--contact-sheet", action="store_true", help="write pages with a strip of faces per video"
    )
    add = parser.add_argument_group("machines").add_argument
    add("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    add("--scheduler", metavar="ADDRESS", help="Dask scheduler to use, such as tcp://host:8786")
    add(
        "--timeout-sec",
        type=float,
        help="seconds before a video is given up (default: by --capture-sec and --search-sec)",
    )
    add_output_arguments(parser)
    return parser


def processing(
    location: str | Path | Sequence[str | Path] = "",
    save_path: str | Path = "",
    capture_sec: float = 5,
    num_vids: int | None = None,
    *,
    pictures: str = "auto",
    seed: int = 0,
    workers: int = 0,
    scheduler: str | None = None,
    timeout_sec: float | None = None,
    overwrite: bool = False,
    **face_settings: object,
) -> list[dict]:
    """Extract the faces of every video and return the manifest rows of this call, by name.

    `location` is one folder of videos, or several. `pictures` is "auto", "frames" or "single".
    `num_vids` is per class. `face_settings` are further fields of `FaceSettings`, such as
    `face_size=224`. Without `workers` everything happens in this process, and a video that crashes
    the decoder ends it.
    With `workers` the videos go to that many new processes; the calling script then needs
    `if __name__ == "__main__":` around the call. `scheduler` is the address of a Dask cluster.

    Raises UserError for input that cannot work: no known layout, faces of other settings at
    `save_path`, a full disk. A video that cannot be used is a row with a status and a reason.
    """
    folders = [location] if isinstance(location, str | Path) else location
    settings = FaceSettings(capture_sec=float(capture_sec), **face_settings)  # type: ignore[arg-type]
    listing = read_locations(folders, pictures)
    say_lines(listing.notes)
    videos = select_videos(listing.videos, num_vids, seed)
    machines = Machines(workers, scheduler, timeout_sec)
    return extract(videos, listing.videos, Path(save_path), settings, machines, overwrite)[0]


def extract(
    videos: Sequence[Video],
    wanted: Sequence[Video],
    save_path: Path,
    settings: FaceSettings,
    machines: Machines,
    overwrite: bool,
) -> tuple[list[dict], list[dict]]:
    """Write the faces of the videos that are not done yet, and the index of all `wanted` ones.

    Returns the manifest rows of all `videos` and those of the ones done in this call.
    """
    names = {video.name for video in videos}
    try:
        with only_run(save_path, wanted) as work_path:
            manifest, known = prepare(save_path, settings, wanted, overwrite)
            todo = [
                video
                for video in known
                if video.name in names
                and not is_settled(video, manifest.get(video.name), save_path)
            ]
            new_rows = process_videos(todo, save_path, work_path, settings, machines)
            manifest |= new_rows
            write_index(save_path, manifest, known)
    except OSError as error:
        raise UserError(
            f"cannot write to {save_path}: {reason_of(error)}; make room there and run the "
            "same command again, which keeps the finished videos"
        ) from error
    return [manifest[video.name] for video in videos], list(new_rows.values())


def process_videos(
    videos: Sequence[Video],
    save_path: Path,
    work_path: Path,
    settings: FaceSettings,
    machines: Machines,
) -> dict[str, dict]:
    """Turn each video into its folder of faces, with a progress bar; return the rows by name.

    `process_video` in faces/extraction.py does one video, on one of the `machines`. Its row goes to
    the end of manifest.csv at once, so that the next run knows it if this one is killed.
    """
    started, frames, rows = time.perf_counter(), 0, {}
    limit_sec = machines.limit_sec(settings.capture_sec, settings.search_end_sec)
    job = functools.partial(
        process_video,
        save_path=save_path.resolve(),
        work_path=work_path.resolve(),
        settings=settings,
        timeout_sec=limit_sec,
    )
    with progress(len(videos), "faces", "videos") as advance:
        for video, row in run_tasks(job, videos, machines, limit_sec):
            if isinstance(row, Lost):
                reason = reason_of_loss(row, limit_sec)
                row = new_row(video) | {"status": "failed", "reason": reason}
            rows[row["filename"]] = row
            append_row(save_path, row)
            frames += int(row["frames_read"] or 0)
            advance(note=f"{frames / (time.perf_counter() - started):.0f} frames/s")
    return rows


def summarise(rows: Sequence[Mapping], save_path: Path, seconds: float) -> dict:
    """Return what --json-summary prints: counts of videos and frames, time and paths."""
    statuses = Counter(row["status"] for row in rows)
    frames = {name: _total(name, rows) for name in ("detected", "averaged")}
    as_is = [row for row in rows if row["status"] == "ok" and row["detected"] == ""]
    if as_is:
        frames[AS_IS] = _total("frames_read", as_is)
    return {
        "version": __version__,
        "videos": len(rows),
        "statuses": dict(sorted(statuses.items())),
        "frames": frames,
        "seconds": round(seconds, 2),
        "faces": str(save_path),
        "manifest": str(save_path / MANIFEST_NAME),
    }


def print_summary(summary: Mapping, rows: Sequence[Mapping], new_rows: Sequence[Mapping]) -> None:
    """Print counts by status, shares of frames, speed, and each video that gave no faces."""
    table = [(f"videos {status}", str(count)) for status, count in summary["statuses"].items()]
    if len(new_rows) < len(rows):
        table.append(("of these done before", str(len(rows) - len(new_rows))))
    frames = sum(summary["frames"].values())
    if frames:
        counts = summary["frames"].items()
        table += [(f"frames {name}", f"{count} ({count / frames:.1%})") for name, count in counts]
    seconds = summary["seconds"]
    new_frames = _total("frames_read", new_rows)
    if new_frames and seconds:
        table.append(("frames per second", f"{new_frames / seconds:.0f}"))
    table.append(("seconds", f"{seconds:.1f}"))
    table += [(name, summary[name]) for name in ("faces", "manifest")]
    print_table(counted(len(rows), "video"), table)
    failed = [row for row in rows if row["status"] != "ok"]
    for row in failed[:20]:
        say(f"no faces: {row['filename']}: {row['status']}: {row['reason']}")
    if len(failed) > 20:
        print(f"... and {len(failed) - 20} more, see the manifest")


def _total(column: str, rows: Sequence[Mapping]) -> int:
    return sum(int(row[column] or 0) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
