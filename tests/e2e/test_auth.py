"""API keys: made, told to nobody, changed without an outage, and never left out by mistake. And what drains may do."""

from __future__ import annotations

import base64
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from demo import chat
from demo.cluster import kubectl
from tests.e2e.conftest import HOST_DOMAIN, FileServer
from tests.e2e.routes import ThroughIngress
from tests.e2e.test_secrets import places
from tests.e2e.witness import Model, Witness, eventually

pytestmark = pytest.mark.e2e

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
Make = Callable[[str], Model]


def status(url: str, key: str = "") -> int:
    return ThroughIngress(url, key)("/v1/chat/completions", CHAT).status


def answers(url: str, key: str, expected: int) -> None:
    """After a while: the ingress controller learns of an endpoint a moment after the API server."""

    def check() -> None:
        assert status(url, key) == expected

    eventually(check, timeout=30)


def generated(model: Model) -> str:
    secret = model.witness.get("Secret", f"{model.name}-api-key", model.namespace)
    assert secret is not None, "there is no Secret with a generated key"
    return base64.b64decode(secret["data"]["key"]).decode()


def host(model: Model) -> dict[str, str]:
    return {"host": f"{model.name}-{model.namespace}.{HOST_DOMAIN}"}


def test_a_key_is_generated_and_told_to_nobody(new_model: Make, files_in_cluster: FileServer) -> None:
    model = new_model("keyed")
    model.apply(source=files_in_cluster.source(), ingress=host(model), auth={"generate": True})
    url = model.ready()["ingressURL"]
    key = generated(model)
    answers(url, key, 200)
    assert (status(url), status(url, "wrong")) == (401, 401)
    assert ThroughIngress(url)("/metrics").status == 401
    assert places(files_in_cluster, key) == []


def test_a_secret_that_was_deleted_is_made_again(new_model: Make, files_in_cluster: FileServer) -> None:
    """Nobody watches Secrets: what tells is a pod that waits for it."""
    model = new_model("lost")
    model.apply(source=files_in_cluster.source(), auth={"generate": True})
    model.ready()
    before = generated(model)
    model.witness.delete("Secret", "lost-api-key", model.namespace)
    for pod in model.pods():
        model.witness.delete("Pod", pod["metadata"]["name"], model.namespace)

    def again() -> None:
        assert generated(model) != before

    eventually(again, timeout=60)
    model.ready(timeout=180)  # the kubelet tries again within two minutes


def test_a_key_that_is_made_again_holds_for_all_servers(new_model: Make, files_in_cluster: FileServer) -> None:
    """The first server goes on with a key that nobody can read any more, the second misses it."""
    model = new_model("lost-for-one")
    spec = {"source": files_in_cluster.source(), "ingress": host(model), "auth": {"generate": True}}
    model.apply(**spec)
    url = model.ready()["ingressURL"]
    before = generated(model)
    answers(url, before, 200)
    old = {pod["metadata"]["uid"] for pod in model.pods()}
    model.witness.delete("Secret", "lost-for-one-api-key", model.namespace)
    model.apply(**spec, replicas=2)

    def replaced() -> None:
        pods = model.children("Pod")  # one that is on its way out finishes what is in flight, and knows no new key
        assert len(pods) == 2
        assert not old & {pod["metadata"]["uid"] for pod in pods}
        assert generated(model) != before

    eventually(replaced, timeout=240)  # the kubelet looks for the Secret again within two minutes
    model.ready(timeout=180)
    answers(url, generated(model), 200)
    assert [status(url, generated(model)) for _ in range(12)] == [200] * 12


def test_an_empty_key_opens_no_server(new_model: Make, files_in_cluster: FileServer) -> None:
    server = files_in_cluster
    server.witness.secret("no-keys", server.namespace, {"keys": "# none yet\n"})
    model = new_model("unlocked")
    model.apply(source=server.source(), auth={"apiKeySecretRef": {"name": "no-keys", "key": "keys"}})
    assert "put an API key into it" in model.wait("Stalled", "NoAPIKey")["message"]


class _Client:
    """Asks all the time, with the key that it has at the moment, and counts what comes back."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        self.counts: Counter[object] = Counter()
        self._url = httpx.URL(url)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    @contextmanager
    def asking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._done.set()
            self._thread.join()

    def _ask(self) -> None:
        address = f"http://127.0.0.1:{chat.ingress_port()}/v1/chat/completions"
        with httpx.Client(trust_env=False, timeout=30) as http:
            while not self._done.is_set():
                headers = {"Host": self._url.host, "Authorization": f"Bearer {self.key}"}
                try:
                    self.counts[http.post(address, json=CHAT, headers=headers).status_code] += 1
                except httpx.TransportError as error:
                    self.counts[type(error).__name__] += 1


def test_a_key_is_changed_without_an_outage(
    new_model: Make, files_in_cluster: FileServer, measurements: dict[str, object]
) -> None:
    """As docs/operations.md says it: both keys, then the clients, then the new one alone."""
    server, old, new = files_in_cluster, secrets.token_hex(16), secrets.token_hex(16)
    model = new_model("rotated")

    def serve_with(*keys: str) -> str:
        server.witness.secret("rotated", server.namespace, {"keys": "\n".join(keys)})
        kubectl("rollout", "restart", "deployment/rotated", "-n", server.namespace)
        kubectl("rollout", "status", "deployment/rotated", "-n", server.namespace, "--timeout=180s")
        return str(model.ready(timeout=120)["ingressURL"])

    def alone() -> None:
        assert len(model.children("Pod")) == 1  # the one before finishes what is in flight, and knows no new key

    server.witness.secret("rotated", server.namespace, {"keys": old})
    given = {"apiKeySecretRef": {"name": "rotated", "key": "keys"}}
    model.apply(source=server.source(), ingress=host(model), auth=given)
    url = model.ready()["ingressURL"]
    answers(url, old, 200)
    asker = _Client(url, old)
    with asker.asking():
        serve_with(old, new)
        eventually(alone, timeout=60)
        asker.key = new
        serve_with(new)
    measurements["answers_while_a_key_was_changed"] = {str(code): count for code, count in asker.counts.items()}
    assert set(asker.counts) == {200}, asker.counts
    answers(url, old, 401)


def test_a_drain_takes_one_server_at_a_time(new_model: Make, files_in_cluster: FileServer, witness: Witness) -> None:
    model = new_model("drained")
    model.apply(source=files_in_cluster.source(), replicas=2)
    model.ready()

    def allowed() -> None:
        (budget,) = model.children("PodDisruptionBudget")
        assert budget["status"]["disruptionsAllowed"] == 1

    eventually(allowed, timeout=30)
    codes = []
    for pod in model.pods():
        name = pod["metadata"]["name"]
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=model.namespace))
        try:
            witness.core.create_namespaced_pod_eviction(name, model.namespace, eviction)
            codes.append(201)
        except ApiException as error:
            codes.append(error.status)
    assert codes == [201, 429]
