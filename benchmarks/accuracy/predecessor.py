"""The baseline of the accuracy benchmark: the predecessor's network, trained its way.

The predecessor (microcoder-py/deepfake-detector, 2021) has one convolution and an LSTM with relu on
60 frames of 100x100, batches of 4, Adam at 1e-3, ten epochs of plain cross-entropy, no
augmentation, no validation. It reads clips as we do, so that only the recipe is compared: it sees
the same crops, evenly spread over the video, and trains on all that the others train and validate
on.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from benchmarks.accuracy.detectors import Prepared, scorer_of
from benchmarks.accuracy.folds import Fold
from deepfake_detector.clips import loading, read_errors
from deepfake_detector.clips.sampling import whole_video_paths
from deepfake_detector.console import UserError, quiet_tensorflow
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.files import write_text, written_whole
from deepfake_detector.networks import folding
from deepfake_detector.scoring import trained_model
from deepfake_detector.training import run_folder

with quiet_tensorflow():
    import tensorflow as tf

    import model as networks


@dataclass(frozen=True)
class Recipe:
    """The predecessor's sizes and training, see its train.py."""

    num_frames: int = 60
    img_size: int = 100
    batch_size: int = 4
    epochs: int = 10
    learning_rate: float = 1e-3
    seed: int = 0  # it had none


def prepare(fold: Fold, out: Path, face_settings: Mapping, recipe: Recipe) -> Prepared:
    """Train the predecessor's network on a fold, or take the finished one in `out`.

    Raises UserError where `out` holds one of another recipe or of other videos.
    """
    run_settings = {
        "faces": dict(face_settings),
        "num_frames": recipe.num_frames,
        "img_size": [recipe.img_size] * 2,
        "training": {"architecture": "baseline", **asdict(recipe)},
        "videos": [face.name for face in fold.rest],
    }
    model_path = out / trained_model.MODEL_NAME
    strategy = tf.distribute.get_strategy()  # one device: its ten epochs are short
    with run_folder.only_run(out):
        if model_path.exists():
            seconds = _seconds_of_same(model_path, run_settings)
        else:
            started = time.perf_counter()
            network = train(fold.rest, recipe)
            seconds = time.perf_counter() - started
            saved = run_settings | {"seconds": seconds}
            write_text(out / SETTINGS_NAME, json.dumps(saved, indent=1) + "\n")
            with written_whole(model_path) as partial:
                network.save(partial)
    score, threshold = scorer_of(model_path, strategy)
    return Prepared(score, fold.rest, seconds, threshold)


def _seconds_of_same(model_path: Path, run_settings: Mapping) -> float:
    """Return how long a finished training took; raises UserError where it was another one."""
    found = trained_model.read_model_settings(model_path)
    different = sorted(name for name, value in run_settings.items() if found.get(name) != value)
    if different:
        raise UserError(
            f"{model_path.parent} holds a training that differs in {', '.join(different)}; give "
            "another --out"
        )
    return found["seconds"]


def train(faces: Sequence[FaceTrack], recipe: Recipe) -> "keras.Model":
    """Return the predecessor's network after its ten epochs on these faces, each once an epoch."""
    side = (recipe.img_size, recipe.img_size)
    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    network = networks.build_model(recipe.num_frames, side, "baseline")
    folded = folding.fold_time(network)
    folded.compile(keras.optimizers.Adam(recipe.learning_rate), "binary_crossentropy")
    paths = whole_video_paths(faces, recipe.num_frames)
    labels = np.array([[face.label] for face in faces], np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((paths, labels))
    dataset = dataset.shuffle(len(faces), recipe.seed, reshuffle_each_iteration=True)
    dataset = dataset.map(
        lambda names, label: (loading.load_clip(names, side), label),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    with _explained(faces):
        batches = dataset.batch(recipe.batch_size).prefetch(1)
        folded.fit(batches, epochs=recipe.epochs, shuffle=False, verbose=2)
    return network


@contextlib.contextmanager
def _explained(faces: Sequence[FaceTrack]) -> Iterator[None]:
    """Raise UserError naming the crop that cannot be read."""
    try:
        yield
    except tf.errors.OpError as error:
        raise UserError(read_errors.explain(error, faces)) from error
