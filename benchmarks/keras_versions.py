"""Whether models that this project saves open in other versions of Keras, with the same score.

    python -m benchmarks.keras_versions                          the model of this project
    python -m benchmarks.keras_versions --model run/model.keras other/model.keras

Each version of Keras is installed into a folder of its own, in front of the packages of this
environment; TensorFlow stays the same. A model is opened by `tf.keras.models.load_model` in a
process that imports nothing of this project, and scores one clip. Prints how far the score is from
that of this environment. The exit code is 1 if a model does not open, or its score differs by more
than 0.00001.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deepfake_detector.console import UserError, command

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
MAX_DIFFERENCE = 1e-5
SCORE = """
import json, sys
import numpy as np, tensorflow as tf
results = {"version": tf.keras.__version__}
for path in sys.argv[1:]:
    try:
        model = tf.keras.models.load_model(path)
        shape = (1, *model.input_shape[1:])
        clip = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        results[path] = float(model(clip)[0, 0])
    except Exception as error:
        results[path] = " ".join(str(error).split())[-150:]
print(json.dumps(results))
"""


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    shipped = [ROOT / "pretrained" / "model.keras"]
    add("--model", type=Path, nargs="+", default=shipped, metavar="FILE", help="(%(default)s)")
    add("--versions", nargs="+", default=VERSIONS, metavar="X.Y", help="of Keras (%(default)s)")
    args = parser.parse_args(argv)
    paths = [path.resolve() for path in args.model]
    expected, same = scores(paths), True
    with tempfile.TemporaryDirectory(prefix="keras-versions-") as folder:
        for version in args.versions:
            found = scores(paths, installed(version, Path(folder) / version))
            print(f"keras {found.pop('version')}", flush=True)
            for path, score in found.items():
                difference = abs(score - expected[path]) if isinstance(score, float) else None
                same &= difference is not None and difference <= MAX_DIFFERENCE
                print(f"    {path}: {score if difference is None else f'{difference:.0e}'}")
    return 0 if same else 1


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
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(keras or "")}
    command_line = [sys.executable, "-c", SCORE, *map(str, paths)]
    done = subprocess.run(
        command_line, cwd=paths[0].parent, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise UserError(f"scoring in another process failed: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
