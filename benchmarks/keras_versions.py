"""Whether models that this project saves open in other versions of Keras, with the same score.

    python -m benchmarks.keras_versions                          every network that can be chosen
    python -m benchmarks.keras_versions --model run/model.keras

Each version of Keras is installed into a folder of its own, in front of the packages of this
environment; TensorFlow stays the same. A model is opened by `tf.keras.models.load_model` in a
process that imports nothing of this project, and scores one clip. Prints how far the score is from
that of this environment. The exit code is 1 where a model does not open, or its score differs by
more than 0.00001.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deepfake_detector.console import UserError, command, quiet_tensorflow
from deepfake_detector.networks import catalogue

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
LARGEST_DIFFERENCE = 1e-5
SCORE = """
import json, sys
from pathlib import Path
import numpy as np, tensorflow as tf
results = {"version": tf.keras.__version__}
for path in sys.argv[1:]:
    try:
        model = tf.keras.models.load_model(path)
        shape = (1, *model.input_shape[1:])
        clip = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        results[Path(path).stem] = float(model(clip)[0, 0])
    except Exception as error:
        results[Path(path).stem] = " ".join(str(error).split())[-150:]
print(json.dumps(results))
"""


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="keras-versions-") as folder:
        paths = [path.resolve() for path in args.model] or save_models(Path(folder), args.networks)
        expected = scores(paths)
        if broken := [name for name in expected if not isinstance(expected[name], float)][1:]:
            raise UserError(f"{broken[0]} does not open here either: {expected[broken[0]]}")
        same = True
        for version in args.versions:
            found = scores(paths, installed(version, Path(folder) / version))
            print(f"keras {found.pop('version')}", flush=True)
            for name, score in found.items():
                difference = abs(score - expected[name]) if isinstance(score, float) else None
                same &= difference is not None and difference <= LARGEST_DIFFERENCE
                shown = score if difference is None else f"{difference:.0e}"
                print(f"    {name:20} {shown}", flush=True)
    return 0 if same else 1


def main_arguments() -> argparse.ArgumentParser:
    names = [*catalogue.ARCHITECTURES, *catalogue.BACKBONES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, nargs="+", default=[], metavar="FILE", help="model.keras of a run")
    add("--networks", nargs="+", choices=names, default=names, help="networks (default: all)")
    add("--versions", nargs="+", default=VERSIONS, metavar="X.Y", help="of Keras (%(default)s)")
    return parser


def save_models(folder: Path, networks: Sequence[str]) -> list[Path]:
    """Save a small model of each network as a training does, and return the paths."""
    with quiet_tensorflow():
        from deepfake_detector.scoring import model_file
        from model import build_model
    paths = []
    for name in networks:
        side = max(64, catalogue.BACKBONES[name].min_size if name in catalogue.BACKBONES else 0)
        paths.append(folder / f"{name}.keras")
        model_file.save(build_model(2, (side, side), name), paths[-1])
    return paths


def installed(version: str, folder: Path) -> Path:
    """Install the last release of a version of Keras, such as "3.8", into a folder; return it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*pip, f"keras=={version}.*"], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"keras {version} cannot be installed: {done.stderr.strip()[-300:]}")
    return folder


def scores(paths: Sequence[Path], keras: Path | None = None) -> dict:
    """Return the score of a clip by each model, or why there is none, and the version of Keras:
    the one installed in the folder `keras`, or this environment's."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    if keras:
        environment["PYTHONPATH"] = str(keras)
    done = subprocess.run(
        [sys.executable, "-c", SCORE, *map(str, paths)],
        cwd=paths[0].parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UserError(f"scoring in another process failed: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
