"""The command line of train.py. No TensorFlow: --help and wrong arguments answer at once."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

from deepfake_detector.console import ArgumentParser, add_output_arguments
from deepfake_detector.networks import catalogue
from deepfake_detector.training.settings import BY_ARCHITECTURE, RunOptions, TrainSettings

SETTING_HELPS = {
    "epochs": "highest number of epochs on clips; training stops earlier when the validation loss "
    "no longer improves",
    "frame_epochs": "epochs on single frames, before the training on clips; 0: none",
    "batch_size": "clips in a step, over all devices together",
    "num_frames": "frames in a clip, spread evenly over the video",
    "img_size": "side of a face in pixels, as the network sees it",
    "learning_rate": "highest learning rate of the schedule for single frames; that for clips is "
    "derived from it",
    "patience": "epochs without a better validation loss before training stops",
    "min_steps": "lowest number of steps in an epoch; a small data set is repeated",
    "self_blend": "share of the fakes that are made from real videos; 1 needs no other fakes",
    "validation_share": "share of the videos that is used to choose the best epoch",
    "test_share": "share of the videos that is held out for evaluate.py",
    "seed": "seed of everything random: split, order, initial weights, augmentation",
    "precision": "number format of the arithmetic; auto: the fastest one of the GPUs here",
}
SETTING_CHOICES = {"precision": ["auto", *catalogue.PRECISIONS]}


@dataclass(frozen=True)
class Arguments:
    """What a command line of train.py asks for."""

    data: Path
    out: Path
    settings: TrainSettings
    options: RunOptions
    json_summary: bool


def read_arguments(description: str | None, argv: Sequence[str] | None = None) -> Arguments:
    """Return what `argv` asks for, by default the words of this process.

    Raises UserError for values that cannot work, and SystemExit like every argparse parser.
    """
    args = main_arguments(description).parse_args(argv)
    settings = TrainSettings(
        **{each.name: getattr(args, each.name) for each in fields(TrainSettings)}
    )
    options = RunOptions(**{each.name: getattr(args, each.name) for each in fields(RunOptions)})
    return Arguments(args.data, args.out, settings, options, args.json_summary)


def main_arguments(description: str | None) -> ArgumentParser:
    """Return the parser of train.py."""
    parser = ArgumentParser(description)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="faces that processing.py wrote")
    add("--out", type=Path, required=True, metavar="DIR", help="run folder to write")
    _add_network_arguments(parser)
    _add_setting_arguments(parser)
    _add_run_arguments(parser)
    add_output_arguments(parser, verbose="the messages of TensorFlow")
    return parser


def _add_network_arguments(parser: argparse.ArgumentParser) -> None:
    names = (*catalogue.ARCHITECTURES, *catalogue.BACKBONES)
    parser.add_argument(
        "--architecture",
        default=TrainSettings.architecture,
        choices=names,
        metavar="NAME",
        help=f"network to train: {', '.join(catalogue.ARCHITECTURES)} (default: %(default)s), or "
        f"one of keras.applications: {', '.join(catalogue.BACKBONES)}",
    )
    parser.add_argument(
        "--freeze-backbone",
        action="store_true",
        help="train only the layers after a network of keras.applications",
    )
    parser.add_argument(
        "--from",
        dest="initial",
        metavar="pretrained|imagenet|random|FILE",
        help="first weights: of the model that this project ships, of a training on ImageNet, of a "
        "random initialisation, or of a .keras file or run folder of train.py (default: pretrained "
        f"for {catalogue.DEFAULT}, imagenet for the networks of keras.applications, random for the "
        "others); for a network of keras.applications also a file of its weights (.weights.h5, .h5 "
        "or .keras) without the classification layer",
    )


def _add_setting_arguments(parser: argparse.ArgumentParser) -> None:
    types = get_type_hints(TrainSettings)
    for name, text in SETTING_HELPS.items():
        default, choices = getattr(TrainSettings, name), SETTING_CHOICES.get(name)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=types[name],
            default=default,
            choices=choices,
            metavar=None if choices else "N",
            help=f"{text} (default: {_defaults(name) if default is BY_ARCHITECTURE else default})",
        )


def _defaults(name: str) -> str:
    """Return the values of a setting that depends on the architecture, in words."""
    first, other = (
        getattr(TrainSettings(architecture=architecture), name)
        for architecture in (catalogue.DEFAULT, "baseline")
    )
    return f"{first} for {catalogue.DEFAULT}, {other} for the others"


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--ignore-official-split",
        action="store_true",
        help="split all videos at random, also those whose split the metadata names",
    )
    add("--overwrite", action="store_true", help="replace the run that is in the run folder")
    add(
        "--deterministic",
        action="store_true",
        help="make runs bit-identical on GPUs, too, which is slower",
    )
    add("--tensorboard", action="store_true", help="also write logs for TensorBoard")
    add(
        "--checkpoint-minutes",
        type=float,
        default=RunOptions.checkpoint_minutes,
        metavar="MINUTES",
        help="minutes between checkpoints within an epoch (default: %(default)s)",
    )
    add("--export", action="store_true", help="also write SavedModel, LiteRT and ONNX")
