"""Many videos in, the faces of each out: in worker processes, or in this one. No TensorFlow.

for number, found in read_videos(task, paths, folder, timeline=False):
    ...                                       # found: VideoFaces of paths[number]
"""

import contextlib
import errno
import functools
import math
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from deepfake_detector import parallel
from deepfake_detector.console import UserError, reason_of
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import extraction
from deepfake_detector.prediction.task import Task
from deepfake_detector.prediction.windows import VideoFaces, find_faces

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
NumberedFaces = tuple[int, VideoFaces]  # the number is the place in the list of paths


def read_videos(
    task: Task, paths: Sequence[Path], folder: Path, timeline: bool
) -> Generator[NumberedFaces, None, None]:
    """Yield what reading gave of each video, in the order in which they are done.

    Crops go into new folders in `folder`. A video that cannot be read is a result like any other.
    Raises UserError where there is no room for the crops.
    """
    job = functools.partial(
        _find_numbered_faces,
        folder=folder,
        settings=task.face_settings,
        num_frames=task.model_settings["num_frames"],
        whole=task.whole,
        timeline=timeline,
        timeout_sec=task.timeout_sec,
    )
    items = list(enumerate(paths))
    try:
        if task.machines.workers:
            yield from _read_in_processes(job, items, task)
        else:
            yield from map(job, items)
    except OSError as error:
        # Other errors, of a pipe between processes for example, have nothing to do with the folder.
        if error.errno not in NO_ROOM and not str(error.filename or "").startswith(str(folder)):
            raise
        raise UserError(
            f"cannot write temporary files to {folder.parent}: {reason_of(error)}; make room "
            "there, or name another folder with TMPDIR"
        ) from error


def _find_numbered_faces(
    item: tuple[int, Path],
    folder: Path,
    settings: FaceSettings,
    num_frames: int,
    whole: bool,
    timeline: bool,
    timeout_sec: float,
) -> NumberedFaces:
    number, path = item
    return number, find_faces(path, folder, settings, num_frames, whole, timeline, timeout_sec)


def _read_in_processes(
    job: Callable[[tuple[int, Path]], NumberedFaces], items: list[tuple[int, Path]], task: Task
) -> Iterator[NumberedFaces]:
    # A process watches its clock itself; one that hangs is ended. Nobody knows how long a whole
    # video is before it is read.
    limit_sec = math.inf if task.whole else task.timeout_sec

    def run(record: Callable[[NumberedFaces], None]) -> None:
        def record_death(item: tuple[int, Path], seconds: float) -> None:
            reason = extraction.process_died(seconds, limit_sec)["reason"]
            record((item[0], VideoFaces(problem=reason, seconds=seconds)))

        workers = min(task.machines.workers, max(1, len(items)))
        parallel.run_in_processes(job, items, record, record_death, workers, limit_sec, stop)

    stop = parallel.Stop()
    return _yield_recorded(run, stop)


class _StoppedError(Exception):
    """Nobody waits for further results."""


def _yield_recorded(
    run: Callable[[Callable[[NumberedFaces], None]], None],
    stop: parallel.Stop,
) -> Iterator[NumberedFaces]:
    """Yield what `run(record)` records, while it runs in a thread; it waits for the consumer.

    An error of `run` is raised here. When the consumer stops early, so do `run` and its processes.
    """
    # One result waits at most, or crops would fill the disk where scoring is slower than reading.
    results: queue.Queue[NumberedFaces | None] = queue.Queue(maxsize=1)
    stopped, errors = threading.Event(), list[BaseException]()

    def record(result: NumberedFaces) -> None:
        results.put(result)
        if stopped.is_set():
            raise _StoppedError

    def run_to_the_end() -> None:
        try:
            run(record)
        except BaseException as error:  # raised again in the thread of the consumer
            errors.append(error)
        results.put(None)

    thread = threading.Thread(target=run_to_the_end, daemon=True)
    thread.start()
    try:
        while (result := results.get()) is not None:
            yield result
        if errors:
            raise errors[0]
    finally:
        stopped.set()
        stop.now()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                results.get(timeout=0.1)
