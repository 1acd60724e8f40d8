"""Waiting for what another process does: ask until it holds, never sleep and hope."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], timeout: float = 60, every: float = 0.2) -> T:
    """The first result of `check` that raises no AssertionError, within `timeout` seconds; asked every `every` seconds.

    The last error is raised when the time is over, so a failure says what was still wrong.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(every)
