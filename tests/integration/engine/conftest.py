from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from kubernetes import client

from tests.integration.engine.operator_process import PROGRAM, Operator
from tests.integration.engine.place import Place, Start
from tests.integration.engine.sidecar import Sidecar, own_address
from tests.integration.server import Server


@pytest.fixture
def place(crd: client.ApiClient) -> Iterator[Place]:
    server = Server(crd)
    namespace = f"test-engine-{uuid.uuid4().hex[:8]}"  # what is left of an earlier test or run must not count
    server.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    place = Place(server, namespace)
    yield place
    server("DELETE", place.models)
    server("DELETE", place.service.rpartition("/")[0])  # nobody collects them here, and cluster IPs are few


@pytest.fixture
def start(place: Place, kubeconfig: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts operators for the test's namespace; the log of a failing test is shown. Nothing in it may be a bug."""
    started: list[Operator] = []

    def starter(kubeconfig: Path = kubeconfig, program: Sequence[str] = PROGRAM, **env: str) -> Operator:
        log = tmp_path / f"operator-{len(started)}.log"
        started.append(Operator(kubeconfig, log, program, **{"WATCH_NAMESPACES": place.namespace, **env}))
        return started[-1]

    yield starter
    for operator in started:
        if operator.alive():
            operator.kill()
        print(operator.log.read_text())
    for operator in started:
        assert "this is a bug" not in operator.log.read_text()
        assert "Traceback" not in operator.log.read_text()


@pytest.fixture
def says() -> Iterator[Sidecar]:
    found = Sidecar(own_address())
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()
