"""Libraries that are missing: one sentence and exit code 2, no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepfake_detector import console, libraries

ROOT = Path(__file__).parents[1]
COMMANDS = ("processing", "train", "evaluate", "predict", "sample_data")
NO_LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"


def run_with_fake_opencv(folder: Path, error: str, *command: str) -> subprocess.CompletedProcess:
    """Run Python with an OpenCV that raises ImportError(error)."""
    (folder / "cv2").mkdir()
    (folder / "cv2" / "__init__.py").write_text(f"raise ImportError({error!r})")
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("script", COMMANDS)
def test_a_server_without_libgl_is_told_both_remedies_in_one_line(script, tmp_path):
    done = run_with_fake_opencv(tmp_path, NO_LIBGL, f"{script}.py", "--help")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: OpenCV cannot be imported: {NO_LIBGL}; ")
    assert done.stderr.count("\n") == 1
    assert "apt-get install libgl1" in done.stderr
    assert "pip uninstall opencv-python" in done.stderr
    assert "opencv-python-headless" in done.stderr


def test_an_opencv_that_does_not_suit_numpy_is_installed_again(tmp_path):
    done = run_with_fake_opencv(tmp_path, "numpy.core failed to import", "processing.py", "--help")
    assert done.returncode == 2
    assert "numpy.core failed to import; run: pip install -r requirements.txt" in done.stderr
    assert "libgl1" not in done.stderr


def test_from_python_it_is_an_import_error_with_the_sentence(tmp_path):
    done = run_with_fake_opencv(tmp_path, NO_LIBGL, "-c", "import processing")
    assert done.returncode == 1
    last_line = done.stderr.splitlines()[-1]
    assert last_line.startswith("ImportError: OpenCV cannot be imported: libGL.so.1")


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="^av: not installed .* pip install -r requirements.txt"):
        libraries.require(*libraries.NEEDED)


def test_a_script_without_tensorflow_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(ROOT / "train.py"), False)
    with pytest.raises(SystemExit) as stopped, console.quiet_tensorflow():
        pass
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: tensorflow: not installed")


def test_every_package_of_the_requirements_is_looked_for():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    names = {re.split("[<>=]", line)[0] for line in lines}
    names -= {"tensorflow", "opencv-python", "scikit-learn", "markdown-it-py"}
    names |= {"sklearn", "markdown_it"}
    assert names == set(libraries.NEEDED)


def test_nothing_needs_the_windows_that_the_headless_opencv_lacks():
    sources = [*ROOT.glob("*.py"), *(ROOT / "deepfake_detector").rglob("*.py")]
    for path in [*sources, *(ROOT / "benchmarks").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"cv2\.(imshow|namedWindow|waitKey|destroy\w*|create\w*bar)", text)
