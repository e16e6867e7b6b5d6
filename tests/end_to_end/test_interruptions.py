"""Runs that are killed, run twice at once, shared out to machines, or hang: nothing is lost."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import command_of, result_of

import processing
from deepfake_detector import endings, parallel
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.folder import prepare, put_faces, remove_dead_work, work_folder
from deepfake_detector.face_dataset.manifest import (
    MANIFEST_FIELDS,
    append_row,
    new_row,
    read_manifest,
)
from deepfake_detector.face_dataset.settings import FaceSettings
from deepfake_detector.faces import extraction
from deepfake_detector.videos.metadata import Video

KILLS = int(os.environ.get("KILLS", "4"))  # more of them with KILLS=50


def check_every_folder_is_whole(out: Path) -> None:
    """A folder that has its name holds boxes.csv and a crop for each line of it."""
    for folder in out.glob("person_*"):
        with (folder / "boxes.csv").open() as file:
            lines = len(file.readlines()) - 1
        crops = sorted(path.name for path in folder.glob("*.jpeg"))
        assert crops == [f"{order:03d}.jpeg" for order in range(lines)], folder


def kill(run: subprocess.Popen) -> None:
    """kill -9 for the run and its workers at once, as when the power goes."""
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


# Killed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(videos, uninterrupted, tmp_path):
    """The same command, killed again and again after more and more videos."""
    moments = random.Random(0)
    out = tmp_path / "faces"
    for kills in range(KILLS):
        run = subprocess.Popen(
            command_of(videos, out), stdout=subprocess.DEVNULL, start_new_session=True
        )
        target = moments.randint(0, 24) * (kills + 1) // KILLS
        while run.poll() is None and len(list(out.glob("person_*"))) < target:
            time.sleep(0.002)
        time.sleep(moments.random() * 0.05)
        kill(run)
        check_every_folder_is_whole(out)
    subprocess.run(command_of(videos, out), check=True, capture_output=True)
    assert result_of(out) == result_of(uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty_crop", "empty_boxes", "no_crop"])
def test_files_that_the_power_took_are_made_again(videos, uninterrupted, tmp_path, damage):
    """After a power cut a folder may have its name, and files in it no content."""
    out = tmp_path / "faces"
    shutil.copytree(uninterrupted, out)
    folder = sorted(out.glob("person_*"))[3]
    if damage == "no_crop":
        (folder / "004.jpeg").unlink()
    else:
        (folder / {"empty_crop": "004.jpeg", "empty_boxes": "boxes.csv"}[damage]).write_bytes(b"")
    (out / ".work-killed").mkdir()  # the run did not come to its end
    for part in ("1/2", "2/2"):  # whichever shard starts first, the other mends its own as well
        run = command_of(videos, out, "--shard", part)
        subprocess.run(run, check=True, capture_output=True)
    assert result_of(out) == result_of(uninterrupted)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no signals")
def test_workers_do_not_outlive_a_run_that_is_killed(videos, tmp_path):
    out = tmp_path / "faces"
    run = subprocess.Popen(
        command_of(videos, out), stdout=subprocess.DEVNULL, start_new_session=True
    )
    while run.poll() is None and not list(out.glob("person_*")):
        time.sleep(0.01)
    run.kill()
    run.wait()
    try:
        assert is_gone(run.pid, within_sec=20), "the workers are still there"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def is_gone(group: int, within_sec: float) -> bool:
    """Wait until no process of the group is left, and say whether that came to be."""
    deadline = time.monotonic() + within_sec
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_line_that_a_kill_cut_short_swallows_no_other(tmp_path):
    """The rest of a torn line and the next row made one line, and both were lost."""
    names = ["a.mp4", "b.mp4"]
    rows = [
        dict.fromkeys(MANIFEST_FIELDS, "") | {"filename": n, "status": "no_face"} for n in names
    ]
    settings = FaceSettings()
    prepare(tmp_path / "faces", settings, [], overwrite=False)
    manifest = tmp_path / "faces" / "manifest.csv"
    append_row(tmp_path / "faces", rows[0])
    with manifest.open("a") as file:
        file.write("torn.mp4,some")
    append_row(tmp_path / "faces", rows[1])
    assert sorted(read_manifest(tmp_path / "faces")) == names


# At the same time


@pytest.mark.slow
def test_two_runs_at_once_on_one_output_end_as_one_would(videos, uninterrupted, tmp_path):
    out = tmp_path / "faces"
    runs = [subprocess.Popen(command_of(videos, out), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert result_of(out) == result_of(uninterrupted)


@pytest.mark.slow
def test_shards_on_one_shared_disk_add_up_to_the_whole(videos, uninterrupted, tmp_path):
    out = tmp_path / "faces"
    runs = [
        subprocess.Popen(command_of(videos, out, "--shard", f"{i}/3"), stdout=subprocess.DEVNULL)
        for i in (1, 2, 3)
    ]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert result_of(out) == result_of(uninterrupted)


def test_shards_that_begin_at_the_same_moment_do_not_take_each_other_for_strangers(tmp_path):
    """Some tasks of an array ended at once: "is not empty and holds no settings.json"."""
    for number in range(5):
        together = threading.Barrier(6)

        def begin(out, together=together):
            together.wait()
            return prepare(out, FaceSettings(), [], overwrite=False)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(begin, [tmp_path / str(number)] * 6)) == [{}] * 6


def test_a_run_leaves_the_work_of_another_alone(videos, tmp_path):
    out = tmp_path / "faces"
    out.mkdir()
    (out / ".work-dead").mkdir()
    with work_folder(out) as others_work:
        with work_folder(out) as work:
            assert work != others_work
            assert remove_dead_work(out)
            assert not (out / ".work-dead").exists()
            assert work.is_dir()
        assert not work.exists()
        assert others_work.is_dir()
        assert not remove_dead_work(out)


# Hanging


def hang_on_purpose(video):
    """Stands in for a decoder that never comes back."""
    if video.name.startswith("stuck"):
        threading.Event().wait()
    return new_row(video) | {"status": "ok"}


@pytest.mark.slow
def test_a_video_that_hangs_costs_no_other_video(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "GRACE_SEC", 0.5)
    names = [f"{i}.mp4" for i in range(10)] + ["stuck.mp4"]
    videos = [Video(name, tmp_path / name) for name in sorted(names)]
    rows, deaths = [], []

    def record_death(video, seconds):
        deaths.append((video.name, seconds > 1))

    parallel.run_in_processes(
        hang_on_purpose, videos, rows.append, record_death, workers=2, timeout_sec=0.5
    )
    assert sorted(row["filename"] for row in rows) == sorted(names)[:-1]
    assert deaths == [("stuck.mp4", True)]


@pytest.mark.parametrize("workers", [None, 1])
def test_a_video_that_takes_too_long_is_a_row_that_says_so(videos, tmp_path, workers):
    rows = processing.processing(
        videos, tmp_path / "faces", num_vids=1, timeout_sec=1e-6, workers=workers
    )
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert "took longer than 1e-06 seconds; give it more with --timeout-sec" in rows[0]["reason"]
    again = processing.processing(videos, tmp_path / "faces", num_vids=1)
    assert [row["status"] for row in again] == ["ok", "ok"]


def test_a_timeout_of_nothing_is_refused(videos, tmp_path):
    with pytest.raises(UserError, match="timeout_sec is 0; it must be a number of seconds above 0"):
        processing.processing(videos, tmp_path / "faces", timeout_sec=0)


# Nowhere to write


def test_an_output_that_cannot_be_made_is_one_sentence(videos, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    words = ["--location", str(videos), "--save-path", str(tmp_path / "file" / "faces")]
    assert processing.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write to")
    assert error.count("\n") == 1


def test_an_output_that_turns_read_only_stops_the_run_and_keeps_what_was_done(
    videos, tmp_path, monkeypatch
):
    out, real_put, done = tmp_path / "faces", put_faces, []

    def put_until_read_only(save_path, name, made, trash):
        if len(done) == 3:
            raise OSError(30, "Read-only file system")
        done.append(name)
        real_put(save_path, name, made, trash)

    monkeypatch.setattr(extraction, "put_faces", put_until_read_only)
    with pytest.raises(UserError, match="Read-only file system.*keeps the finished videos"):
        processing.processing(videos, out)
    assert sorted(path.name for path in out.glob("person_*")) == done
    check_every_folder_is_whole(out)


def test_the_job_can_be_sent_to_another_machine():
    """Defined in the script that is run, it would be sent without the modules it needs."""
    assert processing.process_video.__module__ == "deepfake_detector.faces.extraction"


# Ctrl-C


class InterruptedExecutor(ThreadPoolExecutor):
    """Gets a Ctrl-C after it has taken a task and before the caller knows."""

    def submit(self, job, task):
        future = super().submit(job, task)
        signal.raise_signal(signal.SIGINT)
        return future


@pytest.fixture
def ctrl_c_is_heard():
    """A shell that runs the tests in the background lets them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_while_a_task_is_handed_over_still_records_what_it_did():
    """A folder of faces was there that metadata.json did not list."""
    done, recorded = [], []

    def job(task):
        done.append(task)
        return task

    with pytest.raises(KeyboardInterrupt):
        parallel.run_on_executor(
            InterruptedExecutor(1), job, iter("ab"), recorded.append, lambda *_: None, ahead=2
        )
    assert recorded == done


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_between_a_job_and_its_record_comes_after_the_record():
    recorded = []

    def job(task):
        signal.raise_signal(signal.SIGINT)
        return task

    with pytest.raises(KeyboardInterrupt):
        parallel.run_tasks(
            job, "ab", recorded.append, lambda *_: None, parallel.Machines(), limit_sec=1
        )
    assert recorded == ["a"]


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_a_second_ctrl_c_does_not_wait():
    with pytest.raises(KeyboardInterrupt), endings.interrupts_held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one was held, too")
