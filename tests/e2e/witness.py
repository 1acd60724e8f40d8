"""What the tests see of the cluster: through the official Kubernetes client, which the operator does not use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient

from tests.polling import eventually as eventually

Object = dict[str, Any]

API_VERSIONS = {
    "LlamaModel": "llama-operator.dev/v1alpha1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "Ingress": "networking.k8s.io/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
}
"""Of the kinds that are not in the core group."""

MODEL_LABEL = "llama-operator.dev/model"


class Witness:
    """Get, list, write and delete objects of any kind as plain data."""

    def __init__(self, kubeconfig: Path) -> None:
        self.api = kubernetes.config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self.core = kubernetes.client.CoreV1Api(self.api)
        self._dynamic = DynamicClient(self.api)  # type: ignore[no-untyped-call]

    def _of(self, kind: str) -> Any:
        return self._dynamic.resources.get(api_version=API_VERSIONS.get(kind, "v1"), kind=kind)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None if it does not exist."""
        try:
            found: Object = self._of(kind).get(name=name, namespace=namespace).to_dict()
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return found

    def all(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """Objects of one namespace that have the labels of `selector`."""
        found = self._of(kind).get(namespace=namespace, label_selector=selector).to_dict()
        return list(found["items"])

    def apply(self, manifest: Object, field_manager: str = "e2e") -> Object:
        """Server-side apply, as a user with another field manager than the operator's."""
        metadata = manifest["metadata"]
        written: Object = (
            self._of(manifest["kind"])
            .server_side_apply(
                body=manifest,
                name=metadata["name"],
                namespace=metadata.get("namespace"),
                field_manager=field_manager,
                force_conflicts=True,
            )
            .to_dict()
        )
        return written

    def create(self, manifest: Object) -> Object:
        created: Object = (
            self._of(manifest["kind"]).create(body=manifest, namespace=manifest["metadata"].get("namespace")).to_dict()
        )
        return created

    def secret(self, name: str, namespace: str, data: dict[str, str]) -> None:
        """Make a Secret of this content."""
        meta = {"name": name, "namespace": namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data})

    def merge(self, kind: str, name: str, namespace: str, patch: Object) -> None:
        """Edit some fields, as a hand with `kubectl edit` would."""
        self._of(kind).patch(body=patch, name=name, namespace=namespace, content_type="application/merge-patch+json")

    def json_patch(self, kind: str, name: str, namespace: str, patch: list[Object]) -> None:
        """Edit by JSON patch (RFC 6902), which can reach into lists."""
        self._of(kind).patch(body=patch, name=name, namespace=namespace, content_type="application/json-patch+json")

    def delete(self, kind: str, name: str, namespace: str | None = None, grace: int | None = None) -> None:
        """Delete if it exists; dependents follow in the background."""
        body: Object = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self._of(kind).delete(name=name, namespace=namespace, body=body)
        except ApiException as error:
            if error.status != 404:
                raise

    def watch_models(self, namespace: str, seconds: int) -> list[tuple[str, str]]:
        """What happens to LlamaModels in the next `seconds`: (ADDED, MODIFIED or DELETED; name)."""
        resource = self._of("LlamaModel")
        now = resource.get(namespace=namespace).to_dict()["metadata"]["resourceVersion"]
        stream = resource.watch(namespace=namespace, resource_version=now, timeout=seconds)
        return [(event["type"], event["raw_object"]["metadata"]["name"]) for event in stream]

    def log(self, pod: str, namespace: str, container: str | None = None) -> str:
        """What a container has written so far."""
        return str(self.core.read_namespaced_pod_log(pod, namespace, container=container))


@dataclass(frozen=True)
class Model:
    """A LlamaModel in the cluster, and questions that tests ask about it."""

    witness: Witness
    namespace: str
    name: str

    def read(self) -> Object:
        found = self.witness.get("LlamaModel", self.name, self.namespace)
        assert found is not None, f"llama/{self.name} does not exist"
        return found

    def apply(self, **spec: Any) -> Object:
        """Make its spec this one. Everybody may ask the model, unless `auth` says otherwise."""
        return self.witness.apply(
            {
                "apiVersion": API_VERSIONS["LlamaModel"],
                "kind": "LlamaModel",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {"auth": {"none": True}} | spec,
            }
        )

    def delete(self) -> None:
        self.witness.delete("LlamaModel", self.name, self.namespace)

    def condition(self, type_: str) -> Object:
        """The condition, if it is about the newest spec."""
        model = self.read()
        for condition in model.get("status", {}).get("conditions", []):
            if condition["type"] == type_:
                assert condition["observedGeneration"] == model["metadata"]["generation"], "status is of an older spec"
                return dict(condition)
        raise AssertionError(f"no condition {type_} in {model.get('status')}")

    def wait(self, type_: str, reason: str, timeout: float = 90) -> Object:
        """The condition once it has this reason."""

        def check() -> Object:
            condition = self.condition(type_)
            assert condition["reason"] == reason, condition
            return condition

        return eventually(check, timeout)

    def ready(self, timeout: float = 90) -> Object:
        """The status once Ready is true for the newest spec."""

        def check() -> Object:
            condition = self.condition("Ready")
            assert condition["status"] == "True", condition
            return dict(self.read()["status"])

        return eventually(check, timeout)

    def children(self, kind: str) -> list[Object]:
        return self.witness.all(kind, self.namespace, f"{MODEL_LABEL}={self.name}")

    def pods(self) -> list[Object]:
        """Pods that are not on their way out."""
        return [pod for pod in self.children("Pod") if "deletionTimestamp" not in pod["metadata"]]

    def events(self) -> list[Object]:
        """Events that the operator wrote about it."""
        return [e for e in self.witness.all("Event", self.namespace) if _about(e).items() >= self._identity().items()]

    def _identity(self) -> dict[str, str]:
        return {"kind": "LlamaModel", "name": self.name}


def _about(event: Object) -> Object:
    return dict(event.get("involvedObject") or {})
