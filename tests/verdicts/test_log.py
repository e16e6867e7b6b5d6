"""The log of verdicts: what is in it is done, and nothing of another run is mixed in."""

import dataclasses
import json
import os

import pytest
from some_verdicts import verdict, window

from deepfake_detector.console import UserError
from deepfake_detector.verdicts.log import VerdictLog, header_of, is_log
from deepfake_detector.verdicts.options import PredictOptions, prepare_task

HEADER = {"deepfake_detector": "2.0.0", "model_sha256": ["a", "b"], "whole": False, "windows": "x"}


@pytest.fixture
def videos(tmp_path):
    paths = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    for path in paths:
        path.write_bytes(b"x")
    return paths


def on(path):
    return dataclasses.replace(verdict(window(0, 0.2, 0.7)), path=str(path))


def written(place, videos, *numbers):
    with VerdictLog(place, HEADER, videos) as log:
        for number in numbers:
            log.add(on(videos[number]))
    return place


def test_verdicts_come_back_in_the_order_of_the_videos(tmp_path, videos):
    written(tmp_path / "out" / "log.jsonl", videos, 2, 0)
    with VerdictLog(tmp_path / "out" / "log.jsonl", HEADER, videos) as log:
        assert [video in log for video in videos] == [True, False, True]
        assert list(log) == [on(videos[0]), on(videos[2])]
        log.add(on(videos[1]))
        assert list(log) == list(map(on, videos))


def test_half_a_line_of_a_killed_run_is_cut_off(tmp_path, videos):
    place = written(tmp_path / "log.jsonl", videos, 0)
    whole = place.read_bytes()
    for half in (b'{"file": {"path": "b.m', whole[: len(HEADER)]):
        place.write_bytes(whole + half)
        with VerdictLog(place, HEADER, videos) as log:
            assert list(log) == [on(videos[0])]
        assert place.read_bytes() == whole


def test_a_file_that_has_changed_is_scored_again_and_its_last_line_counts(tmp_path, videos):
    place = written(tmp_path / "log.jsonl", videos, 0, 1)
    before = videos[0].stat()
    videos[0].write_bytes(videos[0].read_bytes()[::-1])  # of the same size and, by a tool, time
    os.utime(videos[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    with VerdictLog(place, HEADER, videos) as log:
        assert [video in log for video in videos] == [False, True, False]
        log.add(dataclasses.replace(on(videos[0]), score=0.9))
    with VerdictLog(place, HEADER, videos) as log:
        assert [each.score for each in log] == [0.9, 0.7]


def test_videos_that_are_not_asked_for_stay_in_the_log(tmp_path, videos):
    place = written(tmp_path / "log.jsonl", videos, 0, 1)
    written(place, videos[2:], 0)
    with VerdictLog(place, HEADER, videos) as log:
        assert len(list(log)) == 3


def test_a_log_of_other_options_is_refused_with_their_names(tmp_path, videos):
    place = written(tmp_path / "log.jsonl", videos, 0)
    before = place.read_bytes()
    other = HEADER | {"whole": True, "model_sha256": ["a", "c"]}
    with pytest.raises(UserError, match=r"differs in model_sha256, whole; give"):
        VerdictLog(place, other, videos)
    assert place.read_bytes() == before
    with VerdictLog(place, other, videos, anew=True) as log:
        assert list(log) == []
    assert json.loads(place.read_text())["whole"] is True


def test_a_log_that_was_edited_is_refused_and_not_cut(tmp_path, videos):
    place = written(tmp_path / "log.jsonl", videos, 0, 1)
    place.write_bytes(place.read_bytes().replace(b'{"file"', b"{file", 1))
    before = place.read_bytes()
    with pytest.raises(UserError, match="was changed and cannot be read; give another path"):
        VerdictLog(place, HEADER, videos)
    assert place.read_bytes() == before


def test_a_log_is_known_by_its_beginning(tmp_path, videos):
    assert is_log(written(tmp_path / "log.jsonl", videos, 0))
    (tmp_path / "mine.json").write_text('{"contract": 2}')
    assert not is_log(tmp_path / "mine.json")


def test_the_header_holds_what_a_verdict_depends_on():
    def header(**options):
        return header_of(prepare_task(PredictOptions(**options)))

    usual = header()
    assert usual == header(workers=3)
    for options in (
        {"threshold": 0.5},
        {"faces": "main"},
        {"whole": True},
        {"search_sec": 3.0},
        {"timeout_sec": 3.0},
        {"explain": True},
    ):
        assert header(**options) != usual
