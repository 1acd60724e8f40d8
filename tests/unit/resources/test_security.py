"""Every pod that is generated conforms to the Pod Security Standard `restricted`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llama_operator.api.types import parse
from llama_operator.resources import build
from llama_operator.resources.collect import collect_job
from llama_operator.resources.job import stage_job
from tests.unit.resources.models import CONFIG, EXAMPLES, example, model, raw
from tests.unit.resources.pod_security import Object, violations


def pod_specs(manifest: Object) -> list[Object]:
    """Of the servers, and of the Job that stages."""
    deployment = next(child for child in build(parse(manifest), CONFIG) if child["kind"] == "Deployment")
    return [owner["spec"]["template"]["spec"] for owner in (deployment, stage_job(parse(manifest), CONFIG))]


def pod_spec(manifest: Object) -> Object:
    return pod_specs(manifest)[0]


def collector() -> Object:
    job = collect_job(namespace="default", claim_name="cache", live=(), as_of=0, need=0, bucket=0, config=CONFIG)
    spec: Object = job["spec"]["template"]["spec"]
    return spec


def containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_conform_to_restricted(path: Path) -> None:
    assert [violations(spec) for spec in pod_specs(example(path))] == [[], []]


def test_the_collector_conforms_to_restricted() -> None:
    assert violations(collector()) == []


def test_a_folder_of_the_node_is_all_that_does_not_conform() -> None:
    config = msgspec.structs.replace(CONFIG, node_paths=("/var/lib/llama-models",))
    cache = {"nodePath": "/var/lib/llama-models"}
    deployment = next(c for c in build(model(storage={"cache": cache}), config) if c["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert violations(spec) == ["volume type hostPath"]
    # Whatever is not there already would be made for root alone.
    assert spec["volumes"][0]["hostPath"] == {"path": "/var/lib/llama-models", "type": "Directory"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_more_than_restricted_asks(path: Path) -> None:
    for spec in [*pod_specs(example(path)), collector()]:
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for container in containers(spec):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


BREAKS: list[tuple[str, Any, str]] = [
    ("hostNetwork", True, "hostNetwork is set"),
    ("volumes", [{"name": "x", "hostPath": {"path": "/"}}], "volume type hostPath"),
    ("securityContext", {"runAsNonRoot": True}, "seccomp is not set"),
    ("securityContext", {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 0}, "pod: runAsUser is 0"),
    ("securityContext", {"seccompProfile": {"type": "Unconfined"}}, "pod: seccomp is Unconfined"),
    ("containers.securityContext", {}, "capabilities are not dropped"),
    ("containers.securityContext.privileged", True, "privileged"),
    ("containers.securityContext.runAsNonRoot", False, "runAsNonRoot"),
    ("containers.securityContext.allowPrivilegeEscalation", True, "allowPrivilegeEscalation"),
    ("containers.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "capabilities are added"),
    ("initContainers.securityContext.capabilities", {"drop": ["NET_RAW"]}, "capabilities are not dropped"),
    ("containers.ports", [{"containerPort": 1, "hostPort": 1}], "hostPort"),
    ("containers.livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 1}}, "a probe of another host"),
]


@pytest.mark.parametrize(("where", "value", "expected"), BREAKS, ids=lambda value: str(value)[:40])
def test_the_check_sees_what_it_should(where: str, value: Any, expected: str) -> None:
    """A check that finds nothing proves something only if it can find it."""
    spec = copy.deepcopy(pod_spec(raw()))
    *path, last = where.split(".")
    target: Any = spec
    for part in path:
        target = target[part][0] if isinstance(target[part], list) else target[part]
    target[last] = value
    assert any(expected in line for line in violations(spec))
