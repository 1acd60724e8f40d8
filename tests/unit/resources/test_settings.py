"""Typed settings of the engine on llama-server's command line; the build that is shipped knows each of them."""

from __future__ import annotations

from typing import Any

import pytest

from llama_operator.api.engine import EnvVar
from llama_operator.flags import table
from llama_operator.resources import server, settings
from tests.engine_settings import EVERY
from tests.unit.resources.models import model

SHIPPED = [table.of(build) for build in table.builds()]
CUDA = {"type": "cuda", "count": 2}


def words(draft: Any = None, **engine: Any) -> str:
    drafting = {"draft": {"source": {"url": {"url": "http://files/d.gguf"}}, **draft}} if draft is not None else {}
    return " ".join(settings.words(model(engine=engine, accelerator=CUDA, **drafting).spec))


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({}, ""),
        ({"mode": "chat", "flashAttention": "auto", "webUI": True}, ""),
        ({"kvCache": {}, "split": {}, "reasoning": {}, "batch": {}}, ""),
        ({"batch": {"size": 2048, "micro": 512}}, ""),
        ({"batch": {"size": 4096}}, "--batch-size 4096 --ubatch-size 512"),
        ({"batch": {"size": 256}}, "--batch-size 256 --ubatch-size 256"),
        ({"batch": {"micro": 1024}}, "--batch-size 2048 --ubatch-size 1024"),
        ({"kvCache": {"keys": "q8_0"}}, "--cache-type-k q8_0"),
        ({"kvCache": {"keys": "f32", "values": "q4_0"}}, "--cache-type-k f32 --cache-type-v q4_0"),
        ({"flashAttention": "enabled"}, "--flash-attn on"),
        ({"flashAttention": "disabled"}, "--flash-attn off"),
        ({"gpuLayers": 0}, "--n-gpu-layers 0"),
        ({"gpuLayers": "all"}, "--n-gpu-layers all"),
        (
            {"split": {"mode": "row", "proportions": [3, 1], "main": 0}},
            "--split-mode row --tensor-split 3,1 --main-gpu 0",
        ),
        ({"chatTemplate": {"name": "chatml"}}, "--chat-template chatml"),
        ({"chatTemplate": {"configMapKeyRef": {"name": "a", "key": "b"}}}, ""),
        (
            {"reasoning": {"mode": "disabled", "format": "none", "budget": 0}},
            "--reasoning off --reasoning-format none --reasoning-budget 0",
        ),
        ({"reasoning": {"mode": "enabled"}}, "--reasoning on"),
        ({"idleSleep": "90s"}, "--sleep-idle-seconds 90"),
        ({"idleSleep": "30m"}, "--sleep-idle-seconds 1800"),
        ({"idleSleep": "2h"}, "--sleep-idle-seconds 7200"),
        ({"webUI": False}, "--no-ui"),
    ],
    ids=str,
)
def test_each_setting_has_its_words(engine: Any, expected: str) -> None:
    assert words(**engine) == expected


@pytest.mark.parametrize(("mode", "flag"), [("embedding", "--embeddings"), ("rerank", "--reranking")])
def test_what_is_embedded_fits_into_one_micro_batch(mode: str, flag: str) -> None:
    assert words(mode=mode, contextSize=8192) == f"{flag} --batch-size 8192 --ubatch-size 8192"
    assert words(mode=mode, contextSize=2048, slots=4) == f"{flag} --batch-size 2048 --ubatch-size 2048"
    assert words(mode=mode, batch={"size": 1024}) == f"{flag} --batch-size 1024 --ubatch-size 1024"
    assert words(mode=mode, batch={"size": 1024, "micro": 512}) == f"{flag} --batch-size 1024 --ubatch-size 512"


def test_drafts() -> None:
    assert words(draft={}) == ""
    assert words(draft={"maxTokens": 8, "minTokens": 0}) == "--spec-draft-n-max 8 --spec-draft-n-min 0"


def test_a_template_of_a_config_map_is_a_variable_before_the_users() -> None:
    place = {"name": "templates", "key": "chat"}
    engine = {"chatTemplate": {"configMapKeyRef": place}, "env": [{"name": "A", "value": "1"}]}
    assert settings.variables(model(engine=engine).spec.engine) == [
        EnvVar("LLAMA_ARG_CHAT_TEMPLATE", value_from={"configMapKeyRef": place})
    ]
    assert server.container(model(engine=engine), "image")["env"] == [
        {"name": "LLAMA_ARG_CHAT_TEMPLATE", "valueFrom": {"configMapKeyRef": place}},
        {"name": "A", "value": "1"},
    ]
    assert "env" not in server.container(model(), "image")


@pytest.mark.parametrize("known", SHIPPED, ids=lambda known: known.build)
@pytest.mark.parametrize("part", EVERY, ids=str)
def test_the_build_knows_every_word(known: table.Table, part: dict[str, Any]) -> None:
    told = settings.words(model(accelerator=CUDA, **part).spec)
    while told:
        flag = known.names[told.pop(0)]
        values = [told.pop(0) for _ in range(flag.values)]
        assert not flag.removed
        assert not flag.choices or set(values) <= set(flag.choices)
