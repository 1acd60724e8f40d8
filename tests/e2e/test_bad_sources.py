"""A source that is no good: its own reason in the conditions, an event, and never a running server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Object, Witness, eventually

pytestmark = pytest.mark.e2e

WRONG = "0" * 64
HUB = {"repo": "private/model", "file": "tiny.gguf"}
NAMES = ("digest", "absent", "truncated", "page", "no-token", "quantization", "projector", "adapter", "memory")


def _specs(server: FileServer) -> dict[str, tuple[Object, str, str]]:
    """By name of the model: its spec, and the reason that must be told with these words."""
    good = server.source()
    absent = {"url": {"url": f"{server.address}/files/absent.gguf"}}
    quantized = {"repo": "public/model", "quantization": "Q4_K_M", "endpoint": server.address}
    adapter = {"name": "style", "source": good}
    return {
        "digest": ({"source": server.source("tiny.gguf", sha256=WRONG)}, "DigestMismatch", good["url"]["sha256"]),
        "absent": ({"source": absent}, "NotFound", "spec.source"),
        "truncated": ({"source": server.source("truncated.gguf", sha256=None)}, "Truncated", "spec.source"),
        "page": ({"source": server.source("page.gguf", sha256=None)}, "NotGGUF", "spec.source"),
        "no-token": ({"source": {"huggingFace": HUB | {"endpoint": server.address}}}, "Unauthorized", "tokenSecretRef"),
        "quantization": ({"source": {"huggingFace": quantized}}, "NotFound", "there are F16, Q8_0"),
        "projector": (
            {"source": good, "projector": {"source": good}},
            "InvalidSource",
            "spec.projector.source: holds a model",
        ),
        "adapter": (
            {"source": good, "adapters": [adapter]},
            "InvalidSource",
            "spec.adapters[0].source: holds a model",
        ),
        "memory": (
            {"source": good, "resources": {"limits": {"memory": "20Mi"}}},
            "MemoryTooSmall",
            "and the limit is 20.0 MiB; raise the limit to ",
        ),
    }


@pytest.fixture(scope="module")
def models(witness: Witness, files_in_cluster: FileServer) -> Iterator[dict[str, Model]]:
    """All of them at once, so that the tests wait for the slowest instead of for each."""
    made = {}
    for name, (spec, _, _) in _specs(files_in_cluster).items():
        made[name] = Model(witness, files_in_cluster.namespace, f"bad-{name}")
        made[name].apply(**spec)
    yield made
    for model in made.values():
        model.delete()


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_source_is_told_and_never_served(
    name: str, models: dict[str, Model], files_in_cluster: FileServer
) -> None:
    model, (_, reason, words) = models[name], _specs(files_in_cluster)[name]
    staged = model.wait("Staged", reason)
    ready, stalled = model.condition("Ready"), model.condition("Stalled")
    assert (staged["status"], ready["status"], stalled["status"]) == ("False", "False", "True")
    assert ready["reason"] == stalled["reason"] == reason
    assert words in staged["message"], "a person is told what is wrong"

    def told() -> None:
        assert [e["type"] for e in model.events() if e["reason"] == reason] == ["Warning"]

    eventually(told, timeout=10)
    for pod in model.pods():
        servers = pod["status"].get("containerStatuses", [])
        assert [s["state"] for s in servers if s["state"].get("running") or s.get("lastState")] == []
    # Kubernetes leaves an endpoint out, or marks it as not ready.
    slices = model.children("EndpointSlice")
    assert [e for s in slices for e in s.get("endpoints") or [] if e["conditions"].get("ready")] == []


def test_a_mended_source_becomes_ready(models: dict[str, Model], files_in_cluster: FileServer) -> None:
    model = models["absent"]
    model.wait("Staged", "NotFound")
    model.apply(source=files_in_cluster.source())
    status = model.ready()
    assert {c["type"] for c in status["conditions"]} == {"Ready", "Staged", "Available", "Exposed"}
