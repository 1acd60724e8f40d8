"""The operator as a process, against a real API server.

There is no controller-manager: Deployments make no pods, and nothing is garbage-collected. What the API server alone
decides - server-side apply, conflicts, versions, watches - is real.
"""

from __future__ import annotations

import itertools
import json
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client

from tests.integration.operator_process import Operator, eventually
from tests.integration.proxy import Proxy
from tests.integration.server import Object, RefusedError, Server

SPEC: Object = {"source": {"url": {"url": "http://files/m.gguf"}}}
FULL: Object = {**SPEC, "storage": {"claim": {"size": "1Gi"}}, "ingress": {"host": "m.example.com"}}


class Place:
    """A namespace of its own, and what is in it."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
        self.models = f"/apis/llama-operator.dev/v1alpha1/namespaces/{namespace}/llamamodels"
        self.deployment = f"{apps}/deployments/m"
        self.service = f"{core}/services/m"
        self.ingress = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/m"
        self.claim = f"{core}/persistentvolumeclaims/m-model"
        self.events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"

    def find(self, path: str) -> Object | None:
        try:
            found: Object = self.server("GET", path)
        except RefusedError as error:
            if error.code == 404:
                return None
            raise
        return found

    def get(self, path: str) -> Object:
        """The object; not there is an AssertionError, so that `eventually` waits for it."""
        found = self.find(path)
        assert found is not None, f"{path} does not exist"
        return found

    def model(self, spec: Object, name: str = "m") -> None:
        """Create it, or replace its spec."""
        before = self.find(f"{self.models}/{name}")
        version = {"resourceVersion": before["metadata"]["resourceVersion"]} if before else {}
        manifest = {
            "apiVersion": "llama-operator.dev/v1alpha1",
            "kind": "LlamaModel",
            "metadata": {"name": name, **version},
            "spec": spec,
        }
        if before:
            self.server("PUT", f"{self.models}/{name}", manifest)
        else:
            self.server("POST", self.models, manifest)

    def condition(self, type_: str, name: str = "m") -> Object:
        conditions = self.get(f"{self.models}/{name}").get("status", {}).get("conditions", [])
        found: Object = next((c for c in conditions if c["type"] == type_), {})
        assert found, f"no condition {type_} in {conditions}"
        return found

    def complete(self) -> None:
        """All children of FULL and the status are there, and the status is about this spec."""
        model = self.get(f"{self.models}/m")
        for path in (self.claim, self.deployment, self.service, self.ingress):
            (owner,) = self.get(path)["metadata"]["ownerReferences"]
            assert owner["uid"] == model["metadata"]["uid"]
        assert model.get("status", {}).get("observedGeneration") == model["metadata"]["generation"]

    def versions(self) -> dict[str, str]:
        """Resource versions of everything: they tell whether anybody wrote anything."""
        lists = [path.rpartition("/")[0] for path in (self.claim, self.deployment, self.service, self.ingress)]
        return {
            f"{path}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for path in [*lists, self.models, self.events]
            for item in self.server("GET", path)["items"]
        }


@pytest.fixture
def place(crd: client.ApiClient) -> Iterator[Place]:
    server = Server(crd)
    namespace = f"test-engine-{uuid.uuid4().hex[:8]}"  # what is left of an earlier test or run must not count
    server.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    place = Place(server, namespace)
    yield place
    server("DELETE", place.models)


Start = Callable[..., Operator]


@pytest.fixture
def start(place: Place, kubeconfig: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts operators for the test's namespace; the log of a failing test is shown."""
    started: list[Operator] = []

    def starter(kubeconfig: Path = kubeconfig, **env: str) -> Operator:
        log = tmp_path / f"operator-{len(started)}.log"
        started.append(Operator(kubeconfig, log, **{"WATCH_NAMESPACES": place.namespace, **env}))
        return started[-1]

    yield starter
    for operator in started:
        if operator.alive():
            operator.kill()
        print(operator.log.read_text())


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


@pytest.mark.parametrize("child", ["deployment", "service", "ingress", "claim"])
def test_a_deleted_child_comes_back(place: Place, start: Start, child: str) -> None:
    start().ready()
    place.model(FULL)
    eventually(place.complete)
    path = getattr(place, child)
    uid = place.get(path)["metadata"]["uid"]
    place.server("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})
    _without_finalizers(place, path, uid)

    def back() -> None:
        assert place.get(path)["metadata"]["uid"] != uid

    eventually(back)


def _without_finalizers(place: Place, path: str, uid: str) -> None:
    """Do what the controllers would that are not here: let go of what is being deleted."""
    found = place.find(path)
    if found and found["metadata"]["uid"] == uid and found["metadata"].get("finalizers"):
        place.server("PATCH", path, {"metadata": {"finalizers": None}})


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


def test_a_foreign_object_of_a_childs_name_is_left_alone_until_it_goes(place: Place, start: Start) -> None:
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
    assert _reasons(place) >= {"NameConflict"}


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


def _reasons(place: Place) -> set[str]:
    return {event["reason"] for event in place.get(place.events)["items"]}


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
    for path in (place.claim, place.deployment, place.ingress):
        uid = place.get(path)["metadata"]["uid"]
        place.server("DELETE", path)
        _without_finalizers(place, path, uid)
    eventually(place.complete)


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5])
def test_killed_in_the_middle_of_a_creation(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path, writes: int
) -> None:
    """The API server has done the n-th write, and the operator never hears of it."""
    with Proxy(kubeconfig) as proxy:
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig")).ready()
        done = itertools.count(1)

        def kill(method: str, path: str) -> None:
            if next(done) == writes:
                operator.process.send_signal(signal.SIGKILL)
                operator.process.wait(timeout=10)

        proxy.on_write = kill
        place.model(FULL)
        assert operator.process.wait(timeout=30) == -signal.SIGKILL
    successor = start().ready()
    eventually(place.complete)
    successor.settle()
    applied = sum(count for (verb, _), count in successor.writes().items() if verb == "apply")
    assert applied == max(4 - writes, 0)


def test_a_deletion_that_no_watch_reports_is_healed(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    with Proxy(kubeconfig) as proxy:
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig"), RESYNC_SECONDS="2").ready()
        place.model(FULL)
        eventually(place.complete)
        operator.settle()
        proxy.blind()
        place.server("DELETE", place.service)
        eventually(lambda: place.get(place.service))
        assert operator.alive()


def test_a_deletion_that_is_lost_in_a_410_is_healed(
    place: Place, start: Start, kubeconfig: Path, tmp_path: Path
) -> None:
    """kopf lists again after 410 Gone, and reports what is there; what is not there any more, it does not."""
    with Proxy(kubeconfig) as proxy:
        operator = start(proxy.kubeconfig(tmp_path / "kubeconfig"), RESYNC_SECONDS="3").ready()
        place.model(FULL)
        eventually(place.complete)
        operator.settle()
        proxy.blind()
        place.server("DELETE", place.service)
        proxy.see()
        services = place.service.rpartition("/")[0]

        def gone() -> None:
            assert services in proxy.told_gone

        eventually(gone)
        eventually(lambda: place.get(place.service))
        # and the watches work again
        place.server("PATCH", place.service, {"spec": {"type": "NodePort"}})

        def repaired() -> None:
            assert place.get(place.service)["spec"]["type"] == "ClusterIP"

        eventually(repaired)


def test_sigterm_ends_it_in_order(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(FULL)
    eventually(place.complete)
    assert operator.stop() == 0
    assert "stopped unfinished=0" in operator.lines()[-1]


def test_without_the_crd_it_says_so_and_ends(place: Place, start: Start, kubeconfig: Path, tmp_path: Path) -> None:
    with Proxy(kubeconfig) as proxy:
        config = json.loads(proxy.kubeconfig(tmp_path / "kubeconfig").read_text())
        config["clusters"][0]["cluster"]["server"] += "/no-such-path"
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        operator = start(tmp_path / "kubeconfig")
        assert operator.process.wait(timeout=30) == 1
    assert any("is the CRD installed?" in line for line in operator.lines())


def test_a_wrong_setting_is_named(start: Start) -> None:
    operator = start(WORKERS="many")
    assert operator.process.wait(timeout=30) == 2
    assert "WORKERS" in operator.log.read_text()
