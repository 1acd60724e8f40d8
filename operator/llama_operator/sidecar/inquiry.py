"""How llama-server is asked for its activity: by /slots, by /metrics, or not at all."""

from __future__ import annotations

from llama_operator.sidecar import activity
from llama_operator.sidecar.client import Client
from llama_operator.sidecar.judge import Activity
from llama_operator.sidecar.question import Question

SECONDS = 600.0
"""An engine that cannot be disturbed while it computes answers when it has done so."""
SLEEPS = "--sleep-idle-seconds"


class Inquiry:
    """About one process. `tells`: whether it is known not to answer such questions; then /health alone is judged."""

    def __init__(self, client: Client, arguments: tuple[str, ...]) -> None:
        self._client = client
        self._paths = ["/metrics"] if SLEEPS in arguments else ["/slots", "/metrics"]
        self._question = Question(self._ask)

    @property
    def tells(self) -> bool:
        return bool(self._paths)

    def activity(self, seconds: float) -> Activity | None:
        """Wait for an answer for so many seconds, or go on waiting for the one that was asked for before."""
        return self._question.answer(seconds) if self.tells else None

    def _ask(self) -> Activity | None:
        path = self._paths[0]
        reply = self._client.ask(path, SECONDS)
        if reply is None or reply.status == 0:
            return None
        read = activity.of_slots if path == "/slots" else activity.of_metrics
        found = read(reply.body) if reply.status == 200 else None
        if found is None:
            self._paths.pop(0)
        return found
