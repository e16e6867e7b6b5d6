"""Opens a page on this machine that takes a video and says whether it is a deepfake.

    python app.py

Goes in: videos or pictures that are dropped on the page, or recorded with the camera. Comes out,
for each: the verdict of predict.py with its score, what the threshold means, from how many frames
and seconds; why, with the score over time above the faces that were looked at; JSON, CSV, a page
and a copy of the video with what was seen drawn in, to take away.

The page is at http://127.0.0.1:7860, for this machine, and nothing is sent anywhere. With --host
0.0.0.0 everybody who reaches this machine can use it. What is uploaded is deleted within minutes,
results a few minutes after the page is closed. Ctrl-C ends it.

pip install -r requirements-app.txt installs what it needs.
"""

import argparse
import contextlib
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from deepfake_detector import endings, libraries
from deepfake_detector.console import (
    ArgumentError,
    ArgumentParser,
    UserError,
    command,
    say,
    say_lines,
)
from deepfake_detector.files import temporary_folder
from deepfake_detector.prediction.task import Task, prepare_task
from deepfake_detector.scoring import calibration, trained_model
from deepfake_detector.web_app.address import is_this_machine_only, listen, say_address
from deepfake_detector.web_app.desk import Desk
from deepfake_detector.web_app.fragments import HEAD, STYLE
from deepfake_detector.web_app.worker import Worker

SWEEP_SEC = 30.0  # between two looks for files of pages that were closed


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = app_arguments().parse_args(argv)
    if args.upload_mb < 1:
        raise ArgumentError("upload_mb", args.upload_mb, "1 or more")
    if not args.longest_sec > 0:
        raise ArgumentError("longest_sec", args.longest_sec, "a number of seconds above 0")
    libraries.require("gradio", "fastapi", "uvicorn", file="requirements-app.txt")
    tasks = tasks_of(args.model)
    task = next(iter(tasks.values()))
    listening = listen(args.host, args.port)
    with temporary_folder("app") as folder:
        # TensorFlow, in the worker, leaves files in the temporary folder when it is ended.
        os.environ["TMPDIR"] = str(folder)
        worker = Worker(task)
        worker.start()  # and loads TensorFlow while the page opens
        desk = Desk(tasks, worker, folder, args.longest_sec)
        server = serve(desk, listening, args)
        say_lines(trained_model.describe(task.model_path, task.model_settings))
        say_address(args.host, listening.getsockname()[1], args.no_browser)
        with endings.interrupts_raised(), contextlib.suppress(KeyboardInterrupt):
            wait_for_the_end(server, desk)
        worker.stop()
        say("the page is closed, and its files are deleted")
    return 0


def app_arguments() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    trained_model.add_model_argument(parser)
    add("--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine only)")
    add(
        "--port", type=int, default=7860, help="port to listen at; 0 takes a free one (%(default)s)"
    )
    add(
        "--upload-mb",
        type=int,
        default=500,
        metavar="MB",
        help="largest file that is taken (%(default)s)",
    )
    add(
        "--longest-sec",
        type=float,
        default=300.0,
        help="longest video of which all is looked at (%(default)g)",
    )
    add("--no-browser", action="store_true", help="only print the address, open no browser")
    return parser


def tasks_of(model: Path | None) -> dict[str, Task]:
    """Return a task for each operating point that a model has, its own one first.

    Raises UserError where the model cannot be used.
    """
    usual = prepare_task(model)
    problem = trained_model.model_problem(usual.model_path)
    if problem:
        raise UserError(
            f"{usual.model_path} {problem}; give another one with --model, or train it again"
        )
    tasks = {usual.operating_point.name: usual}
    points = calibration.operating_points(usual.model_settings)
    for name in calibration.OPERATING_POINTS:
        if name not in tasks and points.get(name, {}).get("threshold") is not None:
            tasks[name] = prepare_task(model, name)
    return tasks


def wait_for_the_end(server: threading.Thread, desk: Desk) -> None:
    """Wait until the server has ended, and clear away what visitors have left behind."""
    while server.is_alive():
        server.join(SWEEP_SEC)
        desk.clear_away()


def serve(desk: Desk, listening: socket.socket, args: argparse.Namespace) -> threading.Thread:
    """Serve the page in a thread that ends with the process; return it."""
    # Gradio reads these when it is imported. What is uploaded goes with the folder.
    os.environ["GRADIO_TEMP_DIR"] = str(desk.uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import fastapi
    import gradio as gr
    import uvicorn

    from deepfake_detector.web_app.layout import THEME, layout
    from deepfake_detector.web_app.server import SafeHeaders, add_downloads

    server = fastapi.FastAPI(openapi_url=None)
    add_downloads(server, desk)
    blocks = layout(desk, args.upload_mb)
    # Or Gradio, which believes that it is not served yet, opens any path that a request names.
    blocks.has_launched = True
    gr.mount_gradio_app(
        server,
        blocks,
        path="/",
        server_name=args.host,
        server_port=listening.getsockname()[1],
        footer_links=[],
        run_history=False,
        max_file_size=args.upload_mb * 2**20,
        ssr_mode=False,
        enable_monitoring=False,
        theme=THEME,
        head=HEAD,
        css=STYLE,
    )
    # Another site could have its own name point to this machine, and so read what is on the page.
    hosts = {"127.0.0.1", "localhost", "[::1]"} if is_this_machine_only(args.host) else ()
    config = uvicorn.Config(SafeHeaders(server, hosts), log_level="warning")
    thread = threading.Thread(
        target=uvicorn.Server(config).run, args=([listening],), daemon=True, name="server"
    )
    thread.start()
    return thread


if __name__ == "__main__":
    sys.exit(main())
