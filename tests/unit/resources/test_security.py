"""Every pod that is generated conforms to the Pod Security Standard `restricted`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from llama_operator.api.types import parse
from llama_operator.resources import build
from tests.unit.resources.models import CONFIG, EXAMPLES, example, raw
from tests.unit.resources.pod_security import violations


def pod_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    deployment = next(child for child in build(parse(manifest), CONFIG) if child["kind"] == "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_conform_to_restricted(path: Path) -> None:
    assert violations(pod_spec(example(path))) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_more_than_restricted_asks(path: Path) -> None:
    spec = pod_spec(example(path))
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    for container in spec["initContainers"] + spec["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_server_cannot_change_the_model() -> None:
    mounts = {
        c["name"]: c["volumeMounts"][0] for kind in ("initContainers", "containers") for c in pod_spec(raw())[kind]
    }
    assert mounts["llama-server"]["readOnly"] is True
    assert "readOnly" not in mounts["stage"]


def test_an_existing_volume_is_never_written() -> None:
    spec = pod_spec(raw(source={"volume": {"claimName": "library", "path": "m.gguf"}}))
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "library", "readOnly": True}
    for container in spec["initContainers"] + spec["containers"]:
        assert container["volumeMounts"][0]["readOnly"] is True


def test_the_token_is_in_the_stager_alone() -> None:
    source = {"repo": "a/b", "file": "m.gguf", "tokenSecretRef": {"name": "hf", "key": "token"}}
    spec = pod_spec(raw(source={"huggingFace": source}))
    assert spec["initContainers"][0]["env"] == [
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}
    ]
    assert "env" not in spec["containers"][0]


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
