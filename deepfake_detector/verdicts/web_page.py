"""The page of app.py, on Gradio: what is where, and what happens when.

    blocks = Page(tasks, worker.judge, worker.explain, folder).layout(upload_mb=500)

Gradio has the queue, the uploads and what belongs to each tab. An upload is deleted when it is
judged; Gradio deletes results, which are files in `folder`, after KEPT_SEC.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from deepfake_detector.console import counted
from deepfake_detector.files import write_text
from deepfake_detector.scoring.calibration import PointOptions, operating_point
from deepfake_detector.verdicts import page, text
from deepfake_detector.verdicts.annotated_copy import copies_of
from deepfake_detector.verdicts.log import header_of, line_of_json
from deepfake_detector.verdicts.options import Task
from deepfake_detector.verdicts.rule import decide
from deepfake_detector.verdicts.verdict import OCCLUSION, Verdict

KEPT_SEC, MAX_RESULTS = 3600, 50  # of the results of a tab
NEWS_SEC = 5.0  # between two words on how long a video takes
TITLE = "Is this video a deepfake?"
HEADING = (
    f"<header><h1>{TITLE}</h1><p>Drop a video or a picture of a person. It is judged on this "
    "computer and deleted afterwards.</p></header>"
)
NOTHING_YET = (
    '<div class="verdict-page video nothing-yet"><h2>The verdict comes here</h2><p>FAKE, UNCERTAIN '
    "or no sign of a fake, with the score, what it rests on, and what this detector cannot find."
    "</p></div>"
)
DOWNLOADS = {
    "verdict.html": "This page (HTML)",
    "verdicts.csv": "All verdicts (CSV)",
    "verdicts.jsonl": "All verdicts (JSON Lines)",
}
# More than this is not seen in a face, and takes longer.
CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}}
# For screen readers: what happens is read out.
IS_STATUS = "element.setAttribute('role', 'status')"
# On a telephone a verdict lies below what is on the screen. Other rates, or a map, move nothing.
SCROLLS_TO_ANOTHER_VIDEO = """
const shown = () => element.querySelector('.name')?.innerText;
let last = shown();
watch('value', () => {
  const isBelow = element.getBoundingClientRect().top > innerHeight / 2;
  if (shown() !== last && isBelow) element.scrollIntoView({behavior: 'smooth'});
  last = shown();
});
"""
# In the head, because Gradio drops container queries of `css`.
STYLE = (Path(__file__).parent / "web_page.css").read_text("utf-8")
HEAD = f"<style>\n{page.STYLE}{STYLE}</style>"
# Fonts of the system, and none from elsewhere.
THEME = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"])


def uploads_only(part: Any) -> Any:
    """Return an input that takes files which were uploaded; Gradio would also fetch an address that
    a request names."""
    take = part.async_move_resource_to_block_cache

    async def take_upload(path: str) -> str | None:
        if "://" in str(path):
            raise gr.Error("an address is not fetched; upload the file", print_exception=False)
        return await take(path)

    part.async_move_resource_to_block_cache = take_upload
    return part


@dataclass(frozen=True)
class Result:
    """One upload that was judged; the path of its verdict is the name that the visitor knows."""

    verdict: Verdict
    folder: Path  # of its files
    clip: np.ndarray | None  # that decided; None without a face

    def copy(self, suffix: str) -> Path | None:
        """Return the annotated copy, if there is one of this kind."""
        (path,) = copies_of([Path(self.verdict.path)], self.folder).values()
        return path if path.suffix == suffix and path.is_file() else None


class Page:
    """The parts of the page, and what happens when a visitor does something.

    `judge(path, crops_folder, copy_folder, task)` and `explain(verdict, clip)` are those of the
    worker; `folder` takes all files. A method returns what is to be shown, by the parts of the
    page. `rates` are the highest false positive and false negative rates, in percent.
    """

    def __init__(
        self,
        task: Task,
        judge: Callable[..., Awaitable[tuple[Verdict, np.ndarray | None]]],
        explain: Callable[[Verdict, np.ndarray], Awaitable[Verdict]],
        folder: Path,
    ):
        self._task, self._judge, self._explain, self._folder = task, judge, explain, folder

    def layout(self, upload_mb: int) -> gr.Blocks:
        """Return the page."""
        with gr.Blocks(
            title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(60, KEPT_SEC)
        ) as blocks:
            gr.HTML(HEADING)
            with gr.Row():
                with gr.Column(scale=2, min_width=300, elem_id="side"):
                    self._lay_out_inputs(upload_mb)
                with gr.Column(scale=5, min_width=320):
                    self._lay_out_results()
            card = f'<div class="verdict-page">{page.card_of(self._task)}</div>'
            gr.HTML(card, apply_default_css=False)
            self._connect()
        return blocks

    def _lay_out_inputs(self, upload_mb: int) -> None:
        with gr.Tab("Files"):
            label = f"Videos or pictures, up to {upload_mb} MB"
            self.files = uploads_only(
                gr.File(label=label, file_count="multiple", height=150, elem_id="files")
            )
        with gr.Tab("Camera"):
            self.camera = uploads_only(
                gr.Video(
                    label="A recording",
                    sources=["webcam"],
                    include_audio=False,
                    webcam_options=gr.WebcamOptions(mirror=False, constraints=CAMERA),
                    height=240,
                )
            )
            # Gradio would encode it again, to be sure that it has no sound, which takes minutes and
            # the program ffmpeg. The browser has recorded none.
            self.camera.preprocess = lambda recording: recording.path if recording else None
        self.whole = gr.Checkbox(label="Judge all of a video, not only its start")
        with gr.Accordion("How careful", open=False, elem_id="careful"):
            usual = self._task.options
            self.rates = [
                gr.Slider(1, 50, 100 * rate, step=1, label=label)
                for label, rate in (
                    ("Real videos called FAKE (of 100, at most)", usual.max_false_positive_rate),
                    ("Fakes not found (of 100, at most)", usual.max_false_negative_rate),
                )
            ]
        self.status = gr.HTML(_status("Ready."), elem_id="status", js_on_load=IS_STATUS)
        self.cancel = gr.Button("Cancel", size="sm", elem_id="cancel")
        self.number = gr.Radio([], label="Results", elem_id="results")
        self.results = gr.State([], time_to_live=KEPT_SEC)

    def _lay_out_results(self) -> None:
        self.section = gr.HTML(
            NOTHING_YET,
            elem_id="shown",
            apply_default_css=False,
            js_on_load=SCROLLS_TO_ANOTHER_VIDEO,
        )
        self.explain = gr.Button("What does the score rest on?", visible=False, elem_id="explain")
        copy = {"label": "Annotated copy", "show_label": False, "height": 420, "visible": False}
        self.video = gr.Video(**copy, elem_id="copy")
        self.picture = gr.Image(**copy, format="png", buttons=["download", "fullscreen"])
        with gr.Row():
            self.downloads = {
                name: gr.DownloadButton(label, visible=False, size="sm")
                for name, label in DOWNLOADS.items()
            }

    def _connect(self) -> None:
        """Say which method does what. There is one job at a time, for everybody in turn."""
        shown = [self.status, self.results, self.number, self.section, self.explain, self.video]
        shown += [self.picture, *self.downloads.values()]
        chosen = [self.number, self.results, *self.rates]
        how = [self.whole, self.results, *self.rates]
        job: dict[str, Any] = {
            "outputs": [*shown, self.files, self.camera],
            "concurrency_id": "worker",
            "api_visibility": "private",
            "show_progress_on": self.status,
            # A full one has a bar by a guess of the time: from the start, if there is no guess.
            "show_progress": "minimal",
        }
        jobs = [
            self.files.upload(self.judge, [self.files, *how], trigger_mode="multiple", **job),
            self.camera.stop_recording(self.judge, [self.camera, *how], **job),
            self.explain.click(self.show_occlusion, chosen, **job),
        ]
        quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.cancel.click(
            lambda: _status("Cancelled. Finished verdicts are in the list."),
            outputs=self.status,
            cancels=jobs,
            queue=False,
            **quick,
        )
        self.number.input(self.show, chosen, shown, **quick)
        for slider in self.rates:
            slider.release(self.use_rates, chosen, shown, **quick)
        # The one call for programs.
        video = uploads_only(gr.File(label="video", visible=False))
        gr.Button(visible=False).click(
            self.verdict,
            [video, self.whole, *self.rates],
            gr.JSON(visible=False),
            api_name="verdict",
            concurrency_id="worker",
        )

    async def judge(
        self, uploads: Any, whole: bool, results: list[Result], *rates: float
    ) -> AsyncIterator[dict]:
        """Judge what was uploaded, one file after the other."""
        paths = [uploads] if isinstance(uploads, str) else uploads or []
        for order, path in enumerate(map(Path, paths), 1):
            which = f"{path.name} ({order} of {len(paths)})" if len(paths) > 1 else path.name
            # The place for files is emptied at once: more may be dropped meanwhile.
            emptied = {self.files: None, self.camera: None} if order == 1 else {}
            words = f"{which}: looking for faces and scoring"
            yield {self.status: _status(words, "busy"), **emptied}
            started = time.monotonic()
            judging = asyncio.ensure_future(self._judged(path, whole, rates))
            try:
                while not (await asyncio.wait([judging], timeout=NEWS_SEC))[0]:
                    seconds = f"{time.monotonic() - started:.0f} seconds so far"
                    yield {self.status: _status(f"{words}, {seconds}", "busy")}
            finally:
                judging.cancel()  # nothing, if it is done
            result = judging.result()
            results = [*results, result][-MAX_RESULTS:]
            words = _status(f"{which}: {text.title_of(result.verdict)}")
            yield {self.status: words, **self.show(len(results) - 1, results, *rates)}

    async def verdict(
        self,
        video: str,
        whole: bool,
        max_false_positive_percent: float,
        max_false_negative_percent: float,
    ) -> dict:
        """Return the verdict on an upload as predict.py --json has it, without the path."""
        rates = (max_false_positive_percent, max_false_negative_percent)
        result = await self._judged(Path(video), whole, rates, jpegs=False)
        result.folder.rmdir()
        entry = asdict(result.verdict)
        del entry["path"]  # gradio_client would try to download what it names
        return entry

    def _task_of(self, rates: Sequence[float]) -> Task:
        options = PointOptions(*(rate / 100 for rate in rates))
        point = operating_point(self._task.model_settings, options)
        return replace(self._task, rule=replace(self._task.rule, point=point))

    async def _judged(
        self, path: Path, whole: bool, rates: Sequence[float], jpegs: bool = True
    ) -> Result:
        """Return the result of an upload, and delete the upload."""
        task = self._task_of(rates)
        task = replace(task, options=replace(task.options, whole=whole, moments=True, jpegs=jpegs))
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            with tempfile.TemporaryDirectory(dir=folder) as crops:
                verdict, clip = await self._judge(path, Path(crops), folder, task)
        except BaseException:  # it was cancelled
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            path.unlink(missing_ok=True)
        return Result(replace(verdict, path=path.name), folder, clip)

    async def show_occlusion(
        self, number: int, results: list[Result], *rates: float
    ) -> AsyncIterator[dict]:
        """Show the parts of the deciding face that the score rests on."""
        for result in results[number : number + 1]:  # none if they were deleted meanwhile
            words = "Finding the parts of the face that the score rests on"
            yield {self.status: _status(words, "busy")}
            if result.clip is not None:
                verdict = await self._explain(result.verdict, result.clip)
                results[number] = replace(result, verdict=verdict)
        yield {self.status: _status("Ready."), **self.show(number, results, *rates)}

    def use_rates(self, number: int | None, results: list[Result], *rates: float) -> dict:
        """Decide all results anew; the scores stay."""
        rule = self._task_of(rates).rule
        decided = [replace(each, verdict=decide(each.verdict, rule)) for each in results]
        pairs = zip(results, decided, strict=True)
        changed = sum(old.verdict.verdict != new.verdict.verdict for old, new in pairs)
        words = f"{changed} of {counted(len(results), 'verdict')} changed."
        return {self.status: _status(words), **self.show(number, decided, *rates)}

    def show(self, number: int | None, results: list[Result], *rates: float) -> dict:
        """List the results, and show one of them large."""
        titles = [f"{text.title_of(each.verdict)}  {each.verdict.path}" for each in results]
        listed = [(title, index) for index, title in enumerate(titles)]
        shown: dict = {self.results: results, self.number: gr.Radio(listed[::-1], value=number)}
        if number is None or number >= len(results):
            return shown
        result, task = results[number], self._task_of(rates)
        verdict, video, picture = result.verdict, result.copy(".mp4"), result.copy(".png")
        can_explain = result.clip is not None and OCCLUSION not in verdict.jpegs
        _write_downloads(result, results, task)
        return {
            **shown,
            self.section: page.verdict_section(verdict, task, verdict.path),
            self.explain: gr.Button(visible=can_explain),
            self.video: gr.Video(video, visible=video is not None),
            self.picture: gr.Image(picture, visible=picture is not None),
            **{
                button: gr.DownloadButton(value=result.folder / name, visible=True)
                for name, button in self.downloads.items()
            },
        }


def _write_downloads(shown: Result, results: list[Result], task: Task) -> None:
    """Write DOWNLOADS into the folder of the result that is shown."""
    name, verdicts = shown.verdict.path, [result.verdict for result in results]
    entries = [{"verdict": asdict(replace(verdict, jpegs={}))} for verdict in verdicts]
    contents = (
        "".join(page.page_parts([shown.verdict], task, {name: name})),
        text.csv_text((verdict.path, verdict) for verdict in verdicts),
        "".join(map(line_of_json, [header_of(task), *entries])),
    )
    for file, content in zip(DOWNLOADS, contents, strict=True):
        write_text(shown.folder / file, content)


def _status(words: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(words)}</p>'
