"""All pictures of one verdict, in a folder: what predict.py --annotate leaves behind.

a.mp4_annotated.mp4   a copy with boxes, scores and a running timeline (annotate.py)
a.mp4_timeline.png    scores over time above the most suspicious faces
a.mp4_occlusion.png   with --explain: what in the decisive face the score rests on
"""

from pathlib import Path
from typing import TYPE_CHECKING

import annotate
import occlusion
import verdict_charts
from verdicts import Judged, Rule

if TYPE_CHECKING:
    from video_scoring import ClipScorer


def draw(
    judged: Judged,
    folder: Path,
    stem: str,
    rule: Rule,
    whole: bool,
    scorer: "ClipScorer | None" = None,
) -> None:
    """Draw a video that has a score; with `scorer`, explain the decisive face too.

    Raises OSError where a picture cannot be written, cv2.error where the video no longer decodes.
    """
    verdict_charts.timeline_chart(folder / f"{stem}_timeline.png", judged, rule.threshold)
    if scorer is not None:
        clip = scorer.load([judged.decisive.face.paths])[0]
        verdict_charts.occlusion_chart(
            folder / f"{stem}_occlusion.png",
            judged.decisive,
            occlusion.occlusion_map(scorer.score, clip),
            occlusion.frame_effects(scorer.score, clip),
            clip,
        )
    copy = folder / f"{stem}_annotated.mp4"
    annotate.annotate_video(judged, copy, rule.threshold, rule.window_sec, whole)
