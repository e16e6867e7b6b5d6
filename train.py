r"""Trains the detector on a folder of faces: on a CPU, on all GPUs of a machine, or on a cluster.

Input: what processing.py wrote. Output, in the run folder:

    model.keras      the best epoch by validation loss; opens with keras.models.load_model
    settings.json    what the model expects and what its scores mean: face settings, frames,
                     image size, label, calibration, operating points
    split.json       which videos were trained on, validated on, held out and left out
    history.csv      for every epoch: loss, accuracy, AUC, learning rate, seconds, clips per
                     second, and the share of the seconds spent waiting for data
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

The split is by original and, where the metadata names them, by people: a video, everything made
from it and everybody in it stay in one split. Each face of a video is a clip of its own, with the
label of the video.

The same command again continues a run that was stopped and leaves a finished one as it is; with
more --epochs it trains a finished one further. With TF_CONFIG, or as the tasks of a Slurm step, all
workers train one model; --data and --out must then be on a disk that all of them share.
"""

import sys

from deepfake_detector.training.arguments import main_arguments, read_arguments

if __name__ == "__main__":
    # Here --help and wrong arguments answer at once; the imports below take seconds.
    main_arguments(__doc__).parse_args()

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepfake_detector.clips.pairs import steps_per_epoch
from deepfake_detector.console import command, quiet_tensorflow, say, say_lines
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.settings import read_settings
from deepfake_detector.face_dataset.splits import split_tracks, without_official_splits
from deepfake_detector.networks.catalogue import RANDOM
from deepfake_detector.scoring.trained_model import MODEL_NAME
from deepfake_detector.training.settings import (
    RunOptions,
    Stage,
    TrainSettings,
    clip_stage,
    frame_stage,
)

with quiet_tensorflow():
    import keras
    import tensorflow as tf

    from data_pipeline import build_dataset, check_batch
    from deepfake_detector.networks import backbones
    from deepfake_detector.scoring import model_file
    from deepfake_detector.scoring.export import export
    from deepfake_detector.training import devices, initial_weights, report, run_folder
    from deepfake_detector.training.callbacks import all_callbacks
    from deepfake_detector.training.loop import Trainer, make_optimizer
    from deepfake_detector.training.run_folder import RunState
    from model import build_model

Splits = Mapping[str, Sequence[FaceTrack]]
History = list[dict[str, float]]  # metrics per epoch


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = read_arguments(__doc__, argv)
    history = train(args.data, args.out, args.settings, args.options)
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
) -> History:
    """Train on the faces in `data`, or continue to train, and fill the run folder `out`.

    Returns the history, a dict of metrics per epoch of clips; workers other than the first return
    none. `callbacks` are Keras callbacks of your own; they run on every worker, after the usual
    ones, in the training on clips. Without a `strategy` the one for these devices is chosen.

    Raises UserError where a class is missing, the videos do not make a batch or cannot be split,
    the folder holds another run, the batch does not suit the devices, or a worker or a crop is
    lost.
    """
    data, out = Path(data), Path(out)
    initial = initial_weights.find_initial_model(settings.initial, settings.architecture)
    run_folder.check_folder(out, [data, *filter(None, [initial])], options.overwrite)
    faces = list_faces(data)
    if options.ignore_official_split:
        faces = without_official_splits(faces)
    splits = split_tracks(faces, settings.validation_share, settings.test_share, settings.seed)
    count_steps(splits["train"], settings)  # says what is missing
    # Over all workers of a cluster, or over the GPUs of this machine, or its CPU.
    strategy = strategy or devices.cluster_strategy() or tf.distribute.MirroredStrategy()
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    chief = devices.is_chief(strategy)
    if chief:
        report.print_splits(splits)
        print(f"training on {devices.describe(strategy)}")
    face_settings = read_settings(data)
    history = train_splits(splits, out, face_settings, settings, options, strategy, callbacks)
    if not chief:
        return []
    run_settings = model_file.calibrate(out / MODEL_NAME, splits["validation"])
    report.print_result(out, history, run_settings)
    if options.export:
        folder, notes = export(out / MODEL_NAME, run_settings)
        say_lines([f"exported: {folder}", *(f"note: {note}" for note in notes)])
    return history


def train_splits(
    splits: Splits,
    out: Path,
    face_settings: Mapping,
    settings: TrainSettings,
    options: RunOptions,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Train on single frames and then on clips; fill the run folder except its charts.

    A stopped run goes on where it stopped; a finished one is left as it is. The network learns
    what is wrong with a frame from many different ones, several times as fast as from clips, whose
    frames are alike. The training on frames is a run of its own, in the folder `frames` of `out`.
    Returns the history of the training on clips.
    """
    clips = clip_stage(out, settings, face_settings, splits["train"])
    begins = options.overwrite or not run_folder.holds_run(out, clips.run_settings, splits)
    if settings.frame_epochs and begins:
        frames = frame_stage(out, settings, face_settings, splits["train"])
        if devices.is_chief(strategy):
            say(f"first on single frames, in {frames.folder}, then on clips")
        train_stage(frames, splits, options, strategy)
    return train_stage(clips, splits, options, strategy, callbacks)


def train_stage(
    stage: Stage,
    splits: Splits,
    options: RunOptions,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Train on clips of one length and return the history; see `train_splits`."""
    out, settings = stage.folder, stage.settings
    check_batch(settings.batch_size, strategy.num_replicas_in_sync)
    steps = count_steps(splits["train"], settings)
    chief = devices.is_chief(strategy)
    with run_folder.only_run(out) if chief else contextlib.nullcontext():
        new = options.overwrite or not run_folder.holds_run(
            out, stage.run_settings, splits, of_frames=stage.keep_last
        )
        precision = devices.choose_precision(settings.precision)
        if new:
            state = RunState(settings.epochs, precision)
            first = first_weights(stage)
            trainer = build_trainer(stage, strategy, precision, steps, *first)
            trainer.progress = state.progress
        else:
            state, variables = run_folder.read_state(out)
            if state.finished and settings.epochs <= state.epochs:
                if chief and not stage.keep_last:
                    say(
                        f"{out} holds this run already; more --epochs train it further, and "
                        "--overwrite trains it again"
                    )
                return state.progress.history
            state.go_on(settings.epochs, precision)
            trainer = build_trainer(stage, strategy, precision, steps)
            trainer.restore(state.progress, variables)
        state.run_settings = stage.run_settings
        state.split_names = run_folder.split_names(splits)
        run_folder.check_agreement(trainer, stage.run_settings, splits)
        every_callback = all_callbacks(trainer, stage, state, options, callbacks)
        if chief:
            run_folder.begin(out, stage.run_settings, splits, new)
        fit(trainer, splits, settings, steps, every_callback)
        if chief:
            state.finished = True
            run_folder.save_state(out, trainer, state)
        # No worker goes on before the files are there.
        run_folder.check_agreement(trainer, stage.run_settings, splits)
    return trainer.progress.history


def build_trainer(
    stage: Stage,
    strategy: tf.distribute.Strategy,
    precision: str,
    steps_per_epoch: int,
    initial: str = RANDOM,
    set_weights: Callable[[keras.Model], None] | None = None,
) -> Trainer:
    """Return the network of a stage with its optimizer, ready to be trained.

    `initial` says where the weights of its CNN come from (`build_model`), and `set_weights` changes
    them. Raises UserError where they do not fit.
    """
    settings = stage.settings
    shape = (settings.num_frames, (settings.img_size, settings.img_size), settings.architecture)
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():  # variables that are made in it have a copy on every device
        optimizer = make_optimizer(
            settings.learning_rate,
            settings.epochs,
            steps_per_epoch,
            precision,
            settings.recipe.final_share,
        )
        network = build_model(*shape, initial=initial)
        if set_weights:
            set_weights(network)
        twin = None
        if precision != "float32":
            twin = build_model(*shape, precision=precision)
            twin.set_weights(network.get_weights())
        for model in filter(None, (network, twin)):
            if settings.freeze_backbone:
                backbones.freeze(model.get_layer("frames").layer)
        return Trainer(
            network,
            optimizer,
            strategy,
            twin,
            settings.seed,
            stage.average_momentum,
            stage.freezes_cnn,
        )


def first_weights(stage: Stage) -> tuple[str, Callable[[keras.Model], None] | None]:
    """Return where the CNN of a new run gets its weights from, and what changes weights then.

    With an initial model that is all of them.
    """
    settings, initial = stage.settings, stage.initial
    model_path = initial_weights.find_initial_model(initial, settings.architecture)
    if model_path:
        faces = stage.run_settings["faces"]
        weights = initial_weights.read_weights(model_path, settings.architecture, faces)
        return RANDOM, lambda network: initial_weights.set_network_weights(network, weights)
    learned_already = initial != RANDOM and settings.num_frames == 1
    return initial, initial_weights.begin_at_zero if learned_already else None


def fit(
    trainer: Trainer,
    splits: Splits,
    settings: TrainSettings,
    steps_per_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train and validate until the epochs are done or a callback stops it."""

    def distributed(split: str, **more: Any) -> tf.distribute.DistributedDataset:
        def clips_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return build_clips(
                splits[split],
                settings,
                num_replicas=context.num_replicas_in_sync,
                shard=(context.input_pipeline_id, context.num_input_pipelines),
                **more,
            )

        return trainer.strategy.distribute_datasets_from_function(clips_of_worker)

    begin = {"first_epoch": trainer.progress.epoch, "first_step": trainer.progress.step}
    bar_or_lines = 1 if sys.stdout.isatty() else 2  # lines for a log file
    verbose = bar_or_lines if devices.is_chief(trainer.strategy) else 0
    with devices.explained_errors([*splits["train"], *splits["validation"]], settings.batch_size):
        trainer.fit(
            distributed("train", training=True, **begin),
            distributed("validation", equal_classes=True),
            settings.epochs,
            steps_per_epoch,
            callbacks,
            verbose,
        )


def build_clips(
    videos: Sequence[FaceTrack], settings: TrainSettings, **more: Any
) -> tf.data.Dataset:
    """Return batches of clips of `videos` with these settings; see `build_dataset` for `more`."""
    return build_dataset(
        videos=videos,
        img_size=(settings.img_size, settings.img_size),
        num_frames=settings.num_frames,
        batch_size=settings.batch_size,
        self_blend=settings.self_blend,
        min_steps=settings.min_steps,
        seed=settings.seed,
        **more,
    )


def count_steps(videos: Sequence[FaceTrack], settings: TrainSettings) -> int:
    """Return the steps in an epoch; raises UserError where the videos do not make one."""
    return steps_per_epoch(videos, settings.batch_size, settings.self_blend, settings.min_steps)


if __name__ == "__main__":
    sys.exit(main())
