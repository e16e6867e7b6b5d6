"""The network: TimeDistributed(CNN) -> LSTM -> Dense, one number out, P(fake).

    model = build_model(num_frames=8, img_size=(192, 192))
    model.summary()

Built from stock Keras layers only, so that `tf.keras.models.load_model` opens a saved model without
any code of this project. Scaling is part of the network: feed it plain RGB faces, 0..255, as
`(batch, num_frames, height, width, 3)`.

Training and scoring run the same layers with time folded into the batch, see
`deepfake_detector/networks/folding.py`: Keras unrolls TimeDistributed into one copy of the CNN for
each frame, which is slow to start and slow to run. What is saved is the network below.
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras
from keras import layers

from deepfake_detector.networks import catalogue
from deepfake_detector.networks.backbones import backbone_encoder
from deepfake_detector.networks.baseline_encoder import baseline_encoder
from deepfake_detector.networks.detail_encoder import detail_encoder

# From a frame, (batch, height, width, 3), to its features, (batch, features).
ENCODERS = {"detail": detail_encoder, "baseline": baseline_encoder}


def build_model(
    num_frames: int = 8,
    img_size: Sequence[int] = (192, 192),
    architecture: str = "detail",
    precision: str = "float32",
    backbone_weights: str = catalogue.RANDOM,
) -> keras.Model:
    """Return an uncompiled model from clips to P(fake), `(batch, 1) float32`.

    Clips are `(batch, num_frames, height, width, 3)`, RGB 0..255, of any numeric dtype. With one
    frame a clip has no order, and the network has no LSTM.

    `architecture` is one of `catalogue.ARCHITECTURES`, or a network of `keras.applications` in
    `catalogue.BACKBONES`, which begins with `backbone_weights`. `precision` is one of
    `catalogue.PRECISIONS`: the mixed ones compute in 16 bits and keep weights in 32
    (https://keras.io/api/mixed_precision/).

    Raises ValueError for other names, and UserError where a backbone cannot be built.
    """
    if precision not in catalogue.PRECISIONS:
        raise ValueError(f"precision {precision!r} is none of {', '.join(catalogue.PRECISIONS)}")
    with _dtype_policy(precision):
        encoder = _build_encoder(architecture, (*img_size, 3), backbone_weights)
        clip = keras.Input((num_frames, *img_size, 3), dtype="float32", name="clip")
        x = layers.TimeDistributed(encoder, name="frames")(clip)  # (batch, num_frames, features)
        if num_frames == 1:
            x = layers.Flatten(name="only_frame")(x)  # (batch, features)
        elif architecture == "baseline":
            x = layers.LSTM(16, activation="relu", name="lstm")(x)  # (batch, 16)
        else:
            x = layers.LSTM(32, name="lstm")(x)  # (batch, 32)
        if architecture != "baseline":
            x = layers.Dropout(0.3, name="dropout")(x)
        p_fake = layers.Dense(1, activation="sigmoid", dtype="float32", name="p_fake")(x)
        return keras.Model(clip, p_fake, name=f"deepfake_detector_{architecture}")


def _build_encoder(
    architecture: str, frame_shape: tuple[int, int, int], backbone_weights: str
) -> keras.Model:
    """Return the CNN that sees one frame at a time; raises ValueError for an unknown name."""
    if architecture in ENCODERS:
        return ENCODERS[architecture](frame_shape)
    if architecture in catalogue.BACKBONES:
        return backbone_encoder(architecture, frame_shape, backbone_weights)
    known = (*ENCODERS, *catalogue.BACKBONES)
    raise ValueError(f"architecture {architecture!r} is none of {', '.join(known)}")


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Give layers made inside this the dtype policy `name`: Keras only knows a global one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
