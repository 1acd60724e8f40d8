"""What hands, meshes and other tools do to children: by kind and name.

Most of it touches what the operator owns, and must be undone. Some of it is an addition that is none of the operator's
business: then `stays` tells whether it is still there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llama_operator import constants

Object = dict[str, Any]

OURS = ("app.kubernetes.io/", f"{constants.GROUP}/")


@dataclass(frozen=True)
class Edit:
    change: Callable[[Object], object]
    stays: Callable[[Object], bool] | None = None


def _pod(obj: Object) -> Object:
    spec: Object = obj["spec"]["template"]["spec"]
    return spec


def _server(obj: Object) -> Object:
    return next((c for c in _pod(obj)["containers"] if c["name"] == "llama-server"), {})


def _named(items: list[Object], name: str) -> bool:
    return any(item.get("name") == name for item in items)


def _add(items: list[Object], item: Object, at: int | None = None) -> None:
    if not _named(items, item["name"]):
        items.insert(len(items) if at is None else at, item)


def _drop_labels(obj: Object) -> None:
    labels = obj["metadata"].get("labels", {})
    obj["metadata"]["labels"] = {k: v for k, v in labels.items() if not k.startswith(OURS)}


def _label(name: str, value: str) -> Callable[[Object], object]:
    return lambda obj: obj["metadata"].setdefault("labels", {}).update({name: value})


def _drop_hash(obj: Object) -> None:
    obj["metadata"].get("annotations", {}).pop(constants.APPLIED_HASH, None)


def _stop_controlling(obj: Object) -> None:
    for owner in obj["metadata"].get("ownerReferences", []):
        owner["controller"] = False


_ANY = {
    "label": Edit(_label("theirs", "kept"), lambda obj: obj["metadata"].get("labels", {}).get("theirs") == "kept"),
    "annotation": Edit(
        lambda obj: obj["metadata"].setdefault("annotations", {}).update(theirs="kept"),
        lambda obj: obj["metadata"].get("annotations", {}).get("theirs") == "kept",
    ),
    "no labels": Edit(_drop_labels),
    "no managed-by": Edit(lambda obj: obj["metadata"].get("labels", {}).pop(constants.MANAGED_BY_LABEL, None)),
    "another model's label": Edit(_label(constants.MODEL_LABEL, "a-model")),
    "no hash": Edit(_drop_hash),
    "no owner": Edit(lambda obj: obj["metadata"].pop("ownerReferences", None)),
    "owner that does not control": Edit(_stop_controlling),
}


def _strategy(obj: Object) -> None:
    other = "Recreate" if obj["spec"]["strategy"]["type"] == "RollingUpdate" else "RollingUpdate"
    obj["spec"]["strategy"] = {"type": other}


def _probe(obj: Object) -> None:
    _server(obj)["livenessProbe"] = {"exec": {"command": ["true"]}}


def _lifecycle(obj: Object) -> None:
    _server(obj)["lifecycle"] = {"preStop": {"exec": {"command": ["true"]}}}


def _volume(obj: Object) -> None:
    for volume in _pod(obj)["volumes"]:
        if volume["name"] == "models":
            volume.clear()
            volume.update(name="models", configMap={"name": "theirs"})


def _volume_added(obj: Object) -> None:
    _add(_pod(obj)["volumes"], {"name": "theirs", "emptyDir": {}})
    _add(_server(obj).setdefault("volumeMounts", []), {"name": "theirs", "mountPath": "/theirs"})


def _env_changed(obj: Object) -> None:
    for variable in _server(obj).get("env", []):
        if variable["name"] != "THEIRS":
            variable.pop("valueFrom", None)
            variable["value"] = "changed"


def _env_moved(obj: Object) -> None:
    for variable in _server(obj).get("env", []):
        if variable["name"] != "THEIRS":
            variable.pop("value", None)
            variable["valueFrom"] = {"fieldRef": {"fieldPath": "metadata.name"}}


def _container_port(obj: Object) -> None:
    for port in _server(obj).get("ports", []):
        if port.get("name") == "http":
            port["containerPort"] = 8001


_SIDECAR = {
    "name": "theirs",
    "image": "mesh:1",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
"""Admitted by PodSecurity `restricted`, which the namespace enforces."""

_DEPLOYMENT = {
    "replicas": Edit(lambda obj: obj["spec"].update(replicas=7)),
    "argument added": Edit(lambda obj: _server(obj)["args"].append("--verbose")),
    "arguments taken": Edit(lambda obj: _server(obj).pop("args", None)),
    "image": Edit(lambda obj: _server(obj).update(image="theirs:1")),
    "no port": Edit(lambda obj: _server(obj).update(ports=[])),
    "another port": Edit(_container_port),
    "no probe": Edit(lambda obj: _server(obj).pop("livenessProbe", None)),
    "another probe": Edit(_probe),
    "another hook": Edit(_lifecycle),
    "another volume": Edit(_volume),
    "another strategy": Edit(_strategy),
    "another seccomp profile": Edit(
        lambda obj: _pod(obj)["securityContext"].update(seccompProfile={"type": "Localhost", "localhostProfile": "x"})
    ),
    "no stager": Edit(lambda obj: _pod(obj).update(initContainers=[])),
    "template hash": Edit(
        lambda obj: obj["spec"]["template"]["metadata"]["annotations"].update({constants.APPLIED_HASH: "0"})
    ),
    "template label": Edit(
        lambda obj: obj["spec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/name": "theirs"})
    ),
    "node selector": Edit(lambda obj: _pod(obj).update(nodeSelector={"theirs": "disk"})),
    "limits": Edit(lambda obj: _server(obj).update(resources={"limits": {"cpu": "7"}})),
    "environment changed": Edit(_env_changed),
    "environment from elsewhere": Edit(_env_moved),
    "environment in another order": Edit(lambda obj: _server(obj).get("env", []).reverse()),
    "no environment": Edit(lambda obj: _server(obj).update(env=[])),
    "sidecar": Edit(
        lambda obj: _add(_pod(obj)["containers"], dict(_SIDECAR)), lambda obj: _named(_pod(obj)["containers"], "theirs")
    ),
    "sidecar in front": Edit(
        lambda obj: _add(_pod(obj)["containers"], dict(_SIDECAR), 0),
        lambda obj: _named(_pod(obj)["containers"], "theirs"),
    ),
    "volume added": Edit(_volume_added, lambda obj: _named(_pod(obj)["volumes"], "theirs")),
    "template annotation": Edit(
        lambda obj: obj["spec"]["template"]["metadata"].setdefault("annotations", {}).update(restartedAt="now"),
        lambda obj: obj["spec"]["template"]["metadata"]["annotations"].get("restartedAt") == "now",
    ),
    "seconds of its own": Edit(
        lambda obj: obj["spec"].update(minReadySeconds=3), lambda obj: obj["spec"].get("minReadySeconds") == 3
    ),
}


def _service_port(obj: Object) -> None:
    for port in obj["spec"].get("ports", []):
        if port.get("name") == "http":
            port["port"] = 8001


def _external_name(obj: Object) -> None:
    obj["spec"].update(type="ExternalName", externalName="theirs.example.com")
    for field in ("clusterIP", "clusterIPs", "sessionAffinityConfig", "ipFamilies", "ipFamilyPolicy"):
        obj["spec"].pop(field, None)


def _protocol(obj: Object) -> None:
    for port in obj["spec"].get("ports", []):
        if port.get("name") == "http":
            port["protocol"] = "SCTP"


_SERVICE = {
    "another port": Edit(_service_port),
    "another protocol": Edit(_protocol),
    "target": Edit(lambda obj: [port.update(targetPort=1) for port in obj["spec"]["ports"]]),
    "port added": Edit(
        lambda obj: _add(obj["spec"]["ports"], {"name": "theirs", "port": 9999, "protocol": "TCP"}),
        lambda obj: _named(obj["spec"]["ports"], "theirs"),
    ),
    "selector added": Edit(lambda obj: obj["spec"].setdefault("selector", {}).update(theirs="x")),
    "no selector": Edit(lambda obj: obj["spec"].pop("selector", None)),
    "node port": Edit(lambda obj: obj["spec"].update(type="NodePort")),
    "load balancer": Edit(lambda obj: obj["spec"].update(type="LoadBalancer")),
    "external name": Edit(_external_name),
    "session affinity": Edit(
        lambda obj: obj["spec"].update(sessionAffinity="ClientIP"),
        lambda obj: obj["spec"].get("sessionAffinity") == "ClientIP",
    ),
}


def _backend(obj: Object) -> None:
    for rule in obj["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            path["backend"] = {"resource": {"apiGroup": "theirs.example.com", "kind": "Bucket", "name": "x"}}


_INGRESS = {
    "host": Edit(lambda obj: obj["spec"]["rules"][0].update(host="theirs.example.com")),
    "rule added": Edit(lambda obj: obj["spec"]["rules"].append({"host": "more.example.com"})),
    "another backend": Edit(_backend),
    "no rules": Edit(
        lambda obj: obj["spec"].update(
            rules=None, defaultBackend={"service": {"name": "theirs", "port": {"number": 80}}}
        )
    ),
    "class": Edit(lambda obj: obj["spec"].update(ingressClassName="theirs")),
    "hosts with TLS": Edit(
        lambda obj: obj["spec"].update(tls=[{"hosts": ["theirs.example.com"], "secretName": "theirs"}])
    ),
}

_NETWORK_POLICY = {
    "nobody": Edit(lambda obj: obj["spec"].update(ingress=[])),
    "everybody": Edit(lambda obj: obj["spec"].update(ingress=[{}])),
    "other pods": Edit(lambda obj: obj["spec"].update(podSelector={"matchLabels": {"theirs": "x"}})),
    "selector added": Edit(lambda obj: obj["spec"]["podSelector"].setdefault("matchLabels", {}).update(theirs="x")),
    "nowhere to go": Edit(lambda obj: obj["spec"].update(policyTypes=["Ingress", "Egress"])),
}

_BUDGET = {
    "none at all": Edit(lambda obj: obj["spec"].update(maxUnavailable=0)),
    "at least": Edit(lambda obj: obj["spec"].update(maxUnavailable=None, minAvailable=1)),
    "other pods": Edit(lambda obj: obj["spec"].update(selector={"matchLabels": {"theirs": "x"}})),
    "ready ones": Edit(lambda obj: obj["spec"].update(unhealthyPodEvictionPolicy="IfHealthyBudget")),
}

EDITS: dict[str, dict[str, Edit]] = {
    "Deployment": _ANY | _DEPLOYMENT,
    "Service": _ANY | _SERVICE,
    "Ingress": _ANY | _INGRESS,
    "PersistentVolumeClaim": _ANY,
    "NetworkPolicy": _ANY | _NETWORK_POLICY,
    "PodDisruptionBudget": _ANY | _BUDGET,
}
