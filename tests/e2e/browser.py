"""A conversation in a headless Chromium, driven by Selenium; both from Debian, installed where apt and root are there.

A program of its own, because a container's port may be in another network than the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as seen
from selenium.webdriver.support.wait import WebDriverWait

from ground.paths import REPO, STATE

SCREENSHOT = STATE / "e2e" / "webui-failed.png"
PATIENCE = 30
"""Seconds for the page to be there, and again for the answer."""

PACKAGES = ("chromium", "chromium-driver")
FLAGS = (
    "--headless",
    "--no-sandbox",  # its sandbox does not work as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


def shows_answer(url: str, reply: str, near: Sequence[str | Path] = ()) -> None:
    """Demand that the web UI at `url` takes a message and shows `reply`; `near` is a prefix of the browser's command.

    When it does not, `.ground/e2e/webui-failed.png` shows what was there instead.
    """
    _ensure()
    command = [*near, sys.executable, "-m", "tests.e2e.browser", url, reply]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"{done.stderr}\nsee {SCREENSHOT}"


def _ensure() -> tuple[str, str]:
    """Paths of Chromium and its driver. Raises RuntimeError where they are missing and cannot be installed."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(found) and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            subprocess.run(
                ["apt-get", "--quiet", *command], check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
        found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    chromium, driver = found
    if chromium is None or driver is None:
        raise RuntimeError(f"the test of the web UI needs {' and '.join(PACKAGES)}")
    return chromium, driver


@contextmanager
def _chromium(profile: str) -> Iterator[webdriver.Chrome]:
    binary, driver = _ensure()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        yield browser
    finally:
        browser.quit()


def main(url: str, reply: str) -> None:
    """Type a message, read the answer. Raises Selenium's TimeoutException when it does not appear."""
    with tempfile.TemporaryDirectory() as profile, _chromium(profile) as browser:
        browser.get(url)
        wait = WebDriverWait(browser, PATIENCE)
        try:
            box = wait.until(seen.element_to_be_clickable((By.TAG_NAME, "textarea")), "no field for a message")
            box.send_keys("What do you know?", Keys.ENTER)
            wait.until(seen.text_to_be_present_in_element((By.TAG_NAME, "body"), reply), f"{reply!r} did not appear")
        except Exception:
            SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
            browser.save_screenshot(str(SCREENSHOT))
            raise


if __name__ == "__main__":
    main(*sys.argv[1:])
