"""The faces of one video in, its verdict out: scores, rule and explanation put together.

    judged = judge_faces(Path("a.mp4"), found, scorer, task)

The last step of `predict.judge_videos`, and of the page of app.py.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake_detector.prediction.scores import explain_score, score_faces
from deepfake_detector.prediction.task import Task
from deepfake_detector.prediction.verdicts import JudgedVideo, judge
from deepfake_detector.prediction.windows import VideoFaces

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer


def judge_faces(
    path: Path, found: VideoFaces, scorer: "ClipScorer", task: Task, explain: bool = False
) -> JudgedVideo:
    """Return the verdict on a video from the faces that were found in it.

    With `explain` also find out what in the deciding face the score rests on. Raises UserError
    where a crop cannot be read.
    """
    started = time.perf_counter()
    faces = score_faces(scorer, found)
    seconds = found.seconds + time.perf_counter() - started
    judged = judge(path, found, faces, task.rule, seconds, task.model)
    if explain and judged.deciding_face is not None:
        return replace(judged, explanation=explain_score(scorer, judged.deciding_face))
    return judged
