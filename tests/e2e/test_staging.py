"""Files arrive once, go on after an interruption, and are there before anything waits for them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from demo.cluster import kubectl
from models.tiny_gguf import REPLY
from tests.e2e import serve
from tests.e2e.conftest import FileServer
from tests.e2e.model_files import OTHER_REPLY
from tests.e2e.routes import Route, ThroughService
from tests.e2e.test_rollout import CHAT, kubectl_scale
from tests.e2e.witness import Model, eventually

pytestmark = pytest.mark.e2e

CLAIM = {"claim": {"size": "100Mi"}}


def says(route: Route, reply: str) -> None:
    answer = route("/v1/chat/completions", CHAT)
    assert answer.status == 200, answer
    assert answer.json()["choices"][0]["message"]["content"] == reply


def path(source: dict[str, dict[str, str]], server: FileServer) -> str:
    return source["url"]["url"].removeprefix(server.address)


def staging(model: Model, share: int) -> dict[str, int]:
    """The status' account of the download, once it has got this far (percent)."""

    def check() -> dict[str, int]:
        status = model.read().get("status", {})
        told = status.get("staging", {})
        assert told, status
        assert "total" in told, told
        assert 100 * told["bytes"] >= share * told["total"], told
        return dict(told)

    return eventually(check, timeout=90)


def sent_once(source: dict[str, dict[str, str]], server: FileServer) -> None:
    """The server says so when its answer has ended; the stager may be faster."""
    assert server.sent(path(source, server)) == serve.BIG


def serving(model: Model, server: FileServer) -> tuple[Route, str]:
    """It serves the small file from a volume: the way to it, and the uid of its pod."""
    model.apply(source=server.source(), storage=CLAIM)
    status = model.ready(timeout=120)
    return ThroughService(status["url"], server.namespace, server.pod()), model.pods()[0]["metadata"]["uid"]


def test_three_replicas_on_one_node_share_one_download(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("shared-download")
    source = server.big()
    source["url"]["url"] += "?three"
    model.apply(source=source, storage=CLAIM, replicas=3)
    status = model.ready(timeout=180)
    assert status["readyReplicas"] == 3
    eventually(lambda: sent_once(source, server), timeout=10)


def test_a_pod_deleted_while_it_stages_is_succeeded_by_one_that_goes_on(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("interrupted")
    source = server.big(held="interrupted")
    model.apply(source=source, storage=CLAIM)
    told = staging(model, share=45)
    assert told["total"] == serve.BIG
    state = model.read()["status"]["state"]
    assert re.fullmatch(r"Staging (4[5-9]|50)%", state)
    assert state in kubectl("get", "llama", model.name, "-n", model.namespace)

    first = model.pods()[0]["metadata"]
    model.witness.delete("Pod", first["name"], model.namespace)

    def another() -> None:
        assert [pod for pod in model.pods() if pod["metadata"]["uid"] != first["uid"]]
        assert model.witness.get("Pod", first["name"], model.namespace) is None

    eventually(another, timeout=90)
    staging(model, share=45)
    server.release("interrupted")
    status = model.ready(timeout=120)
    assert "staging" not in status
    assert status["state"] == "Ready"

    # What was on its way in sockets and buffers when the first pod died is all that may be sent twice.
    def all_told() -> None:
        assert server.sent(path(source, server)) >= serve.BIG

    eventually(all_told, timeout=10)  # the server says so when its answer has ended, and the stager may be faster
    assert server.sent(path(source, server)) <= 1.3 * serve.BIG


def test_a_new_source_is_staged_before_the_old_one_goes(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("staged-first")
    route, pod = serving(model, server)
    new = server.big("other.gguf", held="staged-first")
    model.apply(source=new, storage=CLAIM)
    staging(model, share=45)
    assert pod in [p["metadata"]["uid"] for p in model.pods()], "the old server is still there"
    says(route, REPLY)
    ready, available = model.condition("Ready"), model.condition("Available")
    assert (ready["status"], ready["reason"], available["status"]) == ("False", "Staging", "True")

    server.release("staged-first")
    model.ready(timeout=120)
    eventually(lambda: says(route, OTHER_REPLY), timeout=30)
    eventually(lambda: sent_once(new, server), timeout=10)
    eventually(lambda: _none(model, "Job"), timeout=30)


def _none(model: Model, kind: str) -> None:
    assert model.children(kind) == []


def test_a_new_source_that_is_no_good_leaves_the_old_server_running(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("kept")
    route, pod = serving(model, server)
    model.apply(source=server.source("page.gguf", sha256=None), storage=CLAIM)
    staged = model.wait("Staged", "NotGGUF", timeout=60)
    assert "until it is staged, the servers keep what they have" in staged["message"]
    assert model.condition("Stalled")["reason"] == "NotGGUF"
    assert model.condition("Available")["status"] == "True"
    says(route, REPLY)

    # Something else of the spec still gets through, and the way back costs nothing.
    model.apply(source=server.source(), storage=CLAIM)
    model.ready(timeout=60)
    assert pod in [p["metadata"]["uid"] for p in model.pods()], "nothing was rolled"
    eventually(lambda: _none(model, "Job"), timeout=30)


def test_a_model_is_staged_before_a_server_exists(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, model = files_in_cluster, new_model("prefetched")
    source = server.big()
    source["url"]["url"] += "?prefetch"
    model.apply(source=source, storage=CLAIM, replicas=0)
    model.wait("Staged", "Staged", timeout=120)
    status = model.read()["status"]
    assert model.condition("Ready")["reason"] == "ScaledToZero"
    assert status["model"]["sha256"] == source["url"]["sha256"]
    eventually(lambda: sent_once(source, server), timeout=10)

    kubectl_scale(model, 1)
    model.ready(timeout=120)
    eventually(lambda: sent_once(source, server), timeout=10)
