"""The report of an evaluation as a web page: one file that loads nothing from the network.

    html = report.as_html(model, result, videos, timelines, charts)

The template is report.html.j2, with report.css and report.js next to it; see pages.py. Sorting the
table needs JavaScript; everything else works without.

Size: 0.25 MB, 0.5 KB a video, and 7 KB more for one with faces and a timeline. With more than
`MAX_VIDEOS` the page shows those with the largest errors, so that it stays below 3 MB with 100 of
these; all videos are in predictions.csv.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from deepfake_detector.clips.strips import strip_jpeg
from deepfake_detector.evaluation import tables
from deepfake_detector.evaluation.timelines import TimelinePoint
from deepfake_detector.evaluation.videos import NOT_NAMED, ScoredVideo, largest_errors_first
from deepfake_detector.pages import content_policy, template_environment
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.videos.metadata import FAKE, REAL

FOLDER = Path(__file__).parent
MAX_VIDEOS = 3000
STRIP_FACES, STRIP_SIDE = 6, 56  # number, pixels


def as_html(
    model: Path,
    result: Mapping,
    videos: Sequence[ScoredVideo],
    timelines: Mapping[ScoredVideo, Sequence[TimelinePoint]],
    charts: Mapping[str, bytes],
) -> str:
    """Return the page.

    `result` is what goes into metrics.json, `timelines` are of the videos that are shown with
    faces, and `charts` are PNGs by title.
    """
    style, script = ((FOLDER / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    shown = largest_errors_first(videos)[:MAX_VIDEOS]
    environment = template_environment(FOLDER)
    environment.globals["tables"] = tables
    point = OperatingPoint(result["fake_from"], result["real_below"])
    html = environment.get_template("report.html.j2").render(
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        model=model,
        result=result,
        charts=charts,
        rows=[_row(video, point, timelines.get(video, ())) for video in shown],
        num_drawn=sum(video in timelines for video in shown),
        num_videos=len(videos),
    )
    return html.encode("utf-8", "replace").decode("utf-8")  # file names may not be Unicode


def _row(video: ScoredVideo, point: OperatingPoint, timeline: Sequence[TimelinePoint]) -> dict:
    """Return what the table shows of a video."""
    notes = [] if video.method in (None, NOT_NAMED) else [video.method]
    if video.track.name != video.name:
        notes.append(f"face {video.track.name}")
    if video.frames_averaged:
        notes.append(f"{video.frames_averaged} of {video.frames_total} boxes averaged")
    return {
        "video": video,
        "label": FAKE if video.label else REAL,
        "wrong": point.verdict(video.score) == (REAL if video.label else FAKE),
        "notes": ", ".join(map(str, notes)),
        "strip": strip_jpeg(video.track, STRIP_FACES, STRIP_SIDE) if timeline else b"",
        "timeline": _timeline(timeline) if timeline else None,
    }


def _timeline(points: Sequence[TimelinePoint]) -> dict:
    """Return the score over time as points of an SVG, both 0..1 from the upper left, and a text."""
    first, last = points[0].time_sec, points[-1].time_sec
    duration_sec = max(last - first, 1e-3)
    places = [((p.time_sec - first) / duration_sec, 1 - p.score) for p in points]
    if len(places) == 1:
        places.append((1.0, places[0][1]))
    top = max(points, key=lambda point: point.score)
    return {
        "curve": " ".join(f"{x:.3f},{y:.3f}" for x, y in places),
        "text": f"{first:.1f} to {last:.1f} s, highest {top.score:.2f} at {top.time_sec:.1f} s",
    }
