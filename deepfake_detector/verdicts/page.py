"""Verdicts as a web page for people: what was found, why, and how often the model errs.

    section = verdict_section(verdict, task, "holiday.mp4")
    file.writelines(page_parts(verdicts, task, names))

A page is one file that loads nothing from the network and has no script, see pages.py. A section is
a fragment of HTML, which app.py shows with `STYLE`. The faces are `Verdict.jpegs`, about 20 KB a
moment.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from deepfake_detector import __version__
from deepfake_detector.console import counted, printable
from deepfake_detector.faces.orientation import orientation_note
from deepfake_detector.pages import content_policy, template_environment
from deepfake_detector.scoring.trained_model import CARD_NAME
from deepfake_detector.verdicts import scores, text
from deepfake_detector.verdicts.options import Task
from deepfake_detector.verdicts.rule import fake_windows, limits_of, seconds_read
from deepfake_detector.verdicts.verdict import (
    FAKE,
    NO_FACE,
    REAL,
    UNCERTAIN,
    UNREADABLE,
    Face,
    Verdict,
    moment_key,
)

FOLDER = Path(__file__).parent
FIRST_LINES = "<!DOCTYPE html>\n<!-- verdicts of deepfake-detector -->"  # by which it is known
# The dot of the moment that is chosen; a style for each place in the strip.
_CHOSEN = "\n".join(
    f".verdict-page .face:has(.moment-{order} input:checked) .dot-{order} {{ stroke-width: 10px; }}"
    for order in range(scores.MAX_MOMENTS)
)
STYLE = f"{(FOLDER / 'page.css').read_text('utf-8')}{_CHOSEN}\n"


def verdict_section(verdict: Verdict, task: Task, name: str, prefix: str = "v1") -> str:
    """Return the verdict on a video as a fragment of HTML, without script, for `STYLE`.

    `name` is shown; `prefix` makes ids unique on the page.
    """
    warnings = [*verdict.warnings.values(), verdict.problem if verdict.score is not None else ""]
    is_upright = verdict.turned_degrees is not None
    template = _environment().get_template("page_video.html.j2")
    return template.render(
        verdict=verdict,
        limits=limits_of(verdict),
        name=printable(name),
        prefix=prefix,
        sentence=_sentence(verdict),
        meaning=text.meaning_of(verdict.verdict, task.rule.point) if is_upright else "",
        basis=_basis(verdict),
        warnings=[_capitalised(printable(warning)) for warning in warnings if warning],
        num_windows=fake_windows(verdict)[1],
        weakness=text.weakness_of(task.model_settings),
        has_card=bool(card_of(task)),
        moment_key=moment_key,
        chart_words=functools.partial(_chart_words, verdict),
        scores=scores,
        text=text,
    )


def _sentence(verdict: Verdict) -> str:
    """Return the verdict in a sentence."""
    if verdict.score is None:
        return f"{_capitalised(printable(verdict.note)).rstrip('.')}. So there is no score."
    if verdict.turned_degrees is None:
        return f"{_capitalised(orientation_note(None))}, so the score says nothing."
    score = f"The score is {text.score_text(verdict.score)}"
    limits = {
        FAKE: f", {verdict.fake_from:.3f} or more",
        REAL: f", below {verdict.real_below:.3f}",
        UNCERTAIN: f", between {verdict.real_below:.3f} and {verdict.fake_from:.3f}",
    }
    return f"{score}{limits[verdict.verdict]}."


def _capitalised(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _basis(verdict: Verdict) -> list[tuple[str, str]]:
    """Return what a verdict rests on, as names and values."""
    if verdict.verdict == UNREADABLE:
        return []
    rows = [("Looked at", seconds_read(verdict) if verdict.read_sec else "one picture")]
    if verdict.read_sec:
        rows.append(("Frames", str(verdict.frames)))
    if text.is_as_is(verdict):
        rows.append(("Taken as faces", "the middle of each frame, as it is"))
    elif verdict.read_sec and verdict.verdict != NO_FACE:
        rows.append(("Frames with a face", f"{verdict.face_share:.0%}"))
    window = verdict.deciding_window
    if window is not None and verdict.face_index is not None:
        number, count = verdict.face_index + 1, len(window.faces)
        which = f"{count}; face {number} has the highest score and decides" if count > 1 else "1"
        rows.append(("Faces", which))
        above, with_face = fake_windows(verdict)
        if with_face > 1:
            span = f"{window.start_sec:.1f} to {window.end_sec:.1f} s"
            rows.append(("Deciding window", f"{span}; {above} of {with_face} are {FAKE}"))
        if verdict.no_face_note:
            rows.append(("First face", verdict.no_face_note))
    return [*rows, ("Model", text.model_of(verdict))]


def _chart_words(verdict: Verdict, faces: Sequence[Face]) -> str:
    """Return what a chart of the scores of these faces shows, for a screen reader."""
    moments = [moment for face in faces for moment in face.moments]
    if not moments:
        return f"The score is {text.score_text(faces[0].score)}."
    of_moments = [moment.score for moment in moments]
    highest = max(moments, key=lambda moment: moment.score)
    above = sum(score >= verdict.fake_from for score in of_moments)
    return (
        f"Scores of {counted(len(moments), 'moment')}, from {min(of_moments):.2f} to "
        f"{max(of_moments):.2f}; the highest at {highest.time_sec:.1f} seconds; "
        f"{above} of them {FAKE}."
    )


@functools.cache
def _markdown() -> MarkdownIt:
    """Return what renders a model card; its links lead nowhere from a page, and are text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for name in ("link_open", "link_close"):
        markdown.add_render_rule(name, lambda *_: "")
    return markdown


def card_of(task: Task) -> Markup:
    """Return the card of the model as a part of the page that opens if the link to it is followed;
    "" if there is none."""
    path = task.model_path.parent / CARD_NAME
    if not path.is_file():
        return Markup("")
    html = Markup(_markdown().render(path.read_text(encoding="utf-8", errors="replace")))
    return Markup(
        "<details><summary>Model card: what the model was trained on, and how good it is</summary>"
        '<div class="model-card" id="model-card">{}</div></details>'
    ).format(html)


@functools.cache
def _environment() -> jinja2.Environment:
    return template_environment(FOLDER)


def page_parts(verdicts: Iterable[Verdict], task: Task, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the text of a page, one section at a time: those of many videos fill the memory.

    `verdicts` are gone through twice; `names` has a name for each path.
    """
    contents = [(verdict.verdict, printable(names[verdict.path])) for verdict in verdicts]
    several = f"Verdicts on {len(contents)} videos"
    sections = (
        Markup(verdict_section(verdict, task, names[verdict.path], f"v{number}"))
        for number, verdict in enumerate(verdicts, 1)
    )
    return (
        _environment()
        .get_template("page.html.j2")
        .generate(
            policy=content_policy(STYLE),
            style=Markup(STYLE),
            version=__version__,
            title=several if len(contents) != 1 else f"Verdict on {contents[0][1]}",
            contents=contents,
            text=text,
            sections=sections,
            card=card_of(task),
        )
    )
