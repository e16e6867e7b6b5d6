"""The faces of a video in, their scores and its verdict out. `load_scorer` imports TensorFlow.

scorer = load_scorer(task)
verdict = judge(score_faces(found, scorer), scorer, task)    # found: a Reading
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake_detector.clips.sampling import sample_positions
from deepfake_detector.clips.strips import jpeg, tile_of
from deepfake_detector.console import UserError, quiet_tensorflow
from deepfake_detector.scoring import occlusion
from deepfake_detector.verdicts.options import Task
from deepfake_detector.verdicts.reading import Clips, FaceClips, Reading
from deepfake_detector.verdicts.rule import decide
from deepfake_detector.verdicts.verdict import OCCLUSION, Face, Moment, Verdict, moment_key

if TYPE_CHECKING:
    from deepfake_detector.scoring.clip_scorer import ClipScorer

MAX_FACES, MAX_MOMENTS = 6, 25  # that a page shows of a video, and of each face
PICTURE_SIDE, PICTURE_QUALITY = 200, 80  # of a face on a page: in pixels, and of its JPEG
RAISES_RGB, LOWERS_RGB = (178, 24, 43), (33, 102, 172)  # parts that raise and lower P(fake)


def load_scorer(task: Task) -> "ClipScorer":
    """Return what scores clips with the model; raises UserError for a file that is not one."""
    with quiet_tensorflow():
        from deepfake_detector.scoring import model_file
        from deepfake_detector.scoring.clip_scorer import ClipScorer
    settings = task.model_settings
    return ClipScorer(model_file.load(task.model_path, settings), settings)


def judge(found: Reading, scorer: "ClipScorer", task: Task) -> Verdict:
    """Return the verdict on a video that is scored, with the pictures that the task asks for."""
    windows = found.verdict.windows
    facts = replace(
        found.verdict,
        frames=sum(window.frames for window in windows),
        frames_with_face=sum(window.frames_with_face for window in windows),
        model=task.model.path,
        model_name=task.model.name,
        trained_on=task.model.trained_on,
    )
    verdict = decide(facts, task.rule)
    if task.options.jpegs:
        verdict = with_faces(verdict, found.clips)
    if task.options.explain:
        verdict = with_occlusion(verdict, deciding_clip(verdict, found.clips, scorer), scorer)
    return verdict


def score_faces(found: Reading, scorer: "ClipScorer") -> Reading:
    """Return what was read with the scores of the faces. Raises UserError if a crop cannot be
    read."""
    started = time.perf_counter()
    of_faces = iter(_score_crops(scorer, [face.clip for each in found.clips for face in each]))

    def score_one(face: Face, clips: FaceClips) -> Face:
        of_moments = zip(face.moments, _score_crops(scorer, clips.moments), strict=True)
        moments = (Moment(moment.time_sec, score) for moment, score in of_moments)
        return replace(face, score=next(of_faces), moments=tuple(moments))

    windows = [
        replace(window, faces=tuple(map(score_one, window.faces, clips)))
        for window, clips in zip(found.verdict.windows, found.clips, strict=True)
    ]
    seconds = round(found.verdict.seconds + time.perf_counter() - started, 3)
    return replace(found, verdict=replace(found.verdict, windows=tuple(windows), seconds=seconds))


def _score_crops(scorer: "ClipScorer", clips: Sequence[Sequence[str]]) -> list[float]:
    """Return the calibrated score of each clip, given as the paths of its crops."""
    raw_scores = [
        scorer.score_clips(load_clips(scorer, clips[start : start + scorer.batch_size]))
        for start in range(0, len(clips), scorer.batch_size)  # those of a long video are large
    ]
    return scorer.calibrated(np.concatenate([np.zeros(0), *raw_scores])).tolist()


def load_clips(scorer: "ClipScorer", clips: Sequence[Sequence[str]]) -> np.ndarray:
    """Return clips by the paths of their crops, `(num_clips, num_frames, height, width, 3) uint8`
    RGB. Raises UserError if a crop cannot be read."""
    import tensorflow as tf

    try:
        return scorer.load(clips)
    except tf.errors.OpError as error:
        reason = next(filter(str.strip, error.message.splitlines()), "no reason given")
        raise UserError(
            f"the crops in the temporary folder cannot be read again: {reason}; make room "
            "there, or name another folder with TMPDIR"
        ) from error


def shown_faces(verdict: Verdict) -> list[tuple[int, int]]:
    """Return the indices of window and face of the deciding face and those of the highest scores,
    MAX_FACES at most."""
    deciding = (verdict.window_index, verdict.face_index)
    places = [
        ((window_index, face_index), face.score)
        for window_index, window in enumerate(verdict.windows)
        for face_index, face in enumerate(window.faces)
    ]
    places.sort(key=lambda place: (place[0] != deciding, -place[1]))
    return [place for place, _ in places[:MAX_FACES]]


def shown_moments(face: Face) -> list[int]:
    """Return the indices of MAX_MOMENTS moments of a face at most, its highest one among them."""
    if not face.moments:
        return []
    spread = sample_positions(len(face.moments), MAX_MOMENTS - 1)
    return sorted({*spread, highest_moment(face)})


def highest_moment(face: Face) -> int:
    """Return the index of the highest-scoring moment of a face that has some."""
    return max(range(len(face.moments)), key=lambda index: face.moments[index].score)


def with_faces(verdict: Verdict, clips: Clips) -> Verdict:
    """Return the verdict with pictures of the moments that a page shows.

    A crop that cannot be read is left out.
    """
    jpegs = dict(verdict.jpegs)
    for window_index, face_index in shown_faces(verdict):
        of_face = clips[window_index][face_index]
        for moment_index in shown_moments(verdict.windows[window_index].faces[face_index]):
            paths = of_face.moments[moment_index]
            crop_bgr = cv2.imread(paths[len(paths) // 2])
            if crop_bgr is not None:
                key = moment_key(window_index, face_index, moment_index)
                jpegs[key] = _encoded(crop_bgr)
    return replace(verdict, jpegs=jpegs)


def deciding_clip(verdict: Verdict, clips: Clips, scorer: "ClipScorer") -> np.ndarray | None:
    """Return the clip that decided, `(num_frames, height, width, 3) uint8` RGB; None without a
    face."""
    if verdict.window_index is None or verdict.face_index is None:
        return None
    return load_clips(scorer, [clips[verdict.window_index][verdict.face_index].clip])[0]


def with_occlusion(verdict: Verdict, clip: np.ndarray | None, scorer: "ClipScorer") -> Verdict:
    """Return the verdict with a map of what its score rests on, over the middle of the clip.

    Red raises P(fake), blue lowers it (scoring/occlusion.py). It costs about ninety clips. Without
    a clip the verdict stays as it is.
    """
    if clip is None:
        return verdict
    effects = occlusion.occlusion_map(
        lambda clips: scorer.calibrated(scorer.score_clips(clips)), clip
    )
    share = (np.abs(effects) / max(float(np.abs(effects).max()), 1e-3))[:, :, None]
    colours = np.where(effects[:, :, None] > 0, RAISES_RGB, LOWERS_RGB)
    # What changes nothing stays as it is; what matters most is covered for the larger part.
    overlay = (1 - 0.7 * share) * clip[len(clip) // 2] + 0.7 * share * colours
    picture = _encoded(overlay.astype(np.uint8)[:, :, ::-1])
    return replace(verdict, jpegs={**verdict.jpegs, OCCLUSION: picture})


def _encoded(face_bgr: np.ndarray) -> str:
    """Return a face as the base64 of a JPEG of PICTURE_SIDE pixels."""
    picture = jpeg(tile_of(face_bgr, PICTURE_SIDE), PICTURE_QUALITY)
    return base64.b64encode(picture).decode()
