"""The web UI in a real browser: type a message, read the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as seen
from selenium.webdriver.support.wait import WebDriverWait

from demo import chat
from ground.paths import STATE
from models.tiny_gguf import REPLY
from tests.e2e.browser import chromium
from tests.e2e.routes import Route
from tests.e2e.test_endpoints import reachable
from tests.e2e.witness import Model

pytestmark = pytest.mark.e2e

SCREENSHOT = STATE / "e2e" / "webui-failed.png"


def test_a_chat_in_the_browser(served: Model, routes: dict[str, Route], tmp_path: Path) -> None:
    reachable(routes["ingress"])
    host = served.read()["spec"]["ingress"]["host"]
    with chromium(tmp_path / "profile") as browser:
        browser.get(f"http://{host}:{chat.ingress_port()}/")
        try:
            _chat(browser)
        except Exception:
            SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
            browser.save_screenshot(str(SCREENSHOT))
            raise


def _chat(browser: Chrome) -> None:
    wait = WebDriverWait(browser, 30)
    box = wait.until(seen.element_to_be_clickable((By.TAG_NAME, "textarea")))
    box.send_keys("What do you know?", Keys.ENTER)
    wait.until(seen.text_to_be_present_in_element((By.TAG_NAME, "body"), REPLY), f"{REPLY!r} did not appear")
