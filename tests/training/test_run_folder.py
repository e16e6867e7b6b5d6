"""A training that is stopped, goes on and ends as if nothing had happened; one that is finished."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, tree, variables_of

import train
from deepfake_detector.console import UserError
from deepfake_detector.training.callbacks import Patience, SaveEpoch
from deepfake_detector.training.loop import Trainer
from deepfake_detector.training.run_folder import STATE_NAME, RunState
from deepfake_detector.training.settings import Stage

ROOT = Path(__file__).parents[2]
# The network that is traced soonest; test_first_weights.py has the default one, with dropout.
SETTINGS = train.TrainSettings(
    architecture="baseline", epochs=3, frame_epochs=0, min_steps=1, self_blend=0, batch_size=2,
    num_frames=3, img_size=32, patience=2, validation_share=0.3, test_share=0,
    ignore_official_split=True,
)  # fmt: skip
TIMES = {"seconds", "clips_per_sec"}


class Stop(Exception):
    """Stands for whatever ends a process from one moment to the next."""


class StopAt(keras.callbacks.Callback):
    """Ends a training at a step or at the end of an epoch, both counted from 0."""

    def __init__(self, epoch, step=None):
        super().__init__()
        self.epoch, self.step, self.now = epoch, step, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.step):
            raise Stop

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch and self.step is None:
            raise Stop


def training(faces, out, callbacks=(), settings=SETTINGS, quiet=False, **options):
    return train.train(faces, out, settings, train.RunOptions(**options), callbacks, quiet=quiet)


def ended(out):
    """Return what must not depend on interruptions: history, state and the weights of the best."""
    with (out / "history.csv").open(newline="") as file:
        history = [[row[name] for name in row if name not in TIMES] for row in csv.DictReader(file)]
    best = keras.models.load_model(out / "model.keras").get_weights()
    return history, [*variables_of(out), *best]


def assert_ended_alike(out, other):
    (history, weights), (other_history, other_weights) = ended(out), ended(other)
    assert history == other_history
    for weight, other_weight in zip(weights, other_weights, strict=True):
        assert np.array_equal(weight, other_weight)


@pytest.fixture(scope="module")
def uninterrupted(sample_faces, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    training(sample_faces, out)
    return out


@pytest.fixture
def finished(uninterrupted, tmp_path):
    return shutil.copytree(uninterrupted, tmp_path / "run")


# Going on


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_if_it_never_had_been(
    sample_faces, uninterrupted, tmp_path, capsys
):
    out = tmp_path / "run"
    for stop in (
        StopAt(epoch=1, step=1),
        StopAt(epoch=1),
        StopAt(epoch=2),
    ):  # before its checkpoint
        with pytest.raises(Stop):
            training(sample_faces, out, [stop])
    training(sample_faces, out)
    assert "continues at epoch 3" in capsys.readouterr().out
    assert_ended_alike(out, uninterrupted)


TRAIN_SMALL_LITE0 = """
import sys
sys.path[:0] = [".", "tests"]
import train
from conftest import make_lite0_small
make_lite0_small()
sys.exit(train.main())
"""


@pytest.mark.thorough
def test_killed_it_ends_as_if_it_never_had_been(sample_faces, tmp_path):
    """All runs are processes: the tests imported TensorFlow before train.py could choose oneDNN,
    which rounds otherwise."""

    def start(out):
        where = ["--data", str(sample_faces), "--out", str(tmp_path / out)]
        network = ["--architecture", "efficientnet-lite0", "--from", "random"]
        words = [*where, *TINY, *network, "--epochs", "4", "--frame-epochs", "2"]
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN_SMALL_LITE0, *words], cwd=ROOT, stdout=subprocess.DEVNULL
        )

    assert start("straight").wait() == 0
    for state in ("frames", "."):
        process = start("killed")
        while not (tmp_path / "killed" / state / STATE_NAME).exists():
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert start("killed").wait() == 0
    for folder in ("frames", "."):
        assert_ended_alike(tmp_path / "killed" / folder, tmp_path / "straight" / folder)


@pytest.mark.slow
def test_a_damaged_crop_is_one_sentence(sample_faces, tmp_path):
    faces = shutil.copytree(sample_faces, tmp_path / "faces")
    for crop in faces.glob("*/000.jpeg"):
        crop.write_bytes(crop.read_bytes()[:300])
    with pytest.raises(UserError, match=r"000.jpeg, .* run the same processing.py command"):
        training(faces, tmp_path / "run")


@pytest.mark.parametrize(
    ("losses", "extended_after", "stops"),
    [
        ([], 0, False),
        ([0.5, 0.6], 0, False),
        ([0.5, 0.6, 0.7], 0, True),
        ([0.5, 0.6, 0.4], 0, False),
        ([0.5, 0.5, 0.5], 0, True),
        ([0.5, 0.6, 0.7], 3, False),
        ([0.5, 0.6, 0.7, 0.8, 0.9], 3, True),
    ],
)
def test_early_stopping_remembers_the_epochs_before_the_stop(losses, extended_after, stops):
    """Its counter started again: a run that was stopped each night would never end."""
    history = [{"epoch": n + 1, "val_loss": value} for n, value in enumerate(losses)]
    patience = Patience(RunState(9, history, extended_after), patience=2)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.stop_training = False
    patience.set_model(model)
    patience.on_train_begin()
    assert model.stop_training == stops


@pytest.mark.parametrize(("is_first", "kept"), [(False, 0.3), (True, 0.5)])
def test_the_best_epoch_of_clips_is_kept_and_the_last_one_of_frames(tmp_path, is_first, kept):
    """The best one of frames had hardly learned: with few people to validate on, chance chose it.
    After a stop, a worse epoch of clips must not overwrite the best one."""
    number = keras.Input((1,))
    network = keras.Model(number, keras.layers.Dense(1, name="dense")(number))
    trainer = Trainer(network, keras.optimizers.SGD(), tf.distribute.get_strategy())
    for epoch, val_loss in enumerate((0.4, 0.3, 0.5), start=1):
        network.get_layer("dense").bias.assign([val_loss])
        trainer.history.append({"epoch": epoch, "val_loss": val_loss})
        state = RunState(3, trainer.history)
        stage = Stage(tmp_path, SETTINGS, {}, is_first)
        SaveEpoch(trainer, stage, state).on_epoch_end(epoch)
    bias = keras.models.load_model(tmp_path / "model.keras").get_layer("dense").bias.numpy()
    assert bias == pytest.approx([kept])


# A finished run


def test_a_finished_run_is_left_as_it_is(sample_faces, finished, capsys):
    before = tree(finished)
    assert len(training(sample_faces, finished)) == 3
    assert "holds this run already" in capsys.readouterr().out
    assert tree(finished) == before


@pytest.mark.slow
def test_a_program_can_train_and_nothing_is_printed(sample_faces, tmp_path, capsys):
    settings = replace(SETTINGS, epochs=1)
    assert len(training(sample_faces, tmp_path / "run", settings=settings, quiet=True)) == 1
    assert not capsys.readouterr().out


@pytest.mark.slow
def test_more_epochs_go_on_from_a_finished_run(sample_faces, finished):
    before = ended(finished)[0]
    history = training(sample_faces, finished, settings=replace(SETTINGS, epochs=5))
    assert [metrics["epoch"] for metrics in history] == [1, 2, 3, 4, 5]
    assert ended(finished)[0][:3] == before
    with pytest.raises(UserError, match=r"--epochs 5 \(asked for: 3\)"):
        training(sample_faces, finished)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seed": 1}, r"--seed 0 \(asked for: 1\)"),
        ({"initial": "other.keras"}, "no file|does not exist"),
        ({"epochs": 2}, r"--epochs 3 \(asked for: 2\)"),
        ({"frame_epochs": 1}, r"--frame-epochs 0 \(asked for: 1\)"),
        ({"validation_share": 0.5}, "other videos"),
    ],
)
def test_another_run_is_not_overwritten_by_accident(sample_faces, finished, changed, sentence):
    before = tree(finished)
    with pytest.raises(UserError, match=sentence):
        training(sample_faces, finished, settings=replace(SETTINGS, **changed))
    assert tree(finished) == before


@pytest.mark.slow
def test_overwrite_trains_the_finished_run_again_and_gives_the_same(
    sample_faces, uninterrupted, finished
):
    assert len(training(sample_faces, finished, overwrite=True)) == 3
    assert_ended_alike(finished, uninterrupted)


@pytest.mark.parametrize("name", [STATE_NAME, "model.keras", "settings.json", "split.json"])
def test_a_run_without_one_of_its_files_is_refused_and_stays(sample_faces, finished, name):
    (finished / name).unlink()
    before = tree(finished)
    with pytest.raises(UserError, match=f"holds a run without its {name}.*--overwrite"):
        training(sample_faces, finished)
    assert tree(finished) == before


def test_a_state_that_is_damaged_is_one_sentence(sample_faces, finished):
    """ "If you trust the file you can load it unsafely using the `allow_pickle=` keyword"."""
    (finished / STATE_NAME).write_text("x")
    with pytest.raises(UserError, match="state.npz is damaged; --overwrite"):
        training(sample_faces, finished)


def test_two_trainings_do_not_write_into_one_folder(sample_faces, finished):
    from deepfake_detector.training.run_folder import only_run

    with only_run(finished), pytest.raises(UserError, match="another process"):
        training(sample_faces, finished)
