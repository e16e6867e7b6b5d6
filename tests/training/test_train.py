"""Training: what a run leaves behind, and what it refuses."""

import csv
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, assert_weights_close, read_rgb, run_without_our_code

import data_pipeline
import deepfake_detector
import model as networks
import train
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack, list_faces
from deepfake_detector.networks import folding
from deepfake_detector.scoring.clip_scorer import ClipScorer
from deepfake_detector.scoring.trained_model import PRETRAINED, model_origin
from deepfake_detector.training.loop import make_optimizer
from deepfake_detector.training.report import curves_chart, print_splits, summary, write_charts
from deepfake_detector.training.run_folder import split_entries


def history_of(run: Path) -> list[dict[str, float]]:
    with (run / "history.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


# What a run leaves behind


def test_a_run_leaves_model_settings_split_history_and_three_charts(run, sample_faces):
    settings = json.loads((run / "settings.json").read_text())
    of_faces = json.loads((sample_faces / "settings.json").read_text())
    assert of_faces == settings["faces"] | {"version": deepfake_detector.__version__}
    assert (settings["num_frames"], settings["img_size"]) == (3, [32, 32])
    assert settings["label"] == {"0": "REAL", "1": "FAKE"}
    assert settings["operating_point"]["fake_from"] > settings["operating_point"]["real_below"]
    history = history_of(run)
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_auc", "seconds"} <= set(history[0])
    names = {"acc_per_epoch.png", "loss_per_epoch.png", "time_per_epoch.png"}
    assert {path.name for path in (run / "charts").iterdir()} == names
    split = json.loads((run / "split.json").read_text())
    every = [name for names in split.values() for name in names]
    assert sorted(every) == [track.name for track in list_faces(sample_faces)]
    metadata = json.loads((sample_faces / "metadata.json").read_text())
    assert all(metadata[name]["split"] == "test" for name in split["test"])


@pytest.mark.slow
def test_the_saved_model_is_the_epoch_with_the_best_validation(run, sample_faces):
    names = json.loads((run / "split.json").read_text())["validation"]
    tracks = [track for track in list_faces(sample_faces) if track.name in names]
    dataset = data_pipeline.build_dataset(
        tracks=tracks, img_size=(32, 32), num_frames=3, batch_size=4
    )
    model = tf.keras.models.load_model(run / "model.keras")
    model.compile(loss="binary_crossentropy")
    best = min(epoch["val_loss"] for epoch in history_of(run))
    assert model.evaluate(dataset, verbose=0) == pytest.approx(best, abs=1e-4)


BARE = """
import json, sys, numpy as np, tensorflow as tf
models = [tf.keras.models.load_model(path) for path in {paths}]
shapes = [(1, *model.input_shape[1:]) for model in models]
scores = [model.predict(np.full(shape, 90.0), verbose=0).item() for model, shape in
          zip(models, shapes)]
ours = [m for m in ("model", "data_pipeline", "train", "deepfake_detector") if m in sys.modules]
print(json.dumps([scores, ours]))
"""


@pytest.mark.slow
def test_models_of_train_py_open_without_any_of_our_code_and_give_the_same_scores(run, tmp_path):
    paths = [str(run / "model.keras"), str(PRETRAINED / "model.keras")]
    scores, ours = run_without_our_code(BARE.format(paths=paths), tmp_path)
    assert ours == []
    for path, score in zip(paths, scores, strict=True):
        scorer = ClipScorer(folding.fold_time(tf.keras.models.load_model(path)))
        clip = np.full((1, scorer.num_frames, *scorer.img_size, 3), 90, np.uint8)
        assert scorer.score_clips(clip) == pytest.approx([score], abs=1e-5)


def test_a_model_without_its_split_json_still_knows_that_it_saw_synthetic_people(run):
    settings = json.loads((run / "settings.json").read_text())
    found = settings["trained_on"]
    assert found["synthetic"] == found["real"] + found["fake"] > 0
    origin = model_origin(Path("elsewhere") / "model.keras", settings)
    assert origin.is_synthetic
    assert origin.trained_on.endswith("of synthetic people")


def test_the_same_run_again_is_quick_and_its_summary_the_last_line(run, sample_faces, capsys):
    before = (run / "model.keras").stat().st_mtime_ns
    words = ["--data", str(sample_faces), "--out", str(run), *TINY, "--json-summary"]
    assert train.main(words) == 0
    assert (run / "model.keras").stat().st_mtime_ns == before
    printed = capsys.readouterr().out
    assert "(guessing: 0.5)" in printed
    assert "scores are not calibrated: 1 real validation video and 1 fake" in printed
    told = json.loads(printed.splitlines()[-1])
    assert (told["model"], told["epochs"]) == (str(run / "model.keras"), 2)
    assert told["calibration"]["slope"] == 1  # too few videos
    saved = json.loads((run / "settings.json").read_text())
    assert told["operating_point"] == saved["operating_point"]
    assert train.main([*words, "--ignore-official-split"]) == 2
    assert "holds another run, with no --ignore-official-split" in capsys.readouterr().err


@pytest.mark.slow
def test_single_frames_come_first_and_the_clips_begin_with_their_encoder(run_with_frames):
    folders = (run_with_frames / "frames", run_with_frames)
    frames, clips = (tf.keras.models.load_model(folder / "model.keras") for folder in folders)
    assert frames.input_shape[1] == 1
    assert "lstm" not in {layer.name for layer in frames.layers}
    encoders = [model.get_layer("frames").get_weights() for model in (frames, clips)]
    assert_weights_close(*encoders, within=1e-6)
    (of_clips,) = history_of(run_with_frames)
    told = summary(run_with_frames, [of_clips])  # of both stages
    assert told["frame_epochs"] == 1
    assert told["seconds"] > of_clips["seconds"]
    with run_with_frames.with_name("log.csv").open(newline="") as file:
        (logged,) = csv.DictReader(file)  # a callback of one's own sees the epochs of clips
    assert float(logged["val_loss"]) == pytest.approx(of_clips["val_loss"], abs=1e-6)


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


# What it tells


@pytest.mark.parametrize("num_epochs", [1, 2, 40])
def test_a_chart_counts_whole_epochs(num_epochs):
    """That of a single epoch, as the demo has it, had ticks at 0.945 and 1.035."""
    (axes,) = curves_chart("log loss", {"training": [0.5] * num_epochs}).axes
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_a_chart_shows_the_epochs_of_single_frames_before_those_of_clips():
    """Most is learned there, and the charts had the epochs of clips alone."""
    (axes,) = curves_chart("log loss", {"training": [0.7, 0.5, 0.4]}, num_frame_epochs=2).axes
    of_clips, of_frames, separation = axes.lines
    assert list(of_frames.get_xdata()) == [1, 2]
    assert list(of_clips.get_xdata()) == [3]
    assert of_frames.get_color() == of_clips.get_color()
    assert set(separation.get_xdata()) == {2.5}


def test_charts_are_pictures_that_can_be_read(tmp_path, charts_are_drawn):
    metrics = dict.fromkeys(["loss", "accuracy", "val_loss", "val_accuracy", "seconds"], 0.5)
    write_charts(tmp_path, [{"epoch": 1} | metrics], [])
    assert len(list(tmp_path.glob("charts/*.png"))) == 3
    for path in tmp_path.glob("charts/*.png"):
        assert min(read_rgb(path).shape[:2]) > 300


def test_videos_left_out_of_the_split_are_counted_and_named(capsys):
    def face(name, people, video):
        return FaceTrack(name, name, 1, 9, 3, video, video, people=people)

    kept = [face("a.mp4", ("Ann",), "a.mp4")]
    left_out = [face(name, ("Ann", "Bob"), "b.mp4") for name in ("b.mp4", "b.mp4#1")]
    splits = {"train": kept, "validation": [], "test": [], "left_out": left_out}
    print_splits(splits)
    printed = capsys.readouterr().out
    assert "0 real, 1 fake, 1 original, 1 person" in printed
    assert "1 video left out: people of two splits" in printed
    assert list(split_entries(splits)["left_out"]) == ["b.mp4", "b.mp4#1"]


# What cannot work


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--batch-size", "64"], "balanced clips, less than a batch of 64"),
        (["--epochs", "0"], "--epochs is 0; it must be above 0"),
        (["--img-size", "31"], "--img-size is 31; it must be at least 32 pixels"),
        (["--frame-epochs", "-1"], "--frame-epochs is -1; it must be 0 or more"),
        (["--self-blend", "1.5"], "--self-blend is 1.5; it must be from 0 to 1"),
        (["--validation-share", "0"], "--validation-share is 0; it must be above 0"),
        (["--from", "imagenet"], "baseline has no weights of ImageNet"),
        (["--from", "pretrained"], "pretrained model is one of efficientnet-lite0"),
        (["--from", "nowhere.keras"], "nowhere.keras does not exist; give --from the model.keras"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_exit_code_2(
    sample_faces, tmp_path, capsys, flags, sentence
):
    words = ["--data", str(sample_faces), "--out", str(tmp_path / "run"), *TINY, *flags]
    assert train.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_missed_before_the_faces_are_read(capsys, monkeypatch):
    """They were read and split for minutes first."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert train.main(["--data", "nowhere", "--out", "run", "--tensorboard"]) == 2
    assert "needs another package: pip install tensorboard" in capsys.readouterr().err


def test_an_architecture_that_does_not_exist_names_those_that_do(capsys):
    with pytest.raises(SystemExit, match="2"):
        train.main(["--data", "faces", "--out", "run", "--architecture", "vgg"])
    assert "invalid choice: 'vgg'" in capsys.readouterr().err
    with pytest.raises(UserError, match="'vgg'; it must be one of efficientnet-lite0, "):
        train.TrainSettings(architecture="vgg")


def test_a_folder_with_something_else_is_not_written_into(sample_faces, tmp_path, capsys):
    (tmp_path / "thesis.txt").touch()
    for out in (tmp_path, sample_faces):
        assert train.main(["--data", str(sample_faces), "--out", str(out), *TINY]) == 2
        assert f"error: --out {out}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


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


@pytest.mark.slow
def test_real_videos_alone_are_trained_on_with_fakes_made_from_them_or_not_at_all(
    real_faces, tmp_path, capsys
):
    out = tmp_path / "run"
    words = ["--data", str(real_faces), "--out", str(out), *TINY]
    assert train.main(words) == 2
    assert "real and 0 fake; add the missing class" in capsys.readouterr().err
    assert train.main([*words, "--self-blend", "1"]) == 0
    assert all(0 <= epoch["val_auc"] <= 1 for epoch in history_of(out))
    saved = json.loads((out / "settings.json").read_text())
    assert saved["calibration"]["slope"] == 1  # anything else takes real fakes
