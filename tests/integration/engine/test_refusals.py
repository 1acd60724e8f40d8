"""What the operator may not do, and what it says about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.integration.engine.operator_process import eventually
from tests.integration.engine.place import FULL, SPEC, Place, Start


def test_a_foreign_object_of_a_childs_name_is_left_alone(place: Place, start: Start) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "m"}, "spec": {"ports": [{"port": 1}]}}
    theirs = place.server("POST", place.service.rpartition("/")[0], service)
    start().ready()
    place.model(SPEC)

    def told() -> None:
        stalled = place.condition("Stalled")
        assert stalled["reason"] == "NameConflict"
        assert "Service m exists already" in stalled["message"]

    eventually(told)
    assert place.get(place.service) == theirs
    assert place.reasons() >= {"NameConflict"}


def test_a_child_the_api_server_refuses_is_told_with_its_field(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model({**SPEC, "pod": {"nodeSelector": {"disk": "not a label value!"}}})

    def told() -> None:
        stalled = place.condition("Stalled")
        assert stalled["reason"] == "Invalid"
        assert "spec.template.spec.nodeSelector" in stalled["message"]

    eventually(told)
    operator.settle()
    refused = operator.writes()["apply", "Deployment"]
    with operator.reconciling():
        place.server("PATCH", place.service, {"metadata": {"annotations": {"some": "event"}}})
    assert operator.writes()["apply", "Deployment"] == refused == 1
    place.model(SPEC)

    def mended() -> None:
        conditions = place.get(f"{place.models}/m")["status"]["conditions"]
        assert "Stalled" not in [c["type"] for c in conditions]
        place.get(place.deployment)

    eventually(mended)


@pytest.fixture
def account(place: Place, kubeconfig: Path, tmp_path: Path) -> Path:
    """kubeconfig of a service account that may do what the chart lets the operator do, in this namespace alone."""
    name, rbac = "operator", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.namespace}"
    helpers = Path("charts/llama-operator/templates/_helpers.tpl").read_text()
    (rules,) = re.findall(r'define "llama-operator.rules" -}}\n(.*?){{- end', helpers, re.DOTALL)
    accounts = f"/api/v1/namespaces/{place.namespace}/serviceaccounts"
    meta = {"metadata": {"name": name}}
    api = "rbac.authorization.k8s.io"
    place.server("POST", accounts, {"apiVersion": "v1", "kind": "ServiceAccount", **meta})
    place.server(
        "POST", f"{rbac}/roles", {"apiVersion": f"{api}/v1", "kind": "Role", **meta, "rules": yaml.safe_load(rules)}
    )
    place.server(
        "POST",
        f"{rbac}/rolebindings",
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            **meta,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": place.namespace}],
        },
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = place.server("POST", f"{accounts}/{name}/token", request)["status"]["token"]
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
    config["users"] = [{"name": context["user"], "user": {"token": token}}]
    path = tmp_path / "account"
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_charts_rights_are_enough(place: Place, start: Start, account: Path) -> None:
    operator = start(account).ready()
    place.model(FULL)
    eventually(place.complete)
    place.server("PATCH", place.deployment, {"spec": {"replicas": 7}})
    place.model({**SPEC, "storage": FULL["storage"]})

    def changed() -> None:
        assert place.get(place.deployment)["spec"]["replicas"] == 1
        assert place.find(place.ingress) is None
        assert place.get(f"{place.models}/m")["status"]["observedGeneration"] == 2

    eventually(changed)
    place.model({**SPEC, "storage": FULL["storage"], "pod": {"nodeSelector": {"disk": "not a label value!"}}})

    def told() -> None:
        assert "Invalid" in place.reasons()

    eventually(told)
    operator.settle()
    assert not [line for line in operator.lines() if "orbidden" in line]


def test_missing_rights_are_told(place: Place, start: Start, account: Path) -> None:
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.namespace}/roles/operator"
    rules = place.get(role)["rules"]
    for rule in rules:
        if "ingresses" in rule["resources"]:
            rule["verbs"] = ["get", "list", "watch"]
    place.server("PATCH", role, {"rules": rules})
    start(account).ready()
    place.model(FULL)

    def told() -> None:
        stalled = place.condition("Stalled")
        assert stalled["reason"] == "Forbidden"
        assert 'cannot patch resource "ingresses"' in stalled["message"]

    eventually(told)
    place.get(place.deployment)
    place.get(place.service)
    assert "Forbidden" in place.reasons()
