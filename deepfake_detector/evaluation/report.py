"""The report of an evaluation as a web page: one file that fetches nothing.

    Path("report.html").write_text(report.page(content), encoding="utf-8")

Style, script, charts and faces are in the page itself, and its content security policy forbids the
browser everything else. Sorting the table takes JavaScript; all else is there without. Text from
files is escaped, so that a video named <script> is a name.

Size: 0.25 MB, 0.5 KB a video, and 7 KB more for one with faces and a timeline. Of more than
`MOST_ROWS` videos the page has the worst mistakes, which keeps it below 3 MB with 100 of these; all
videos are in predictions.csv.
"""

import base64
import hashlib
import html
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.evaluation.timelines import Point
from deepfake_detector.evaluation.videos import NOT_NAMED, EvaluatedVideo

TEMPLATE = Path(__file__).with_name("report.html.j2")
MOST_ROWS = 3000
GROUP_TITLES = {
    "data": ("Folders of faces", "folder of faces"),
    "method": ("Methods of manipulation", "method"),
    "location": ("Source folders", "folder of the videos"),
    "faces": ("Faces in the video", "faces followed"),
}
WHAT_A_POINT_IS = (
    "The timeline has a score for each of a few overlapping windows, from 0 at the bottom to 1 at "
    "the top; the dashed line is the threshold. The score of the video comes from faces all over "
    "it and need not be their mean."
)


@dataclass(frozen=True)
class Row:
    """A video in the table; its strip, a JPEG, and its timeline may be empty."""

    video: EvaluatedVideo
    score: float
    strip: bytes = b""
    timeline: Sequence[Point] = ()

    @property
    def error(self) -> float:
        """How far the score is from the label, 0..1."""
        return abs(self.score - self.video.label)


@dataclass(frozen=True)
class Content:
    """What stands in the report."""

    model: str
    figures: Mapping  # as in metrics.json
    rows: Sequence[Row]  # worst mistakes first
    charts: Mapping[str, bytes]  # PNGs by what they show
    quality: Sequence[Mapping] = field(default_factory=list)  # of `data_quality.summarise`


def page(content: Content) -> str:
    """Return the page as HTML."""
    text = TEMPLATE.read_text(encoding="utf-8")
    sections = {
        "Figures": _tiles(content.figures),
        "Charts": _charts(content.charts),
        "Groups": _groups(content.figures["groups"]),
        "Robustness": _robustness(content.figures.get("robustness", [])),
        "Videos": _videos(content.rows, content.figures["threshold"]),
        "Data quality": "".join(map(_quality, content.quality)),
    }
    there = {title: inside for title, inside in sections.items() if inside}
    body = [f'<h2 id="{_anchor(name)}">{name}</h2>\n{inside}' for name, inside in there.items()]
    return string.Template(text).substitute(
        policy=_policy(text),
        title="Evaluation of a deepfake detector",
        about=_about(content),
        contents=" ".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in there),
        body="\n".join(body),
    )


def escape(text: object) -> str:
    """Return text for an element or an attribute; what is no character becomes a question mark."""
    return html.escape(str(text).encode("utf-8", "replace").decode("utf-8"))


def _anchor(title: str) -> str:
    return f"part-{title.lower().replace(' ', '-')}"


def _policy(template: str) -> str:
    """Return what the browser may run: the one style and the one script of the template."""
    sources = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    for element in ("style", "script"):
        (inside,) = re.findall(rf"<{element}>(.*?)</{element}>", template, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        sources.append(f"{element}-src 'sha256-{digest}'")
    return "; ".join(sources)


def _about(content: Content) -> str:
    figures = content.figures
    counts = f"{figures['videos']} videos: {figures['real']} real, {figures['fake']} fake"
    return f"{counts}. Model {escape(content.model)}. One score per video, P(fake)."


# Figures


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def change(value: float, before: float) -> str:
    """Return by how much a figure has changed, with its sign; what rounds to none is +0.000."""
    return f"{round(value - before, 3) + 0.0:+.3f}"


def _tiles(figures: Mapping) -> str:
    intervals, errors = figures["intervals"], figures["calibration_error"]
    point = f"threshold {figures['threshold']:.3g}, {figures['operating_point']}"
    before = number(errors["before_temperature"])
    tiles = [
        ("ROC AUC", number(figures["roc_auc"]), _interval(intervals["roc_auc"])),
        ("Log loss", number(figures["log_loss"]), _interval(intervals["log_loss"])),
        ("Equal error rate", number(figures["eer"]), ""),
        ("Average precision", number(figures["average_precision"]), ""),
        ("Accuracy", number(figures["accuracy"]), point),
        ("Calibration error", number(errors["ece"]), f"before the temperature {before}"),
    ]
    inside = "".join(
        f'<div><dt>{name}</dt><dd><span class="value">{value}</span>'
        f'<div class="soft">{escape(note)}</div></dd></div>'
        for name, value, note in tiles
    )
    reason = intervals.get("reason")
    how = (
        f"Intervals: {reason}."
        if reason
        else f"Intervals of {intervals['level']:.0%} by bootstrap over {intervals['originals']} "
        "originals."
    )
    wrong = (
        f"Of {figures['real']} real videos {figures['real_called_fake']} are called fake, of "
        f"{figures['fake']} fake ones {figures['fake_called_real']} real."
    )
    return f'<dl class="tiles">{inside}</dl>\n<p>{escape(wrong)} {escape(how)}</p>'


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _charts(charts: Mapping[str, bytes]) -> str:
    figures = "".join(
        f'<figure><img alt="{escape(title)}" src="{_data_uri("png", png)}"></figure>'
        for title, png in charts.items()
    )
    return f'<div class="charts">{figures}</div>'


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "number"
) -> str:
    """Return a small table; the first column names its rows, the others are of `kind`, a class.

    Cells are HTML already.
    """
    head = "".join(
        f'<th scope="col" class="{kind if column else "name"}">{name}</th>'
        for column, name in enumerate(heads)
    )
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f'<td class="{kind}">{cell}</td>' for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def _groups(groups: Mapping[str, Sequence[Mapping]]) -> str:
    heads = ["real", "fake", "ROC AUC", "95 %", "log loss", "accuracy"]
    parts = []
    for key, (title, what) in GROUP_TITLES.items():
        rows = [
            (
                escape(row["name"]),
                str(row["real"]),
                str(row["fake"]),
                number(row["roc_auc"]) + ("*" if row["compared_with"] else ""),
                _interval(row["roc_auc_interval"]) or "–",
                number(row["log_loss"]),
                number(row["accuracy"]),
            )
            for row in groups[key]
        ]
        if rows:
            parts.append(_table(title, [what, *heads], rows))
    if any(row["compared_with"] for rows in groups.values() for row in rows):
        parts.append("<p>* of one class only, against all videos of the other class.</p>")
    return "".join(parts)


def _robustness(rows: Sequence[Mapping]) -> str:
    if not rows:
        return ""
    clean = rows[0]["roc_auc"]
    cells = [
        (
            escape(row["name"]),
            number(row["roc_auc"]),
            "–" if row["roc_auc"] is None else change(row["roc_auc"], clean),
            number(row["log_loss"]),
        )
        for row in rows
    ]
    return _table(
        "The same faces, altered before they are scored",
        ["faces", "ROC AUC", "change", "log loss"],
        cells,
    )


# Videos


def _videos(rows: Sequence[Row], threshold: float) -> str:
    shown = rows[:MOST_ROWS]
    heads = [
        ("Video", "name", "text", ""),
        ("Label", "label", "text", ""),
        ("Score", "score", "number", ""),
        ("Off by", "error", "number", ' aria-sort="descending"'),
    ]
    head = "".join(
        f'<th scope="col" role="columnheader" data-key="{key}" data-type="{kind}"{more}>{name}</th>'
        for name, key, kind, more in heads
    )
    head += '<th scope="col" role="columnheader">Faces</th>'
    head += '<th scope="col" role="columnheader">Score over time</th>'
    body = "\n".join(_video(row, threshold) for row in shown)
    drawn = sum(bool(row.strip) for row in shown)
    notes = [f"Worst mistakes first. Faces and timelines of the first {drawn}."]
    if len(rows) > len(shown):
        notes.append(f"The first {len(shown)} of {len(rows)}; all are in predictions.csv.")
    notes.append(WHAT_A_POINT_IS)
    # Laid out as cards on a phone, a table is none any more for a screen reader, but for its roles.
    return (
        f'<p>{" ".join(notes)}</p>\n<table id="videos" role="table">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}\n</tbody></table>'
    )


def _video(row: Row, threshold: float) -> str:
    video, label = row.video, "FAKE" if row.video.label else "REAL"
    notes = [] if video.method in (None, NOT_NAMED) else [video.method]
    if video.face.name != video.name:
        notes.append(f"face {video.face.name}")
    if video.frames_averaged:
        notes.append(f"{video.frames_averaged} of {video.frames_total} boxes averaged")
    note = f'<div class="soft">{escape(", ".join(notes))}</div>' if notes else ""
    wrong = (row.score >= threshold) != (video.label == 1)
    mark = ' <span class="wrong">wrong</span>' if wrong else ""
    strip = f'<img alt="faces" src="{_data_uri("jpeg", row.strip)}">' if row.strip else ""
    return (
        f'<tr role="row"><th scope="row" role="rowheader" class="name" '
        f'data-value="{escape(video.name)}">{escape(video.name)}{note}</th>'
        f'<td role="cell" data-label="label" data-value="{label}">{label}{mark}</td>'
        f'<td role="cell" class="number" data-label="score" data-value="{row.score:.6f}">'
        f"{row.score:.3f}</td>"
        f'<td role="cell" class="number" data-label="off by" data-value="{row.error:.6f}">'
        f"{row.error:.3f}</td>"
        f'<td role="cell" class="picture">{strip}</td>'
        f'<td role="cell" class="picture">{_timeline(row.timeline, threshold)}</td></tr>'
    )


def _timeline(points: Sequence[Point], threshold: float) -> str:
    """Return the score over time as SVG, 0 at the bottom and 1 at the top, and it in words."""
    if not points:
        return ""
    first, last = points[0].time_sec, points[-1].time_sec
    width = max(last - first, 1e-3)
    places = [(2 + 156 * (p.time_sec - first) / width, 38 - 36 * p.score) for p in points]
    if len(places) == 1:
        places.append((158, places[0][1]))
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    at = 38 - 36 * threshold
    top = max(points, key=lambda point: point.score)
    words = f"{first:.1f} to {last:.1f} s, highest {top.score:.2f} at {top.time_sec:.1f} s"
    return (
        f'<svg viewBox="0 0 160 40" preserveAspectRatio="none" role="img" aria-label="{words}">'
        '<path class="edge" d="M0 2H160M0 38H160"/>'
        f'<path class="guide" d="M0 {at:.1f}H160"/><polyline class="curve" points="{curve}"/></svg>'
        f'<div class="soft">{words}</div>'
    )


# Data quality


def _quality(summary: Mapping) -> str:
    title = f"<h3 class=name>{escape(summary['data'])}</h3>"
    if not summary["videos"]:
        return f"{title}<p>No manifest.csv that tells what became of the videos.</p>"
    statuses = [(escape(name), str(count)) for name, count in summary["statuses"].items()]
    parts = [title, _table("Videos asked for", ["status", "videos"], statuses)]
    if summary["frames"]:
        averaged, frames = summary["averaged"], summary["frames"]
        parts.append(
            f"<p>Of {frames} boxes {averaged} ({averaged / frames:.1%}) are averaged: no face was "
            "detected in that frame, and its box comes from those before and after it.</p>"
        )
    worst = [
        (escape(found["name"]), str(found["frames"]), f"{found['share']:.0%}")
        for found in summary["most_averaged"]
    ]
    if worst:
        caption = "Largest shares of averaged boxes"
        parts.append(_table(caption, ["video", "boxes", "averaged"], worst))
    without = [
        (escape(found["name"]), f"{escape(found['status'])}: {escape(found['reason'])}")
        for found in summary["without_faces"]
    ]
    if without:
        parts.append(_table("Videos without faces", ["video", "why"], without, "name"))
    return "".join(parts)
