"""Whether the lowest versions that requirements.txt and requirements-app.txt allow work: the fast
tests, run with them.

    python -m benchmarks.lowest_versions --python python3.10
    python -m benchmarks.lowest_versions --headless          the OpenCV that needs no libGL

Makes a virtual environment with the lowest release of every package in these files, and whatever
pip chooses for what these need in turn. It downloads a gigabyte, and takes minutes. The exit code
is that of pytest.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from deepfake_detector.console import UserError, command, print_table

ROOT = Path(__file__).parents[1]
CORE, APP = ROOT / "requirements.txt", ROOT / "requirements-app.txt"
OPENCV = "opencv-python"


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="lowest-") as folder:
        subprocess.run([args.python, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        versions = {}
        for requirement in [*requirements(CORE), *requirements(APP)]:
            name = f"{OPENCV}-headless" if args.headless and requirement.name == OPENCV else ""
            name = name or requirement.name
            versions[name] = lowest_release(python, name, requirement)
        pinned = [f"{name}=={version}" for name, version in versions.items()]
        pip(python, "install", "--quiet", *pinned, "pytest>=8.0", "pytest-xdist>=3.6")
        print_table("lowest versions", [(name, str(v)) for name, v in versions.items()])
        tests = ["-n", "2", "--dist", "loadfile", "-m", "not slow", *args.tests]
        return subprocess.run([python, "-m", "pytest", "-q", *tests], cwd=ROOT).returncode


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--python", default=sys.executable, help="the Python of the environment (%(default)s)")
    add("--headless", action="store_true", help=f"take {OPENCV}-headless for {OPENCV}")
    add("tests", nargs="*", default=[], metavar="TEST", help="test files (default: all)")
    return parser


def requirements(path: Path) -> list[Requirement]:
    """Return what the lines of a requirements file ask for, without comments and other files."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def lowest_release(python: Path, name: str, requirement: Requirement) -> Version:
    """Return the lowest release of the package `name` that fits, among those that come as a wheel
    for that Python; raises UserError if there is none."""
    listed = pip(python, "index", "versions", name, "--only-binary=:all:")
    found = re.search(r"Available versions: (.*)", listed)
    versions = found[1].split(", ") if found else []
    fitting = list(requirement.specifier.filter(map(Version, versions)))
    if not fitting:
        raise UserError(f"no release of {name} fits {requirement}: pip lists {versions}")
    return min(fitting)


def pip(python: Path, *words: str) -> str:
    """Run pip and return what it prints; raises UserError with its last lines if it fails."""
    command_line = [str(python), "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command_line, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"pip {' '.join(words)} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
