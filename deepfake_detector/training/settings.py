"""What a training can be told: its settings, what of them is remembered, and the command line.

settings = TrainSettings(epochs=20, self_blend=1.0)
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from deepfake_detector.clips.pairs import count_clips
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.networks import catalogue

NUMBERS = (
    "epochs",
    "batch_size",
    "num_frames",
    "img_size",
    "learning_rate",
    "patience",
    "min_steps",
)


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training depends on besides the faces."""

    architecture: str = "detail"  # of model.ARCHITECTURES, or a backbone of backbones.NAMES
    epochs: int = 10
    frame_epochs: int = 60  # on single frames, before those on clips
    batch_size: int = 8  # clips in a step, over all devices together
    num_frames: int = 8  # in a clip, spread over the video
    img_size: int = 192  # side of a face in pixels, as the network sees it
    learning_rate: float = 1e-3  # highest value of the schedule; for clips see clip_settings
    patience: int = 10  # epochs without a better validation before it stops
    min_steps: int = 50  # in an epoch: a small set is passed several times
    self_blend: float = 0.5  # share of the fakes that are made from real videos, see blending.py
    validation_share: float = 0.15
    test_share: float = 0.15
    seed: int = 0
    precision: str = "auto"  # of the arithmetic; the saved model is float32 in any case
    backbone_weights: str | None = None  # of an architecture in backbones.NAMES; None: imagenet
    freeze_backbone: bool = False  # train only what comes after it

    def __post_init__(self):
        for name in NUMBERS:
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.frame_epochs < 0:
            raise UserError(f"frame_epochs is {self.frame_epochs}; it must not be below 0")
        if not 0 <= self.self_blend <= 1:
            raise UserError(f"self_blend is {self.self_blend}; it must lie between 0 and 1")
        if not (0 < self.validation_share < 1 and 0 <= self.test_share < 1):
            raise UserError(
                f"validation_share is {self.validation_share} and test_share {self.test_share}; "
                "the first must lie between 0 and 1, the second may also be 0"
            )
        if self.has_backbone:
            catalogue.check_frame_size(self.architecture, self.img_size, self.img_size)
            return
        if self.backbone_weights or self.freeze_backbone:
            raise UserError(
                f"{self.architecture} has no backbone to take weights for or to freeze; name one "
                "with --backbone"
            )
        if self.img_size < catalogue.LEAST_SIDE:
            raise UserError(
                f"img_size is {self.img_size}; it must be at least {catalogue.LEAST_SIDE} pixels"
            )

    @property
    def has_backbone(self) -> bool:
        return self.architecture in catalogue.BACKBONES


@dataclass(frozen=True)
class RunOptions:
    """How to go about it, besides the settings that a model is known by."""

    overwrite: bool = False
    initial_model: Path | None = None
    tensorboard: bool = False
    checkpoint_minutes: float = 10.0
    export: bool = False
    ignore_marks: bool = False
    deterministic: bool = False


def clip_settings(settings: TrainSettings) -> TrainSettings:
    """Return the settings of the training on clips that goes on from one on single frames: at a
    tenth of the rate, for what the frames have taught is soon lost on fewer and more alike ones."""
    return replace(settings, learning_rate=settings.learning_rate / 10)


def frame_settings(settings: TrainSettings, videos: Sequence[FaceTrack]) -> TrainSettings:
    """Return the settings of the training on single frames that comes before the one on clips.

    Its batches are twice as large where there are videos enough: frames of as many people as
    possible belong into a step, and there are fewer frames in it anyway.
    """
    doubled = 2 * settings.batch_size
    enough = doubled <= count_clips(videos, settings.self_blend)
    return replace(
        settings,
        epochs=settings.frame_epochs,
        frame_epochs=0,
        num_frames=1,
        batch_size=doubled if enough else settings.batch_size,
        patience=settings.frame_epochs,
    )


def run_settings(
    settings: TrainSettings, face_settings: Mapping, initial_model: Path | None = None
) -> dict:
    """Return what stands in the settings.json beside a model; evaluate.py reads it back."""
    return {
        "contract": 1,
        "faces": dict(face_settings),
        "num_frames": settings.num_frames,
        "img_size": [settings.img_size, settings.img_size],
        "label": {"0": "REAL", "1": "FAKE"},
        "score": "P(fake), 0..1",
        "training": told_settings(settings, initial_model),
        "initial_model": str(initial_model) if initial_model else None,
        "versions": {
            "tensorflow": version("tensorflow"),
            "keras": version("keras"),
            "python": platform.python_version(),
        },
    }


def told_settings(settings: TrainSettings, initial_model: Path | None) -> dict:
    """Return the settings as settings.json has them: of backbones only where there is one, and of
    its first weights only where they are not those of an initial model.

    Raises UserError where two places are given to take them from.
    """
    told = asdict(settings)
    if initial_model and settings.backbone_weights:
        raise UserError("--initial-model has all weights; leave --backbone-weights out")
    if not settings.has_backbone:
        del told["backbone_weights"], told["freeze_backbone"]
    elif initial_model:
        del told["backbone_weights"]
    else:
        told["backbone_weights"] = settings.backbone_weights or catalogue.IMAGENET
    return told
