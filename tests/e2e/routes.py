"""The two ways to a model: through its Service, from a pod; through its Ingress, from outside the cluster."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from demo import chat, cluster

IN_POD = Path(__file__).with_name("requests_in_pod.py")


class NoAnswerError(AssertionError):
    """Nobody answered. `eventually` asks again: proxies learn about an endpoint a moment after the API server."""


@dataclass(frozen=True)
class Answer:
    """What came back for one request; `type` is the content type."""

    status: int
    type: str
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)

    def events(self) -> list[str]:
        """The data of a stream of server-sent events."""
        return [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]


class Route(Protocol):
    """GET, or POST if there is a body, of a path below the model's address."""

    def __call__(self, path: str, body: object = None) -> Answer: ...


@dataclass(frozen=True)
class ThroughService:
    """From a pod in `namespace`, over the cluster's DNS and the Service's virtual address."""

    url: str
    namespace: str
    pod: str

    def __call__(self, path: str, body: object = None) -> Answer:
        asked = json.dumps({"url": self.url + path, "body": body})
        command = ["exec", "-i", "-n", self.namespace, self.pod, "--", "python", "-c", IN_POD.read_text()]
        told = json.loads(cluster.kubectl(*command, stdin=asked, timeout=60))
        if "error" in told:
            raise NoAnswerError(f"{self.url}{path}: {told['error']}")
        return Answer(told["status"], told["type"], base64.b64decode(told["content"]))


@dataclass(frozen=True)
class ThroughIngress:
    """From this machine, through the ingress controller; `url` is what status.ingressURL says, `key` an API key."""

    url: str
    key: str = ""

    def __call__(self, path: str, body: object = None) -> Answer:
        address = httpx.URL(self.url + path)
        here = address.copy_with(host="127.0.0.1", port=chat.ingress_port())
        method = "GET" if body is None else "POST"
        headers = {"Host": f"{address.host}:{chat.ingress_port()}"}
        headers |= {"Authorization": f"Bearer {self.key}"} if self.key else {}
        with httpx.Client(trust_env=False, timeout=30) as client:
            try:
                answer = client.request(method, here, json=body, headers=headers)
            except httpx.TransportError as error:
                raise NoAnswerError(f"{address}: {error}") from error
        return Answer(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)
