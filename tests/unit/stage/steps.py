"""Stop a stager or a collector at any of its changes to the volume: to kill it there, or to let another one run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHANGES = ("open", "mkdir", "rename", "replace", "rmdir", "symlink", "unlink", "utime")


class Killed(BaseException):
    """Not an Exception: nothing handles it, as nothing handles kill -9."""


class Steps:
    """Counts the changes of one process. Before the one with the number `at` (from 0), `action` runs; if that raises
    Killed, the process is dead, and every further change raises it again."""

    def __init__(self, at: int, action: Callable[[], None]) -> None:
        self._left, self._action = at, action
        self._dead = self._elsewhere = False

    def before(self) -> None:
        if self._elsewhere:
            return
        if self._dead:
            raise Killed
        self._left -= 1
        if self._left == -1:
            self._elsewhere = True
            try:
                self._action()
            except Killed:
                self._dead = True
                raise
            finally:
                self._elsewhere = False


@contextmanager
def stopped(at: int, action: Callable[[], None]) -> Iterator[Steps]:
    steps = Steps(at, action)
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, _stepping(getattr(os, name), steps))
        yield steps


def _stepping(original: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    def step(*arguments: Any, **options: Any) -> Any:
        steps.before()
        return original(*arguments, **options)

    return step


def kill() -> None:
    raise Killed


def blocked(seconds: float) -> None:
    """The pause of a process that waits for one which does not go on: it may as well be dead."""
    raise Killed
