"""How fast a training step is, next to stock Keras, EfficientNetB0 and the predecessor's loop.

    python -m benchmarks.training_step                      both parts, about 4 minutes on 2 cores
    python -m benchmarks.training_step --only default
    python -m benchmarks.training_step --rounds 15          more rounds, steadier medians

Times are medians over interleaved rounds in one process: machines differ and are shared, so read
the ratios. Processor seconds are those of all cores together; other programs on the machine change
them less. TF_ENABLE_ONEDNN_OPTS=1 or 0 in front of the command shows what oneDNN does. No data are
read: clips of random pixels are in memory already.

`default` trains the default network, on 16 single frames and on two clips of 8 frames:

    ours            the loop of training/loop.py on the folded network, see networks/folding.py
    stock layers    the same network as it is saved, with Keras's TimeDistributed
    EfficientNetB0  that of keras.applications in the place of the CNN, in our loop

`predecessor` trains the predecessor's network (microcoder-py/deepfake-detector, 2021: one
convolution, average pooling, an LSTM with relu) at its sizes, 4 clips of 60 frames of 100x100:

    ours            the loop of training/loop.py on the folded baseline
    its own loop    GradientTape step by step without tf.function, the frames of all clips as one
                    batch inside each TimeDistributed, as Keras 2 did it
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks.timing import machine, medians, ratios, seconds_of
from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.networks.catalogue import DEFAULT

with quiet_tensorflow():  # which turns oneDNN on, as the scripts do
    import keras
    import tensorflow as tf
    from keras import layers

    from deepfake_detector.training.loop import Trainer
    from model import build_model

PARTS = ("default", "predecessor")
Sizes = tuple[int, int, int]  # clips, frames of a clip, side of a frame in pixels
FRAME_SIZES: Sizes = (16, 1, 192)
CLIP_SIZES: Sizes = (2, 8, 192)
PREDECESSOR_SIZES: Sizes = (4, 60, 100)
Step = Callable[[], object]


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (all)")
    add("--rounds", type=int, default=9, help="measured steps of each way (%(default)s)")
    args = parser.parse_args(argv)
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    gpus = str(len(tf.config.list_physical_devices("GPU")))
    print_table("machine", [*machine(), ("versions", versions), ("GPUs", gpus)])
    if "default" in args.only:
        for sizes in (FRAME_SIZES, CLIP_SIZES):
            ways = {
                "ours": our_step(DEFAULT, sizes),
                "stock layers": plain_step(new_network(DEFAULT, sizes), sizes, compiled=True),
                "EfficientNetB0": our_step("efficientnet-b0", sizes),
            }
            compare("the default network", ways, sizes, args.rounds)
    if "predecessor" in args.only:
        ways = {
            "ours": our_step("baseline", PREDECESSOR_SIZES),
            "its own loop": plain_step(predecessors_network(), PREDECESSOR_SIZES, compiled=False),
        }
        compare("the predecessor's network", ways, PREDECESSOR_SIZES, args.rounds)
    return 0


def compare(what: str, ways: dict[str, Step], sizes: Sizes, rounds: int) -> None:
    """Time the first step, which traces the graph, and later ones; print a table."""
    first = {name: seconds_of(way) for name, way in ways.items()}
    seconds = medians(ways, rounds)
    rows = [(name, f"{seconds[name]}; first step {first[name].wall:.0f} s") for name in ways]
    clips, num_frames, side = sizes
    title = f"a step of {what}, {clips} clips of {num_frames} frames of {side}x{side}"
    print_table(title, rows + ratios(seconds, "ours"))


def our_step(architecture: str, sizes: Sizes) -> Step:
    """Return a step of what train.py trains with, on one device."""
    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    strategy = tf.distribute.MirroredStrategy([device])
    with strategy.scope():
        optimizer = keras.optimizers.AdamW()
        network = new_network(architecture, sizes)
    trainer, clips_and_labels = Trainer(network, optimizer, strategy), batch(sizes)
    return lambda: [part.numpy() for part in trainer._train_step(clips_and_labels)]


def plain_step(network: keras.Model, sizes: Sizes, compiled: bool) -> Step:
    """Return a step with a gradient tape and Adam, as a graph if it is `compiled`."""
    variables, optimizer = network.trainable_variables, keras.optimizers.Adam()
    optimizer.build(variables)
    clips, labels = batch(sizes)
    if not compiled:  # the predecessor's network does not scale its input
        clips = tf.cast(clips, tf.float32) / 127.5 - 1

    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            scores = network(clips, training=True)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(labels, scores))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    run = tf.function(step) if compiled else step
    return lambda: run().numpy()


def new_network(architecture: str, sizes: Sizes) -> keras.Model:
    _, num_frames, side = sizes
    return build_model(num_frames, (side, side), architecture)


class FoldedTimeDistributed(layers.Layer):
    """TimeDistributed as Keras 2 ran it: the frames of all clips as one batch, layer by layer."""

    def __init__(self, layer: keras.layers.Layer):
        super().__init__()
        self.layer = layer

    def call(self, clips):
        num_frames = clips.shape[1]
        frames = tf.reshape(clips, (-1, *clips.shape[2:]))  # (batch * frames, ...)
        outputs = self.layer(frames)
        return tf.reshape(outputs, (-1, num_frames, *outputs.shape[1:]))


def predecessors_network() -> keras.Model:
    _, num_frames, side = PREDECESSOR_SIZES
    return keras.Sequential(
        [
            keras.Input((num_frames, side, side, 3)),
            FoldedTimeDistributed(layers.Conv2D(32, (2, 2), activation="relu")),
            FoldedTimeDistributed(layers.AveragePooling2D((2, 2))),
            FoldedTimeDistributed(layers.Flatten()),
            layers.LSTM(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def batch(sizes: Sizes) -> tuple[tf.Tensor, tf.Tensor]:
    """Return clips of random pixels, uint8, and labels `(clips, 1)`, half of them 1."""
    num_clips, num_frames, side = sizes
    shape = (num_clips, num_frames, side, side, 3)
    pixels = tf.random.stateless_uniform(shape, (0, 0), 0, 256, tf.int32)
    return tf.cast(pixels, tf.uint8), tf.cast(tf.range(num_clips)[:, None] % 2, tf.float32)


if __name__ == "__main__":
    sys.exit(main())
