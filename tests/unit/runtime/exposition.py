"""Reads what /metrics says, as Prometheus would."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from llama_operator.runtime.metrics import Metrics


def samples(metrics: Metrics, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The series of this name: values by the values of these labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.text()):
        for sample in family.samples:
            if sample.name == f"llama_operator_{name}":
                assert set(sample.labels) == set(labels)
                found[tuple(sample.labels[label] for label in labels)] = sample.value
    assert found, f"no series {name}"
    return found


def value(metrics: Metrics, name: str) -> float:
    """Of a series without labels."""
    return samples(metrics, name)[()]
