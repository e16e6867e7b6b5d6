"""Training: what a run leaves behind, what it refuses, and that two devices equal one."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY

import data_pipeline
import splits
import train
from console import UserError

ROOT = Path(__file__).parents[1]


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_a_run_leaves_model_settings_history_and_the_seeds_three_charts(run, sample_faces):
    settings = json.loads((run / "settings.json").read_text())
    assert settings["faces"] == json.loads((sample_faces / "settings.json").read_text())
    assert settings["num_frames"] == 3
    assert settings["img_size"] == [32, 32]
    assert settings["label"] == {"0": "REAL", "1": "FAKE"}
    assert settings["threshold"] == 0.5
    with (run / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_auc", "seconds"} <= set(history[0])
    for name in ("acc_per_epoch", "loss_per_epoch", "time_per_epoch"):
        width, height = png_size(run / "charts" / f"{name}.png")
        assert width > 400
        assert height > 300


def test_the_saved_model_is_the_epoch_with_the_best_validation(run, sample_faces):
    with (run / "history.csv").open(newline="") as file:
        best = min(float(row["val_loss"]) for row in csv.DictReader(file))
    names = json.loads((run / "split.json").read_text())["validation"]
    videos = [v for v in splits.list_faces(sample_faces) if v.name in names]
    dataset = data_pipeline.build_dataset(
        videos=videos, img_size=(32, 32), num_frames=3, batch_size=4, equal_classes=True
    )
    model = tf.keras.models.load_model(run / "model.keras")
    model.compile(loss="binary_crossentropy")
    assert model.evaluate(dataset, verbose=0) == pytest.approx(best, abs=1e-4)


def test_split_json_names_every_video_once_and_keeps_the_marked_test_people_out(run, sample_faces):
    names = json.loads((run / "split.json").read_text())
    every = [name for part in names.values() for name in part]
    assert sorted(every) == [video.name for video in splits.list_faces(sample_faces)]
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    assert all(metadata[name]["split"] == "test" for name in names["test"])
    assert names["validation"]


def test_videos_left_out_of_the_split_are_counted_and_named(tmp_path, capsys):
    def face(name, people, video):
        return splits.FaceVideo(name, name, 1, 9, 3, video, video, people=people)

    kept = [face("a.mp4", ("Ann",), "a.mp4")]
    left_out = [face(name, ("Ann", "Bob"), "b.mp4") for name in ("b.mp4", "b.mp4#1")]
    parts = {"train": kept, "validation": [], "test": [], "left_out": left_out}
    train.print_parts(parts)
    printed = capsys.readouterr().out
    assert "0 real, 1 fake, 1 originals, 1 people" in printed
    assert "1 videos join people of two parts and are left out" in printed
    train.begin_run(tmp_path, {}, parts)
    names = json.loads((tmp_path / "split.json").read_text())
    assert names["train"] == ["a.mp4"]
    assert names["left_out"] == ["b.mp4", "b.mp4#1"]


def test_a_finished_run_of_before_anything_was_left_out_is_still_known(
    run, sample_faces, tmp_path, capsys
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    names = json.loads((copy / "split.json").read_text())
    names.pop("left_out")
    (copy / "split.json").write_text(json.dumps(names))
    assert train.main(["--data", str(sample_faces), "--out", str(copy), *TINY]) == 0
    assert "holds this very run already" in capsys.readouterr().out


def test_a_run_that_ignores_the_marks_is_another_one(run, sample_faces, capsys):
    arguments = ["--data", str(sample_faces), "--out", str(run), *TINY, "--ignore-marks"]
    assert train.main(arguments) == 2
    assert "differs in the videos" in capsys.readouterr().err


def test_the_same_run_again_is_quick_and_changes_nothing(run, sample_faces, capsys):
    before = (run / "model.keras").stat().st_mtime_ns
    assert train.main(["--data", str(sample_faces), "--out", str(run), *TINY]) == 0
    assert "holds this very run already" in capsys.readouterr().out
    assert (run / "model.keras").stat().st_mtime_ns == before


def test_another_run_does_not_overwrite_a_finished_one(run, sample_faces, capsys):
    arguments = ["--data", str(sample_faces), "--out", str(run), *TINY, "--seed", "1"]
    assert train.main(arguments) == 2
    assert "holds a finished run that differs in training" in capsys.readouterr().err


def test_the_default_network_learns_to_tell_blurred_clips_from_sharp_ones():
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (16, 4, 32, 32, 3)).astype(np.uint8)
    clips = np.concatenate([sharp[:8], [[cv2.blur(f, (3, 3)) for f in c] for c in sharp[8:]]])
    labels = np.repeat([[0.0], [1.0]], 8, axis=0)
    order = rng.permutation(16)
    tf.keras.utils.set_random_seed(0)
    model = train.networks.fold_time(train.networks.build_model(4, (32, 32)))
    train.compile_model(model, train.TrainSettings(epochs=25), steps_per_epoch=2)
    history = model.fit(clips[order], labels[order], batch_size=8, epochs=25, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--batch-size", "64"], "balanced clips, less than a batch of 64"),
        (["--epochs", "0"], "epochs is 0; it must be above 0"),
        (["--validation-share", "0"], "validation_share is 0.0"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_exit_code_2(
    sample_faces, tmp_path, capsys, flags, sentence
):
    arguments = ["--data", str(sample_faces), "--out", str(tmp_path / "run"), *TINY, *flags]
    assert train.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert not (tmp_path / "run").exists()


def test_one_class_only_is_one_sentence(sample_faces, tmp_path, capsys):
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "settings.json").write_text((sample_faces / "settings.json").read_text())
    real = {name: entry for name, entry in metadata.items() if entry["label"] == "REAL"}
    for name in real:
        (faces / name).symlink_to(sample_faces / name)
    (faces / "metadata.json").write_text(json.dumps(real))
    assert train.main(["--data", str(faces), "--out", str(tmp_path / "run"), *TINY]) == 2
    assert "real and 0 fake; add the missing class" in capsys.readouterr().err


def test_a_folder_that_is_no_faces_folder_is_one_sentence(tmp_path, capsys):
    assert train.main(["--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "holds no metadata.json" in capsys.readouterr().err


def test_a_batch_that_does_not_fit_the_devices_is_one_sentence():
    """Keras dies in AddN on it, in the middle of the first step."""
    with pytest.raises(UserError, match="6 clips cannot be shared out evenly to 4 devices"):
        train.check_batch(6, 4)


TWO_DEVICES = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import data_pipeline, faces_folder, splits, train
from pathlib import Path

data, out, devices = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
settings = train.TrainSettings(
    epochs=2, batch_size=4, num_frames=3, img_size=32, validation_share=0.3, architecture="small"
)
parts = splits.split(splits.list_faces(data), 0.3, 0, 0)
parts["validation"] = parts["validation"][:5]  # odd: the last batch is padded on both devices
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])
stored = train.run_settings(settings, faces_folder.read_settings(data))
history = train.train(parts, out, stored, settings, strategy)
model = tf.keras.models.load_model(out / "model.keras")
weights = [float(tf.reduce_sum(tf.abs(w))) for w in model.trainable_variables]
print(json.dumps([strategy.num_replicas_in_sync, history, weights]))
"""


@pytest.mark.slow
def test_two_replicas_train_the_same_weights_as_one(sample_faces, tmp_path, monkeypatch):
    # Dropout draws per device, so the comparison needs a network without it.
    script = TWO_DEVICES.replace(
        "import data_pipeline,",
        "tf.keras.layers.Dropout.call = lambda self, inputs, training=False: inputs\n"
        "import data_pipeline,",
    )
    results = []
    for devices in (1, 2):
        command = [sys.executable, "-c", script, str(sample_faces), str(tmp_path / str(devices))]
        done = subprocess.run([*command, str(devices)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        results.append(json.loads(done.stdout.splitlines()[-1]))
    (one, history_one, weights_one), (two, history_two, weights_two) = results
    assert (one, two) == (1, 2)
    assert weights_two == pytest.approx(weights_one, rel=2e-3)
    for epoch_one, epoch_two in zip(history_one, history_two, strict=True):
        for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
            assert epoch_two[name] == pytest.approx(epoch_one[name], rel=5e-3, abs=5e-3)
