"""One real request, before anybody else's: /health of a server that cannot compute is 200 as well."""

from __future__ import annotations

from llama_operator.api.sidecar import Mode
from llama_operator.sidecar import activity
from llama_operator.sidecar.client import Client, Reply

SECONDS = 1800.0
"""For the answer: the first one of a large model on a slow disk takes minutes, and to ask again would not help."""
NOT_SUPPORTED = 501

_QUESTIONS: dict[Mode, tuple[str, dict[str, object]]] = {
    "chat": ("/completion", {"prompt": "Hello", "n_predict": 1, "cache_prompt": False}),
    "embedding": ("/embedding", {"content": "Hello"}),
    "rerank": ("/rerank", {"query": "Hello", "documents": ["Hello"]}),
}


def smoke(client: Client, mode: Mode) -> str:
    """Empty if it has answered one, now or before the sidecar was started; else what is wrong, without any of the
    server's own words, which everybody can read."""
    metrics = client.ask("/metrics", SECONDS)
    if metrics and metrics.status == 200 and activity.has_worked(metrics.body):
        return ""
    path, question = _QUESTIONS[mode]
    return problem(client.ask(path, SECONDS, question), mode)


def problem(reply: Reply | None, mode: Mode) -> str:
    """A refusal is an answer: of a key that nobody has told us, of an endpoint that it lacks."""
    if reply is None:
        return f"no answer to a first {mode} request within {SECONDS:.0f} s"
    if reply.status == 0:
        return f"the connection was closed at a first {mode} request"
    if reply.status >= 500 and reply.status != NOT_SUPPORTED:
        return f"a first {mode} request was answered with HTTP {reply.status}"
    return ""
