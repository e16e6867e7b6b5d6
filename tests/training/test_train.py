"""Training: what a run leaves behind, and what it refuses."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, assert_weights_close, read_rgb
from deepfake_detector.training.arguments import read_arguments

import data_pipeline
import deepfake_detector
import model as networks
import train
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.networks import folding
from deepfake_detector.scoring.trained_model import model_origin
from deepfake_detector.training import run_folder
from deepfake_detector.training.loop import make_optimizer
from deepfake_detector.training.report import (
    curves_chart,
    history_of_frames,
    print_splits,
    summary,
    write_charts,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("num_epochs", [1, 2, 40])
def test_a_chart_counts_whole_epochs(num_epochs):
    """That of a single epoch, as the demo has it, had ticks at 0.945 and 1.035."""
    (axes,) = curves_chart("log loss", {"training": [0.5] * num_epochs}).axes
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_a_chart_shows_the_epochs_of_single_frames_before_those_of_clips():
    """Most is learned there, and the charts had the epochs of clips alone."""
    (axes,) = curves_chart("log loss", {"training": [0.7, 0.5, 0.4]}, num_frame_epochs=2).axes
    of_clips, of_frames, parting = axes.lines
    assert list(of_frames.get_xdata()) == [1, 2]
    assert list(of_clips.get_xdata()) == [3]
    assert of_frames.get_color() == of_clips.get_color()
    assert set(parting.get_xdata()) == {2.5}


def test_the_seconds_of_a_training_are_those_of_both_stages(run_with_frames):
    """They were those of the clips: 15 of 94."""
    with (run_with_frames / "history.csv").open(newline="") as file:
        history = [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
        ]
    told = summary(run_with_frames, history)
    assert told["frame_epochs"] >= 1
    assert told["seconds"] > history[0]["seconds"]
    settings = json.loads((run_with_frames / "settings.json").read_text())
    without = settings | {"training": settings["training"] | {"frame_epochs": 0}}
    assert history_of_frames(run_with_frames, without, history) == []


@pytest.mark.parametrize("text", ["", "epoch,loss\n1,\n", "epoch\n1\n", "epoch,loss\n1,2,3\n"])
def test_a_damaged_history_of_frames_leaves_the_charts_to_the_clips(tmp_path, text):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "history.csv").write_text(text)
    settings, of_clips = {"training": {"frame_epochs": 1}}, [{"epoch": 1, "loss": 0.5}]
    assert history_of_frames(tmp_path, settings, of_clips) == []


def test_a_run_leaves_model_settings_history_and_three_charts(run, sample_faces):
    settings = json.loads((run / "settings.json").read_text())
    of_faces = json.loads((sample_faces / "settings.json").read_text())
    assert of_faces == settings["faces"] | {"version": deepfake_detector.__version__}
    assert settings["num_frames"] == 3
    assert settings["img_size"] == [32, 32]
    assert settings["label"] == {"0": "REAL", "1": "FAKE"}
    assert settings["operating_points"].keys() == {
        "equal-error",
        "fpr-5",
        "fpr-1",
        "half",
    }
    with (run / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_auc", "seconds"} <= set(history[0])
    names = {"acc_per_epoch.png", "loss_per_epoch.png", "time_per_epoch.png"}
    assert {path.name for path in (run / "charts").iterdir()} == names


def test_charts_are_pictures_that_can_be_read(tmp_path, charts_are_drawn):
    metrics = dict.fromkeys(["loss", "accuracy", "val_loss", "val_accuracy", "seconds"], 0.5)
    for path in write_charts(tmp_path, [{"epoch": 1} | metrics]):
        assert min(read_rgb(path).shape[:2]) > 300


@pytest.mark.slow
def test_the_saved_model_is_the_epoch_with_the_best_validation(run, sample_faces):
    with (run / "history.csv").open(newline="") as file:
        best = min(float(row["val_loss"]) for row in csv.DictReader(file))
    names = json.loads((run / "split.json").read_text())["validation"]
    videos = [v for v in list_faces(sample_faces) if v.name in names]
    dataset = data_pipeline.build_dataset(
        videos=videos, img_size=(32, 32), num_frames=3, batch_size=4, equal_classes=True
    )
    model = tf.keras.models.load_model(run / "model.keras")
    model.compile(loss="binary_crossentropy")
    assert model.evaluate(dataset, verbose=0) == pytest.approx(best, abs=1e-4)


def test_split_json_names_every_video_once_and_keeps_test_people_out(run, sample_faces):
    names = json.loads((run / "split.json").read_text())
    every = [name for split in names.values() for name in split]
    assert sorted(every) == [video.name for video in list_faces(sample_faces)]
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    assert all(metadata[name]["split"] == "test" for name in names["test"])
    assert names["validation"]


def test_videos_left_out_of_the_split_are_counted_and_named(tmp_path, capsys):
    def face(name, people, video):
        return FaceTrack(name, name, 1, 9, 3, video, video, people=people)

    kept = [face("a.mp4", ("Ann",), "a.mp4")]
    left_out = [face(name, ("Ann", "Bob"), "b.mp4") for name in ("b.mp4", "b.mp4#1")]
    splits = {"train": kept, "validation": [], "test": [], "left_out": left_out}
    print_splits(splits)
    printed = capsys.readouterr().out
    assert "0 real, 1 fake, 1 original, 1 person" in printed
    assert "1 video left out: people of two splits" in printed
    run_folder.begin(tmp_path, {}, splits, new=True)
    names = json.loads((tmp_path / "split.json").read_text())
    assert names["train"] == ["a.mp4"]
    assert names["left_out"] == ["b.mp4", "b.mp4#1"]


def test_a_run_that_ignores_the_official_split_is_another_one(run, sample_faces, capsys):
    arguments = ["--data", str(sample_faces), "--out", str(run), *TINY, "--ignore-official-split"]
    assert train.main(arguments) == 2
    assert "holds another run, with other videos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "name", "value"),
    [
        (["--ignore-marks"], "ignore_official_split", True),
        (["--architecture", "seed"], "architecture", "baseline"),
        (["--backbone", "xception"], "architecture", "xception"),
        (["--initial-model", "run/model.keras"], "initial", "run/model.keras"),
        (["--backbone", "xception", "--backbone-weights", "none"], "initial", "random"),
        (["--backbone", "xception", "--backbone-weights", "a.h5"], "initial", "a.h5"),
    ],
)
def test_flags_of_earlier_versions_still_work(old, name, value):
    args = read_arguments("train.py", ["--data", "faces", "--out", "run", *old])
    assert (vars(args.settings) | vars(args.options))[name] == value


def test_cache_was_dropped_and_does_nothing(capsys):
    words = ["--data", "faces", "--out", "run"]
    without = read_arguments("train.py", words)
    assert read_arguments("train.py", [*words, "--cache", "crops"]) == without
    assert "note: --cache does nothing any more" in capsys.readouterr().out


def test_an_architecture_that_there_never_was_names_those_there_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        train.main(["--data", "faces", "--out", "run", "--architecture", "vgg"])
    assert "invalid choice: 'vgg'" in capsys.readouterr().err
    with pytest.raises(UserError, match="'vgg' is none of efficientnet-lite0, baseline, "):
        train.TrainSettings(architecture="vgg")


@pytest.mark.slow
def test_help_and_wrong_arguments_need_no_tensorflow(tmp_path):
    """They took as long as the start of TensorFlow: half a minute on a busy machine."""
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('imported')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    for words, code in ((["--help"], 0), (["--data"], 2)):
        command = [sys.executable, "train.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == code
        assert "usage: train.py" in done.stdout + done.stderr
        assert "imported" not in done.stderr


@pytest.mark.slow
def test_the_same_run_again_is_quick_and_changes_nothing(run, sample_faces, capsys):
    before = (run / "model.keras").stat().st_mtime_ns
    assert train.main(["--data", str(sample_faces), "--out", str(run), *TINY]) == 0
    assert "holds this run already" in capsys.readouterr().out
    assert (run / "model.keras").stat().st_mtime_ns == before


def test_a_model_without_its_split_json_still_knows_that_it_saw_drawings(run, sample_faces):
    """It was known by the names in split.json alone, which nobody copies with a model."""
    settings = json.loads((run / "settings.json").read_text())
    found = settings["trained_on"]
    assert found["synthetic"] == found["real"] + found["fake"] > 0
    origin = model_origin(Path("elsewhere") / "model.keras", settings)
    assert origin.is_synthetic
    assert origin.trained_on.endswith("of synthetic people")


def test_another_run_does_not_overwrite_a_finished_one(run, sample_faces, capsys):
    arguments = ["--data", str(sample_faces), "--out", str(run), *TINY, "--seed", "1"]
    assert train.main(arguments) == 2
    assert "holds another run, with --seed 0 (asked for: 1)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_learns_to_tell_faces_smoother_than_what_is_around_them():
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (16, 4, 64, 64, 3)).astype(np.uint8)
    for frame in clips[8:].reshape(-1, 64, 64, 3):
        frame[16:48, 16:48] = cv2.blur(frame, (3, 3))[16:48, 16:48]
    labels = np.repeat([[0.0], [1.0]], 8, axis=0)
    order = rng.permutation(16)
    tf.keras.utils.set_random_seed(0)
    model = folding.fold_time(networks.build_model(4, (64, 64), "baseline"))
    optimizer = make_optimizer(1e-3, epochs=25, steps_per_epoch=2)
    model.compile(optimizer, "binary_crossentropy")
    history = model.fit(clips[order], labels[order], batch_size=8, epochs=25, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--batch-size", "64"], "balanced clips, less than a batch of 64"),
        (["--epochs", "0"], "--epochs is 0; it must be above 0"),
        (["--cache", "crops", "--epochs", "0"], "--epochs is 0; it must be above 0"),
        (["--img-size", "31"], "--img-size is 31; it must be at least 32 pixels"),
        (["--frame-epochs", "-1"], "--frame-epochs is -1; it must be 0 or more"),
        (["--self-blend", "1.5"], "--self-blend is 1.5; it must be from 0 to 1"),
        (["--validation-share", "0"], "--validation-share is 0; it must be above 0"),
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


@pytest.fixture
def real_faces(sample_faces, tmp_path) -> Path:
    """A folder of faces without a single fake."""
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "settings.json").write_text((sample_faces / "settings.json").read_text())
    real = {name: entry for name, entry in metadata.items() if entry["label"] == "REAL"}
    for name in real:
        (faces / name).symlink_to(sample_faces / name)
    (faces / "metadata.json").write_text(json.dumps(real))
    return faces


def test_one_class_only_is_one_sentence(real_faces, tmp_path, capsys):
    assert train.main(["--data", str(real_faces), "--out", str(tmp_path / "run"), *TINY]) == 2
    assert "real and 0 fake; add the missing class" in capsys.readouterr().err


@pytest.mark.slow
def test_real_videos_alone_can_be_trained_on_with_fakes_made_from_them(real_faces, tmp_path):
    out = tmp_path / "run"
    words = ["--data", str(real_faces), "--out", str(out), *TINY, "--self-blend", "1"]
    assert train.main(words) == 0
    with (out / "history.csv").open(newline="") as file:
        assert all(0 <= float(row["val_auc"]) <= 1 for row in csv.DictReader(file))
    saved = json.loads((out / "settings.json").read_text())
    assert saved["training"]["self_blend"] == 1
    assert saved["calibration"]["slope"] == 1  # anything else takes real fakes


@pytest.mark.slow
def test_single_frames_come_first_and_the_clips_begin_with_their_encoder(run_with_frames):
    folders = (run_with_frames / "frames", run_with_frames)
    frames, clips = (tf.keras.models.load_model(folder / "model.keras") for folder in folders)
    assert frames.input_shape[1] == 1
    assert "lstm" not in {layer.name for layer in frames.layers}
    encoders = [model.get_layer("frames").get_weights() for model in (frames, clips)]
    assert_weights_close(*encoders, within=1e-6)


def test_a_folder_that_is_no_faces_folder_is_one_sentence(tmp_path, capsys):
    assert train.main(["--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "holds no metadata.json" in capsys.readouterr().err


def test_a_keras_callback_of_ones_own_sees_the_epochs_of_clips(run_with_frames):
    with (run_with_frames.parent / "log.csv").open(newline="") as file:
        (logged,) = csv.DictReader(file)
    with (run_with_frames / "history.csv").open(newline="") as file:
        (history,) = csv.DictReader(file)
    assert float(logged["val_loss"]) == pytest.approx(float(history["val_loss"]), abs=1e-6)
