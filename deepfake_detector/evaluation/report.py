"""The report of an evaluation as a web page: one file that loads nothing from the network.

    html = report.page(model, result, videos, timelines, charts, quality)

The template is report.html.j2, with report.css and report.js next to it; see pages.py. Sorting the
table needs JavaScript; everything else works without.

Size: 0.25 MB, 0.5 KB a video, and 7 KB more for one with faces and a timeline. With more than
`MOST_ROWS` videos the page shows those with the largest errors, so that it stays below 3 MB with
100 of these; all videos are in predictions.csv.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from deepfake_detector.clips.strips import strip_jpeg
from deepfake_detector.evaluation.timelines import Point
from deepfake_detector.evaluation.videos import NOT_NAMED, ScoredVideo, largest_errors_first
from deepfake_detector.pages import content_policy, template_environment
from deepfake_detector.videos.metadata import FAKE, REAL

FOLDER = Path(__file__).parent
MOST_ROWS = 3000
STRIP_FACES, STRIP_SIDE = 6, 56  # number, pixels
WIDTH, HEIGHT, EDGE = 160, 40, 2  # of a timeline, in units of its own


def page(
    model: Path,
    result: Mapping,
    videos: Sequence[ScoredVideo],
    timelines: Mapping[ScoredVideo, Sequence[Point]],
    charts: Mapping[str, bytes],
    quality: Sequence[Mapping],
) -> str:
    """Return the page as HTML.

    `result` is what goes into metrics.json, `timelines` are of the videos that are shown with
    faces, `charts` are PNGs by title, and `quality` has a result of `summarise_manifest` for each
    folder of faces.
    """
    style, script = ((FOLDER / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    shown = largest_errors_first(videos)[:MOST_ROWS]
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            policy=content_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            model=model,
            result=result,
            charts=charts,
            rows=[_row(video, result["threshold"], timelines.get(video, ())) for video in shown],
            num_drawn=sum(video in timelines for video in shown),
            num_videos=len(videos),
            quality=quality,
        )
    )
    return html.encode("utf-8", "replace").decode("utf-8")  # file names may be no Unicode


def interval_words(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def uncertain_rows(result: Mapping) -> list[tuple[str, str]]:
    """Return the share of videos that are UNCERTAIN and both error rates of the others, each with
    its name; nothing for a model without such a band."""
    if not result["uncertain"]:
        return []
    low, high = result["uncertain"]
    return [
        (f"uncertain, {low:.3g} to {high:.3g}", f"{result['uncertain_share']:.0%}"),
        ("false positive rate of the others", _number(result["decided_false_positive_rate"])),
        ("false negative rate of the others", _number(result["decided_false_negative_rate"])),
    ]


def signed_change(value: float, before: float) -> str:
    """Return how much a metric has changed, with its sign; what rounds to zero is +0.000."""
    return f"{round(value - before, 3) + 0.0:+.3f}"


def _environment() -> jinja2.Environment:
    environment = template_environment(FOLDER)
    environment.filters["number"] = _number
    environment.filters["interval"] = interval_words
    environment.globals["signed_change"] = signed_change
    environment.globals["uncertain_rows"] = uncertain_rows
    return environment


def _row(video: ScoredVideo, threshold: float, timeline: Sequence[Point]) -> dict:
    """Return what the table shows of a video."""
    notes = [] if video.method in (None, NOT_NAMED) else [video.method]
    if video.track.name != video.name:
        notes.append(f"face {video.track.name}")
    if video.frames_averaged:
        notes.append(f"{video.frames_averaged} of {video.frames_total} boxes averaged")
    return {
        "video": video,
        "label": FAKE if video.label else REAL,
        "wrong": (video.score >= threshold) != (video.label == 1),
        "notes": ", ".join(map(str, notes)),
        "strip": strip_jpeg(video.track, STRIP_FACES, STRIP_SIDE) if timeline else b"",
        "timeline": _timeline(timeline, threshold) if timeline else None,
    }


def _timeline(points: Sequence[Point], threshold: float) -> dict:
    """Return the curve of a timeline in an SVG of WIDTH x HEIGHT, the height of the threshold in
    it, and the timeline in words."""
    first, last = points[0].time_sec, points[-1].time_sec
    duration_sec = max(last - first, 1e-3)

    def height_of(score: float) -> float:
        return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * score

    places = [
        (EDGE + (WIDTH - 2 * EDGE) * (p.time_sec - first) / duration_sec, height_of(p.score))
        for p in points
    ]
    if len(places) == 1:
        places.append((WIDTH - EDGE, places[0][1]))
    top = max(points, key=lambda point: point.score)
    return {
        "curve": " ".join(f"{x:.1f},{y:.1f}" for x, y in places),
        "threshold": f"{height_of(threshold):.1f}",
        "words": f"{first:.1f} to {last:.1f} s, highest {top.score:.2f} at {top.time_sec:.1f} s",
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
