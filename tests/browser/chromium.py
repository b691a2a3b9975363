"""Headless Chromium, driven through what Debian's packages install; nothing is downloaded."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.selenium_manager import SeleniumManager

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
NEED = "ERASE_RAY_NEED_BROWSER"
"""Set to 1 where a missing browser is a failure, as in continuous integration."""
NOISE = ("INFO", "DEBUG")
DESKTOP, PHONE = 1200, 360
HEIGHT = 900
MOST_TABS = 600


def missing() -> str:
    """What has to be installed before a page can be opened; empty if all is there."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if not lacking:
        return ""
    names = " and ".join(lacking)
    return f"{names} not installed; on Debian: apt-get install chromium chromium-driver"


def need(environment: Mapping[str, str]) -> None:
    """Skip the test if a page cannot be opened; fail it where the environment says so."""
    if reason := missing():
        if environment.get(NEED) == "1":
            pytest.fail(f"{reason} ({NEED}=1)")
        pytest.skip(reason)


@contextlib.contextmanager
def started(folder: Path) -> Iterator["Browser"]:
    """A browser with a profile of its own in ``folder``, for as long as the block lasts."""
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeleniumManager, "binary_paths", _no_download)
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _no_download(*_: Any) -> Any:
    raise AssertionError("Selenium is about to look for a driver in the network")


class Browser:
    """One window, and what a person and a developer see of the page in it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver
        self.address, self.width = "", DESKTOP

    def open(
        self, page: Path, width: int = DESKTOP, scheme: str = "light", scripts: bool = True
    ) -> None:
        """Load a local file.

        Args:
            page: The file.
            width: Of the window, in CSS pixels.
            scheme: ``light`` or ``dark``, as the page is told that the reader prefers it.
            scripts: Whether scripts of the page are run.
        """
        self._command("Emulation.setScriptExecutionDisabled", value=False)
        self._driver.get("about:blank")
        self.messages()
        self.requests()
        size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self._command("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._command("Emulation.setEmulatedMedia", features=[feature])
        self._command("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.address, self.width = page.as_uri(), width
        self._driver.get(self.address)

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a JavaScript function returns."""
        return self._driver.execute_script(script, *arguments)

    def messages(self) -> list[str]:
        """Warnings, errors and uncaught exceptions since this was asked last."""
        entries = self._driver.get_log("browser")
        return [str(each["message"]) for each in entries if each["level"] not in NOISE]

    def requests(self) -> list[str]:
        """Addresses that were asked for since this was asked last, but for data inside the page."""
        entries = [json.loads(each["message"]) for each in self._driver.get_log("performance")]
        sent = [
            each["message"]["params"]["request"]["url"]
            for each in entries
            if each["message"]["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("data:", "about:"))]

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        ActionChains(self._driver).send_keys(key).perform()

    def tab_to(self, is_there: str) -> None:
        """Press Tab until a JavaScript expression holds of the focused ``element``.

        Raises:
            AssertionError: It never does.
        """
        for _ in range(MOST_TABS):
            self.press(Keys.TAB)
            if self.run(f"const element = document.activeElement; return Boolean({is_there});"):
                return
        raise AssertionError(f"Tab never reaches an element with {is_there}")

    def picture(self, path: Path) -> None:
        """Save what the window shows, for people."""
        self._driver.save_screenshot(str(path))

    def _command(self, name: str, **parameters: Any) -> None:
        self._driver.execute_cdp_cmd(name, parameters)
