"""First weights from another model, also for a training on clips from one on frames.

set_first_weights(network, settings, face_settings)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from deepfake_detector.console import UserError, say
from deepfake_detector.face_dataset.settings import setting_differences
from deepfake_detector.networks.catalogue import IMAGENET, PRETRAINED, RANDOM
from deepfake_detector.scoring import model_file
from deepfake_detector.scoring.trained_model import find_model, read_model_settings
from deepfake_detector.training.settings import TrainSettings

OPEN_GATE = 5.0  # before the sigmoid: 0.993
LINEAR_SCALE = 0.05  # of a logit: the tanh of the LSTM is nearly linear up to a logit of 10


def find_initial_model(settings: TrainSettings) -> Path | None:
    """Return the .keras file of the model that a training begins with; None if its first weights
    are those of ImageNet or random ones. Raises UserError if the model does not exist.
    """
    initial = settings.initial
    if initial in (IMAGENET, RANDOM):
        return None
    return find_model(None if initial == PRETRAINED else initial, "--from")


def set_first_weights(
    network: keras.Model, settings: TrainSettings, face_settings: Mapping
) -> None:
    """Give a new network, whose CNN has those of ImageNet already if they are wanted, its first
    weights.

    Prints a note if the model that it begins with was trained on other faces. Raises UserError if
    that is of another architecture, or cannot be read.
    """
    path = find_initial_model(settings)
    if path is None:
        if settings.initial == IMAGENET and settings.num_frames == 1:
            begin_at_zero(network)
        return
    found = read_model_settings(path)
    architecture = found.get("training", {}).get("architecture", settings.architecture)
    if architecture != settings.architecture:
        raise UserError(
            f"{path} is a model of {architecture}, this training is one of "
            f"{settings.architecture}; give --architecture {architecture}, or another --from"
        )
    differences = setting_differences(found["faces"], face_settings, by="these faces")
    if differences:
        say(f"note: the first weights, of {path}, were trained on faces of {differences}")
    set_network_weights(network, model_file.open_model(path).get_weights())


def set_network_weights(network: keras.Model, weights: Sequence[np.ndarray]) -> None:
    """Set all weights, or those of the frame encoder if only they fit.

    With those of a model of one frame, a network of clips then gives a clip the mean logit of its
    frames. With those of a model of clips, a network of one frame gets a new last layer
    (`begin_at_zero`). Raises UserError if not even the encoder fits.
    """
    encoder = network.get_layer("frames")
    of_encoder, of_head = weights[: len(encoder.weights)], weights[len(encoder.weights) :]
    if _fits(network, weights):
        network.set_weights(weights)
    elif _fits(encoder, of_encoder):
        encoder.set_weights(of_encoder)
        if network.input_shape[1] == 1:
            begin_at_zero(network)
        elif len(of_head) == 2:
            _average_frames(network, *of_head)
    else:
        raise UserError(
            f"the model of --from has {sum(value.size for value in weights):,} weights in "
            f"{len(weights)} tensors, and this network {network.count_params():,} in "
            f"{len(network.weights)}; give the --architecture and the --img-size of its training"
        )


def begin_at_zero(network: keras.Model) -> None:
    """Let the last layer of a network of one frame begin with zeros: it then sends no gradient into
    an encoder that has learned already, before it has learned something itself."""
    dense = network.get_layer("p_fake")
    dense.set_weights([np.zeros_like(value) for value in dense.get_weights()])


def _fits(part: keras.Model | keras.layers.Layer, weights: Sequence[np.ndarray]) -> bool:
    return [value.shape for value in weights] == [tuple(weight.shape) for weight in part.weights]


def _average_frames(network: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Set LSTM and Dense of `network` to the mean of the logits of its frames.

    `kernel` `(features, 1)` and `bias` `(1,)` are those of the Dense layer that gives the logits.
    A randomly initialised LSTM would spoil the encoder until it has learned what that layer knew.
    Half of the LSTM's units average the logits: the input gate lets in one of `num_frames` parts of
    each, the other gates are open, and the numbers are so small that tanh is nearly linear. The
    other half stays random and does not count yet.
    """
    lstm, dense = network.get_layer("lstm"), network.get_layer("p_fake")
    num_frames, units = network.input_shape[1], lstm.units // 2
    # relu lets nothing below 0 pass: every second unit adds that up, with the opposite sign.
    relu = lstm.activation is keras.activations.relu
    signs = np.resize([1.0, -1.0] if relu else [1.0], units)
    num_adding = units / 2 if relu else units
    lstm_kernel, recurrent, lstm_bias = (value.copy() for value in lstm.get_weights())
    # Columns of the input gate, the forget gate, the candidate and the output gate.
    columns = np.arange(4 * lstm.units).reshape(4, -1)[:, :units]
    for values in (lstm_kernel, recurrent):
        values[:, columns.ravel()] = 0
    lstm_bias[columns] = OPEN_GATE
    lstm_bias[columns[0]] = -np.log(num_frames - 1)  # before the sigmoid: 1 / num_frames
    lstm_kernel[:, columns[2]] = LINEAR_SCALE * kernel * signs
    lstm_bias[columns[2]] = LINEAR_SCALE * bias * signs
    lstm.set_weights([lstm_kernel, recurrent, lstm_bias])
    open_gate = 1 / (1 + np.exp(-OPEN_GATE))
    dense_kernel = np.zeros((lstm.units, 1), np.float32)
    dense_kernel[:units, 0] = signs / (LINEAR_SCALE * num_adding * open_gate)
    dense.set_weights([dense_kernel, np.zeros(1, np.float32)])
