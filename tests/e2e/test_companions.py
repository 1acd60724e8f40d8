"""A model of several files: a split one, with an adapter and a draft model, in one server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from models.tiny_gguf import REPLY
from tests.e2e.conftest import FileServer
from tests.e2e.model_files import PARTS
from tests.e2e.routes import ThroughService
from tests.e2e.test_staging import says
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def model(witness: Witness, files_in_cluster: FileServer) -> Iterator[Model]:
    server, made = files_in_cluster, Model(witness, files_in_cluster.namespace, "companions")
    made.apply(
        source={"url": {"url": f"{server.address}/files/{PARTS[0]}"}},
        adapters=[{"name": "style", "source": server.source("adapter.gguf"), "scale": "0.5"}],
        draft={"source": server.source()},
    )
    made.ready()
    yield made
    made.delete()


@pytest.fixture(scope="module")
def route(model: Model, files_in_cluster: FileServer) -> ThroughService:
    return ThroughService(model.read()["status"]["url"], files_in_cluster.namespace, files_in_cluster.pod())


def files(model: Model) -> dict[str, Object]:
    return {file["role"]: file for file in model.read()["status"]["files"]}


def test_a_split_model_is_one_model(model: Model, route: ThroughService, files_in_cluster: FileServer) -> None:
    server = files_in_cluster
    eventually(lambda: says(route, REPLY), timeout=30)
    told = files(model)["model"]
    whole = sum(len(server.content[part]) for part in PARTS)
    assert (told["parts"], told["bytes"], told["name"]) == (2, whole, "tiny-handmade")
    assert "sha256" not in told, "it has no digest of its own"

    def sent_once() -> None:
        assert [server.sent(f"/files/{part}") for part in PARTS] == [len(server.content[part]) for part in PARTS]

    eventually(sent_once, timeout=10)  # the server says so when its answer has ended, and the stager may be faster


def test_an_adapter_is_applied_with_its_scale(
    model: Model, route: ThroughService, files_in_cluster: FileServer
) -> None:
    told = files(model)["adapter/style"]
    assert told["sha256"] == files_in_cluster.source("adapter.gguf")["url"]["sha256"]
    adapters = eventually(lambda: route("/lora-adapters").json(), timeout=30)
    assert [(adapter["id"], adapter["scale"]) for adapter in adapters] == [(0, 0.5)]


def test_a_draft_model_drafts(model: Model, route: ThroughService, files_in_cluster: FileServer) -> None:
    assert files(model)["draft"]["sha256"] == files_in_cluster.source()["url"]["sha256"]
    eventually(lambda: says(route, REPLY), timeout=30)
    drafts = re.search(r"^llamacpp:spec_decode_num_drafts_total (\d+)", route("/metrics").text, re.MULTILINE)
    assert drafts is not None
    assert int(drafts[1]) > 0
