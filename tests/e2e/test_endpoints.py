"""The seven endpoints of llama-server that a client expects, through the Service and through the Ingress."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from models.tiny_gguf import REPLY
from tests.e2e.conftest import HOST_DOMAIN, FileServer, both_routes
from tests.e2e.routes import Answer, Route
from tests.e2e.witness import Model, eventually

pytestmark = pytest.mark.e2e

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(params=["service", "ingress"])
def route(request: pytest.FixtureRequest, routes: dict[str, Route]) -> Route:
    chosen = routes[request.param]
    reachable(chosen)
    return chosen


def reachable(route: Route) -> Answer:
    """Proxies learn about a new endpoint a moment after the API server does."""

    def check() -> Answer:
        answer = route("/health")
        assert answer.status == 200, answer
        return answer

    return eventually(check, timeout=30)


def test_health(route: Route) -> None:
    assert route("/health").json() == {"status": "ok"}


def test_models_lists_the_model_under_its_name(route: Route, served: Model) -> None:
    assert [entry["id"] for entry in route("/v1/models").json()["data"]] == [served.name]


def test_chat(route: Route) -> None:
    choice = route("/v1/chat/completions", CHAT).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (REPLY, "stop")


def test_chat_streams(route: Route) -> None:
    answer = route("/v1/chat/completions", {**CHAT, "stream": True})
    assert answer.type.startswith("text/event-stream")
    *parts, end = answer.events()
    deltas = [choice["delta"] for part in parts for choice in json.loads(part)["choices"]]
    assert end == "[DONE]"
    assert len(deltas) > 5, "the answer came in one piece"
    assert "".join(delta.get("content") or "" for delta in deltas) == REPLY


def test_completion(route: Route) -> None:
    answer = route("/v1/completions", {"prompt": "Hi", "max_tokens": 64})
    assert REPLY in answer.json()["choices"][0]["text"]


def test_props_tell_context_and_slots(route: Route) -> None:
    props = route("/props").json()
    assert (props["default_generation_settings"]["n_ctx"], props["total_slots"]) == (512, 2)


def test_tokenize_and_back(route: Route) -> None:
    text = "Any words, even Ünïcödé"
    tokens = route("/tokenize", {"content": text}).json()["tokens"]
    assert route("/detokenize", {"tokens": tokens}).json()["content"] == text


def test_web_ui_page(route: Route) -> None:
    _has_web_ui(route)


def _has_web_ui(route: Route) -> None:
    """The page is there, and so is the program that it loads."""
    page = route("/")
    assert (page.status, page.type.partition(";")[0]) == (200, "text/html")
    program = re.search(r'import\("\.(/[^"]+\.js)"\)', page.text)
    assert program, page.text
    assert route(program[1]).status == 200


def test_ingress_with_a_path_prefix(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    model = new_model("prefixed")
    host = f"prefixed-{model.namespace}.{HOST_DOMAIN}"
    model.apply(source=files_in_cluster.source(), ingress={"host": host, "path": "/teams/llm"})
    status = model.ready()
    assert status["ingressURL"] == f"http://{host}/teams/llm"
    for route in both_routes(model, files_in_cluster).values():
        reachable(route)
        assert route("/v1/chat/completions", CHAT).json()["choices"][0]["message"]["content"] == REPLY
        _has_web_ui(route)
