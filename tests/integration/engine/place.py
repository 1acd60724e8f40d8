"""A namespace for one test of the operator, what is in it, and operators that look after it."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.engine.operator_process import Operator
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
        self.policy = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/m"
        self.budget = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/m"
        self.claim = f"{core}/persistentvolumeclaims/m-model"
        self.jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"

    @property
    def children(self) -> tuple[str, ...]:
        """Paths of all that are looked after."""
        return self.claim, self.deployment, self.service, self.ingress, self.policy, self.budget

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
        if before:
            gone = {field: None for field in before["spec"] if field not in spec}
            self.server("PATCH", f"{self.models}/{name}", {"spec": gone | spec})
            return
        kind = {"apiVersion": "llama-operator.dev/v1alpha1", "kind": "LlamaModel"}
        self.server("POST", self.models, {**kind, "metadata": {"name": name}, "spec": spec})

    def reasons(self) -> set[str]:
        """Reasons of the Events in the namespace."""
        return {event["reason"] for event in self.get(self.events)["items"]}

    def let_go(self, path: str, uid: str) -> None:
        """Do what the controllers would that are not here: take the finalizers from what is being deleted."""
        found = self.find(path)
        if found and found["metadata"]["uid"] == uid and found["metadata"].get("finalizers"):
            self.server("PATCH", path, {"metadata": {"finalizers": None}})

    def condition(self, type_: str, name: str = "m") -> Object:
        conditions = self.get(f"{self.models}/{name}").get("status", {}).get("conditions", [])
        found: Object = next((c for c in conditions if c["type"] == type_), {})
        assert found, f"no condition {type_} in {conditions}"
        return found

    def complete(self) -> None:
        """All children of FULL and the status are there, and the status is about this spec."""
        model = self.get(f"{self.models}/m")
        for path in self.children:
            (owner,) = self.get(path)["metadata"]["ownerReferences"]
            assert owner["uid"] == model["metadata"]["uid"]
        assert model.get("status", {}).get("observedGeneration") == model["metadata"]["generation"]

    def versions(self) -> dict[str, str]:
        """Resource versions of everything: they tell whether anybody wrote anything."""
        lists = [path.rpartition("/")[0] for path in self.children]
        return {
            f"{path}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for path in [*lists, self.jobs, self.models, self.events]
            for item in self.server("GET", path)["items"]
        }


Start = Callable[..., Operator]
"""Starts an operator for the test's namespace; keyword arguments are environment variables."""
