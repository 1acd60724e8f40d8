"""What goes on behind the writers, each in a thread of its own: the digest, and the flushing to the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Follower:
    """Calls `step` again and again while it says that there was something to do, and sleeps until `wake` if not.

    The first exception ends it and is handed to `failed`.
    """

    def __init__(self, name: str, step: Callable[[], bool], failed: Callable[[BaseException], None]) -> None:
        self._step, self._failed = step, failed
        self._woken, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        """Waits for what is due."""
        self._stopping = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._woken.wait()
                self._woken.clear()
                while self._step():
                    pass
                if self._stopping:
                    return
        except BaseException as error:
            self._failed(error)
