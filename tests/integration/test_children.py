"""The children on a real API server: it accepts them, and what it makes of them is no drift.

What the unit tests assume about defaults, quantities and field ownership is checked here against the real thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from llama_operator.api.types import parse
from llama_operator.reconcile.drift import holds
from llama_operator.reconcile.plan import Plan, plan
from llama_operator.resources import build
from llama_operator.resources.collect import collect_job
from llama_operator.resources.job import stage_job
from tests.integration.server import Object, RefusedError, Server
from tests.unit.resources.models import CONFIG, EXAMPLES, example, raw

NAMESPACE = "test-children"
COLLECTIONS = {
    "PersistentVolumeClaim": f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims",
    "Deployment": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    "Service": f"/api/v1/namespaces/{NAMESPACE}/services",
    "Ingress": f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses",
    "Job": f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
    "NetworkPolicy": f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies",
    "PodDisruptionBudget": f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets",
    "Secret": f"/api/v1/namespaces/{NAMESPACE}/secrets",
}
KEPT = {"PersistentVolumeClaim", "Secret"}
"""Once made they stay, whatever the spec says."""
NOTHING = Plan([], [])


@pytest.fixture(scope="module")
def server(crd: client.ApiClient) -> Iterator[Server]:
    """A namespace that enforces PodSecurity `restricted`, and what the examples refer to."""
    served = Server(crd)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    served.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
    for account in ("default", "models"):
        served.ensure(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": account}})
    priority = {"metadata": {"name": "inference"}, "value": 1000}
    served.ensure("/apis/scheduling.k8s.io/v1/priorityclasses", priority)
    runtime = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    served.ensure("/apis/node.k8s.io/v1/runtimeclasses", runtime)
    clear(served)
    yield served
    clear(served)


def clear(server: Server) -> None:
    """No controller runs here, so nobody takes the finalizer of a claim away."""
    for collection in COLLECTIONS.values():
        for item in server("GET", collection)["items"]:
            server("PATCH", f"{collection}/{item['metadata']['name']}", {"metadata": {"finalizers": None}})
        server("DELETE", collection)


def desired(path: Path, name: str | None = None, **spec: Any) -> list[Object]:
    manifest = example(path)
    manifest["metadata"] |= {"namespace": NAMESPACE, "name": name or manifest["metadata"]["name"]}
    manifest["spec"] |= spec
    return build(parse(manifest), CONFIG)


def location(obj: Object) -> str:
    return f"{COLLECTIONS[obj['kind']]}/{obj['metadata']['name']}"


def observe(server: Server, name: str) -> list[Object]:
    """What the operator's cache would hold. Items of a list have no kind, so the objects are got one by one."""
    found = []
    for collection in COLLECTIONS.values():
        for item in server("GET", collection)["items"]:
            if item["metadata"]["labels"].get("llama-operator.dev/model") == name:
                found.append(server("GET", f"{collection}/{item['metadata']['name']}"))
    return found


def carry_out(server: Server, wanted: Plan) -> None:
    for obj in wanted.apply:
        server("APPLY", location(obj), obj)
    for obj in wanted.delete:
        server("DELETE", location(obj))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_children_are_accepted_and_do_not_drift(server: Server, path: Path) -> None:
    children = desired(path)
    name = children[-1]["metadata"]["name"]
    carry_out(server, plan(children, observe(server, name)))
    assert plan(children, observe(server, name)) == NOTHING


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_jobs_are_accepted_and_do_not_drift(server: Server, path: Path) -> None:
    job = staging_job(path)
    server("APPLY", location(job), job)
    assert holds(job, server("GET", location(job)))


@pytest.mark.parametrize("where", [{"claim_name": "cache"}, {"node_path": "/var/models", "node": "node-1"}], ids=str)
def test_collectors_are_accepted(server: Server, where: Any) -> None:
    job = collect_job(namespace=NAMESPACE, **where, live=("a.gguf",), as_of=1, need=0, bucket=1, config=CONFIG)
    server("APPLY", location(job), job)
    assert holds(job, server("GET", location(job)))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_pods_are_admitted_by_pod_security_restricted(server: Server, path: Path) -> None:
    deployment = next(child for child in desired(path) if child["kind"] == "Deployment")
    for owner, names in ((deployment, ["llama-server", "sidecar"]), (staging_job(path), ["stage"])):
        template = owner["spec"]["template"]
        manifest = {"metadata": {**template["metadata"], "name": "probe"}, "spec": template["spec"]}
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        admitted = server("POST", pods, manifest, dry_run=True)
        assert [c["name"] for c in admitted["spec"]["containers"]] == names
        for container in manifest["spec"]["containers"]:
            container["securityContext"] = {}
        with pytest.raises(RefusedError, match='violates PodSecurity "restricted'):
            server("POST", pods, manifest, dry_run=True)


def staging_job(path: Path) -> Object:
    manifest = example(path)
    manifest["metadata"]["namespace"] = NAMESPACE
    return stage_job(parse(manifest), CONFIG)


def test_one_model_through_all_examples(server: Server) -> None:
    """Every spec follows another: what was set before and is not wanted now is taken back, and nothing is left."""
    for path in [*EXAMPLES, *EXAMPLES[:1]]:
        children = desired(path, name="changing")
        carry_out(server, plan(children, observe(server, "changing")))
        assert plan(children, observe(server, "changing")) == NOTHING, path.stem
        found = {obj["kind"]: obj for obj in observe(server, "changing") if "deletionTimestamp" not in obj["metadata"]}
        wanted_kinds = {child["kind"] for child in children}
        assert found.keys() - KEPT == wanted_kinds - KEPT, path.stem
        assert found.keys() >= wanted_kinds, path.stem
        pod = found["Deployment"]["spec"]["template"]["spec"]
        wanted = next(child for child in children if child["kind"] == "Deployment")["spec"]["template"]["spec"]
        for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName"):
            assert (field in pod) == (field in wanted), f"{path.stem}: {field}"
        assert found["Deployment"]["spec"]["strategy"].keys() == child_strategy(children).keys(), path.stem


def child_strategy(children: list[Object]) -> dict[str, Any]:
    strategy: dict[str, Any] = next(c for c in children if c["kind"] == "Deployment")["spec"]["strategy"]
    return strategy


def test_what_the_api_server_rewrites_is_no_drift(server: Server) -> None:
    """Quantities come back in their shortest form, an empty value not at all."""
    manifest = raw(
        resources={"limits": {"cpu": "1000m", "memory": "1.5Gi"}, "requests": {"cpu": 1, "memory": "1e9"}},
        engine={"env": [{"name": "EMPTY", "value": ""}]},
        storage={"claim": {"size": "1024Mi"}},
    )
    manifest["metadata"] |= {"namespace": NAMESPACE, "name": "rewritten"}
    children = build(parse(manifest), CONFIG)
    carry_out(server, plan(children, []))
    seen = {obj["kind"]: obj for obj in observe(server, "rewritten")}
    container = seen["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {
        "limits": {"cpu": "1", "memory": "1536Mi"},
        "requests": {"cpu": "1", "memory": "1e9"},
    }
    assert container["env"] == [{"name": "EMPTY"}]
    assert plan(children, list(seen.values())) == NOTHING


def test_others_may_add_and_may_not_change(server: Server) -> None:
    children = desired(EXAMPLES[0], name="shared")
    carry_out(server, plan(children, []))
    deployment = next(child for child in children if child["kind"] == "Deployment")
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-11-24T02:00:00Z"}
    added = {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    server("PATCH", location(deployment), added)
    assert plan(children, observe(server, "shared")) == NOTHING, "`kubectl rollout restart` is not undone"

    server("PATCH", location(deployment), {"spec": {"replicas": 7}})
    repair = plan(children, observe(server, "shared"))
    assert [obj["kind"] for obj in repair.apply] == ["Deployment"]
    carry_out(server, repair)
    after = server("GET", location(deployment))
    assert after["spec"]["replicas"] == 1
    assert after["spec"]["template"]["metadata"]["annotations"].items() >= restarted.items(), "what others added stays"


def test_a_scaler_keeps_its_replicas(server: Server) -> None:
    """As a HorizontalPodAutoscaler does it: an update of the scale subresource, by another field manager."""
    children = desired(EXAMPLES[0], name="autoscaled")
    carry_out(server, plan(children, []))
    deployment = next(child for child in children if child["kind"] == "Deployment")
    scale = f"{location(deployment)}/scale"
    server("PUT", scale, {**server("GET", scale), "spec": {"replicas": 3}}, manager="kube-controller-manager")
    assert plan(children, observe(server, "autoscaled")) == NOTHING

    changed = desired(EXAMPLES[0], "autoscaled", engine={"slots": 2})
    carry_out(server, plan(changed, observe(server, "autoscaled")))
    after = server("GET", location(deployment))
    assert after["spec"]["replicas"] == 3
    assert "2" in after["spec"]["template"]["spec"]["containers"][0]["args"]
    assert plan(changed, observe(server, "autoscaled")) == NOTHING

    wanted = desired(EXAMPLES[0], "autoscaled", engine={"slots": 2}, replicas=2)
    carry_out(server, plan(wanted, observe(server, "autoscaled")))
    assert server("GET", location(deployment))["spec"]["replicas"] == 2
    assert plan(wanted, observe(server, "autoscaled")) == NOTHING
