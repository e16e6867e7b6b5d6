"""Verdicts as a web page for people: what was found, why, and how often the model errs.

    words = model_words(task)
    section = verdict_section(judged, words, name="holiday.mp4")   # while its crops are there
    write_text(Path("verdict.html"), page([section], words, "Verdict on holiday.mp4"))

`page` is a file of its own that loads nothing from the network, see pages.py; it has no script. A
section is a fragment of HTML, which app.py shows with `STYLE`; a moment is picked by a radio button
with data-face and data-moment. Size: 20 KB a moment.
"""

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from deepfake_detector import __version__
from deepfake_detector.clips.strips import jpeg, tile_of
from deepfake_detector.console import printable
from deepfake_detector.face_dataset.settings import AS_IS
from deepfake_detector.files import written_whole
from deepfake_detector.pages import content_policy, template_environment
from deepfake_detector.prediction.scores import Explanation
from deepfake_detector.prediction.task import PAGE_AUTHOR, Task
from deepfake_detector.prediction.verdicts import (
    FAKE,
    NO_FACE,
    UNCERTAIN,
    UNREADABLE,
    JudgedVideo,
    score_text,
    seconds_read,
)
from deepfake_detector.results import face_timeline
from deepfake_detector.results.face_timeline import Place
from deepfake_detector.scoring.calibration import Interval, OperatingPoint
from deepfake_detector.scoring.trained_model import CARD_NAME

FOLDER = Path(__file__).parent
# The dot of the moment that is picked; a style of its own for each place in the strip.
_PICKED = "\n".join(
    f".verdict-page .face:has(.moment-{order} input:checked) .dot-{order} {{ r: 5px; }}"
    for order in range(face_timeline.MOST_MOMENTS + 1)
)
STYLE = f"{(FOLDER / 'page.css').read_text('utf-8')}{_PICKED}\n"
GENERATOR = f"{PAGE_AUTHOR} {__version__}"


@dataclass(frozen=True)
class ModelWords:
    """What every page says of the model, in sentences."""

    threshold: tuple[str, ...]  # what the threshold means, and what UNCERTAIN
    limits: tuple[str, ...]  # how often it errs, and which fakes it does not find
    card: str  # text of its MODEL_CARD.md; empty where there is none


@dataclass(frozen=True)
class Listed:
    """A video in the list at the top of a page."""

    verdict: str
    name: str
    prefix: str  # of its section


def model_words(task: Task) -> ModelWords:
    """Return what is known of the model and of the threshold that is used."""
    card = task.model_path.parent / CARD_NAME
    weaknesses = str(task.model_settings.get("weaknesses") or "").strip()
    return ModelWords(
        threshold=_threshold_words(task.operating_point),
        limits=(
            _error_words(task.operating_point),
            weaknesses
            or "It finds the kinds of fakes that it was trained on, and others much less often.",
        ),
        card=card.read_text(encoding="utf-8", errors="replace") if card.is_file() else "",
    )


def _threshold_words(point: OperatingPoint) -> tuple[str, ...]:
    words = ["A score lies between 0, real, and 1, fake."]
    rate = point.false_positive_rate
    if rate is None:
        words.append("How many real videos score above the threshold was not measured.")
    else:
        about = _of_a_hundred(rate, point.false_positive_rate_interval)
        words.append(
            f"Of 100 real videos like those the model was tuned on, {about} score above the "
            "threshold."
        )
    if point.uncertain:
        low, high = point.uncertain
        words.append(
            f"A score between {low:.3g} and {high:.3g} may be on the wrong side: {UNCERTAIN}."
        )
    return tuple(words)


def _error_words(point: OperatingPoint) -> str:
    real, fake = point.false_positive_rate, point.false_negative_rate
    if real is None or fake is None:
        return (
            "The model makes mistakes, and how often was not measured. A verdict is a hint and no "
            "proof."
        )
    of_real = _of_a_hundred(real, point.false_positive_rate_interval)
    of_fake = _of_a_hundred(fake, point.false_negative_rate_interval)
    counts = point.validation_videos
    measured = (
        f", measured on {counts['real']} real and {counts['fake']} fake videos" if counts else ""
    )
    return (
        f"The model makes mistakes: of 100 real videos {of_real} score as fakes, and of 100 fakes "
        f"{of_fake} score as real{measured}. A verdict is a hint and no proof."
    )


def _of_a_hundred(rate: float, interval: Interval | None) -> str:
    about = f"about {100 * rate:.0f}"
    if interval is None:
        return about
    return f"{about} ({100 * interval[0]:.0f} to {100 * interval[1]:.0f} with 95 % confidence)"


def verdict_section(
    judged: JudgedVideo,
    words: ModelWords,
    *,
    name: str,
    prefix: str = "v1",
    maps: Mapping[Place, bytes] = {},  # noqa: B006  it is only read
    chosen: Place | None = None,
    card_link: str = "#model-card",
    maps_follow: bool = False,
) -> str:
    """Return the verdict on a video as a fragment of HTML, without script, for `STYLE`.

    `name` is shown, and `prefix` makes ids unique on the page. A moment `(i, j)` is
    `judged.faces[i].face.moments[j]`; `maps` has pictures of them, PNG or JPEG, from
    `occlusion_overlay`, and `chosen` is the one that is shown first (default: the highest-scoring
    one of the deciding face). Raises IndexError where there is no such moment.
    `maps_follow` says that a moment that is chosen gets its map.
    """
    faces = face_timeline.shown_faces(judged, maps, chosen)
    windows = {face.window.number for face in judged.faces}
    return (
        _environment()
        .get_template("page_video.html.j2")
        .render(
            judged=judged,
            words=words,
            name=printable(name),
            prefix=prefix,
            sentence=_sentence(judged),
            basis=_basis(judged),
            warnings=[f"{text[:1].upper()}{text[1:]}" for text in _warnings(judged)],
            faces=faces,
            num_hidden=len(judged.faces) - len(faces),
            overview=face_timeline.chart_of(judged.faces, judged.rule)
            if len(windows) > 1
            else None,
            num_windows=len(windows),
            axes=face_timeline,
            card_link=card_link,
            maps_follow=maps_follow,
        )
    )


def card_details(card: str) -> Markup:
    """Return the text of a model card, Markdown, as a part of the page that opens when the link to
    it is followed; nothing where there is none. Its own links lead nowhere from here and are text.
    """
    if not card:
        return Markup("")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for name in ("link_open", "link_close"):
        markdown.add_render_rule(name, lambda *_: "")
    return Markup(
        "<details><summary>Model card: what the model was trained on, and how good it is</summary>"
        '<div class="model-card" id="model-card">{}</div></details>'
    ).format(Markup(markdown.render(card)))


@functools.cache
def _environment() -> jinja2.Environment:
    return template_environment(FOLDER)


def _sentence(judged: JudgedVideo) -> str:
    """Return the verdict in a sentence."""
    if judged.score is None:
        reason = judged.found.problem or judged.found.no_face_note
        return f"{_sentence_of(printable(reason))} So there is no score."
    threshold = f"the threshold {judged.rule.threshold:.3g}"
    score = f"The score {score_text(judged.score, judged.rule.threshold)}"
    if judged.verdict == UNCERTAIN:
        return f"{score} is too close to {threshold} to tell."
    if judged.verdict == FAKE:
        side = "at" if judged.score == judged.rule.threshold else "above"
        return f"{score} is {side} {threshold}."
    return f"{score} is below {threshold}."


def _sentence_of(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def _warnings(judged: JudgedVideo) -> list[str]:
    problem = [judged.found.problem] if judged.score is not None and judged.found.problem else []
    return [*judged.warnings.values(), *map(printable, problem)]


def _basis(judged: JudgedVideo) -> list[tuple[str, str]]:
    """Return what a verdict rests on, as names and values."""
    found, deciding = judged.found, judged.deciding_face
    if judged.verdict == UNREADABLE:
        return []
    rows = [("Looked at", seconds_read(found))] if found.frame_sec else []
    rows.append(("Frames", str(found.frames)))
    if any(crop.source == AS_IS for face in judged.faces for crop in face.face.crops):
        rows.append(("Taken as faces", "the middle of each frame, as it is"))
    elif judged.verdict != NO_FACE:
        share = found.frames_with_face / max(1, found.frames)
        rows.append(("Frames with a face", f"{share:.0%}"))
    if deciding is not None:
        number, count = deciding.face.number + 1, len(deciding.window.faces)
        which = f"{count}; face {number} has the highest score and decides" if count > 1 else "1"
        rows.append(("Faces", which))
        windows = {face.window.number for face in judged.faces}
        if len(windows) > 1:
            span = f"{deciding.window.start_sec:.1f} to {deciding.window.end_sec:.1f} s"
            above = f"{judged.windows_at_or_above_threshold} of {len(windows)}"
            rows.append(("Deciding window", f"{span}; {above} are at or above the threshold"))
        if found.no_face_note:
            rows.append(("First face", found.no_face_note))
    model = Path(judged.model.path).parent.name
    trained_on = f", trained on {judged.model.trained_on}" if judged.model.trained_on else ""
    rows.append(("Model", printable(f"{model}{trained_on}")))
    return rows


def occlusion_overlay(explanation: Explanation, frame: int | None = None) -> bytes:
    """Return a face of the clip (default: in its middle) with the occlusion map over it, as a JPEG:
    red raises P(fake), blue lowers it."""
    # matplotlib takes half a second to import.
    from deepfake_detector.results.pictures import lay_over

    covered, _ = lay_over(explanation)
    side = face_timeline.LARGE_SIDE
    face_rgb = covered[len(covered) // 2 if frame is None else frame]
    image_bgr = cv2.cvtColor(tile_of(face_rgb, side), cv2.COLOR_RGB2BGR)
    return jpeg(image_bgr, face_timeline.LARGE_QUALITY)


def explained_moment(judged: JudgedVideo) -> dict[Place, bytes]:
    """Return the map of the deciding face, over the frame next to its highest-scoring moment; none
    where it was not asked for."""
    if judged.explanation is None:
        return {}
    place, frame = face_timeline.highest_moment(judged), None
    crops, moments = judged.faces[place[0]].face.crops, judged.faces[place[0]].face.moments
    if moments:
        distances = [abs(crop.time_sec - moments[place[1]].time_sec) for crop in crops]
        frame = distances.index(min(distances))
    return {place: occlusion_overlay(judged.explanation, frame)}


def prefix_of(path: Path) -> str:
    """Return the prefix of the ids of a video, which it keeps when --resume adds other videos."""
    return f"v{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"


def write_page(
    path: Path, sections: Iterable[str], words: ModelWords, contents: Sequence[Listed]
) -> None:
    """Write the page about the videos in `contents`, one section at a time: those of many videos
    are much to hold. Raises OSError where it cannot be written."""
    several = f"Verdicts on {len(contents)} videos"
    title = several if len(contents) > 1 else f"Verdict on {contents[0].name}"
    with written_whole(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(_parts(sections, words, title, contents))


def page(
    sections: Iterable[str], words: ModelWords, title: str, contents: Sequence[Listed] = ()
) -> str:
    """Return a whole page of sections; `contents` are listed at its top where there are several."""
    return "".join(_parts(sections, words, title, contents))


def _parts(
    sections: Iterable[str], words: ModelWords, title: str, contents: Sequence[Listed]
) -> Iterator[str]:
    return (
        _environment()
        .get_template("page.html.j2")
        .generate(
            policy=content_policy(STYLE),
            style=Markup(STYLE),
            generator=GENERATOR,
            title=printable(title),
            contents=[replace(listed, name=printable(listed.name)) for listed in contents],
            sections=map(Markup, sections),
            card=card_details(words.card),
        )
    )
