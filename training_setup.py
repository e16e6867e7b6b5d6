"""What is trained: the network with its first weights, in the numbers of its precision, and AdamW.

network, trained, trainer = build(settings, strategy, "float32", steps_per_epoch)
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

import backbones
import faces_folder
import model as networks
import trained_model
import whitening
from console import UserError
from train_settings import TrainSettings
from training_loop import Trainer

keras = tf.keras
OPEN_GATE = 5.0  # before the sigmoid: 0.993
SMALL = 0.25  # of a mean logit, that an LSTM can carry without bending it


def build(
    settings: TrainSettings,
    strategy: "tf.distribute.Strategy",
    precision: str,
    steps_per_epoch: int,
    weights: Sequence[np.ndarray] | None = None,
    backbone_weights: str = backbones.DRAWN,
    frames: Iterable[np.ndarray] | None = None,
) -> tuple["keras.Model", "keras.Model", Trainer]:
    """Return the network that is saved, the one whose weights are trained, and their trainer.

    They are the same one where the precision is float32. `weights` replace the drawn ones,
    `backbone_weights` those of a backbone; raises UserError where they do not fit. From `frames`,
    batches of those it will be trained on, come fixed ones of the default network (whitening.py).
    """
    shape = (settings.num_frames, (settings.img_size, settings.img_size), settings.architecture)
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        optimizer = make_optimizer(settings, steps_per_epoch, precision)
        network = networks.build_model(*shape, backbone_weights=backbone_weights)
        if weights is not None:
            set_network_weights(network, weights)
        elif frames is not None and whitening.suits(network):
            whitening.fit(network, frames)
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


def set_network_weights(network: "keras.Model", weights: Sequence[np.ndarray]) -> None:
    """Set all weights, or those of the frame encoder where only they fit. Where they come from a
    model of one frame, the score of a clip is that of its frames on average to begin with."""
    encoder = network.get_layer("frames")
    of_encoder, of_head = weights[: len(encoder.weights)], weights[len(encoder.weights) :]
    if _fits(network, weights):
        network.set_weights(weights)
    elif _fits(encoder, of_encoder):
        encoder.set_weights(of_encoder)
        if len(of_head) == 2 and network.input_shape[1] > 1:
            _average_frames(network, *of_head)
    else:
        raise UserError(
            f"the initial model has {sum(value.size for value in weights):,} weights in "
            f"{len(weights)} tensors, this network {network.count_params():,} in "
            f"{len(network.weights)}; give the architecture and the image size it was trained with"
        )


def _fits(part: "keras.Model | keras.layers.Layer", weights: Sequence[np.ndarray]) -> bool:
    return [value.shape for value in weights] == [tuple(weight.shape) for weight in part.weights]


def _average_frames(network: "keras.Model", kernel: np.ndarray, bias: np.ndarray) -> None:
    """Set LSTM and Dense of `network` to the mean of the logits that a Dense layer with `kernel`
    and `bias`, `(features, 1)` and `(1,)`, gives its frames.

    An LSTM drawn anew would pull at the encoder until it has learned what that layer knew. Of half
    of the units the gates are open and the numbers small, where tanh hardly bends: they add up
    the logits. The rest stays as drawn and does not count yet.
    """
    lstm, dense = network.get_layer("lstm"), network.get_layer("p_fake")
    num_frames, units = network.input_shape[1], lstm.units // 2
    # relu lets nothing below 0 pass: every second unit adds that up, with the other sign.
    relu = lstm.activation is keras.activations.relu
    signs = np.resize([1.0, -1.0] if relu else [1.0], units)
    small, adding = SMALL / num_frames, units / 2 if relu else units
    lstm_kernel, recurrent, lstm_bias = (value.copy() for value in lstm.get_weights())
    columns = np.arange(4 * lstm.units).reshape(4, -1)[:, :units]  # of in, keep, new and out
    for values in (lstm_kernel, recurrent):
        values[:, columns.ravel()] = 0
    lstm_bias[columns] = OPEN_GATE
    lstm_kernel[:, columns[2]] = small * kernel * signs
    lstm_bias[columns[2]] = small * bias * signs
    lstm.set_weights([lstm_kernel, recurrent, lstm_bias])
    open_gate = 1 / (1 + np.exp(-OPEN_GATE))
    dense_kernel = np.zeros((lstm.units, 1), np.float32)
    dense_kernel[:units, 0] = signs / (SMALL * adding * open_gate**2)
    dense.set_weights([dense_kernel, np.zeros(1, np.float32)])


def initial_weights(path: Path, face_settings: Mapping) -> list[np.ndarray]:
    """Return the weights of a .keras file, and say where they come from other faces than these.

    Raises UserError where it is no model, or its settings.json beside it cannot be read.
    """
    weights = trained_model.open_model(path).get_weights()
    if (path.parent / faces_folder.SETTINGS_NAME).exists():
        differences = faces_folder.setting_differences(
            trained_model.read_model_settings(path)["faces"], face_settings, by="these faces"
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
