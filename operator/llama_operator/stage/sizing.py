"""What is known of the files' headers, and whether the memory limit can hold the model. Before anything is fetched and
once more when all is there: by then nothing is unknown."""

from __future__ import annotations

from llama_operator.api.staging import Engine, Memory
from llama_operator.stage.gguf.header import Header
from llama_operator.stage.memory import verdict
from llama_operator.stage.memory.estimate import estimate

MOST_PEEKS = 16
"""Headers that are fetched before their files: one for each part of a split model would be many requests."""


class Sizing:
    """`engine` is None if the request does not say how llama-server will be started: then nothing is told."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine
        self._headers: dict[str, list[Header]] = {}
        self._known, self._unknown = 0, 0

    @property
    def limited(self) -> bool:
        """Whether it is worth a request to learn of one more header before its file is there."""
        return self._engine is not None and self._engine.limit > 0 and self._known + self._unknown < MOST_PEEKS

    def know(self, role: str, header: Header | None) -> None:
        """One file more; None if its header is not known."""
        if header is None:
            self._unknown += 1
        else:
            self._known += 1
            self._headers.setdefault(role, []).append(header)

    def check(self) -> Memory | None:
        """Raises `Failure` (MemoryTooSmall) if the files that are known already need more than the limit."""
        if self._engine is None:
            return None
        found = estimate(self._headers, self._engine, missing=self._unknown > 0)
        verdict.check(found, self._engine)
        return found
