"""The operator as a process, against a real API server.

There is no controller-manager: Deployments make no pods, and nothing is garbage-collected. What the API server alone
decides - server-side apply, conflicts, versions, watches - is real.
"""

from __future__ import annotations

import json

import pytest

from tests.integration.engine.operator_process import eventually
from tests.integration.engine.place import FULL, SPEC, Place, Start


def test_a_model_gets_its_children_and_a_status(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(FULL)
    eventually(place.complete)
    operator.settle()
    assert place.condition("Ready")["status"] == "False"
    written = operator.writes()
    assert {kind: written["apply", kind] for kind in ("Deployment", "Service", "Ingress", "PersistentVolumeClaim")} == {
        "Deployment": 1,
        "Service": 1,
        "Ingress": 1,
        "PersistentVolumeClaim": 1,
    }
    assert written["patch_status", "LlamaModel"] == 1


def test_models_that_are_there_before_the_operator_are_served(place: Place, start: Start) -> None:
    place.model(FULL)
    start()
    eventually(place.complete)


def test_a_restart_writes_nothing(place: Place, start: Start) -> None:
    first = start().ready()
    for number in range(5):
        place.model(FULL | {"ingress": {"host": f"m{number}.example.com"}}, name=f"m{number}")
        eventually(lambda n=number: place.condition("Ready", f"m{n}"))  # type: ignore[misc]
    first.settle()
    assert first.stop() == 0
    before = place.versions()
    second = start().ready()
    second.settle(reconciles=5)
    assert not second.writes()
    assert place.versions() == before


@pytest.mark.parametrize("child", ["deployment", "service", "ingress", "claim", "policy", "budget"])
def test_a_deleted_child_comes_back(place: Place, start: Start, child: str) -> None:
    start().ready()
    place.model(FULL)
    eventually(place.complete)
    path = getattr(place, child)
    uid = place.get(path)["metadata"]["uid"]
    place.server("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})
    place.let_go(path, uid)

    def back() -> None:
        assert place.get(path)["metadata"]["uid"] != uid

    eventually(back)


def test_a_hand_edit_is_undone_and_what_others_add_is_kept(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    operator.settle()
    place.server(
        "PATCH",
        place.deployment,
        {"metadata": {"annotations": {"theirs": "kept"}, "labels": {"theirs": "kept"}}},
    )
    before = operator.writes()
    place.server("PATCH", place.deployment, {"spec": {"replicas": 7}})

    def repaired() -> None:
        assert place.get(place.deployment)["spec"]["replicas"] == 1

    eventually(repaired)
    operator.settle()
    assert operator.writes() - before == {("apply", "Deployment"): 1}
    meta = place.get(place.deployment)["metadata"]
    assert (meta["annotations"]["theirs"], meta["labels"]["theirs"]) == ("kept", "kept")


def test_labels_taken_from_a_child_come_back(place: Place, start: Start) -> None:
    start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    before = place.get(place.service)["metadata"]
    place.server("PATCH", place.service, {"metadata": {"labels": None}})

    def labelled() -> None:
        assert place.get(place.service)["metadata"].get("labels") == before["labels"]

    eventually(labelled)
    assert place.get(place.service)["metadata"]["uid"] == before["uid"]


def test_a_new_spec_is_rolled_out_and_what_it_no_longer_wants_goes(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(FULL)
    eventually(place.complete)
    place.model({**SPEC, "storage": FULL["storage"], "engine": {"contextSize": 8192}})

    def rolled() -> None:
        template = place.get(place.deployment)["spec"]["template"]
        assert "8192" in json.dumps(template["spec"]["containers"][0]["args"])
        assert place.find(place.ingress) is None

    eventually(rolled)

    def told() -> None:
        status = place.get(f"{place.models}/m")["status"]
        assert status["observedGeneration"] == 2
        assert "ingressURL" not in status

    eventually(told)
    operator.settle()
    assert operator.writes()["delete", "Ingress"] == 1


def test_scaling_the_model_scales_the_deployment(place: Place, start: Start) -> None:
    start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    place.server("PATCH", f"{place.models}/m/scale", {"spec": {"replicas": 3}})

    def scaled() -> None:
        assert place.get(place.deployment)["spec"]["replicas"] == 3

    eventually(scaled)


def test_the_status_follows_the_deployment_and_foreign_keys_in_it_vanish(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    place.server("PATCH", f"{place.models}/m/status", {"status": {"ingressURL": "http://forged"}})

    def cleaned() -> None:
        assert "ingressURL" not in place.get(f"{place.models}/m")["status"]

    eventually(cleaned)
    operator.settle()
    before = operator.writes()
    place.server("PATCH", f"{place.deployment}/status", {"status": {"replicas": 1, "observedGeneration": 1}})

    def followed() -> None:
        assert place.get(f"{place.models}/m")["status"]["replicas"] == 1

    eventually(followed)
    operator.settle()
    assert operator.writes() - before == {("patch_status", "LlamaModel"): 1}


def test_a_model_deleted_and_made_again_gets_children_of_its_own(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(FULL)
    eventually(place.complete)
    operator.settle()
    before = operator.writes()
    with operator.reconciling():
        place.server("DELETE", f"{place.models}/m")
    with operator.reconciling():
        place.server("DELETE", place.service)  # as the garbage collector would
    assert operator.writes() == before
    assert place.find(place.service) is None
    place.model(FULL)  # its other children are still there, and belong to the model before
    eventually(lambda: place.get(place.service))
    for path in place.children:
        if path != place.service:
            uid = place.get(path)["metadata"]["uid"]
            place.server("DELETE", path)
            place.let_go(path, uid)
    eventually(place.complete)


def test_pods_speak_through_the_status(place: Place, start: Start) -> None:
    """The pod is written by hand, as the Deployment's controller and a kubelet would."""
    start().ready()
    place.model(SPEC)
    eventually(lambda: place.condition("Ready"))
    template = place.get(place.deployment)["spec"]["template"]
    pods = f"/api/v1/namespaces/{place.namespace}/pods"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "m-1", **template["metadata"]}}
    spec = {**template["spec"], "serviceAccountName": "default", "nodeName": "nowhere"}
    place.server.ensure(
        f"/api/v1/namespaces/{place.namespace}/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
    )
    place.server("POST", pods, {**pod, "spec": spec})
    report = {"reason": "DigestMismatch", "message": "expected aa, got bb"}
    ended = {"exitCode": 1, "message": json.dumps(report), "reason": "Error"}
    init = {
        "name": template["spec"]["initContainers"][0]["name"],
        "image": "operator:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    place.server("PATCH", f"{pods}/m-1/status", {"status": {"phase": "Pending", "initContainerStatuses": [init]}})

    def told() -> None:
        stalled = place.condition("Stalled")
        assert (stalled["reason"], stalled["message"]) == ("DigestMismatch", report["message"])

    eventually(told)
    place.server("DELETE", f"{pods}/m-1", {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})

    def forgotten() -> None:
        conditions = place.get(f"{place.models}/m")["status"]["conditions"]
        assert "Stalled" not in [c["type"] for c in conditions]

    eventually(forgotten)


def test_without_namespaces_the_whole_cluster_is_watched(place: Place, start: Start) -> None:
    place.model(SPEC)
    start(WATCH_NAMESPACES="").ready()
    eventually(lambda: place.condition("Ready"))
    place.server("DELETE", place.service)
    eventually(lambda: place.get(place.service))
