"""The operator as it really runs: a process of its own, seen through its log and its /metrics."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests import polling

T = TypeVar("T")

PROGRAM = ("-m", "llama_operator")
"""Words for the interpreter."""
WRITES = frozenset({"apply", "patch_status", "delete", "create", "resize"})


def eventually(check: Callable[[], T], timeout: float = 30) -> T:
    """The first result of `check` that raises no AssertionError; its last error when the time (seconds) is over."""
    return polling.eventually(check, timeout, every=0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Operator:
    """One run of `python -m llama_operator`. Starts at once; `ready` waits until it has listed everything."""

    def __init__(self, kubeconfig: Path, log: Path, program: Sequence[str] = PROGRAM, **env: str) -> None:
        port = free_port()
        self.log = log
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=5)
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": "operator",
                    "KUBECONFIG": str(kubeconfig),
                    "STAGE_IMAGE": "operator:1",
                    "SERVER_IMAGE_CPU": "server:1",
                    "LOG_FORMAT": "text",
                    "HEALTH_PORT": str(port),
                    **env,
                },
                stdout=stream,
                stderr=stream,
            )

    def ready(self) -> Operator:
        eventually(lambda: self.expect("/readyz", "ok"))
        return self

    def expect(self, path: str, text: str) -> None:
        """That it lives, and answers with this text."""
        assert self.alive(), f"the operator has ended:\n{self.log.read_text()}"
        try:
            answer = self._http.get(path)
        except httpx.TransportError as error:
            raise AssertionError(f"no answer yet: {error}") from error
        assert answer.text == text

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no last words."""
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def settle(self, reconciles: int = 0) -> None:
        """Wait until at least so many reconciles have ended and no key waits or is worked on."""

        def settled() -> None:
            values = self.values()
            assert values["reconciles_total"] >= reconciles, values
            assert values["queue_waiting"] == values["queue_busy"] == 0, values

        eventually(settled)

    @contextlib.contextmanager
    def reconciling(self) -> Iterator[None]:
        """What is done inside makes it reconcile; wait until it has."""
        before = int(self.values()["reconciles_total"])
        yield
        self.settle(before + 1)

    def values(self) -> dict[str, float]:
        """By name, without the common prefix; series that differ only in their labels are added up."""
        added: defaultdict[str, float] = defaultdict(float)
        for sample in self._samples():
            added[sample.name.removeprefix("llama_operator_")] += sample.value
        return dict(added)  # a name that does not exist must not read as 0

    def writes(self) -> Counter[tuple[str, str]]:
        """Writing calls so far, by verb and kind, whatever came back; the Lease is not counted."""
        calls = self.calls()
        return Counter({(verb, kind): n for (verb, kind), n in calls.items() if verb in WRITES and kind != "Lease"})

    def calls(self) -> Counter[tuple[str, str]]:
        """All calls to the API server so far, by verb and kind; those of kopf's watches are not among them."""
        counted: Counter[tuple[str, str]] = Counter()
        for sample in self._samples():
            if sample.name == "llama_operator_api_calls_total":
                counted[sample.labels["verb"], sample.labels["kind"]] += int(sample.value)
        return counted

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def _samples(self) -> list[Sample]:
        families = text_string_to_metric_families(self._http.get("/metrics").text)
        return [sample for family in families for sample in family.samples]
