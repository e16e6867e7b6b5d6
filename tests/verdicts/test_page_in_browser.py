"""The page as a person uses it: real Chromium, and nothing reachable but this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("selenium", reason="requirements-dev.txt is not installed")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="no Chromium with its driver (apt-get install chromium chromium-driver)",
    ),
]
PATIENCE_SEC = 300.0
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # A camera that shows a test picture, and may be used without asking.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)


class Tab:
    """A tab of a browser."""

    def __init__(self, address: str, width: int = 1280, dark: bool = False):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.driver = webdriver.Chrome(options, Service(DRIVER))
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[theme])
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
        self._command("Emulation.setDeviceMetricsOverride", **size)
        self.driver.get(address)
        self.wait(lambda: self.all("input[type=file]") and self.all("#cancel, #shown")[1:])

    def _command(self, name: str, **parameters: object) -> None:
        self.driver.execute_cdp_cmd(name, parameters)

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *values: object) -> object:
        return self.driver.execute_script(f"return {script}", *values)

    def text(self, selector: str) -> str:
        return self.run("document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def drop(self, *paths: object) -> None:
        self.all("input[type=file]")[0].send_keys("\n".join(map(str, paths)))

    def click(self, selector: str) -> None:
        self.wait(lambda: self.all(selector))
        self.run("arguments[0].click()", self.all(selector)[0])

    def wait(self, condition) -> None:
        end = time.monotonic() + PATIENCE_SEC
        while not condition():
            assert time.monotonic() < end, self.text("body")[:2000]
            time.sleep(0.1)

    def wait_for_verdicts(self, number: int) -> None:
        self.wait(lambda: len(self.all("#results input[type=radio]")) == number)

    def download_to(self, folder: object) -> None:
        self._command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for."""
        messages = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        return [
            message["message"]["params"]["request"]["url"]
            for message in messages
            if message["message"]["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "app.py", "--no-browser", "--upload-mb", "5"]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True
    ) as process:
        lines = iter(process.stdout.readline, "")
        yield next(found[0] for line in lines if (found := re.search(r"http://[^/]+", line)))
        process.terminate()


@pytest.fixture
def tab(address):
    tab = Tab(address)
    yield tab
    tab.driver.quit()


@pytest.fixture(scope="module")
def clips(sample_videos):
    return sorted(sample_videos.rglob("*.mp4"))[:2]


def test_videos_are_judged_explained_and_downloaded(tab, clips, tmp_path):
    tab.drop(*clips)
    tab.wait_for_verdicts(2)
    assert tab.text("#shown .badge") in {"FAKE", "REAL", "UNCERTAIN"}
    assert clips[1].name in tab.text("#shown h2")
    assert "Of 100 real videos" in tab.text("#shown")
    tab.click("#explain")
    tab.wait(lambda: tab.all("#shown .occlusion img"))
    tab.click("#careful button")
    tab.wait(lambda: tab.all("#careful input[type=range]"))
    tab.run(
        "['input', 'pointerup'].forEach(name => arguments[0].dispatchEvent("
        "new Event(name, {bubbles: true})), arguments[0].value = 50)",
        tab.all("#careful input[type=range]")[0],
    )
    tab.wait(lambda: "of 2 verdicts changed" in tab.text("#status"))
    tab.click("#results label:nth-of-type(2) input")
    tab.wait(lambda: clips[0].name in tab.text("#shown h2"))
    tab.wait(lambda: tab.run("[...document.querySelectorAll('video')].some(v => v.readyState)"))
    tab.download_to(tmp_path)
    tab.click("#copy a[download]")
    for name in ("HTML", "CSV", "JSON"):
        tab.run(
            "[...document.querySelectorAll('button')].find("
            "button => button.innerText.includes(arguments[0])).click()",
            name,
        )
    names = {f"{clips[0].name}_annotated.mp4", "verdict.html", "verdicts.csv", "verdicts.jsonl"}
    tab.wait(lambda: {path.name for path in tmp_path.iterdir()} == names)
    outside = [url for url in tab.requests() if not url.startswith("http://127.0.0.1")]
    assert [url for url in outside if not url.startswith(("blob:", "data:"))] == []


def test_what_cannot_be_judged_is_said_with_its_reason(tab, tmp_path):
    broken, nobody, large = (tmp_path / name for name in ("broken.mp4", "nobody.png", "large.mp4"))
    broken.write_bytes(b"no video at all")
    cv2.imwrite(str(nobody), np.full((200, 200, 3), 90, np.uint8))
    tab.drop(broken, nobody)
    tab.wait_for_verdicts(2)
    tab.wait(lambda: tab.text("#shown .badge") == "NO FACE")
    assert "No face in its only frame" in tab.text("#shown")
    tab.click("#results label:nth-of-type(2) input")
    tab.wait(lambda: tab.text("#shown .badge") == "UNREADABLE")
    assert "text, not a video" in tab.text("#shown").lower()
    large.write_bytes(bytes(6 * 2**20))
    tab.drop(large)
    tab.wait(lambda: "exceed" in tab.text("body").lower())


def test_work_can_be_cancelled_in_the_middle(tab, clips):
    tab.drop(*clips)
    tab.wait(lambda: "looking for faces" in tab.text("#status"))
    assert not tab.all("#status .eta-bar, #status .generating"), "a bar that is full at the start"
    tab.click("#cancel")
    tab.wait(lambda: "Cancelled" in tab.text("#status"))
    before = len(tab.all("#results input[type=radio]"))
    assert before < len(clips)
    tab.drop(clips[0])
    tab.wait_for_verdicts(before + 1)


def test_a_recording_from_the_camera_is_judged_as_it_came(tab):
    tab.click("button[role=tab]:nth-of-type(2)")
    tab.click("[title='grant webcam access'] button")
    record = "button[aria-label='start recording']"
    tab.click(record)
    time.sleep(1.5)
    tab.click(record)
    tab.wait_for_verdicts(1)
    assert tab.text("#shown .badge") == "NO FACE", "it shows a test picture"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_on_a_telephone_and_follows_light_and_dark(
    address, clips, tmp_path, width, dark
):
    tab = Tab(address, width, dark)
    tab.drop(shutil.copy(clips[0], tmp_path / f"{'a_long_name_' * 12}.mp4"))
    tab.wait_for_verdicts(1)
    tab.wait(lambda: tab.all("#shown .chart"))
    # The verdict comes to whoever waits for it.
    tab.wait(lambda: tab.run("document.querySelector('#shown').getBoundingClientRect().top") < 500)
    assert tab.run("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    colour = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, colour.strip("rgba()").split(",")[:3])) < 100) == dark
    unnamed = [
        field.get_attribute("outerHTML")[:100]
        for field in tab.all("input, button:not([tabindex='-1']), img:not([alt=''])")
        if not (field.accessible_name or field.get_attribute("type") == "file")
        and field.is_displayed()
    ]
    assert unnamed == []
    tab.driver.quit()
