"""The kinds that the operator talks about, and where the API server serves them."""

from __future__ import annotations

from dataclasses import dataclass

from llama_operator import constants


@dataclass(frozen=True)
class Kind:
    """A namespaced kind. `selector` narrows lists and watches; without it they would cover the whole cluster."""

    api_version: str
    kind: str
    plural: str
    selector: str = ""

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """URL path of one object, of a namespace's collection, or of the cluster's."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


# Both labels: somebody else may call their tool `llama-operator` too, but hardly use our group's label with it.
_OURS = f"{constants.MANAGED_BY_LABEL}={constants.MANAGED_BY},{constants.MODEL_LABEL}"

MODEL = Kind(constants.API_VERSION, constants.KIND, constants.PLURAL)
OWNED = (
    Kind("apps/v1", "Deployment", "deployments", _OURS),
    Kind("v1", "Service", "services", _OURS),
    Kind("networking.k8s.io/v1", "Ingress", "ingresses", _OURS),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", _OURS),
    Kind("batch/v1", "Job", "jobs", _OURS),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", _OURS),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", _OURS),
)
POD = Kind("v1", "Pod", "pods", constants.MODEL_LABEL)
SECRET = Kind("v1", "Secret", "secrets")
"""Only ever created: an answer to a patch would show what is in it."""
EVENT = Kind("events.k8s.io/v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

WATCHED = (MODEL, *OWNED, POD)
BY_NAME = {kind.kind: kind for kind in WATCHED}
