"""Verdicts made of a few numbers, for the tests of what is made of them."""

from dataclasses import replace

from deepfake_detector.scoring.calibration import OperatingPoint
from deepfake_detector.verdicts.rule import Rule, decide
from deepfake_detector.verdicts.verdict import ClipFrame, Face, Moment, Verdict, Window

RULE = Rule(OperatingPoint(fake_from=0.6, real_below=0.6), window_sec=5.0)
BAND = Rule(OperatingPoint(fake_from=0.7, real_below=0.5), window_sec=5.0)
BOX = (1.3, 2.0, 3.0, 4.0)


def window(
    number: int = 0,
    *scores: float,
    seconds: float = 5.0,
    frames: int = 10,
    moments: tuple[float, ...] = (),
    **facts: object,
) -> Window:
    """A window with a face for each score, whose moments are half a second apart."""
    start_sec, end_sec = 5.0 * number, 5.0 * number + seconds
    clip = (ClipFrame(3, 0.12, BOX, "detected"),)
    of_face = tuple(Moment(start_sec + 0.5 * order, m) for order, m in enumerate(moments, 1))
    faces = tuple(Face(s, start_sec, end_sec, frames, frames, clip, of_face) for s in scores)
    made = Window(start_sec, end_sec, frames, frames - 1 if scores else 0, None, faces)
    return replace(made, **facts)


def verdict(*windows: Window, rule: Rule = RULE, **facts: object) -> Verdict:
    """The verdict on a.mp4, of these windows."""
    scored = Verdict(
        "a.mp4",
        read_sec=5.0,
        frames=sum(each.frames for each in windows),
        frames_with_face=sum(each.frames_with_face for each in windows),
        model="run/model.keras",
        model_name="run",
        windows=windows,
    )
    return decide(replace(scored, **facts), rule)
