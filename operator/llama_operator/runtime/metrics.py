"""What a monitor asks for: how often things have happened, and how long they took. (How things stand: `gauges`.)

No label takes a value that users choose: the number of time series does not grow with the number of models. Names
follow the conventions of Prometheus; `docs/operations.md` explains each, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, disable_created_metrics, generate_latest

PREFIX = "llama_operator_"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds. A call takes milliseconds, a reconcile without one less, and no call may take more than 30 s."""

# Else each counter would bring a second series with the time of its birth, for which nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Result(StrEnum):
    """How a reconcile ended."""

    OK = "ok"
    """Nothing is left to do until something changes."""
    REQUEUED = "requeued"
    """Done for now; it looks again after a set time."""
    CONFLICT = "conflict"
    """Somebody else was faster; it decides again at once."""
    RETRY = "retry"
    """The API server refused, failed or was not reached; it tries again later."""
    ERROR = "error"
    """A bug."""


class Collector(Protocol):
    """Gives metrics at the moment of asking."""

    def collect(self) -> Iterator[Metric]: ...


class Metrics:
    """What is told as it happens; `add` takes what is only looked up when somebody asks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._reconciles = Counter(
            f"{PREFIX}reconciles", "Reconciles that have ended", ["result"], registry=self._registry
        )
        for result in Result:  # a rate needs the 0 before the first
            self._reconciles.labels(result)
        self._reconcile_seconds = self._histogram("reconcile_seconds", "From taking a key to the end of its reconcile")
        self._queue_seconds = self._histogram("queue_seconds", "From adding a key to taking it")
        self._api_call_seconds = self._histogram(
            "api_call_seconds", "Calls to the API server, without the wait for our own rate limit", "verb"
        )

    def add(self, collector: Collector) -> None:
        self._registry.register(collector)

    def reconciled(self, result: Result, seconds: float) -> None:
        self._reconciles.labels(result).inc()
        self._reconcile_seconds.observe(seconds)

    def waited(self, seconds: float) -> None:
        """A key has left the queue."""
        self._queue_seconds.observe(seconds)

    def called(self, verb: str, seconds: float) -> None:
        """A call to the API server has ended, with an answer or without."""
        self._api_call_seconds.labels(verb).observe(seconds)

    def text(self) -> str:
        """Everything, in Prometheus' text format (version 0.0.4)."""
        return generate_latest(self._registry).decode()

    def _histogram(self, name: str, help_: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}{name}", help_, labels, buckets=BUCKETS, registry=self._registry)
