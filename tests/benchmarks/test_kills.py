"""The benchmark of kills: what it takes for a difference, without killing anything."""

import json
import shutil

import numpy as np
from conftest import tree

from benchmarks.kills import broken_files, contents, differences


def test_two_trainings_of_the_same_seed_are_equal_but_for_times_and_addresses(run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    history = (other / "history.csv").read_text().splitlines()
    place = history[0].split(",").index("seconds")
    cells = history[1].split(",")
    history[1] = ",".join([*cells[:place], "9", *cells[place + 1 :]])
    (other / "history.csv").write_text("\n".join(history) + "\n")
    assert tree(other) != tree(run)
    assert differences(contents(run), contents(other)) == []


def test_another_weight_another_crop_and_a_leftover_are_differences(run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    with np.load(other / "checkpoints" / "state.npz") as state:
        arrays = dict(state)
    arrays["variable_0000"] = arrays["variable_0000"] + 1
    np.savez(other / "checkpoints" / "state.npz", **arrays)
    (other / ".partial.split.json").write_text("{")
    (other / "split.json").unlink()
    assert differences(contents(run), contents(other)) == [
        "split.json is missing",
        ".partial.split.json is left over",
        "checkpoints/state.npz differs",
    ]


def test_a_file_that_has_its_name_and_is_not_whole_is_named(run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    assert broken_files(other) == []
    (other / "model.keras").write_bytes((run / "model.keras").read_bytes()[:1000])
    (other / "settings.json").write_text(json.dumps({})[:1])
    (other / ".partial.settings.json").write_text("{")
    (other / "a.mp4").mkdir()
    (other / "a.mp4" / "boxes.csv").write_text("frame\r\n0\r\n")
    names = [problem.split()[0].rstrip(":") for problem in broken_files(other)]
    assert names == ["model.keras", "settings.json", "a.mp4"]
