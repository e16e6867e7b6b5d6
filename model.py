"""The network: TimeDistributed(CNN) -> LSTM -> Dense, one number out, P(fake).

    model = build_model(num_frames=8, img_size=(192, 192))
    model.summary()

Built from stock Keras layers only, so that `tf.keras.models.load_model` opens a saved model without
any code of this project. Scaling is part of the network: feed it plain RGB faces, 0..255, as
`(batch, num_frames, height, width, 3)`.

The CNN that sees one frame at a time, the frame encoder, is EfficientNet-Lite0 by default. Training
and scoring run the same weights with time folded into the batch, which is much faster, see
`deepfake_detector/networks/folding.py`. The network below is what is saved.
"""

import contextlib
from collections.abc import Iterator, Sequence

from deepfake_detector.networks import catalogue  # before Keras: it chooses the backend

# isort: split
import keras
from keras import layers

from deepfake_detector.networks import imagenet_weights
from deepfake_detector.networks.backbones import backbone_encoder
from deepfake_detector.networks.backend import settle_keras
from deepfake_detector.networks.efficientnet_lite import efficientnet_lite

DROPOUT = 0.3  # before the last layer


def build_model(
    num_frames: int = 8,
    img_size: Sequence[int] = (192, 192),
    architecture: str = catalogue.DEFAULT,
    precision: str = "float32",
    initial: str = catalogue.RANDOM,
) -> keras.Model:
    """Return an uncompiled model from clips to P(fake), `(batch, 1) float32`.

    Clips are `(batch, num_frames, height, width, 3)`, RGB 0..255, of any numeric dtype. A clip of
    one frame has no order, and its network has no LSTM.

    `architecture` is one of `catalogue.ARCHITECTURES`, or a network of `keras.applications` in
    `catalogue.BACKBONES`. `initial` says where the weights of the CNN come from: "random" or
    "imagenet"; the baseline has random ones only. `precision` is one of `catalogue.PRECISIONS`: the
    mixed ones compute in 16 bits and keep weights in 32
    (https://keras.io/api/mixed_precision/).

    Raises ValueError for other names, and UserError if there are no such weights or a backbone
    cannot be built.
    """
    if precision not in catalogue.PRECISIONS:
        raise ValueError(f"precision {precision!r} is none of {', '.join(catalogue.PRECISIONS)}")
    settle_keras()
    height, width = img_size
    is_baseline = architecture == "baseline"
    with _dtype_policy(precision):
        cnn = _frame_encoder(architecture, (height, width, 3), initial)
        clip = keras.Input((num_frames, height, width, 3), dtype="float32", name="clip")
        x = layers.TimeDistributed(cnn, name="frames")(clip)  # (batch, num_frames, features)
        # Made in any case: the layers after it get the same random numbers with it and without.
        units, activation = (16, "relu") if is_baseline else (32, "tanh")
        lstm = layers.LSTM(units, activation, name="lstm")
        # (batch, features) of the only frame, or (batch, units)
        x = layers.Flatten(name="only_frame")(x) if num_frames == 1 else lstm(x)
        if not is_baseline:
            x = layers.Dropout(DROPOUT, name="dropout")(x)
        p_fake = layers.Dense(1, activation="sigmoid", dtype="float32", name="p_fake")(x)
        return keras.Model(clip, p_fake, name=f"deepfake_detector_{architecture}")


def _frame_encoder(
    architecture: str, frame_shape: tuple[int, int, int], initial: str
) -> keras.Model:
    """Return the CNN from frames `(batch, height, width, 3)` to features `(batch, features)`."""
    if architecture == catalogue.DEFAULT:
        encoder = efficientnet_lite(frame_shape)
        if initial == catalogue.IMAGENET:
            imagenet_weights.load(encoder)
        return encoder
    if architecture == "baseline":
        return _baseline_encoder(frame_shape)
    if architecture in catalogue.BACKBONES:
        return backbone_encoder(architecture, frame_shape, initial)
    names = ", ".join((*catalogue.ARCHITECTURES, *catalogue.BACKBONES))
    raise ValueError(f"architecture {architecture!r} is none of {names}")


def _baseline_encoder(frame_shape: tuple[int, int, int]) -> keras.Model:
    """Return the CNN of microcoder-py/deepfake-detector (2021), the project this one grew from."""
    image = keras.Input(frame_shape, dtype="float32", name="frame")
    # In 32 bits under every policy: 16 bits round 1 / 127.5 and most scaled pixels.
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scale")(image)
    # Layers without a name are numbered by how many the process has made.
    x = layers.Conv2D(32, (2, 2), activation="relu", name="conv2d")(x)
    x = layers.AveragePooling2D((2, 2), name="average_pooling2d")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, x, name="frame_encoder")


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Give layers made inside this the dtype policy `name`: Keras only knows a global one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
