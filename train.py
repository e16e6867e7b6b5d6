"""Trains the detector on a folder of faces: on a CPU, on all GPUs of a machine, or on a cluster.

Goes in: what processing.py wrote. Comes out, in the run folder:

    model.keras      the best epoch by validation loss; opens with keras.models.load_model
    settings.json    what the model expects and its scores mean: face settings, frames,
                     image size, label, calibration, operating points
    split.json       which videos were trained on, validated on, held out and left out
    history.csv      of every epoch: loss, accuracy, AUC, learning rate, seconds, clips per second,
                     and the share of the seconds spent waiting for data
    charts/          acc_per_epoch.png  loss_per_epoch.png  time_per_epoch.png
    frames/          the same of the training on single frames that comes first; of that the last
                     epoch is kept, and the clips begin with it
    checkpoints/     what the same command needs to go on after a stop, whatever stopped it

    python train.py --data faces --out run

With a network of keras.applications whose first weights are those of ImageNet: what is new is
trained on top of it first, then all of it at a lower rate.

    python train.py --data faces --out head --backbone efficientnetv2-b0 --freeze-backbone \
        --epochs 10
    python train.py --data faces --out tuned --backbone efficientnetv2-b0 \
        --initial-model head/model.keras --learning-rate 1e-5

The split is by original and, where the metadata names them, by people: a video, everything made
from it and everybody in it stay on one side. Each face of a video is trained on as a clip of its
own, with the label of the video.

The same command again goes on with a run that was stopped, or leaves a finished one as it is; with
more --epochs it trains a finished one further. With TF_CONFIG, or as the tasks of a Slurm step, all
workers train one model; --data and --out must then be on a disk that all of them share.
"""

import contextlib
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from deepfake_detector.clips.pairs import steps_per_epoch
from deepfake_detector.console import UserError, command, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.face_dataset.settings import SETTINGS_NAME, read_settings
from deepfake_detector.face_dataset.splits import split_tracks, without_official_splits
from deepfake_detector.files import write_text
from deepfake_detector.networks import catalogue
from deepfake_detector.scoring import calibration, trained_model
from deepfake_detector.scoring.video_scores import highest_scoring
from deepfake_detector.training.arguments import main_arguments
from deepfake_detector.training.settings import (
    RunOptions,
    TrainSettings,
    clip_settings,
    frame_settings,
    run_settings,
    told_settings,
)

with quiet_tensorflow():
    import keras
    import tensorflow as tf

    from data_pipeline import build_dataset, check_batch
    from deepfake_detector.clips import read_errors
    from deepfake_detector.networks import backbones, folding, whitening
    from deepfake_detector.scoring import model_file
    from deepfake_detector.scoring.clip_scorer import ClipScorer
    from deepfake_detector.training import devices, run_folder, run_state
    from deepfake_detector.training.callbacks import RunState, usual_callbacks
    from deepfake_detector.training.initial_weights import initial_weights, set_network_weights
    from deepfake_detector.training.loop import Trainer
    from deepfake_detector.training.optimizer import make_optimizer
    from deepfake_detector.training.report import (
        print_parts,
        print_result,
        summary,
        write_charts,
    )
    from model import build_model

# What another worker that has gone looks like from here.
WORKER_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = vars(main_arguments(__doc__).parse_args(argv))
    data, out = args.pop("data"), args.pop("out")
    json_summary, _ = args.pop("json_summary"), args.pop("verbose")
    options = RunOptions(**{name: args.pop(name) for name in asdict(RunOptions())})
    history = train(data, out, TrainSettings(**args), options)
    if json_summary and history:
        print(json.dumps(summary(out, history)))
    return 0


def train(
    data: Path | str,
    out: Path | str,
    settings: TrainSettings = TrainSettings(),  # noqa: B008  it is frozen, as are the options
    options: RunOptions = RunOptions(),  # noqa: B008
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: "tf.distribute.Strategy | None" = None,
) -> list[dict[str, float]]:
    """Train on the faces in `data`, or go on training, and fill the run folder `out`.

    Returns the history, a dict of figures per epoch of clips; workers other than the first return
    none. `callbacks` are Keras callbacks of your own; they run on every worker, after the usual
    ones, in the training on clips. Without a `strategy` the best one for this machine, or for the
    cluster it belongs to, is taken.

    Raises UserError where a class is missing, the videos do not make a batch or cannot be split,
    the folder holds another run, the batch does not suit the devices, or a worker or a crop is
    lost.
    """
    data, out = Path(data), Path(out)
    faces = list_faces(data)
    if options.ignore_marks:
        faces = without_official_splits(faces)
    parts = split_tracks(faces, settings.validation_share, settings.test_share, settings.seed)
    count_steps(parts["train"], settings)  # says what is missing
    stored = run_settings(settings, read_settings(data), options.initial_model)
    strategy = strategy or devices.choose_strategy()
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    chief = devices.is_chief(strategy)
    if chief:
        print_parts(parts)
        print(f"training on {devices.describe(strategy)}")
    history = train_parts(parts, out, stored, settings, strategy, options, callbacks)
    if not chief:
        return []
    stored = calibrate(out, parts["validation"])
    print_result(out, history, stored, write_charts(out, history))
    if options.export:
        print(f"exported: {model_file.export(out / trained_model.MODEL_NAME, stored)}")
    return history


def train_parts(
    parts: Mapping[str, Sequence[FaceTrack]],
    out: Path,
    stored: Mapping,
    settings: TrainSettings,
    strategy: "tf.distribute.Strategy",
    options: RunOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, float]]:
    """Train on the parts of a split, write the run folder except its charts, return the history.

    A run that is there already goes on where it stopped; a finished one is left as it is. Unless it
    begins with an initial model, single frames are trained on first, as a run of its own in the
    folder `frames` of `out`: what is wrong with a frame is learned from many different ones several
    times as fast as from clips, whose frames are alike. Clips then go on at a tenth of the rate,
    from the mean of what their frames say.
    """
    if not settings.frame_epochs or options.initial_model:
        return train_stage(parts, out, stored, settings, strategy, options, callbacks)
    if options.overwrite or not (out / run_state.STATE_NAME).exists():
        if devices.is_chief(strategy):
            print(f"first on single frames, in {out / 'frames'}, then on clips")
        frames = frame_settings(settings, parts["train"])
        stored_frames = stored | {"num_frames": 1, "training": told_settings(frames, None)}
        # Validation is on few people: where it is best by chance, little has been learned yet.
        train_stage(parts, out / "frames", stored_frames, frames, strategy, options, keep_last=True)
    options = replace(options, initial_model=out / "frames" / trained_model.MODEL_NAME)
    return train_stage(parts, out, stored, clip_settings(settings), strategy, options, callbacks)


def train_stage(
    parts: Mapping[str, Sequence[FaceTrack]],
    out: Path,
    stored: Mapping,
    settings: TrainSettings,
    strategy: "tf.distribute.Strategy",
    options: RunOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    keep_last: bool = False,
) -> list[dict[str, float]]:
    """Train on clips of one length; see `train_parts`, and `usual_callbacks` for `keep_last`."""
    check_batch(settings.batch_size, strategy.num_replicas_in_sync)
    steps_per_epoch = count_steps(parts["train"], settings)
    chief = devices.is_chief(strategy)
    with run_folder.only_run(out) if chief else contextlib.nullcontext():
        known = not options.overwrite and run_folder.check_same_run(out, stored, parts)
        facts = run_state.read_facts(out) if known else {}
        if facts.get("finished") and settings.epochs <= facts["epochs"]:
            print(f"{out} holds this very run already; --overwrite trains it again")
            return facts["history"]
        facts = next_facts(facts, settings)
        # A run that goes on has all weights in its state.
        first = {} if known else first_weights(parts["train"], stored, settings, options)
        network, trained, trainer = build(
            settings, strategy, facts["precision"], steps_per_epoch, **first
        )
        if known:
            run_state.restore_state(out, trainer)
        check_agreement(trainer, stored, parts)
        anew = facts["anew"]
        listed = usual_callbacks(
            network, trained, trainer, out, settings.patience, anew, options.tensorboard, keep_last
        )
        listed += callbacks
        if chief:
            run_folder.begin(out, stored, parts, afresh=not known)
            listed.append(RunState(out, trainer, options.checkpoint_minutes, facts))
        fit(trainer, parts, settings, options, steps_per_epoch, listed)
        if chief:
            run_state.save_state(out, trainer, **facts | {"finished": True})
        check_agreement(trainer, stored, parts)  # nobody goes on before the files are there
        return trainer.progress.history


def count_steps(videos: Sequence[FaceTrack], settings: TrainSettings) -> int:
    """Return how many steps an epoch of these videos has."""
    return steps_per_epoch(videos, settings.batch_size, settings.self_blend, settings.min_steps)


def calibrate(out: Path, videos: Sequence[FaceTrack]) -> dict:
    """Calibrate the finished model on its validation videos, complete its settings.json, and return
    what came in: a temperature and operating points, see calibration.py."""
    path = out / trained_model.MODEL_NAME
    settings = trained_model.read_model_settings(path)
    if "calibration" not in settings:
        model = model_file.load(path, settings)
        scores = ClipScorer(model, settings).score_tracks(videos)
        decisive = list(highest_scoring([video.video_key for video in videos], scores).values())
        labels = np.array([videos[index].label for index in decisive])
        settings |= calibration.calibrate(labels, scores[decisive])
        write_text(out / SETTINGS_NAME, json.dumps(settings, indent=1) + "\n")
    return settings


def next_facts(facts: Mapping, settings: TrainSettings) -> dict:
    """Return what the state of this run will say about itself, given that of the run before it.

    Raises UserError where that one computed with other numbers.
    """
    precision = devices.choose_precision(settings.precision)
    if facts and facts["precision"] != precision:
        raise UserError(
            f"the run was begun in {facts['precision']}, here it would be {precision}; give "
            f"--precision {facts['precision']}, or --overwrite to train anew"
        )
    anew = facts["epoch"] if facts.get("finished") else facts.get("anew", 0)
    return {"epochs": settings.epochs, "precision": precision, "anew": anew, "finished": False}


def check_agreement(trainer: Trainer, stored: Mapping, parts: Mapping) -> None:
    """Raise UserError on every worker unless all of them see the same data and the same state."""
    told = {name: value for name, value in stored.items() if name != "versions"}
    text = json.dumps([told, run_folder.split_names(parts)], sort_keys=True)
    progress = trainer.progress
    if not trainer.is_same_everywhere([zlib.crc32(text.encode()), progress.epoch, progress.step]):
        raise UserError(
            "the workers do not see the same run; give all of them the same command, with --data "
            "and --out on a disk they share"
        )


def build(
    settings: TrainSettings,
    strategy: "tf.distribute.Strategy",
    precision: str,
    steps_per_epoch: int,
    weights: Sequence[np.ndarray] | None = None,
    backbone_weights: str = catalogue.RANDOM,
    frames: Iterable[np.ndarray] | None = None,
) -> tuple[keras.Model, keras.Model, Trainer]:
    """Return the network that is saved, the one whose weights are trained, and their trainer.

    They are the same one where the precision is float32. `weights` replace the drawn ones,
    `backbone_weights` those of a backbone; raises UserError where they do not fit. From `frames`,
    batches of those it will be trained on, come fixed ones of the default network (whitening.py).
    """
    shape = (settings.num_frames, (settings.img_size, settings.img_size), settings.architecture)
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        optimizer = make_optimizer(settings, steps_per_epoch, precision)
        network = build_model(*shape, backbone_weights=backbone_weights)
        if weights is not None:
            set_network_weights(network, weights)
        elif frames is not None and whitening.suits(network):
            whitening.fit(network, frames)
        trained = network
        if precision != "float32":
            trained = build_model(*shape, precision=precision)
            trained.set_weights(network.get_weights())
        if settings.freeze_backbone:
            for model in (network, trained):
                backbones.freeze(model.get_layer("frames").layer)
        # Trains the same weights without a copy of the encoder for each frame, see model.py.
        folded = folding.fold_time(trained, settings.seed, optimizer.iterations.value)
    return network, trained, Trainer(folded, optimizer, strategy)


def fit(
    trainer: Trainer,
    parts: Mapping[str, Sequence[FaceTrack]],
    settings: TrainSettings,
    options: RunOptions,
    steps_per_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train on the videos of two parts until the epochs are done or a callback stops it."""

    def clips(part: str, **more):
        return lambda context: clips_of(
            parts[part],
            settings,
            options,
            num_replicas=context.num_replicas_in_sync,
            shard=(context.input_pipeline_id, context.num_input_pipelines),
            **more,
        )

    distribute = trainer.strategy.distribute_datasets_from_function
    begin = {"first_epoch": trainer.progress.epoch, "first_step": trainer.progress.step}
    # A bar on a terminal, a line per epoch in a log file.
    verbose = 1 if sys.stdout.isatty() else 2
    try:
        trainer.fit(
            distribute(clips("train", training=True, **begin)),
            distribute(clips("validation", equal_classes=True)),
            settings.epochs,
            steps_per_epoch,
            callbacks,
            verbose,
        )
    except WORKER_GONE as error:
        raise UserError(
            "another worker of this run has stopped or cannot be reached; start the same command "
            "on all of them again, it goes on from the last checkpoint"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"out of memory with {settings.batch_size} clips a batch; lower --batch-size or "
            "--num-frames"
        ) from error
    except tf.errors.OpError as error:
        videos = [*parts["train"], *parts["validation"]]
        raise UserError(read_errors.explain(error, videos)) from error


def clips_of(
    videos: Sequence[FaceTrack], settings: TrainSettings, options: RunOptions, **more
) -> tf.data.Dataset:
    """Return the clips of `videos` as these settings have them; see `build_dataset` for `more`."""
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


def first_weights(
    videos: Sequence[FaceTrack],
    stored: Mapping,
    settings: TrainSettings,
    options: RunOptions,
) -> dict:
    """Return what a new run begins with, as `build` takes it."""
    if options.initial_model:
        return {"weights": initial_weights(options.initial_model, stored["faces"])}
    backbone_weights = stored["training"].get("backbone_weights", catalogue.RANDOM)
    frames = first_frames(videos, settings, options)
    return {"backbone_weights": backbone_weights, "frames": frames}


def first_frames(
    videos: Sequence[FaceTrack], settings: TrainSettings, options: RunOptions
) -> Iterator[np.ndarray]:
    """Yield the frames of the first clips of a training, `(n, img_size, img_size, 3) uint8`: those
    of two epochs, or whitening.NUM_FRAMES if that is less."""
    enough = -(-whitening.NUM_FRAMES // (settings.batch_size * settings.num_frames))
    clips = clips_of(videos, settings, options, training=True)
    try:
        for batch, _ in clips.take(min(enough, 2 * count_steps(videos, settings))):
            yield batch.numpy().reshape(-1, *batch.shape[2:])
    except tf.errors.OpError as error:
        raise UserError(read_errors.explain(error, videos)) from error


if __name__ == "__main__":
    sys.exit(main())
