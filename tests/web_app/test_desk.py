"""Files in, what visitors are told out: the page and the command say the same."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import cv2
import pytest
from conftest import read_rgb
from fastapi import FastAPI
from starlette.testclient import TestClient

import app
import predict
from deepfake_detector.web_app.desk import Desk
from deepfake_detector.web_app.server import SafeHeaders, add_downloads
from deepfake_detector.web_app.worker import Worker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worker():
    worker = Worker(next(iter(app.tasks_of(None).values())))
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def desk(worker, tmp_path):
    return Desk(app.tasks_of(None), worker, tmp_path)


def uploaded(folder: Path, name: str) -> Path:
    """Return where a file of that name is when it has been uploaded."""
    (folder / "uploads").mkdir(exist_ok=True)
    return folder / "uploads" / name


@pytest.fixture
def uploads(sample_videos, tmp_path) -> list[Path]:
    """A real video and a fake one; copies, because what was uploaded is deleted."""
    return [
        Path(shutil.copy(path, uploaded(tmp_path, path.name)))
        for path in sorted(sample_videos.rglob("*.mp4"))[:2]
    ]


def statuses_of(desk, session, *paths, **options):
    statuses = list(desk.judge(session, paths, **options))
    assert statuses[-1].busy is False
    return statuses


def client_of(desk, hosts=()) -> TestClient:
    server = FastAPI()
    add_downloads(server, desk)
    return TestClient(SafeHeaders(server, hosts), base_url="http://127.0.0.1:7860")


def test_the_page_gives_the_scores_of_the_command(desk, uploads):
    expected = predict.predict(videos=uploads, timeline=True)
    session = desk.sessions.of("tab")
    statuses = statuses_of(desk, session, *uploads)
    for result, video in zip(session.results, expected, strict=True):
        assert result.name == Path(video.path).name
        # This process may have loaded TensorFlow without oneDNN, which rounds otherwise.
        assert result.judged.score == pytest.approx(video.score, abs=1e-6)
        assert result.judged.verdict == video.verdict
        assert result.copy.suffix == ".mp4" and not result.copy_note
    assert any("looking for faces" in status.words for status in statuses)
    assert statuses[-1].words.startswith("2 files, verdicts: ")
    kept = {path.name for path in session.folder.rglob("*") if path.is_file()}
    assert not kept & {path.name for path in uploads}, "what was uploaded stays"
    rows = list(csv.DictReader(io.StringIO(desk.csv(session))))
    assert [row["filename"] for row in rows] == [result.name for result in session.results]
    videos = json.loads(desk.json(session))["videos"]
    scores = [result.judged.score for result in session.results]
    assert [video["score"] for video in videos] == scores


def test_another_threshold_changes_verdicts_and_no_score(desk, uploads):
    session = desk.sessions.of("tab")
    statuses_of(desk, session, uploads[0])
    (result,) = session.results
    score = result.judged.score
    for name, task in desk.tasks.items():
        words = desk.use_point(session, name)
        assert result.judged.score == score
        assert result.judged.verdict == task.rule.verdict(score)
        assert "is now" in words or words == "1 verdict as before"
        assert f"{task.rule.threshold:.3g}" in desk.section(session, result)
    assert desk.use_point(session, "no such point") == ""


def test_a_moment_is_shown_with_what_its_score_rests_on(desk, uploads):
    session = desk.sessions.of("tab")
    statuses_of(desk, session, uploads[0])
    (result,) = session.results
    before = desk.section(session, result)
    assert 'data-face="0" data-moment="0"' in before
    *_, last = desk.explain(session, result, 0, 0)
    assert last.news and result.maps[0, 0][:2] == b"\xff\xd8"  # a JPEG
    assert len(desk.section(session, result)) > len(before)
    for face, moment in ((0, 99), (7, 0), (-1, 0)):
        assert list(desk.explain(session, result, face, moment)) == []


def test_what_is_no_video_has_a_verdict_and_a_reason(desk, tmp_path):
    session = desk.sessions.of("tab")
    text, empty = uploaded(tmp_path, "<b>notes.txt"), uploaded(tmp_path, "empty.mp4")
    text.write_text("no video")
    empty.touch()
    statuses = statuses_of(desk, session, text, empty)
    assert [result.judged.verdict for result in session.results] == ["UNREADABLE"] * 2
    assert "UNREADABLE" in statuses[-1].words
    for result in session.results:
        section = desk.section(session, result)
        assert "<b>notes" not in section and "UNREADABLE" in section
        assert result.judged.note


def test_a_path_that_is_no_upload_is_not_opened(desk, sample_videos):
    video = next(sample_videos.rglob("*.mp4"))
    with pytest.raises(PermissionError, match="was not uploaded"):
        list(desk.judge(desk.sessions.of("tab"), [desk.uploads / ".." / video]))


def test_a_picture_is_judged(desk, uploads, head_frames, tmp_path):
    picture = uploaded(tmp_path, "photo.png")
    cv2.imwrite(str(picture), head_frames[0][:, :, ::-1])
    session = desk.sessions.of("tab")
    statuses_of(desk, session, picture)
    (result,) = session.results
    assert result.judged.score is not None
    assert read_rgb(result.copy).ndim == 3


def test_a_video_that_is_too_long_to_look_at_all_of_it_is_refused(worker, tmp_path, uploads):
    desk = Desk(app.tasks_of(None), worker, tmp_path, longest_sec=0.1)
    session = desk.sessions.of("tab")
    (*_, last) = statuses_of(desk, session, uploads[0], whole=True)
    assert "looks at all of a video up to 0 seconds; untick that, or cut it" in last.words
    assert session.results == []


def test_what_is_taken_away_is_found_by_its_token_alone(desk, uploads):
    session = desk.sessions.of("tab")
    statuses_of(desk, session, uploads[0])
    client, base = client_of(desk), f"/results/{session.token}"
    assert client.get(f"{base}/scores.csv").text == desk.csv(session)
    assert client.get(f"{base}/scores.json").json()["videos"][0]["verdict"]
    page = client.get(f"{base}/1/page")
    assert page.text.startswith("<!DOCTYPE html>") and not re.search(r'src="http', page.text)
    part = client.get(f"{base}/1/copy", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206 and len(part.content) == 10, "a player cannot jump"
    for wrong in (
        f"{base}/2/page",
        f"{base}/2/copy",
        f"{base}/scores.txt",
        "/results/guess/scores.csv",
        f"{base}/..%2F..%2Fetc%2Fpasswd/copy",
        "/results/..%2F..%2F/1/copy",
    ):
        assert client.get(wrong).status_code in {404, 422}, wrong


def test_a_name_that_points_here_from_elsewhere_is_refused(desk):
    """DNS rebinding: evil.example has the address 127.0.0.1."""
    client = client_of(desk, hosts={"127.0.0.1", "localhost"})
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    answer = client.get("/", headers={"Host": "localhost:7860"})
    assert answer.status_code == 404  # this server has no page
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
