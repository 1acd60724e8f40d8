"""A version that does not come to answer: the old pods answer all the time, and the status says what was wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.routes import NoAnswerError, Route, ThroughIngress
from tests.e2e.witness import Model, Object, eventually

pytestmark = pytest.mark.e2e

CHAT: Object = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}
NOWHERE = "/there/is/no/template"
MISSING = "localhost/there-is-none:1"


@dataclass(frozen=True)
class Bad:
    """A change that the API server accepts; the reason and the words of what comes of it."""

    reason: str
    words: str
    spec: Object = field(default_factory=dict)
    file: str = "tiny.gguf"


BAD = {
    "template": Bad("ServerCrashed", NOWHERE, {"engine": {"args": ["--chat-template-file", NOWHERE]}}),
    "image": Bad("ImagePullFailed", MISSING, {"image": MISSING}),
    "file": Bad("NotGGUF", "page.gguf", file="page.gguf"),
}


@contextmanager
def asking(route: Route) -> Iterator[list[str]]:
    """Somebody asks, one question after the other; what went wrong is in the list."""
    troubles: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answer = route("/v1/chat/completions", CHAT)
                if answer.status != 200:
                    troubles.append(f"{answer.status}: {answer.text}")
            except NoAnswerError as error:
                troubles.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield troubles
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_version_is_rolled_back(
    name: str, new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    bad, model = BAD[name], new_model(f"rolled-back-{name}")
    host = {"ingress": {"host": f"{model.name}-{model.namespace}.{HOST_DOMAIN}"}}
    model.apply(source=files_in_cluster.source(), **host)
    status = model.ready()
    old = {pod["metadata"]["uid"] for pod in model.pods()}
    route = ThroughIngress(status["ingressURL"])

    def routed() -> None:
        assert route("/health").status == 200  # the ingress controller hears of a new host a moment later

    eventually(routed)
    with asking(route) as troubles:
        model.apply(source=files_in_cluster.source(bad.file), **host, **bad.spec)
        told = model.wait("Stalled", "RolledBack", timeout=300)
        assert bad.reason in told["message"]
        assert bad.words in told["message"]
        ready, available = model.condition("Ready"), model.condition("Available")
        assert (ready["status"], ready["reason"], available["status"]) == ("False", "RolledBack", "True")
        assert troubles == []

    def alone() -> None:
        assert {pod["metadata"]["uid"] for pod in model.pods()} == old

    eventually(alone)
    assert [event["type"] for event in model.events() if event["reason"] == "RolledBack"] == ["Warning"]

    model.apply(source=files_in_cluster.source(), **host, engine={"contextSize": 256})
    after = model.ready(timeout=180)
    assert after["state"] == "Ready"
    assert "Stalled" not in [condition["type"] for condition in after["conditions"]]
