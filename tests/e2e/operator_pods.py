"""The operator's own pods: which there are, and which of them leads."""

from __future__ import annotations

from demo.cluster import OPERATOR_NAMESPACE, RELEASE
from tests.e2e.witness import Witness

LABELS = f"app.kubernetes.io/name={RELEASE}"


def by_uid(witness: Witness) -> dict[str, str]:
    """Names of the operator's pods by uid."""
    pods = witness.all("Pod", OPERATOR_NAMESPACE, LABELS)
    return {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods}


def leader(witness: Witness) -> str:
    """Name of the pod that holds the Lease; it is an AssertionError if none does at this moment."""
    lease = witness.get("Lease", RELEASE, OPERATOR_NAMESPACE)
    assert lease is not None, "there is no Lease"
    pod = lease["spec"]["holderIdentity"].partition("_")[0]
    assert pod in by_uid(witness).values(), f"{pod or 'nobody'} holds the Lease"
    return str(pod)
