"""One question at a time, asked in a thread of its own: an answer that takes long does not hold up who asks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """An abandoned question would stay in llama-server's queue: so the next is asked only when this one is over."""

    def __init__(self, ask: Callable[[], Answer | None]) -> None:
        self._ask = ask
        self._thread: threading.Thread | None = None
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()

    def answer(self, seconds: float) -> Answer | None:
        """Ask, if nothing is asked yet, and wait for so many seconds. None: not yet, or what the question gave."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        try:
            answer = self._answers.get(timeout=seconds) if seconds else self._answers.get_nowait()
        except queue.Empty:
            return None
        self._thread = None
        return answer

    def _run(self) -> None:
        answer = None
        try:
            answer = self._ask()
        finally:
            self._answers.put(answer)
