"""A browser that opens pages from files, and hears what they say and ask for."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

NEEDED = (
    "these tests need the browser Chromium and its driver: install Debian's packages chromium and chromium-driver "
    "(apt-get install chromium chromium-driver), or put chromium and chromedriver on the PATH"
)

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1400,1000",
)


class Browser:
    """What tests ask of a browser."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, file: Path) -> None:
        """Open a page from its file."""
        self.driver.get(file.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, and give what it returns."""
        return self.driver.execute_script(script, *arguments)

    def tell(self, command: str, **parameters: Any) -> Any:
        """Tell the browser something in the words of its developer tools."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def prefer(self, scheme: str) -> None:
        """Be somebody who prefers ``light`` or ``dark`` pages."""
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def heard(self) -> list[str]:
        """Tell what pages said on the console, and asked for, since this was asked last."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return said + [request["request"]["url"] for request in asked]

    def picture(self, width: int, height: int) -> bytes:
        """Give a PNG of the upper part of the page in a window of that size."""
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return base64.b64decode(self.tell("Page.captureScreenshot")["data"])

    def forget(self) -> None:
        """Be as at first: prefer nothing, live here, run scripts."""
        self.tell("Emulation.setEmulatedMedia", media="", features=[])
        self.tell("Emulation.setTimezoneOverride", timezoneId="")
        self.tell("Emulation.setScriptExecutionDisabled", value=False)


@contextmanager
def started() -> Iterator[Browser]:
    """Start a browser; if there is none, the test is skipped, or fails in a run that judges a change."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail(NEEDED) if "CI" in os.environ else pytest.skip(NEEDED)
    options = ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        for argument in (*_ARGUMENTS, f"--user-data-dir={folder}"):
            options.add_argument(argument)
        with Chrome(options, Service(driver)) as chrome:
            browser = Browser(chrome)
            browser.driver.get("about:blank")
            browser.heard()  # what its own first page asked for
            yield browser
