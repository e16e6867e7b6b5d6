"""How fast a training step is, next to the predecessor's loop and to a plain port of it to Keras 3.

    python -m benchmarks.training_step                      all parts, about 2 minutes on 2 cores
    python -m benchmarks.training_step --only step work     some of them
    python -m benchmarks.training_step --rounds 15          more rounds, steadier medians

    step    seconds of a step, three ways, of the predecessor's network
    trace   operations of our step for short and long clips
    work    floating-point operations of our step, against plain matrix products

Times are medians over interleaved rounds in one process: machines differ and are shared, so read
the ratios. No data are read: clips of random pixels are in memory already.

Three ways train the predecessor's network (microcoder-py/deepfake-detector, 2021: one convolution,
average pooling, an LSTM with relu) at its sizes, 4 clips of 60 frames of 100x100:

    predecessor   its own loop: GradientTape step by step without tf.function, Adam, the frames of
                  all clips as one batch inside each TimeDistributed, as Keras 2 did it
    plain port    the same network with Keras 3's TimeDistributed around each layer, tf.function
    ours          the loop of training/loop.py on the folded baseline, see networks/folding.py
"""

import argparse
import functools
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from deepfake_detector.console import command, print_table, quiet_tensorflow
from deepfake_detector.training.loop import Trainer

with quiet_tensorflow():
    import tensorflow as tf

    import model as networks


from keras import layers

PARTS = ("step", "trace", "work")
Sizes = tuple[int, int, int]  # clips, frames of a clip, side of a frame in pixels
BASELINE_SIZES: Sizes = (4, 60, 100)
DEFAULT_SIZES: Sizes = (8, 8, 192)
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
            "step": lambda: step(args.rounds),
            "trace": trace,
            "work": lambda: work(args.rounds),
        }[part]()
        print_table(title, rows)
    return 0


def machine() -> list[tuple[str, str]]:
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            (line.partition(":")[2].strip() for line in lines if "model name" in line), name
        )
    gpus = len(tf.config.list_physical_devices("GPU"))
    versions = f"Python {platform.python_version()}, TensorFlow {tf.__version__}"
    return [
        ("processor", f"{name}, {os.cpu_count()} cores, {gpus} GPUs"),
        ("versions", f"{versions}, Keras {keras.__version__}, {platform.system()}"),
    ]


# Parts


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
        first_sec[name] = seconds_of(runs[name])
    seconds = medians(runs, rounds)
    rows = [
        (name, f"{seconds[name]:.3f} s a step   first {first_sec[name]:.2f} s") for name in runs
    ]
    rows += ratios(seconds, "ours")
    return f"a step of the predecessor's network, {words(BASELINE_SIZES)}", rows


def trace() -> tuple[str, list]:
    """Count the operations of our step and time its trace for short and long clips."""
    rows = []
    for architecture, side in (("baseline", 100), ("detail", 192)):
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
    for architecture, sizes in (("baseline", BASELINE_SIZES), ("detail", DEFAULT_SIZES)):
        runs = {"step": our_step(architecture, sizes), "product": lambda: product().numpy()}
        seconds = medians(runs, rounds)
        rate = 2 * MATRIX_SIDE**3 / seconds["product"]
        num_clips, *_ = sizes
        total = flop_of(new_network(architecture, sizes), num_clips)
        reached = total / seconds["step"]
        rows += [
            (f"{architecture}, a step", f"{total / 1e9:.2f} GFLOP in {seconds['step']:.3f} s"),
            (f"{architecture}, rate", f"{reached / 1e9:.0f} GFLOP/s"),
            (f"tf.matmul of {MATRIX_SIDE}", f"{rate / 1e9:.0f} GFLOP/s"),
            (f"{architecture}, share of it", f"{reached / rate:.0%}"),
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


def seconds_of(run: Callable) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def medians(runs: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Return the median seconds of each; interleaved, all meet the same disturbances."""
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(seconds_of(run))
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def words(sizes: Sizes) -> str:
    num_clips, num_frames, side = sizes
    return f"{num_clips} clips of {num_frames} frames of {side}x{side}"


def ratios(seconds: dict[str, float], ours: str) -> list[tuple[str, str]]:
    return [
        (f"{name} : {ours}", f"{value / seconds[ours]:.2f}")
        for name, value in seconds.items()
        if name != ours
    ]


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
    if isinstance(layer, layers.Conv2D):
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
