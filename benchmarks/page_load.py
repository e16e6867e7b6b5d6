"""The page of app.py under load: large uploads, one after another and several at once.

    python -m benchmarks.page_load

A visitor uploads `--one-by-one` videos of 50 MB, one after another, and then `--at-once` visitors
one each at the same time. Reported are the verdicts that came, the seconds from upload to the end
of each, the memory of the page and of its worker, and the files in the temporary folder of the
page, while visitors are there and after they have left. The video is synthetic, 1080 pixels high
and 10 seconds long. Ends with one line of JSON. Linux only; takes 10 to 20 minutes on 2 cores.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

# Read when gradio_client is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import av
import numpy as np
from gradio_client import Client, handle_file

from app import SWEEP_SEC
from benchmarks.browser import served_page
from benchmarks.prediction_load import memory_of
from deepfake_detector.prediction.verdicts import VERDICTS
from deepfake_detector.synthetic.people import random_person
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.web_app.sessions import KEPT_SEC

FPS, SECONDS, SIDE = 25, 10, 1080
BITS_A_SECOND = 44_000_000  # 55 MB in 10 seconds
LEAST_BYTES = 50_000_000


def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="page-load-") as folder:
        work = Path(folder)
        videos = make_videos(work / "videos", args.one_by_one + args.at_once)
        page_folder = work / "page"
        page_folder.mkdir()
        os.environ["TMPDIR"] = str(page_folder)
        started = time.monotonic()
        with served_page() as address:
            print(f"the page is there after {time.monotonic() - started:.1f} seconds", flush=True)
            results = load(address, videos, args.one_by_one, page_folder)
        results["files_after_the_end"] = len([*page_folder.rglob("*")])
    print(json.dumps(results))
    return 0 if results["verdicts"].total() == len(videos) else 1


def load(address: str, videos: Sequence[Path], one_by_one: int, page_folder: Path) -> dict:
    """Upload all videos, and watch time, memory and files."""
    page, worker = processes()
    watch = Watch(page, page_folder)
    watch.look("before the first")
    visitor = new_visitor(address)
    seconds, to_verdicts, verdicts = [], [], Counter[str]()
    for number, video in enumerate(videos[:one_by_one], start=1):
        verdict, to_verdict_sec, took_sec = upload(visitor, video)
        verdicts[verdict] += 1
        to_verdicts.append(to_verdict_sec)
        seconds.append(took_sec)
        if number in {1, one_by_one} or number % 10 == 0:
            watch.look(f"after {number}, one after another")
    at_once = videos[one_by_one:]
    visitors = [new_visitor(address) for _ in at_once]
    with concurrent.futures.ThreadPoolExecutor(max(1, len(at_once))) as pool:
        together = [*pool.map(upload, visitors, at_once)]
    verdicts.update(verdict for verdict, *_ in together)
    watch.look(f"after {len(at_once)} at once")
    print(f"verdicts: {dict(verdicts)}")
    report_seconds("to the first verdict", to_verdicts[:1])
    report_seconds("to the others", to_verdicts[1:])
    report_seconds("to the copy, one after another", seconds)
    report_seconds("to the copy, at once", [took_sec for *_, took_sec in together])
    for each in [visitor, *visitors]:
        each.close()
    deadline = time.monotonic() + KEPT_SEC + 4 * SWEEP_SEC
    while count_files(page_folder)[0] and time.monotonic() < deadline:
        time.sleep(1)
    watch.look("after the visitors have left")
    return {
        "verdicts": verdicts,
        "seconds_one_by_one": [round(each, 1) for each in seconds],
        "seconds_to_verdict": [round(each, 1) for each in to_verdicts],
        "seconds_at_once": [round(each, 1) for *_, each in together],
        "looks": watch.looks,
        "same_worker": processes() == (page, worker),
    }


class Watch:
    """Notes the memory of the page and its worker, and the files that are there."""

    def __init__(self, page: int, page_folder: Path):
        self._page, self._page_folder = page, page_folder
        self.looks: list[dict] = []

    def look(self, when: str) -> None:
        workers = [memory_of(child) for child in children_of(self._page)]
        files, mb = count_files(self._page_folder)
        memory_mib = round(memory_of(self._page))
        worker_mib = round(max(workers, default=0.0))
        print(
            f"{when}: page {memory_mib} MiB, worker {worker_mib} MiB, {files} files of {mb:.0f} MB",
            flush=True,
        )
        self.looks.append(
            {
                "when": when,
                "page_mib": memory_mib,
                "worker_mib": worker_mib,
                "files": files,
                "files_mb": round(mb, 1),
            }
        )


def make_videos(folder: Path, count: int) -> list[Path]:
    """Write a video of at least 50 MB of a synthetic person, and copies that differ in a few bytes
    at their end: the page would take equal ones for one file."""
    folder.mkdir()
    first = folder / "000.mp4"
    there_and_back = draw_frames(random_person(1), FPS * 2, SIDE, FPS, seed=1)
    there_and_back = np.concatenate([there_and_back, there_and_back[::-1]])
    rate = str(BITS_A_SECOND)
    options = {"preset": "ultrafast", "nal-hrd": "cbr", "maxrate": rate, "bufsize": rate}
    with av.open(str(first), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.bit_rate = "yuv420p", BITS_A_SECOND
        for number in range(FPS * SECONDS):
            image_rgb = there_and_back[number % len(there_and_back)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_rgb, "rgb24")))
        container.mux(stream.encode(None))
    content = first.read_bytes()
    assert len(content) >= LEAST_BYTES, f"the video has {len(content):,} bytes only"
    print(f"{count} videos of {len(content) / 1e6:.0f} MB", flush=True)
    videos = [folder / f"{number:03d}.mp4" for number in range(count)]
    for number, video in enumerate(videos):
        video.write_bytes(content + b"\0\0\0\x0cfree" + number.to_bytes(4, "big"))
    return videos


def new_visitor(address: str) -> Client:
    return Client(address, verbose=False, analytics_enabled=False, download_files=False)


def upload(visitor: Client, video: Path) -> tuple[str, float, float]:
    """Upload a video and wait for the end; return the first word of what the page says then, and
    the seconds to the verdict and to the end, when the copy is drawn, too."""
    started, to_verdict_sec, word = time.monotonic(), 0.0, ""
    for said in visitor.submit([handle_file(video)], False, api_name="/judge"):
        words = str(said[0]).partition(f"{video.name}: ")[2]
        word = words.partition(" ")[0] or f"nothing: {said[0]}"
        if not to_verdict_sec and word in VERDICTS:
            to_verdict_sec = time.monotonic() - started
    return word, to_verdict_sec, time.monotonic() - started


def processes() -> tuple[int, int]:
    """Return the ids of the processes of the page and of its worker."""
    page = next(pid for pid in children_of(os.getpid()) if "app.py" in command_of(pid))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        workers = [pid for pid in children_of(page) if "spawn_main" in command_of(pid)]
        if workers:
            return page, workers[0]
        time.sleep(0.2)
    raise RuntimeError("the page has no worker")


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def count_files(folder: Path) -> tuple[int, float]:
    """Return the number of files of visitors, and their MB."""
    sizes = []
    for path in folder.glob("app-*/*/**/*"):  # right below app-* is what belongs to the page itself
        try:
            if path.is_file():
                sizes.append(path.stat().st_size)
        except OSError:  # it has just been deleted
            continue
    return len(sizes), sum(sizes) / 1e6


def report_seconds(title: str, seconds: Sequence[float]) -> None:
    if seconds:
        middle, longest = statistics.median(seconds), max(seconds)
        print(f"{title}: {middle:.1f} seconds in the median, {longest:.1f} at most")


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--one-by-one", type=int, default=20, help="uploads of one visitor (%(default)s)")
    add("--at-once", type=int, default=5, help="visitors at the same time (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
