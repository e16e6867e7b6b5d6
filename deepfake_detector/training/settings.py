"""What a training depends on, and what the settings.json next to its model holds. No TensorFlow.

settings = TrainSettings(epochs=20, self_blend=1.0)
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deepfake_detector import __version__
from deepfake_detector.clips.pairs import count_clips
from deepfake_detector.console import ArgumentError, UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.networks import catalogue
from deepfake_detector.scoring.trained_model import CONTRACT, MODEL_NAME

FRAMES_FOLDER = "frames"  # in the run folder: the run of the training on single frames
GIVEN_BY_RECIPE = ("initial", "epochs", "frame_epochs", "learning_rate")
ABOVE_ZERO = (
    "epochs",
    "batch_size",
    "num_frames",
    "img_size",
    "learning_rate",
    "patience",
    "min_steps",
)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained where its settings do not say otherwise."""

    initial: str = catalogue.RANDOM
    epochs: int = 10
    frame_epochs: int = 60
    learning_rate: float = 1e-3
    # Clips are fewer and more alike than frames: at a higher rate the network soon loses what the
    # frames have taught it.
    rate_divisor: float = 10.0  # of the learning rate, for clips that follow single frames
    final_share: float = 0.1  # of the learning rate, at the end
    average_momentum: float = 0.0  # of the average of the weights, on single frames; 0: none
    freezes_cnn: bool = False  # train only LSTM and Dense on clips that follow single frames


RECIPES: Mapping[str, Recipe] = {
    "efficientnet-lite0": Recipe(
        catalogue.PRETRAINED,
        epochs=2,
        rate_divisor=100.0,  # the LSTM begins with small numbers
        frame_epochs=20,
        # Without batch normalisation, 3e-4 finds the fakes of other people later and no better.
        learning_rate=1e-4,
        final_share=0.01,
        average_momentum=0.998,
        freezes_cnn=True,
    ),
}
SEED_LIMIT = 2**32  # of NumPy
BY_ARCHITECTURE: Any = None  # in settings: the value of the recipe


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training depends on, but the faces. Raises UserError for impossible values."""

    architecture: str = catalogue.DEFAULT  # of catalogue.ARCHITECTURES or catalogue.BACKBONES
    # Where the first weights come from: "pretrained", "imagenet", "random" or the path of a file.
    initial: str = BY_ARCHITECTURE
    epochs: int = BY_ARCHITECTURE
    frame_epochs: int = BY_ARCHITECTURE  # on single frames, before those on clips
    batch_size: int = 8  # clips in a step, over all devices together
    num_frames: int = 8  # in a clip, spread over the video
    img_size: int = 192  # side of a face in pixels, as the network sees it
    learning_rate: float = BY_ARCHITECTURE  # highest of the schedule; for clips see clip_stage
    patience: int = 10  # epochs without a better validation loss before training stops
    min_steps: int = 50  # in an epoch: a small set is repeated
    self_blend: float = 0.5  # share of the fakes that are made from real videos
    validation_share: float = 0.15
    test_share: float = 0.15
    seed: int = 0
    precision: str = "auto"  # of the arithmetic; the saved model is float32 in any case
    freeze_backbone: bool = False  # train only the layers after the backbone

    def __post_init__(self) -> None:
        for name in GIVEN_BY_RECIPE:
            given = getattr(self, name)
            value = getattr(self.recipe, name) if given is BY_ARCHITECTURE else given
            object.__setattr__(self, name, str(value) if name == "initial" else value)
        self._check_numbers()
        self._check_architecture()

    def _check_numbers(self) -> None:
        for name in ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise ArgumentError(name, getattr(self, name), "above 0")
        if self.frame_epochs < 0:
            raise ArgumentError("frame_epochs", self.frame_epochs, "0 or more")
        if not 0 <= self.self_blend <= 1:
            raise ArgumentError("self_blend", self.self_blend, "from 0 to 1")
        if not 0 < self.validation_share < 1:
            raise ArgumentError("validation_share", self.validation_share, "above 0 and below 1")
        if not 0 <= self.test_share < 1:
            raise ArgumentError("test_share", self.test_share, "0 or more and below 1")
        if not 0 <= self.seed < SEED_LIMIT:
            raise ArgumentError("seed", self.seed, f"from 0 to {SEED_LIMIT - 1}")

    def _check_architecture(self) -> None:
        if self.initial == catalogue.PRETRAINED and self.architecture != catalogue.DEFAULT:
            raise UserError(
                f"the pretrained model is one of {catalogue.DEFAULT}, not of {self.architecture}; "
                "give --from random, or --from FILE with a model of that architecture"
            )
        if self.has_backbone:
            catalogue.check_frame_size(self.architecture, self.img_size, self.img_size)
            return
        if self.architecture not in catalogue.ARCHITECTURES:
            names = ", ".join((*catalogue.ARCHITECTURES, *catalogue.BACKBONES))
            raise UserError(f"architecture {self.architecture!r} is none of {names}")
        if self.initial == catalogue.IMAGENET and self.architecture != catalogue.DEFAULT:
            raise UserError(
                f"there are no weights of ImageNet for {self.architecture}; give --from random"
            )
        if self.freeze_backbone:
            raise UserError(
                f"{self.architecture} has no backbone to freeze; name one with --architecture: "
                + ", ".join(catalogue.BACKBONES)
            )
        if self.img_size < catalogue.LEAST_SIDE:
            raise ArgumentError(
                "img_size", self.img_size, f"at least {catalogue.LEAST_SIDE} pixels"
            )

    @property
    def recipe(self) -> Recipe:
        other = Recipe(catalogue.IMAGENET if self.has_backbone else catalogue.RANDOM)
        return RECIPES.get(self.architecture, other)

    @property
    def has_backbone(self) -> bool:
        return self.architecture in catalogue.BACKBONES


@dataclass(frozen=True)
class RunOptions:
    """How to go about a training: nothing that its saved settings mention."""

    overwrite: bool = False
    tensorboard: bool = False
    checkpoint_minutes: float = 10.0
    export: bool = False
    ignore_official_split: bool = False
    deterministic: bool = False


@dataclass(frozen=True)
class Stage:
    """A training in a folder of its own: on single frames, or on clips."""

    folder: Path
    settings: TrainSettings  # that it trains with
    run_settings: dict  # what its settings.json holds
    initial: str  # where its first weights come from, as TrainSettings has it
    keep_last: bool = False  # save the model of the last epoch, not that of the best one
    average_momentum: float = 0.0  # of the average of the weights; 0: none
    freezes_cnn: bool = False  # train only LSTM and Dense


def frame_stage(
    out: Path, settings: TrainSettings, face_settings: Mapping, videos: Sequence[FaceTrack]
) -> Stage:
    """Return the training on single frames of these videos, in the folder `frames` of `out`."""
    settings = frame_settings(settings, videos)
    return Stage(
        out / FRAMES_FOLDER,
        settings,
        run_settings(settings, face_settings, videos),
        settings.initial,
        # Validation is on few people: where it is best by chance, little has been learned yet.
        keep_last=True,
        average_momentum=settings.recipe.average_momentum,
    )


def clip_stage(
    out: Path, settings: TrainSettings, face_settings: Mapping, videos: Sequence[FaceTrack]
) -> Stage:
    """Return the training on clips of these videos, which begins with the model of single frames if
    `settings` has epochs on them. Its settings.json holds the settings of both stages as they were
    given."""
    saved, recipe = run_settings(settings, face_settings, videos), settings.recipe
    initial = str(out / FRAMES_FOLDER / MODEL_NAME) if settings.frame_epochs else settings.initial
    freezes_cnn = recipe.freezes_cnn and settings.frame_epochs > 0
    if settings.frame_epochs:
        settings = replace(settings, learning_rate=settings.learning_rate / recipe.rate_divisor)
    return Stage(out, settings, saved, initial, freezes_cnn=freezes_cnn)


def frame_settings(settings: TrainSettings, videos: Sequence[FaceTrack]) -> TrainSettings:
    """Return the settings of the training on single frames that comes before the one on clips.

    Its batches are twice as large where there are enough videos: a step should show as many people
    as possible, and it holds fewer frames anyway.
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
    settings: TrainSettings, face_settings: Mapping, videos: Sequence[FaceTrack]
) -> dict:
    """Return what the settings.json next to a model holds; evaluate.py and predict.py read it."""
    import keras  # only here, where they are loaded already: arguments are parsed without them
    import tensorflow

    return {
        "contract": CONTRACT,
        "version": __version__,
        "faces": dict(face_settings),
        "num_frames": settings.num_frames,
        "img_size": [settings.img_size, settings.img_size],
        "label": {"0": "REAL", "1": "FAKE"},
        "score": "P(fake), 0..1",
        "trained_on": what_is_trained_on(videos),
        "training": saved_settings(settings),
        "versions": {
            "tensorflow": tensorflow.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def what_is_trained_on(tracks: Sequence[FaceTrack]) -> dict:
    """Return how many videos of each class there are, how many of them are drawings, and which
    methods and collections the metadata names."""
    videos = {track.video_key: track for track in tracks}.values()
    return {
        "real": sum(video.label == 0 for video in videos),
        "fake": sum(video.label == 1 for video in videos),
        "synthetic": sum(video.is_synthetic for video in videos),
        "methods": sorted({video.method for video in videos if video.label} - {""}),
        "collections": sorted({video.collection for video in videos} - {""}),
    }


def saved_settings(settings: TrainSettings) -> dict:
    """Return the training settings as settings.json holds them."""
    saved = asdict(settings)
    if not settings.has_backbone:
        del saved["freeze_backbone"]
    return saved
