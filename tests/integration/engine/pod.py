"""A pod without a node: what its controllers, the scheduler and the kubelet would write, written by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.integration.engine.place import Place
from tests.integration.server import Object


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(type_: str, status: bool, **more: str) -> Object:
    return {"type": type_, "status": str(status), "lastTransitionTime": now(), **more}


def container(state: Object, last: Object | None = None, restarts: int = 0, **more: Any) -> Object:
    return {
        "image": "x:1",
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
        **more,
    }


def terminated(code: int, message: str = "") -> Object:
    return {"terminated": {"exitCode": code, "message": message, "reason": "Error" if code else "Completed"}}


class Pod:
    """A pod of the model `m`, of its present template, as its controllers write it."""

    def __init__(self, place: Place, node: str | None = "nowhere", name: str = "m-1") -> None:
        self.place = place
        core = f"/api/v1/namespaces/{place.namespace}"
        self.name, self.path, self.events = name, f"{core}/pods/{name}", f"{core}/events"
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        place.server.ensure(f"{core}/serviceaccounts", account)
        template = place.get(place.deployment)["spec"]["template"]
        spec = {**template["spec"], "serviceAccountName": "default"} | ({"nodeName": node} if node else {})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **template["metadata"]}, "spec": spec}
        self.uid = place.server("POST", f"{core}/pods", pod)["metadata"]["uid"]

    def write(self, *conditions: Object, **status: object) -> None:
        self.place.server("PATCH", f"{self.path}/status", {"status": {"conditions": list(conditions), **status}})

    def waits_for_its_sandbox(self) -> None:
        self.write(condition("PodScheduled", True), condition("PodReadyToStartContainers", False))

    def runs(self, stage: Object, server: Object | None = None) -> None:
        self.write(
            condition("PodScheduled", True),
            condition("PodReadyToStartContainers", True),
            initContainerStatuses=[{**stage, "name": "stage"}],
            containerStatuses=[
                {**(server or container({"waiting": {"reason": "PodInitializing"}})), "name": "llama-server"}
            ],
        )

    def event(self, reason: str, message: str, *, title: str = "m-1.1", **about: str) -> None:
        """An event of the old kind, as the kubelet writes it; written again, it is counted. `about`: not this pod."""
        concerned = {"kind": "Pod", "name": self.name, "uid": self.uid, "namespace": self.place.namespace, **about}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": title},
            "involvedObject": {"apiVersion": "v1", **concerned},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet"},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        if self.place.find(f"{self.events}/{title}"):
            again = {"message": message, "lastTimestamp": now(), "count": 2}
            self.place.server("PATCH", f"{self.events}/{title}", again)
        else:
            self.place.server("POST", self.events, event)
