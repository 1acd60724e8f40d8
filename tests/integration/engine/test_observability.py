"""What a running operator tells about itself: its log and its metrics."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.integration.engine.operator_process import Operator, eventually
from tests.integration.engine.place import FULL, Place, Start


def lines(operator: Operator) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.lines()]


def kopfs(operator: Operator) -> list[str]:
    return [line["message"] for line in lines(operator) if line["logger"].startswith("kopf")]


def test_each_decision_is_one_line_with_the_model_and_the_reason(place: Place, start: Start) -> None:
    operator = start(LOG_FORMAT="json").ready()
    with operator.reconciling():
        place.model(FULL, name="first")
    quiet = kopfs(operator)
    place.model(FULL)
    eventually(place.complete)
    operator.settle()
    with operator.reconciling():
        place.server("PATCH", place.service, {"spec": {"type": "NodePort"}})
    with operator.reconciling():
        place.server("DELETE", place.service)
    eventually(lambda: place.get(place.service))
    with operator.reconciling():
        place.model({name: value for name, value in FULL.items() if name != "ingress"})
    operator.settle()

    told = Counter(
        (line["message"], line["kind"], line["why"])
        for line in lines(operator)
        if line.get("model") == f"{place.namespace}/m" and line["message"] in ("applied", "deleted")
    )
    assert told[("applied", "Deployment", "absent")] == 1
    assert told[("applied", "Service", "absent")] == 2
    assert told[("applied", "Service", "drifted")] == 1
    assert told[("deleted", "Ingress", "not wanted any more")] == 1
    assert sum(count for (message, _, _), count in told.items() if message == "deleted") == 1
    for line in lines(operator):
        if line["logger"].startswith("llama_operator.reconcile"):
            assert line["model"] in (f"{place.namespace}/m", f"{place.namespace}/first"), line
            assert {"why", "reason", "error"} & set(line), line
    assert kopfs(operator) == quiet  # none of all these events was worth a line to kopf
    assert operator.stop() == 0
    lines(operator)  # each is JSON, to the last


def test_metrics_tell_what_happened(place: Place, start: Start) -> None:
    operator = start().ready()
    place.model(FULL)
    eventually(place.complete)
    operator.settle()
    values = operator.values()
    assert values["leader"] == 1
    assert values["cached_models"] == 1
    assert values["cached_objects"] == 7
    assert values["reconciles_total"] == values["reconcile_seconds_count"] == values["queue_seconds_count"] >= 1
    assert values["api_call_seconds_count"] == values["api_calls_total"] > 5
    assert values["models"] == 7  # one, by each condition
    place.server("DELETE", f"{place.models}/m")
    eventually(lambda: _equal(operator.values()["cached_models"], 0))


def _equal(found: float, wanted: float) -> None:
    assert found == wanted
