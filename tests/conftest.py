"""Videos for the tests: synthetic, small, made once."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import cv2
import damaged_videos as damaged
import numpy as np
import pytest
from filelock import FileLock
from matplotlib.figure import Figure

import sample_data
from deepfake_detector.synthetic import people
from deepfake_detector.synthetic.scene import draw_frames
from deepfake_detector.videos.listing import read_locations
from deepfake_detector.videos.metadata import Video

SIZE = 160  # side of the synthetic frames in pixels
ROOT = Path(__file__).parents[1]
# A training of two short epochs on clips, with the fakes that there are.
TINY = ["--epochs", "2", "--batch-size", "4", "--num-frames", "3", "--img-size", "32"]
TINY += ["--architecture", "baseline", "--frame-epochs", "0", "--min-steps", "1"]
TINY += ["--self-blend", "0"]


def write_metadata(folder: Path, entries: dict) -> Path:
    """Write a DFDC metadata.json; a plain label stands for a whole entry."""
    full = {
        name: {"label": entry, "split": "train", "original": None}
        if isinstance(entry, str)
        else entry
        for name, entry in entries.items()
    }
    (folder / "metadata.json").write_text(json.dumps(full), encoding="utf-8")
    return folder


def list_videos(folders: Sequence[Path | str]) -> list[Video]:
    return read_locations(folders).videos


def make_files(root: Path, *paths: str) -> Path:
    """Make empty files, which are enough to look for videos."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def read_rgb(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[:, :, ::-1]


def command_of(videos: Path, out: Path, *words: str) -> list[str]:
    where = ["--location", str(videos), "--save-path", str(out), "--face-size", "64"]
    return [sys.executable, str(ROOT / "processing.py"), *where, "--workers", "2", *words]


def run_without_our_code(script: str, folder: Path) -> list:
    """Run Python in `folder` where nothing of this project can be imported; return the JSON of its
    last line."""
    # -I: neither the current folder nor PYTHONPATH can be imported from.
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def result_of(folder: Path) -> dict[str, bytes | list]:
    """Return all that a run leaves behind, but for the seconds it took."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    result = {str(p.relative_to(folder)): p.read_bytes() for p in files if p.name != ".lock"}
    with (folder / "manifest.csv").open(newline="") as file:
        result["manifest.csv"] = [row | {"seconds": ""} for row in csv.DictReader(file)]
    return result


def variables_of(run: Path) -> list[np.ndarray]:
    """Return all variables of a training, those of the optimizer among them, as it left them."""
    from deepfake_detector.training.run_folder import STATE_NAME

    with np.load(run / STATE_NAME) as state:
        return [state[name] for name in state.files if name.startswith("variable")]


def assert_weights_close(weights: Iterable, expected: Iterable, within: float) -> None:
    """Fail where two lists of arrays differ by more than `within`; a hundred times faster than
    pytest.approx, which takes seconds for the weights of a network."""
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, other, rtol=0, atol=within)


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Trainings and extractions of their own: whatever needs them is no fast test.
SLOW_FIXTURES = {"run", "run_with_frames", "quick_run", "videos", "uninterrupted", "head", "work"}


# Minutes each: begun last, one of them would be waited for alone.
LONGEST_FILES = {
    "test_readme_commands.py",
    "test_loop.py",
    "test_run_folder.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as slow that are thorough or use a slow fixture; begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST_FILES)
    for item in items:
        is_thorough = item.get_closest_marker("thorough")
        if is_thorough or SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


DRAW = Figure.savefig


@pytest.fixture(scope="session", autouse=True)
def _no_charts() -> Iterator[None]:
    """Write an empty picture in place of every chart: drawing them takes longer than a small
    evaluation does. A test that looks at charts uses `charts_are_drawn`."""
    empty = io.BytesIO()
    DRAW(Figure(figsize=(0.1, 0.1)), empty)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda _, path, **__: path.write_bytes(empty.getvalue()))
        yield


@pytest.fixture
def charts_are_drawn(monkeypatch) -> None:
    monkeypatch.setattr(Figure, "savefig", DRAW)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder `name` that `make(folder)` fills, once for all processes of xdist."""
    root = factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def head_frames() -> np.ndarray:
    """One second of a synthetic talking head, `(25, SIZE, SIZE, 3) uint8` RGB."""
    person = people.random_person(seed=2)
    frames = draw_frames(person, num_frames=25, frame_size=SIZE, fps=25, seed=2)
    return np.stack(list(frames))


@pytest.fixture(scope="session")
def sample_videos(tmp_path_factory) -> Path:
    """A folder of 8 people, a real and a fake video of each, half a second long."""
    settings = {"num_people": 8, "seconds": 0.5, "fps": 20, "frame_size": SIZE, "test_share": 0.25}
    return made_once(
        tmp_path_factory, "videos", lambda out: sample_data.make_sample_set(out, **settings)
    )


@pytest.fixture(scope="session")
def sample_faces(sample_videos, tmp_path_factory) -> Path:
    """The faces of `sample_videos`."""
    import processing

    return made_once(
        tmp_path_factory,
        "faces",
        lambda out: processing.processing(location=sample_videos, save_path=out, face_size=64),
    )


def make_lite0_small(set_value: Callable[[ModuleType, str, object], None] = setattr) -> None:
    """Let EfficientNet-Lite0 have three blocks and few channels: its 50 convolutions take long to
    trace."""
    from deepfake_detector.networks import efficientnet_lite

    stages = [
        stage._replace(channels=stage.channels // 4, repeats=min(stage.repeats, 2))
        for stage in efficientnet_lite.STAGES[:2]
    ]
    set_value(efficientnet_lite, "STAGES", stages)
    set_value(efficientnet_lite, "NUM_FEATURES", 24)


@pytest.fixture(scope="module")
def small_lite0() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        make_lite0_small(patch.setattr)
        yield


@pytest.fixture(scope="session")
def run(sample_faces, tmp_path_factory) -> Path:
    """A finished training of two epochs on `sample_faces`."""
    import train

    words = ["--data", str(sample_faces), *TINY]
    return made_once(tmp_path_factory, "run", lambda out: train.main([*words, "--out", str(out)]))


@pytest.fixture(scope="session")
def run_with_frames(sample_faces, tmp_path_factory) -> Path:
    """A finished training on single frames and then on clips, called from Python with a Keras
    callback as the README has it, at a rate that is as good as no training."""
    import tensorflow as tf

    import train

    settings = train.TrainSettings(
        architecture="baseline", epochs=1, frame_epochs=1, min_steps=2, batch_size=4, img_size=32,
        learning_rate=1e-9,
    )  # fmt: skip

    def make(out: Path) -> None:
        callbacks = [tf.keras.callbacks.CSVLogger(str(out.with_name("log.csv")))]
        train.train(str(sample_faces), str(out), settings, callbacks=callbacks)

    return made_once(tmp_path_factory, "run_with_frames", make)


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> Path:
    settings = {"num_people": 8, "seconds": 0.4, "fps": 20, "frame_size": 128}
    return made_once(
        tmp_path_factory, "people", lambda out: sample_data.make_sample_set(out, **settings)
    )


@pytest.fixture(scope="session")
def uninterrupted(videos, tmp_path_factory) -> Path:
    return made_once(
        tmp_path_factory,
        "faces_of_people",
        lambda out: subprocess.run(command_of(videos, out), check=True, capture_output=True),
    )


@pytest.fixture(scope="session")
def mp4(head_frames, tmp_path_factory) -> bytes:
    """The bytes of a good video of 20 frames, 25 a second; `avi` and `mkv` are the same."""
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    sample_data.write_video(path, head_frames[:20], 25)
    return path.read_bytes()


@pytest.fixture(scope="session")
def avi(head_frames, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.avi"
    damaged.write_as(path, head_frames[:20], 25)
    return path.read_bytes()


@pytest.fixture(scope="session")
def mkv(head_frames, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.mkv"
    damaged.write_as(path, head_frames[:20], 25)
    return path.read_bytes()


@pytest.fixture
def one_head(tmp_path, head_frames) -> Path:
    """A folder with one real video of 25 frames at 25 frames a second."""
    folder = tmp_path / "videos"
    folder.mkdir()
    sample_data.write_video(folder / "head.mp4", head_frames, fps=25)
    return write_metadata(folder, {"head.mp4": "REAL"})
