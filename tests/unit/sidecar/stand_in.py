"""Stands in for llama-server's client: answers by path, and remembers what was asked."""

from __future__ import annotations

from typing import Any

from llama_operator.sidecar.client import Client, Reply


class StandIn(Client):
    """`replies`: for each path what is answered, one after the other, the last again and again."""

    def __init__(self, **replies: list[Reply | None]) -> None:
        self.replies = replies
        self.asked: list[tuple[str, Any]] = []

    def ask(self, path: str, seconds: float, question: object = None) -> Reply | None:
        self.asked.append((path, question))
        left = self.replies[path.strip("/")]
        return left.pop(0) if len(left) > 1 else left[0]


def metrics(*, decoded: int = 0, processing: int = 0, deferred: int = 0) -> Reply:
    values = {"n_decode_total": decoded, "requests_processing": processing, "requests_deferred": deferred}
    return Reply(200, "".join(f"llamacpp:{name} {value}\n" for name, value in values.items()).encode())
