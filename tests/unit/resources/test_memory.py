"""What the stager is told about memory."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.api.staging import Engine
from llama_operator.resources.arguments import arguments
from llama_operator.resources.memory import settings
from tests.unit.resources.models import model

GIB, MIB = 1 << 30, 1 << 20


def test_without_a_limit() -> None:
    assert settings(model()) == Engine(4096, checkpoints=4, prompt_cache=512 * MIB, spare=True)


def test_with_one() -> None:
    found = settings(model(engine={"contextSize": 8192, "slots": 3}, resources={"limits": {"memory": "4Gi"}}))
    assert found == Engine(8192, 3, checkpoints=4, prompt_cache=512 * MIB, spare=True, limit=4 * GIB)


def test_a_device_has_memory_of_its_own() -> None:
    found = settings(model(accelerator={"type": "cuda"}, resources={"limits": {"memory": "4Gi"}}))
    assert found.limit == 0


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ({"kvCache": {"keys": "q8_0", "values": "q4_0"}}, {"keys": "q8_0", "values": "q4_0"}),
        ({"batch": {"micro": 256}}, {"batch": 256}),
        ({"mode": "embedding", "contextSize": 8192}, {"batch": 8192}),
        ({"flashAttention": "disabled"}, {"flash": False}),
        ({"flashAttention": "auto"}, {"flash": True}),
        ({"promptCache": "100Mi"}, {"prompt_cache": 100 * MIB, "spare": False}),
        ({"promptCache": 0}, {"prompt_cache": 0, "spare": False}),
        ({"contextCheckpoints": 9}, {"checkpoints": 9}),
        ({"contextCheckpoints": 0}, {"checkpoints": 0}),
        ({"mode": "embedding", "contextCheckpoints": 9}, {"checkpoints": 0}),
    ],
    ids=str,
)
def test_what_the_user_asks_for(engine: dict[str, Any], told: dict[str, Any]) -> None:
    found = settings(model(engine=engine))
    assert {name: getattr(found, name) for name in told} == told


def test_the_stager_counts_with_the_cache_that_the_server_gets() -> None:
    one = model(resources={"limits": {"memory": "2Gi"}})
    words = arguments(one)
    assert settings(one).prompt_cache == int(words[words.index("--cache-ram") + 1]) * MIB


@pytest.mark.parametrize("engine", [{}, {"contextCheckpoints": 9}, {"mode": "rerank"}])
def test_the_stager_counts_as_many_checkpoints_as_the_server_may_have(engine: dict[str, Any]) -> None:
    one = model(engine=engine)
    words = arguments(one)
    assert settings(one).checkpoints == int(words[words.index("--ctx-checkpoints") + 1])
