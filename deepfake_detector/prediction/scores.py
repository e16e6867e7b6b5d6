"""The faces of a video in, their scores out. TensorFlow is imported when the model is opened.

scorer = load_scorer(Path("run/model.keras"), settings)
faces = score_faces(scorer, found)
explanation = explain_score(scorer, faces[0])
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.console import UserError, quiet_tensorflow
from deepfake_detector.prediction.windows import VideoFaces, Window, WindowFace
from deepfake_detector.scoring import occlusion

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer


@dataclass(frozen=True)
class ScoredFace:
    """One face in one window; scores are calibrated P(fake), 0..1."""

    window: Window
    face: WindowFace
    score: float
    moment_scores: tuple[float, ...] = ()  # one for each of `face.moments`


@dataclass(frozen=True, eq=False)
class Explanation:
    """What in a clip its score rests on, see scoring/occlusion.py."""

    clip: np.ndarray  # (num_frames, height, width, 3) uint8 RGB
    effects: np.ndarray  # (height, width) float64, change of the logit
    frame_effects: np.ndarray  # (num_frames,) float64, change of the logit


def load_scorer(model_path: Path, settings: Mapping) -> "ClipScorer":
    """Return what scores clips with the model; raises UserError for a file that is no model."""
    with quiet_tensorflow():
        from deepfake_detector.scoring import model_file
        from deepfake_detector.scoring.clip_scorer import ClipScorer
    return ClipScorer(model_file.load(model_path, settings), settings)


def score_faces(scorer: "ClipScorer", found: VideoFaces) -> list[ScoredFace]:
    """Return the faces of all windows with their scores, in order; raises UserError where a crop
    cannot be read."""
    faces = [(window, face) for window in found.windows for face in window.faces]
    scores = _score_crops(scorer, [face.paths for _, face in faces])
    return [
        ScoredFace(
            window, face, score, tuple(_score_crops(scorer, [m.paths for m in face.moments]))
        )
        for (window, face), score in zip(faces, scores, strict=True)
    ]


def explain_score(scorer: "ClipScorer", face: ScoredFace) -> Explanation:
    """Return what the score of a face rests on; see `explain_crops`."""
    return explain_crops(scorer, face.face.paths)


def explain_crops(scorer: "ClipScorer", paths: Sequence[str]) -> Explanation:
    """Return what the score of a clip of these crops rests on; it costs about ninety clips."""

    def score(clips: np.ndarray) -> np.ndarray:
        return scorer.calibrated(scorer.score_clips(clips))

    clip = scorer.load([paths])[0]
    return Explanation(
        clip, occlusion.occlusion_map(score, clip), occlusion.frame_effects(score, clip)
    )


def _score_crops(scorer: "ClipScorer", clips: Sequence[Sequence[str]]) -> list[float]:
    """Return the calibrated score of each clip, given as the paths of its crops."""
    if not clips:
        return []
    import tensorflow as tf

    try:
        return scorer.calibrated(scorer.score_clips(scorer.load(clips))).tolist()
    except tf.errors.OpError as error:
        reason = next(filter(str.strip, error.message.splitlines()), "no reason given")
        raise UserError(
            f"the crops in the temporary folder cannot be read again: {reason}; make room "
            "there, or name another folder with TMPDIR"
        ) from error
