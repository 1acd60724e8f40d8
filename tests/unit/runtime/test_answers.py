"""What of a pod's answer is believed: whatever it is, it has sense, or it is no answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_operator.api.sidecar import Facts
from llama_operator.api.staging import Progress
from llama_operator.runtime import answers
from llama_operator.runtime.answers import NoAnswer

PROGRESS: dict[str, Any] = {"phase": "downloading", "role": "model", "bytes": 5, "total": 10, "rate": 1}
FACTS: dict[str, Any] = {
    "answered": True,
    "build": "b11669-Debian (GNU 16.2)",
    "model": "/volumes/model/Ein Modell, größer.gguf",
    "contextSize": 4096,
    "slots": 4,
    "contextTrained": 32768,
    "parameters": 7_241_732_096,
    "bytes": 4_368_438_272,
    "quantization": "IQ2_XXS - 2.0625 bpw",
    "sha256": "0a" * 32,
    "devices": ("/dev/nvidia0", "/dev/dri/renderD128"),
}
NO_JSON = [b"", b"<html>", b"[]", b"\xff\xfe", b"[" * 4096, b'{"a":' * 800]


def said(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def test_good_answers_are_believed() -> None:
    assert answers.progress(said(PROGRESS)) == Progress("downloading", "model", 5, 10, 1)
    assert msgspec.to_builtins(answers.facts(said(FACTS))) == FACTS
    assert answers.facts(b"{}") == Facts()
    assert answers.facts(b'{"devices": []}').devices == (), "it has none, which is more than not to say so"


@pytest.mark.parametrize(
    "body",
    [
        *NO_JSON,
        {"phase": "idle", "role": "model"},
        {"phase": "asking"},
        PROGRESS | {"role": "model; ls"},
        PROGRESS | {"role": "adapter/" + "a" * 64},
        PROGRESS | {"bytes": -1},
        PROGRESS | {"bytes": 11},
        PROGRESS | {"total": 2**60},
        PROGRESS | {"rate": 1.5},
        PROGRESS | {"bytes": "5"},
        PROGRESS | {"bytes": True},
    ],
    ids=str,
)
def test_no_progress(body: object) -> None:
    with pytest.raises(NoAnswer):
        answers.progress(said(body))


@pytest.mark.parametrize(
    "body",
    [
        *NO_JSON,
        FACTS | {"answered": 1},
        FACTS | {"contextSize": -1},
        FACTS | {"slots": 2**31},
        FACTS | {"contextTrained": 4096.5},
        FACTS | {"parameters": 2**53 + 1},
        FACTS | {"bytes": -1},
        FACTS | {"build": "b" * 65},
        FACTS | {"build": "b1\nReady"},
        FACTS | {"build": "<b>"},
        FACTS | {"model": "/a" * 513},
        FACTS | {"model": "/a\x1b[31m"},
        FACTS | {"model": "/a\u202egguf"},
        FACTS | {"problem": 5},
        FACTS | {"quantization": "Q" * 65},
        FACTS | {"quantization": "Q4_0\n"},
        FACTS | {"sha256": "0a" * 31},
        FACTS | {"sha256": "0A" * 32},
        FACTS | {"sha256": "0a" * 32 + "\n"},
        FACTS | {"devices": "/dev/nvidia0"},
        FACTS | {"devices": ["/dev/nvidia0\n"]},
        FACTS | {"devices": ["/dev/" + "n" * 49]},
        FACTS | {"devices": ["/etc/passwd"]},
        FACTS | {"devices": [f"/dev/nvidia{n}" for n in range(17)]},
    ],
    ids=str,
)
def test_no_facts(body: object) -> None:
    with pytest.raises(NoAnswer):
        answers.facts(said(body))


def test_a_problem_is_one_line_of_plain_characters() -> None:
    told = answers.facts(said(FACTS | {"problem": "status 500:\n\x1b[31mno\u202e template\t" + "x" * 900}))
    assert told.problem.startswith("status 500: [31mno template xxx")
    assert len(told.problem) == answers.PROBLEM_LIMIT


words = st.text(st.sampled_from("ab9 ./<\n\x00\x1b\x9b\u00e9\u202e\u2028"))
json_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), words)
hostile = st.dictionaries(st.sampled_from([*FACTS, "problem", "ended"]), json_values)


@settings(deadline=None)
@given(st.one_of(st.binary(), hostile.map(said), hostile.map(lambda found: said(FACTS | found))))
def test_whatever_is_said_facts_are_bounded(answer: bytes) -> None:
    try:
        told = answers.facts(answer)
    except NoAnswer:
        return
    assert min(told.context_size, told.slots, told.context_trained, told.parameters, told.bytes) >= 0
    assert max(told.context_size, told.slots, told.context_trained) < 2**31
    assert max(told.parameters, told.bytes) <= 2**53
    assert len(told.build) <= 64
    assert len(told.model) <= 1024
    assert max(len(told.problem), len(told.ended)) <= 300
    assert len(told.quantization) <= 64
    assert len(told.sha256) in (0, 64)
    assert sum(len(path) for path in told.devices or ()) <= 16 * 53
    named = (told.build, told.model, told.problem, told.ended, told.quantization, told.sha256, *(told.devices or ()))
    assert "".join(named).isprintable()
