"""Videos in, faces out: one folder of face crops per video.

Goes in: folders of videos (whatever OpenCV opens) in the layout of DFDC, FaceForensics++ or
Celeb-DF, or as real/ and fake/. They are only read. Comes out, under the save path:

    a.mp4/000.jpeg 001.jpeg ...   square RGB face crops, in order
    a.mp4/boxes.csv               frame,time_sec,x,y,w,h,source (detected or averaged)
    metadata.json                 the DFDC entries of the folders of crops
    manifest.csv                  one row per video asked for: status, reason, counts, seconds
    settings.json                 what the crops depend on

    python processing.py --location dfdc_train_part_0 --save-path faces --num-vids 500

Running it again goes on where it stopped. Several runs may write to one save path, also from many
machines that share the disk.
"""

import argparse
import functools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deepfake_detector.console import (
    UserError,
    add_output_arguments,
    command,
    print_table,
    progress,
)
from deepfake_detector.face_dataset.folder import prepare, work_folder
from deepfake_detector.face_dataset.manifest import (
    MANIFEST_NAME,
    append_row,
    face_names,
    is_settled,
    new_row,
    write_index,
)
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.face_dataset.strips import write_contact_sheets
from deepfake_detector.faces.detector import check_detector
from deepfake_detector.faces.extraction import Task, process_video, too_slow
from deepfake_detector.parallel import Machines, run
from deepfake_detector.videos import layouts
from deepfake_detector.videos.listing import (
    find_videos,
    parse_shard,
    unlisted_files,
)
from deepfake_detector.videos.metadata import Video


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = FaceSettings()
    add = parser.add_argument_group("videos").add_argument
    add("--location", type=Path, nargs="+", required=True, metavar="DIR", help="video folders")
    add("--layout", choices=layouts.LAYOUTS, help="of these folders (recognised)")
    add("--num-vids", type=int, help="videos of each class, drawn by seed (all)")
    add("--seed", type=int, default=0, help="draws the videos for --num-vids (%(default)s)")
    add("--shard", metavar="I/N", help="take the I-th of N parts, one for each of N machines (all)")

    add = parser.add_argument_group("faces").add_argument
    add("--save-path", type=Path, required=True, metavar="DIR", help="where the faces go")
    add(
        "--capture-sec",
        type=float,
        default=defaults.capture_sec,
        help="seconds taken from the start of each video (%(default)s)",
    )
    add("--fps", type=float, help="frames kept a second (all)")
    add(
        "--faces",
        choices=["main", "all"],
        default=defaults.faces,
        help="the main face of each video, or a folder for every face in it (%(default)s)",
    )
    add(
        "--share-boxes",
        action="store_true",
        help="cut a fake along the boxes found in its original, where both have the same frames",
    )
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
    add("--overwrite", action="store_true", help="make faces that are already there anew")
    add("--contact-sheet", action="store_true", help="draw a strip of faces for every video")

    add = parser.add_argument_group("machines").add_argument
    add("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://host:8786")
    add("--timeout-sec", type=float, help="given up after so long, per video (by --capture-sec)")
    add_output_arguments(parser)
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    settings = FaceSettings(
        args.capture_sec,
        args.fps,
        args.margin,
        args.face_size,
        faces=args.faces,
        share_boxes=args.share_boxes,
    )
    shard = parse_shard(args.shard) if args.shard else (1, 1)
    videos = find_videos(args.location, args.num_vids, args.seed, args.layout, shard)
    for folder in args.location:
        print(f"{folder}: layout {args.layout or layouts.recognise(folder)}")
    started = time.perf_counter()
    machines = Machines(max(1, args.workers), args.scheduler, args.timeout_sec)
    rows, new_rows = extract(videos, args.save_path, settings, machines, args.overwrite)
    print_summary(rows, new_rows, args.save_path, time.perf_counter() - started)
    if args.contact_sheet:
        names = [
            name
            for row in rows
            if row["status"] == "ok"
            for name in face_names(row["filename"], int(row["faces"]))
        ]
        for page in write_contact_sheets(args.save_path, names):
            print(f"contact sheet: {page}")
    for path in unlisted_files(args.location, args.layout)[:5]:
        print(f"note: {path} stands in no metadata.json and was left out")
    if rows and not any(row["status"] == "ok" for row in rows):
        manifest_path = args.save_path / MANIFEST_NAME
        raise UserError(f"none of {len(rows)} videos gave any faces; {manifest_path} says why")
    if args.json_summary:
        print(json.dumps(summary(rows, args.save_path, time.perf_counter() - started)))
    return 0


def processing(
    location: str | Path | Sequence[str | Path] = "",
    save_path: str | Path = "",
    capture_sec: float = 5,
    num_vids: int | None = None,
    *,
    fps: float | None = None,
    margin_ratio: float = 0.3,
    face_size: int = 224,
    faces: str = "main",
    share_boxes: bool = False,
    layout: str | None = None,
    seed: int = 0,
    shard: tuple[int, int] = (1, 1),
    workers: int | None = None,
    scheduler: str | None = None,
    timeout_sec: float | None = None,
    overwrite: bool = False,
) -> list[dict]:
    """Extract the faces of every video and return the manifest rows of this call, by name.

    `location` is a folder of videos in one of `datasets.LAYOUTS`, or several. `num_vids` is per
    class; `shard` is (i, n) for the i-th of n parts. Without `workers` all happens in this process,
    where a video that crashes the decoder takes it along. With it the videos are shared out to that
    many processes, started afresh: the calling script then needs `if __name__ == "__main__":`
    around the call. `scheduler` is the address of a Dask cluster that does the work instead.

    Raises UserError for input that cannot work: no known layout, faces of other settings at
    `save_path`, a full disk. A video that cannot be used is a row with a status and a reason.
    """
    folders = [location] if isinstance(location, str | Path) else location
    settings = FaceSettings(
        float(capture_sec), fps, margin_ratio, face_size, faces=faces, share_boxes=share_boxes
    )
    videos = find_videos([Path(folder) for folder in folders], num_vids, seed, layout, shard)
    machines = Machines(workers or 0, scheduler, timeout_sec)
    return extract(videos, Path(save_path), settings, machines, overwrite)[0]


def extract(
    videos: Sequence[Video],
    save_path: Path,
    settings: FaceSettings,
    machines: Machines,
    overwrite: bool,
) -> tuple[list[dict], list[dict]]:
    """Write the faces of the videos that are not done yet, and the index of all.

    Returns the manifest rows of all `videos` and those of the ones done in this call.
    """
    check_detector()
    manifest = prepare(save_path, settings, videos, overwrite)
    todo = [v for v in videos if not is_settled(v, manifest.get(v.name), save_path)]
    new_rows: dict[str, dict] = {}
    try:
        process_videos(todo, save_path, settings, machines, manifest, new_rows)
    except OSError as error:
        raise UserError(
            f"cannot write to {save_path}: {error}; make room there or give another save path, "
            "then run the same command again: finished videos are kept"
        ) from error
    finally:
        write_index(save_path, new_rows, videos)
    return [manifest[video.name] for video in videos], list(new_rows.values())


def process_videos(
    videos: Sequence[Video],
    save_path: Path,
    settings: FaceSettings,
    machines: Machines,
    manifest: dict[str, dict],
    new_rows: dict[str, dict],
) -> None:
    """Process the videos with a progress bar and put their rows into `manifest` and `new_rows`.

    Each goes to the end of manifest.csv as soon as it is there, so that a run that is killed knows
    what it had finished.
    """
    started, frames = time.perf_counter(), Counter()
    limit_sec = machines.limit_sec(settings.capture_sec)

    with (
        work_folder(save_path) as work_path,
        progress(len(videos), "faces", "videos") as advance,
    ):

        def record(row: dict) -> None:
            manifest[row["filename"]] = new_rows[row["filename"]] = row
            append_row(save_path, row)
            frames["read"] += int(row["frames_read"] or 0)
            advance(note=f"{frames['read'] / (time.perf_counter() - started):.0f} frames/s")

        def record_death(task: Task, seconds: float) -> None:
            reason = "the process that read it died; the file may crash the decoder"
            died = {"status": "failed", "reason": reason}
            died = too_slow(limit_sec) if seconds > limit_sec else died
            record(new_row(task.video) | died)

        job = functools.partial(
            process_video,
            save_path=save_path.resolve(),
            work_path=work_path.resolve(),
            settings=settings,
            timeout_sec=limit_sec,
        )
        for tasks in in_turns(videos, manifest, settings):
            run(job, tasks, record, record_death, machines, limit_sec)


def in_turns(
    videos: Sequence[Video], manifest: Mapping[str, Mapping], settings: FaceSettings
) -> Iterator[list[Task]]:
    """Yield the work in one turn, or originals first and then the fakes that share their boxes."""
    if not settings.share_boxes:
        yield [Task(video) for video in videos]
        return
    names = {video.name for video in videos} | manifest.keys()
    first, waiting = [], []
    for video in videos:
        (waiting if video.entry.get("original") in names else first).append(video)
    yield [Task(video) for video in first]
    donors = {name: row for name, row in manifest.items() if row["status"] == "ok"}
    yield [Task(video, donors.get(video.entry["original"])) for video in waiting]


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
    table.append(("manifest", str(save_path / MANIFEST_NAME)))
    print_table(f"{len(rows)} videos", table)
    failed = [row for row in rows if row["status"] != "ok"]
    for row in failed[:20]:
        print(f"no faces: {row['filename']}: {row['status']}: {row['reason']}")
    if len(failed) > 20:
        print(f"... and {len(failed) - 20} more, see the manifest")


def summary(rows: Sequence[Mapping], save_path: Path, seconds: float) -> dict:
    """Return what --json-summary prints."""
    statuses = Counter(row["status"] for row in rows)
    frames = {name: sum(int(row[name] or 0) for row in rows) for name in ("detected", "averaged")}
    return {
        "videos": len(rows),
        "statuses": dict(sorted(statuses.items())),
        "frames": frames,
        "seconds": round(seconds, 2),
        "faces": str(save_path),
        "manifest": str(save_path / MANIFEST_NAME),
    }


if __name__ == "__main__":
    sys.exit(main())
