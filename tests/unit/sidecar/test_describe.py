"""What the operator is told of a server."""

from __future__ import annotations

import json

import pytest

from llama_operator.api.sidecar import Facts
from llama_operator.sidecar.client import Reply
from llama_operator.sidecar.describe import facts

PROPS = {
    "default_generation_settings": {"id": 0, "n_ctx": 2048, "params": {}},
    "total_slots": 2,
    "model_path": "/models/a.gguf",
    "chat_template": "…",
    "build_info": "b11669-Debian",
}
MODELS = {
    "object": "list",
    "data": [{"id": "tiny", "meta": {"n_ctx_train": 4096, "n_params": 9, "size": 7, "ftype": "Q4_K - Medium"}}],
}


def reply(content: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode())


def test_all_of_it() -> None:
    told = facts(reply(PROPS), reply(MODELS))
    assert told == Facts(
        build="b11669-Debian",
        model="/models/a.gguf",
        context_size=2048,
        slots=2,
        context_trained=4096,
        parameters=9,
        bytes=7,
        quantization="Q4_K - Medium",
    )


@pytest.mark.parametrize(
    "silent",
    [None, Reply(0), reply(PROPS, 401), Reply(200, b"<html>"), reply({"total_slots": "two"}), reply({"data": []})],
)
def test_what_is_not_told_is_left_out(silent: Reply | None) -> None:
    assert facts(silent, silent) == Facts()
    assert facts(reply(PROPS), silent).parameters == 0
