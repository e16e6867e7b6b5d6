"""What is trained: the network with its first weights, in the numbers of its precision, and AdamW.

network, trained, trainer = build(settings, strategy, "float32", steps_per_epoch)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

import backbones
import faces_folder
import model as networks
import trained_model
from console import UserError
from train_settings import TrainSettings
from training_loop import Trainer

keras = tf.keras


def build(
    settings: TrainSettings,
    strategy: "tf.distribute.Strategy",
    precision: str,
    steps_per_epoch: int,
    weights: Sequence[np.ndarray] | None = None,
    backbone_weights: str = backbones.DRAWN,
) -> tuple["keras.Model", "keras.Model", Trainer]:
    """Return the network that is saved, the one whose weights are trained, and their trainer.

    They are the same one where the precision is float32. `weights` replace the drawn ones,
    `backbone_weights` those of a backbone; raises UserError where they do not fit.
    """
    shape = (settings.num_frames, (settings.img_size, settings.img_size), settings.architecture)
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        optimizer = make_optimizer(settings, steps_per_epoch, precision)
        network = networks.build_model(*shape, backbone_weights=backbone_weights)
        if weights is not None:
            _set_weights(network, weights)
        trained = network
        if precision != "float32":
            trained = networks.build_model(*shape, precision=precision)
            trained.set_weights(network.get_weights())
        if settings.freeze_backbone:
            for model in (network, trained):
                backbones.freeze(model.get_layer("frames").layer)
        # Trains the same weights without a copy of the encoder for each frame, see model.py.
        folded = networks.fold_time(trained, settings.seed, optimizer.iterations.value)
    return network, trained, Trainer(folded, optimizer, strategy)


def _set_weights(network: "keras.Model", weights: Sequence[np.ndarray]) -> None:
    """Set all weights, or those of the frame encoder where they come from a model of one frame."""
    encoder = network.get_layer("frames")
    for part, values in ((network, weights), (encoder, weights[: len(encoder.weights)])):
        if [value.shape for value in values] == [tuple(weight.shape) for weight in part.weights]:
            part.set_weights(values)
            return
    raise UserError(
        f"the initial model has {sum(value.size for value in weights):,} weights in "
        f"{len(weights)} tensors, this network {network.count_params():,} in "
        f"{len(network.weights)}; give the architecture and the image size it was trained with"
    )


def initial_weights(path: Path, face_settings: Mapping) -> list[np.ndarray]:
    """Return the weights of a .keras file, and say where they come from other faces than these.

    Raises UserError where it is no model, or its settings.json beside it cannot be read.
    """
    weights = trained_model.open_model(path).get_weights()
    if (path.parent / faces_folder.SETTINGS_NAME).exists():
        differences = faces_folder.setting_differences(
            trained_model.read_settings(path)["faces"], face_settings, by="these faces"
        )
        if differences:
            print(f"note: {path} was trained on other faces: {differences}")
    return weights


def make_optimizer(
    settings: TrainSettings, steps_per_epoch: int, precision: str = "float32"
) -> "keras.optimizers.Optimizer":
    """Return AdamW for the whole length of the run: a short warm-up, then half a cosine to 1 %.

    Gradients are not clipped: each replica would clip its own before they are added up, and the
    weights would depend on how many there are.
    """
    steps = settings.epochs * steps_per_epoch
    warm_up = min(2 * steps_per_epoch, steps // 5)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * 0.1,
        decay_steps=max(1, steps - warm_up),
        alpha=0.1,  # of the first value, so 1 % of the highest
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4)
    if precision == "mixed_float16":  # its gradients would vanish below 6e-8
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
