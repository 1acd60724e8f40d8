"""A headless Chromium, driven by Selenium; both from Debian, installed on first use where apt and root are there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver

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


def ensure() -> tuple[str, str]:
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
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a new profile, which is closed after the block."""
    binary, driver = ensure()
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        yield browser
    finally:
        browser.quit()
