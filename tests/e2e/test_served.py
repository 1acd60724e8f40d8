"""What llama-server says that it serves, in the status: as it is, and that it is not what was asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from models.tiny_gguf import CONTEXT
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

DEVICE = "example.com/gpu"


@pytest.fixture
def device(witness: Witness) -> Iterator[str]:
    """A resource that the nodes have one of, by their word; there is no such device."""
    nodes = [node["metadata"]["name"] for node in witness.core.list_node().to_dict()["items"]]

    def have(count: str | None) -> None:
        for node in nodes:
            witness.core.patch_node_status(
                node, {"status": {"capacity": {DEVICE: count}, "allocatable": {DEVICE: count}}}
            )

    have("1")
    yield DEVICE
    have(None)


def facts(model: Model) -> Object:
    """What it serves, once that is told."""

    def told() -> Object:
        status = model.ready()
        assert "served" in status, status
        return dict(status["served"])

    return eventually(told, timeout=60)


def test_it_is_what_the_engine_says(served: Model) -> None:
    found, status = facts(served), served.read()["status"]
    assert (found["contextSize"], found["slots"], found["contextTrained"]) == (512, 2, CONTEXT)
    assert found["parameters"] == status["model"]["parameters"], "the engine has what the stager has seen in the file"
    assert re.fullmatch(r"b\d+-\S+", found["build"])
    assert found["model"].endswith(".gguf")
    assert found["sha256"] == status["model"]["sha256"], "the kernel has mapped the file that the stager has verified"
    assert (found["architecture"], found["quantization"]) == ("llama", "F16")
    assert "devices" not in found
    assert status["state"] == "Ready"


def test_less_context_than_asked_is_told_until_that_is_corrected(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    model = new_model("capped")
    model.apply(source=files_in_cluster.source(), engine={"contextSize": 2 * CONTEXT})
    degraded = model.wait("Degraded", "ContextSmaller")
    assert f"a request may use {CONTEXT} tokens, asked for {2 * CONTEXT}" in degraded["message"]
    status = model.ready()
    assert (status["state"], status["served"]["contextSize"]) == ("Degraded: ContextSmaller", CONTEXT)
    assert [event["type"] for event in model.events() if event["reason"] == "ContextSmaller"] == ["Warning"]
    model.apply(source=files_in_cluster.source(), engine={"contextSize": CONTEXT})

    def corrected() -> None:
        status = model.ready()
        assert "Degraded" not in [c["type"] for c in status["conditions"]]
        assert status["state"] == "Ready"

    eventually(corrected, timeout=90)


def test_an_accelerator_that_is_not_used_is_told(
    new_model: Callable[[str], Model], files_in_cluster: FileServer, images: dict[str, str], device: str
) -> None:
    """As with a missing driver: llama-server says nothing to clients, and computes on the CPU."""
    model = new_model("unused")
    accelerator = {"type": "cuda", "resourceName": device}
    model.apply(source=files_in_cluster.source(), accelerator=accelerator, image=images["llama-server"])
    degraded = model.wait("Degraded", "AcceleratorUnused")
    assert f"asked for 1 {device}" in degraded["message"]
    assert model.ready()["state"] == "Degraded: AcceleratorUnused"
