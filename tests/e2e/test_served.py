"""What llama-server says that it serves, in the status: as it is, and that it is not what was asked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from models.tiny_gguf import CONTEXT
from tests.e2e.conftest import FileServer
from tests.e2e.witness import Model, Object, eventually

pytestmark = pytest.mark.e2e


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
