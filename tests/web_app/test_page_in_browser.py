"""The page as a person uses it: real Chromium, and nothing reachable but this machine."""

import time

import cv2
import numpy as np
import pytest

from deepfake_detector.scoring.trained_model import find_model, read_model_settings

browser = pytest.importorskip("benchmarks.browser", reason="selenium is not installed")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        not (browser.CHROMIUM and browser.DRIVER),
        reason="no Chromium with its driver (apt-get install chromium chromium-driver)",
    ),
]


@pytest.fixture(scope="module")
def address():
    with browser.served_page("--upload-mb", "5") as address:
        yield address


@pytest.fixture
def tab(address):
    with browser.Browser() as tab:
        tab.open(address)
        yield tab


@pytest.fixture(scope="module")
def clips(sample_videos):
    real, fake = sorted(sample_videos.rglob("*.mp4"))[:2]
    return real, fake


def test_a_real_and_a_fake_video_are_judged_explained_and_taken_away(tab, clips):
    tab.drop(clips)
    tab.wait_for_verdicts(2)
    badge = tab.text("#shown .badge")
    assert badge in {"FAKE", "REAL", "UNCERTAIN"}
    assert clips[1].name in tab.text("#shown h2")
    assert "Of 100 real videos" in tab.text("#shown")

    tab.click("#shown input[data-moment='0']")
    tab.wait(lambda: tab.all("#shown img[alt^='Map']"))
    focused = tab.driver.execute_script("return document.activeElement.dataset.moment")
    assert focused == "0", "the focus is lost"

    tab.click("#threshold button")
    tab.wait(lambda: tab.all("#point input"))
    tab.click("#point label:nth-of-type(2) input")
    settings = read_model_settings(find_model(None))
    threshold = settings["operating_points"]["fpr-5"]["threshold"]
    tab.wait(lambda: f"threshold {threshold:.3g}" in tab.text("#shown").lower())
    assert "before" in tab.text("#status") or "is now" in tab.text("#status")

    tab.click("#results label:nth-of-type(2) input")
    tab.wait(lambda: clips[0].name in tab.text("#shown h2"))
    video = tab.one("#shown video")
    tab.wait(lambda: tab.driver.execute_script("return arguments[0].readyState", video) >= 1)
    for link in tab.all("#tables a, #shown .copy a"):
        status = "return fetch(arguments[0]).then((answer) => answer.status)"
        assert tab.driver.execute_script(status, link.get_attribute("href")) in {200, 206}

    outside = [url for url in tab.requests() if not url.startswith(("http://127.0.0.1", "data:"))]
    assert [url for url in outside if not url.startswith("blob:")] == []


def test_what_cannot_be_judged_is_said_with_its_reason(tab, tmp_path):
    broken, nobody = tmp_path / "broken.mp4", tmp_path / "nobody.png"
    broken.write_bytes(b"no video at all")
    cv2.imwrite(str(nobody), np.full((200, 200, 3), 90, np.uint8))
    tab.drop([broken, nobody])
    tab.wait_for_verdicts(2)
    assert tab.text("#shown .badge") == "NO FACE"
    tab.click("#results label:nth-of-type(2) input")
    tab.wait(lambda: tab.text("#shown .badge") == "UNREADABLE")


def test_a_file_that_is_too_large_is_refused_and_the_page_goes_on(tab, clips, tmp_path):
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(6 * 2**20))
    tab.drop([large])
    tab.wait(lambda: "exceed" in tab.text("body").lower())
    assert tab.all("#results input[type=radio]") == []
    tab.open(tab.driver.current_url)
    tab.drop([clips[0]])
    tab.wait_for_verdicts(1)
    assert clips[0].name in tab.text("#shown h2")


def test_work_can_be_cancelled_in_the_middle(tab, clips):
    tab.drop(clips)
    tab.wait(lambda: tab.one("#cancel").is_enabled())
    tab.click("#cancel")
    tab.wait(lambda: "Cancelled" in tab.text("#status"))
    before = len(tab.all("#results input[type=radio]"))
    assert before < len(clips)
    tab.drop([clips[0]])
    tab.wait_for_verdicts(before + 1)
    assert "Cancelled" not in tab.text("#status")


def test_a_recording_from_the_camera_is_judged_as_it_came(tab):
    tab.click("button[role=tab]:nth-of-type(2)")
    tab.wait(lambda: tab.all("[title='grant webcam access'] button"))
    tab.click("[title='grant webcam access'] button")
    record = "button[aria-label='start recording']"
    tab.wait(lambda: tab.all(record))
    tab.click(record)
    time.sleep(1.5)
    tab.click(record)
    tab.wait_for_verdicts(1)
    assert tab.text("#shown .badge") == "NO FACE", "it shows a test picture"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_on_a_telephone_and_follows_light_and_dark(address, clips, width, dark):
    with browser.Browser(width=width, dark=dark) as tab:
        tab.open(address)
        tab.drop([clips[0]])
        tab.wait_for_verdicts(1)
        assert tab.page_width() <= width, "the page scrolls sideways"
        colour = tab.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        font = "return getComputedStyle(document.querySelector('#shown .chart text')).fontSize"
        # In units of the chart: it can be read on a narrow page, too.
        assert tab.driver.execute_script(font) == ("13px" if width == 360 else "10.5px")
        assert (max(map(int, colour.strip("rgba()").split(",")[:3])) < 100) == dark
        unnamed = [
            field.get_attribute("outerHTML")[:100]
            for field in tab.all("input, button:not([tabindex='-1']), video, img:not([alt=''])")
            if not (field.accessible_name or field.get_attribute("type") == "file")
            and field.is_displayed()
        ]
        assert unnamed == []
