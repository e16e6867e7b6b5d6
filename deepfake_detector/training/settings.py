"""What a training depends on, and what the settings.json next to its model holds. No TensorFlow.

settings = TrainSettings(epochs=20, self_blend=1.0)
"""

import importlib.util
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deepfake_detector import __version__
from deepfake_detector.clips import landmarks
from deepfake_detector.clips.pairs import count_clips
from deepfake_detector.console import ArgumentError, UserError, setting
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.networks import catalogue
from deepfake_detector.networks.catalogue import ARCHITECTURES, BACKBONES, DEFAULT
from deepfake_detector.scoring.trained_model import CONTRACT, MODEL_NAME

FRAMES_FOLDER = "frames"  # in the run folder: the run of the training on single frames
SEED_LIMIT = 2**32  # of NumPy


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: values of settings that are not given, and what is not asked."""

    initial: str = catalogue.RANDOM
    epochs: int = 10
    frame_epochs: int = 60
    learning_rate: float = 1e-3
    # Clips are fewer and more alike than frames: at a higher rate the network soon loses what the
    # frames have taught it.
    rate_divisor: float = 10.0  # of the learning rate, for clips that follow single frames
    final_share: float = 0.1  # of the learning rate, at the end
    averages: bool = False  # on single frames, the weights over the steps
    freezes_cnn: bool = False  # train only LSTM and Dense on clips that follow single frames


OTHERS = Recipe()
FINE_TUNING = Recipe(
    catalogue.PRETRAINED,
    epochs=2,
    rate_divisor=100.0,  # the LSTM begins with small numbers
    frame_epochs=20,
    # Without batch normalisation, 3e-4 finds the fakes of other people later and no better.
    learning_rate=1e-4,
    final_share=0.01,
    averages=True,
    freezes_cnn=True,
)
BY_RECIPE: Any = None  # the default of a setting whose value depends on the architecture


def _of_recipe(name: str, text: str) -> Any:
    values = f"{getattr(FINE_TUNING, name)} for {DEFAULT}, {getattr(OTHERS, name)} for the"
    return setting(BY_RECIPE, f"{text} ({values} others)")


@dataclass(frozen=True)
class TrainSettings:
    """Everything a training depends on, but the faces. Raises UserError for impossible values."""

    architecture: str = setting(
        DEFAULT,
        f"network to train: {', '.join(ARCHITECTURES)} (default: {DEFAULT}), or one of "
        f"keras.applications: {', '.join(BACKBONES)}",
        choices=(*ARCHITECTURES, *BACKBONES),
        metavar="NAME",
    )
    initial: str = setting(
        BY_RECIPE,
        "first weights: of the model that this project ships, of a training on ImageNet, of a "
        "random initialisation, or of a .keras file or run folder of train.py (default: pretrained "
        f"for {DEFAULT}, random for baseline, imagenet for the others)",
        option="--from",
        metavar="pretrained|imagenet|random|FILE",
    )
    epochs: int = _of_recipe(
        "epochs",
        "highest number of epochs on clips; training stops earlier if the validation loss does not "
        "improve any more",
    )
    frame_epochs: int = _of_recipe(
        "frame_epochs", "epochs on single frames, before the training on clips; 0: none"
    )
    batch_size: int = setting(8, "clips in a step, over all devices together")
    num_frames: int = setting(8, "frames in a clip, spread evenly over the video")
    img_size: int = setting(192, "side of a face in pixels, as the network sees it")
    learning_rate: float = _of_recipe(
        "learning_rate",
        "highest learning rate of the schedule for single frames, from which that for clips is "
        "derived",
    )
    patience: int = setting(10, "epochs without a better validation loss before training stops")
    min_steps: int = setting(50, "lowest number of steps in an epoch; a small set is repeated")
    self_blend: float = setting(
        0.5, "share of the fakes that are made from real videos; 1 needs no other fakes"
    )
    landmarks: bool = setting(
        False,
        "place what is made in faces by landmarks, which takes a file of the package mediapipe "
        "(docs/training.md)",
    )
    validation_share: float = setting(0.15, "share of the videos that chooses the best epoch")
    test_share: float = setting(0.15, "share of the videos that is held out for evaluate.py")
    ignore_official_split: bool = setting(
        False, "split all videos at random, also those whose split the metadata names"
    )
    seed: int = setting(0, "seed of everything random: split, order, initial weights, augmentation")
    precision: str = setting(
        "auto",
        "number format of the arithmetic; auto: the fastest one of the GPUs here",
        choices=("auto", *catalogue.PRECISIONS),
    )

    def __post_init__(self) -> None:
        for name in ("initial", "epochs", "frame_epochs", "learning_rate"):
            if getattr(self, name) is BY_RECIPE:
                object.__setattr__(self, name, getattr(self.recipe, name))
        object.__setattr__(self, "initial", str(self.initial))
        self._check_numbers()
        self._check_architecture()
        if self.landmarks:
            landmarks.check_installed()

    def _check_numbers(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "num_frames",
            "learning_rate",
            "patience",
            "min_steps",
        ):
            if not getattr(self, name) > 0:
                raise ArgumentError(name, getattr(self, name), "above 0")
        if self.frame_epochs < 0:
            raise ArgumentError("frame_epochs", self.frame_epochs, "0 or more")
        if self.img_size < catalogue.MIN_SIDE:
            raise ArgumentError("img_size", self.img_size, f"at least {catalogue.MIN_SIDE} pixels")
        if not 0 <= self.self_blend <= 1:
            raise ArgumentError("self_blend", self.self_blend, "from 0 to 1")
        if not 0 < self.validation_share < 1:
            raise ArgumentError("validation_share", self.validation_share, "above 0 and below 1")
        if not 0 <= self.test_share < 1:
            raise ArgumentError("test_share", self.test_share, "0 or more and below 1")
        if not 0 <= self.seed < SEED_LIMIT:
            raise ArgumentError("seed", self.seed, f"from 0 to {SEED_LIMIT - 1}")

    def _check_architecture(self) -> None:
        name = self.architecture
        if name not in (*ARCHITECTURES, *BACKBONES):
            known = ", ".join((*ARCHITECTURES, *BACKBONES))
            raise ArgumentError("architecture", name, f"one of {known}")
        if self.initial == catalogue.PRETRAINED and name != DEFAULT:
            raise UserError(
                f"the pretrained model is one of {DEFAULT}, not of {name}; give --from random, or "
                "--from FILE with a model of that architecture"
            )
        if self.initial == catalogue.IMAGENET and name == "baseline":
            raise UserError("baseline has no weights of ImageNet; give --from random")

    @property
    def recipe(self) -> Recipe:
        if self.architecture == DEFAULT:
            return FINE_TUNING
        is_backbone = self.architecture in BACKBONES
        return replace(OTHERS, initial=catalogue.IMAGENET) if is_backbone else OTHERS


@dataclass(frozen=True)
class RunOptions:
    """What a run does besides: no weights depend on it, but for the last digits.

    Raises UserError if TensorBoard is wanted and not installed.
    """

    overwrite: bool = setting(False, "replace the run that is in the run folder")
    deterministic: bool = setting(False, "make runs bit-identical on GPUs, too, which is slower")
    tensorboard: bool = setting(False, "also write logs for TensorBoard")
    export: bool = setting(False, "also write SavedModel and LiteRT")

    def __post_init__(self) -> None:
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise UserError("--tensorboard needs another package: pip install tensorboard")


@dataclass(frozen=True)
class Stage:
    """A training in one folder: on clips, or before that on single frames."""

    folder: Path
    settings: TrainSettings  # that it trains with, derived from those of the run
    saved: dict  # what its settings.json holds, with the settings of the run
    is_first: bool = False  # of two: on single frames
    freezes_cnn: bool = False  # train only LSTM and Dense


def training_stages(
    out: Path, settings: TrainSettings, face_settings: Mapping, tracks: Sequence[FaceTrack]
) -> list[Stage]:
    """Return the training on clips of these tracks, and before it that on single frames, in the
    folder `frames` of `out`, with whose model it begins, if `settings` has epochs on them.

    Batches of single frames are twice as large if there are enough videos: a step should show as
    many people as possible, and it holds fewer frames anyway.
    """
    saved = _run_settings(settings, face_settings, tracks)
    if not settings.frame_epochs:
        return [Stage(out, settings, saved)]
    doubled = 2 * settings.batch_size
    enough = doubled <= count_clips(tracks, settings.self_blend)
    of_frames = replace(
        settings,
        epochs=settings.frame_epochs,
        num_frames=1,
        batch_size=doubled if enough else settings.batch_size,
        patience=settings.frame_epochs,
    )
    of_clips = replace(
        settings,
        initial=str(out / FRAMES_FOLDER / MODEL_NAME),
        learning_rate=settings.learning_rate / settings.recipe.rate_divisor,
    )
    return [
        Stage(out / FRAMES_FOLDER, of_frames, {**saved, "num_frames": 1}, is_first=True),
        Stage(out, of_clips, saved, freezes_cnn=settings.recipe.freezes_cnn),
    ]


def _run_settings(
    settings: TrainSettings, face_settings: Mapping, tracks: Sequence[FaceTrack]
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
        "trained_on": what_is_trained_on(tracks),
        "training": asdict(settings),
        "versions": {
            "tensorflow": tensorflow.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def what_is_trained_on(tracks: Sequence[FaceTrack]) -> dict:
    """Return how many videos of each class there are, how many of them are synthetic, and which
    methods and collections the metadata names."""
    videos = {track.video_key: track for track in tracks}.values()
    return {
        "real": sum(video.label == 0 for video in videos),
        "fake": sum(video.label == 1 for video in videos),
        "synthetic": sum(video.is_synthetic for video in videos),
        "methods": sorted({video.method for video in videos if video.label} - {""}),
        "collections": sorted({video.collection for video in videos} - {""}),
    }
