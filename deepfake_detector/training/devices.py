"""Where training runs: on this CPU, on the GPUs of this machine, or on the machines of a cluster.

`cluster_strategy` finds a cluster by TF_CONFIG or the variables of a Slurm step with several tasks.
`choose_precision` returns the number format that the GPUs are fastest with. `explained_errors` says
what to do if they fail.
"""

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import Iterator, Sequence

import tensorflow as tf

from deepfake_detector.clips import loading
from deepfake_detector.console import UserError, counted
from deepfake_detector.face_dataset.face_tracks import FaceTrack

BFLOAT16_CAPABILITY = (8, 0)  # Ampere and later
LOWEST_PORT, PORTS = 20_000, 10_000  # below those that Linux gives out by itself
# How the loss of another worker looks from here.
WORKER_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def cluster_strategy() -> tf.distribute.Strategy | None:
    """Return the strategy for the cluster that this process is a worker of, or None without one.

    With TF_CONFIG, or as one of several tasks of a Slurm step: MultiWorkerMirroredStrategy, which
    waits until all workers are there. Call it before any other operation of TensorFlow.

    Raises UserError for a TF_CONFIG that does not describe a cluster.
    """
    if os.environ.get("TF_CONFIG"):
        _check_tf_config(os.environ["TF_CONFIG"])
        cluster = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        cluster = _slurm_cluster()
    else:
        return None
    workers = itertools.chain(*cluster.cluster_spec().as_dict().values())
    print(f"{cluster.task_type} {cluster.task_id}: waiting for {', '.join(workers)}", flush=True)
    return tf.distribute.MultiWorkerMirroredStrategy(cluster)


def _check_tf_config(text: str) -> None:
    """Raise UserError unless TF_CONFIG names the workers and which of them this one is."""
    try:
        config = json.loads(text)
        task = config["task"]
        is_known = task["index"] in range(len(config["cluster"][task["type"]]))
    except (ValueError, TypeError, LookupError):
        is_known = False
    if not is_known or not config["cluster"].get("worker"):
        raise UserError(
            f"TF_CONFIG is {text}; it must name the workers and which of them this one is, as in "
            '{"cluster": {"worker": ["host1:8888", "host2:8888"]}, "task": {"type": "worker", '
            '"index": 0}}'
        )


def _slurm_cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Return the tasks of this Slurm step as workers, with the GPUs that Slurm gives to each."""
    resolvers = tf.distribute.cluster_resolver
    # Two jobs on one machine must not meet at the same port.
    port = LOWEST_PORT + int(os.environ.get("SLURM_JOB_ID", 0)) % PORTS
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    try:
        # It parses Slurm's lists of machines, but cannot count tasks without a GPU: we claim one
        # GPU for each task, and count the real ones below.
        slurm = resolvers.SlurmClusterResolver(
            port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        cluster = slurm.cluster_spec()
    except (RuntimeError, KeyError, OSError, ValueError, subprocess.SubprocessError) as error:
        raise UserError(f"the Slurm step cannot be understood: {error}") from error
    return resolvers.SimpleClusterResolver(
        cluster,
        task_type=slurm.task_type,
        task_id=slurm.task_id,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the run folder: the only process, or the first worker."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def describe(strategy: tf.distribute.Strategy) -> str:
    """Return the devices of a strategy, such as "8 GPUs of 2 workers"."""
    replicas = strategy.num_replicas_in_sync
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    text = f"{replicas} {kind}{'s' if replicas > 1 else ''}"
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return text
    spec = resolver.cluster_spec()
    return f"{text} of {sum(map(spec.num_tasks, spec.jobs))} workers"


def choose_precision(asked: str = "auto") -> str:
    """Return one of `catalogue.PRECISIONS`: the one asked for, or the fastest for the GPUs here.

    GPUs compute in bfloat16 from compute capability 8.0 on. It has the range of float32 and needs
    no loss scaling. On a CPU and on older GPUs it is float32.
    """
    if asked != "auto":
        return asked
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    capability = min((gpu.get("compute_capability", (0, 0)) for gpu in details), default=(0, 0))
    return "mixed_bfloat16" if capability >= BFLOAT16_CAPABILITY else "float32"


@contextlib.contextmanager
def explained_errors(tracks: Sequence[FaceTrack], batch_size: int) -> Iterator[None]:
    """Turn a lost worker, too little memory or an unreadable crop of `tracks` into a UserError."""
    try:
        yield
    except WORKER_LOST as error:
        raise UserError(
            "another worker of this run has stopped or cannot be reached; start the same command "
            "on all of them again, it continues from the last checkpoint"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        lower = "--batch-size or --num-frames" if batch_size > 1 else "--num-frames or --img-size"
        raise UserError(
            f"out of memory with {counted(batch_size, 'clip')} a batch; lower {lower}"
        ) from error
    except tf.errors.OpError as error:
        raise UserError(loading.explain(error, tracks)) from error
