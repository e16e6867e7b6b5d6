"""The pictures of a verdict: a chart of scores over time, an occlusion map, an annotated copy.

    draw_pictures(judged, Path("pictures"), "holiday.mp4")

writes holiday.mp4_timeline.png, holiday.mp4_occlusion.png where the verdict has an explanation, and
holiday.mp4_annotated.mp4; of a picture holiday.jpg_annotated.png. Matplotlib figures of their own,
as in charts.py: no display and no global state.
"""

import textwrap
import warnings
from pathlib import Path

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake_detector.console import printable
from deepfake_detector.decoding.pictures import is_picture
from deepfake_detector.files import written_whole
from deepfake_detector.prediction.scores import Explanation, ScoredFace
from deepfake_detector.prediction.verdicts import JudgedVideo
from deepfake_detector.results.annotated_video import COLOURS as VERDICT_COLOURS_BGR
from deepfake_detector.results.annotated_video import (
    annotate_picture,
    annotate_video,
    caption_of,
    title_of,
)

FACES_SHOWN = 3
LONGEST_NAME = 70  # letters of a file's name in a title
COLOURS = ("tab:blue", "tab:orange", "tab:purple", "tab:brown", "tab:pink", "tab:olive")
VERDICT_COLOURS = {
    verdict: tuple(value / 255 for value in reversed(colour_bgr))
    for verdict, colour_bgr in VERDICT_COLOURS_BGR.items()
}
CAPTION_LETTERS = 150  # in a line
DIVERGING = colormaps["RdBu_r"]  # red raises P(fake), blue lowers it


def draw_pictures(judged: JudgedVideo, folder: Path, stem: str) -> str:
    """Draw all pictures of a video that has a score, as `<stem>_<picture>` in `folder`.

    Returns what is missing in them, mostly nothing.

    Raises OSError where a picture cannot be written, cv2.error where the video no longer decodes.
    """
    timeline_chart(folder / f"{stem}_timeline.png", judged)
    if judged.deciding_face is not None and judged.explanation is not None:
        path = folder / f"{stem}_occlusion.png"
        occlusion_chart(path, judged.deciding_face, judged.explanation)
    if is_picture(judged.path):
        annotate_picture(judged, folder / f"{stem}_annotated.png")
        return ""
    return annotate_video(judged, folder / f"{stem}_annotated.mp4")


def timeline_chart(path: Path, judged: JudgedVideo) -> None:
    """Draw the scores of a video over time above its deciding face and those of the
    highest scores.

    A wide line is the score of a whole window, which decides; the thin one with dots is that of
    clips of a second, which only shows where the score is high.
    """
    by_score = sorted(judged.faces, key=lambda face: -face.score)
    shown = sorted(by_score, key=lambda face: face is not judged.deciding_face)[:FACES_SHOWN]
    figure = Figure(figsize=(10, 3.2 + 1.35 * len(shown)), layout="constrained")
    upper, *lines = figure.subplots(
        1 + len(shown), height_ratios=[3.0, *[1.2] * len(shown)], squeeze=False
    )[:, 0]
    _draw_scores(upper, judged)
    lines_of_text = [textwrap.fill(line, CAPTION_LETTERS) for line in caption_of(judged)]
    figure.supxlabel(
        "\n".join(lines_of_text).replace("$", r"\$"), x=0.01, ha="left", fontsize=8, color="0.3"
    )
    for axes, face in zip(lines, shown, strict=True):
        axes.imshow(np.hstack([_read_rgb(crop.path) for crop in face.face.crops]))
        axes.set_axis_off()
        axes.set_title(_title(face), loc="left", fontsize=10)
    _save(figure, path)


def occlusion_chart(path: Path, face: ScoredFace, explanation: Explanation) -> None:
    """Draw the occlusion map over every frame of the clip, and the effect of each frame."""
    clip = explanation.clip
    covered, colours = lay_over(explanation)
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    strips, details = figure.subfigures(2, 1, squeeze=False)[:, 0]
    for axes, images in zip(strips.subplots(2), (clip, covered), strict=True):
        axes.imshow(np.hstack(list(images)))
        axes.set_axis_off()
    strips.suptitle(_title(face), x=0.01, ha="left", fontsize=10)
    large, bars = details.subplots(1, 2, width_ratios=[1.0, 2.2])
    large.imshow(covered[len(covered) // 2])
    large.set_axis_off()
    large.set_title("parts of the face", loc="left", fontsize=10)
    details.colorbar(colours, ax=large).set_label("change of the logit", fontsize=8)
    _draw_frame_effects(bars, explanation.frame_effects)
    _save(figure, path)


def lay_over(explanation: Explanation) -> tuple[np.ndarray, ScalarMappable]:
    """Return the clip with the occlusion map over it, `(num_frames, height, width, 3) uint8` RGB,
    and what its colours mean."""
    effects = explanation.effects
    strongest = max(float(np.abs(effects).max()), 1e-3)
    colours = ScalarMappable(Normalize(-strongest, strongest), DIVERGING)
    overlay = colours.to_rgba(effects)[:, :, :3] * 255
    # What changes nothing stays as it is; what matters most is covered for the larger part.
    opacity = 0.7 * (np.abs(effects) / strongest)[:, :, None]
    return ((1 - opacity) * explanation.clip + opacity * overlay).astype(np.uint8), colours


def _draw_scores(axes: Axes, judged: JudgedVideo) -> None:
    labelled: set[int] = set()
    for face in judged.faces:
        number = face.face.number
        colour = COLOURS[number % len(COLOURS)]
        label = None if number in labelled else f"face {number + 1}"
        labelled.add(number)
        span = [face.face.start_sec, face.face.end_sec]
        axes.plot(span, [face.score] * 2, color=colour, linewidth=4, alpha=0.45, label=label)
        times_sec = [moment.time_sec for moment in face.face.moments]
        axes.plot(times_sec, face.moment_scores, color=colour, marker="o", markersize=3)
    threshold = judged.rule.threshold
    axes.axhline(threshold, color="grey", linestyle="--", label=f"threshold {threshold:.3g}")
    if judged.rule.uncertain:
        axes.axhspan(*judged.rule.uncertain, color="tab:orange", alpha=0.15, label="uncertain")
    # A dollar would start a formula.
    name = printable(judged.path.name)[-LONGEST_NAME:].replace("$", r"\$")
    axes.set_title(f"{name}: {title_of(judged)}", color=VERDICT_COLOURS[judged.verdict])
    axes.set(
        xlabel="seconds",
        ylabel="P(fake)",
        ylim=(-0.03, 1.03),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_frame_effects(axes: Axes, frame_effects: np.ndarray) -> None:
    numbers = np.arange(1, len(frame_effects) + 1)
    colours = [DIVERGING(0.9 if effect > 0 else 0.1) for effect in frame_effects]
    axes.bar(numbers, frame_effects, color=colours)
    axes.axhline(0, color="grey", linewidth=1)
    axes.set(xlabel="frame of the clip", ylabel="change of the logit")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("frames; red raises P(fake), blue lowers it", loc="left", fontsize=10)


def _title(face: ScoredFace) -> str:
    shown = face.face
    return (
        f"face {shown.number + 1} of {len(face.window.faces)}, {shown.start_sec:.1f} to "
        f"{shown.end_sec:.1f} s, P(fake) {face.score:.3f}"
    )


def _read_rgb(path: Path) -> np.ndarray:
    image_bgr = cv2.imread(str(path))
    if image_bgr is None:
        raise OSError(0, "a crop cannot be read again", str(path))
    return image_bgr[:, :, ::-1]


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as partial, warnings.catch_warnings():
        # A letter of a name that the font lacks is a box in the title, and no one's concern.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(partial, dpi=100)
