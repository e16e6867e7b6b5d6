"""A training that is stopped, goes on and ends as if nothing had happened; one that is finished."""

import csv
import importlib.util
import json
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
from conftest import TINY, assert_weights_close, tree

import train
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.face_dataset.settings import read_settings
from deepfake_detector.face_dataset.splits import split_tracks
from deepfake_detector.scoring.trained_model import find_model
from deepfake_detector.training import run_folder
from deepfake_detector.training.callbacks import PatientStop, SaveModel
from deepfake_detector.training.loop import Trainer
from deepfake_detector.training.settings import run_settings

ROOT = Path(__file__).parents[2]
# The network that is traced soonest; test_killed_it_ends has the default one, with dropout.
SETTINGS = train.TrainSettings(
    architecture="baseline", epochs=3, frame_epochs=0, min_steps=1, self_blend=0, batch_size=2,
    num_frames=3, img_size=32, patience=2,
)  # fmt: skip
TIMES = {"seconds", "clips_per_sec", "input_share"}


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


def training(faces, out, callbacks=(), settings=SETTINGS, **options):
    splits = split_tracks(list_faces(faces), 0.3, 0, 0)
    return train.train_splits(
        *(splits, out, read_settings(faces), settings, train.RunOptions(**options)),
        tf.distribute.MirroredStrategy(),
        callbacks,
    )


def ended(out):
    """Return what must not depend on interruptions: history, state and the weights of the best."""
    with (out / "history.csv").open(newline="") as file:
        history = [[row[name] for name in row if name not in TIMES] for row in csv.DictReader(file)]
    with np.load(out / "checkpoints" / "state.npz") as state:
        variables = [state[name] for name in state.files if name.startswith("variable")]
    return history, [*variables, *keras.models.load_model(out / "model.keras").get_weights()]


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


# Going on


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_if_it_never_had_been(sample_faces, uninterrupted, tmp_path):
    out = tmp_path / "run"
    stops = {
        "in the first step": StopAt(epoch=0, step=0),
        "within an epoch": StopAt(epoch=1, step=1),
        "between an epoch and its checkpoint": StopAt(epoch=1),
        "at the very end": StopAt(epoch=2),
    }
    for stop in stops.values():
        with pytest.raises(Stop):
            training(sample_faces, out, [stop], checkpoint_minutes=0)
    training(sample_faces, out)
    assert_ended_alike(out, uninterrupted)


@pytest.mark.slow
def test_a_state_cut_short_while_it_is_written_is_not_used(
    sample_faces, uninterrupted, tmp_path, monkeypatch
):
    out, save = tmp_path / "run", np.savez

    def half_a_file(path, **arrays):
        save(path, **arrays)
        if int(json.loads(str(arrays["about"]))["epoch"]) == 2:
            path.write_bytes(path.read_bytes()[:1000])
            raise Stop

    monkeypatch.setattr(np, "savez", half_a_file)
    with pytest.raises(Stop):
        training(sample_faces, out)
    monkeypatch.undo()
    training(sample_faces, out)
    assert_ended_alike(out, uninterrupted)


@pytest.mark.slow
def test_a_damaged_crop_stops_it_and_once_mended_it_goes_on(sample_faces, uninterrupted, tmp_path):
    faces, out = tmp_path / "faces", tmp_path / "run"
    shutil.copytree(sample_faces, faces)
    settings = train.TrainSettings(**(vars(SETTINGS) | {"epochs": 1}))
    training(faces, out, settings=settings)
    name = json.loads((out / "split.json").read_text())["train"][0]
    whole = {crop: crop.read_bytes() for crop in (faces / name).glob("*.jpeg")}
    for crop, content in whole.items():
        crop.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=rf"{name}/000.jpeg, .* run the same processing.py command"):
        training(faces, out)
    for crop, content in whole.items():
        crop.write_bytes(content)
    assert len(training(faces, out)) == 3


def test_early_stopping_remembers_the_epochs_before_the_stop(sample_faces, tmp_path):
    """Its counter started again: a run that was stopped each night would never end."""
    history = [{"epoch": n + 1, "val_loss": value} for n, value in enumerate([0.5, 0.6, 0.7])]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    def stops(since, extended_after=0):
        stop = PatientStop(patience=2, history=history[:since], extended_after=extended_after)
        stop.set_model(model)
        model.stop_training = False
        stop.on_train_begin()
        for metrics in history[since:]:
            stop.on_epoch_end(metrics["epoch"] - 1, metrics)
        return model.stop_training

    assert all(stops(since) for since in range(4))
    assert not stops(since=3, extended_after=3)


@pytest.fixture
def trainer():
    """The trainer of a network of one layer."""
    number = keras.Input((1,))
    network = keras.Model(number, keras.layers.Dense(1, name="dense")(number))
    return Trainer(network, keras.optimizers.SGD(), tf.distribute.get_strategy())


def test_the_best_epoch_before_the_stop_is_not_overwritten_by_a_worse_one(trainer, tmp_path):
    path = tmp_path / "model.keras"
    trainer.progress.history = [{"epoch": 1, "val_loss": 0.4}]
    best = SaveModel(trainer, tmp_path)
    best.on_epoch_end(1, {"val_loss": 0.5})
    assert not path.exists()
    best.on_epoch_end(2, {"val_loss": 0.3})
    assert path.exists()


def test_the_clips_begin_with_the_last_epoch_of_the_single_frames(trainer, tmp_path):
    """The best one had hardly learned: with few people to validate on, chance chose it."""
    path = tmp_path / "model.keras"
    last = SaveModel(trainer, tmp_path, keep_last=True)
    for val_loss in (0.3, 0.5):
        trainer.network.get_layer("dense").bias.assign([val_loss])
        last.on_epoch_end(0, {"val_loss": val_loss})
    assert keras.models.load_model(path).get_layer("dense").bias.numpy() == pytest.approx([0.5])


TRAIN_SMALL_LITE0 = """
import sys
sys.path[:0] = [".", "tests"]
import train
from conftest import make_lite0_small
make_lite0_small()
sys.exit(train.main())
"""


@pytest.mark.slow
def test_killed_it_ends_as_if_it_never_had_been(sample_faces, tmp_path):
    """All runs are processes of their own: here the tests imported TensorFlow before train.py could
    choose oneDNN, which rounds otherwise."""

    def words(out):
        where = ["--data", str(sample_faces), "--out", str(tmp_path / out)]
        default = ["--architecture", "efficientnet-lite0", "--from", "random"]
        more = ["--epochs", "4", "--checkpoint-minutes", "0"]
        return [*where, *TINY, *default, *more]

    small_lite0 = [sys.executable, "-c", TRAIN_SMALL_LITE0]
    subprocess.run([*small_lite0, *words("straight")], cwd=ROOT, check=True, capture_output=True)
    command = [*small_lite0, *words("killed"), "--deterministic"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "killed" / run_folder.STATE_NAME).exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert_ended_alike(tmp_path / "killed", tmp_path / "straight")


# A finished run


def test_a_finished_run_is_left_as_it_is(sample_faces, uninterrupted, capsys):
    before = (uninterrupted / "model.keras").stat().st_mtime_ns
    assert len(training(sample_faces, uninterrupted)) == 3
    assert "holds this run already" in capsys.readouterr().out
    assert (uninterrupted / "model.keras").stat().st_mtime_ns == before


@pytest.mark.slow
def test_more_epochs_go_on_from_a_finished_run(sample_faces, uninterrupted, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    before = ended(out)[0]
    more = train.TrainSettings(**(vars(SETTINGS) | {"epochs": 5}))
    history = training(sample_faces, out, settings=more)
    assert [metrics["epoch"] for metrics in history] == [1, 2, 3, 4, 5]
    assert ended(out)[0][:3] == before
    assert json.loads((out / "settings.json").read_text())["training"]["epochs"] == 5
    with pytest.raises(UserError, match=r"--epochs 5 \(asked for: 3\)"):
        training(sample_faces, out)


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on_under_its_old_names(
    sample_faces, uninterrupted, tmp_path
):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    settings = json.loads((out / "settings.json").read_text())
    settings["training"]["architecture"] = "seed"
    del settings["trained_on"]
    (out / "settings.json").write_text(json.dumps(settings))
    with np.load(out / run_folder.STATE_NAME) as state:
        arrays = dict(state)
    about = json.loads(str(arrays["about"]))
    about["anew"] = about.pop("extended_after")
    arrays["about"] = np.array(json.dumps(about))
    np.savez(out / run_folder.STATE_NAME, **arrays)
    more = replace(SETTINGS, architecture="seed", epochs=4)
    assert len(training(sample_faces, out, settings=more)) == 4
    saved = json.loads((out / "settings.json").read_text())
    assert saved["training"]["architecture"] == "baseline"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seed": 1}, r"--seed 0 \(asked for: 1\)"),
        (
            {"architecture": "efficientnet-lite0"},
            r"--architecture baseline \(asked for: efficientnet-lite0\)",
        ),
        ({"epochs": 2}, r"--epochs 3 \(asked for: 2\)"),
    ],
)
def test_another_run_is_not_overwritten_by_accident(sample_faces, uninterrupted, changed, sentence):
    settings = train.TrainSettings(**(vars(SETTINGS) | changed))
    with pytest.raises(UserError, match=sentence):
        training(sample_faces, uninterrupted, settings=settings)


def test_a_run_of_a_network_that_was_dropped_is_one_sentence(
    sample_faces, uninterrupted, tmp_path, capsys
):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    settings = json.loads((out / "settings.json").read_text())
    settings["training"]["architecture"] = "detail"
    (out / "settings.json").write_text(json.dumps(settings))
    before = tree(out)
    assert train.main(["--data", str(sample_faces), "--out", str(out), *TINY]) == 2
    assert capsys.readouterr().err == (
        f"error: {out} holds a run of detail: detail was dropped and cannot be trained any more, "
        "though models of it still open and score; train efficientnet-lite0, the default, in a "
        "new run folder\n"
    )
    assert tree(out) == before


@pytest.mark.slow
def test_overwrite_trains_the_finished_run_again_and_gives_the_same(
    sample_faces, uninterrupted, tmp_path
):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    assert len(training(sample_faces, out, overwrite=True)) == 3
    assert_ended_alike(out, uninterrupted)


def test_a_state_that_is_damaged_is_one_sentence(sample_faces, uninterrupted, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    path = out / run_folder.STATE_NAME
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="state.npz cannot be read: it is damaged; --overwrite"):
        training(sample_faces, out)


# State is looked at


@pytest.fixture
def finished(uninterrupted, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(uninterrupted, out)
    return out


@pytest.mark.parametrize("damage", ["missing", "truncated", "no model"])
def test_a_finished_run_without_its_model_does_not_say_that_it_holds_this_run_already(
    sample_faces, finished, damage, capsys
):
    """The model was destroyed, the same command said so, and exited 0."""
    path = finished / "model.keras"
    before = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(before[:1000] if damage == "truncated" else b"{}")
    training(sample_faces, finished)
    assert "model.keras of" in capsys.readouterr().out
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["settings.json", "split.json", "history.csv"])
def test_a_finished_run_makes_its_small_files_again(sample_faces, finished, name, capsys):
    before = (finished / name).read_text()
    (finished / name).unlink()
    training(sample_faces, finished)
    assert f"{name}" in capsys.readouterr().out
    assert (finished / name).read_text() == before


@pytest.mark.parametrize("value", ["", None, 3])
@pytest.mark.parametrize("name", ["calibration", "training", "faces"])
def test_a_setting_that_is_no_object_is_made_again(sample_faces, finished, name, value, capsys):
    """'NoneType' object has no attribute 'get'"""
    settings = json.loads((finished / "settings.json").read_text())
    (finished / "settings.json").write_text(json.dumps(settings | {name: value}))
    training(sample_faces, finished)
    assert "settings.json" in capsys.readouterr().out
    again = json.loads((finished / "settings.json").read_text())
    assert again["training"] == settings["training"]
    assert again.get("calibration", {}) is not value


def test_a_split_that_is_made_again_costs_no_calibration(sample_faces, finished):
    """That of `evaluate.py --calibrate` on one's own videos was gone with it."""
    path = finished / "settings.json"
    own = json.loads(path.read_text()) | {"calibration": {"slope": 0.5, "offset": 0.1}}
    path.write_text(json.dumps(own))
    (finished / "split.json").unlink()
    training(sample_faces, finished)
    assert (finished / "split.json").exists()
    assert json.loads(path.read_text()) == own


def test_a_history_of_zeros_is_made_again(sample_faces, finished, capsys):
    """It was left as it was."""
    before = (finished / "history.csv").read_text()
    (finished / "history.csv").write_bytes(bytes(2000))
    training(sample_faces, finished)
    assert "history.csv of" in capsys.readouterr().out
    assert (finished / "history.csv").read_text() == before


def test_a_history_that_a_kill_left_a_row_ahead_is_not_called_damaged(finished):
    with np.load(finished / run_folder.STATE_NAME) as state:
        history = json.loads(str(state["about"]))["history"]
    assert run_folder.holds_epochs(finished, history)
    assert run_folder.holds_epochs(finished, history[:-1])
    assert not run_folder.holds_epochs(finished, [*history, {"epoch": 4}])


def test_a_run_without_its_state_is_refused_before_an_hour_of_single_frames(
    sample_faces, finished, capsys
):
    (finished / run_folder.STATE_NAME).unlink()
    with pytest.raises(UserError, match="holds a run without checkpoints/state.npz"):
        training(sample_faces, finished, settings=replace(SETTINGS, frame_epochs=1))
    assert "first on single frames" not in capsys.readouterr().out
    assert not (finished / "frames").exists()


def test_settings_that_are_cut_short_are_no_other_run(sample_faces, finished):
    """It was "a run that differs in training", and named all of it."""
    path = finished / "settings.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(UserError, match=r"--seed 0 \(asked for: 1\)"):
        training(sample_faces, finished, settings=replace(SETTINGS, seed=1))
    training(sample_faces, finished)
    assert json.loads(path.read_text())["training"]["seed"] == 0


def of_an_earlier_version(out, best_epoch):
    """Leave the state without settings, and no copy of the model, as earlier versions did."""
    (out / "checkpoints" / "best.keras").unlink(missing_ok=True)
    with np.load(out / run_folder.STATE_NAME) as state:
        arrays = dict(state)
    about = json.loads(str(arrays["about"]))
    del about["run_settings"], about["splits"]
    for metrics in about["history"]:
        metrics["val_loss"] = 0.1 if metrics["epoch"] == best_epoch else 0.7
    arrays["about"] = np.array(json.dumps(about))
    np.savez(out / run_folder.STATE_NAME, **arrays)
    return [arrays[name] for name in arrays if name.startswith("variable")]


def test_a_model_of_an_earlier_run_is_made_of_its_last_epoch_if_that_was_the_best(
    sample_faces, finished
):
    variables = of_an_earlier_version(finished, best_epoch=3)
    (finished / "model.keras").unlink()
    training(sample_faces, finished)
    for weight in keras.models.load_model(finished / "model.keras").get_weights():
        assert any(np.array_equal(weight, variable) for variable in variables)


def test_a_model_whose_weights_are_lost_is_a_sentence(sample_faces, finished):
    of_an_earlier_version(finished, best_epoch=1)
    (finished / "model.keras").write_bytes(b"")
    with pytest.raises(
        UserError, match="is damaged, .* epoch 3, not those of the best one, 1; put"
    ):
        training(sample_faces, finished)


def test_settings_of_an_earlier_run_that_are_gone_are_a_sentence(sample_faces, finished):
    of_an_earlier_version(finished, best_epoch=3)
    (finished / "settings.json").unlink()
    with pytest.raises(UserError, match="settings.json is missing or damaged, and without it"):
        training(sample_faces, finished)


def test_a_run_folder_without_its_model_is_not_told_to_train_one_first(finished):
    (finished / "model.keras").unlink()
    for path in (finished, finished / "model.keras"):
        with pytest.raises(UserError, match="is the run folder of a training .* the same train.py"):
            find_model(path)


# Nothing is overwritten


def test_a_training_does_not_write_into_the_faces_or_over_the_files_of_others(
    sample_faces, finished, tmp_path
):
    def train_into(out, **settings):
        train.train(sample_faces, out, replace(SETTINGS, **settings))

    with pytest.raises(UserError, match="--out .* is what this command reads"):
        train_into(sample_faces)
    with pytest.raises(UserError, match="model.keras is what this command reads"):
        train_into(finished, initial=str(finished))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.keras").write_text("of another program")
    with pytest.raises(
        UserError, match="model.keras is there, and does not look like a file of this"
    ):
        train_into(tmp_path / "mine")
    assert (tmp_path / "mine" / "model.keras").read_text() == "of another program"
    with pytest.raises(UserError, match="cannot write to --out .*model.keras is a file"):
        train_into(tmp_path / "mine" / "model.keras" / "run")


def test_two_runs_do_not_share_a_folder(sample_faces, tmp_path):
    with (
        run_folder.only_run(tmp_path / "run"),
        pytest.raises(UserError, match="is being trained by another process"),
    ):
        training(sample_faces, tmp_path / "run")


# Starting from another model


@pytest.mark.slow
def test_an_initial_model_gives_the_first_weights(sample_faces, uninterrupted, tmp_path):
    model_path = uninterrupted / "model.keras"
    still = replace(SETTINGS, epochs=1, learning_rate=1e-12, initial=model_path)
    training(sample_faces, tmp_path / "run", settings=still)
    first = keras.models.load_model(model_path).get_weights()
    after = keras.models.load_model(tmp_path / "run" / "model.keras").get_weights()
    assert_weights_close(after, first, within=1e-6)


def test_an_initial_model_that_does_not_fit_is_one_sentence(
    sample_faces, uninterrupted, small_lite0, tmp_path
):
    def begin_with(path, **changes):
        training(
            sample_faces, tmp_path / "run", settings=replace(SETTINGS, initial=path, **changes)
        )

    with pytest.raises(UserError, match="the model of --from has .* weights in .* tensors"):
        shutil.copy(uninterrupted / "model.keras", tmp_path / "alone.keras")
        begin_with(tmp_path / "alone.keras", architecture="efficientnet-lite0")
    sentence = "a model of baseline, this training is one of .*; give --architecture baseline, or"
    with pytest.raises(UserError, match=sentence):
        begin_with(uninterrupted, architecture="efficientnet-lite0")
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(UserError, match="cannot be opened as a Keras model"):
        begin_with(tmp_path / "text.keras")


def test_logs_for_tensorboard_need_its_package_or_one_sentence(sample_faces, tmp_path):
    settings = train.TrainSettings(**(vars(SETTINGS) | {"epochs": 1}))
    out = tmp_path / "run"
    if importlib.util.find_spec("tensorboard"):
        training(sample_faces, out, settings=settings, tensorboard=True)
        assert list((out / "tensorboard" / "validation").glob("events.out.tfevents.*"))
    else:
        with pytest.raises(UserError, match="pip install tensorboard"):
            training(sample_faces, out, settings=settings, tensorboard=True)


# What is said is true


@pytest.mark.parametrize("name", ["settings.json", "split.json"])
def test_a_file_that_is_there_was_called_missing_with_the_other(
    sample_faces, finished, name, capsys
):
    other = {"settings.json": "split.json", "split.json": "settings.json"}[name]
    before = (finished / other).read_bytes()
    (finished / name).unlink()
    training(sample_faces, finished)
    printed = capsys.readouterr().out
    assert f"{name} of {finished}: missing or damaged, made again" in printed
    assert f"{other} of" not in printed and f"{other}," not in printed
    assert (finished / other).read_bytes() == before


def test_a_damaged_checkpoint_was_advised_to_be_loaded_unsafely(sample_faces, finished):
    """ "If you trust the file you can load it unsafely using the `allow_pickle=` keyword"."""
    (finished / run_folder.STATE_NAME).write_text("x")
    with pytest.raises(UserError, match="state.npz cannot be read: it is damaged; --overwrite"):
        training(sample_faces, finished)


def test_differences_of_the_training_on_single_frames_have_the_names_of_their_options():
    """ "epochs=40 (asked for: 60), patience=40 (asked for: 60)" for another --frame-epochs."""
    old, new = (
        run_settings(replace(SETTINGS, epochs=epochs, patience=epochs, num_frames=1), {}, [])
        for epochs in (60, 40)
    )
    found = run_folder._run_differences(old, new, of_frames=True)
    assert found == ["--frame-epochs 60 (asked for: 40)"]
