"""The training loop: Keras callbacks, metrics over all clips, the same on one device and on two."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_weights_close, variables_of
from sklearn.metrics import log_loss, roc_auc_score

from deepfake_detector.console import UserError
from deepfake_detector.training.callbacks import EpochLine
from deepfake_detector.training.loop import Trainer, classification_metrics, make_optimizer

ROOT = Path(__file__).parents[2]
BATCH, STEPS = 4, 3


@pytest.fixture
def points():
    """Twelve points of two numbers; the label says whether the first is the larger one."""
    x = np.random.default_rng(0).normal(size=(BATCH * STEPS, 2)).astype(np.float32)
    return x, (x[:, :1] > x[:, 1:]).astype(np.float32)


def make_trainer(averages=False):
    keras.utils.set_random_seed(0)
    point = keras.Input((2,))
    network = keras.Model(point, keras.layers.Dense(1, activation="sigmoid")(point))
    optimizer = keras.optimizers.Adam(0.1, use_ema=averages, ema_momentum=0.5)
    return Trainer(network, optimizer, tf.distribute.get_strategy())


def datasets(points):
    x, labels = points
    training = tf.data.Dataset.from_tensor_slices((x, labels)).repeat().batch(BATCH)
    weights = np.ones_like(labels)
    return training, tf.data.Dataset.from_tensor_slices((x, labels, weights)).batch(BATCH)


def test_history_has_the_metrics_of_every_epoch(points):
    history = make_trainer().fit(*datasets(points), epochs=2, steps_per_epoch=STEPS)
    assert [metrics["epoch"] for metrics in history] == [1, 2]
    expected = {"loss", "accuracy", "auc", "val_loss", "val_accuracy", "val_auc"}
    expected |= {"learning_rate", "seconds", "clips_per_sec"}
    assert history[0].keys() - {"epoch"} == expected
    assert history[1]["val_loss"] < history[0]["val_loss"]
    assert history[0]["learning_rate"] == pytest.approx(0.1)


def test_validation_metrics_are_those_of_scikit_learn(points):
    trainer = make_trainer()
    (metrics,) = trainer.fit(*datasets(points), epochs=1, steps_per_epoch=STEPS)
    x, labels = points
    scores = trainer.model.predict(x, verbose=0)[:, 0].astype(np.float64)
    assert metrics["val_loss"] == pytest.approx(log_loss(labels[:, 0], scores), abs=1e-6)
    assert metrics["val_auc"] == pytest.approx(roc_auc_score(labels[:, 0], scores))


def test_a_clip_of_weight_0_counts_in_no_metric():
    labels, scores = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.1])
    metrics = classification_metrics(labels, scores, np.array([1.0, 1.0, 0.0]))
    assert metrics["accuracy"] == 1
    assert metrics["auc"] == 1
    assert metrics["loss"] == pytest.approx(log_loss([0, 1], [0.2, 0.9]))
    assert np.isnan(classification_metrics(labels[1:], scores[1:])["auc"])


@pytest.mark.slow
def test_callbacks_are_called_in_the_order_of_keras_fit(points):
    """Written for fit, a callback must not notice that there is another loop."""

    class Calls(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.names = []

        def __getattribute__(self, name):
            if name.startswith("on_") and not name.endswith("_batch_begin"):
                self.names.append(name)
            return super().__getattribute__(name)

    of_fit, of_loop = Calls(), Calls()
    training, validation = datasets(points)
    model = make_trainer().model
    model.compile("adam", "binary_crossentropy")
    model.fit(
        training, epochs=2, steps_per_epoch=STEPS, validation_data=validation, verbose=0,
        callbacks=[of_fit],
    )  # fmt: skip
    make_trainer().fit(training, validation, 2, STEPS, callbacks=[of_loop])

    def order(calls):
        kept = ("on_train_begin", "on_epoch_begin", "on_test_begin", "on_epoch_end", "on_train_end")
        return [name for name in calls.names if name in (*kept, "on_train_batch_end")]

    assert order(of_loop) == order(of_fit)


def test_keras_callbacks_stop_log_and_change_the_learning_rate(points, tmp_path):
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=100),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 ** (epoch + 1)),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
    ]
    trainer = make_trainer()
    history = trainer.fit(*datasets(points), 9, STEPS, callbacks=callbacks)
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == [row["val_loss"] for row in history]
    assert [metrics["learning_rate"] for metrics in history] == [0.5, 0.25, 0.125]
    assert len(list(tmp_path.glob("*.keras"))) == 3


def test_averages_of_the_weights_are_validated_and_saved_and_training_goes_on_without_them(
    points, tmp_path
):
    trainer = make_trainer(averages=True)
    (metrics,) = trainer.fit(*datasets(points), epochs=1, steps_per_epoch=STEPS)
    kernel = trainer.network.get_weights()[0]
    trainer.save(tmp_path / "model.keras")
    assert np.array_equal(trainer.network.get_weights()[0], kernel)
    saved = keras.models.load_model(tmp_path / "model.keras")
    assert not np.allclose(saved.get_weights()[0], kernel)
    scores = saved(points[0]).numpy()[:, 0].astype(np.float64)
    assert metrics["val_loss"] == pytest.approx(log_loss(points[1][:, 0], scores), abs=1e-6)


@pytest.mark.parametrize(("steps", "momentum"), [(2, 0.0), (80, 0.95), (100_000, 0.998)])
def test_the_average_reaches_back_over_a_quarter_of_a_training_and_500_steps_at_most(
    steps, momentum
):
    """With 0.998 alone, that of a short one would be little but the first weights."""
    assert make_optimizer(1e-3, 1, steps, averages=True).ema_momentum == pytest.approx(momentum)


def test_the_loss_shown_during_an_epoch_is_the_mean_so_far(points):
    shown = []
    seen = keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: shown.append(logs))
    (metrics,) = make_trainer().fit(*datasets(points), 1, STEPS, callbacks=[seen])
    assert len(shown) == STEPS
    assert shown[-1]["loss"] == pytest.approx(metrics["loss"])


@pytest.mark.parametrize("place", ["step 1 of", "the validation of"])
def test_a_loss_that_is_not_a_number_stops_with_one_sentence(points, place):
    (training, validation), (x, labels) = datasets(points), points
    broken_training, broken_validation = datasets((x * np.nan, labels))
    given = (broken_training, validation) if "step" in place else (training, broken_validation)
    with pytest.raises(UserError, match=f"number any more in {place} epoch 1; give a lower --lea"):
        make_trainer().fit(*given, 1, STEPS)


ONE_AND_TWO_DEVICES = """
import json, sys
sys.path.append("tests")
from pathlib import Path
import tensorflow as tf
from conftest import make_lite0_small
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import model, train
from deepfake_detector.networks import efficientnet_lite
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.scoring import model_file
from deepfake_detector.scoring.clip_scorer import ClipScorer

make_lite0_small()
model.DROPOUT = efficientnet_lite.DROPOUT = 0.0  # each device drops other values
data, out, precision, architecture, frame_epochs = sys.argv[1:]
tracks = list_faces(data)[:5]  # the second device gets clips that only fill up the batch
# A second strategy over the same two devices would mix up its sums with those of the first.
strategies = {n: tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(n)]) for n in (1, 2)}


def trained(devices):
    settings = train.TrainSettings(
        epochs=1, frame_epochs=int(frame_epochs), min_steps=2, self_blend=0.5, batch_size=4,
        num_frames=3, img_size=32, precision=precision, architecture=architecture, initial="random",
    )
    strategy, folder = strategies[devices], Path(out, str(devices))
    history = train.train(data, folder, settings, strategy=strategy)
    with strategy.scope():
        network = model_file.open_model(folder / "model.keras")
    scores = ClipScorer(network, strategy=strategy, batch_size=3).score_tracks(tracks)
    return [strategy.num_replicas_in_sync, history, scores.tolist()]


print(json.dumps([trained(devices) for devices in (1, 2)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "rounding"),
    [
        (("float32", "efficientnet-lite0", "1"), 1e-4),
        pytest.param(("mixed_bfloat16", "baseline", "0"), 2e-2, marks=pytest.mark.thorough),
    ],
)
def test_two_devices_train_the_weights_of_one_and_score_every_video_once(
    sample_faces, tmp_path, case, rounding
):
    command = [sys.executable, "-c", ONE_AND_TWO_DEVICES, str(sample_faces), str(tmp_path), *case]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.splitlines()[-1])
    (one, (history_one,), scores_one), (two, (history_two,), scores_two) = results
    assert (one, two) == (1, 2)
    weights = (variables_of(tmp_path / devices) for devices in ("1", "2"))
    assert_weights_close(*weights, within=rounding)
    for name in ("loss", "val_loss"):
        assert history_two[name] == pytest.approx(history_one[name], abs=rounding)
    assert len(scores_two) == 5
    assert scores_two == pytest.approx(scores_one, abs=rounding)


def test_a_log_file_has_a_line_of_four_numbers_for_every_epoch(points, capsys):
    """It had eleven numbers a line, and no line fitted into a window."""
    make_trainer().fit(*datasets(points), 2, STEPS, callbacks=[EpochLine(epochs=2)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    words = r": loss 0\.\d{3}, validation loss 0\.\d{3}, validation AUC [01]\.\d{3}, \d+ s$"
    assert all(re.search(words, line) for line in lines)
