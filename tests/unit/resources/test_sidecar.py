"""The sidecar's container, and what the kubelet asks it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llama_operator.api import sidecar as api
from llama_operator.resources import build, probes, sidecar
from llama_operator.resources.probes import START_SECONDS
from tests.unit.resources.models import CONFIG, expand, model


def request(**spec: Any) -> api.Request:
    """What the sidecar is told, as it reads it."""
    (argument,) = sidecar.container(model(**spec), "image")["args"]
    return msgspec.json.decode(expand(argument, {}), type=api.Request)


def template(**spec: Any) -> Any:
    return next(c for c in build(model(**spec), CONFIG) if c["kind"] == "Deployment")["spec"]["template"]["spec"]


def test_it_starts_together_with_the_server_when_all_is_staged() -> None:
    """The server is first: tools of Kubernetes that are not told which container take that one."""
    (stage,), (server, watcher) = template()["initContainers"], template()["containers"]
    assert [c["name"] for c in (stage, server, watcher)] == ["stage", "llama-server", "sidecar"]
    assert watcher["image"] == stage["image"]


def test_it_sees_the_server_and_has_no_probe_that_could_take_it_down() -> None:
    pod = template()
    assert pod["shareProcessNamespace"] is True
    assert not [key for key in pod["containers"][1] if key.endswith("Probe")]


@pytest.mark.parametrize(
    ("spec", "waiting", "computing"),
    [
        ({}, 40, 3600),
        ({"accelerator": {"type": "cuda"}}, 180, 300),
    ],
)
def test_patience_is_by_what_it_computes_on(spec: Any, waiting: float, computing: float) -> None:
    assert (request(**spec).waiting, request(**spec).computing) == (waiting, computing)


def test_who_wakes_may_load_as_long_as_who_starts() -> None:
    """It answers nothing that tells progress meanwhile, from a slow volume for many minutes."""
    cuda = {"accelerator": {"type": "cuda"}, "image": "server:1"}
    assert request(**cuda, engine={"idleSleep": "30m"}).computing == START_SECONDS
    assert request(engine={"idleSleep": "30m"}).computing == 3600


@pytest.mark.parametrize(
    ("engine", "mode"),
    [
        ({}, "chat"),
        ({"mode": "embedding"}, "embedding"),
        ({"mode": "rerank"}, "rerank"),
    ],
)
def test_it_asks_for_what_the_server_does(engine: Any, mode: str) -> None:
    assert request(engine=engine).mode == mode


@pytest.mark.parametrize(("grace", "seconds"), [(300, 285), (30, 15), (20, 10), (1, 0.5)])
def test_a_drain_ends_before_the_pod_must(grace: int, seconds: float) -> None:
    spec: dict[str, Any] = {"pod": {"terminationGracePeriodSeconds": grace}}
    assert request(**spec).drain == seconds
    assert template(**spec)["terminationGracePeriodSeconds"] == grace


def test_it_has_the_servers_keys_and_none_of_its_variables() -> None:
    closed: dict[str, Any] = {"auth": {"generate": True}}
    built = sidecar.container(model(engine={"env": [{"name": "LD_PRELOAD", "value": "/x"}]}, **closed), "image")
    assert built["volumeMounts"] == [{"name": "api-keys", "mountPath": "/api-keys", "readOnly": True}]
    assert "env" not in built
    assert request(**closed).key_file == "/api-keys/keys"


def test_without_keys_it_has_no_mount() -> None:
    assert sidecar.container(model(), "image")["volumeMounts"] == []
    assert request().key_file == ""


def test_a_path_is_passed_on_as_it_is() -> None:
    assert request(ingress={"host": "a", "path": "/m/x"}).prefix == "/m/x"


@pytest.mark.parametrize("path", ["/", "/m/x"])
def test_only_start_and_end_depend_on_the_sidecar(path: str) -> None:
    """A sidecar that is gone must not take a server with it that works."""
    asked = probes.probes(model(ingress={"host": "a", "path": path}))
    assert asked["startupProbe"]["httpGet"] == {"path": "/startz", "port": 8082}
    assert asked["lifecycle"]["preStop"]["httpGet"] == {"path": "/drain", "port": 8082}
    server = {"httpGet": {"path": "/health", "port": "http"}} if path == "/" else {"tcpSocket": {"port": "http"}}
    for kind in ("readinessProbe", "livenessProbe"):
        assert asked[kind].items() >= server.items()


def test_loading_may_take_as_long_whether_or_not_the_sidecar_holds_its_answer() -> None:
    """A no that is held takes a period, and so does one that comes at once: the kubelet waits for the next one."""
    asked = probes.probes(model())["startupProbe"]
    assert asked["periodSeconds"] == api.START_WAIT_SECONDS < asked["timeoutSeconds"]
    assert asked["periodSeconds"] * asked["failureThreshold"] == probes.START_SECONDS == 1800


def test_a_container_that_was_given_up_is_not_drained() -> None:
    asked = probes.probes(model())
    assert {asked[f"{kind}Probe"]["terminationGracePeriodSeconds"] for kind in ("startup", "liveness")} == {10}
