"""What the ways to a server cost, from a pod of its cluster: to the pod itself, through Service, through Ingress."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.engine import client
from benchmarks.engine.place import Place
from benchmarks.engine.speed import Work
from demo import cluster
from llama_operator.constants import MODEL_LABEL, SERVER_PORT

DIRECT, SERVICE, INGRESS = "direct to the pod", "through the Service", "through the Ingress"


@dataclass(frozen=True)
class Taken:
    """What the client saw: seconds until the first token, tokens per second after it."""

    first: float
    rate: float


def measure(place: Place, work: Work, rounds: int) -> dict[str, list[Taken]]:
    """Streams of one model, the ways in turn, each request over a connection of its own."""
    name = "routes"
    host = f"{name}-{place.namespace}.localhost"
    place.apply(place.model(name, cached=False, host=host))
    place.kubectl("wait", "--for=condition=Ready", f"llama/{name}", "--timeout=180s")
    selector = f"--selector={MODEL_LABEL}={name}"
    pod = place.kubectl("get", "pods", selector, "--output=jsonpath={.items[0].status.podIP}")
    # The controller's port 80 of the node, as for everybody outside (ground/addons/traefik.yaml).
    address = '--output=jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'
    node = cluster.kubectl("get", "nodes", "--selector=node-role.kubernetes.io/control-plane", address)
    ways = {
        DIRECT: (f"http://{pod}:{SERVER_PORT}", ""),
        SERVICE: (f"http://{name}.{place.namespace}.svc:{SERVER_PORT}", ""),
        INGRESS: (f"http://{node}:80", host),
    }
    # The proxies learn of the endpoint a moment after the operator does.
    client_asks = {"body": client.completion(work.prompt, work.tokens), "rounds": rounds}
    found = place.in_pod({"routes": ways, **client_asks})
    place.kubectl("delete", "llama", name, "--wait=false")
    return {way: [Taken(**taken) for taken in each] for way, each in found.items()}
