"""What the operator knows of the flags of the engine, and what it writes for it, against the image's own binary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hack.flags import read_help
from llama_operator.flags import owned, successors, table
from llama_operator.flags.check import ENDS
from llama_operator.resources.arguments import arguments
from tests.e2e.container import Container, docker, loaded, running_engine
from tests.e2e.routes import NoAnswerError
from tests.e2e.witness import eventually
from tests.engine_settings import EVERY
from tests.unit.resources.models import model

pytestmark = pytest.mark.e2e

MODEL = "/models/model.gguf"
(BUILD,) = re.findall(r"_COMMIT=([0-9a-f]{7,})", Path("images/llama-server/Dockerfile").read_text())
SHIPPED = table.of(BUILD)
CUDA = {"type": "cuda", "count": 2}
ANSWERS = "invalid argument|expected value|has been removed"
PROBE = Path(__file__).with_name("probe_flags.sh")


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    with running_engine():
        yield loaded("llama-server-demo")


def answers(image: str, lines: Sequence[str]) -> dict[str, str]:
    """What llama-server has against each of these command lines; a text of `ANSWERS`, or nothing."""
    asked = ["--rm", "--entrypoint=bash", image, "-c", PROBE.read_text(), "bash", ANSWERS, *lines]
    told = [line.partition("\t") for line in docker("run", *asked, timeout=300).splitlines()]
    return {line: found for line, _, found in told}


def healthy(container: Container) -> None:
    """An AssertionError until it is. A container that has ended fails the test at once."""
    try:
        assert container("/health").status == 200
    except NoAnswerError as error:
        if container.state()["Status"] != "running":
            pytest.fail(container.log())
        raise AssertionError(container.log()) from error


def test_the_table_is_what_the_binary_says(image: str) -> None:
    help_ = docker("run", "--rm", image, "--help")
    assert list(read_help.flags(help_)) == json.loads((read_help.BUILDS / f"{BUILD}.json").read_text())["flags"]
    assert BUILD in docker("run", "--rm", "--entrypoint=bash", image, "-c", "/app/llama-server --version 2>&1")


def test_every_flag_takes_as_many_words_as_the_table_says(image: str) -> None:
    """With one word too few llama-server says so. What ends it, or would have it download something, is left out."""
    known = {name: flag for name, flag in SHIPPED.names.items() if name not in ENDS}
    expected = {name: "expected value" for name, flag in known.items() if flag.values}
    expected |= {name: "" for name, flag in known.items() if not flag.values and not owned.flag(name)}
    for name, flag in known.items():
        if flag.values and not owned.flag(name):
            expected[f"{name} 1"] = "has been removed" if flag.removed else "expected value" if flag.values > 1 else ""
    assert len(expected) > 500
    assert answers(image, list(expected)) == expected


def test_what_has_a_successor_is_refused_by_the_binary(image: str) -> None:
    told = answers(image, [f"{name} 1" for name in (*successors.FLAGS, *sorted(successors.GONE))])
    assert set(told.values()) == {"invalid argument", "has been removed"}


@pytest.mark.parametrize("part", EVERY, ids=str)
def test_llama_server_starts_with_each_setting(image: str, part: dict[str, Any]) -> None:
    engine = part.get("engine", {})
    accelerator = {"accelerator": CUDA} if engine.keys() & {"gpuLayers", "split"} else {}
    words = arguments(model(**part, **accelerator))
    for flag in {"--model", "--model-draft"} & set(words):
        words[words.index(flag) + 1] = MODEL
    with Container(image, arguments=tuple(words)) as container:
        if engine.get("split", {}).get("mode") == "tensor":  # the only one that needs a GPU to start
            docker("wait", container.id)
            assert "LLAMA_SPLIT_MODE_TENSOR needs >= 1 devices" in container.log()
            return
        eventually(lambda: healthy(container))


def test_a_long_text_is_embedded(image: str) -> None:
    """Of more tokens than llama-server's own micro-batch has."""
    words = arguments(model(engine={"mode": "embedding", "contextSize": 1024, "args": ["--pooling", "mean"]}))
    words[words.index("--model") + 1] = MODEL
    with Container(image, arguments=tuple(words)) as container:
        eventually(lambda: healthy(container))
        answer = container("/v1/embeddings", {"input": "a b c d e f g h " * 60, "model": "any"})
        assert answer.status == 200, answer
        assert answer.json()["usage"]["prompt_tokens"] > 512
