"""From `kubectl apply` to the first token, with image and file on the node, and where the time goes.

The steps are those that the API server is told: a watch notes when it hears of each. The kubelet looks at its
containers once a second, so it hears of an end up to a second late, and the next container begins no earlier.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import kubernetes

from benchmarks.engine import client
from benchmarks.engine.place import APPLY, Object, Place
from ground.paths import KUBECONFIG
from llama_operator.constants import MODEL_LABEL, SERVER_PORT
from llama_operator.resources import server as builder
from llama_operator.resources import staging

STEPS = ("pod is there", "scheduled", "stager runs", "stager has ended", "server runs", "ready", "first token")
GIVE_UP_SECONDS = 120.0
_POLL_SECONDS = 0.02


@dataclass
class Start:
    """Seconds from the beginning of `kubectl apply` until each of STEPS."""

    steps: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.steps[STEPS[-1]]

    def parts(self) -> dict[str, float]:
        """Seconds of each step since the one before; negative where the client was served before the API was told.

        Where there is no stager its steps are missing.
        """
        known = [step for step in STEPS if step in self.steps]
        times = [0.0, *(self.steps[step] for step in known)]
        return {step: after - before for step, before, after in zip(known, times, times[1:], strict=False)}


def of_model(place: Place, name: str, *, cached: bool) -> Start:
    """Apply a model, wait for its first token, and delete it."""
    return _measure(place, name, [place.model(name, cached=cached)], f"{MODEL_LABEL}={name}")


def of_deployment(place: Place, name: str) -> Start:
    """The same with a Deployment and a Service that do without the operator."""
    return _measure(place, name, place.by_hand(name), f"app={name}")


def _measure(place: Place, name: str, objects: Sequence[Object], selector: str) -> Start:
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    start = Start()
    with _watched(place.namespace, selector) as seen:
        begun = time.time()
        place.kubectl(*APPLY, stdin=manifest)
        asked = {"first": f"http://{_address(place, name)}:{SERVER_PORT}", "body": client.completion(1, 1)}
        answered = place.in_pod({**asked, "seconds": GIVE_UP_SECONDS})
        while "ready" not in seen and time.time() < begun + GIVE_UP_SECONDS:
            time.sleep(_POLL_SECONDS)
    start.steps = {step: when - begun for step, when in {**seen, STEPS[-1]: answered}.items()}
    place.kubectl("delete", "--wait=false", "--filename=-", stdin=manifest)
    return start


def reached(pod: Mapping[str, Any]) -> set[str]:
    """Which of STEPS a pod has behind it."""
    status = pod.get("status", {})
    conditions = {each["type"] for each in status.get("conditions", []) if each["status"] == "True"}
    stager = _state(status.get("initContainerStatuses"), staging.CONTAINER_NAME)
    server = _state(status.get("containerStatuses"), builder.CONTAINER_NAME)
    behind = {
        "scheduled": "PodScheduled" in conditions,
        "stager runs": bool(stager & {"running", "terminated"}),
        "stager has ended": "terminated" in stager,
        "server runs": "running" in server,
        "ready": "Ready" in conditions,
    }
    return {"pod is there", *(step for step, is_behind in behind.items() if is_behind)}


def _state(statuses: Iterable[Mapping[str, Any]] | None, container: str) -> set[str]:
    """The name of the container's state; none as long as nothing is known of it."""
    return {name for each in statuses or () if each["name"] == container for name in each.get("state", {})}


def _address(place: Place, name: str) -> str:
    """Of the Service, which the operator makes with the Deployment. Its name, asked for too early, stays unknown."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        command = ["get", "service", name, "--ignore-not-found", "--output=jsonpath={.spec.clusterIP}"]
        if address := place.kubectl(*command):
            return address
    raise TimeoutError(f"no Service {name}")


@contextmanager
def _watched(namespace: str, selector: str) -> Iterator[dict[str, float]]:
    """When (`time.time`) each step of the one pod was heard of; filled while the block runs."""
    seen: dict[str, float] = {}
    core = kubernetes.client.CoreV1Api(
        kubernetes.config.new_client_from_config(str(KUBECONFIG))  # type: ignore[no-untyped-call]
    )
    watch = kubernetes.watch.Watch()  # type: ignore[no-untyped-call]

    def follow() -> None:
        limits = {"label_selector": selector, "timeout_seconds": int(GIVE_UP_SECONDS)}
        for event in watch.stream(core.list_namespaced_pod, namespace, **limits):  # type: ignore[no-untyped-call]
            now = time.time()
            for step in reached(event["raw_object"]):
                seen.setdefault(step, now)
            if "ready" in seen:
                watch.stop()  # type: ignore[no-untyped-call]

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    yield seen
    watch.stop()  # type: ignore[no-untyped-call]
    follower.join(timeout=5)
