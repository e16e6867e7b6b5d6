"""The report of an evaluation as a web page: one file that loads nothing from the network.

    html = report.as_html(model, result, videos, charts)

The template is report.html.j2, with report.css next to it; see pages.py. There is no script in it.

Size: 0.25 MB, 0.5 KB a video, and 5 KB more for each of the `MAX_STRIPS` that are shown with faces.
With more than `MAX_VIDEOS` the page shows those with the largest errors, so that it stays below
3 MB; all videos are in predictions.csv.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from deepfake_detector.clips.strips import strip_jpeg
from deepfake_detector.evaluation import tables
from deepfake_detector.evaluation.videos import ScoredVideo, largest_errors_first
from deepfake_detector.pages import content_policy, template_environment
from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.videos.metadata import FAKE, REAL

FOLDER = Path(__file__).parent
MAX_VIDEOS, MAX_STRIPS = 3000, 100
STRIP_FACES, STRIP_SIDE = 6, 56  # number, pixels


def as_html(
    model: Path, result: Mapping, videos: Sequence[ScoredVideo], charts: Mapping[str, bytes]
) -> str:
    """Return the page.

    `result` is what goes into metrics.json, and `charts` are PNGs by title.
    """
    style = (FOLDER / "report.css").read_text("utf-8")
    shown = largest_errors_first(videos)[:MAX_VIDEOS]
    environment = template_environment(FOLDER)
    environment.globals["tables"] = tables
    point = OperatingPoint(result["fake_from"], result["real_below"])
    html = environment.get_template("report.html.j2").render(
        policy=content_policy(style),
        style=Markup(style),
        model=model,
        result=result,
        charts=charts,
        rows=[_row(video, point, place < MAX_STRIPS) for place, video in enumerate(shown)],
        num_videos=len(videos),
    )
    return html.encode("utf-8", "replace").decode("utf-8")  # file names may not be Unicode


def _row(video: ScoredVideo, point: OperatingPoint, with_faces: bool) -> dict:
    """Return what the table shows of a video."""
    notes = [video.track.method] if video.label and video.track.method else []
    if video.track.name != video.name:
        notes.append(f"face {video.track.name}")
    return {
        "video": video,
        "label": FAKE if video.label else REAL,
        "wrong": point.verdict(video.score) == (REAL if video.label else FAKE),
        "notes": ", ".join(notes),
        "strip": strip_jpeg(video.track, STRIP_FACES, STRIP_SIDE) if with_faces else b"",
    }
