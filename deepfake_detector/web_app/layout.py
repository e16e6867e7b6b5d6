"""The layout of the page of app.py, on Gradio: what is where, and what happens when.

gr.mount_gradio_app(server, layout(desk, upload_mb), path="/", theme=THEME)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from deepfake_detector.prediction.task import Task
from deepfake_detector.results.annotated_video import title_of
from deepfake_detector.scoring import calibration
from deepfake_detector.web_app.desk import Desk, Status
from deepfake_detector.web_app.fragments import (
    CHOOSE_MOMENT,
    HEADING,
    IS_STATUS,
    NOTHING_YET,
    READY,
    TITLE,
    copy_html,
    status_html,
    tables_html,
)
from deepfake_detector.web_app.sessions import Result, Session

# Fonts of the system, and none from elsewhere.
THEME = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"])
POINTS = {
    calibration.EQUAL_ERROR: "as many real ones called fake as fakes missed",
    "fpr-5": "at most 5 of 100 real ones called fake",
    "fpr-1": "at most 1 of 100 real ones called fake",
    calibration.HALF: "a score of one half",
}

# What is asked of the camera: more is not seen in a face, and takes longer.
CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}}


def layout(desk: Desk, upload_mb: int) -> gr.Blocks:
    """Return the page: what is where, and what happens when."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(HEADING)
        with gr.Row():
            with gr.Column(scale=2, min_width=300, elem_id="side"):
                with gr.Tab("Files"):
                    files = gr.File(
                        label=f"Videos or pictures, up to {upload_mb} MB",
                        file_count="multiple",
                        height=150,
                        elem_id="files",
                    )
                with gr.Tab("Camera"):
                    camera = gr.Video(
                        label="A recording",
                        sources=["webcam"],
                        include_audio=False,
                        webcam_options=gr.WebcamOptions(mirror=False, constraints=CAMERA),
                        height=240,
                    )
                    camera.preprocess = path_of
                whole = gr.Checkbox(label="Look at all of a video, not at its start only")
                status = gr.HTML(status_html(READY), elem_id="status", js_on_load=IS_STATUS)
                cancel = gr.Button("Cancel", interactive=False, size="sm", elem_id="cancel")
                results = gr.Radio([], label="Results", elem_id="results")
                tables = gr.HTML(elem_id="tables")
                names = [(point_label(name, task), name) for name, task in desk.tasks.items()]
                with gr.Accordion("Threshold", open=False, elem_id="threshold"):
                    point = gr.Radio(
                        names,
                        value=names[0][1],
                        label="What is called fake",
                        elem_id="point",
                    )
            with gr.Column(scale=5, min_width=320):
                shown = gr.HTML(
                    NOTHING_YET,
                    elem_id="shown",
                    js_on_load=CHOOSE_MOMENT,
                    apply_default_css=False,
                )
        gr.HTML(desk.card_details(), apply_default_css=False)

        actions = Actions(desk)
        seen = [status, cancel, results, tables, shown]
        many: dict[str, Any] = {
            "trigger_mode": "multiple",
            "concurrency_limit": None,
            "show_progress": "hidden",
        }
        files.upload(actions.judge, [files, whole], [*seen, files], **many)
        camera.stop_recording(actions.judge, [camera, whole], [*seen, camera], **many)
        cancel.click(actions.cancel, queue=False)
        results.input(actions.show, results, shown, show_progress="hidden")
        point.input(actions.use_point, [point, results], seen, show_progress="hidden")
        last = many | {"trigger_mode": "always_last"}
        shown.select(actions.explain, results, [status, cancel, shown], **last)
        blocks.unload(actions.leave)
    return blocks


class Actions:
    """What happens when a visitor does something; every method returns values for the page."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def judge(
        self, uploaded: Sequence[str] | str | None, whole: bool, request: gr.Request
    ) -> Iterator[tuple]:
        """Judge what was uploaded; the last value empties the place for the next files."""
        session = self._session(request)
        paths = [Path(uploaded)] if isinstance(uploaded, str) else [*map(Path, uploaded or ())]
        empty = True  # but only once, for somebody may be dropping more
        for status in self._desk.judge(session, paths, whole):
            news = self._results(session, session.results[-1]) if status.news else [skip()] * 3
            yield (*status_values(status), *news, None if empty else skip())
            empty = False

    def cancel(self, request: gr.Request) -> None:
        self._session(request).cancel()

    def show(self, number: int | None, request: gr.Request) -> str:
        session = self._session(request)
        result = session.result(number)
        return self._section(session, result) if result else NOTHING_YET

    def use_point(self, name: str, number: int | None, request: gr.Request) -> tuple:
        """Judge what is there at another threshold."""
        session = self._session(request)
        words = self._desk.use_point(session, name)
        values = status_values(Status(words, busy=False))
        return *values, *self._results(session, session.result(number))

    def explain(
        self, number: int | None, event: gr.EventData, request: gr.Request
    ) -> Iterator[tuple]:
        """Show on what the score of the chosen moment rests."""
        session = self._session(request)
        result = session.result(number)
        if result is None:
            return
        for status in self._desk.explain(session, result, event.face, event.moment):
            yield (
                *status_values(status),
                self._section(session, result) if status.news else skip(),
            )

    def leave(self, request: gr.Request) -> None:
        self._desk.sessions.left(request.session_hash)

    def _session(self, request: gr.Request) -> Session:
        return self._desk.sessions.of(request.session_hash)

    def _results(self, session: Session, result: Result | None) -> list:
        """Return values for the list of results, its tables and what is shown large."""
        choices = [
            (f"{title_of(each.judged)}  {each.name}", each.number)
            for each in reversed(session.results)
        ]
        number = result.number if result else None
        section = self._section(session, result) if result else NOTHING_YET
        return [gr.Radio(choices, value=number), tables_html(session), section]

    def _section(self, session: Session, result: Result) -> str:
        return self._desk.section(session, result) + copy_html(session, result)


def status_values(status: Status) -> tuple:
    """Return values for the status and for the button that cancels."""
    return status_html(status), gr.Button(interactive=status.busy)


def path_of(recording: gr.FileData | None) -> str | None:
    """Return the file of a recording as it came.

    Gradio would encode it again, to be sure that it has no sound, which takes minutes and the
    program ffmpeg. The browser has recorded none.
    """
    return recording.path if recording else None


def point_label(name: str, task: Task) -> str:
    """Return what an operating point promises, and its threshold."""
    return f"{POINTS.get(name, name)} (threshold {task.operating_point.threshold:.3g})"


def skip() -> dict:
    """Return the value that leaves something on the page as it is."""
    return gr.skip()
