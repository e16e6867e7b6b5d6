"""The page of app.py: what visitors and programs get, and what is refused."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from some_verdicts import verdict, window

import app
import predict
from deepfake_detector.parallel import Lost
from deepfake_detector.scoring.trained_model import PRETRAINED
from deepfake_detector.verdicts.options import PredictOptions, prepare_task

pytest.importorskip("gradio", reason="requirements-app.txt is not installed")

# What it refuses to start with


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield str(taken.getsockname()[1])


def test_what_cannot_be_served_is_said_before_anything_starts(tmp_path, taken_port, capsys):
    damaged = tmp_path / "run"
    damaged.mkdir()
    shutil.copy(PRETRAINED / "settings.json", damaged)
    (damaged / "model.keras").write_bytes(b"no model")
    for words, sentence in (
        (["--model", str(tmp_path / "none.keras")], "none.keras does not exist; give --model"),
        (["--model", str(damaged)], "it is damaged, or not a .keras file"),
        (["--port", taken_port], f"--port {taken_port}: Address already in use"),
        (["--port", "70000"], "--port is 70000; it must be a number from 1 to 65535"),
        (["--host", "no.such.host.invalid"], "cannot listen at --host no.such.host.invalid"),
        (["--upload-mb", "0"], "--upload-mb is 0; it must be 1 or more"),
    ):
        assert app.main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert sentence in line


# The worker


@pytest.fixture(scope="module")
def worker():
    return app.Worker(int, limit_sec=3.0)


def test_a_crash_or_a_hang_costs_its_job_only(worker):
    async def jobs():
        return [await worker.run(*job) for job in ((os._exit, 11), (time.sleep, 60), (abs, -2))]

    crashed, hung, done = asyncio.run(jobs())
    assert (crashed.is_too_slow, hung.is_too_slow, done) == (False, True, 2)


def test_a_crash_of_the_decoder_is_a_verdict(worker, monkeypatch, tmp_path):
    task = prepare_task(PredictOptions())

    async def lost(*job):
        return Lost(False, 1.0)

    monkeypatch.setattr(worker, "run", lost)
    found, clip = asyncio.run(worker.judge(tmp_path / "a.mp4", tmp_path, tmp_path, task))
    assert (found.verdict, clip) == ("UNREADABLE", None)
    assert "the process that read it died" in found.note


def test_a_job_is_cancelled_whatever_it_is_at(worker):
    async def cancelled():
        job = asyncio.create_task(worker.run(time.sleep, 60))
        await asyncio.sleep(0.2)
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job
        return await worker.run(abs, -2)

    assert asyncio.run(cancelled()) == 2


def test_a_process_that_died_between_two_jobs_is_replaced(worker):
    pid = asyncio.run(worker.run(os.getpid))
    os.kill(pid, signal.SIGKILL)
    while worker._pool.active:
        time.sleep(0.05)
    assert asyncio.run(worker.run(abs, -2)) == 2


# What happens when a visitor does something


class StandIn:
    """A worker without a model."""

    def __init__(self):
        self.seen = []

    async def judge(self, path, crops, folder, task):
        self.seen.append((path.read_text(), task.options.whole, list(crops.parent.iterdir())))
        found = verdict(window(0, 0.5, moments=(0.5,)), rule=task.rule, path=str(path))
        (folder / f"{path.name}_annotated.mp4").write_bytes(b"a copy")
        return found, np.zeros((8, 4, 4, 3), np.uint8)

    async def explain(self, found, clip):
        return replace(found, jpegs={"occlusion": "AAAA"})


@pytest.fixture
def page(tmp_path):
    from deepfake_detector.verdicts.web_page import Page

    stand_in = StandIn()
    made = Page(prepare_task(PredictOptions()), stand_in.judge, stand_in.explain, tmp_path)
    made.layout(upload_mb=5)
    made.stand_in = stand_in
    return made


def all_of(values):
    async def collected():
        return [each async for each in values]

    return asyncio.run(collected())


def judged(page, folder, *names, results=()):
    uploads = [folder / name for name in names]
    for path in uploads:
        path.write_text("a video")
    return all_of(page.judge(list(map(str, uploads)), False, list(results), 10, 20)), uploads


def test_uploads_are_judged_one_after_the_other_and_deleted(page, tmp_path):
    shown, uploads = judged(page, tmp_path, "<b>.mp4", "b.mp4")
    assert len(shown) == 4 and not any(path.exists() for path in uploads)
    assert "&lt;b&gt;.mp4 (1 of 2): looking for faces" in shown[0][page.status]
    last = shown[-1]
    assert [result.verdict.path for result in last[page.results]] == ["<b>.mp4", "b.mp4"]
    assert "UNCERTAIN" in last[page.status] and "b.mp4" in last[page.section]
    folder = last[page.results][1].folder
    names = ["b.mp4_annotated.mp4", "verdict.html", "verdicts.csv", "verdicts.jsonl"]
    assert sorted(path.name for path in folder.iterdir()) == names
    lines = (folder / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["verdict"]["path"] for line in lines[1:]] == ["<b>.mp4", "b.mp4"]
    assert len((folder / "verdicts.csv").read_text().splitlines()) == 3


def test_other_rates_change_verdicts_and_no_score(page, tmp_path):
    results = judged(page, tmp_path, "a.mp4")[0][-1][page.results]
    shown = page.use_rates(0, results, 50, 1)
    (result,) = shown[page.results]
    assert (result.verdict.verdict, result.verdict.score) == ("FAKE", 0.5)
    assert "1 of 1 verdict changed" in shown[page.status]


def test_the_map_is_shown_when_it_is_asked_for(page, tmp_path):
    results = judged(page, tmp_path, "a.mp4")[0][-1][page.results]
    assert page.show(0, results, 10, 20)[page.explain].visible
    *_, shown = all_of(page.show_occlusion(0, results, 10, 20))
    assert "covering a red part" in shown[page.section]
    assert not shown[page.explain].visible


def test_results_that_are_deleted_meanwhile_are_no_error(page):
    assert page.show(3, [], 10, 20)[page.results] == []
    assert page.show(None, [], 10, 20)[page.results] == []
    assert len(all_of(page.show_occlusion(3, [], 10, 20))) == 1


# The page as programs reach it


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of the page, served by the command."""
    folder = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "app.py", "--no-browser", "--upload-mb", "1"]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell makes jobs in the background deaf to Ctrl-C, and so all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            lines = iter(process.stdout.readline, "")
            yield next(found[0] for line in lines if (found := re.search(r"http://[^/]+", line)))
        finally:
            process.send_signal(signal.SIGINT)
            _, error = process.communicate()
    assert process.returncode == 130 and error.endswith("interrupted\n")
    assert list(folder.iterdir()) == [], "files are left after the page was closed"


def answer_of(url, content=None, **headers):
    """Return status and text of an answer."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers)) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def uploaded(address, path, **headers):
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"'
    content = f"{head}\r\n\r\n".encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    return answer_of(f"{address}/gradio_api/upload", content, Content_Type=kind, **headers)


def called(address, path, **options):
    """Ask for a verdict on a file of the server, as the docs say."""
    file = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    content = json.dumps({"video": file} | options).encode()
    url = f"{address}/gradio_api/call/v2/verdict"
    _, text = answer_of(url, content, Content_Type="application/json")
    event = json.loads(text)["event_id"]
    return answer_of(f"{address}/gradio_api/call/verdict/{event}")[1]


@pytest.mark.slow
def test_a_program_gets_the_verdict_of_predict_and_its_upload_is_deleted(address, sample_videos):
    from gradio_client import Client, handle_file

    video = sample_videos / "person_000.mp4"
    (expected,) = predict.predict(videos=video)
    status, text = uploaded(address, video)
    (path,) = json.loads(text)
    answer = called(address, path)
    assert status == 200 and "event: complete" in answer and not Path(path).exists()
    (entry,) = json.loads(answer.split("data: ")[-1])
    # This process may have loaded TensorFlow without oneDNN, which rounds otherwise.
    assert entry["score"] == pytest.approx(expected.score, abs=1e-6)
    assert (entry["verdict"], entry["frames"]) == (expected.verdict, expected.frames)
    by_client = Client(address, verbose=False).predict(
        handle_file(video), max_false_positive_percent=1, api_name="/verdict"
    )
    assert by_client["score"] == pytest.approx(expected.score, abs=1e-6)
    assert by_client["fake_from"] > expected.fake_from


@pytest.mark.slow
def test_there_is_one_call_and_no_other(address):
    status, text = answer_of(f"{address}/gradio_api/info")
    assert status == 200 and list(json.loads(text)["named_endpoints"]) == ["/verdict"]


@pytest.mark.slow
def test_a_file_of_this_machine_is_neither_judged_nor_sent(address, tmp_path, sample_videos):
    secret = tmp_path / "secret.mp4"
    shutil.copy(sample_videos / "person_000.mp4", secret)
    (path,) = json.loads(uploaded(address, secret)[1])
    others = [secret, "/etc/passwd", ROOT / "README.md", "README.md", f"{path}/../../../etc/passwd"]
    for other in others:
        assert "event: error" in called(address, other), other
        status, text = answer_of(f"{address}/gradio_api/file={other}")
        assert status in {403, 404} and "root:" not in text, other
    for other in ("%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd"):
        assert answer_of(f"{address}/gradio_api/file={other}")[0] in {403, 404}, other
        assert answer_of(f"{address}/static/{other}")[0] in {403, 404}, other
    assert answer_of(f"{address}/gradio_api/file={path}")[0] == 200  # of who has uploaded it


@pytest.mark.slow
def test_no_address_is_fetched_for_anybody(address):
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: asked.append(server.accept()), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        answer = called(address, url)
        assert "event: error" in answer and "an address is not fetched" in answer
        for way in ("file=", "proxy="):
            assert answer_of(f"{address}/gradio_api/{way}{url}")[0] == 403
    assert asked == []


@pytest.mark.slow
def test_other_sites_are_refused(address, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a video")
    assert answer_of(address, Host="evil.example")[0] == 403
    assert answer_of(address, Host="evil.example:7860")[0] == 403
    assert answer_of(address, Host=address.replace("http://127.0.0.1", "localhost"))[0] == 200
    for origin in ("http://evil.example", "http://127.0.0.1:1", "null"):
        assert uploaded(address, tmp_path / "a.mp4", Origin=origin)[0] == 403, origin
    assert uploaded(address, tmp_path / "a.mp4", Origin=address)[0] == 200


@pytest.mark.slow
def test_a_file_that_is_too_large_is_refused_while_it_comes(address, tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(2 * 2**20))
    status, text = uploaded(address, tmp_path / "a.mp4")
    assert status == 413 and "exceed" in text


@pytest.mark.slow
def test_the_page_loads_nothing_from_elsewhere(address):
    with urllib.request.urlopen(address) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = answer.read().decode()
    assert "default-src 'self'" in policy and "http" not in policy
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="https?://[^"]*', text)
    assert json.loads(answer_of(f"{address}/config")[1])["analytics_enabled"] is False
