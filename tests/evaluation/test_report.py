"""report.html: whole, escaped, bounded; and what a real browser makes of it."""

import html.parser
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

import evaluate
from deepfake_detector.evaluation import report
from deepfake_detector.evaluation.timelines import Point
from deepfake_detector.evaluation.videos import ScoredVideo, largest_errors_first
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.calibration import OperatingPoint

HOSTILE = "<script>alert('\"&.mp4"


def a_video(name, label, score, method="Deepfakes"):
    track = FaceTrack(name, f"faces/{name}", label, 9, 3, name, name)
    return ScoredVideo(track, score, score, "faces", method, "/videos", 1, 3, 30)


def png(width=600, height=600):
    return cv2.imencode(".png", np.full((height, width, 3), 255, np.uint8))[1].tobytes()


@pytest.fixture(autouse=True)
def strips_without_files(monkeypatch):
    """A strip of noise for each video, for there are no crops."""
    noise = np.random.default_rng(0).integers(0, 255, (56, 336, 3), np.uint8)
    jpeg = cv2.imencode(".jpeg", noise)[1].tobytes()
    monkeypatch.setattr(report, "strip_jpeg", lambda track, count, side: jpeg)


def page_of(
    num_videos=40, strips=10, names=None, robustness=True, quality=True, uncertain=None
) -> str:
    rng = np.random.default_rng(0)
    names = names or [f"video_{number:03d}_of_a_long_name.mp4" for number in range(num_videos)]
    labels = [number % 2 for number in range(len(names))]
    scores = np.clip(0.5 * np.array(labels) + 0.5 * rng.random(len(names)), 0.001, 0.999).tolist()
    videos = list(map(a_video, names, labels, scores))
    result = evaluate.all_metrics(videos, OperatingPoint("half", 0.5, uncertain))
    if robustness:
        result["robustness"] = [{"name": "clean", "roc_auc": 0.8, "log_loss": 0.4}]
    points = [Point(number / 2, number / 9) for number in range(8)]
    timelines = dict.fromkeys(largest_errors_first(videos)[:strips], points)
    folder = {
        "data": "faces",
        "videos": 43,
        "statuses": {"no_face": 3, "ok": 40},
        "frames": 1200,
        "averaged": 120,
        "without_faces": [{"name": HOSTILE, "status": "no_face", "reason": HOSTILE}],
        "most_averaged": [{"name": HOSTILE, "frames": 30, "share": 0.5}],
    }
    charts, folders = {"ROC curve": png()}, [folder] if quality else []
    return report.page(Path("run/model.keras"), result, videos, timelines, charts, folders)


class Checker(html.parser.HTMLParser):
    """Keeps the tags that are open, the names of all there were and what stood in their cells."""

    NEVER_CLOSED = frozenset({"meta", "img", "path", "polyline"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.addresses, self.data = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.addresses += [v for k, v in attributes if k in {"src", "href", "xlink:href"}]
        if tag not in self.NEVER_CLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)

    def handle_data(self, data):
        self.data.append(data)


def test_the_page_is_whole_and_fetches_nothing():
    page = page_of()
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert all(address.startswith(("data:image/", "#")) for address in checker.addresses)
    assert "://" not in page
    assert "default-src 'none'" in html.unescape(page)
    for heading in ("Metrics", "Charts", "Groups", "Robustness", "Videos", "Data quality"):
        assert heading in checker.data


def test_a_video_named_script_is_a_name():
    page = page_of(names=[HOSTILE, 'b" onclick="x.mp4', "c.mp4", "d\ud800.mp4"])
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert page.count("<script") == 1
    assert HOSTILE in checker.data
    assert 'b" onclick="x.mp4' in checker.data
    page.encode("utf-8")


def test_the_page_says_how_many_videos_are_too_close_to_call():
    assert "ncertain" not in page_of()
    page = page_of(uncertain=[0.4, 0.6])
    assert re.search(r"Uncertain, 0.4 to 0.6: \d+%.\sFalse positive rate of the others: 0", page)


@pytest.mark.slow
def test_thousands_of_videos_are_a_page_of_bounded_size():
    page = page_of(num_videos=report.MOST_ROWS + 500, strips=100)
    assert page.count('<tr role="row">') == 1 + report.MOST_ROWS
    assert f"The first {report.MOST_ROWS} of {report.MOST_ROWS + 500}" in page
    assert page.count("<svg") == 100
    assert len(page) < 8_000_000


def test_one_class_without_robustness_or_quality_is_a_page_too():
    page = page_of(names=["a.mp4"], robustness=False, quality=False)
    assert "Robustness" not in page
    assert "Data quality" not in page


# In a browser


@pytest.fixture(scope="module")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium to show the report in: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    names = [HOSTILE, *[f"video {number}.mp4" for number in range(30)]]
    path.write_text(page_of(names=names), encoding="utf-8")
    return path


def shown(browser, page, tmp_path, *flags, fragment=""):
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *flags)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [browser, *flags, profile, "--virtual-time-budget=2000", f"file://{page}{fragment}"],
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.decode()


def column(page, name):
    """The values of a column of the table of videos, from top to bottom."""
    rows = re.findall(r'<tr role="row"><th scope="row".*?</tr>', page, re.DOTALL)
    place = {"name": 0, "label": 1, "score": 2, "error": 3}[name]
    return [html.unescape(re.findall(r'data-value="([^"]*)"', row)[place]) for row in rows]


@pytest.mark.slow
def test_a_browser_sorts_the_table_by_the_column_asked_for(browser, page, tmp_path):
    as_written = column(page.read_text(encoding="utf-8"), "error")
    assert list(map(float, as_written)) == sorted(map(float, as_written), reverse=True)
    by_score = shown(browser, page, tmp_path, "--dump-dom", fragment="#sort=score")
    scores = list(map(float, column(by_score, "score")))
    assert len(scores) == 31
    assert scores == sorted(scores)
    (head,) = re.findall(r"<th [^>]*aria-sort[^>]*>", by_score)
    assert 'data-key="score"' in head
    assert 'aria-sort="ascending"' in head
    by_name = shown(browser, page, tmp_path, "--dump-dom", fragment="#sort=-name")
    names = column(by_name, "name")
    assert names[:2] == ["video 29.mp4", "video 28.mp4"]
    assert names.index("video 9.mp4") > names.index("video 10.mp4")  # 9 before 10, as numbers


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_the_page_no_wider_than_the_window(browser, page, tmp_path, width):
    # The page lets no script run but its own: a copy without the policy measures itself. It does so
    # in a frame, because a window is 500 pixels wide at the least where no picture is taken.
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    measure = "parent.postMessage([innerWidth, document.documentElement.scrollWidth], '*')"
    copy = text.replace("</body>", f"<script>{measure}</script></body>")
    (tmp_path / "copy.html").write_text(copy, encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<title></title><script>onmessage = event => document.title = event.data</script>"
        f'<iframe src="copy.html" width="{width}" height="3000" style="border: 0"></iframe>'
    )
    measured = shown(browser, frame, tmp_path, "--dump-dom", "--window-size=1400,3000")
    assert re.search(r"<title>(.*)</title>", measured)[1] == f"{width},{width}"
    picture = tmp_path / "page.png"
    shown(browser, page, tmp_path, f"--screenshot={picture}", f"--window-size={width},3000")
    image = cv2.imread(str(picture))
    assert image.shape[1] == width
    assert image.std() > 10  # something is drawn


@pytest.mark.slow
def test_a_browser_runs_no_script_that_came_with_a_name(browser, page, tmp_path):
    evil = page.read_text(encoding="utf-8").replace(
        "<main>", "<main><script>document.title = 'run';</script>"
    )
    (tmp_path / "evil.html").write_text(evil, encoding="utf-8")
    shown_page = shown(browser, tmp_path / "evil.html", tmp_path, "--dump-dom")
    assert "<title>Evaluation of a deepfake detector</title>" in shown_page
    assert "<th" in shown_page
