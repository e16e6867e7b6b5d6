"""How fast a training step is, next to stock Keras, EfficientNetB0 and the predecessor's loop.

    python -m benchmarks.training_step                      all parts, about 5 minutes on 2 cores
    python -m benchmarks.training_step --only default work  some of them
    python -m benchmarks.training_step --rounds 15          more rounds, steadier medians

    default step of the default network, next to stock layers and EfficientNetB0
    step    step of the predecessor's network, three ways
    trace   operations of our step for short and long clips
    work    floating-point operations of our step, against plain matrix products

Times are medians over interleaved rounds in one process: machines differ and are shared, so read
the ratios. Processor seconds are those of all cores together; other programs on the machine change
them less. TF_ENABLE_ONEDNN_OPTS=1 or 0 in front of the command shows what oneDNN does. No data are
read: clips of random pixels are in memory already.

Three ways train the default network, on 16 single frames and on two clips of 8 frames:

    ours            the loop of training/loop.py on the folded network, see networks/folding.py
    stock layers    the same network as it is saved, with Keras's TimeDistributed and LSTM
    EfficientNetB0  that of keras.applications in the place of the CNN, in our loop

Three ways train the predecessor's network (microcoder-py/deepfake-detector, 2021: one convolution,
average pooling, an LSTM with relu) at its sizes, 4 clips of 60 frames of 100x100:

    predecessor   its own loop: GradientTape step by step without tf.function, Adam, the frames of
                  all clips as one batch inside each TimeDistributed, as Keras 2 did it
    plain port    the same network with Keras 3's TimeDistributed around each layer, tf.function
    ours          the loop of training/loop.py on the folded baseline
"""

import argparse
import functools
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.timing import medians, processor_name, ratios, seconds_of
from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.networks.catalogue import DEFAULT

with quiet_tensorflow():  # which turns oneDNN on, as the scripts do
    import keras
    import tensorflow as tf
    from keras import layers

    import model as networks
    from deepfake_detector.training.loop import Trainer

PARTS = ("default", "step", "trace", "work")
Sizes = tuple[int, int, int]  # clips, frames of a clip, side of a frame in pixels
BASELINE_SIZES: Sizes = (4, 60, 100)
FRAME_SIZES: Sizes = (16, 1, 192)
CLIP_SIZES: Sizes = (2, 8, 192)
FRAME_COUNTS = (8, 60, 240)
MATRIX_SIDE = 2048


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (all)")
    add("--rounds", type=int, default=9, help="measured steps of each way (%(default)s)")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    print_table("machine", machine())
    for part in args.only:
        title, rows = {
            "default": lambda: default(args.rounds),
            "step": lambda: step(args.rounds),
            "trace": trace,
            "work": lambda: work(args.rounds),
        }[part]()
        print_table(title, rows)
    return 0


def machine() -> list[tuple[str, str]]:
    gpus = len(tf.config.list_physical_devices("GPU"))
    versions = f"Python {platform.python_version()}, TensorFlow {tf.__version__}"
    return [
        ("processor", f"{processor_name()}, {os.cpu_count()} cores, {gpus} GPUs"),
        ("versions", f"{versions}, Keras {keras.__version__}, {platform.system()}"),
    ]


# Parts


def default(rounds: int) -> tuple[str, list]:
    """Time a step of the default network, of it in stock layers, and of EfficientNetB0."""
    rows = []
    for sizes in (FRAME_SIZES, CLIP_SIZES):
        ways = {
            "ours": our_step(DEFAULT, sizes),
            "stock layers": compiled_step(new_network(DEFAULT, sizes), *batch(sizes)),
            "EfficientNetB0": our_step("efficientnet-b0", sizes),
        }
        first = {name: seconds_of(way) for name, way in ways.items()}
        seconds = medians(ways, rounds)
        rows += [
            (f"{name}, {words(sizes)}", f"{seconds[name]}; first step {first[name].wall:.0f} s")
            for name in ways
        ]
        rows += ratios(seconds, "ours")
    return "a step of the default network", rows


def step(rounds: int) -> tuple[str, list]:
    """Time the first step, which traces the graph, and later ones."""
    clips, labels = batch(BASELINE_SIZES)
    scaled = tf.cast(clips, tf.float32) / 127.5 - 1
    ways = {
        "predecessor": lambda: eager_step(
            predecessors_network(FoldedTimeDistributed), scaled, labels
        ),
        "plain port": lambda: compiled_step(
            predecessors_network(layers.TimeDistributed), scaled, labels
        ),
        "ours": lambda: our_step("baseline", BASELINE_SIZES),
    }
    runs, first_sec = {}, {}
    for name, prepare in ways.items():
        runs[name] = prepare()
        first_sec[name] = seconds_of(runs[name]).wall
    seconds = medians(runs, rounds)
    rows = [
        (name, f"{seconds[name].wall:.3f} s a step   first {first_sec[name]:.2f} s")
        for name in runs
    ]
    rows += ratios(seconds, "ours")
    return f"a step of the predecessor's network, {words(BASELINE_SIZES)}", rows


def trace() -> tuple[str, list]:
    """Count the operations of our step and time its trace for short and long clips."""
    rows = []
    for architecture, side in (("baseline", 100), (DEFAULT, 192)):
        for num_frames in FRAME_COUNTS:
            trainer, clips, labels = our_trainer(architecture, (1, num_frames, side))
            started = time.perf_counter()
            graph = trainer._train_step.get_concrete_function((clips, labels)).graph
            seconds = time.perf_counter() - started
            text = f"{count_operations(graph)} operations, traced in {seconds:.2f} s"
            rows.append((f"{architecture}, {num_frames} frames", text))
    return "trace: the graph of a step, functions inside it included", rows


def work(rounds: int) -> tuple[str, list]:
    """Count the floating-point operations of our step; compare their rate with a matrix product."""
    matrix = tf.random.normal((MATRIX_SIDE, MATRIX_SIDE))
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    rows = []
    for architecture, sizes in (("baseline", BASELINE_SIZES), (DEFAULT, FRAME_SIZES)):
        runs = {"step": our_step(architecture, sizes), "product": lambda: product().numpy()}
        seconds = medians(runs, rounds)
        total = flop_of(new_network(architecture, sizes), sizes[0])
        rates = [
            operations / seconds[name].processor / 1e9
            for name, operations in (("step", total), ("product", 2 * MATRIX_SIDE**3))
        ]
        rows += [
            (f"{architecture}, a step", f"{total / 1e9:.2f} GFLOP in {seconds['step']}"),
            (f"{architecture}, rate of a core", f"{rates[0]:.0f} GFLOP/s"),
            (f"tf.matmul of {MATRIX_SIDE}", f"{rates[1]:.0f} GFLOP/s"),
            (f"{architecture}, share of it", f"{rates[0] / rates[1]:.0%}"),
        ]
    return "work: products and sums of convolutions and matrix products", rows


# Ways to train


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


def predecessors_network(wrap: Callable) -> keras.Model:
    """Return the predecessor's network with `wrap` around each layer that sees frames."""
    _, num_frames, side = BASELINE_SIZES
    return keras.Sequential(
        [
            keras.Input((num_frames, side, side, 3)),
            wrap(layers.Conv2D(32, (2, 2), activation="relu")),
            wrap(layers.AveragePooling2D((2, 2))),
            wrap(layers.Flatten()),
            layers.LSTM(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def new_network(architecture: str, sizes: Sizes) -> keras.Model:
    _, num_frames, side = sizes
    return networks.build_model(num_frames, (side, side), architecture)


def gradient_step(network: keras.Model) -> Callable:
    """Return a function of clips and labels that trains with Adam and returns the loss."""
    variables, optimizer = network.trainable_variables, keras.optimizers.Adam()
    optimizer.build(variables)

    def run(clips, labels):
        with tf.GradientTape() as tape:
            scores = network(clips, training=True)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(labels, scores))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return run


def eager_step(network: keras.Model, clips: tf.Tensor, labels: tf.Tensor) -> Callable:
    run = gradient_step(network)
    return lambda: run(clips, labels).numpy()


def compiled_step(network: keras.Model, clips: tf.Tensor, labels: tf.Tensor) -> Callable:
    run = tf.function(gradient_step(network))
    return lambda: run(clips, labels).numpy()


def our_trainer(architecture: str, sizes: Sizes) -> tuple[Trainer, tf.Tensor, tf.Tensor]:
    """Return what train.py trains with on one device, and a batch."""
    strategy = one_device()
    with strategy.scope():
        optimizer = keras.optimizers.AdamW()
        network = new_network(architecture, sizes)
    return Trainer(network, optimizer, strategy), *batch(sizes)


def our_step(architecture: str, sizes: Sizes) -> Callable:
    trainer, clips, labels = our_trainer(architecture, sizes)
    return lambda: [part.numpy() for part in trainer._train_step((clips, labels))]


@functools.cache
def one_device() -> tf.distribute.Strategy:
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy(["GPU:0" if gpus else "CPU:0"])


def batch(sizes: Sizes) -> tuple[tf.Tensor, tf.Tensor]:
    """Return clips of random pixels, uint8, and labels `(clips, 1)`, half of them 1."""
    num_clips, num_frames, side = sizes
    shape = (num_clips, num_frames, side, side, 3)
    pixels = tf.random.stateless_uniform(shape, (0, 0), 0, 256, tf.int32)
    return tf.cast(pixels, tf.uint8), tf.cast(tf.range(num_clips)[:, None] % 2, tf.float32)


# Measures


def words(sizes: Sizes) -> str:
    num_clips, num_frames, side = sizes
    return f"{num_clips} clips of {num_frames} frames of {side}x{side}"


def count_operations(graph: tf.Graph) -> int:
    definition = graph.as_graph_def()
    inside = definition.library.function
    return len(definition.node) + sum(len(function.node_def) for function in inside)


def flop_of(network: keras.Model, num_clips: int) -> int:
    """Return the floating-point operations of a step.

    Counted are the products and sums of convolutions, dense layers and LSTMs, which is all but a
    few per cent. Backward takes twice as many as forward, once for the inputs and once for the
    weights; the first layer needs no gradient of its inputs, the pixels.
    """
    frames = network.get_layer("frames")
    num_frames = frames.input.shape[1]
    counted = [(layer, num_clips * num_frames) for layer in frames.layer.layers]
    counted += [(layer, num_clips) for layer in network.layers]
    forward = [2 * count * multiplications_of(layer) for layer, count in counted]
    first = next(filter(None, forward))
    return 3 * sum(forward) - first


def multiplications_of(layer: keras.layers.Layer) -> int:
    """Return how often a layer multiplies by one of its weights for one image, row or clip."""
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        height, width = layer.output.shape[1:3]
        return height * width * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, layers.LSTM):
        kernels = layer.cell.kernel, layer.cell.recurrent_kernel
        return layer.input.shape[1] * sum(math.prod(kernel.shape) for kernel in kernels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
