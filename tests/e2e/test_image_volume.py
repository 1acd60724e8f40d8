"""A file in an image, in a cluster whose API server takes image volumes out of every pod (Kubernetes 1.34)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models.tiny_gguf import REPLY
from tests.e2e.conftest import FileServer
from tests.e2e.routes import ThroughService
from tests.e2e.test_staging import says
from tests.e2e.witness import Model

pytestmark = pytest.mark.e2e

SOURCE = {"oci": {"image": "localhost/none:1", "path": "models/tiny.gguf"}}


def told(model: Model) -> None:
    """The reason, the field, and what is needed."""
    stalled = model.wait("Stalled", "ImageVolumeUnsupported")
    assert "spec.source.oci needs image volumes: Kubernetes 1.35" in stalled["message"]
    assert model.condition("Ready")["reason"] == "ImageVolumeUnsupported"


def test_it_is_told_and_the_server_that_runs_stays(
    new_model: Callable[[str], Model], files_in_cluster: FileServer
) -> None:
    server, model, new = files_in_cluster, new_model("to-image"), new_model("from-image")
    new.apply(source=SOURCE)
    model.apply(source=server.source())
    first = model.ready()
    pods = [pod["metadata"]["uid"] for pod in model.pods()]
    route = ThroughService(first["url"], server.namespace, server.pod())

    model.apply(source=SOURCE)
    told(model)
    told(new)
    assert new.pods() == []
    assert model.condition("Available")["status"] == "True"
    says(route, REPLY)

    model.apply(source=server.source())
    model.ready(timeout=30)
    assert [pod["metadata"]["uid"] for pod in model.pods()] == pods, "nothing was rolled"
