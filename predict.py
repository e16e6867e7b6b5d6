"""Predicts which videos are deepfakes: one line per video, FAKE or REAL with its score.

Goes in: videos or pictures, or folders that are searched for them at any depth. They are only read.
Comes out, per video:

    FAKE        P(fake) is at or above the threshold of the model
    REAL        it is below
    UNCERTAIN   it is so close to the threshold that it may be on the other side
    NO FACE     the video was read, and no face was found: there is no score
    UNREADABLE  the file is missing, no video, or too damaged: there is no score

    python predict.py holiday.mp4 more_videos/

The model is the one that comes with this project, or with --model run/model.keras your own, with
its settings.json next to it. The first lines say which one it is, and how many real videos it takes
for fakes at its threshold. UNCERTAIN reaches the further from the threshold the fewer videos the
model was validated on.

The same from Python, with one object per video (see `predict`):

    for video in predict.predict(videos=["holiday.mp4", "more_videos"]):
        print(video.path, video.verdict, video.score)

`face` is the share of frames in which a face was detected, `seconds` are those of the video that
were looked at. Faces are cut out as the model's
settings say, by the code of processing.py. Every face in a video is scored: the highest-scoring one
decides, and the line of a video with several faces says which. The first seconds of a video are
scored, as many as the model was trained on; where they show no face, the first such stretch that
does, within --search-sec. With --whole all of it is scored, in windows of that length, and the
highest-scoring window decides. Every further window and face is one more chance of a false
positive: the model's threshold is for one of each.

A picture is a video of one frame, and a folder of numbered pictures a video without a clock, taken
as 25 frames a second. With
--faces as-is no face is searched for: the central square of each frame is scored, for pictures that
are faces already, cut out as those that the model was trained on.

Every verdict says what it rests on: seconds that were looked at of seconds there, frames, faces,
the model and what it was trained on. Its line has a note where that is thin: a part of the video
only, few frames, a face in few of them, a still picture, moments that do not agree.

--csv writes a row per video with its status, and a score where there is one. --csv-format dfdc
writes the form of Kaggle's DFDC, `filename,label`, label = P(fake). That needs a number for every
video: one without a score gets --no-face-score. The name is the path as far as needed to
distinguish the videos. A name that begins with = + - or @ gets an apostrophe in front, so that it
stays text in a spreadsheet.

--html writes a page for people: each verdict with what it rests on, the faces at every moment, and
how often the model errs. It is one file that needs no network, about 0.15 MB a video.

With --json, --csv or --html each verdict is kept as soon as it is there, in FILE.unfinished.jsonl.
After a stop, the same command with --resume scores the other videos only.

Exit code: 0 if all videos were scored, 1 if some could not be or a file could not be written, 2 for
a wrong argument.
"""

import deepfake_detector  # noqa: F401  first: from here on Ctrl-C is one line

# isort: split
import concurrent.futures
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from deepfake_detector.endings import before_the_end
from deepfake_detector.faces.yunet import check_detector

from deepfake_detector.console import EXIT_INCOMPLETE, UserError, command, progress
from deepfake_detector.files import temporary_folder
from deepfake_detector.prediction.arguments import check_arguments, main_arguments
from deepfake_detector.prediction.judging import judge_faces
from deepfake_detector.prediction.reading import read_videos
from deepfake_detector.prediction.scores import load_scorer
from deepfake_detector.prediction.task import Destinations, Task, prepare_task
from deepfake_detector.prediction.verdicts import JudgedVideo
from deepfake_detector.results.outputs import Outputs
from deepfake_detector.results.video_verdict import VideoVerdict, plain_result
from deepfake_detector.videos import search

# No TensorFlow up here: every process that reads videos imports this file first.


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments(__doc__).parse_args(argv)
    check_arguments(args)
    if args.verbose:  # TensorFlow is still to be imported
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    task = prepare_task(
        args.model,
        args.operating_point,
        args.faces,
        args.whole,
        args.windows,
        args.workers,
        args.timeout_sec,
        args.search_sec,
        args.detector,
    )
    paths = search.find_videos(args.videos, args.annotate, args.pictures)
    to = Destinations(
        args.csv,
        args.json,
        args.annotate,
        args.csv_format,
        args.no_face_score,
        args.explain,
        args.html,
    )
    outputs = Outputs(task, paths, to, args.overwrite)

    started, all_written = time.perf_counter(), True
    outputs.print_header()
    try:
        numbers = outputs.take_up() if args.resume else range(len(paths))
        with before_the_end(outputs.write_tables):
            score_videos(task, paths, numbers, to, outputs)
    finally:  # of an interrupted run, what is done
        all_written = outputs.write_tables()
    if all_written:
        outputs.finish()
    summary = outputs.summary(time.perf_counter() - started)
    outputs.print_summary(summary)
    if args.json_summary:
        print(json.dumps(summary))
    all_scored = not summary["no_face"] + summary["unreadable"]
    return 0 if all_scored and all_written else EXIT_INCOMPLETE


def score_videos(
    task: Task, paths: Sequence[Path], numbers: Sequence[int], to: Destinations, outputs: Outputs
) -> None:
    """Give the verdicts on the videos of these numbers to `outputs`, as they are done."""
    if not numbers:
        return
    chosen = [paths[number] for number in numbers]
    with (
        progress(len(chosen), "scoring", "videos") as advance,
        contextlib.closing(judge_videos(task, chosen, to.timeline, to.explain)) as verdicts,
    ):
        for order, judged in verdicts:
            outputs.add(numbers[order], judged)
            advance()


def predict(
    model: Path | str | None = None,
    videos: Path | str | Sequence[Path | str] = (),
    *,
    operating_point: str | None = None,
    faces: str | None = None,
    whole: bool = False,
    windows: str = "worst",
    timeline: bool = False,
    workers: int = 0,
    timeout_sec: float | None = None,
    search_sec: float | None = None,
    pictures: str = "auto",
    detector: str | None = None,
) -> list[VideoVerdict]:
    """Return the verdict on each video, in the order of `videos`; the command gives the same.

    `model` is the model.keras of a run, or the run folder, or None for the model that comes with
    this project; `videos` is a video, a folder that is searched for videos, or a list of these. A
    video given twice is in the result once. A video that
    cannot be read is no error but a verdict, "UNREADABLE", and its `note` says why.

    `operating_point` names the threshold, one of `calibration.OPERATING_POINTS` (default: that of
    equal errors, or a half where the model has none). `faces` is "all", "main" or "as-is", for
    pictures and frames that are faces already (default: "all", or "as-is" for a model trained on
    such). `search_sec` is how many seconds are searched for the first face (default: that of the
    model). `whole` scores all of a video instead of its first seconds, and `windows`, "worst" or
    "median", says which of its windows decides. `timeline` also scores each face along the video,
    once every half second. A video, or with `whole` a window, is given up after `timeout_sec`
    (default: by the seconds that the model takes, and `search_sec`). `pictures` says whether
    numbered pictures in a folder are the "frames" of one video or "single" pictures (default:
    "auto", by the names). `detector` is
    "yunet=FILE.onnx" for a model whose faces YuNet found.

    By default everything happens in this process. With `workers`, that many processes read the
    videos; each of them imports the calling script, which needs `if __name__ == "__main__":` then.

    Raises UserError where the model or an option cannot be used, where there is no video, and for
    an address or a camera in place of one.
    """
    places = [videos] if isinstance(videos, (str, Path)) else videos
    if not places:
        raise UserError("no videos were given; predict.predict(videos=...) takes them")
    task = prepare_task(
        model,
        operating_point,
        faces,
        whole,
        windows,
        workers,
        timeout_sec,
        search_sec,
        detector,
    )
    paths = search.find_videos(places, pictures=pictures)
    results = {
        number: plain_result(judged) for number, judged in judge_videos(task, paths, timeline)
    }
    return [results[number] for number in range(len(paths))]


def judge_videos(
    task: Task, paths: Sequence[Path], timeline: bool = False, explain: bool = False
) -> Generator[tuple[int, JudgedVideo], None, None]:
    """Yield each video's place in `paths` and its verdict, in the order in which they are done.

    The crops that a verdict refers to are files, deleted when the next verdict is asked for.
    With `timeline` also score each face along the video; with `explain` also find out what in the
    deciding face the score rests on. Raises UserError where the model cannot be opened or there is
    no room for the crops.
    """
    check_detector(task.face_settings.detector_file)
    with (
        concurrent.futures.ThreadPoolExecutor(1) as meanwhile,
        temporary_folder("predict") as folder,
        # videos -> windows -> faces -> clips
        contextlib.closing(read_videos(task, paths, folder, timeline)) as videos,
    ):
        # TensorFlow takes seconds to start, in which the first videos are read already.
        loading = meanwhile.submit(load_scorer, task.model_path, task.model_settings)
        for number, found in videos:
            # clips -> scores -> verdict
            yield number, judge_faces(paths[number], found, loading.result(), task, explain)
            if found.folder is not None:
                shutil.rmtree(found.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
