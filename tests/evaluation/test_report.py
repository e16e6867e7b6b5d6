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
from deepfake_detector.evaluation.videos import ScoredVideo
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.scoring.calibration import OperatingPoint

HOSTILE = "<script>alert('\"&.mp4"


def a_video(name, label, score, method="Deepfakes"):
    track = FaceTrack(name, f"faces/{name}", label, 9, 3, name, name, method=method)
    return ScoredVideo(track, score, score)


def png(width=600, height=600):
    return cv2.imencode(".png", np.full((height, width, 3), 255, np.uint8))[1].tobytes()


@pytest.fixture(autouse=True)
def strips_without_files(monkeypatch):
    """A strip of noise for each video, for there are no crops."""
    noise = np.random.default_rng(0).integers(0, 255, (56, 336, 3), np.uint8)
    jpeg = cv2.imencode(".jpeg", noise)[1].tobytes()
    monkeypatch.setattr(report, "strip_jpeg", lambda track, count, side: jpeg)


def page_of(num_videos=40, names=None, robustness=True, limits=(0.5, 0.5)) -> str:
    rng = np.random.default_rng(0)
    names = names or [f"video_{number:03d}_of_a_long_name.mp4" for number in range(num_videos)]
    labels = [number % 2 for number in range(len(names))]
    scores = np.clip(0.5 * np.array(labels) + 0.5 * rng.random(len(names)), 0.001, 0.999).tolist()
    videos = list(map(a_video, names, labels, scores))
    result = evaluate.all_metrics(videos, OperatingPoint(*limits))
    result["leak_warning"] = f"nobody knows {HOSTILE}"
    if robustness:
        result["robustness"] = [{"name": "clean", "roc_auc": 0.8, "log_loss": 0.4}]
    return report.as_html(Path("run/model.keras"), result, videos, {"ROC curve": png()})


class Checker(html.parser.HTMLParser):
    """Keeps the tags that are open, the names of all there were and what stood in their cells."""

    NEVER_CLOSED = frozenset({"meta", "img"})

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
    for heading in ("Metrics", "Charts", "Groups", "Robustness", "Videos"):
        assert heading in checker.data


def test_a_video_named_script_is_a_name():
    page = page_of(names=[HOSTILE, 'b" onclick="x.mp4', "c.mp4", "d\ud800.mp4"])
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "<script" not in page
    assert HOSTILE in checker.data
    assert 'b" onclick="x.mp4' in checker.data
    page.encode("utf-8")


def test_the_page_says_how_many_videos_get_which_verdict():
    text = page_of(limits=(0.6, 0.4))
    for words in ("a score of 0.6 or more", "a score in between", "a score below 0.4"):
        assert words in text


@pytest.mark.slow
def test_thousands_of_videos_are_a_page_of_bounded_size():
    page = page_of(num_videos=report.MAX_VIDEOS + 500)
    assert page.count('<tr role="row">') == 1 + report.MAX_VIDEOS
    assert f"The first {report.MAX_VIDEOS} of {report.MAX_VIDEOS + 500}" in page
    assert page.count("image/jpeg") == report.MAX_STRIPS
    assert len(page) < 8_000_000


def test_one_class_without_robustness_is_a_page_too():
    page = page_of(names=["a.mp4"], robustness=False)
    assert "Robustness" not in page
    assert "needs real and fake videos" in page


# In a browser


@pytest.fixture(scope="module")
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip("no Chromium to show the report in: apt-get install chromium")


def shown(browser, page, folder):
    """Return the document as the browser has it after its scripts have run."""
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom")
    more = (f"--user-data-dir={folder / 'profile'}", "--window-size=1400,3000")
    command = [browser, *flags, *more, "--virtual-time-budget=2000", f"file://{page}"]
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()


@pytest.mark.thorough
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_the_page_no_wider_than_the_window(browser, tmp_path, width):
    # The page lets no script run: a copy without the policy measures itself. It does so in a frame,
    # because a window is never narrower than 500 pixels.
    text = re.sub(r"<meta http-equiv[^>]*>", "", page_of(names=[HOSTILE, "b.mp4"]))
    measure = "parent.postMessage([innerWidth, document.documentElement.scrollWidth], '*')"
    copy = text.replace("</body>", f"<script>{measure}</script></body>")
    (tmp_path / "copy.html").write_text(copy, encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<title></title><script>onmessage = event => document.title = event.data</script>"
        f'<iframe src="copy.html" width="{width}" height="3000" style="border: 0"></iframe>'
    )
    measured = shown(browser, frame, tmp_path)
    assert re.search(r"<title>(.*)</title>", measured)[1] == f"{width},{width}"
