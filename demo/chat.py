"""Ask the model something, the way a user would: through the Service and through the Ingress."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from demo.cluster import StepError, environment, kubectl
from ground.paths import BIN

QUESTION = {"messages": [{"role": "user", "content": "Hello, who are you?"}], "max_tokens": 64}
PATIENCE = 30.0
"""Seconds for proxies to learn about new endpoints: they are told after the operator is."""


def ingress_port() -> int:
    """Port of this machine that the cluster's ingress controller listens on."""
    return int(os.environ.get("INGRESS_PORT", "8080"))


def api_key(name: str, namespace: str) -> str:
    """What the operator has generated for this model."""
    secret = kubectl("get", "secret", f"{name}-api-key", "-n", namespace, "-o", "jsonpath={.data.key}")
    return base64.b64decode(secret).decode()


def ask(address: str, key: str, host: str | None = None) -> str:
    """The answer of the server at `address`; `host` is the name in the request if `address` is only an IP.

    Raises StepError when there is none within 30 s.
    """
    deadline = time.monotonic() + PATIENCE
    headers = {"Authorization": f"Bearer {key}"} | ({"Host": host} if host else {})
    # A proxy of the environment knows nothing about loopback addresses.
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        while True:
            try:
                answer = client.post(f"{address}/v1/chat/completions", json=QUESTION, headers=headers)
                problem = f"status {answer.status_code}: {answer.text[:300]}"
                if answer.status_code == 200:
                    return str(answer.json()["choices"][0]["message"]["content"])
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            if time.monotonic() > deadline:
                raise StepError(
                    f"no answer from {address} ({problem})", "`kubectl get pods,svc,ingress` shows what is there"
                )
            time.sleep(0.5)  # between two tries; the deadline is above


@contextmanager
def port_forward(name: str, namespace: str, port: int) -> Iterator[int]:
    """`kubectl port-forward` to a Service for as long as the block runs; yields the local port."""
    command = [str(BIN / "kubectl"), "port-forward", "-n", namespace, f"service/{name}", f":{port}"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        line = process.stdout.readline()  # Forwarding from 127.0.0.1:41234 -> 8000
        timer.cancel()
        if not line.startswith("Forwarding from 127.0.0.1:"):
            raise StepError(f"kubectl port-forward: {line.strip()}", f"`kubectl get endpoints {name} -n {namespace}`")
        yield int(line.split(":", 1)[1].split()[0])
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
