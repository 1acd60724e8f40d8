"""How things stand, looked up when a monitor asks: the queue, the cache, the models, and the counts of the client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from llama_operator import __version__
from llama_operator.api.conditions import Type
from llama_operator.constants import KIND
from llama_operator.runtime.cache import Cache, Key
from llama_operator.runtime.health import Health
from llama_operator.runtime.metrics import PREFIX
from llama_operator.runtime.workqueue import WorkQueue

Object = dict[str, Any]
Calls = Callable[[], Mapping[tuple[str, str, int], int]]
"""How many calls to the API server there were, by verb, kind and code."""

_ONLY_WHILE_TRUE = (Type.RECONCILING, Type.STALLED, Type.DEGRADED)
"""A model that lacks one of these has it not; of the others it is unknown."""


@dataclass(frozen=True, eq=False)
class Gauges:
    """A collector, for `Metrics.add`."""

    cache: Cache
    queue: WorkQueue[Key]
    health: Health
    calls: Calls

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "Always 1; the version is in the label", 1, version=__version__)
        yield _gauge("leader", "1 if this process does the work, 0 if it stands by", self.health.leader())
        yield _gauge("queue_waiting", "Keys that wait for a worker", self.queue.depth())
        yield _gauge("queue_busy", "Keys that are with a worker", self.queue.busy())
        yield _gauge("queue_oldest_seconds", "How long the oldest key has been waiting", self.queue.oldest())
        longest = self.queue.longest_busy()
        yield _gauge(
            "queue_longest_busy_seconds", "How long one key has been with its worker", longest[1] if longest else 0
        )
        age = self.health.list_age()
        if age is not None:
            yield _gauge("list_age_seconds", "Since everything was last listed", age)
        yield _gauge("cached_objects", "Objects that are known", self.cache.count())
        models = self.cache.objects(KIND)
        yield _gauge("cached_models", "Models that are known", len(models))
        yield _models(models)
        yield self._api_calls()

    def _api_calls(self) -> Metric:
        family = CounterMetricFamily(
            f"{PREFIX}api_calls", "Calls to the API server; code 0 had no answer", labels=["verb", "kind", "code"]
        )
        for (verb, kind, code), count in sorted(self.calls().items()):
            family.add_metric([verb, kind, str(code)], count)
        return family


def _gauge(name: str, help_: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", help_, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _models(models: list[Object]) -> Metric:
    """How many models have each status of each condition. Of every condition the statuses add up to all models."""
    told = Counter((c["type"], c["status"]) for model in models for c in model.get("status", {}).get("conditions", []))
    family = GaugeMetricFamily(f"{PREFIX}models", "Models by condition", labels=["condition", "status"])
    for condition in Type:
        counts = {"True": told[condition, "True"], "False": told[condition, "False"], "Unknown": 0}
        counts["False" if condition in _ONLY_WHILE_TRUE else "Unknown"] += len(models) - sum(counts.values())
        for status, count in counts.items():
            family.add_metric([condition, status], count)
    return family
