"""What a client expects of llama-server, through the Service and through the Ingress: with a host, a prefix, TLS."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models.tiny_gguf import REPLY
from tests import certificates
from tests.e2e import browser, server_check
from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.routes import Answer, Route
from tests.e2e.witness import Model, eventually

pytestmark = pytest.mark.e2e

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


def serves_everything(model: Model, files: FileServer, *options: str) -> None:
    """At the addresses that its status tells; `options` are for the way through the Ingress."""
    status = model.read()["status"]
    server_check.in_pod(status["url"], files.namespace, files.pod())
    server_check.through_ingress(status["ingressURL"], *options)


def test_everything(served: Model, files_in_cluster: FileServer) -> None:
    serves_everything(served, files_in_cluster)


def test_everything_behind_a_path_prefix(new_model: Callable[[str], Model], files_in_cluster: FileServer) -> None:
    model = new_model("prefixed")
    host = f"prefixed-{model.namespace}.{HOST_DOMAIN}"
    model.apply(source=files_in_cluster.source(), ingress={"host": host, "path": "/teams/llm"})
    assert model.ready()["ingressURL"] == f"http://{host}/teams/llm"
    serves_everything(model, files_in_cluster)
    browser.shows_answer(server_check.public(f"http://{host}/teams/llm/"), REPLY)


def test_everything_over_tls(new_model: Callable[[str], Model], files_in_cluster: FileServer, tmp_path: Path) -> None:
    model = new_model("secured")
    host = f"secured-{model.namespace}.{HOST_DOMAIN}"
    certificate = certificates.make(tmp_path, "secured", f"DNS:{host}")
    data = {"tls.crt": certificate.crt, "tls.key": certificate.key}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secured-certificate", "namespace": model.namespace},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(path.read_bytes()).decode() for name, path in data.items()},
    }
    model.witness.apply(secret)
    model.apply(source=files_in_cluster.source(), ingress={"host": host, "tls": {"secretName": "secured-certificate"}})
    assert model.ready()["ingressURL"] == f"https://{host}"
    serves_everything(model, files_in_cluster, "--ca", str(certificate.crt))


def test_web_ui_in_a_browser(served: Model, routes: dict[str, Route]) -> None:
    reachable(routes["ingress"])
    browser.shows_answer(server_check.public(served.read()["status"]["ingressURL"]), REPLY)


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


def test_models_lists_the_model_under_its_name(route: Route, served: Model) -> None:
    assert [entry["id"] for entry in route("/v1/models").json()["data"]] == [served.name]


def test_chat_streams_the_whole_answer(route: Route) -> None:
    answer = route("/v1/chat/completions", {**CHAT, "stream": True})
    *parts, _ = answer.events()
    deltas = [choice["delta"] for part in parts for choice in json.loads(part)["choices"]]
    assert len(deltas) > 5, "the answer came in one piece"
    assert "".join(delta.get("content") or "" for delta in deltas) == REPLY


def test_props_tell_context_and_slots(route: Route) -> None:
    props = route("/props").json()
    assert (props["default_generation_settings"]["n_ctx"], props["total_slots"]) == (512, 2)
