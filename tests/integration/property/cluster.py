"""One namespace as an independent witness sees it and as people change it, by kind and name."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.server import Object, RefusedError, Server

MODEL = "LlamaModel"
CHILDREN = ("Deployment", "Service", "Ingress", "PersistentVolumeClaim", "NetworkPolicy", "PodDisruptionBudget")
"""Those that people change. A model's Jobs have names that nobody knows beforehand, and nobody looks at its Secret."""
_PATHS = {
    MODEL: "/apis/llama-operator.dev/v1alpha1/namespaces/{}/llamamodels",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Service": "/api/v1/namespaces/{}/services",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Pod": "/api/v1/namespaces/{}/pods",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
}


def child_name(model: str, kind: str) -> str:
    return f"{model}-model" if kind == "PersistentVolumeClaim" else model


class Cluster:
    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    def path(self, kind: str, name: str = "") -> str:
        return _PATHS[kind].format(self.namespace) + (f"/{name}" if name else "")

    def list(self, kind: str) -> list[Object]:
        """All of the kind. The items of a list have no kind and no apiVersion; they get them here."""
        found = self.server("GET", self.path(kind))
        return [{"apiVersion": found["apiVersion"], "kind": kind, **item} for item in found["items"]]

    def find(self, kind: str, name: str) -> Object | None:
        try:
            found: Object = self.server("GET", self.path(kind, name))
        except RefusedError as error:
            if error.code == 404:
                return None
            raise
        return found

    def create(self, kind: str, obj: Object) -> Object | None:
        """The object; None if there is one of that name."""
        try:
            made: Object = self.server("POST", self.path(kind), obj)
        except RefusedError as error:
            if error.code == 409:
                return None
            raise
        return made

    def change(self, kind: str, name: str, change: Callable[[Object], object]) -> Object | None:
        """Read, change, write, until nobody was faster; None if it is not there (any more)."""
        while (obj := self.find(kind, name)) is not None and "deletionTimestamp" not in obj["metadata"]:
            change(obj)
            try:
                written: Object = self.server("PUT", self.path(kind, name), obj)
            except RefusedError as error:
                if error.code not in (404, 409):
                    raise
            else:
                return written
        return None

    def patch(self, path: str, patch: Object) -> None:
        """Merge-patch, if there is something to patch."""
        try:
            self.server("PATCH", path, patch)
        except RefusedError as error:
            if error.code != 404:
                raise

    def delete(self, kind: str, name: str, propagation: str = "Background") -> None:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        try:
            self.server("DELETE", self.path(kind, name), options)
        except RefusedError as error:
            if error.code != 404:
                raise
