"""Libraries that are missing or do not load: one sentence instead of the traceback of an import.

require("numpy")      # nothing, or "numpy is not installed; ..."
require_opencv()
"""

import importlib
import importlib.util
import sys
from typing import NoReturn

from deepfake_detector import endings

# All that requirements.txt installs but TensorFlow, without which videos can be read.
NEEDED = (
    "av",
    "filelock",
    "jinja2",
    "markdown_it",
    "matplotlib",
    "numpy",
    "rich",
    "scipy",
    "sklearn",
)
REQUIREMENTS = "requirements.txt"
INSTALL = "run: pip install -r {}"


def require(*names: str, file: str = REQUIREMENTS) -> None:
    """End one of the scripts with a sentence where a library, of those in `file`, is not installed;
    anywhere else raise ImportError with it."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        install = INSTALL.format(file)
        _give_up(f"{', '.join(missing)}: not installed for {sys.executable}; {install}")


def require_opencv() -> None:
    """Import OpenCV, or end as `require` does: its usual wheel needs libraries of the system that
    containers and servers often lack, and the headless one does not."""
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        if ".so" not in str(error):
            _give_up(f"OpenCV cannot be imported: {error}; {INSTALL.format(REQUIREMENTS)}")
        _give_up(
            f"OpenCV cannot be imported: {error}; install what the system lacks (apt-get install "
            "libgl1 libglib2.0-0), or the OpenCV that does without it (pip uninstall "
            'opencv-python, then pip install "opencv-python-headless>=4.8,<5")'
        )


def _give_up(sentence: str) -> NoReturn:
    if not endings.runs_a_script():
        raise ImportError(sentence)
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2)
