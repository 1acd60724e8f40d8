"""docs/operations.md and /metrics name the same metrics, with the same labels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.runtime.world import World

DOCS = Path("docs/operations.md").read_text()
_ROW = re.compile(r"^\| `llama_operator_(\w+?)(?:\{([\w,]+)\})?` \|", re.MULTILINE)
_MENTION = re.compile(r"llama_operator_(\w+)")


@pytest.fixture
async def exposed(world: World) -> dict[str, set[str]]:
    """What a process that has done everything once exposes: labels by name."""
    await world.resync.start()
    world.metrics.called("get", 0.1)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(world.metrics.text()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels}
        found[name.removeprefix("llama_operator_")] = labels - {"le"}
    return found


async def test_the_table_has_each_metric_with_its_labels(exposed: dict[str, set[str]]) -> None:
    rows = {name: set(labels.split(",")) if labels else set() for name, labels in _ROW.findall(DOCS)}
    assert rows == exposed


async def test_alerts_ask_for_metrics_that_exist(exposed: dict[str, set[str]]) -> None:
    (alerts,) = re.findall(r"```promql\n(.*?)```", DOCS, re.DOTALL)
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in _MENTION.findall(alerts)}
    assert len(asked) >= 4
    assert asked <= set(exposed)
    for name, selector in re.findall(r"llama_operator_(\w+)\{(.+?)\}", alerts):
        assert set(re.findall(r"(\w+)=", selector)) <= exposed[name]
