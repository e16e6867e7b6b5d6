"""Opens a page on this machine that takes videos and says which are deepfakes.

    python app.py

Input: videos or pictures that are dropped on the page, or recorded with the camera. Output, for
each: the verdict of predict.py, with what it rests on, the score over time and the faces; an
annotated copy, CSV, JSON Lines and an HTML page to download.

The page is at http://127.0.0.1:7860, for this machine, and nothing is sent anywhere. With --host
0.0.0.0 everybody who reaches this machine can use it. An upload is deleted when it is judged, and
results after an hour. Ctrl-C ends the page. Programs can ask for a verdict, too: docs/page.md.

pip install -r requirements-app.txt installs what it needs.
"""

import argparse
import asyncio
import functools
import os
import socket
import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import TimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from pebble import ProcessExpired

from deepfake_detector.console import (
    ArgumentError,
    ArgumentParser,
    UserError,
    command,
    reason_of,
    require,
    say,
    say_lines,
)
from deepfake_detector.faces.extraction import reason_of_loss
from deepfake_detector.files import temporary_folder
from deepfake_detector.parallel import Lost, start_pool
from deepfake_detector.scoring import trained_model
from deepfake_detector.verdicts import annotated_copy, scores, text
from deepfake_detector.verdicts.options import PredictOptions, Task, prepare_task
from deepfake_detector.verdicts.reading import read_video
from deepfake_detector.verdicts.rule import decide
from deepfake_detector.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
GRACE_SEC = 60.0  # for the model and the copy, next to the time limit of a video
# The page loads what it needs from this server and from nowhere else; Gradio has scripts and styles
# within the page. Camera and results are blobs.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' "
    "data:; worker-src 'self' blob:; connect-src 'self' data: blob:; object-src 'none'; base-uri "
    "'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# The worker does without Gradio, and the process of the page without TensorFlow; so both are
# imported where they are needed.


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = app_arguments().parse_args(argv)
    if args.upload_mb < 1:
        raise ArgumentError("upload_mb", args.upload_mb, "1 or more")
    if args.port is not None and not 0 < args.port < 1 << 16:
        raise ArgumentError("port", args.port, "a number from 1 to 65535")
    require("gradio", file="requirements-app.txt")
    task = prepare_task(PredictOptions(model=args.model))
    check_address(args.host, args.port)
    say_lines(text.header_lines(task)[:-1])
    with temporary_folder("app") as folder:
        serve(task, folder, args)
    return 0


def app_arguments() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    trained_model.add_model_argument(parser)
    add("--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine only)")
    add("--port", type=int, help="port to listen at (default: the first free one from 7860 on)")
    add(
        "--upload-mb",
        type=int,
        default=500,
        metavar="MB",
        help="largest file that is taken (%(default)s)",
    )
    add("--no-browser", action="store_true", help="only print the address, open no browser")
    return parser


def check_address(host: str, port: int | None) -> None:
    """Raise UserError if nothing can listen there; Gradio would try for minutes."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        socket.create_server((address[0], port or 0), family=family).close()
    except OSError as error:
        place = f"--host {host}" if port is None else f"--host {host}, --port {port}"
        why = reason_of(error)
        raise UserError(f"cannot listen at {place}: {why}; give another address") from error


def serve(task: Task, folder: Path, args: argparse.Namespace) -> None:
    """Serve the page until the process ends; `folder` takes all files.

    Raises UserError if the model cannot be opened.
    """
    # Gradio reads the first when it is imported; TensorFlow leaves files in the second.
    os.environ.update(GRADIO_TEMP_DIR=str(folder), TMPDIR=str(folder))
    # Gradio asks the page whether it is there; a proxy could not.
    os.environ["no_proxy"] = f"{os.environ.get('no_proxy', '')},127.0.0.1,localhost"
    from starlette.middleware import Middleware

    from deepfake_detector.verdicts import web_page

    prepare = functools.partial(_model_problem, task.model_path)
    worker = Worker(prepare, task.timeout_sec + GRACE_SEC)
    problem = asyncio.run(worker.run(prepare))
    if problem:
        raise UserError(problem)
    page = web_page.Page(task, worker.judge, worker.explain, folder)
    blocks = page.layout(args.upload_mb).queue(default_concurrency_limit=1)
    has_screen = os.name == "nt" or sys.platform == "darwin" or "DISPLAY" in os.environ
    is_local = args.host in LOCAL_HOSTS
    _, address, _ = blocks.launch(
        server_name=args.host,
        server_port=args.port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=has_screen and not args.no_browser,
        show_error=True,
        footer_links=[],
        run_history=False,
        max_file_size=args.upload_mb * 2**20,
        ssr_mode=False,
        enable_monitoring=False,
        theme=web_page.THEME,
        head=web_page.HEAD,
        app_kwargs={
            "openapi_url": None,
            "middleware": [Middleware(Guard, hosts=LOCAL_HOSTS if is_local else ())],
        },
    )
    say(f"the page is at {address}; Ctrl-C ends it")
    if not is_local:
        say(
            "note: everybody who reaches this machine over the network can use the page, without a "
            "password, and what they upload comes unencrypted",
            sys.stderr,
        )
    blocks.block_thread()


class Guard:
    """An ASGI middleware that refuses what pages of other sites ask for.

    Such a page, whose name is made to point to this machine, could read ours (DNS rebinding); so
    only requests to these `hosts` are answered, if there are any.
    """

    def __init__(self, page: Any, hosts: Collection[str]):
        self._page, self._hosts = page, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        if scope["type"] == "http" and self._is_foreign(scope):
            await send_with_policy({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"This page does not answer that."})
        else:
            await self._page(scope, receive, send_with_policy)

    def _is_foreign(self, request: Any) -> bool:
        headers = {name: value.decode("latin-1") for name, value in request["headers"]}
        host, path = headers.get(b"host", ""), request["path"]
        is_other_host = self._hosts and urlsplit(f"//{host}").hostname not in self._hosts
        is_other_site = urlsplit(headers.get(b"origin", f"//{host}")).netloc != host
        # Gradio would fetch these addresses for anybody.
        return is_other_host or is_other_site or "/file=http" in path or "/proxy=" in path


class Worker:
    """One process with the model, which does one job at a time.

    A video that crashes the decoder takes that process with it and nothing else: the next video
    gets a new one. A job that is cancelled ends the process, too, so that works at any moment.
    """

    def __init__(self, prepare: Callable[[], object], limit_sec: float):
        self._prepare, self._limit_sec = prepare, limit_sec
        self._pool = start_pool(1, prepare)

    async def judge(
        self, path: Path, crops: Path, folder: Path, task: Task
    ) -> tuple[Verdict, np.ndarray | None]:
        """Return the verdict on an upload, and the clip that decided.

        Crops go into the folder `crops`, and an annotated copy into `folder`, if the task asks for
        pictures.
        """
        judged = await self.run(_judge_upload, path, crops, folder, task)
        if isinstance(judged, Lost):
            problem = reason_of_loss(judged, self._limit_sec)
            return decide(Verdict(str(path), problem=problem), task.rule), None
        return judged

    async def explain(self, verdict: Verdict, clip: np.ndarray) -> Verdict:
        """Return the verdict with an occlusion map, or as it is if that fails."""
        explained = await self.run(_explain, verdict, clip)
        return verdict if isinstance(explained, Lost) else explained

    async def run(self, job: Callable, *args: object) -> Any:
        """Return `job(*args)`, or Lost if the process died or took too long."""
        if not self._pool.active:  # the process died between two jobs
            self._pool = start_pool(1, self._prepare)
        try:
            # Whoever cancels this coroutine cancels the future, and so the job.
            return await asyncio.wrap_future(
                self._pool.schedule(job, args=args, timeout=self._limit_sec)
            )
        except (TimeoutError, ProcessExpired, BrokenProcessPool) as error:
            return Lost(isinstance(error, TimeoutError), self._limit_sec)


# In the process


@functools.cache
def _warm_scorer(model_path: Path) -> "ClipScorer":
    """Return the scorer with its graph traced, so that the first video is as fast as the second."""
    scorer = scores.load_scorer(prepare_task(PredictOptions(model=model_path)))
    scorer.score_clips(np.zeros((1, scorer.num_frames, *scorer.img_size, 3), np.uint8))
    return scorer


def _model_problem(model_path: Path) -> str:
    """Return why the model cannot be opened, or ""; then it is ready."""
    try:
        _warm_scorer(model_path)
    except UserError as error:
        return str(error)
    return ""


def _judge_upload(
    path: Path, crops: Path, folder: Path, task: Task
) -> tuple[Verdict, np.ndarray | None]:
    found = read_video(
        path,
        crops,
        task.face_settings,
        task.model_settings["num_frames"],
        task.options.whole,
        task.options.moments,
        task.timeout_sec,
    )
    scorer = _warm_scorer(task.model_path)
    verdict, clip = scores.judge(scores.score_faces(found, scorer), scorer, task), None
    if task.options.jpegs and verdict.score is not None:
        annotated_copy.draw(verdict, found.clips, annotated_copy.copies_of([path], folder)[path])
        clip = scores.deciding_clip(verdict, found.clips, scorer)
    return verdict, clip


def _explain(verdict: Verdict, clip: np.ndarray) -> Verdict:
    return scores.with_occlusion(verdict, clip, _warm_scorer(Path(verdict.model)))


if __name__ == "__main__":
    sys.exit(main())
