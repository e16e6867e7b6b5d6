"""The faces of a verdict as a page shows them: a chart of scores, and moments to choose from.

    for shown in shown_faces(judged, maps, chosen=None):
        shown.chart.line, shown.moments

Geometry and words only, no HTML: page_video.html.j2 makes SVG and pictures of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from deepfake_detector.clips.sampling import sample_positions
from deepfake_detector.clips.strips import jpeg, tile_of
from deepfake_detector.console import counted
from deepfake_detector.prediction.scores import ScoredFace
from deepfake_detector.prediction.verdicts import JudgedVideo, Rule, score_text

Place = tuple[int, int]  # of a moment: index of the face in a verdict, index of the moment in it
MOST_FACES = 6  # that are shown of a video
MOST_MOMENTS = 25  # that are shown of a face, its highest-scoring one among them
PNG_START = b"\x89PNG"
SMALL_SIDE, LARGE_SIDE = 72, 224  # of a face in pixels
SMALL_QUALITY, LARGE_QUALITY = 75, 85  # of their JPEGs
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 150, 30, 264, 10, 124  # of a chart and its axes


@dataclass(frozen=True)
class ShownMoment:
    """A moment of a face that can be picked."""

    place: Place
    time_sec: float
    score: str
    verdict: str  # of this moment alone
    small: bytes  # JPEG of the face; empty where its crop cannot be read
    large: bytes
    map: bytes  # the occlusion map over the face; empty without one
    is_chosen: bool


@dataclass(frozen=True)
class Dot:
    """A moment in a chart."""

    x: str
    y: str
    verdict: str
    order: int | None  # among the moments that can be picked


@dataclass(frozen=True)
class Chart:
    """Scores over time in an SVG of WIDTH x HEIGHT, in its units as text, and the same in words."""

    words: str
    lines: Sequence[str]  # points of polylines
    dots: Sequence[Dot]
    bars: Sequence[tuple[str, str, str]]  # left, right and height of the score of each face
    threshold: str
    band: tuple[str, str] | None  # top and height of what is uncertain
    start_sec: float
    end_sec: float


@dataclass(frozen=True)
class ShownFace:
    """One face in one window."""

    name: str
    title: str  # also says which window, so that screen readers tell its parts apart
    decides: bool
    is_in_time: bool  # of a video, not of a single picture
    span: str  # which seconds, in words
    score: str
    verdict: str
    chart: Chart
    moments: Sequence[ShownMoment]


def shown_faces(
    judged: JudgedVideo, maps: Mapping[Place, bytes], chosen: Place | None
) -> list[ShownFace]:
    """Return the deciding face and those of the highest scores, `MOST_FACES` at most.

    `maps` has pictures of moments, PNG or JPEG, and `chosen` is the moment to begin with (default:
    `highest_moment`). Raises IndexError where there is no such moment.
    """
    if judged.deciding_face is None:
        return []
    chosen = highest_moment(judged) if chosen is None else chosen
    first = (judged.deciding_face, judged.faces[chosen[0]])
    by_score = sorted(judged.faces, key=lambda face: -face.score)
    shown = sorted(by_score, key=lambda face: [face is not one for one in first])[:MOST_FACES]
    if chosen[1] not in range(len(_moment_scores(judged.faces[chosen[0]]))):
        raise IndexError(f"face {chosen[0]} has no moment {chosen[1]}")
    return [_shown_face(judged, face, maps, chosen) for face in shown]


def highest_moment(judged: JudgedVideo) -> Place:
    """Return the highest-scoring moment of the deciding face of a video that has one."""
    index = next(i for i, face in enumerate(judged.faces) if face is judged.deciding_face)
    return index, _highest(_moment_scores(judged.faces[index]))


def _shown_face(
    judged: JudgedVideo, face: ScoredFace, maps: Mapping[Place, bytes], chosen: Place
) -> ShownFace:
    rule = judged.rule
    index = next(i for i, other in enumerate(judged.faces) if other is face)
    scores, times_sec = _moment_scores(face), _moment_times(face)
    picked = set(sample_positions(len(scores), MOST_MOMENTS - 1)) | {_highest(scores)}
    if chosen[0] == index:
        picked |= {chosen[1]}
    moments = []
    for moment in sorted(picked):
        small, large = _face_pictures(_moment_crop(face, moment))
        place = (index, moment)
        moments.append(
            ShownMoment(
                place,
                times_sec[moment],
                score_text(scores[moment], rule.threshold),
                rule.verdict(scores[moment]),
                small,
                large,
                maps.get(place, b""),
                place == chosen,
            )
        )
    window = face.window
    name = f"Face {face.face.number + 1}"
    several = len({other.window.number for other in judged.faces}) > 1
    return ShownFace(
        name,
        f"{name} from {window.start_sec:.1f} s on" if several else name,
        face is judged.deciding_face,
        face.face.num_frames > 1,
        f"{face.face.start_sec:.1f} to {face.face.end_sec:.1f} s",
        score_text(face.score, rule.threshold),
        rule.verdict(face.score),
        chart_of([face], rule, sorted(picked)),
        moments,
    )


def chart_of(faces: Sequence[ScoredFace], rule: Rule, picked: Sequence[int] = ()) -> Chart:
    """Return the chart of the scores of faces over the seconds that they are seen in.

    With one face there is a dot for each moment; those `picked` are numbered in this order.
    """
    start_sec = min(face.face.start_sec for face in faces)
    end_sec = max(face.face.end_sec for face in faces)

    def x(time_sec: float) -> str:
        share = (time_sec - start_sec) / (end_sec - start_sec) if end_sec > start_sec else 0.5
        return f"{LEFT + share * (RIGHT - LEFT):.1f}"

    def y(score: float) -> str:
        return f"{BOTTOM - score * (BOTTOM - TOP):.1f}"

    lines, bars, dots = [], [], []
    for face in faces:
        scores, times_sec = _moment_scores(face), _moment_times(face)
        lines.append(" ".join(f"{x(t)},{y(s)}" for t, s in zip(times_sec, scores, strict=True)))
        is_short = end_sec == start_sec
        left = str(LEFT) if is_short else x(face.face.start_sec)
        right = str(RIGHT) if is_short else x(face.face.end_sec)
        bars.append((left, right, y(face.score)))
        if len(faces) == 1:
            orders = {moment: order for order, moment in enumerate(picked)}
            dots = [
                Dot(x(time_sec), y(score), rule.verdict(score), orders.get(moment))
                for moment, (time_sec, score) in enumerate(zip(times_sec, scores, strict=True))
            ]
    band = None
    if rule.uncertain:
        low, high = rule.uncertain
        band = (y(high), f"{(high - low) * (BOTTOM - TOP):.1f}")
    words = _chart_words(faces, rule)
    return Chart(words, lines, dots, bars, y(rule.threshold), band, start_sec, end_sec)


def _chart_words(faces: Sequence[ScoredFace], rule: Rule) -> str:
    moments = [
        (score, time_sec)
        for face in faces
        for score, time_sec in zip(_moment_scores(face), _moment_times(face), strict=True)
    ]
    above = sum(rule.is_fake(score) for score, _ in moments)
    (lowest, _), (highest, highest_sec) = min(moments), max(moments)
    threshold = f"the threshold {rule.threshold:.3g}"
    if len(moments) == 1:
        side = "at or above" if above else "below"
        return f"The score {score_text(highest, rule.threshold)} is {side} {threshold}."
    return (
        f"Scores of {counted(len(moments), 'moment')}, from {lowest:.2f} to {highest:.2f}; the "
        f"highest at {highest_sec:.1f} seconds; {above} at or above {threshold}."
    )


def _moment_scores(face: ScoredFace) -> Sequence[float]:
    """Return the scores of the moments; a face without a timeline has one moment."""
    return face.moment_scores or (face.score,)


def _moment_times(face: ScoredFace) -> Sequence[float]:
    if face.moment_scores:
        return [moment.time_sec for moment in face.face.moments]
    return [face.face.crops[len(face.face.crops) // 2].time_sec]


def _moment_crop(face: ScoredFace, moment: int) -> Path:
    """Return the crop in the middle of a moment."""
    if face.moment_scores:
        paths = face.face.moments[moment].paths
        return Path(paths[len(paths) // 2])
    return face.face.crops[len(face.face.crops) // 2].path


def _highest(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=lambda index: scores[index])


def _face_pictures(path: Path) -> tuple[bytes, bytes]:
    """Return a crop small and large, as JPEGs; empty where it cannot be read."""
    crop_bgr = cv2.imread(str(path))
    if crop_bgr is None:
        return b"", b""
    small = jpeg(tile_of(crop_bgr, SMALL_SIDE), SMALL_QUALITY)
    return small, jpeg(tile_of(crop_bgr, LARGE_SIDE), LARGE_QUALITY)
