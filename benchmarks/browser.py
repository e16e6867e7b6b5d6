"""The page of app.py in the Chromium of the system, for tests and for the pictures in the README.

with served_page() as address, Browser(width=360, dark=True) as browser:
    browser.open(address)
    browser.drop([video])
    browser.wait_for_verdicts(1)
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
DRIVER = shutil.which("chromedriver") or ""
PATIENCE_SEC = 120.0


@contextlib.contextmanager
def served_page(*words: str, temporary_folder: Path | None = None) -> Iterator[str]:
    """Run app.py at a free port, and yield its address."""
    environment = os.environ | ({"TMPDIR": str(temporary_folder)} if temporary_folder else {})
    command = [sys.executable, "app.py", "--port", "0", "--no-browser", *words]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            printed = iter(process.stdout.readline, "")
            yield next(
                found[0] for line in printed if (found := re.search(r"http://[\d.]+:\d+", line))
            )
        finally:
            process.terminate()
            process.wait(30)


class Browser:
    """A tab of a browser that reaches nothing but this machine, and notes what it asks for."""

    def __init__(self, width: int = 1280, height: int = 1000, dark: bool = False):
        self._size, self._dark = (width, height), dark
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            # A camera that shows a test picture, and may be used without asking.
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
        ):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options, Service(DRIVER))
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[theme])
        self._resize(height)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: object) -> None:
        self.driver.quit()

    def open(self, address: str) -> None:
        self.driver.get(address)
        # The parts of the page come one by one on a busy machine.
        self.wait(lambda: self.all("input[type=file]") and self.all("#cancel, #shown")[1:])

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector
        )

    def drop(self, paths: Sequence[Path]) -> None:
        self.one("input[type=file]").send_keys("\n".join(map(str, paths)))

    def click(self, selector: str) -> None:
        """Click on what a person would: the element, scrolled into view."""
        element = self.one(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        self.wait(lambda: element.is_enabled())
        self.driver.execute_script("arguments[0].click()", element)

    def wait(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_SEC
        while not condition():
            assert time.monotonic() < end, self.text("body")[:2000]
            time.sleep(0.1)

    def wait_for_verdicts(self, number: int) -> None:
        self.wait(lambda: len(self.all("#results input[type=radio]")) == number)
        self.wait(lambda: not self.one("#cancel").is_enabled())

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for."""
        messages = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        return [
            message["message"]["params"]["request"]["url"]
            for message in messages
            if message["message"]["method"] == "Network.requestWillBeSent"
        ]

    def page_width(self) -> int:
        return self.driver.execute_script("return document.documentElement.scrollWidth")

    def save_picture(self, path: Path, height: int | None = None, top: str = "body") -> None:
        """Save a picture of the page, from an element on; without a height of all of it."""
        all_of_it = "return document.documentElement.scrollHeight"
        self._resize(height or self.driver.execute_script(all_of_it))
        self.driver.execute_script("document.querySelector(arguments[0]).scrollIntoView()", top)
        time.sleep(0.7)  # until it is laid out
        self.driver.save_screenshot(str(path))
        self._resize(self._size[1])

    def _resize(self, height: int) -> None:
        width = self._size[0]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._command("Emulation.setDeviceMetricsOverride", **metrics)

    def _command(self, name: str, **parameters: object) -> None:
        self.driver.execute_cdp_cmd(name, parameters)
