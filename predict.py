"""Predicts which videos are deepfakes: one line per video, FAKE or REAL with its score.

Input: videos or pictures, or folders that are searched for them at any depth; they are only read.
Output, per video:

    FAKE        few real videos score that high: at most 10 of 100, see the first lines
    REAL        no sign of a fake was found: few fakes score that low, at most 20 of 100
    UNCERTAIN   the score is between these
    NO FACE     the video was read, and no face was found: there is no score
    UNREADABLE  the file is missing, not a video, or too damaged: there is no score

    python predict.py holiday.mp4 more_videos/ --json verdicts.jsonl --html verdicts.html

The first seconds of a video are scored, as many as the model was trained on; if they show no face,
the first window with a face. Every face in it is scored, and the highest-scoring one decides. With
--whole all of a video is scored, in windows. Every further window and face is one more chance of a
false positive: the rates are those of one window with one face. `face` is the share of frames in
which a face was detected, `seconds` are those of the video that were looked at. A note says what
makes a verdict less sure.

--json is a log, JSON Lines: its first line is what the verdicts depend on, and each verdict is in
it as soon as it is there. After a stop, the same command again scores the other videos only.

Exit code: 0 if all videos were scored, 1 if some could not be, 2 for an error.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import json
import math
import os
import shutil
import sys
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deepfake_detector.console import (
    EXIT_INCOMPLETE,
    ArgumentParser,
    UserError,
    add_output_arguments,
    add_settings,
    command,
    counted,
    progress,
    say,
    say_lines,
    settings_from,
)
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.faces.extraction import reason_of_loss
from deepfake_detector.files import (
    begins_with,
    check_output,
    temporary_folder,
    write_text,
    written_whole,
)
from deepfake_detector.parallel import Lost, run_tasks
from deepfake_detector.verdicts import annotated_copy, page, text
from deepfake_detector.verdicts.log import VerdictLog, header_of, is_log
from deepfake_detector.verdicts.options import PredictOptions, Task, prepare_task
from deepfake_detector.verdicts.reading import Reading, read_video, take_parts
from deepfake_detector.verdicts.scores import judge, load_scorer, score_faces
from deepfake_detector.verdicts.verdict import VERDICTS, Verdict
from deepfake_detector.videos import search

PART_SEC = 60.0  # of a long video: its scores are kept that often
TICK_SEC, NEWS_SEC = 1.0, 30.0  # how often that is looked at, and said

# No TensorFlow up here: every process that reads videos imports this file first.


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    if args.explain and args.annotate is None and args.html is None:
        raise UserError("--explain draws for --annotate or --html; give one of them")
    if args.verbose:  # TensorFlow is still to be imported
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    options = settings_from(args, PredictOptions)
    # Moments cost ten times as much as a window. A whole video has its windows over time.
    moments = bool(args.html or (args.json and not args.whole))
    options = replace(options, moments=moments, jpegs=bool(args.html))
    task = prepare_task(options)
    paths = search.find_videos(args.videos, args.annotate, args.pictures)
    check_outputs(args, task, paths)
    with temporary_folder("predict") as folder:
        header = header_of(task, html=options.jpegs, annotate=args.annotate and str(args.annotate))
        log_path = args.json or folder / "log.jsonl"
        with VerdictLog(log_path, header, paths, anew=args.overwrite) as log:
            say_lines(text.header_lines(task))
            summary = score_videos(task, paths, folder, log, args.annotate)
            write_tables(args, task, paths, log)
    print_summary(summary)
    if args.json_summary:
        print(json.dumps(summary))
    return EXIT_INCOMPLETE if summary["no_face"] + summary["unreadable"] else 0


def main_arguments() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument("videos", nargs="+", metavar="VIDEO_OR_FOLDER", help="what to score")
    add_settings(parser, PredictOptions)
    parser.set_defaults(workers=os.cpu_count() or 1)
    add = parser.add_argument_group("results").add_argument
    add("--json", type=Path, metavar="FILE", help="the log: a line per video with everything")
    add("--csv", type=Path, metavar="FILE", help="a row per video: verdict, score, note")
    add("--html", type=Path, metavar="FILE", help="a page with each verdict and the faces")
    add("--annotate", type=Path, metavar="DIR", help="a copy of each video with boxes and scores")
    add_output_arguments(
        parser,
        verbose="what TensorFlow says about the machine",
        overwrite="a log of other options, and files that predict.py did not write",
    )
    return parser


def check_outputs(args: argparse.Namespace, task: Task, paths: Sequence[Path]) -> None:
    """Raise UserError if results cannot be written, or would replace something else."""
    inputs = [*paths, task.model_path, task.model_path.parent / SETTINGS_NAME]
    files = (
        ("--json", args.json, is_log),
        ("--csv", args.csv, lambda path: begins_with(path, ",".join(text.CSV_COLUMNS))),
        ("--html", args.html, lambda path: begins_with(path, page.FIRST_LINES)),
    )
    taken: dict[Path, str] = {}
    for option, path, is_ours in files:
        if path is not None:
            check_output(option, path, inputs, is_ours, overwrite=args.overwrite)
            other = taken.setdefault(path.resolve(), option)
            if other != option:
                raise UserError(f"{other} and {option} are the same file, {path}; give two")
    if args.annotate is not None:
        check_output("--annotate", args.annotate, is_ours=lambda _: True, is_folder=True)
        for copy in annotated_copy.copies_of(paths, args.annotate).values():
            check_output("--annotate", copy, inputs, is_ours=lambda _: True)


def score_videos(
    task: Task, paths: Sequence[Path], folder: Path, log: VerdictLog, annotate: Path | None
) -> dict:
    """Add the verdicts that are missing to the log, and print the lines of all; return what
    --json-summary prints."""
    started, counts, waiting = time.perf_counter(), Counter[str](), deque(paths)
    todo = [path for path in paths if path not in log]
    copies = annotated_copy.copies_of(paths, annotate) if annotate else {}
    # Pictures need the crops, and so a long video from its beginning.
    needs_crops = bool(annotate or task.options.jpegs or task.options.explain)

    def print_lines() -> None:
        while waiting and waiting[0] in log:  # in the order of the videos
            verdict = log[waiting.popleft()]
            counts[verdict.verdict] += 1
            say(text.line_of(verdict))

    print_lines()
    with (
        progress(len(todo), "scoring", "videos") as advance,
        contextlib.closing(
            judge_videos(task, todo, folder, None if needs_crops else log)
        ) as verdicts,
    ):
        for path, found, verdict in verdicts:
            if path in copies and verdict.score is not None:
                problem = annotated_copy.draw(verdict, found.clips, copies[path])
                if problem:  # the verdict stands without it
                    say(f"note: {path}: there is no annotated copy: {problem}", sys.stderr)
            log.add(verdict)  # last: what is in there is not done again
            print_lines()
            advance()
    seconds = time.perf_counter() - started
    return {
        "videos": len(paths),
        **{key_of(verdict): counts[verdict] for verdict in VERDICTS},
        "scored_before": len(paths) - len(todo),
        "seconds": round(seconds, 2),
        "videos_per_second": round(len(todo) / seconds, 3),
        "fake_from": task.rule.point.fake_from,
        "real_below": task.rule.point.real_below,
    }


def judge_videos(
    task: Task, paths: Sequence[Path], folder: Path, log: VerdictLog | None = None
) -> Generator[tuple[Path, Reading, Verdict], None, None]:
    """Yield each video, what reading it gave and its verdict, in the order in which they are done.

    The crops are files in `folder`, deleted when the next verdict is asked for. The `log` knows the
    first windows of long videos that are not done, and takes the next ones of each minute, whose
    crops are deleted then. Raises UserError if the model cannot be opened, and OSError if there is
    no room for the crops.
    """
    if not paths:
        return
    readings = {
        str(path): Reading(Verdict(str(path), windows=log.windows_of(path) if log else ()))
        for path in paths
    }
    news = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(1) as meanwhile:
        # TensorFlow takes seconds to start, in which the first videos are read already.
        loading = meanwhile.submit(load_scorer, task)
        # videos -> windows -> faces -> clips
        for path, found in read_videos(task, paths, folder, readings):
            for part in take_parts(folder):
                name, part = part.verdict.path, score_faces(part, loading.result())
                if log is not None:
                    log.add_windows(name, part.verdict.windows)
                    part = part.without_crops()
                readings[name] = part.behind(readings[name])
            if found is None:
                if log is not None and time.perf_counter() - news > NEWS_SEC:
                    news = time.perf_counter()
                    say(text.progress_line(reading.verdict for reading in readings.values()))
                continue
            # clips -> scores -> verdict
            found = score_faces(found, loading.result()).behind(readings.pop(str(path)))
            yield path, found, judge(found, loading.result(), task)
            if found.folder is not None:
                shutil.rmtree(found.folder, ignore_errors=True)


def read_videos(
    task: Task, paths: Sequence[Path], folder: Path, known: Mapping[str, Reading]
) -> Iterator[tuple[Path, Reading | None]]:
    """Yield each video with what reading it gave, in the order in which they are done.

    Long ones give parts meanwhile, see reading.take_parts; (None, None) says to look for them.
    """
    options = task.options
    job = functools.partial(
        read_video,
        done={path: len(reading.verdict.windows) for path, reading in known.items()},
        part_sec=PART_SEC,
        folder=folder,
        settings=task.face_settings,
        num_frames=task.model_settings["num_frames"],
        whole=options.whole,
        moments=options.moments,
        timeout_sec=task.timeout_sec,
    )
    # A process watches its clock itself; one that hangs is ended. How long a whole video takes is
    # not known before it is read.
    limit_sec = math.inf if options.whole else task.timeout_sec
    tick_sec = TICK_SEC if options.whole else None
    for path, found in run_tasks(job, paths, task.machines, limit_sec, tick_sec):
        if isinstance(found, Lost):
            problem = reason_of_loss(found, limit_sec)
            found = Reading(Verdict(str(path), problem=problem, seconds=found.seconds))
        yield path, found


def write_tables(
    args: argparse.Namespace, task: Task, paths: Sequence[Path], log: VerdictLog
) -> None:
    """Write the CSV and the HTML file; raises OSError if one cannot be written."""
    names = dict(zip(map(str, paths), search.shortest_names(paths), strict=True))
    if args.csv is not None:
        args.csv.parent.mkdir(parents=True, exist_ok=True)
        write_text(args.csv, text.csv_text((names[verdict.path], verdict) for verdict in log))
    if args.html is not None:
        args.html.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(args.html) as partial, partial.open("w", encoding="utf-8") as file:
            file.writelines(page.page_parts(log, task, names))


def key_of(verdict: str) -> str:
    """Return a verdict as a key of the summary: "no_face"."""
    return verdict.lower().replace(" ", "_")


def print_summary(summary: Mapping) -> None:
    """Print counts by verdict, the seconds and the speed."""
    counts = [f"{summary[key_of(name)]} {name}" for name in VERDICTS if summary[key_of(name)]]
    seconds, before = summary["seconds"], summary["scored_before"]
    speed = f"{seconds:.1f} seconds, {summary['videos_per_second']:.2f} videos a second"
    print(
        f"{counted(summary['videos'], 'video')}: {', '.join(counts)}; "
        + (f"{before} of them scored before; " if before else "")
        + (speed if before < summary["videos"] else "nothing new")
    )


def predict(
    model: Path | str | None = None,
    videos: Path | str | Sequence[Path | str] = (),
    **options: object,
) -> list[Verdict]:
    """Return the verdict on each video, in the order of `videos`; the command gives the same.

    `videos` is a video, a folder that is searched for videos, or a list of these; one given twice
    is scored once. `options` are further fields of `PredictOptions`, such as `whole=True`;
    `moments=True` also scores each face along the video.

    By default everything happens in this process. With `workers`, that many processes read the
    videos; each of them imports the calling script, which then needs `if __name__ == "__main__":`.

    Raises UserError if the model or an option cannot be used, and if there is no video.
    """
    places = [videos] if isinstance(videos, str | Path) else videos
    if not places:
        raise UserError("no videos were given; predict.predict(videos=...) takes them")
    task = prepare_task(PredictOptions(model=model, **options))  # type: ignore[arg-type]
    paths = search.find_videos(places, pictures=task.options.pictures)
    with temporary_folder("predict") as folder:
        verdicts = {path: verdict for path, _, verdict in judge_videos(task, paths, folder)}
    return [verdicts[path] for path in paths]


if __name__ == "__main__":
    sys.exit(main())
