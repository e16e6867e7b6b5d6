r"""Trains the detector on a folder of faces: on a CPU, on all GPUs of a machine, or on a cluster.

Input: what processing.py wrote. Output, in the run folder:

    model.keras      the best epoch by validation loss; opens with keras.models.load_model
    settings.json    what the model expects and what its scores mean: face settings, frames,
                     image size, label, calibration, operating points
    split.json       which videos were trained on, validated on, held out and left out
    history.csv      for every epoch: loss, accuracy, AUC, learning rate, seconds, clips per second
    charts/          of both stages: acc_per_epoch.png  loss_per_epoch.png  time_per_epoch.png
    frames/          the same for the training on single frames that comes first; its model is that
                     of the last epoch, and the training on clips begins with it
    checkpoints/     what the same command needs to continue after a stop, whatever stopped it

    python train.py --data faces --out run

It begins with the weights of the model that this project ships. With those of ImageNet, of another
model, or of a random initialisation:

    python train.py --data faces --out run --from imagenet
    python train.py --data faces --out run --from other_run/model.keras
    python train.py --data faces --out run --from random

The split is by original and, if the metadata names them, by people: a video, everything made from
it and everybody in it stay in one split. Each face of a video is a clip with the label of the
video.

The same command again continues a stopped run with the epoch that it was stopped in, and leaves a
finished one as it is; with more --epochs it trains a finished one further. With TF_CONFIG, or as
the tasks of a Slurm step, all workers train one model; --data and --out must then be on a disk that
all of them share.
"""

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepfake_detector.console import (
    ArgumentParser,
    add_output_arguments,
    add_settings,
    command,
    quiet_tensorflow,
    say,
    settings_from,
    silence,
)
from deepfake_detector.training.settings import RunOptions, Stage, TrainSettings, training_stages


def arguments() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="faces that processing.py wrote")
    add("--out", type=Path, required=True, metavar="DIR", help="run folder to write")
    add_settings(parser.add_argument_group("training"), TrainSettings)
    add_settings(parser.add_argument_group("run"), RunOptions)
    add_output_arguments(parser, verbose="the messages of TensorFlow")
    return parser


if __name__ == "__main__":
    arguments().parse_args()  # --help and wrong arguments are answered before the slow imports

with quiet_tensorflow():
    import keras
    import tensorflow as tf

    from data_pipeline import build_dataset, check_batch
    from deepfake_detector.clips.pairs import steps_per_epoch
    from deepfake_detector.face_dataset.face_tracks import list_faces
    from deepfake_detector.face_dataset.settings import read_settings
    from deepfake_detector.face_dataset.splits import split_tracks, without_official_splits
    from deepfake_detector.networks.catalogue import IMAGENET, RANDOM
    from deepfake_detector.scoring import model_file
    from deepfake_detector.scoring.export import export
    from deepfake_detector.scoring.trained_model import MODEL_NAME
    from deepfake_detector.training import devices, initial_weights, report, run_folder
    from deepfake_detector.training.callbacks import all_callbacks
    from deepfake_detector.training.loop import Trainer, make_optimizer
    from deepfake_detector.training.run_folder import History, RunState, Splits
    from model import build_model


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    settings, options = (settings_from(args, kind) for kind in (TrainSettings, RunOptions))
    history = train(args.data, args.out, settings, options)
    if args.json_summary and history:
        print(json.dumps(report.summary(args.out, history)))
    return 0


def train(
    data: Path | str,
    out: Path | str,
    settings: TrainSettings = TrainSettings(),  # noqa: B008  it is frozen, as are the options
    options: RunOptions = RunOptions(),  # noqa: B008
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
    quiet: bool = False,
) -> History:
    """Train on the faces in `data`, or continue to train, and fill the run folder `out`.

    Single frames are more varied than clips, so the network learns what is wrong with a frame
    several times faster from them. They come first, as a run in the folder `frames`.
    Returns the history, a dict of metrics per epoch of clips; workers other than the first return
    none. `callbacks` are Keras callbacks of your own; they run on every worker, after the usual
    ones, in the training on clips. Without a `strategy` the one for these devices is chosen. With
    `quiet` nothing is printed.

    Raises UserError if a class is missing, the videos do not make a batch or cannot be split, the
    folder holds another run, the batch does not suit the devices, or a worker or a crop is lost.
    """
    data, out = Path(data), Path(out)
    initial = initial_weights.find_initial_model(settings)
    run_folder.check_folder(out, [data, *filter(None, [initial])], options.overwrite)
    with silence() if quiet else contextlib.nullcontext():
        splits = split_faces(data, settings)
        # Over all workers of a cluster, or over the GPUs of this machine, or its CPU.
        strategy = strategy or devices.cluster_strategy() or tf.distribute.MirroredStrategy()
        if options.deterministic:
            tf.config.experimental.enable_op_determinism()
        chief = devices.is_chief(strategy)
        if chief:
            report.print_splits(splits)
            say(f"training on {devices.describe(strategy)}")
        *before, clips = training_stages(out, settings, read_settings(data), splits["train"])
        if options.overwrite or not run_folder.holds_run(clips, splits):
            for frames in before:
                train_stage(frames, splits, options, strategy)
        history = train_stage(clips, splits, options, strategy, callbacks)
        if not chief:
            return []
        saved = model_file.calibrate(out / MODEL_NAME, splits["validation"])
        report.print_result(out, history, saved)
        if options.export:
            say(f"exported: {export(out / MODEL_NAME, saved)}")
    return history


def split_faces(data: Path, settings: TrainSettings) -> Splits:
    """Return the face tracks of each split; raises UserError if they do not suffice."""
    tracks = list_faces(data)
    if settings.ignore_official_split:
        tracks = without_official_splits(tracks)
    splits = split_tracks(tracks, settings.validation_share, settings.test_share, settings.seed)
    count_steps(splits, settings)  # says what is missing
    return splits


def train_stage(
    stage: Stage,
    splits: Splits,
    options: RunOptions,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Train on clips of one length and return the history.

    A stopped run goes on with the epoch that it was stopped in; a finished one is left as it is.
    """
    settings, chief = stage.settings, devices.is_chief(strategy)
    check_batch(settings.batch_size, strategy.num_replicas_in_sync)
    with run_folder.only_run(stage.folder) if chief else contextlib.nullcontext():
        is_new = options.overwrite or not run_folder.holds_run(stage, splits)
        state, variables = RunState(), None
        if not is_new:
            state, variables = run_folder.read_state(stage.folder)
            if state.finished and settings.epochs <= state.epochs:
                if chief and not stage.is_first:
                    say(
                        f"{stage.folder} holds this run already; more --epochs train it further, "
                        "and --overwrite trains it again"
                    )
                return state.history
        if chief:
            report.print_stage(stage, count_steps(splits, settings), len(state.history))
        state.go_on(settings.epochs)
        trainer = build_trainer(stage, splits, strategy, is_new)
        if variables:
            trainer.restore(state.history, variables)
        state.history = trainer.history
        run_folder.check_agreement(trainer, stage, splits)
        every_callback = all_callbacks(trainer, stage, state, options.tensorboard, callbacks)
        if chief:
            run_folder.begin(stage, splits, state)
        fit(trainer, splits, settings, every_callback)
        if chief:
            state.finished = True
            run_folder.save_state(stage.folder, trainer.variables, state)
        # No worker goes on before the files are there.
        run_folder.check_agreement(trainer, stage, splits)
    return trainer.history


def build_trainer(
    stage: Stage, splits: Splits, strategy: tf.distribute.Strategy, is_new: bool
) -> Trainer:
    """Return the network of a stage with its optimizer, ready to be trained.

    If `is_new`, it has the first weights that the settings ask for. Raises UserError if they do not
    fit.
    """
    settings, recipe = stage.settings, stage.settings.recipe
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():  # variables that are made in it have a copy on every device
        optimizer = make_optimizer(
            settings.learning_rate,
            settings.epochs,
            count_steps(splits, settings),
            recipe.final_share,
            averages=stage.is_first and recipe.averages,
        )
        network = build_model(
            settings.num_frames,
            (settings.img_size, settings.img_size),
            settings.architecture,
            devices.choose_precision(settings.precision),
            initial=IMAGENET if is_new and settings.initial == IMAGENET else RANDOM,
        )
        if is_new:
            initial_weights.set_first_weights(network, settings, stage.saved["faces"])
        return Trainer(network, optimizer, strategy, stage.freezes_cnn)


def fit(
    trainer: Trainer,
    splits: Splits,
    settings: TrainSettings,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train and validate until the epochs are done or a callback stops it."""

    def distributed(split: str, **more: Any) -> tf.distribute.DistributedDataset:
        def clips_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return build_dataset(
                tracks=splits[split],
                img_size=(settings.img_size, settings.img_size),
                num_frames=settings.num_frames,
                batch_size=settings.batch_size,
                self_blend=settings.self_blend,
                landmarks=settings.landmarks,
                min_steps=settings.min_steps,
                seed=settings.seed,
                num_replicas=context.num_replicas_in_sync,
                shard=(context.input_pipeline_id, context.num_input_pipelines),
                **more,
            )

        return trainer.strategy.distribute_datasets_from_function(clips_of_worker)

    with devices.explained_errors([*splits["train"], *splits["validation"]], settings.batch_size):
        trainer.fit(
            distributed("train", training=True, first_epoch=len(trainer.history)),
            distributed("validation"),
            settings.epochs,
            count_steps(splits, settings),
            callbacks,
        )


def count_steps(splits: Splits, settings: TrainSettings) -> int:
    """Return the steps in an epoch; raises UserError if the videos do not make one."""
    made = (settings.self_blend, settings.min_steps)
    return steps_per_epoch(splits["train"], settings.batch_size, *made)


if __name__ == "__main__":
    sys.exit(main())
