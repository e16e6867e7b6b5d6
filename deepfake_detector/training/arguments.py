"""The command line of train.py: no TensorFlow, so that --help is quick."""

import argparse
from pathlib import Path

from deepfake_detector.console import add_output_arguments
from deepfake_detector.networks import catalogue
from deepfake_detector.training.settings import RunOptions, TrainSettings


def main_arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of faces")
    add("--out", type=Path, required=True, metavar="DIR", help="run folder")
    add_network_arguments(parser)
    helps = {
        "epochs": "most epochs; it stops earlier when validation no longer improves",
        "frame_epochs": "epochs on single frames, before those on clips; 0: none",
        "batch_size": "clips in a step, over all devices together",
        "num_frames": "frames in a clip, spread over the video",
        "img_size": "side of a face in pixels, as the network sees it",
        "learning_rate": "highest value of the schedule; after single frames, clips get a tenth",
        "patience": "epochs without a better validation before it stops",
        "min_steps": "fewest steps in an epoch; a small set is passed several times",
        "self_blend": "share of the fakes that are made from real videos, 1 needs no others",
        "validation_share": "share of the videos that chooses the best epoch",
        "test_share": "share of the videos held out for evaluate.py",
        "seed": "draws the split, the order, the first weights and the augmentation",
        "precision": "of the arithmetic; auto: what the GPUs are quickest with",
    }
    choices = {"precision": ["auto", *catalogue.PRECISIONS]}
    for name, text in helps.items():
        default = getattr(TrainSettings(), name)
        add(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            choices=choices.get(name),
            help=f"{text} (%(default)s)",
        )
    add(
        "--ignore-marks",
        action="store_true",
        help="draw all parts, also those that the metadata marks",
    )
    add("--overwrite", action="store_true", help="replace whatever run is there")
    add("--initial-model", type=Path, metavar="FILE", help="begin with the weights of this .keras")
    add("--deterministic", action="store_true", help="bit-equal runs also on GPUs, but slower")
    add("--tensorboard", action="store_true", help="also write logs for TensorBoard")
    add(
        "--checkpoint-minutes",
        type=float,
        default=RunOptions.checkpoint_minutes,
        help="pause between checkpoints within an epoch (%(default)s)",
    )
    add("--export", action="store_true", help="also write a SavedModel, for TensorFlow Serving")
    add_output_arguments(parser, verbose="what TensorFlow has to say")
    return parser


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--architecture",
        default=TrainSettings.architecture,
        choices=sorted(catalogue.ARCHITECTURES),
        help=f"network: {', '.join(catalogue.ARCHITECTURES)} (%(default)s)",
    )
    which.add_argument(
        "--backbone",
        dest="architecture",
        default=argparse.SUPPRESS,
        choices=catalogue.BACKBONES,
        metavar="NAME",
        help=f"instead: a network of keras.applications, {', '.join(catalogue.BACKBONES)}",
    )
    parser.add_argument(
        "--backbone-weights",
        metavar="imagenet|none|FILE",
        help="its first weights: downloaded, drawn, or a .weights.h5, .h5 or .keras file of it "
        "without its classification layer (imagenet)",
    )
    parser.add_argument(
        "--freeze-backbone", action="store_true", help="train only what comes after the backbone"
    )
