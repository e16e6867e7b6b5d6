"""The load benchmark of predict.py: what it makes, without running it."""

import random

from benchmarks.prediction_load import copy_videos, mutated, scored


def test_every_tenth_copy_is_damaged(tmp_path):
    original = tmp_path / "a.mp4"
    original.write_bytes(bytes(range(256)) * 40)
    copy_videos([original], tmp_path / "copies", 20, seed=0)
    copies = sorted((tmp_path / "copies").iterdir())
    damaged = [copy.stem for copy in copies if copy.read_bytes() != original.read_bytes()]
    assert (len(copies), damaged) == (20, ["00009", "00019"])


def test_mutated_files_differ_and_are_the_same_for_a_seed():
    content = bytes(range(256)) * 40
    several = [mutated(content, random.Random(seed)) for seed in range(20)]
    assert all(changed != content for changed in several)
    assert mutated(content, random.Random(3)) == several[3]


def test_what_a_killed_run_has_scored_is_counted_without_half_a_line(tmp_path):
    assert scored(tmp_path) == 0
    (tmp_path / "all.json.unfinished.jsonl").write_bytes(b"{}\n{}\n{}\n{")
    assert scored(tmp_path) == 2
