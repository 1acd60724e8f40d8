"""Can clients reach the model: the Service is there, and whoever gives addresses has given them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_operator.api.conditions import Reason
from llama_operator.reconcile.evidence import Evidence, Suspect
from llama_operator.reconcile.finding import Finding

Object = dict[str, Any]


def exposed(raw: Object, owned: Mapping[str, Object], evidence: Evidence) -> Finding:
    """`owned`: the model's children by kind; `evidence`: what events have told."""
    if "Service" not in owned:
        return Finding(Reason.SERVICE_MISSING, "the Service does not exist yet; if it stays, Ready says why")
    for suspect in suspects(raw, owned):
        if suspect in evidence:
            return evidence[suspect]
        return _pending(owned[suspect.kind])
    if "ingress" not in raw.get("spec", {}):
        return Finding(Reason.EXPOSED, "reachable through the Service")
    if "Ingress" not in owned:
        return Finding(Reason.INGRESS_PENDING, "the Ingress does not exist yet; if it stays, Ready says why")
    return Finding(Reason.EXPOSED, "reachable through Service and Ingress")


def suspects(raw: Object, owned: Mapping[str, Object]) -> list[Suspect]:
    """What has no address, and should."""
    wanted = []
    if owned.get("Service", {}).get("spec", {}).get("type") == "LoadBalancer":
        wanted.append(owned["Service"])
    if "ingress" in raw.get("spec", {}) and "Ingress" in owned:
        wanted.append(owned["Ingress"])
    return [
        Suspect(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("uid", ""))
        for obj in wanted
        if not obj.get("status", {}).get("loadBalancer", {}).get("ingress")
    ]


def _pending(obj: Object) -> Finding:
    name = obj["metadata"]["name"]
    if obj["kind"] == "Service":
        return Finding(
            Reason.LOAD_BALANCER_PENDING,
            f"Service {name} has no address; see that the cluster has a load balancer (a cloud's, or one such as "
            "MetalLB), or set spec.service.type to ClusterIP or NodePort",
        )
    # The API server gives an Ingress without a class the default one, if there is one at that moment.
    class_name = obj.get("spec", {}).get("ingressClassName")
    if not class_name:
        return Finding(
            Reason.INGRESS_PENDING,
            f"Ingress {name} has no class, and the cluster no default one, so no controller takes it up; set "
            "spec.ingress.className to one that `kubectl get ingressclass` lists, or install a controller",
        )
    return Finding(
        Reason.INGRESS_PENDING,
        f"no controller has taken up Ingress {name}, whose class is {class_name}; see that `kubectl get ingressclass` "
        "lists it, that its controller runs, and that it writes addresses into the status of Ingresses, or change "
        "spec.ingress.className",
    )
