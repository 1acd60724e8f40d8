"""One API server for the whole folder, with the controllers that collect garbage, and a world in it per sequence."""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from kubernetes import config

from ground import apiserver
from tests.integration.engine.operator_process import eventually
from tests.integration.engine.proxy import Proxy
from tests.integration.property.cluster import Cluster
from tests.integration.property.steps import Sequence
from tests.integration.property.world import World
from tests.integration.server import Server

CRD = Path("crds/llama-operator.dev_llamamodels.yaml")

POPULATED_SECONDS = 100.0
"""For a new namespace to get its service account; the sequence before may have restarted the controllers."""

Play = Callable[..., None]
"""Plays a sequence; with `then`, so many seconds of silence afterwards."""


class Stage:
    """Where sequences are played, one after the other, each in a namespace and with an operator of its own."""

    def __init__(self, api: apiserver.Server, server: Server) -> None:
        self.api = api
        self.server = server
        self.counts: Counter[str] = Counter()

    def play(self, sequence: Sequence, then: float = 0.0) -> None:
        with self._cluster() as cluster, tempfile.TemporaryDirectory() as folder, Proxy(self.api.kubeconfig) as proxy:
            world = World(self.api, cluster, proxy, Path(folder))
            try:
                world.play(sequence)
                if then:
                    world.watch_silence(then)
            except BaseException:
                print(f"{sequence}\n{world.log.read_text()}")
                raise
            finally:
                world.end()
                self.counts += world.counts + proxy.seen + Counter(sequences=1)

    @contextmanager
    def _cluster(self) -> Iterator[Cluster]:
        name = f"test-property-{uuid.uuid4().hex[:8]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}  # a pod that asks for more is not let in
        self.server("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        cluster = Cluster(self.server, name)

        def populated() -> None:
            assert cluster.find("ServiceAccount", "default"), "no pod would be let in"

        eventually(populated, POPULATED_SECONDS)
        yield cluster
        self.server("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The CRD is there before the garbage collector starts, which looks for new kinds only every 30 s."""
    with ExitStack() as stack:
        servers: list[Server] = []

        def serve_our_kind(api: apiserver.Server) -> None:
            witness = config.new_client_from_config(str(api.kubeconfig))  # type: ignore[no-untyped-call]
            servers.append(Server(stack.enter_context(witness)))
            _install(servers[0])

        api = stack.enter_context(apiserver.running(controllers=True, before_controllers=serve_our_kind))
        stage = Stage(api, servers[0])
        yield stage
        print("", *(f"{count:6} {name}" for name, count in stage.counts.most_common()), sep="\n")


@pytest.fixture
def play(stage: Stage) -> Play:
    return stage.play


def _install(server: Server) -> None:
    """Our CRD, and wait until it is served."""
    manifest = yaml.safe_load(CRD.read_text())
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}"
    server("APPLY", path, manifest)

    def established() -> None:
        conditions = server("GET", path)["status"].get("conditions") or []
        assert any(c["type"] == "Established" and c["status"] == "True" for c in conditions), conditions

    eventually(established)
